"""Reading events from the files of a server: from its journal and its state file, read only. Blocking.

Raises journal_reading.Unreadable, with words for people. Must not know: who asks, how what both tell becomes one list.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rrdns.control import journalfile, statefile
from rrdns.control.journal_reading import Unreadable, connect

COLUMNS = ("time", "subject", "name", "before", "after", "why")


@dataclass(slots=True)
class Part:
    """Events, oldest first, and since when they are kept (wall time); None: nothing is."""

    events: list[dict[str, Any]] = field(default_factory=list)
    kept: float | None = None


def of_journal(path: Path, limit: int, since: float, pool: str) -> Part:
    """The last `limit` from `since` (wall time) on; `pool`: only its own and its members'."""
    return _read(path, journalfile.VERSION, limit, since, pool, ("inputs", "events"), "journal")


def of_state(path: Path, limit: int, since: float, pool: str) -> Part:
    return _read(path, statefile.VERSION, limit, since, pool, ("events",), "state file")


def _read(path: Path, version: int, limit: int, since: float, pool: str, tables: tuple[str, ...], what: str) -> Part:
    wanted, its = "time >= ? AND typeof(time) = 'real'", [since]
    named: list[Any] = []
    if pool:
        wanted += " AND (name = ? OR substr(name, 1, ?) = ?)"
        named = [pool, len(pool) + 1, f"{pool}/"]
    found = Part()
    try:
        with closing(connect(path, version, what)) as db:
            firsts = [db.execute(f"SELECT time FROM {table} ORDER BY id LIMIT 1").fetchone() for table in tables]
            found.kept = min((row[0] for row in firsts if row and isinstance(row[0], float)), default=None)
            rows = db.execute(
                f"SELECT {', '.join(COLUMNS)} FROM events WHERE {wanted} ORDER BY id DESC LIMIT ?",
                (*its, *named, limit),
            )
            found.events = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    except sqlite3.Error as error:
        raise Unreadable(f"{path}: the {what} can't be read: {error}") from error
    found.events.reverse()
    return found
