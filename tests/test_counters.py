"""Answers per member from cursors."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rrdns.control.counters import WINDOW, Rate, Ring, Tally

WWW = b"\3www\2lb\0"
KEY = WWW + b"\0\1"


def ring(*slots: tuple[str, ...], pool: str = "web") -> Ring:
    return Ring(WWW, pool, slots)


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=3), min_size=1, max_size=9), st.integers(0, 1000), st.data())
def test_a_ring_counts_as_a_walk_over_its_slots_does(slots: list[list[str]], start: int, data: st.DataObject) -> None:
    end = data.draw(st.integers(start, start + 200))
    walked = Counter(("web", member) for cursor in range(start, end) for member in slots[cursor % len(slots)])
    assert Ring(WWW, "web", slots).count(start, end) == walked


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(0, 99))
def test_counts_do_not_depend_on_when_one_looks(steps: list[int], first: int) -> None:
    often, once = Tally(), Tally()
    slots = ring(("a", "b"), ("b",), ("c",))
    for tally in (often, once):
        tally.made(0, 1, {KEY: slots})
    cursor = first
    for step in steps:
        cursor += step
        often.read(0, {KEY: (1, first, cursor)}, 0.0)
    once.read(0, {KEY: (1, first, cursor)}, 0.0)
    assert often.members == once.members == slots.count(first, cursor)
    assert often.services.get(WWW, 0) == cursor - first


def test_a_replaced_ring_is_counted_to_its_end_with_its_own_members() -> None:
    tally = Tally()
    tally.made(0, 1, {KEY: ring(("a",), ("b",))})
    tally.read(0, {KEY: (1, 0, 4)}, 0.0)
    tally.made(0, 2, {KEY: ring(("a",))})  # b is gone; the worker answers on from the old ring until the commit
    tally.read(0, {KEY: (1, 0, 6)}, 0.0)
    tally.read(0, {KEY: (1, 0, 9)}, 0.0)  # retired, told with the acknowledgement
    tally.acknowledged(0, 2, [KEY])
    tally.read(0, {KEY: (2, 9, 19)}, 0.0)
    tally.read(0, {KEY: (1, 0, 99)}, 0.0)  # history
    assert tally.members == {("web", "a"): 15, ("web", "b"): 4}
    assert tally.services == {WWW: 19}


def test_totals_outlive_a_worker_and_add_up_over_workers() -> None:
    tally = Tally()
    for worker in (0, 1):
        tally.made(worker, 1, {KEY: ring(("a",), ("b",))})
        tally.read(worker, {KEY: (1, 10, 20)}, 0.0)
    tally.gone(0)
    tally.read(0, {KEY: (1, 10, 99)}, 0.0)  # a late word of the dead one
    tally.made(0, 2, {KEY: ring(("a",), ("b",))})
    tally.read(0, {KEY: (2, 0, 2)}, 0.0)
    assert tally.members == {("web", "a"): 11, ("web", "b"): 11}


def test_rings_of_an_earlier_control_are_not_guessed_at() -> None:
    tally = Tally()
    tally.made(0, 7, {KEY: ring(("a",))})
    tally.read(0, {KEY: (3, 0, 1000), b"\5other\0\0\1": (3, 0, 5)}, 0.0)
    assert not tally.members and not tally.services
    tally.acknowledged(0, 7, [KEY])
    tally.read(0, {KEY: (7, 1000, 1010)}, 0.0)
    assert tally.members == {("web", "a"): 10}


def test_a_removed_ring_leaves_nothing_behind() -> None:
    tally = Tally()
    tally.made(0, 1, {KEY: ring(("a",))})
    tally.made(0, 2, {KEY: None})
    tally.acknowledged(0, 2, [KEY])
    assert tally._seen == {0: {}}


def test_members_of_another_pool_are_counted_there() -> None:
    tally = Tally()
    tally.made(0, 1, {KEY: ring(("web1",), ("spare/s1",))})
    tally.read(0, {KEY: (1, 0, 2)}, 0.0)
    assert tally.members == {("web", "web1"): 1, ("spare", "s1"): 1}


def test_rates_look_back_over_the_window_and_no_further() -> None:
    tally = Tally()
    tally.made(0, 1, {KEY: ring(("a",), ("b",))})
    for second in range(11):
        tally.read(0, {KEY: (1, 0, 20 * second)}, float(second))
    members, services = tally.rates(10.0)
    assert members == {("web", "a"): 10.0, ("web", "b"): 10.0}
    assert services == {WWW: 20.0}
    assert tally.rates(10.0 + WINDOW) == ({}, {})


def test_what_no_file_names_is_forgotten() -> None:
    tally = Tally()
    tally.made(0, 1, {KEY: ring(("a",), ("b",))})
    tally.read(0, {KEY: (1, 0, 2)}, 0.0)
    tally.keep_only([("web", "b")], [])
    assert tally.members == {("web", "b"): 1}
    assert tally.services == {}


def test_the_rate_of_a_counter() -> None:
    rate = Rate()
    assert rate.value == 0.0
    for second in range(20):
        rate.read(100 * second, float(second))
    assert rate.value == 100.0
    rate.read(5, 20.0)  # counts from the beginning
    assert rate.value == 0.0
    rate.read(25, 22.0)
    assert rate.value == 10.0
