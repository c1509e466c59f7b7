"""What is believed of one target, from its results: rise and fall, fast probing, damping. Floor 1, pure.

Must not know: pools, members, answers, how a probe is made, what time it is (`now` is an argument).

The shape is gdnsd's: while up, failures *add up* and only a run of successes clears them, so that a host
failing one probe in five goes down, which counting failures in a row never sees. Damping is ours: each
relapse doubles the successes asked for, or that host would be back nine tenths of the time.
"""

from __future__ import annotations

from dataclasses import replace

from rrdns.model import Check, Health, Result, State

QUIET = 600.0
"""Seconds: going down again within this time of having come back is a relapse; this long steady ends damping."""

MAX_NEED = 24
"""Relapses raise the needed successes no further than this (or the check's own `rise`, if that is more)."""


def start(check: Check) -> Health:
    """Health of a target nobody has asked yet."""
    return Health(need=check.rise)


# | state   | result  | then                                                                                |
# |---------|---------|-------------------------------------------------------------------------------------|
# | any     | void    | nothing: our own loop lagged, the result says nothing but, before any other, why    |
# | unknown | success | up at once; failures seen before still count                                        |
# | unknown | failure | failures + 1; at `fall`: down                                                       |
# | up      | success | with failures counted: successes + 1; at `ok` in a row both counters are cleared    |
# | up      | failure | failures + 1, successes 0; at `fall`: down; within QUIET of coming back: need * 2   |
# | down    | success | successes + 1; at `need` in a row: up, counters cleared                             |
# | down    | failure | successes 0                                                                         |
#
# `need` goes back to `rise` after QUIET seconds steady: up all the time, or down without a broken run of
# successes. So a host that answers well for ten minutes is let back however long its sentence.
# `relapse_at` is the last unsteady moment: when it came back, or when a run of successes broke while damped.


def observe(health: Health, check: Check, result: Result, now: float) -> Health:
    """The health after one more result; the table above is the whole rule."""
    if result.void:  # says nothing of the host; before anything has, it says why nothing is known
        return health if health.seen else replace(health, reason=result.reason)
    health = _calm(health, check, now)
    if health.state is State.DOWN:
        after = _while_down(health, check, result.ok, now)
    elif result.ok:
        after = _good(health, check, now)
    else:
        after = _bad(health, check, now)
    # The reason explains the state or what threatens it: a lone success does not hide the last failure.
    explains = not result.ok or after.state is not health.state or (after.state is State.UP and not after.failures)
    reason = result.reason if explains else health.reason
    # As `replace` would, in a third of its time, which is what most results cost.
    counters = after.state, after.since, after.failures, after.successes, after.need, after.relapse_at
    return Health(*counters, now, reason, result.took)


def _calm(health: Health, check: Check, now: float) -> Health:
    """Ends the damping when it has been quiet for long enough."""
    if not health.relapse_at and health.need == check.rise:
        return health
    steady_since = max(health.relapse_at, health.since) if health.state is State.DOWN else health.relapse_at
    if now - steady_since <= QUIET and health.need >= check.rise:
        return health
    return replace(health, need=check.rise, relapse_at=0.0)


def _good(health: Health, check: Check, now: float) -> Health:
    """A success while up or unknown."""
    if health.state is State.UNKNOWN:
        health = replace(health, state=State.UP, since=now)
    if not health.failures:
        return health
    successes = health.successes + 1
    if successes >= check.ok:
        return replace(health, failures=0, successes=0)
    return replace(health, successes=successes)


def _bad(health: Health, check: Check, now: float) -> Health:
    """A failure while up or unknown."""
    failures = health.failures + 1
    if failures < check.fall:
        return replace(health, failures=failures, successes=0)
    need = check.rise
    if health.state is State.UP and health.relapse_at:  # _calm has dropped what is older than QUIET
        need = max(check.rise, min(MAX_NEED, 2 * health.need))
    return replace(health, state=State.DOWN, since=now, failures=failures, successes=0, need=need)


def _while_down(health: Health, check: Check, ok: bool, now: float) -> Health:
    if not ok:
        broken = health.successes > 0 and health.need > check.rise
        return replace(health, successes=0, relapse_at=now if broken else health.relapse_at)
    successes = health.successes + 1
    if successes >= health.need:
        return replace(health, state=State.UP, since=now, failures=0, successes=0, relapse_at=now)
    return replace(health, successes=successes)


def pace(health: Health, check: Check) -> float:
    """Seconds to the next probe, without jitter: fast while a verdict is in the making, else the interval.

    Down is not hurried: `rise` successes at the normal interval are what it takes to come back.
    """
    undecided = health.state is State.UNKNOWN or (health.state is State.UP and health.failures > 0)
    return min(check.fast, check.interval) if undecided else check.interval


def pending(health: Health, check: Check) -> bool:
    """Whether the next results may change the state, so that answers had better be short-lived (`ttl_min`).

    | up      | a failure counter runs                                                               |
    | unknown | always: the first success brings it up, `fall` failures take it down                 |
    | down    | one more success brings it up (and it has shown one: a dead host with `rise: 1` must |
    |         | not shorten the TTL for ever)                                                        |
    """
    if health.state is State.UP:
        return health.failures > 0
    if health.state is State.UNKNOWN:
        return True
    return health.successes > 0 and health.successes + 1 >= max(health.need, check.rise)
