"""JournalFile: the sqlite file of the journal. Blocking; `journal` calls it from a thread of its own.

    sessions   one unbroken stretch of writing: from a start, a step of the wall clock, or a hole where rows were lost
    targets    what a target's key stands for, told once
    runs       equal results of one target in a row: first, last and count, and the first TIMES moments one by one
    inputs     loads, overrides, reports of directors (what is new in them); pictures, from which a reader can begin
    files      contents of accepted files and lists of them, compressed, each once
    events     the transitions that followed

It is apart from the state file on purpose: losing it costs no decision. Bounded by age and by size, the oldest rows
go first; a damaged file, or one of another version, is moved aside. Raises OSError and sqlite3.Error; what then is
`journal`'s business.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rrdns.control.ownfile import OwnFile, settle_version, transaction

VERSION = 1
KEPT_ASIDE = 2
ROOM = 0.9  # of the size allowed is used at most; the rest is for what is written until the next look
SLACK = 1.02  # of the age may pass before the oldest go: not at every look
STEP = 0.15  # of the time that is there goes at once where room is needed

_TABLES = """
CREATE TABLE sessions(id INTEGER PRIMARY KEY, wall REAL, kind TEXT, data TEXT);
CREATE TABLE targets(id INTEGER PRIMARY KEY, key TEXT, about TEXT);
CREATE TABLE runs(id INTEGER PRIMARY KEY, session INTEGER, target INTEGER, first REAL, last REAL, count INTEGER,
    ok INTEGER, silent INTEGER, reason TEXT, said TEXT, times BLOB);
CREATE TABLE inputs(id INTEGER PRIMARY KEY, session INTEGER, time REAL, kind TEXT, name TEXT, data TEXT);
CREATE TABLE files(digest TEXT PRIMARY KEY, data BLOB);
CREATE TABLE events(id INTEGER PRIMARY KEY, session INTEGER, time REAL, subject TEXT, name TEXT, before TEXT,
    after TEXT, why TEXT);
