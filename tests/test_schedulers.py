"""The order of rings: exact shares, smooth first places, distinct members, pages."""

from __future__ import annotations

import time
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from math import gcd

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrdns.schedulers import SCHEDULERS, SLOTS, first_shares, pages, reached, ring, shares, smooth

settings.register_profile("patient", deadline=None)  # the machine may be busy
settings.load_profile("patient")


def ideal_first(weights: list[int]) -> list[float]:
    return [weight / sum(weights) for weight in weights]


def off(wanted: list[float], got: list[float], slots: int) -> float:
    """The largest difference, in slots."""
    return max((abs(a - b) for a, b in zip(wanted, got, strict=True)), default=0.0) * slots


# ---------------------------------------------------------------- smooth


def nginx(weights: list[int]) -> list[int]:
    """nginx's smooth weighted round robin, to compare with."""
    current = [0] * len(weights)
    sequence = []
    for _ in range(sum(weights)):
        current = [have + weight for have, weight in zip(current, weights, strict=True)]
        best = max(range(len(weights)), key=lambda index: (current[index], -index))
        current[best] -= sum(weights)
        sequence.append(best)
    return sequence


def longest_run(sequence: list[int]) -> int:
    """The longest run of one member, the sequence taken as a ring."""
    best = run = 1
    for before, this in pairwise(sequence * 2):
        run = run + 1 if before == this else 1
        best = max(best, run)
    return min(best, len(sequence))


def deviation(sequence: list[int], counts: list[int]) -> Fraction:
    """How far any prefix strays from each member's share."""
    have = [0] * len(counts)
    worst = Fraction(0)
    for step, index in enumerate(sequence, 1):
        have[index] += 1
        for member, count in enumerate(counts):
            worst = max(worst, abs(have[member] - Fraction(step * count, len(sequence))))
    return worst


def test_smooth_by_example() -> None:
    assert smooth([1, 1, 1]) == [0, 1, 2]
    assert smooth([2, 2]) == [0, 1, 0, 1]
    assert smooth([5, 1, 1]) == [0, 1, 0, 0, 2, 0, 0]
    assert smooth([3, 2, 1]) == [0, 1, 0, 1, 0, 2]
    assert smooth([0, 2, 0]) == [1, 1]
    assert smooth([]) == smooth([0]) == []


@pytest.mark.parametrize("weights", [[5, 1, 1], [1, 2, 3, 4], [10, 1], [4, 4, 1], [50, 30, 20], [7, 5, 3, 2, 1]])
def test_as_smooth_as_nginx(weights: list[int]) -> None:
    ours, theirs = smooth(weights), nginx(weights)
    assert longest_run(ours) <= longest_run(theirs)
    assert deviation(ours, weights) <= max(deviation(theirs, weights), Fraction(1))


@given(st.lists(st.integers(0, 30), max_size=12))
def test_smooth_takes_each_exactly_as_often_as_asked(counts: list[int]) -> None:
    taken = Counter(smooth(counts))
    assert [taken[index] for index in range(len(counts))] == counts


@given(st.lists(st.integers(1, 30), min_size=1, max_size=10))
def test_smooth_never_strays_a_whole_step(counts: list[int]) -> None:
    sequence = smooth(counts)
    assert deviation(sequence, counts) < 1
    for member, count in enumerate(counts):
        places = [place for place, index in enumerate(sequence * 2) if index == member]
        gaps = [after - before for before, after in pairwise(places)]
        assert max(gaps) < 2 * Fraction(len(sequence), count) + 1


# ---------------------------------------------------------------- rings by example


def test_one_answer() -> None:
    assert ring([1, 1, 1], 1, "rr") == ((0,), (1,), (2,))
    assert ring([100, 200], 1, "wrr") == ((1,), (0,), (1,))
    assert ring([100, 200], 1, "rr") == ((0,), (1,))
    assert ring([7], 1, "wrr") == ((0,),)


def test_all_answers_rotate() -> None:
    assert ring([1, 1, 1], 0, "rr") == ((0, 1, 2), (1, 2, 0), (2, 0, 1))
    assert ring([1, 1, 1], 8, "wrr") == ring([9, 9, 9], 3, "wrr") == ring([1, 1, 1], 0, "rr")
    assert ring([5], 0, "wrr") == ((0,),)


