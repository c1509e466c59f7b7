"""The self-isolation guard over time, with probes as they really run, and over any sequence of results."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable

import pytest
from guarded import CHECK, GOOD, REFUSED, SILENT, UNREACHABLE, Watch, racks
from hypothesis import given, settings
from hypothesis import strategies as st

from rrdns import health as rules
from rrdns import isolation
from rrdns.hearing import Hearing
from rrdns.model import Result

settings.register_profile("patient", deadline=None)  # the machine may be busy
settings.load_profile("patient")

Path = Callable[[float, str], Result]


POLL, PATIENCE = 2.0, 2.0  # a director's interval and timeout


def run(watch: Watch, path: Path, until: float, seed: int) -> None:
    """Probes every target at its pace with jitter, none overlapping, `path` saying what a probe at a time finds; and
    reads the directors likewise."""
    generator = random.Random(seed)
    queue: list[tuple[float, int, str, Result | None]] = []
    for key in watch.targets:
        heapq.heappush(queue, (1000.0 + generator.uniform(0, CHECK.interval), len(queue), key, None))
    for name in watch.directors:
        heapq.heappush(queue, (1000.0 + generator.uniform(0, POLL), len(queue), name, None))
    order = len(queue)
    while queue[0][0] < until:
        now, _, key, result = heapq.heappop(queue)
        due = isolation.deadline(watch.guard)
        if due is not None and due <= now:
            watch.pass_time(due)
        order += 1
        if result is None:
            found = path(now, key)
            heapq.heappush(queue, (now + found.took, order, key, found))
        elif key in watch.directors:
            watch.hear(key, result.silent, now)
            begun = now - result.took
            heapq.heappush(queue, (max(now, begun + POLL * generator.uniform(0.9, 1.1)), order, key, None))
        else:
            watch.see(key, result, now)
            wait = rules.pace(watch.counted[key], CHECK) * generator.uniform(0.9, 1.1)
            heapq.heappush(queue, (max(now, now - result.took + wait), order, key, None))


def outage(start: float, end: float, silence: Result, keys: Iterable[str] | None = None) -> Path:
    affected = None if keys is None else set(keys)

    def path(now: float, key: str) -> Result:
        lost = start <= now < end and (affected is None or key in affected)
        return silence if lost else GOOD

    return path


@pytest.mark.parametrize("seed", range(20))
def test_a_lost_uplink_of_30_seconds_costs_nobody_a_place(seed: int) -> None:
    """Timeouts: the guard holds before the first target reaches `fall`, and until all were heard again."""
    watch = Watch(racks(12))
    run(watch, outage(1020.0, 1050.0, SILENT), 1200.0, seed)
    assert watch.guard.holds == 1
    assert watch.fell == []
    assert not watch.holding and watch.guard.armed
    assert watch.serving == 12


@pytest.mark.parametrize("seed", range(10))
def test_an_uplink_that_comes_back_just_before_the_hold_ends(seed: int) -> None:
    watch = Watch(racks(12))
    run(watch, outage(1020.0, 1070.0, SILENT), 1300.0, seed)
    assert watch.fell == []


@pytest.mark.parametrize("seed", range(10))
def test_fast_errors_may_take_a_few_for_seconds_only(seed: int) -> None:
    """ENETUNREACH comes at once, so `fall` is reached before most targets' next probe is due."""
    watch = Watch(racks(12))
    run(watch, outage(1020.0, 1050.0, UNREACHABLE), 1200.0, seed)
    assert watch.guard.holds == 1
    assert len(watch.fell) <= 6
    assert all(now < 1020.0 + CHECK.interval for now, _ in watch.fell)
    assert watch.serving == 12


@pytest.mark.parametrize("seed", range(10))
def test_a_lasting_silence_is_believed_when_the_hold_runs_out(seed: int) -> None:
    watch = Watch(racks(12))
    run(watch, outage(1020.0, 9999.0, SILENT), 1200.0, seed)
    assert watch.serving == 0
    assert {now for now, _ in watch.fell} == {watch.fell[0][0]}
    assert 1080.0 < watch.fell[0][0] < 1020.0 + 60 + 1.1 * CHECK.interval + CHECK.timeout


