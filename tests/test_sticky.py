"""The ring for clients that must meet the same member again."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rrdns.sticky import SLOTS, ring

members = st.dictionaries(st.text("abcdefgh0123", min_size=1, max_size=6), st.integers(1, 50), min_size=2, max_size=8)


def firsts(pool: dict[str, int]) -> list[str]:
    names = list(pool)
    return [names[slot[0]] for slot in ring(names, list(pool.values()), 1)]


@given(members, st.integers(1, 50))
def test_who_comes_takes_and_who_goes_leaves_and_nobody_else_moves(pool: dict[str, int], weight: int) -> None:
    before, after = firsts(pool), firsts({**pool, "new": weight})
    for one, other in zip(before, after, strict=True):
        assert other in (one, "new")


@given(members)
def test_the_order_in_the_file_does_not_matter(pool: dict[str, int]) -> None:
    assert firsts(pool) == firsts(dict(reversed(pool.items())))


@given(members, st.integers(1, 10))
def test_more_weight_only_adds(pool: dict[str, int], more: int) -> None:
    name = next(iter(pool))
    before, after = firsts(pool), firsts({**pool, name: pool[name] + more})
    assert all(other in (one, name) for one, other in zip(before, after, strict=True))


def test_shares_are_near_the_weights() -> None:
    counts = Counter(firsts({"a": 1, "b": 2, "c": 3, "d": 4}))
    for name, weight in zip("abcd", (1, 2, 3, 4), strict=True):
        assert abs(counts[name] / SLOTS - weight / 10) < 0.05


def test_both_families_meet_the_same_member() -> None:
    four = ring(["a", "a", "b", "c"], [1, 1, 2, 2], 1)
    six = ring(["a", "b", "c"], [2, 2, 2], 1)
    for one, other in zip(four, six, strict=True):
        assert "aabc"[one[0]] == "abc"[other[0]]
    assert Counter(slot[0] for slot in four)[0] > 100 < Counter(slot[0] for slot in four)[1]


def test_behind_the_first_stand_those_who_would_take_over() -> None:
    names = ["a", "b", "c"]
    whole, without = ring(names, [1, 1, 1], 0), ring(names, [1, 0, 1], 0)
    for one, other in zip(whole, without, strict=True):
        assert tuple(index for index in one if index != 1) == other


def test_nobody_and_weights_of_nothing() -> None:
    assert ring([], [], 8) == ()
    assert ring(["a"], [0], 8) == ((0,),) * SLOTS
    assert len(set(ring(["a", "b"], [0, 0], 1))) == 2
    assert set(ring(["a", "b"], [0, 3], 8)) == {(1,)}
