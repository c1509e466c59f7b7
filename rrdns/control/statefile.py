"""StateFile: the sqlite file below the state directory. Blocking; `store` calls it from a thread of its own.

Holds what a restart needs (health, overrides, serials) and what people ask for (events); the journal of inputs has
a file of its own (`journalfile.py`). Raises OSError and sqlite3.Error; what then is `store`'s business.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rrdns.control.clock import Moment
from rrdns.control.ownfile import OwnFile, settle_version, transaction
from rrdns.model import Health, Override, State
from rrdns.overrides import slot

VERSION = 1
EVENTS = 10_000  # kept at most
EVENTS_AGE = 90 * 86400.0
KEPT_ASIDE = 3  # damaged files; older ones are removed

_TABLES = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE health(target TEXT PRIMARY KEY, state TEXT, since REAL, failures INTEGER, successes INTEGER,
    need INTEGER, relapse_at REAL, seen REAL, reason TEXT, took REAL, boot TEXT, mono REAL, wall REAL) WITHOUT ROWID;
CREATE TABLE overrides(pool TEXT, member TEXT, word TEXT, owner TEXT, reason TEXT, since_wall REAL, until REAL,
    until_wall REAL, boot TEXT, mono REAL, wall REAL, PRIMARY KEY(pool, member, word)) WITHOUT ROWID;
CREATE TABLE serials(zone TEXT PRIMARY KEY, serial INTEGER, digest TEXT) WITHOUT ROWID;
CREATE TABLE events(id INTEGER PRIMARY KEY, time REAL, subject TEXT, name TEXT, before TEXT, after TEXT, why TEXT);
"""

EventRow = tuple[float, str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class KeptHealth:
    """Health as it was at a moment; its times count on that moment's clock."""

    health: Health
    at: Moment


@dataclass(slots=True)
class Batch:
    """What one transaction writes. None in `health` removes; `overrides` replaces them all."""

    health: dict[str, KeptHealth | None] = field(default_factory=dict)
    overrides: tuple[tuple[Override, Moment], ...] | None = None
    serials: dict[str, tuple[int, str]] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)
    events: list[EventRow] = field(default_factory=list)
    anew: bool = False
    """Health, overrides and serials are complete: what stands in the file goes."""
    durable: bool = False
    """On the disk, not only in the system's hands, when the write returns."""
    prune: bool = False


