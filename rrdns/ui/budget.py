"""The failover budget: how long a dead host can go on being answered, worked out from the files alone. Pure.

    first  = 1.1 * interval + timeout            the first failed probe's verdict, at the latest
    detect = first + (fall - 1) * max(1.1 * fast, timeout)
    gone   = detect + publish                    out of our own answers
    worst  = max(first + ttl, gone + ttl_min)    out of the caches behind us as well

1.1 is the jitter. A probe lasts up to `timeout` and probes of one target never overlap, so each further failure
takes the longer of the two. After the first failure answers carry `ttl_min`: what was given before lives for `ttl`
from then, what is given after for `ttl_min` from the moment the host is gone.

With a director, from the moment it takes the host out of its own service: two readings, for a report that takes away
over half of a pool must stand twice; nothing shortens the TTL before that.

    gone   = 2 * (1.1 * interval + timeout) + publish
    worst  = gone + ttl

Must not know: files, clocks, health.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rrdns.model import Check, Director, Pool, Service

JITTER = 1.1
PUBLISH = 0.2  # from the verdict to the last worker's answers, generously


@dataclass(frozen=True, slots=True)
class Budget:
    """Seconds from a host's death. `check` is the one of the pool's checks that takes longest."""

    check: Check
    first: float
    detect: float
    gone: float
    worst: float


def detection(check: Check) -> tuple[float, float]:
    """(first, detect) of one check."""
    first = JITTER * check.interval + check.timeout
    return first, first + (check.fall - 1) * max(JITTER * check.fast, check.timeout)


def back(check: Check) -> float:
    """From a host's return to our answers, at the latest, when it has not relapsed: `rise` successes at `interval`.

    While a host is down it is probed at `interval`, so the first success can be a whole interval and a timeout away.
    """
    return check.timeout + check.rise * (JITTER * check.interval + check.timeout) + PUBLISH


def of(service: Service, pool: Pool, checks: Mapping[str, Check]) -> Budget | None:
    """By the slowest of the pool's checks: any of them may be what fails. None: no checks."""
    used = [checks[name] for name in pool.checks if name in checks]
    if not used:
        return None
    slowest = max(used, key=lambda check: detection(check)[1])
    first = max(detection(check)[0] for check in used)
    detect = detection(slowest)[1]
    gone = detect + PUBLISH
    return Budget(slowest, first, detect, gone, max(first + service.ttl, gone + service.ttl_min))


def by_director(service: Service, pool: Pool, directors: Mapping[str, Director]) -> tuple[float, float] | None:
    """(gone, worst) after a director takes a host out, by the slowest that the pool follows. None: it follows none."""
    used = [directors[one.director] for one in pool.following if one.director in directors]
    if not used:
        return None
    gone = max(2 * (JITTER * one.interval + one.timeout) for one in used) + PUBLISH
    return gone, gone + service.ttl
