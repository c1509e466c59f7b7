"""failover: who serves, rung by rung."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns import failover
from rrdns.failover import Host, Selection, address_state, decide, entries
from rrdns.model import Member, Pool, State, WhenDown

UP, DOWN, UNKNOWN = State.UP, State.DOWN, State.UNKNOWN


def member(number: int, weight: int = 1, addresses: tuple[str, ...] = ()) -> Member:
    return Member(f"web{number}", addresses or (f"192.0.2.{number}",), weight)


def hosts(*states: State | str, weights: tuple[int, ...] = ()) -> list[Host]:
    """One host each: a state, or an override on a host that is up."""
    found = []
    for index, state in enumerate(states):
        one = member(index + 1, weights[index] if weights else 1)
        if isinstance(state, State):
            found.append(failover.host(one, [state]))
        else:
            word, _, at = state.partition(" ")
            found.append(failover.host(one, [State(at or "up")], override=word))
    return found


def pool(count: int, **settings: object) -> Pool:
    return replace(Pool("web", tuple(member(index + 1) for index in range(count))), **settings)  # type: ignore[arg-type]


def names(selection: Selection) -> list[str]:
    return [one.name for one in selection.serving]


# -------------------------------------------------------------------- verdicts


@pytest.mark.parametrize(
    ("checks", "verdict"),
    [
        ([], UP),
        ([UP], UP),
        ([UP, DOWN], DOWN),
        ([UNKNOWN, DOWN], DOWN),
        ([UP, UNKNOWN], UP),  # unknown has no vote
        ([UNKNOWN, UNKNOWN], UNKNOWN),
    ],
)
def test_all_checks_of_an_address_must_pass(checks: list[State], verdict: State) -> None:
    assert address_state(checks) is verdict
    assert address_state(reversed(checks)) is verdict


@pytest.mark.parametrize(
    ("states", "families", "state", "whole"),
    [
        ([UP, UP], "all", UP, True),
        ([UP, UNKNOWN], "all", UP, True),
        ([UP, DOWN], "all", UP, False),
        ([UP, DOWN], "any", UP, True),
        ([UNKNOWN, DOWN], "any", UNKNOWN, False),
        ([DOWN, DOWN], "all", DOWN, False),
    ],
)
def test_host_with_two_families(states: list[State], families: str, state: State, whole: bool) -> None:
    one = failover.host(member(1, addresses=("192.0.2.1", "2001:db8::1")), states, families)
    assert (one.state, one.whole, one.available) == (state, whole, state is UP)


def test_words_for_people() -> None:
    words = [
        one.word for one in hosts(UP, DOWN, UNKNOWN, "drain", "drain down", "drain unknown", "disable", "disable down")
    ]
    assert words == ["up", "down", "unknown", "drained", "down", "drained", "disabled", "disabled"]


# -------------------------------------------------------------------- the ladder


@pytest.mark.parametrize(
    ("states", "serving", "state"),
    [
        ([UP, UP, UP], [1, 2, 3], "ok"),
        ([UP, DOWN, UP], [1, 3], "ok"),
        ([UP, UNKNOWN, "drain"], [1], "ok"),
        ([DOWN, "drain", UNKNOWN], [2], "degraded"),
        ([DOWN, "drain down", UNKNOWN], [3], "unknown"),
        ([UNKNOWN, "drain unknown", "disable unknown"], [1, 2], "unknown"),
        ([DOWN, DOWN, DOWN], [1, 2, 3], "down"),
        ([DOWN, "drain down", "disable"], [1, 2], "down"),
        (["disable", "disable", "disable"], [], "down"),
    ],
)
def test_who_serves(states: list[State | str], serving: list[int], state: str) -> None:
    found = decide(pool(3), hosts(*states))
    assert (names(found), found.state) == ([f"web{one}" for one in serving], state)
    assert found.why


def test_weight_zero_serves_only_when_nothing_else_is_up() -> None:
    assert names(decide(pool(2), hosts(UP, UP, weights=(0, 5)))) == ["web2"]
    alone = decide(pool(2), hosts(UP, DOWN, weights=(0, 5)))
    assert (names(alone), alone.state, alone.rung, alone.serving[0].weight) == (["web1"], "degraded", "drained", 1)


def test_quorum_degrades_but_discards_nobody() -> None:
    found = decide(pool(3, quorum=2), hosts(UP, DOWN, DOWN))
    assert (names(found), found.state) == (["web1"], "degraded")
    assert "1 of quorum 2" in found.why
    assert decide(pool(3, quorum=2), hosts(UP, UP, DOWN)).state == "ok"


def test_a_host_with_a_broken_family_serves_the_other_and_does_not_count() -> None:
    both = ("192.0.2.1", "2001:db8::1")
    half = failover.host(member(1, addresses=both), [UP, DOWN])
    found = decide(pool(1), [half])
    assert found.state == "degraded"
    assert [len(one) for one in found.serving[0].addresses] == [4]
    relaxed = failover.host(member(1, addresses=both), [UP, DOWN], "any")
    assert decide(pool(1, families="any"), [relaxed]).state == "ok"
    assert entries(found.serving, 16) == failover.NO_ENTRIES


def test_unknown_hosts_serve_with_what_is_not_known_down() -> None:
    one = failover.host(member(1, addresses=("192.0.2.1", "2001:db8::1")), [DOWN, UNKNOWN])
    assert [len(packed) for packed in decide(pool(1), [one]).serving[0].addresses] == [16]


# -------------------------------------------------------------------- when nobody is up


@pytest.mark.parametrize(
    ("word", "serving", "servfail"),
    [("all", ["web1", "web2"], False), ("empty", [], False), ("servfail", [], True), ("last", ["web2"], False)],
)
def test_when_down(word: str, serving: list[str], servfail: bool) -> None:
    found = decide(pool(3, when_down=WhenDown(word)), hosts(DOWN, DOWN, "disable"), last=["web2", "web3", "gone"])
    assert (names(found), found.servfail, found.state) == (serving, servfail, "down")
    assert word in found.why


def test_when_down_last_without_a_last_is_all() -> None:
    found = decide(pool(2, when_down=WhenDown("last")), hosts(DOWN, DOWN), last=["gone"])
    assert names(found) == ["web1", "web2"]


def test_when_down_sorry_addresses() -> None:
    sorry = WhenDown("addresses", ("198.51.100.9", "2001:db8::9"))
    found = decide(pool(1, when_down=sorry), hosts(DOWN))
    assert entries(found.serving, 4).packed == (bytes((198, 51, 100, 9)),)
    assert entries(found.serving, 16).names == ("2001:db8::9",)


def test_when_down_all_answers_all_addresses() -> None:
    one = failover.host(member(1, addresses=("192.0.2.1", "2001:db8::1")), [DOWN, DOWN])
    assert len(decide(pool(1), [one]).serving[0].addresses) == 2


# -------------------------------------------------------------------- panic


@pytest.mark.parametrize(
    ("states", "state", "serving"),
    [
        ([UP, UP, DOWN, DOWN], "ok", 2),  # half is not fewer than half
        ([UP, DOWN, DOWN, DOWN], "panic", 4),
        ([UP, DOWN, DOWN, "disable"], "panic", 3),
        ([UP, DOWN, DOWN, "drain"], "panic", 3),  # somebody is available, so the drained one stays out
        ([DOWN, DOWN, "drain", "disable"], "panic", 3),
        ([UP, "drain", "drain", "drain"], "ok", 1),  # taken away by hand is no emergency
        ([UP, UNKNOWN, UNKNOWN, UNKNOWN], "ok", 1),  # unknown has no vote
        ([UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN], "unknown", 4),
        ([DOWN, DOWN, DOWN, DOWN], "down", 4),
    ],
)
def test_panic(states: list[State | str], state: str, serving: int) -> None:
    found = decide(pool(4, panic=0.5), hosts(*states))
    assert (found.state, len(found.serving)) == (state, serving)


def test_panic_counts_weight_and_says_so() -> None:
    heavy = hosts(UP, DOWN, DOWN, weights=(8, 1, 1))
    assert decide(pool(3, panic=0.5), heavy).state == "ok"
    light = hosts(UP, DOWN, weights=(1, 3))
    found = decide(pool(2, panic=0.5), light)
    assert (found.state, [one.weight for one in found.serving]) == ("panic", [1, 3])
    assert "25%" in found.why and "50%" in found.why


def test_panic_does_not_take_the_place_of_when_down() -> None:
    found = decide(pool(2, panic=0.5, when_down=WhenDown("empty")), hosts(DOWN, DOWN))
    assert (found.state, found.serving) == ("down", ())


# -------------------------------------------------------------------- rules that always hold

STATE = st.sampled_from([UP, DOWN, UNKNOWN])
OVERRIDE = st.sampled_from([None, None, "drain", "disable"])
WORD = st.sampled_from(["all", "empty", "servfail", "last", "addresses"])


@given(
    st.lists(st.tuples(STATE, OVERRIDE, st.integers(0, 3)), min_size=1, max_size=6),
    WORD,
    st.sampled_from([None, 0.3, 0.7]),
    st.integers(1, 3),
)
def test_ladder_rules(facts: list[tuple[State, str | None, int]], word: str, panic: float | None, quorum: int) -> None:
    members = tuple(member(index + 1, weight) for index, (_, _, weight) in enumerate(facts))
    addresses = ("198.51.100.9",) if word == "addresses" else ()
    asked = Pool("web", members, quorum=quorum, panic=panic, when_down=WhenDown(word, addresses))
    judged = [failover.host(one, [state], override=said) for one, (state, said, _) in zip(members, facts, strict=True)]
    found = decide(asked, judged, last=[members[0].name])
    by_name = {one.name: one for one in judged}
    serving = [by_name[one.name] for one in found.serving if one.name in by_name]
    assert not any(one.disabled for one in serving)
    if any(one.available for one in judged):
        assert not any(one.drained or not one.weight for one in serving)
        assert {one.name for one in judged if one.available} <= set(names(found))  # quorum discards nobody
    if not found.serving:
        assert word in ("empty", "servfail") or all(one.disabled for one in judged)
    if any(one.state is not DOWN and not one.disabled for one in judged):
        assert found.serving and found.rung != "when_down"
    assert all(one.weight > 0 and one.addresses for one in found.serving)
    assert decide(asked, judged, last=[members[0].name]) == found


# -------------------------------------------------------------------- entries


def test_a_member_with_more_addresses_gets_no_more_answers() -> None:
    two = failover.host(member(1, 2, ("192.0.2.1", "192.0.2.11")), [UP, UP])
    three = failover.host(member(2, 1, ("192.0.2.2", "192.0.2.12", "192.0.2.22")), [UP, UP, UP])
    found = entries(decide(pool(2), [two, three]).serving, 4)
    assert found.names == ("web1", "web1", "web2", "web2", "web2")
    assert found.weights == (6, 6, 2, 2, 2)  # 2 : 1 between the members


def test_why_not() -> None:
    found = decide(pool(6), hosts(UP, DOWN, UNKNOWN, "drain", "disable", UP, weights=(1, 1, 1, 1, 1, 0)))
    reasons = [
        failover.why_not(one, found)
        for one in hosts(UP, DOWN, UNKNOWN, "drain", "disable", UP, weights=(1,) * 5 + (0,))[1:]
    ]
    assert [reason.split(":")[0] for reason in reasons] == [
        "down",
        "not judged yet, and others are known up",
        "drained",
        "disabled",
        "weight 0",
    ]