def test_who_stands_second_varies_too() -> None:
    """A client whose first choice is dead goes to ever other second ones."""
    slots = ring([4, 1, 1, 1], 0, "wrr")
    assert {slot[1] for slot in slots if slot[0] == 0} == {1, 2, 3}


def test_equal_weights_and_few_places_are_windows() -> None:
    assert ring([1] * 4, 2, "rr") == ((0, 1), (1, 2), (2, 3), (3, 0)) == ring([3] * 4, 2, "wrr")


def test_weights_that_are_all_zero_count_as_one() -> None:
    for answers in (0, 1, 2):
        assert ring([0, 0, 0], answers, "wrr") == ring([1, 1, 1], answers, "wrr")


def test_a_zero_among_others_is_left_out() -> None:
    assert ring([0, 2, 1], 1, "wrr") == ((1,), (2,), (1,))
    assert ring([0, 2, 1], 0, "wrr") == ((1, 2), (2, 1), (1, 2))
    assert shares([0, 2, 2], 0, "wrr") == [0.0, 1.0, 1.0]


def test_no_members_no_slots() -> None:
    assert ring([], 1, "wrr") == ring([], 0, "rr") == ()
    assert pages([], 8, "wrr") == 1
    assert shares([], 8, "wrr") == []


def test_an_unknown_scheduler_is_named() -> None:
    with pytest.raises(ValueError, match=r"'lc2' is not one of rr, wrr"):
        ring([1], 1, "lc2")


def test_wanted_shares_with_a_member_too_heavy_for_its_places() -> None:
    # 8 of 11 of two places is more than one: it is in all, the other place is shared 1:2.
    assert shares([8, 1, 2], 2, "wrr") == pytest.approx([1, 1 / 3, 2 / 3])
    # Taking out the heaviest makes the next one too heavy for what is left.
    assert shares([100, 30, 1, 1], 3, "wrr") == pytest.approx([1, 1, 1 / 2, 1 / 2])
    assert shares([8, 1, 2], 2, "rr") == pytest.approx([2 / 3] * 3)
    assert shares([8, 1, 1], 1, "wrr") == pytest.approx([0.8, 0.1, 0.1])


def test_1_2_3_4_is_exact() -> None:
    slots = ring([1, 2, 3, 4], 1, "wrr")
    assert len(slots) == 10
    assert first_shares(slots, 4) == [0.1, 0.2, 0.3, 0.4]


# ---------------------------------------------------------------- rules for any weights

weight_lists = st.lists(st.one_of(st.integers(1, 9), st.integers(1, 300)), min_size=1, max_size=12)
schedulers = st.sampled_from(sorted(SCHEDULERS))


@given(weight_lists, st.integers(0, 10), schedulers, st.integers(0, 5))
def test_slots_hold_distinct_members_and_are_bounded(
    weights: list[int], answers: int, scheduler: str, page: int
) -> None:
    slots = ring(weights, answers, scheduler, page)
    places = len(weights) if answers == 0 else min(answers, len(weights))
    assert 1 <= len(slots) <= SLOTS
    for slot in slots:
        assert len(slot) == len(set(slot)) == places
        assert all(0 <= index < len(weights) for index in slot)
    assert slots == ring(weights, answers, scheduler, page)
    assert slots == ring(weights, answers, scheduler, page + pages(weights, answers, scheduler))


@given(weight_lists, st.integers(0, 10))
def test_one_page_is_exact_for_first_places_and_within_a_slot_for_all(weights: list[int], answers: int) -> None:
    slots = ring(weights, answers, "wrr")
    if pages(weights, answers, "wrr") > 1:
        return
    assert len(slots) % (sum(weights) // gcd(*weights)) == 0
    assert off(ideal_first(weights), first_shares(slots, len(weights)), len(slots)) < 1e-6
    wanted = shares(weights, answers, "wrr")
    assert off(wanted, reached(slots, len(weights)), len(slots)) < 1
    fixed = sum(weight for weight, share in zip(weights, wanted, strict=True) if share == 1)
    rounds = (sum(weights) - fixed) // gcd(sum(weights) - fixed, fixed)
    if rounds * sum(weights) // gcd(*weights) <= SLOTS:  # room for a length that is exact for the others as well
        assert off(wanted, reached(slots, len(weights)), len(slots)) < 1e-6


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=2, max_size=12), st.integers(0, 8), st.integers(0, 99))
def test_every_page_is_right_to_within_two_slots(weights: list[int], answers: int, page: int) -> None:
    slots = ring(weights, answers, "wrr", page)
    assert off(ideal_first(weights), first_shares(slots, len(weights)), len(slots)) < 2
    wanted = shares(weights, answers, "wrr")
    assert off(wanted, reached(slots, len(weights)), len(slots)) <= max(1, answers) + 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 900), min_size=2, max_size=12), st.integers(0, 6))
