"""What waits to be told, and what was told last, on the disk: two tables of the state file, by a connection of our own.

Calls that change something take memory only, which is the truth; `flush` writes what has changed, in a thread of
its own, and never raises: while the disk takes nothing it says why, and tries again with everything. The state file
is made by the store; where it is not there yet, or was made anew, everything is written once it is. With no path
nothing is kept. Must not know: sinks, what notices mean.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrdns import log
from rrdns.control.clock import Clock, Moment
from rrdns.control.ownfile import close, stands
from rrdns.notify.notices import Key, Notice, known
from rrdns.notify.queue import Entry

RETRY = 3.0
BUSY = 5.0  # seconds to wait for the store's own writing
_WRONG = (ValueError, TypeError, LookupError, AttributeError)

_TABLES = """
CREATE TABLE IF NOT EXISTS notify_outbox(id INTEGER PRIMARY KEY, sink TEXT NOT NULL, boot TEXT, mono REAL, wall REAL,
    data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS notify_told(sink TEXT, subject TEXT, name TEXT, data TEXT NOT NULL,
    PRIMARY KEY(sink, subject, name)) WITHOUT ROWID;
"""

Told = tuple[str, str, str]
"""Sink, subject and name."""


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as it was put in."""

    sink: str
    at: Moment
    notices: tuple[Notice, ...]


class Outbox:
    def __init__(self, path: Path | None, clock: Clock) -> None:
        self.path = path
        self.why = ""
        """Why nothing can be written; empty: it can."""
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "outbox") if path is not None else None
        self._connection: sqlite3.Connection | None = None
        self._identity = (0, 0)
        self._rows: dict[int, Row] = {}
        self._told: dict[Told, Notice] = {}
        self._dirty_rows: set[int] = set()
        self._dirty_told: set[Told] = set()
        self._number = 0
        self._tried = float("-inf")
        self._writing = asyncio.Lock()

    # ------------------------------------------------------------------ start and end

    async def open(self) -> None:
        """Reads what was kept. Without a readable file it begins empty, and says so."""
        if self.path is None:
            return
        try:
            rows, told = await self._in_thread(self._read)
        except (OSError, sqlite3.Error) as error:
            self._fail(error)
            return
        self._rows, self._told = rows, told
        self._number = max(self._rows, default=0)

    async def close(self) -> None:
        if self._thread is None:
            return
        await self.flush(now=float("inf"))
        await self._in_thread(self._close)
        self._thread.shutdown(wait=False)

    def entries(self) -> list[Entry]:
        """What was kept, oldest first."""
        now = self._clock.moment()
        return [
            Entry(number, row.sink, now.of(row.at.mono, row.at), row.notices)
            for number, row in sorted(self._rows.items())
        ]

    def told(self, sink: str) -> dict[Key, Notice]:
        """What this sink was told last."""
        return {(subject, name): notice for (of, subject, name), notice in self._told.items() if of == sink}

    # ------------------------------------------------------------------ changes, in memory

    def put(self, sink: str, notices: Iterable[Notice]) -> Entry:
        self._number += 1
        at = self._clock.moment()
        entry = Entry(self._number, sink, at.mono, tuple(notices))
        self._rows[entry.id] = Row(sink, at, entry.notices)
        self._dirty_rows.add(entry.id)
        return entry

    def drop(self, ids: Iterable[int]) -> None:
        for one in ids:
            if self._rows.pop(one, None) is not None:
                self._dirty_rows.add(one)

    def keep_told(self, sink: str, before: Mapping[Key, Notice], after: Mapping[Key, Notice]) -> None:
        for key in before.keys() - after.keys():
            self._told.pop((sink, *key), None)
            self._dirty_told.add((sink, *key))
        for key, notice in after.items():
            if before.get(key) is not notice:
                self._told[(sink, *key)] = notice
                self._dirty_told.add((sink, *key))

    def keep_only(self, sinks: Iterable[str]) -> list[str]:
        """Forgets sinks that are in no settings any more; gives those of which something waited."""
        keep = set(sinks)
        gone = [number for number, row in self._rows.items() if row.sink not in keep]
        names = sorted({self._rows[one].sink for one in gone})
        self.drop(gone)
        for one in [one for one in self._told if one[0] not in keep]:
            del self._told[one]
            self._dirty_told.add(one)
        return names

    # ------------------------------------------------------------------ the disk

    async def flush(self, now: float | None = None) -> bool:
        """Writes what has changed; whether everything is on the disk, or nothing is to be. Cancelled, it is still done
        to its end: the next one waits for it."""
        return self.path is None or await asyncio.shield(self._flush(now))

    async def _flush(self, now: float | None) -> bool:
        async with self._writing:
            if not (self._dirty_rows or self._dirty_told) and not self.why:
                return True
            at = self._clock.now() if now is None else now
            if self.why and at - self._tried < RETRY:
                return False
            self._tried = self._clock.now()
            rows, told = self._dirty_rows, self._dirty_told
            self._dirty_rows, self._dirty_told = set(), set()
            try:
                await self._in_thread(self._write, rows, told, dict(self._rows), dict(self._told), bool(self.why))
            except (OSError, sqlite3.Error) as error:
                self._dirty_rows |= rows
                self._dirty_told |= told
                self._fail(error)
                return False
            if self.why:
                log.logger.info("notifications are saved again in %s", self.path)
                self.why = ""
            return True

    def _fail(self, error: Exception) -> None:
        why = f"{self.path}: {error}"
        if self.why != why:
            log.logger.error("%s: notifications go out, but what waits is NOT saved; trying again", why)
        self.why = why

    async def _in_thread(self, function: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    # ------------------------------------------------------------------ in the thread

    def _read(self) -> tuple[dict[int, Row], dict[Told, Notice]]:
        """What can't be understood is left out; at worst something is told again."""
        db, rows, told, wrong = self._open(), {}, {}, 0
        for number, sink, boot, mono, wall, data in db.execute("SELECT * FROM notify_outbox"):
            try:
                notices = tuple(known(one) for one in json.loads(data))
                rows[int(number)] = Row(str(sink), Moment(str(boot), float(mono), float(wall)), notices)
            except _WRONG:
                wrong += 1
        for sink, subject, name, data in db.execute("SELECT * FROM notify_told"):
            try:
                told[str(sink), str(subject), str(name)] = known(json.loads(data))
            except _WRONG:
                wrong += 1
        if wrong:
            log.logger.error("%s: %d notifications kept there could not be understood", self.path, wrong)
        return rows, told

    def _write(
        self, rows: set[int], told: set[Told], all_rows: dict[int, Row], all_told: dict[Told, Notice], anew: bool
    ) -> None:
        """All or nothing. A file that is not the one we opened, or missed something, gets everything."""
        anew = anew or not self._is_open()
        db = self._open()
        try:
            db.execute("BEGIN IMMEDIATE")
            if anew:
                db.execute("DELETE FROM notify_outbox")
                db.execute("DELETE FROM notify_told")
                rows, told = set(all_rows), set(all_told)
            db.executemany("DELETE FROM notify_outbox WHERE id = ?", [(one,) for one in rows])
            db.executemany(
                "INSERT INTO notify_outbox VALUES(?,?,?,?,?,?)",
                [_columns(one, all_rows[one]) for one in rows if one in all_rows],
            )
            db.executemany("DELETE FROM notify_told WHERE sink = ? AND subject = ? AND name = ?", list(told))
            db.executemany(
                "INSERT INTO notify_told VALUES(?,?,?,?)",
                [(*one, json.dumps(all_told[one].shown())) for one in told if one in all_told],
            )
            db.execute("COMMIT")
        except BaseException:
            self._close()
            raise

    def _is_open(self) -> bool:
        return self._connection is not None and self.path is not None and stands(self.path, self._identity)

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._is_open():
            return self._connection
        self._close()
        assert self.path is not None
        found = self.path.lstat()  # made by the store, which also looks that it is a plain file of ours
        where = f"{self.path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(where, uri=True, timeout=BUSY, isolation_level=None, check_same_thread=False)
        try:
            if not connection.execute("PRAGMA user_version").fetchone()[0]:
                raise sqlite3.OperationalError("the state file is not made yet")
            connection.executescript(_TABLES)
        except BaseException:
            connection.close()
            raise
        self._connection, self._identity = connection, (found.st_dev, found.st_ino)
        return connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        close(connection)


def _columns(number: int, row: Row) -> tuple[object, ...]:
    data = json.dumps([one.shown() for one in row.notices])
    return number, row.sink, row.at.boot, row.at.mono, row.at.wall, data
