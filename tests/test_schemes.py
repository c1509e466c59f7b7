"""Failover schemes, each line of their truth tables, and what no order of failures may break. Pretend time."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rrdns.hosts import Host, host
from rrdns.model import Failover, Member, Pool, Standing, State
from rrdns.schemes import PATIENCE, Moment, Pick, pick

UP, DOWN, UNKNOWN = State.UP, State.DOWN, State.UNKNOWN


def pool(scheme: str, tiers: Mapping[str, int], quorum: int = 1, **more: object) -> Pool:
    members = tuple(
        Member(name, (f"192.0.2.{at}",), priority=tier) for at, (name, tier) in enumerate(tiers.items(), start=1)
    )
    return Pool("web", members, quorum=quorum, failover=Failover(scheme, **more))  # type: ignore[arg-type]


def hosts(one: Pool, down: str = "", unknown: str = "", drained: str = "") -> list[Host]:
    return [
        host(
            member,
            [DOWN if member.name in down else UNKNOWN if member.name in unknown else UP],
            override="drain" if member.name in drained else None,
        )
        for member in one.members
    ]


def names(found: Pick) -> str:
    return "".join(one.name for one in found.chosen)


class Story:
    """One pool through time."""

    def __init__(self, one: Pool) -> None:
        self.pool, self.standing = one, Standing()

    def at(
        self,
        now: float,
        down: str = "",
        unknown: str = "",
        drained: str = "",
        recalled: bool = False,
        held: bool = False,
    ) -> str:
        found = hosts(self.pool, down, unknown, drained)
        self.last = pick(self.pool, found, self.standing, Moment(now, recalled, held))
        self.standing = self.last.standing
        return names(self.last)


# ------------------------------------------------------------------ idle-standby


def test_the_best_tier_serves_and_its_death_is_no_matter_of_time() -> None:
    story = Story(pool("idle-standby", {"a": 1, "b": 2, "c": 3}))
    assert story.at(0) == "a"
    assert story.at(1, down="a") == "b"
    assert story.at(2, down="ab") == "c"
    assert story.at(3, down="bc") == "a", "a dead standby is left at once, whatever failback says"


def test_a_better_tier_returns_after_unbroken_health() -> None:
    story = Story(pool("idle-standby", {"a": 1, "b": 2}, failback=30.0))
    assert story.at(0) == "a" and story.at(1, down="a") == "b"
    assert story.at(10) == "b" and story.last.due == 40 and "returns in 30 s" in story.last.why
    assert story.at(20, down="a") == "b" and story.last.due is None, "its health was broken: the time begins anew"
    assert story.at(25) == "b" and story.last.due == 55
    assert story.at(54) == "b"
    assert story.at(55) == "a" and story.last.due is None


def test_failback_at_once_and_by_hand() -> None:
    story = Story(pool("idle-standby", {"a": 1, "b": 2}, failback=0.0))
    assert story.at(0) == "a" and story.at(1, down="a") == "b" and story.at(2) == "a"
    story = Story(pool("idle-standby", {"a": 1, "b": 2}, failback=None))
    assert story.at(0) == "a" and story.at(1, down="a") == "b"
    assert story.at(1e6) == "b" and story.last.due is None and "by hand" in story.last.why
    assert story.at(1e6 + 1, recalled=True) == "a" and story.at(1e6 + 2) == "a"


def test_each_better_tier_must_be_well_for_its_own_time() -> None:
    story = Story(pool("idle-standby", {"a": 1, "b": 2, "c": 3}, failback=30.0))
    story.at(0)
    assert story.at(1, down="ab") == "c"
    assert story.at(10, down="a") == "c" and story.at(39) == "c"
    assert story.at(40) == "b", "a is back for a second only"
    assert story.last.due == 69 and story.at(69) == "a"


def test_nothing_returns_by_time_while_we_may_be_cut_off() -> None:
    story = Story(pool("idle-standby", {"a": 1, "b": 2}, failback=30.0))
    story.at(0)
    story.at(1, down="a")
    assert story.at(2) == "b" and story.at(50, held=True) == "b" and story.last.due is None
    assert story.at(51) == "a"


def test_after_a_total_outage_no_tier_has_an_older_right() -> None:
    story = Story(pool("idle-standby", {"a": 1, "b": 2}))
    story.at(0)
    assert story.at(1, down="a") == "b" and story.at(2, down="ab") == ""
    assert story.standing.tier is None and story.at(3) == "a"


def test_who_is_not_known_yet_promotes_nobody() -> None:
    story = Story(pool("idle-standby", {"a": 1, "b": 2}))
    assert story.at(0, unknown="a") == "b" and story.standing.tier is None, "b answered the first probe first"
    assert story.last.look == PATIENCE
    assert story.at(1) == "a"
    assert story.at(2, unknown="a") == "a", "it serves on while nothing is known"
    assert story.last.quorate
    assert story.at(2 + PATIENCE, unknown="a") == "b", "but not for ever"
    story = Story(pool("idle-standby", {"a": 1, "b": 2}))
    assert story.at(0, unknown="ab") == "" and story.last.quorate
    assert story.at(1, unknown="b", down="a") == "" and story.last.quorate
    assert story.at(2, down="a") == "b"


def test_tiers_are_shared_and_need_quorum() -> None:
    story = Story(pool("idle-standby", {"a": 1, "b": 1, "c": 2, "d": 2}, quorum=2))
    assert story.at(0) == "ab"
    assert story.at(1, down="a") == "cd", "one of two is no quorum"
    assert story.at(2, down="ac") == "bd", "no tier has quorum: all that is available"
    assert story.at(3, down="abcd") == ""
    assert story.at(4, down="ab") == "cd"


# ------------------------------------------------------------------ rotating-standby


def test_first_in_first_out() -> None:
    story = Story(pool("rotating-standby", dict.fromkeys("abcd", 1)))
    assert story.at(0) == "a" and story.standing.queue == ("b", "c", "d")
    assert story.at(1, down="a") == "b"
    assert story.at(2) == "b" and story.standing.queue == ("c", "d", "a"), "the recovery causes no second break"
    assert story.at(3, down="c") == "b" and story.at(4) == "b"
    assert story.standing.queue == ("d", "a", "c"), "who failed while waiting queues anew"
    assert story.at(5, drained="b") == "d", "drain counts as failure"


def test_several_hold() -> None:
    story = Story(pool("rotating-standby", dict.fromkeys("abcde", 1), active=2))
    assert story.at(0) == "ab"
    assert story.at(1, down="a") == "bc"
    assert story.at(2) == "bc" and story.standing.queue == ("d", "e", "a")
    assert story.at(3, down="bc") == "de"


def test_what_is_not_known_keeps_its_place() -> None:
    story = Story(pool("rotating-standby", dict.fromkeys("abc", 1)))
    story.standing = Standing(holders=("b",), queue=("c", "a"), former=("b",))
    assert story.at(0, unknown="abc") == "b"
    assert story.at(1, unknown="b") == "b"
    assert story.at(2, down="b") == "c", "nor does the queue lose its order for that"
    assert story.standing.queue == ("a",)


def test_who_waits_and_is_not_known_is_passed_over_but_keeps_its_turn() -> None:
    story = Story(pool("rotating-standby", dict.fromkeys("abc", 1)))
    story.at(0)
    assert story.at(1, down="a", unknown="b") == "c"
    assert story.standing.queue == ("b",) and story.at(2) == "c" and story.standing.queue == ("b", "a")


def test_the_order_is_made_when_all_are_known() -> None:
    story = Story(pool("rotating-standby", dict.fromkeys("abc", 1)))
    assert story.at(0, unknown="abc") == ""
    assert story.at(1, unknown="ab") == "c" and story.standing.holders == ()
    assert story.at(2, unknown="b") == "a"
    assert story.at(3) == "a" and story.standing.holders == ("a",) and story.standing.queue == ("b", "c")
    story = Story(pool("rotating-standby", dict.fromkeys("abc", 1)))
    assert story.at(0, unknown="a") == "b" and story.last.look == PATIENCE
    assert story.at(PATIENCE, unknown="a") == "b" and story.standing.holders == ("b",), "one is never known"
    assert story.at(PATIENCE + 1) == "b" and story.standing.queue == ("c", "a")


def test_who_is_partly_up_holds_nothing_while_a_whole_one_is_there() -> None:
    both = tuple(Member(name, (f"192.0.2.{at}", f"2001:db8::{at}")) for at, name in enumerate("ab", start=1))
    one = Pool("web", both, failover=Failover("rotating-standby"))

    def judged(a: State, b: State, before: Standing) -> Pick:
        found = [host(both[0], [UP, a]), host(both[1], [UP, b])]
        return pick(one, found, before, Moment(0.0))

    first = judged(UP, UP, Standing())
    assert names(first) == "a"
    second = judged(DOWN, UP, first.standing)
    assert names(second) == "b" and second.standing.queue == ()
    third = judged(DOWN, DOWN, second.standing)
    assert names(third) == "b" and third.standing.holders == () and not third.quorate
    assert names(judged(UP, DOWN, third.standing)) == "a"


def test_after_a_total_outage_the_last_holder_goes_first() -> None:
    story = Story(pool("rotating-standby", dict.fromkeys("abc", 1)))
    story.at(0)
    story.at(1, down="a")
    assert story.standing.holders == ("b",)
    assert story.at(2, down="abc") == ""
    assert story.at(3, down="") == "b"
    story.at(4, down="abc")
    assert story.at(5, down="b") == "a" and story.at(6) == "a", "but it does not push out who came first"


def test_new_members_join_the_tail_and_deleting_the_holder_promotes() -> None:
    story = Story(pool("rotating-standby", dict.fromkeys("ab", 1)))
    story.at(0)
    story.pool = pool("rotating-standby", dict.fromkeys("nab", 1))
    assert story.at(1) == "a" and story.standing.queue == ("b", "n")
    story.pool = pool("rotating-standby", dict.fromkeys("nb", 1))
    assert story.at(2) == "b"


def test_fewer_active_than_before() -> None:
    story = Story(pool("rotating-standby", dict.fromkeys("abc", 1), active=2))
    story.at(0)
    story.pool = pool("rotating-standby", dict.fromkeys("abc", 1), active=1)
    assert story.at(1) == "a" and story.standing.queue == ("b", "c")


# ------------------------------------------------------------------ whatever happens


class Failures(RuleBasedStateMachine):
    """Random failures, recoveries, drains and waiting, over both schemes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.down: set[str] = set()
        self.drained: set[str] = set()
        tiers = {"a": 1, "b": 1, "c": 2, "d": 3}
        self.idle = Story(pool("idle-standby", tiers, failback=30.0))
        self.rotating = Story(pool("rotating-standby", tiers, active=2))
        self.waited: list[str] = []
        self.step()

    def step(self) -> None:
        self.before = self.rotating.standing
        for story in (self.idle, self.rotating):
            story.at(self.now, down="".join(self.down), drained="".join(self.drained))

    @rule(name=st.sampled_from("abcd"))
    def fail(self, name: str) -> None:
        self.down.add(name)
        self.step()

    @rule(name=st.sampled_from("abcd"))
    def recover(self, name: str) -> None:
        self.down.discard(name)
        self.step()

    @rule(name=st.sampled_from("abcd"))
    def drain(self, name: str) -> None:
        self.drained.symmetric_difference_update(name)
        self.step()

    @rule(seconds=st.floats(0.1, 50))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.step()

    @precondition(lambda self: self.idle.last.due is not None)
    @rule()
    def wait_for_failback(self) -> None:
        self.now = max(self.now, self.idle.last.due or 0.0)
        self.step()
        assert self.idle.last.due is None or self.idle.last.due > self.now

    @invariant()
    def somebody_serves_while_anybody_can(self) -> None:
        able = set("abcd") - self.down - self.drained
        for story in (self.idle, self.rotating):
            assert bool(story.last.chosen) == bool(able)
            assert {one.name for one in story.last.chosen} <= able

    @invariant()
    def one_tier_serves_as_a_whole(self) -> None:
        able = set("abcd") - self.down - self.drained
        tiers = {one.tier for one in self.idle.last.chosen}
        assert len(tiers) <= 1
        for tier in tiers:
            assert {one.name for one in self.idle.last.chosen} == {
                member.name for member in self.idle.pool.members if member.priority == tier and member.name in able
            }

    @invariant()
    def nobody_is_pushed_out_and_nobody_jumps_the_queue(self) -> None:
        able = set("abcd") - self.down - self.drained
        now, before = self.rotating.standing, self.before
        assert len(now.holders) == min(2, len(able)) and not set(now.holders) & set(now.queue)
        assert {*now.holders, *now.queue} == able
        for name in before.holders:
            assert name in now.holders or name not in able
        stayed = [name for name in before.queue if name in now.queue]
        assert stayed == [name for name in now.queue if name in stayed], "the order of those who wait"
        if before.holders or not before.former:
            taken = [name for name in now.holders if name not in before.holders]
            waiting = [name for name in before.queue if name in able]
            assert taken[: len(waiting)] == waiting[: len(taken)], "places go to the head of the queue"

    @invariant()
    def the_same_again_changes_nothing(self) -> None:
        for story in (self.idle, self.rotating):
            found = hosts(story.pool, "".join(self.down), drained="".join(self.drained))
            again = pick(story.pool, found, story.standing, Moment(self.now))
            assert again.standing == story.standing and names(again) == names(story.last)


TestFailures = Failures.TestCase
TestFailures.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(st.permutations(list("abc")))
def test_every_order_of_death_and_return(order: list[str]) -> None:
    story = Story(pool("rotating-standby", dict.fromkeys("abc", 1)))
    down = set()
    for at, name in enumerate(order):
        down.add(name)
        serving = story.at(at, down="".join(down))
        assert (not serving) == (len(down) == 3)
    for at, name in enumerate(order):
        down.discard(name)
        assert story.at(10 + at, down="".join(down)) == order[0], "who came back first serves on"