@pytest.mark.parametrize("seed", range(10))
def test_a_dead_rack_goes_within_the_promised_time(seed: int) -> None:
    watch = Watch(racks(10))
    rack = list(watch.targets)[:3]
    run(watch, outage(1020.0, 9999.0, SILENT, rack), 1100.0, seed)
    promised = 1.1 * CHECK.interval + CHECK.timeout + (CHECK.fall - 1) * max(1.1 * CHECK.fast, CHECK.timeout)
    assert {key for _, key in watch.fell} == set(rack)
    assert all(now <= 1020.0 + promised + 0.01 for now, _ in watch.fell)
    assert watch.guard.holds == 0


# ---------------------------------------------------------------- with directors


def far(watch: Watch, *places: str) -> Watch:
    for index, place in enumerate(places):
        watch.directors[f"lvs{index}"] = Hearing(place, 1.1 * POLL + PATIENCE)
    return watch


@pytest.mark.parametrize("seed", range(20))
def test_a_lost_uplink_that_directors_feel_too(seed: int) -> None:
    """As without them; and the first that is heard again ends the hold, an interval later, when all were heard."""
    watch = far(Watch(racks(12)), "10.0.0.0/24", "10.0.1.0/24")
    run(watch, outage(1020.0, 1050.0, SILENT), 1200.0, seed)
    assert watch.guard.holds == 1
    assert watch.fell == []
    assert not watch.holding and watch.guard.armed
    assert watch.serving == 12


@pytest.mark.parametrize("seed", range(20))
def test_a_lost_uplink_where_checks_alone_could_not_tell(seed: int) -> None:
    """Three hosts of one rack: too few, and of one subnet; their director, elsewhere, falls silent with them."""
    rack = [("web", f"192.0.2.{number}") for number in range(1, 4)]
    watch = far(Watch(rack), "10.0.0.0/24")
    run(watch, outage(1020.0, 1050.0, SILENT), 1200.0, seed)
    assert watch.guard.holds == 1 and not watch.holding and watch.serving == 3
    # One may reach `fall` before the second is due, and is believed up again a moment later.
    assert len(watch.fell) <= 1 and all(now < 1020.0 + 1.1 * CHECK.interval + CHECK.timeout for now, _ in watch.fell)
    alone = Watch(rack)
    run(alone, outage(1020.0, 1050.0, SILENT), 1200.0, seed)
    assert len(alone.fell) == 3


@pytest.mark.parametrize("seed", range(20))
def test_most_hosts_dead_while_a_director_is_heard(seed: int) -> None:
    """They go: at once, or where the majority was there before the director's next word, after one more interval."""
    watch = far(Watch(racks(12)), "10.0.0.0/24", "10.0.1.0/24")
    dead = set(list(watch.targets)[:8]) | {"lvs0"}
    run(watch, outage(1020.0, 9999.0, SILENT, dead), 1200.0, seed)
    promised = 1.1 * CHECK.interval + CHECK.timeout + (CHECK.fall - 1) * max(1.1 * CHECK.fast, CHECK.timeout)
    mending = 1.1 * POLL + PATIENCE + 1.1 * CHECK.interval + CHECK.timeout
    assert {key for _, key in watch.fell} == dead - {"lvs0"}
    assert all(now <= 1020.0 + promised + mending for now, _ in watch.fell)
    assert watch.guard.armed and not watch.holding
    alone = Watch(racks(12))
    run(alone, outage(1020.0, 9999.0, SILENT, dead), 1200.0, seed)
    assert max(now for now, _ in alone.fell) > 1080.0  # nobody knows better: it is held for a minute


@given(st.lists(st.tuples(st.integers(0, 7), st.sampled_from("gsr"), st.floats(0.0, 3.0)), max_size=120))
def test_a_hold_never_outlasts_its_time_and_never_downs_the_unsilent(steps: list[tuple[int, str, float]]) -> None:
    watch = Watch(racks(8))
    keys, now, begun = list(watch.targets), 1000.0, None
    for index, letter, wait in steps:
        now += wait
        due = isolation.deadline(watch.guard)
        if due is not None and due <= now:
            watch.pass_time(due)
        watch.see(keys[index], {"g": GOOD, "s": SILENT, "r": REFUSED}[letter], now)
        if not watch.holding:
            begun = None
        else:
            begun = now if begun is None else begun
            assert now - begun < 60.0
        for key in keys:
            if key not in watch.guard.silent or not watch.holding:
                assert watch.believed(key) is watch.counted[key]
