"""Whatever happens: random health, operators, reloads, restarts and time over all schemes and what pools do for one
another. A twin gets the same calls, and must come to the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from small_roster import APEX, BAD, GOOD, name, zone

from rrdns import fencing, wire
from rrdns.answers import key
from rrdns.failover import Selection
from rrdns.model import (
    Check,
    DataSet,
    Event,
    Failover,
    Fence,
    HttpProbe,
    Member,
    Override,
    Pool,
    Service,
    State,
    WhenDown,
)
from rrdns.roster.roster import Decision, Roster, UnknownPool

CHECKS = {
    one: Check(one, "http", port, HttpProbe(), interval=5.0, fall=fall, rise=fall)
    for one, port, fall in (("x", 80, 1), ("y", 81, 2), ("z", 82, 1))
}
OF = {"a": "x", "b": "y", "c": "z"}
ADDRESSES = {
    pool: {f"{pool}{at}": f"192.0.2.{base + at}" for at in range(1, 5)}
    for base, pool in ((0, "a"), (10, "b"), (20, "c"))
}

TIERS = Failover("idle-standby", 30.0)
TURNS = Failover("rotating-standby")
FENCED = {"before_promote": Fence(("/sbin/fence",))}
PLANS: list[dict[str, dict[str, Any]]] = [
    {"a": {"failover": TIERS}, "b": {"failover": TURNS}, "c": {}},
    {"a": {"failover": replace(TIERS, failback=None), "quorum": 2},
     "b": {"failover": replace(TURNS, active=2)}, "c": {}},
    {"a": {"failover": Failover("simple-failover", 30.0, backup="b")}, "b": {}, "c": {}},
    {"a": {"failover": Failover("simple-failover", 0.0, backup="b"), "quorum": 2},
     "b": {"failover": TURNS}, "c": {"fallback": "b"}},
    {"a": {"failover": Failover("mutual-takeover", 30.0, partner="b"), "quorum": 2},
     "b": {"failover": Failover("mutual-takeover", 30.0, partner="a"), "quorum": 2}, "c": {"fallback": "a"}},
    {"a": {"failover": Failover("mutual-takeover", 10.0, partner="b")},
     "b": {"failover": Failover("mutual-takeover", None, partner="a"), "fallback": "c"}, "c": {"failover": TIERS}},
    {"a": {"failover": TIERS, "fallback": "b"}, "b": {"failover": TURNS, "fallback": "c"}, "c": {"quorum": 2}},
    {"a": {"failover": Failover("simple-failover", 30.0, backup="c")},
     "b": {"failover": Failover("simple-failover", None, backup="c")}, "c": {"failover": TIERS}},
    {"a": {"fallback": "b", "failover": Failover("", 5.0), "quorum_weight": 3},
     "b": {"failover": TIERS}, "c": {"failover": TURNS}},
    {"a": {"failover": TIERS, **FENCED}, "b": {"failover": TURNS, **FENCED},
     "c": {"failover": replace(TURNS, active=2), **FENCED}},
    {"a": {"failover": Failover("simple-failover", 5.0, backup="b"), "quorum": 2, **FENCED},
     "b": {"failover": TURNS, **FENCED}, "c": {"fallback": "b", **FENCED}},
    {"a": {"failover": Failover("mutual-takeover", 10.0, partner="b"), **FENCED},
     "b": {"failover": Failover("mutual-takeover", None, partner="a"), "quorum": 2},
     "c": {"failover": TIERS, "fallback": "b", **FENCED}},
]  # fmt: skip
WHEN_DOWN = ("all", "empty", "last", "servfail")
COUNTS = st.fixed_dictionaries({pool: st.integers(1, 4) for pool in "abc"})
A = {pool: key(name(f"{pool}.lb.example.com."), wire.A) for pool in "abc"}


def data(plan: int, counts: dict[str, int], down: int) -> DataSet:
    pools = {}
    for at, (pool, more) in enumerate(PLANS[plan].items()):
        members = tuple(
            Member(one, (address,), priority=1 + number // 2)
            for number, (one, address) in enumerate(list(ADDRESSES[pool].items())[: counts[pool]])
        )
        found = Pool(pool, members, (OF[pool],), when_down=WhenDown(WHEN_DOWN[(down + at) % 4]), **more)
        pools[pool] = found
    services = [Service(name(f"{pool}.lb.example.com."), APEX, pool, 20, 5) for pool in "abc"]
    return DataSet({APEX: zone(*services)}, pools, CHECKS)


class Everything(RuleBasedStateMachine):
    @initialize(plan=st.integers(0, len(PLANS) - 1), counts=COUNTS, down=st.integers(0, 3))
    def begin(self, plan: int, counts: dict[str, int], down: int) -> None:
        self.now = 1.0
        self.plan, self.counts, self.down = plan, counts, down
        self.twins = [Roster(), Roster()]
        self.asleep = True
        self.allowed = False
        self.old: list[tuple[str, int]] = []
        self.call(lambda one: one.load(data(plan, counts, down), self.now))
        for target in sorted(self.one.targets()):
            self.call(lambda one, target=target: one.observe(target, GOOD, self.now))  # type: ignore[misc]

    @property
    def one(self) -> Roster:
        return self.twins[0]

    def call(self, door: Callable[[Roster], Decision]) -> None:
        """The same at both; what was before is kept for the invariants."""
        self.before = {pool: duty.selection for pool, duty in self.one.duties.items()}
        self.old += [(each.pool, each.ident) for each in self.one.promotions]
        first, second = (door(one) for one in self.twins)
        assert first == second, "the same inputs give the same decisions"
        self.events = first.events
        self.judge_step()
        self.asleep = self.allowed = False

    # -------------------------------------------------------------- what may happen

    @precondition(lambda self: self.one.promotions)
    @rule(which=st.integers(0, 5), good=st.booleans())
    def command(self, which: int, good: bool) -> None:
        """What must be done before somebody is promoted."""
        promotion = self.one.promotions[which % len(self.one.promotions)]
        serving = {one.name for one in self.one.duties[promotion.pool].selection.serving}
        assert not serving & set(promotion.coming), "who is to be promoted serves already"
        self.allowed = good
        said = "exit 0" if good else "exit 1"
        self.call(lambda one: one.promoted(promotion.pool, promotion.ident, good, said, self.now))

    @precondition(lambda self: self.old)
    @rule(which=st.integers(0, 100))
    def too_late(self, which: int) -> None:
        """A word of a command that nobody waits for any more."""
        late = self.old[which % len(self.old)]
        if late not in [(each.pool, each.ident) for each in self.one.promotions]:
            self.call(lambda one: one.promoted(*late, True, "exit 0", self.now))
            serving = {pool: duty.selection.serving for pool, duty in self.one.duties.items()}
            assert serving == {pool: one.serving for pool, one in self.before.items()}

    @precondition(lambda self: self.one.company.promotions.waits)
    @rule(which=st.integers(0, 5))
    def force(self, which: int) -> None:
        waits = sorted(self.one.company.promotions.waits)
        self.allowed = True
        self.call(lambda one: one.failback(waits[which % len(waits)], self.now, "root", force=True))

    @precondition(lambda self: self.one.company.promotions.waits)
    @rule()
    def commands_come_right(self) -> None:
        """When they all succeed, what is answered is what is wanted."""
        for _ in range(20):
            for promotion in self.one.promotions:
                self.allowed = True
                self.call(lambda one, its=promotion: one.promoted(its.pool, its.ident, True, "", self.now))  # type: ignore[misc]
            if not self.one.company.promotions.waits:
                break
            self.wait(11.0)
        else:
            raise AssertionError("it never comes to an end")
        for pool, duty in self.one.duties.items():
            if pool in self.one.company.promotions.roles and duty.selection.rung == "available":
                wanted = self.one.company.imagine(self.one.duties, {pool: duty.acting()}, self.now)[pool]
                assert {one.name for one in wanted.serving} == {one.name for one in duty.selection.serving}

    @rule(of=st.sampled_from("abc"), asked=st.sampled_from("xyz"), number=st.integers(1, 4), good=st.booleans())
    def probe(self, of: str, asked: str, number: int, good: bool) -> None:
        target = CHECKS[asked].key(ADDRESSES[of][f"{of}{number}"])
        self.call(lambda one: one.observe(target, GOOD if good else BAD, self.now))

    @rule(of=st.sampled_from("abc"), good=st.booleans())
    def rack(self, of: str, good: bool) -> None:
        """All of a pool, by every check and for good."""
        for target in sorted(self.one.targets()):
            if any(target.endswith(f"@{address}") for address in ADDRESSES[of].values()):
                for _ in range(2):
                    self.call(lambda one, target=target: one.observe(target, GOOD if good else BAD, self.now))  # type: ignore[misc]

    @rule(
        of=st.sampled_from("abc"),
        number=st.integers(1, 4),
        word=st.sampled_from(["drain", "disable", "force-up", "enable"]),
        until=st.sampled_from([None, 7.0, 40.0]),
    )
    def operator(self, of: str, number: int, word: str, until: float | None) -> None:
        if number <= self.counts[of]:
            end = self.now + until if until is not None and word != "enable" else None
            op = Override(of, f"{of}{number}", word, "root", "", 1.7e9, end)
            self.call(lambda one: one.override(op, self.now))

    @rule(of=st.sampled_from("abc"))
    def back(self, of: str) -> None:
        if self.one.snapshot(self.now)["pools"][of]["waits"]:
            self.call(lambda one: one.failback(of, self.now, "root"))
            return
        for one in self.twins:
            try:
                one.failback(of, self.now)
            except UnknownPool:
                continue
            raise AssertionError("there was nothing to call back")

    @rule(seconds=st.sampled_from([0.5, 3.0, 11.0, 31.0]))
    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(50):
            deadline = self.one.next_deadline()
            if deadline is None or deadline > until:
                break
            self.now = max(self.now, deadline)
            self.call(lambda one: one.advance(self.now))
        else:
            raise AssertionError(f"it never comes to rest: {self.one.next_deadline()} at {self.now}")
        self.now = until
        self.call(lambda one: one.advance(self.now))

    @rule(counts=COUNTS, down=st.integers(0, 3), plan=st.none() | st.integers(0, len(PLANS) - 1))
    def reload(self, counts: dict[str, int], down: int, plan: int | None) -> None:
        self.counts, self.down, self.plan = counts, down, self.plan if plan is None else plan
        self.asleep = True  # an edit is its own event, and control tells it
        self.call(lambda one: one.load(data(self.plan, counts, down), self.now))
        for pool in self.one.company.promotions.roles:
            its, before = self.roles(pool), self.before[pool]
            on_duty = {its[one.name] for one in before.serving if one.name in its}
            if before.standing.entitled and on_duty:
                now = {its[one.name] for one in self.one.duties[pool].selection.serving}
                assert now <= on_duty, f"{pool}: an edit promoted somebody"

    @rule(forgets=st.booleans())
    def restart(self, forgets: bool) -> None:
        """With or without the health of before; what schemes remember is there in any case."""
        fresh = []
        for one in self.twins:
            health = {} if forgets else {target: one.health(target) for target in one.targets()}
            new = Roster()
            new.restore(health, one.overrides, standings=one.standings)
            fresh.append(new)
        kept = self.one.standings
        self.twins, self.asleep = fresh, True
        self.call(lambda one: one.load(data(self.plan, self.counts, self.down), self.now))
        for pool, standing in kept.items():
            now = self.one.duties[pool].selection.standing
            there = {one.name for one in self.one.duties[pool].acting() if one.available or one.unsure}
            kept_places = tuple([one for one in standing.holders if one in there])
            assert now.holders == kept_places or not forgets, "but for those who wait to be replaced"
            assert [one for one in now.queue if one in standing.queue] == list(standing.queue) or not forgets

    @precondition(lambda self: any(duty.selection.due is not None for duty in self.one.duties.values()))
    @rule()
    def wait_for_a_return(self) -> None:
        self.wait(max(0.0, min(d.selection.due for d in self.one.duties.values() if d.selection.due) - self.now))

    # -------------------------------------------------------------- what must hold

    def judge_step(self) -> None:
        for pool, duty in self.one.duties.items():
            before, after = self.before.get(pool), duty.selection
            if before is None or self.asleep:
                continue
            if {one.name for one in before.serving} != {one.name for one in after.serving}:
                group = self.one.company.together([pool])
                assert any(_concerns(event, group) for event in self.events), f"{pool} flipped without an event"
            self.judge_queue(before, after, {one.name: one for one in duty.acting()})
            self.judge_promotion(pool, before, after)

    def judge_promotion(self, pool: str, before: Selection, after: Selection) -> None:
        """Nobody is answered who was not on duty, and for whom nothing was done before."""
        entitled = set(before.standing.entitled)
        if pool in self.one.company.promotions.roles:
            its, now = self.roles(pool), set(after.standing.entitled)
            serving = {its[one.name] for one in after.serving}
            assert not entitled or self.allowed or serving <= entitled, f"{pool}: somebody was not promoted"
            sure = not any(one.unsure for duty in self.one.duties.values() for one in duty.acting())
            sure = sure and after.rung == "available"
            assert serving <= now or not (now or (sure and after.state == "ok")), f"{pool}: who serves is not entitled"

    def roles(self, pool: str) -> dict[str, str]:
        return fencing.roles(self.one.duties[pool].pool, {one: duty.pool for one, duty in self.one.duties.items()})

    def judge_queue(self, before: Selection, after: Selection, hosts: dict[str, Any]) -> None:
        was, is_ = before.standing, after.standing
        for holder in was.holders:
            gone = holder not in hosts or not (hosts[holder].available or hosts[holder].unsure)
            assert holder in is_.holders or gone or holder in is_.queue, "nobody is pushed out of a place"
        stayed = [one for one in was.queue if one in is_.queue]
        assert stayed == [one for one in is_.queue if one in stayed], "those who wait keep their order"
        if was.holders and is_.holders:
            came = [one for one in is_.holders if one not in was.holders]
            able = [one for one in was.queue if one in hosts and hosts[one].available]
            assert came[: len(able)] == able[: len(came)], "places go to the head of the queue"

    @invariant()
    def there_is_an_answer_as_promised(self) -> None:
        if not hasattr(self, "twins"):
            return
        for duty in self.one.duties.values():
            found, word = duty.selection, duty.pool.when_down.word
            serving = {one.name for one in found.serving}
            own = [one for one in duty.acting() if one.name not in found.shed]
            able = {one.name for one in own if one.available}
            assert not serving & found.shed
            assert not serving & {one.name for one in own if one.disabled}
            if self.waits_for_a_promotion(duty.pool.name):
                continue
            if able or found.from_pool:
                assert (serving and found.rung == "available") or any(one.unsure for one in own)
            elif found.rung == "when_down":
                assert not any(one.state is not State.DOWN and not one.disabled for one in own)
                everybody = {one.name for one in own if not one.disabled}
                wanted = {"all": serving == everybody, "empty": not serving, "servfail": not serving and found.servfail}
                assert wanted.get(word, serving <= everybody)
            drained = {one.name for one in own if one.drained}
            if serving & drained and found.rung != "when_down":
                assert not able and not found.from_pool, "a drained member serves while another stands"
            for lender in found.to_pools:
                lent = {one.name.partition("/")[2] for one in self.one.duties[lender].selection.serving}
                assert lent & found.shed

    def waits_for_a_promotion(self, pool: str) -> bool:
        """Itself, or another one that it has to do with; or those up are nobody it may answer."""
        promotions = self.one.company.promotions
        group, found = self.one.company.together([pool]), self.one.duties[pool].selection
        waits = promotions.waits.keys() & set(group)
        return bool(waits) or (pool in promotions.roles and found.rung not in ("available", "drained"))

    @invariant()
    def what_is_answered_is_what_was_decided(self) -> None:
        if hasattr(self, "twins"):
            for pool, duty in self.one.duties.items():
                inside = {member for slot in self.one.ring_members(A[pool]) for member in slot}
                assert inside == {one.name for one in duty.selection.serving if one.addresses}

    @invariant()
    def time_alone_is_no_work(self) -> None:
        if hasattr(self, "twins"):
            self.call(lambda one: one.advance(self.now))
            deadline = self.one.next_deadline()
            assert deadline is None or deadline > self.now


def _concerns(event: Event, group: list[str]) -> bool:
    return (
        event.subject in ("member", "failover", "pool", "override", "promotion")
        and event.name.partition("/")[0] in group
    )


TestEverything = Everything.TestCase
TestEverything.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
