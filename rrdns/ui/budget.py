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

With `before_promote` the command may take its whole `timeout` (`fenced`), and more if it fails: then nobody can say
how long:

    gone   = ... + fenced                        in both cases

Where a pool has both, whichever is quicker takes the host out. Where many targets fall silent at once nothing is
taken out for `isolation_hold`, for then the fault is probably our own: that comes on top (`held`).

Must not know: files, clocks, health.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from rrdns.model import Check, DataSet, Director, Pool, Service

JITTER = 1.1
PUBLISH = 0.2  # from the verdict to the last worker's answers, generously
FEWEST = 4  # targets, below which the guard against self-isolation never holds


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
    gone = detect + fenced(pool) + PUBLISH
    return Budget(slowest, first, detect, gone, max(first + service.ttl, gone + service.ttl_min))


def by_director(service: Service, pool: Pool, directors: Mapping[str, Director]) -> tuple[float, float] | None:
    """(gone, worst) after a director takes a host out, by the slowest that the pool follows. None: it follows none."""
    used = [directors[one.director] for one in pool.following if one.director in directors]
    if not used:
        return None
    gone = max(2 * (JITTER * one.interval + one.timeout) for one in used) + PUBLISH
    gone += fenced(pool)
    return gone, gone + service.ttl


def fenced(pool: Pool) -> float:
    """What the command that comes before a promotion may take."""
    return pool.before_promote.timeout if pool.before_promote else 0.0


# ---------------------------------------------------------------- what was promised


@dataclass(frozen=True, slots=True)
class Promise:
    """A service's `budget:` against what the files give: `worst` is the better of checks and director, `held` with a
    hold of the guard against self-isolation on top. None: nobody ever takes a dead host out."""

    wanted: float
    worst: float | None
    held: float | None
    remedy: str = ""

    @property
    def kept(self) -> bool:
        return self.worst is not None and self.worst <= self.wanted


def promise(service: Service, pool: Pool, dataset: DataSet, hold: float = 60.0) -> Promise | None:
    """None: nothing was promised."""
    if service.budget is None:
        return None
    checked, led = of(service, pool, dataset.checks), by_director(service, pool, dataset.directors)
    found = [one for one in (checked.worst if checked else None, led[1] if led else None) if one is not None]
    if not found:
        return Promise(service.budget, None, None, "give the pool a check")
    worst = min(found)
    guarded = (
        sum(len(one.members) * len(one.checks) for one in dataset.pools.values()) >= FEWEST and checked is not None
    )
    held = worst + hold if guarded and not (led and led[1] <= service.budget) else worst
    remedy = "" if worst <= service.budget else fit(service, pool, dataset, service.budget)
    return Promise(service.budget, worst, held, remedy)


def fit(service: Service, pool: Pool, dataset: DataSet, limit: float) -> str:
    """Numbers with which the limit would be kept, in words: those that change least. TTLs first, then how often the
    check asks, then how many failures it takes."""
    checked = of(service, pool, dataset.checks)
    if checked is None:
        return _fit_director(service, pool, dataset, limit)
    used = {name: dataset.checks[name] for name in pool.checks if name in dataset.checks}
    slow = [name for name, check in used.items() if not _fits(service, check, limit, fenced(pool))]
    words: list[str] = []
    ttl, ttl_min = service.ttl, service.ttl_min
    for name in slow:
        check = dataset.checks[name]
        for one in _quicker(check):
            first, detect = detection(one)
            room, room_min = int(limit - first), int(limit - fenced(pool) - detect - PUBLISH)
            if min(room, room_min) >= 1:
                ttl, ttl_min = min(ttl, room), min(ttl_min, room_min, min(ttl, room))
                changed = [
                    f"{key}: {_text(getattr(one, key))}" for key in _KEYS if getattr(one, key) != getattr(check, key)
                ]
                words += [f"{', '.join(changed)} at the check {name}"] if changed else []
                break
        else:
            return f"no numbers fit: even one failure at once, and a TTL of 1, take longer than {limit:g} s"
    if ttl < service.ttl or ttl_min < service.ttl_min:
        words.append(f"ttl: {ttl}, ttl_min: {ttl_min} at the record")
    return f"this would fit: {'; '.join(words)}"


_KEYS = ("interval", "timeout", "fast", "fall")
_NICE = (60.0, 30.0, 20.0, 15.0, 10.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5)


def _fits(service: Service, check: Check, limit: float, fence: float) -> bool:
    first, detect = detection(check)
    return max(first + service.ttl, detect + fence + PUBLISH + service.ttl_min) <= limit


def _quicker(check: Check) -> Iterator[Check]:
    """The check as it is, then ever quicker; fewer failures only when that is not enough."""
    for fall in range(check.fall, 0, -1):
        yield replace(check, fall=fall)
        for interval in (one for one in _NICE if one < check.interval):
            timeout = min(check.timeout, interval)
            yield replace(check, fall=fall, interval=interval, timeout=timeout, fast=min(check.fast, interval))
            short = max(0.2, timeout / 2)
            yield replace(check, fall=fall, interval=interval, timeout=short, fast=min(check.fast, interval, short))


def _fit_director(service: Service, pool: Pool, dataset: DataSet, limit: float) -> str:
    led = by_director(service, pool, dataset.directors)
    if led is None:
        return ""
    if limit - led[0] >= 1:
        return f"this would fit: ttl: {int(limit - led[0])} at the record"
    names = ", ".join(dict.fromkeys(one.director for one in pool.following))
    limit -= fenced(pool)
    room = (limit - PUBLISH - 1) / 2
    for interval in _NICE:
        timeout = min(interval, 2.0)
        if JITTER * interval + timeout <= room:
            ttl = min(service.ttl, int(limit - PUBLISH - 2 * (JITTER * interval + timeout)))
            said = f"interval: {_text(interval)}, timeout: {_text(timeout)} at the director {names}"
            return f"this would fit: {said}; ttl: {ttl} at the record"
    return f"no numbers fit: two readings of {names} and a TTL of 1 take longer than {limit:g} s"


def _text(value: float) -> str:
    """As it is written in a file: `500ms`, `2s`, `3`."""
    if isinstance(value, int):
        return str(value)
    return f"{value:g}s" if value >= 1 else f"{value * 1000:.0f}ms"
