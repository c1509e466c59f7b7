"""SVCB and HTTPS records whose address hints follow pools: which, and their rings of this moment. Floor 3, pure.

A record takes from a pool what a POOL name with the same `answers` and `scheduler` would: the same order, the same
TTL rule. A pool without anybody to answer gives no hints, whatever its `when_down` says of A and AAAA. Must not know:
how anything is decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from rrdns import hinting
from rrdns.answers import AnswerSet, Key, key
from rrdns.model import Hinted, Hints, Service

if TYPE_CHECKING:
    from rrdns.roster.duty import Duty
    from rrdns.roster.roster import Roster


def place(one: Hinted) -> Key:
    return key(one.rrset.name, one.rrset.type)


def by_pool(found: Iterable[Hinted]) -> dict[str, tuple[Hinted, ...]]:
    """Each pool with the records that take hints from it."""
    users: dict[str, list[Hinted]] = {}
    for one in found:
        for pool in pools(one):
            users.setdefault(pool, []).append(one)
    return {pool: tuple(of) for pool, of in users.items()}


def pools(one: Hinted) -> tuple[str, ...]:
    """The pools of its records, each once."""
    return tuple(dict.fromkeys(each.pool for each in one.hints if each is not None))


def as_service(one: Hinted, hints: Hints) -> Service:
    """The POOL name whose addresses the hints are."""
    return Service(one.rrset.name, one.zone, hints.pool, one.ttl, one.ttl_min, hints.answers, hints.scheduler)


def why_short(roster: Roster, one: Hinted, now: float) -> str:
    """Why the records have `ttl_min` now; empty when they have not."""
    services = [as_service(one, hints) for hints in one.hints if hints is not None]
    return next((why for why in (roster.why_short(service, now) for service in services) if why), "")


def rings(roster: Roster, names: Iterable[str], now: float) -> Iterator[tuple[Key, AnswerSet]]:
    """The rings that follow these pools, as they are to be now. Equal records of many names share one."""
    due = {place(one): one for name in names for one in roster.duties[name].hinted}
    whys: dict[object, str] = {}
    made: dict[object, AnswerSet] = {}
    for at, one in due.items():
        kind = one.ttl, one.hints
        if kind not in whys:
            whys[kind] = why_short(roster, one, now)
        ttl = min(one.ttl, one.ttl_min) if whys[kind] else one.ttl
        addressed = roster.statics.zone(one.zone).addressed
        alike = one.rrset.type, one.rrset.rdatas, one.hints, ttl, addressed
        if alike not in made:
            made[alike] = _ring(one, roster.duties, ttl, addressed)
        yield at, made[alike]


def _ring(one: Hinted, duties: Mapping[str, Duty], ttl: int, addressed: frozenset[bytes]) -> AnswerSet:
    slots: list[hinting.Families | None] = []
    for hints in one.hints:
        if hints is None:
            slots.append(None)
            continue
        v4, v6 = duties[hints.pool].orders(as_service(one, hints))
        slots.append((v4.packed(), v6.packed()))
    told = (duties[pool].ede for pool in pools(one))
    return hinting.hinted_ring(one, slots, ttl, addressed, next((ede for ede in told if ede), b""))
