"""Least connections: the same as the kernel's argmin taken one connection at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.connections import ACTIVE, growth, overhead, parts, weights_for

hosts = st.lists(st.tuples(st.integers(1, 100), st.integers(0, 5000)), min_size=1, max_size=12)


def argmin(weights: list[int], overheads: list[int], coming: int) -> list[int]:
    """The kernel's way: one connection after the other, each to the least overhead / weight."""
    now, given_to = list(overheads), [0] * len(weights)
    for _ in range(coming):
        index = min(range(len(weights)), key=lambda at: now[at] / weights[at])
        now[index] += ACTIVE
        given_to[index] += 1
    return given_to


@given(hosts, st.integers(0, 400))
def test_the_parts_are_those_of_the_kernels_rule(found: list[tuple[int, int]], coming: int) -> None:
    weights, overheads = [weight for weight, _ in found], [ACTIVE * active for _, active in found]
    one_by_one = argmin(weights, overheads, coming)
    poured = parts(weights, overheads, coming)
    assert sum(poured) == pytest.approx(coming)
    for got, exact in zip(poured, one_by_one, strict=True):
        assert abs(got - exact) <= len(weights), "whole connections against parts of them"


@given(hosts, st.floats(1, 1e6))
def test_the_level_is_the_same_for_all_who_get_any(found: list[tuple[int, int]], coming: float) -> None:
    weights, overheads = [weight for weight, _ in found], [over for _, over in found]
    after = [(over + ACTIVE * got) / weight for over, got, weight
             in zip(overheads, parts(weights, overheads, coming), weights, strict=True)]  # fmt: skip
    level = min(after)
    for got, high in zip(parts(weights, overheads, coming), after, strict=True):
        assert high == pytest.approx(level, rel=1e-6, abs=1e-6) if got > 1e-6 else high >= level - 1e-6


@given(hosts)
def test_nobody_with_a_weight_is_forgotten(found: list[tuple[int, int]]) -> None:
    weights = [weight for weight, _ in found]
    ring = weights_for([*weights, 0], [*(ACTIVE * over for _, over in found), 0], 50)
    assert ring[-1] == 0 and all(ring[:-1])


def test_equal_loads_give_the_weights() -> None:
    assert weights_for([1, 3], [0, 0], 1000) == [250, 750]
    assert weights_for([1, 3], [0, 0], 1000, alike=True) == [500, 500]
    assert weights_for([1, 1], [ACTIVE * 100, 0], 50) == [1, 1000], "the busy one waits until the other has as many"
    assert weights_for([1, 1], [ACTIVE * 100, 0], 300) == [333, 667]
    assert weights_for([0, 0], [0, 0], 10) == [0, 0]


def test_no_weights_at_all() -> None:
    with pytest.raises(ValueError, match="no host has a weight"):
        parts([0, 0], [1, 2], 10)


def test_overhead_is_the_kernels() -> None:
    assert overhead(3, 10) == 3 * 256 + 10 and overhead(-1, -5) == 0


def test_growth_is_learned_and_is_not_moved_by_a_handful() -> None:
    assert growth(1.0, 5, 500) == 1.0 and growth(1.0, 100, -3) == 1.0, "a counter that was reset says nothing"
    rate = 1.0
    for _ in range(50):
        rate = growth(rate, 100, 400)
    assert rate == pytest.approx(4.0, rel=0.01)