def test_all_pages_together_are_exact(weights: list[int], answers: int) -> None:
    count = pages(weights, answers, "wrr")
    slots = tuple(slot for page in range(count) for slot in ring(weights, answers, "wrr", page))
    if count > 1:
        assert len(slots) == sum(weights) // gcd(*weights)
    assert off(ideal_first(weights), first_shares(slots, len(weights)), len(slots)) < 1e-6
    assert off(shares(weights, answers, "wrr"), reached(slots, len(weights)), len(slots)) < 1


@given(weight_lists, st.integers(0, 10))
def test_rr_ignores_weights(weights: list[int], answers: int) -> None:
    assert ring(weights, answers, "rr") == ring([1] * len(weights), answers, "rr")
    got = reached(ring(weights, answers, "rr"), len(weights))
    assert got == pytest.approx(shares(weights, answers, "rr"))
    assert max(got) - min(got) < 1e-9


@given(weight_lists, st.integers(0, 10))
def test_first_places_are_smooth(weights: list[int], answers: int) -> None:
    slots = ring(weights, answers, "wrr")
    firsts = [slot[0] for slot in slots]
    taken = Counter(firsts)
    assert deviation(firsts, [taken[index] for index in range(len(weights))]) < 1


@given(weight_lists, st.integers(0, 10))
def test_wanted_shares_fill_the_places_and_follow_the_weights(weights: list[int], answers: int) -> None:
    wanted = shares(weights, answers, "wrr")
    places = len(weights) if answers == 0 else min(answers, len(weights))
    assert sum(wanted) == pytest.approx(places)
    assert all(0 < share <= 1 for share in wanted)
    for weight, share in zip(weights, wanted, strict=True):
        for other, its in zip(weights, wanted, strict=True):
            assert weight < other or share >= its - 1e-9


# ---------------------------------------------------------------- large


def test_a_heavy_member_leaves_the_others_exact() -> None:
    """10 of 13 leads; the others share the second place 1:2, for which one round of 13 slots is too short."""
    slots = ring([10, 1, 2], 2, "wrr")
    assert len(slots) == 39
    assert reached(slots, 3) == pytest.approx([1, 1 / 3, 2 / 3])
    assert first_shares(slots, 3) == pytest.approx([10 / 13, 1 / 13, 2 / 13])


def test_long_periods_come_in_pages_that_differ() -> None:
    weights = [65535, 1, 30000, 7]
    count = pages(weights, 1, "wrr")
    assert count == -(-sum(weights) // SLOTS)
    total: Counter[int] = Counter()
    for page in range(count):
        total.update(slot[0] for slot in ring(weights, 1, "wrr", page))
    assert [total[index] for index in range(4)] == weights


def test_the_light_member_is_not_in_neighbouring_pages() -> None:
    """65 pages, the lightest in about a third of them: spread, not one third in a row."""
    weights = [65536, 20]
    having = [any(slot == (1,) for slot in ring(weights, 1, "wrr", page)) for page in range(pages(weights, 1, "wrr"))]
    assert longest_run([int(one) for one in having]) <= 4


def test_more_members_than_slots() -> None:
    for answers in (1, 4):
        count = pages([1] * 3000, answers, "rr")
        assert count == 3
        taken = Counter(
            index for page in range(count) for slot in ring([1] * 3000, answers, "rr", page) for index in slot
        )
        assert set(taken.values()) == {answers} and len(taken) == 3000


def test_a_thousand_members_are_fast() -> None:
    """Generous for a busy machine; alone it is about 15 ms and 2 ms."""
    weights = [1 + index * 7919 % 100 for index in range(1000)]
    best = {}
    for name, arguments in {"mixed": (weights, 8), "equal": ([1] * 1000, 1)}.items():
        took = []
        for _ in range(3):
            start = time.process_time()
            ring(*arguments, "wrr")
            took.append(time.process_time() - start)
        best[name] = min(took)
    assert best["mixed"] < 0.2
    assert best["equal"] < 0.05
