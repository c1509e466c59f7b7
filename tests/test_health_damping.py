"""Health of one target over time: damping by example, and the rules over any sequence of results."""

from __future__ import annotations

import dataclasses
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from one_host import BAD, CHECK, GOOD, VOID, Host, relapse, up_host

from rrdns import health as rules
from rrdns.model import Check, State

settings.register_profile("patient", deadline=None)  # the machine may be busy
settings.load_profile("patient")

# ---------------------------------------------------------------- damping


def test_each_relapse_doubles_the_needed_successes_up_to_24() -> None:
    host = up_host()
    host.feed(BAD, BAD, BAD)
    needs = [host.health.need]
    for _ in range(5):
        relapse(host)
        needs.append(host.health.need)
    assert needs == [3, 6, 12, 24, 24, 24]


def test_the_first_fall_is_no_relapse() -> None:
    assert up_host().feed(BAD, BAD, BAD).need == CHECK.rise


def test_a_rise_above_the_cap_stays() -> None:
    host = up_host(dataclasses.replace(CHECK, rise=30, interval=1.0))
    host.feed(BAD, BAD, BAD)
    relapse(host)
    assert host.health.need == 30


def test_ten_quiet_minutes_up_end_the_damping() -> None:
    host = up_host()
    host.feed(BAD, BAD, BAD)
    relapse(host)
    relapse(host)
    host.feed(*[GOOD] * 12)
    assert host.health.need == 12
    host.feed(*[GOOD] * 121)
    assert host.health.need == 3
    host.feed(BAD, BAD, BAD)
    assert host.health.need == 3


def test_down_again_within_ten_minutes_is_a_relapse_later_is_not() -> None:
    for wait, need in ((QUIET_LESS, 6), (rules.QUIET + 1, 3)):
        host = up_host()
        host.feed(BAD, BAD, BAD, GOOD, GOOD, GOOD)
        host.now = host.health.since + wait
        host.feed(BAD, BAD, BAD)
        assert (host.state, host.health.need) == (State.DOWN, need)


QUIET_LESS = rules.QUIET - 10


def test_ten_minutes_steadily_dead_end_the_damping_but_a_flickering_host_keeps_it() -> None:
    dead, flickering = up_host(), up_host()
    for host in (dead, flickering):
        host.feed(BAD, BAD, BAD)
        relapse(host)
        relapse(host)
        assert host.health.need == 12
    dead.feed(*[BAD] * 125)
    assert dead.health.need == 3
    flickering.feed(*[BAD, GOOD, GOOD, GOOD, GOOD] * 50)
    assert (flickering.state, flickering.health.need) == (State.DOWN, 12)


def test_the_quiet_of_a_dead_host_counts_from_its_fall() -> None:
    host = up_host()
    host.feed(BAD, BAD, BAD, GOOD, GOOD, GOOD)
    host.now = host.health.since + QUIET_LESS
    host.feed(BAD, BAD, BAD)
    fell = host.health.since
    while host.now <= fell + QUIET_LESS:
        assert host.feed(BAD).need == 6
    host.now = fell + rules.QUIET + 1
    assert host.feed(BAD).need == 3


def test_ten_minutes_of_success_bring_back_a_slow_damped_host() -> None:
    check = dataclasses.replace(CHECK, interval=30.0)
    host = up_host(check)
    host.feed(BAD, BAD, BAD)
    for _ in range(3):
        relapse(host)
    assert host.health.need == 24
    start = host.now
    while host.state is State.DOWN:
        host.feed(GOOD)
    assert host.now - start <= rules.QUIET + 2 * check.interval


# ---------------------------------------------------------------- rules for any sequence

checks = st.builds(
    lambda fall, rise, ok: dataclasses.replace(CHECK, fall=fall, rise=rise, ok=ok),
    st.integers(1, 6),
    st.integers(1, 30),
    st.integers(1, 6),
)
sequences = st.lists(st.sampled_from("gggbbv"), max_size=150)
RESULTS = {"g": GOOD, "b": BAD, "v": VOID}


@given(checks, sequences)
def test_no_state_flips_without_the_needed_count(check: Check, letters: list[str]) -> None:
    host = Host(check)
    since_change: list[str] = []
    for letter in letters:
        before = host.health
        host.feed(RESULTS[letter])
        if letter != "v":
            since_change.append(letter)
        if host.state is before.state:
            continue
        if host.state is State.DOWN:
            assert letter == "b"
            assert since_change.count("b") + (before.failures - since_change[:-1].count("b")) >= check.fall
            assert before.failures == check.fall - 1
        elif before.state is State.DOWN:
            assert min(before.need, check.rise) == check.rise
            assert since_change[-check.rise :] == ["g"] * check.rise
        else:
            assert (before.state, letter) == (State.UNKNOWN, "g")
        assert host.state is not State.UNKNOWN
        since_change.clear()


@given(checks, sequences)
def test_counters_stay_in_their_bounds(check: Check, letters: list[str]) -> None:
    host = Host(check)
    for letter in letters:
        now = host.now
        health = host.feed(RESULTS[letter])
        assert 0 <= health.failures <= check.fall
        assert check.rise <= health.need <= max(rules.MAX_NEED, check.rise)
        assert health.successes < (health.need if health.state is State.DOWN else check.ok)
        assert health.seen <= now and health.since <= now and health.relapse_at <= now
        assert rules.pace(health, check) in (check.fast, check.interval)


@given(checks, st.integers(1, 300))
def test_a_constant_host_never_changes_its_mind(check: Check, count: int) -> None:
    good, bad = Host(check), Host(check)
    good.feed(*[GOOD] * count)
    bad.feed(*[BAD] * count)
    assert [state for _, state in good.changes] == [State.UP]
    assert [state for _, state in bad.changes] == ([State.DOWN] if count >= check.fall else [])


@given(sequences, st.integers(-900, 10**6))
def test_only_differences_of_time_matter(letters: list[str], shift: int) -> None:
    """The clock of one boot means nothing in the next: shifted, the same results give the same states."""
    one, other = Host(), Host(now=1000.0 + shift)
    one.feed(*(RESULTS[letter] for letter in letters))
    other.feed(*(RESULTS[letter] for letter in letters))
    assert [(at + shift, state) for at, state in one.changes] == other.changes
    assert (one.health.failures, one.health.need) == (other.health.failures, other.health.need)


def test_damping_keeps_a_flaky_host_out_most_of_the_time() -> None:
    """A host failing one probe in five at random: out of the answers well over half of the time."""
    generator = random.Random(1)
    host = up_host()
    up_for, end = 0.0, 1000.0 + 12 * 3600
    while host.now < end:
        before = host.now
        host.feed(BAD if generator.random() < 0.2 else GOOD)
        up_for += (host.now - before) * (host.state is State.UP)
    assert up_for / (12 * 3600) < 0.3
