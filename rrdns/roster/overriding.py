"""Operators' words on members, as pools hold them: whom they mean, when they end, what taking members away would do.

Floor 3, pure; the roster calls it with its pools. Must not know: checks, directors, who serves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rrdns.model import Event
from rrdns.roster import telling
from rrdns.roster.duty import Duty


class UnknownMember(LookupError):
    """No such member in that pool; the message says so."""


def find(duties: Mapping[str, Duty], pool: str, member: str) -> tuple[Duty, int | None]:
    """The pool and the member's place in it; no place: it is away, and its override waits for it. Raises
    UnknownMember."""
    duty = duties.get(pool)
    if duty is None:
        raise UnknownMember(f"there is no pool {pool!r}")
    index = duty.index(member)
    if index is None and member not in duty.overrides:
        raise UnknownMember(f"pool {pool!r} has no member {member!r}")
    return duty, index


def emptied(duties: Mapping[str, Duty], members: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Pools that have somebody available now and would not, were these (pool, member) taken away."""
    away: dict[str, set[str]] = {}
    for pool, member in members:
        away.setdefault(pool, set()).add(member)
    able = {pool: {one.name for one in duties[pool].hosts if one.available} for pool in away if pool in duties}
    return tuple(pool for pool in sorted(able) if able[pool] and able[pool] <= away[pool])


def expire(duty: Duty, now: float) -> Iterator[tuple[int | None, Event]]:
    """Takes the overrides away whose time is over; whose they were, and what there is to tell."""
    for member, override in list(duty.overrides.items()):
        if override.until is not None and override.until <= now:
            del duty.overrides[member]
            event = telling.overridden(duty.pool.name, member, override, "none", "its time is over", now)
            yield duty.index(member), event


def deadlines(duty: Duty, now: float) -> Iterator[float]:
    """When overrides end, and when they come so near their end that a TTL must shrink."""
    ttls = [one.ttl for one in duty.services] + [one.ttl for one in duty.hinted]
    for override in duty.overrides.values():
        if override.until is not None:
            yield max(override.until, now)
            yield from (override.until - ttl for ttl in ttls if override.until - ttl > now)
