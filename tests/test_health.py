"""Health of one target: the truth table in health.py, pace, what a short TTL is for."""

from __future__ import annotations

import dataclasses

from one_host import BAD, CHECK, GOOD, VOID, Host, up_host

from rrdns import health as rules
from rrdns.model import Health, State

# ---------------------------------------------------------------- the truth table


def test_first_success_means_up_at_once() -> None:
    host = Host()
    assert host.feed(GOOD).state is State.UP
    assert host.health.since == 1000.0
    assert host.health.reason == "connected"


def test_first_failure_needs_fall_at_fast_pace() -> None:
    host = Host()
    assert host.feed(BAD).state is State.UNKNOWN
    assert rules.pace(host.health, CHECK) == CHECK.fast
    assert host.feed(BAD).state is State.UNKNOWN
    assert host.feed(BAD).state is State.DOWN
    assert host.now - 1000.0 == 2 * CHECK.fast + CHECK.interval


def test_failures_before_the_first_success_still_count() -> None:
    host = Host()
    assert host.feed(BAD, BAD, GOOD).state is State.UP
    assert (host.health.failures, host.health.successes) == (2, 1)
    assert host.feed(BAD).state is State.DOWN


def test_failures_add_up_across_successes() -> None:
    host = up_host()
    assert host.feed(BAD, GOOD, GOOD, BAD, GOOD).state is State.UP
    assert host.feed(BAD).state is State.DOWN


def test_ok_successes_in_a_row_clear_the_failures() -> None:
    host = up_host()
    host.feed(BAD, BAD, *[GOOD] * 4)
    assert host.health.failures == 2
    host.feed(GOOD)
    assert (host.health.failures, host.health.successes) == (0, 0)
    assert host.feed(BAD, BAD).state is State.UP
    assert host.feed(BAD).state is State.DOWN


def test_a_failure_ends_the_run_of_successes() -> None:
    host = up_host()
    host.feed(BAD, *[GOOD] * 4, BAD, *[GOOD] * 4)
    assert host.health.failures == 2
    assert host.feed(BAD).state is State.DOWN


def test_down_needs_rise_successes_in_a_row_at_the_normal_interval() -> None:
    host = up_host()
    host.feed(BAD, BAD, BAD)
    fell = host.health.since
    assert host.feed(GOOD, GOOD, BAD, GOOD, GOOD).state is State.DOWN
    assert host.feed(GOOD).state is State.UP
    assert host.health.since - fell == 6 * CHECK.interval
    assert (host.health.failures, host.health.successes) == (0, 0)


def test_fall_and_ok_of_one() -> None:
    check = dataclasses.replace(CHECK, fall=1, ok=1, rise=1)
    host = Host(check)
    assert host.feed(BAD).state is State.DOWN
    assert host.feed(GOOD).state is State.UP
    assert host.feed(BAD).state is State.DOWN
    two = Host(dataclasses.replace(CHECK, fall=2, ok=1))
    assert two.feed(BAD, GOOD).state is State.UP
    assert two.health.failures == 0


def test_void_results_change_nothing() -> None:
    first = rules.observe(rules.start(CHECK), CHECK, VOID, 1000.0)
    assert first == dataclasses.replace(rules.start(CHECK), reason=VOID.reason)  # why nothing is known yet
    for results in ((GOOD,), (GOOD, BAD), (BAD, BAD, BAD), (BAD, BAD, BAD, GOOD)):
        host = Host()
        host.feed(*results)
        assert rules.observe(host.health, CHECK, VOID, host.now) is host.health


def test_a_host_failing_one_probe_in_five_goes_down_and_stays_down() -> None:
    host = up_host()
    pattern = [BAD, GOOD, GOOD, GOOD, GOOD]
    host.feed(*pattern * 2, BAD)
    assert [state for _, state in host.changes] == [State.UP, State.DOWN]
    host.feed(*pattern[1:])
    # Four successes in a row are enough for `rise: 3` once; the relapse then asks for six: it stays out.
    host.feed(*pattern * 100)
    assert [state for _, state in host.changes] == [State.UP, State.DOWN, State.UP, State.DOWN]
    assert host.health.need == 6


def test_the_reason_explains_the_state_or_what_threatens_it() -> None:
    host = up_host()
    assert host.feed(BAD).reason == BAD.reason
    assert host.feed(GOOD).reason == BAD.reason
    assert host.feed(*[GOOD] * 4).reason == GOOD.reason
    host.feed(BAD, BAD, BAD)
    assert host.feed(GOOD).reason == BAD.reason
    assert host.feed(GOOD, GOOD).reason == GOOD.reason
    assert host.health.took == GOOD.took


# ---------------------------------------------------------------- pace and pending


def test_pace() -> None:
    host = Host()
    assert rules.pace(host.health, CHECK) == CHECK.fast
    host.feed(GOOD)
    assert rules.pace(host.health, CHECK) == CHECK.interval
    host.feed(BAD)
    assert rules.pace(host.health, CHECK) == CHECK.fast
    host.feed(*[GOOD] * 5)
    assert rules.pace(host.health, CHECK) == CHECK.interval
    host.feed(BAD, BAD, BAD)
    assert rules.pace(host.health, CHECK) == CHECK.interval
    host.feed(GOOD)
    assert rules.pace(host.health, CHECK) == CHECK.interval


def test_fast_is_never_slower_than_the_interval() -> None:
    check = dataclasses.replace(CHECK, interval=0.2)
    host = up_host(check)
    host.feed(BAD)
    assert rules.pace(host.health, check) == 0.2


def test_pending() -> None:
    host = Host()
    assert rules.pending(host.health, CHECK)
    assert not rules.pending(host.feed(GOOD), CHECK)
    assert rules.pending(host.feed(BAD), CHECK)
    assert rules.pending(host.feed(*[GOOD] * 4), CHECK)
    assert not rules.pending(host.feed(GOOD), CHECK)
    assert not rules.pending(host.feed(BAD, BAD, BAD), CHECK)
    assert not rules.pending(host.feed(GOOD), CHECK)
    assert rules.pending(host.feed(GOOD), CHECK)
    assert not rules.pending(host.feed(GOOD), CHECK)


def test_a_dead_host_with_rise_one_is_not_for_ever_pending() -> None:
    check = dataclasses.replace(CHECK, rise=1)
    host = up_host(check)
    assert not rules.pending(host.feed(BAD, BAD, BAD), check)


# ---------------------------------------------------------------- over a restart


def test_health_from_a_file_goes_on_counting_where_it_stood() -> None:
    """A verdict is in the value alone, nothing is remembered beside it: what the store gives back just goes on."""
    host = up_host()
    host.feed(BAD, BAD)
    kept = Health(*dataclasses.astuple(host.health))
    assert rules.observe(kept, CHECK, BAD, host.now).state is State.DOWN


def test_a_needed_rise_that_was_lost_is_mended() -> None:
    damaged = Health(State.DOWN, since=1.0, need=0, seen=10.0)
    assert not rules.pending(damaged, CHECK)
    after = rules.observe(damaged, CHECK, GOOD, 11.0)
    assert (after.state, after.need) == (State.DOWN, CHECK.rise)