"""

RunRow = tuple[int, int, int, float, float, int, int, int, str, str, bytes]
InputRow = tuple[int, float, str, str, str]
EventRow = tuple[int, float, str, str, str, str, str]


@dataclass(slots=True)
class Batch:
    """What one transaction writes. `files`: contents by digest, compressed only here."""

    sessions: list[tuple[int, float, str, str]] = field(default_factory=list)
    targets: list[tuple[int, str, str]] = field(default_factory=list)
    runs: dict[int, RunRow] = field(default_factory=dict)
    inputs: list[InputRow] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    events: list[EventRow] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.sessions or self.targets or self.runs or self.inputs or self.files or self.events)

    def __len__(self) -> int:
        return len(self.runs) + len(self.inputs) + len(self.events) + len(self.targets)


@dataclass(slots=True)
class Opened:
    """What a file held: the last numbers in use, and targets by key. `note`: what was wrong with it, for the log."""

    session: int
    run: int
    targets: dict[str, int]
    note: str = ""


class JournalFile(OwnFile[Opened]):
    """`size` in bytes, `age` in seconds: the bounds."""

    def __init__(self, path: Path, age: float, size: int) -> None:
        super().__init__(path, KEPT_ASIDE)
        self._age = age
        self._size = size
        self._page = 4096
        self.files: set[str] = set()
        """Digests of the files it holds."""

    def open(self, damaged: str = "") -> Opened:
        """Opens or makes the file. `damaged`: a write found it so."""
        opened, note = self._open(damaged)
        opened.note = note
        return opened

    def _begin(self, db: sqlite3.Connection) -> Opened:
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # takes effect in a new file only
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=OFF")  # the journal may lose its last second; sqlite keeps it whole
        db.execute("PRAGMA journal_size_limit=4194304")
        db.execute("PRAGMA trusted_schema=OFF")
        settle_version(db, VERSION, _TABLES)
        self._page = int(db.execute("PRAGMA page_size").fetchone()[0])
        db.execute(f"PRAGMA max_page_count={max(64, self._size // self._page)}")
        self.files = {row[0] for row in db.execute("SELECT digest FROM files")}
        db.execute("DELETE FROM targets WHERE id NOT IN (SELECT target FROM runs)")
        session, run = (
            int(db.execute(f"SELECT coalesce(max(id), 0) FROM {name}").fetchone()[0]) for name in ("sessions", "runs")
        )
        targets = {str(key): int(number) for number, key in db.execute("SELECT id, key FROM targets ORDER BY id")}
        for name in ("inputs", "events"):
            db.execute(f"SELECT id FROM {name} LIMIT 1").fetchone()  # a table that has gone is damage
        return Opened(session, run, targets)

    # ------------------------------------------------------------------ writing

    def write(self, batch: Batch, now: float | None) -> bool:
        """All of the batch or nothing of it; with `now`, a wall time, then what is too old or too much goes. Whether
        something went."""
        db = self._db
        packed = [(name, zlib.compress(data)) for name, data in batch.files.items() if name not in self.files]
        with transaction(db):
            db.executemany("INSERT OR REPLACE INTO sessions VALUES(?,?,?,?)", batch.sessions)
            db.executemany("INSERT OR REPLACE INTO targets VALUES(?,?,?)", batch.targets)
            db.executemany(_RUN, batch.runs.values())
            db.executemany("INSERT INTO inputs(session, time, kind, name, data) VALUES(?,?,?,?,?)", batch.inputs)
            db.executemany("INSERT OR IGNORE INTO files VALUES(?,?)", self._fitting(packed))
            db.executemany(_EVENT, batch.events)
        self.files.update(name for name, _ in packed)
        return now is not None and self.prune(now)

    def _fitting(self, packed: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        """Files that would fill half of the room by themselves are left out; a reader says which it misses."""
        return [(name, data) for name, data in packed if len(data) <= self._size // 2]

    def prune(self, now: float) -> bool:
        """What is older than the bound goes, then from the oldest on as much as is over the size. Whether some was."""
        db = self._db
        oldest = self._oldest(db)
        forgot = oldest is not None and oldest < now - SLACK * self._age
        if forgot:
            self._forget(db, now - self._age)
        for _ in range(40):
            if self.used() <= ROOM * self._size:
                break
            oldest = self._oldest(db)
            if oldest is None or oldest >= now:
                break
            self._forget(db, oldest + max(1.0, STEP * (now - oldest)))
            forgot = True
        free = int(db.execute("PRAGMA freelist_count").fetchone()[0])
        if free > 256:
            db.execute(f"PRAGMA incremental_vacuum({free})").fetchall()
        return forgot

    def used(self) -> int:
        """Bytes in use; pages that are free wait to be used again."""
        db = self._db
        pages, free = (int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count"))
        return (pages - free) * self._page

    @staticmethod
    def _oldest(db: sqlite3.Connection) -> float | None:
        row = db.execute(
            "SELECT min(t) FROM (SELECT min(last) t FROM runs UNION ALL SELECT min(time) FROM inputs"
            " UNION ALL SELECT min(time) FROM events)"
        ).fetchone()
        return None if row[0] is None else float(row[0])

    def _forget(self, db: sqlite3.Connection, before: float) -> None:
        with transaction(db):
            db.execute("DELETE FROM runs WHERE last < ?", (before,))
            db.execute("DELETE FROM events WHERE time < ?", (before,))
            db.execute("DELETE FROM inputs WHERE time < ?", (before,))
            wanted: set[str] = set()
            for (text,) in db.execute("SELECT data FROM inputs WHERE kind IN ('load', 'picture')").fetchall():
                name = json.loads(text).get("files")
                row = db.execute("SELECT data FROM files WHERE digest = ?", (name,)).fetchone()
                if name in wanted or row is None:
                    continue
                wanted.add(name)
                wanted.update(digest for digest, _ in json.loads(zlib.decompress(row[0])).values())
            gone = self.files - wanted
            db.executemany("DELETE FROM files WHERE digest = ?", [(name,) for name in gone])
        self.files -= gone


_RUN = (
    "INSERT INTO runs VALUES(?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET"
    " last = excluded.last, count = excluded.count, times = excluded.times"
)
_EVENT = "INSERT INTO events(session, time, subject, name, before, after, why) VALUES(?,?,?,?,?,?,?)"