@dataclass(slots=True)
class Kept:
    """What a file held. `notes`: what was wrong with it, for the log."""

    health: dict[str, KeptHealth] = field(default_factory=dict)
    overrides: list[tuple[Override, Moment]] = field(default_factory=list)
    serials: dict[str, tuple[int, str]] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)
    events: list[EventRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class StateFile(OwnFile[Kept]):
    def __init__(self, path: Path) -> None:
        super().__init__(path, KEPT_ASIDE)

    def open(self, damaged: str = "") -> Kept:
        """Opens or makes the file and gives what it holds; `damaged`: a write found it so, begin a new one."""
        kept, note = self._open(damaged)
        if note:
            kept.notes.append(note)
        return kept

    def _begin(self, db: sqlite3.Connection) -> Kept:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA journal_size_limit=4194304")
        db.execute("PRAGMA trusted_schema=OFF")
        settle_version(db, VERSION, _TABLES)
        return _read(db)

    # ------------------------------------------------------------------ writing

    def write(self, batch: Batch, wall: float) -> None:
        """All of the batch or nothing of it."""
        db = self._db
        db.execute(f"PRAGMA synchronous={'FULL' if batch.durable else 'NORMAL'}")
        with transaction(db):
            _put(db.executemany, batch)
            if batch.prune:
                _prune(db, wall)


_HEALTH = "INSERT OR REPLACE INTO health VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)"
_OVERRIDE = "INSERT OR REPLACE INTO overrides VALUES(?,?,?,?,?,?,?,?,?,?,?)"


def _put(many: Callable[[str, Iterable[Any]], object], batch: Batch) -> None:
    many("INSERT INTO events(time, subject, name, before, after, why) VALUES(?,?,?,?,?,?)", batch.events)
    if batch.anew:
        for table in ("health", "serials"):
            many(f"DELETE FROM {table} WHERE ?", [(1,)])
    many("DELETE FROM health WHERE target = ?", [(key,) for key, kept in batch.health.items() if kept is None])
    many(_HEALTH, [_health_row(key, kept) for key, kept in batch.health.items() if kept is not None])
    if batch.overrides is not None:
        many("DELETE FROM overrides WHERE ?", [(1,)])
        many(_OVERRIDE, [_override_row(override, at) for override, at in batch.overrides])
    many("INSERT OR REPLACE INTO serials VALUES(?,?,?)", [(zone, *value) for zone, value in batch.serials.items()])
    many("INSERT OR REPLACE INTO meta VALUES(?,?)", batch.meta.items())


def _prune(db: sqlite3.Connection, wall: float) -> None:
    db.execute("DELETE FROM events WHERE time < ?", (wall - EVENTS_AGE,))
    db.execute("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?", (EVENTS,))


def _health_row(key: str, kept: KeptHealth) -> tuple[object, ...]:
    health, at = kept.health, kept.at
    return (
        key,
        health.state.value,
        health.since,
        health.failures,
        health.successes,
        health.need,
        health.relapse_at,
        health.seen,
        health.reason,
        health.took,
        at.boot,
        at.mono,
        at.wall,
    )


def _override_row(override: Override, at: Moment) -> tuple[object, ...]:
    return (
        override.pool,
        override.member,
        override.word,
        override.owner,
        override.reason,
        override.since_wall,
        override.until,
        override.until_wall,
        at.boot,
        at.mono,
        at.wall,
    )


# ---------------------------------------------------------------------- reading


def _read(db: sqlite3.Connection) -> Kept:
    """Everything a start needs. Rows that can't be true are left out and counted in a note."""
    kept = Kept()
    wrong = 0
    for row in db.execute("SELECT * FROM health"):
        try:
            kept.health[row[0]] = KeptHealth(_health(row), Moment(str(row[10]), float(row[11]), float(row[12])))
        except (TypeError, ValueError):
            wrong += 1
    for row in db.execute("SELECT * FROM overrides ORDER BY since_wall"):
        try:
            kept.overrides.append((_override(row), Moment(str(row[8]), float(row[9]), float(row[10]))))
        except (TypeError, ValueError):
            wrong += 1
    for zone, serial, digest in db.execute("SELECT * FROM serials"):
        if isinstance(serial, int) and 0 <= serial < 1 << 32:
            kept.serials[str(zone)] = (serial, str(digest))
        else:
            wrong += 1
    kept.meta = {str(key): str(value) for key, value in db.execute("SELECT * FROM meta")}
    for row in db.execute("SELECT * FROM events ORDER BY id DESC LIMIT ?", (EVENTS,)):
        if isinstance(row[1], float):
            subject, name, before, after, why = (str(value) for value in row[2:7])
            kept.events.append((row[1], subject, name, before, after, why))
    kept.events.reverse()
    if wrong:
        kept.notes.append(f"{wrong} rows of the state file could not be understood and were left out")
    return kept


def _health(row: tuple[Any, ...]) -> Health:
    since, relapse_at, seen, took = (float(row[index]) for index in (2, 6, 7, 9))
    failures, successes, need = (int(row[index]) for index in (3, 4, 5))
    if min(failures, successes, need) < 0 or need > 1000 or not all(map(math.isfinite, (since, relapse_at, seen))):
        raise ValueError("no counters and times that can be")
    return Health(State(row[1]), since, failures, successes, need, relapse_at, seen, str(row[8]), took)


def _override(row: tuple[Any, ...]) -> Override:
    slot(str(row[2]))  # ValueError for an unknown word
    until, until_wall = (None if value is None else float(value) for value in row[6:8])
    return Override(str(row[0]), str(row[1]), str(row[2]), str(row[3]), str(row[4]), float(row[5]), until, until_wall)
