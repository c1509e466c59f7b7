"""What a load without problems leaves for the next one, so that only what changed is read again. Plain data, floor 1.

Of each file a `Note`: what others must know of it, and what was said of it. Must not know: how files are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rrdns import wire
from rrdns.model import DataSet, Place, Problem, Zone
from rrdns.zonefile import references
from rrdns.zonefile.complaints import Complaints, Spot
from rrdns.zonefile.drafts import ServiceDraft, SetDraft, ZoneDraft
from rrdns.zonefile.pools import Shelf
from rrdns.zonefile.targets import targets_of


@dataclass(frozen=True, slots=True)
class Note:
    """One file.

    digest    of its bytes
    problems  warnings: of a pools file those that need no other file, of a zone file all there were
    shelf     the checks, directors and pools it defines; None: none
    zone      the zone it defines, at `spot`; None: it is a pools file
    dated     the zone's serial is the change time of the files
    used      the pools its records answer from
    refers    the pools it names in any way
    outward   names in other zones or in none of ours that its records lead to, and all names above these
    """

    digest: bytes
    problems: tuple[Problem, ...]
    shelf: Shelf | None = None
    zone: bytes | None = None
    spot: Spot = (0, 0)
    dated: bool = False
    used: frozenset[str] = frozenset()
    refers: frozenset[str] = frozenset()
    outward: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Known:
    dataset: DataSet
    notes: Mapping[str, Note]


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def note_of_zone(draft: ZoneDraft, data: bytes, shelf: Shelf | None, apexes: Collection[bytes]) -> Note:
    """Of a zone that was judged; its last problems are in the draft's complaints."""
    used = frozenset(references.used_by(draft))
    return Note(
        digest(data),
        tuple(draft.out.sorted()),
        shelf,
        draft.name,
        draft.spot,
        draft.serial is None,
        used,
        used | {name for name, _, _ in draft.pool_refs} | _helpers(shelf),
        frozenset(_outward(draft, apexes)),
    )


def _helpers(shelf: Shelf | None) -> set[str]:
    """Pools that the zone's own pools name."""
    return {one.name for entry in shelf.pools.values() for one in entry.pool_refs} if shelf else set()


def _outward(draft: ZoneDraft, apexes: Collection[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    for _, _, target, _, _ in targets_of(draft):
        at = target
        while at not in apexes and at != b"\0":
            at = wire.parent(at)
        if at == draft.name:
            continue
        at = target
        while at not in found:
            found.add(at)
            if at == b"\0":
                break
            at = wire.parent(at)
    return found


def shelves(shelf: Shelf) -> dict[str, Shelf]:
    """What each file put on a shelf."""
    found: dict[str, Shelf] = {}
    for kind in ("checks", "directors", "pools"):
        for name, entry in getattr(shelf, kind).items():
            place: Place = entry.place
            getattr(found.setdefault(place.file, Shelf()), kind)[name] = entry
    return found


def draft_of(zone: Zone, file: str, spot: Spot) -> ZoneDraft:
    """A zone as it was when it was read, but for where its records stand: for those whose targets lie in it."""
    draft = ZoneDraft(zone.name, Complaints(file), spot)
    for one in zone.rrsets:
        draft.sets.setdefault(one.name, {})[one.type] = SetDraft(one.ttl, (0, 0), "", list(one.rdatas))
    for service in zone.services:
        draft.services[service.name] = ServiceDraft(
            service.name, service.pool, service.ttl, service.ttl_min, service.answers, None, (0, 0), "", (0, 0)
        )
    return draft
