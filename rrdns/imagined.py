"""Where `whatif` begins: what a running server knows, or files with everything up. Floor 3, pure.

Must not know: outages, files, sockets, clocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rrdns.model import DataSet, Director, DirectorTable, Health, Override, Pool, Report, Result, Standing
from rrdns.roster.directors import Kept
from rrdns.roster.names import KeptNames
from rrdns.roster.roster import Roster

SHOWN = 8
GOOD = Result(True, "taken to be up")


@dataclass(frozen=True, slots=True)
class Known:
    """What a server knows; times on its own clock, on which it is `now`. `isolation_hold`, `witness`: its settings."""

    dataset: DataSet
    health: Mapping[str, Health]
    overrides: tuple[Override, ...] = ()
    members: Kept = field(default_factory=dict)
    standings: Mapping[str, Standing] = field(default_factory=dict)
    tables: Mapping[str, DirectorTable | str] = field(default_factory=dict)
    now: float = 0.0
    isolation_hold: float = 60.0
    witness: tuple[str, ...] = ()
    names: KeptNames = field(default_factory=dict)


def all_up(dataset: DataSet) -> tuple[Known, tuple[str, ...]]:
    """Everything these files name up, and every director saying so; and what can't be imagined. A host name, which is
    resolved at run time, is taken to have one address: one that is nobody's (RFC 6666)."""
    hosts = sorted({host for pool in dataset.pools.values() for one in pool.members for host in one.hosts})
    names = {host: ((), (f"100::{number:x}",), 0.0) for number, host in enumerate(hosts, 1)}
    empty = Roster()
    empty.restore({}, (), names=names)
    empty.load(dataset, 0.0)
    for key in empty.targets():
        empty.note(key, GOOD, 0.0)
    empty.flush(0.0)
    health = {key: empty.health(key) for key in empty.targets()}
    notes = [
        f"pool {pool.name}: who its members are is known to its director only; without a server there is nobody"
        for pool in dataset.pools.values()
        if not pool.members
    ]
    tables = {name: _imagined(director, dataset.pools.values()) for name, director in dataset.directors.items()}
    if hosts:
        more = f" and {len(hosts) - SHOWN} more" if len(hosts) > SHOWN else ""
        notes.append(f"resolved at run time, here taken to be one host each: {', '.join(hosts[:SHOWN])}{more}")
    return Known(dataset, health, tables=tables, isolation_hold=60.0, names=names), tuple(notes)


def _imagined(director: Director, pools: Iterable[Pool]) -> DirectorTable:
    """A table in which every member of the files is up, called by its name."""
    parts: dict[str, dict[str, Report]] = {}
    for pool in pools:
        for one in pool.following:
            if one.director != director.name:
                continue
            part = parts.setdefault(one.part, {})
            names = [f"{one.member}-{number}" for number in range(one.quorum)] if one.use == "virtual" else []
            for name in names or [member.name for member in pool.members]:
                weight = next((member.weight for member in pool.members if member.name == name), 1)
                part[name] = Report(name, "", 0, "up", "taken to be up", weight=weight)
    return DirectorTable({name: tuple(part.values()) for name, part in parts.items()})


def roster_of(known: Known) -> Roster:
    """A roster that has heard what the server has."""
    roster = Roster(None, known.isolation_hold, known.witness)
    roster.restore(known.health, known.overrides, known.members, known.standings, names=known.names)
    roster.load(known.dataset, known.now)
    return roster
