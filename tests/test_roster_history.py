"""roster: random histories through all of its doors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from small_roster import (
    APEX,
    BAD,
    CHECK,
    GOOD,
    SILENT,
    VOID,
    WWW,
    WWW_A,
    apply,
    members,
    name,
    override,
    target,
    zone,
)

from rrdns import wire
from rrdns.answers import AnswerSet, Key, key
from rrdns.model import Check, DataSet, HttpProbe, Pool, Service, State, WhenDown
from rrdns.roster.roster import NOTHING, Decision, Roster

# -------------------------------------------------------------------- random histories

MEMBERS = 4
NAMES = [f"web{i}" for i in range(1, MEMBERS + 1)]
EVENTS_OF = st.one_of(
    st.tuples(st.just("result"), st.integers(1, MEMBERS), st.sampled_from([GOOD, GOOD, BAD, BAD, SILENT, VOID])),
    st.tuples(st.just("override"), st.integers(1, MEMBERS), st.sampled_from(["drain", "disable", "enable"])),
    st.tuples(st.just("timed"), st.integers(1, MEMBERS), st.sampled_from(["drain", "disable"])),
    st.tuples(st.just("wait"), st.integers(1, 30), st.none()),
    st.tuples(st.just("reload"), st.integers(2, MEMBERS), st.sampled_from([1, 2])),
)
HISTORY = st.lists(EVENTS_OF, max_size=40)
QUICK = replace(CHECK, fall=2, rise=2, ok=2)


def files(count: int, quorum: int, when_down: str, panic: float | None, weights: tuple[int, ...]) -> DataSet:
    """Two pools over the same hosts, so that targets are shared, and three services."""
    addresses_ = ("198.51.100.9",) if when_down == "addresses" else ()
    web = Pool(
        "web", members(count, weights), ("web",), quorum=quorum, panic=panic, when_down=WhenDown(when_down, addresses_)
    )
    other = Pool("other", members(2), ("web", "second"))
    services = (
        Service(WWW, APEX, "web", ttl=20, ttl_min=5, answers=2),
        Service(name("one.lb.example.com."), APEX, "web", ttl=60, ttl_min=15, answers=1, scheduler="rr"),
        Service(name("other.lb.example.com."), APEX, "other", answers=0),
    )
    second = Check("second", "tcp", 81, HttpProbe(), fall=1, rise=1)
    return DataSet({APEX: zone(*services)}, {"web": web, "other": other}, {"web": QUICK, "second": second})


def step(one: Roster, event: tuple[str, int, Any], now: float, reload: Any) -> Decision:
    kind, number, what = event
    if kind == "result":
        first = one.observe(target(number, QUICK), what, now)
        return first
    if kind == "reload":
        return one.load(reload(number, what), now)
    if kind == "wait":
        return one.advance(now)
    if number > len(one.duties["web"].hosts):
        return NOTHING
    if what == "enable":
        return one.clear("web", f"web{number}", now)
    return one.override(override(what, number, now + 25 if kind == "timed" else None), now)


def check_rules(one: Roster, now: float) -> None:
    duty = one.duties["web"]
    slots = one.ring_members(WWW_A)
    inside = {member for slot in slots for member in slot}
    hosts = {host.name: host for host in duty.hosts}
    assert not any(hosts[member].disabled for member in inside if member in hosts)
    if any(host.available for host in duty.hosts):
        assert not any(hosts[member].drained for member in inside)
    word = duty.pool.when_down.word
    if not inside:
        assert word in ("empty", "servfail") or all(host.disabled for host in duty.hosts)
    assert (WWW_A in one.answers) == (bool(inside) or duty.selection.servfail)
    for service in one.services.values():
        in_force, why = one.ttls[service.name]
        assert in_force == (service.ttl_min if why else service.ttl)
        ring = one.answers.get(key(service.name, wire.A))
        if ring is not None and ring.counted:
            assert {int.from_bytes(body.data[6:10], "big") for body in ring.bodies} == {in_force}
    assert one.settled(now) == all(one.health(each).state is not State.UNKNOWN for each in one.targets())


def fresh(one: Roster, now: float) -> Roster:
    """The same knowledge in a new roster, that decides all of it at once."""
    other = Roster(isolation_hold=0.0)
    other.restore({each: one.health(each) for each in one.targets()}, one.overrides)
    other.load(one.dataset, now)
    return other


@settings(max_examples=150, deadline=None)
@given(
    HISTORY,
    st.sampled_from(["all", "empty", "servfail", "addresses"]),
    st.sampled_from([None, 0.4]),
    st.sampled_from([(1, 1, 1, 1), (3, 0, 1, 2)]),
)
def test_small_steps_come_to_the_same_as_deciding_anew(
    history: list[tuple[str, int, Any]], word: str, panic: float | None, weights: tuple[int, ...]
) -> None:
    one = Roster(isolation_hold=0.0)
    mirror: dict[Key, AnswerSet] = {}
    now = 100.0

    def reload(count: int, quorum: int) -> DataSet:
        return files(count, quorum, word, panic, weights)

    apply(mirror, one.load(reload(MEMBERS, 1), now))
    for event in history:
        now += event[1] if event[0] == "wait" else 1.0
        apply(mirror, one.advance(now))
        apply(mirror, step(one, event, now, reload))
        assert mirror == dict(one.answers)
        check_rules(one, now)
        other = fresh(one, now)
        assert dict(other.answers) == dict(one.answers)
        assert dict(other.nodes) == dict(one.nodes) and dict(other.zones) == dict(one.zones)
        assert other.snapshot(now) == one.snapshot(now)


def again(one: Roster, now: float) -> Decision:
    """Everything judged, decided and rendered anew from what the roster itself believes."""
    for each in one.verdicts.targets:
        one.verdicts._believe(each)
    for duty in one.duties.values():
        duty.judge_all(one.verdicts.judged, one.verdicts.pending)
        duty.turn()
        one._dirty.add(duty.pool.name)
    return one.flush(now)


STORMS = st.lists(
    st.one_of(
        EVENTS_OF,
        st.tuples(st.just("all"), st.just(0), st.sampled_from([SILENT, SILENT, GOOD, BAD])),
        st.tuples(st.just("all"), st.integers(1, 2), st.just(SILENT)),
    ),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(STORMS, st.sampled_from(["all", "last"]))
def test_holds_and_memories_leave_nothing_undecided(history: list[tuple[str, int, Any]], word: str) -> None:
    """As above, with what a new roster could not know: a hold of the guard, who served last."""
    one = Roster(isolation_hold=20.0)
    mirror: dict[Key, AnswerSet] = {}
    now = 100.0

    def reload(count: int, quorum: int) -> DataSet:
        return files(count, quorum, word, None, (1, 1, 1, 1))

    apply(mirror, one.load(reload(MEMBERS, 1), now))
    for event in [("all", 0, GOOD), *history]:
        now += event[1] if event[0] == "wait" else 1.0
        due = one.next_deadline()
        if due is not None and due <= now:
            apply(mirror, one.advance(due))
        if event[0] == "all":
            for each in sorted(one.targets())[event[1] :]:
                one.note(each, event[2], now)
            apply(mirror, one.flush(now))
        else:
            apply(mirror, step(one, event, now, reload))
        assert mirror == dict(one.answers)
        check_rules(one, now)
        assert again(one, now) is NOTHING
        if one.snapshot(now)["isolation"]["held"]:
            assert all(why for _, why in one.ttls.values())


@settings(max_examples=30, deadline=None)
@given(HISTORY)
def test_the_same_history_gives_the_same_decisions(history: list[tuple[str, int, Any]]) -> None:
    def reload(count: int, quorum: int) -> DataSet:
        return files(count, quorum, "last", 0.4, (3, 0, 1, 2))

    def run() -> list[Any]:
        one, now = Roster(), 100.0
        out: list[Any] = [one.load(reload(MEMBERS, 1), now)]
        for event in history:
            now += event[1] if event[0] == "wait" else 1.0
            out += [one.advance(now), step(one, event, now, reload), one.next_deadline(), one.snapshot(now)]
        return out

    first, second = run(), run()
    assert first == second
    for a, b in zip(first, second, strict=True):
        if isinstance(a, Decision):
            assert list(a.changes.sets) == list(b.changes.sets)


@settings(max_examples=60, deadline=None)
@given(HISTORY)
def test_events_are_a_chain_of_real_transitions(history: list[tuple[str, int, Any]]) -> None:
    def reload(count: int, quorum: int) -> DataSet:
        return files(count, quorum, "all", None, (1, 1, 1, 1))

    one, now = Roster(isolation_hold=0.0), 100.0
    one.load(reload(MEMBERS, 1), now)
    last: dict[tuple[str, str], str] = {}
    for event in history:
        now += event[1] if event[0] == "wait" else 1.0
        for said in one.advance(now).events + step(one, event, now, reload).events:
            assert said.before != said.after or said.subject == "override"
            before = last.get((said.subject, said.name))
            assert before in (None, said.before)
            last[said.subject, said.name] = said.after
            assert said.why and said.at == now
        known = {f"{each.check.name}@{each.address}" for each in one.targets().values()}
        last = {which: word for which, word in last.items() if which[0] != "target" or which[1] in known}
