"""A zone while it is being read: what its file says, and where each word stands. Plain data, floor 1.

Records with faults leave a trace (`broken`), so that one mistake is reported once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rrdns.model import Place
from rrdns.zonefile.complaints import Complaints, Spot

DEFAULT_TTL = 300


@dataclass(slots=True)
class SetDraft:
    """The records of one (name, type); `spots` stand beside `rdatas`, `path` is the record's as messages show it."""

    ttl: int
    spot: Spot
    path: str
    rdatas: list[bytes] = field(default_factory=list)
    spots: list[Spot] = field(default_factory=list)
    pools: dict[Spot, str] = field(default_factory=dict)
    """SVCB and HTTPS: the pools that give records their address hints, by the spot of the record."""


@dataclass(slots=True)
class ServiceDraft:
    """A POOL record; `scheduler` None: the pool's. The pool may be unknown or faulty."""

    name: bytes
    pool: str
    ttl: int
    ttl_min: int
    answers: int
    scheduler: str | None
    spot: Spot
    path: str
    answers_spot: Spot
    budget: float | None = None
    budget_spot: Spot = (0, 0)


@dataclass(slots=True)
class ZoneDraft:
    """One zone file."""

    name: bytes
    out: Complaints
    spot: Spot
    sets: dict[bytes, dict[int, SetDraft]] = field(default_factory=dict)
    services: dict[bytes, ServiceDraft] = field(default_factory=dict)
    broken: set[tuple[bytes, int]] = field(default_factory=set)
    """(name, type) of records with faults; type 0: a POOL, or a record whose type is not known."""

    hinted: set[tuple[bytes, int]] = field(default_factory=set)
    """(name, type) of the sets with `pools`."""

    pool_refs: list[tuple[str, Spot, str]] = field(default_factory=list)
    """The names of pools that records mean, faulty records' too, with place and path."""

    serial: int | None = None
    default_ttl: int = DEFAULT_TTL

    @property
    def place(self) -> Place:
        return self.out.place(self.spot)

    def names(self) -> set[bytes]:
        """All owners, those of faulty records too."""
        return {*self.sets, *self.services, *(name for name, _ in self.broken)}
