"""Whatever happens: random health, operators, reloads, restarts and time over all schemes and what pools do for one
another. A twin gets the same calls, and must come to the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rrdns import wire
from rrdns.answers import key
from rrdns.failover import Selection
from rrdns.model import Check, DataSet, Event, Failover, HttpProbe, Member, Override, Pool, Service, State, WhenDown
from rrdns.roster.roster import Decision, Roster, UnknownPool
from tests.small_roster import APEX, BAD, GOOD, name, zone

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
        self.call(lambda one: one.load(data(plan, counts, down), self.now))
        for target in sorted(self.one.targets()):
            self.call(lambda one, target=target: one.observe(target, GOOD, self.now))  # type: ignore[misc]

    @property
    def one(self) -> Roster:
        return self.twins[0]

    def call(self, door: Callable[[Roster], Decision]) -> None:
        """The same at both; what was before is kept for the invariants."""
        self.before = {pool: duty.selection for pool, duty in self.one.duties.items()}
        first, second = (door(one) for one in self.twins)
        assert first == second, "the same inputs give the same decisions"
        self.events = first.events
        self.judge_step()
        self.asleep = False

    # -------------------------------------------------------------- what may happen

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
            assert now.holders == standing.holders or not forgets
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
            assert not serving & {one.name for one in own if one.disabled}
            for lender in found.to_pools:
                lent = {one.name.partition("/")[2] for one in self.one.duties[lender].selection.serving}
                assert lent & found.shed

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
    return event.subject in ("member", "failover", "pool", "override") and event.name.partition("/")[0] in group


TestEverything = Everything.TestCase
TestEverything.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
