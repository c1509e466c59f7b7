"""Slow start: a host that comes back gets its share in steps, so that its caches are warm before the crowd comes.

Floor 1, pure. `slow_start: 60s` of a pool: from the moment a member joined, its weight climbs from a tenth to the
whole. Steps are no shorter than the TTL: a shorter one would be over before any client had noticed. Must not know:
why a member joined. (At the start of the server nobody joins: then there is no step to take.)
"""

from __future__ import annotations

from math import floor

FIRST = 0.1
STEPS = 10


def share(joined: float, now: float, length: float, ttl: float) -> float:
    """The part of its weight a member has: 0.1 .. 1. `length` 0: at once."""
    if length <= 0 or now >= joined + length:
        return 1.0
    step, taken = _taken(joined, now, length, ttl)
    return min(1.0, FIRST + (1 - FIRST) * taken * step / length)


def next_step(joined: float, now: float, length: float, ttl: float) -> float | None:
    """When the share changes next; None: it will not."""
    if length <= 0 or now >= joined + length:
        return None
    step, taken = _taken(joined, now, length, ttl)
    return min(joined + length, joined + (taken + 1) * step)


def _taken(joined: float, now: float, length: float, ttl: float) -> tuple[float, int]:
    """The length of a step, and how many were taken; what `next_step` said counts as reached."""
    step = max(ttl, length / STEPS)
    return step, floor((now - joined) / step + 1e-6)


def weights(base: list[int], parts: list[float]) -> list[int]:
    """Whole weights in the proportion base * part; a member with a weight keeps at least a thousandth."""
    if all(part == 1.0 for part in parts):
        return base
    fine = 1000
    return [max(1, round(weight * part * fine)) if weight else 0 for weight, part in zip(base, parts, strict=True)]
