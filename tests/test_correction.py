"""The closed loop of weights, in pretend time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns import correction
from rrdns.correction import LEAST, MOST, Correction, observe, window

TTL = 20.0
STEP = window(TTL)


def run(windows: int, wanted: dict[str, float], arriving: dict[str, float], rate: int = 100_000,
        one: Correction = Correction(), start: float = 0.0) -> Correction:  # fmt: skip  # noqa: B008 - frozen
    """Windows in which connections arrive by factor * share * a member's own inclination `arriving`."""
    totals = dict.fromkeys(wanted, 0)
    for at in range(windows + 1):
        one = observe(one, wanted, totals, TTL, start + at * STEP)
        pull = {name: wanted[name] * one.factor(name) * arriving[name] for name in wanted}
        whole = sum(pull.values())
        totals = {name: totals[name] + round(rate * part / whole) for name, part in pull.items()}
    return one


def test_a_crooked_share_is_bent_back() -> None:
    wanted = {"a": 1.0, "b": 1.0, "c": 2.0}
    crooked = {"a": 1.3, "b": 0.8, "c": 1.0}
    one = run(12, wanted, crooked)
    whole = sum(one.shares.values())
    for name, share in wanted.items():
        assert one.shares[name] / whole == pytest.approx(share / 4, rel=0.11)
    assert one.factor("a") < 1 < one.factor("b") and not one.suspects


def test_nothing_moves_inside_the_dead_band() -> None:
    one = run(10, {"a": 1.0, "b": 1.0}, {"a": 1.09, "b": 0.93})
    assert one.factors == {}


def test_before_a_window_is_over_nothing_is_judged() -> None:
    one = observe(Correction(), {"a": 1.0, "b": 1.0}, {"a": 0, "b": 0}, TTL, 0.0)
    assert observe(one, {"a": 1.0, "b": 1.0}, {"a": 9000, "b": 100}, TTL, STEP - 1) is one
    assert correction.due(one, TTL) == STEP


def test_a_black_hole_is_never_fed() -> None:
    wanted = {"a": 1.0, "b": 1.0, "c": 1.0}
    hole = {"a": 1.0, "b": 1.0, "c": 0.02}
    assert run(1, wanted, hole).factor("c") > 1, "one window may be chance"
    for windows in range(2, 12):
        one = run(windows, wanted, hole)
        assert one.factor("c") == 1.0 and one.suspects == {"c"}
    healed = run(3, wanted, {"a": 1.0, "b": 1.0, "c": 1.0}, one=one, start=1e6)
    assert not healed.suspects


def test_too_few_connections_teach_nothing() -> None:
    bent = run(6, {"a": 1.0, "b": 1.0}, {"a": 2.0, "b": 0.7})
    assert bent.factors
    before = dict(bent.factors)
    calm = run(1, {"a": 1.0, "b": 1.0}, {"a": 2.0, "b": 0.7}, rate=100, one=bent, start=1e6)
    assert all(abs(calm.factor(name) - 1) < abs(value - 1) for name, value in before.items())
    assert run(12, {"a": 1.0, "b": 1.0}, {"a": 2.0, "b": 0.7}, rate=100, one=bent, start=1e6).factors == {}


def test_a_counter_that_went_back_teaches_nothing() -> None:
    wanted = {"a": 1.0, "b": 1.0}
    one = observe(Correction(), wanted, {"a": 5000, "b": 5000}, TTL, 0.0)
    one = observe(one, wanted, {"a": 100, "b": 9000}, TTL, STEP)
    assert one.factors == {} and one.totals == {"a": 100, "b": 9000}


def test_a_change_of_members_freezes_for_the_ttl_and_a_window() -> None:
    one = run(6, {"a": 1.0, "b": 1.0}, {"a": 1.6, "b": 0.8})
    factors = one.factor("a")
    start = 6 * STEP + 1
    three = {"a": 1.0, "b": 1.0, "c": 1.0}
    one = observe(one, three, dict.fromkeys(three, 0), TTL, start)
    assert one.factor("a") == factors and one.frozen == start + TTL + STEP
    one = observe(one, three, {"a": 90000, "b": 1000, "c": 1000}, TTL, start + STEP)
    assert one.factor("a") == factors, "frozen"
    one = observe(one, three, {"a": 180000, "b": 2000, "c": 2000}, TTL, start + 2 * STEP)
    assert one.factor("a") < factors
    gone = observe(one, {"b": 1.0}, {"b": 3000}, TTL, start + 2 * STEP + 1)
    assert "a" not in gone.factors


def test_a_single_member_is_left_alone() -> None:
    assert run(5, {"a": 1.0}, {"a": 1.0}).factors == {}


names = st.sampled_from("abcd")


@given(st.lists(st.tuples(st.dictionaries(names, st.floats(0, 5), max_size=4),
                          st.dictionaries(names, st.integers(0, 10**7), max_size=4),
                          st.floats(0, 500)), max_size=30))  # fmt: skip
def test_whatever_comes_factors_stay_in_their_bounds(
    steps: list[tuple[dict[str, float], dict[str, int], float]],
) -> None:
    one, now = Correction(), 0.0
    for wanted, totals, passed in steps:
        now += passed
        one = observe(one, wanted, totals, TTL, now)
        assert all(LEAST <= value <= MOST for value in one.factors.values())
        assert one.factors.keys() <= wanted.keys()
        assert all(one.factor(name) == 1.0 for name in one.suspects)
