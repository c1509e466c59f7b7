"""Reading a journal: from its sqlite file to a `recorded.Recording`. Blocking, read only, beside a server that writes.

Must not know: what is made of it. Raises Unreadable, with words for people.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import zlib
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rrdns import zonefile
from rrdns.control.journal import TICK
from rrdns.control.journalfile import VERSION
from rrdns.counted import LONGEST
from rrdns.model import Result
from rrdns.recorded import Input, Recording, Run, Session

Json = dict[str, Any]


class Unreadable(Exception):
    """There is no journal, or not one of ours."""


def read(path: Path, since: float, until: float = float("inf"), datasets: bool = True) -> Recording:
    """What the journal holds of the time from `since` (wall time) on, and from the last picture before that."""
    try:
        db = connect(path)
        try:
            return _read(db, since, until, datasets)
        finally:
            db.close()
    except sqlite3.Error as error:
        raise Unreadable(f"{path}: the journal can't be read: {error}") from error


def connect(path: Path, known: int = VERSION, what: str = "journal") -> sqlite3.Connection:
    """Read only. The path is not opened by itself: where the writer is this process too, closing that would take its
    locks away (POSIX). Raises sqlite3.Error too."""
    try:
        path.stat()
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except FileNotFoundError:
        why = f"there is no {what} here; give the server's state folder with --state DIR, or --journal FILE"
        raise Unreadable(f"{path}: {why}") from None
    except OSError as error:
        why = f"{error.strerror}; it is read as root or as the server's user"
        raise Unreadable(f"{path}: the {what} can't be read: {why}") from error
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)
    try:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version != known:
            raise Unreadable(f"{path}: a {what} of version {version}; this rrdns reads version {known}")
    except BaseException:
        db.close()
        raise
    db.execute("BEGIN")  # one picture of it all, however the server goes on
    return db


def _read(db: sqlite3.Connection, since: float, until: float, datasets: bool) -> Recording:
    found = Recording()
    row = db.execute("SELECT max(time) FROM inputs WHERE kind = 'picture' AND time <= ?", (since,)).fetchone()
    begin = row[0] if row[0] is not None else float("-inf")
    found.sessions = _sessions(db, begin)
    if not found.sessions:
        return found
    ahead = {one.number: one.ahead for one in found.sessions}
    for session, time, kind, name, data in db.execute(
        "SELECT session, time, kind, name, data FROM inputs WHERE time >= ?"
        " AND (time <= ? OR kind = 'counts' AND time <= ?) ORDER BY session, time, id",
        (begin, until, until + 2 * LONGEST),  # a row of counts tells of the time before
    ):
        if session in ahead:
            found.inputs.append(Input(time + ahead[session], session, kind, name, json.loads(data)))
    found.inputs.sort(key=lambda one: one.at)
    keys = _runs(db, found, ahead, begin, until)
    found.abouts = {
        str(key): json.loads(text) for number, key, text in db.execute("SELECT id, key, about FROM targets")
        if number in keys
    }  # fmt: skip
    columns = ("time", "subject", "name", "before", "after", "why")
    for session, *values in db.execute(
        "SELECT session, time, subject, name, before, after, why FROM events WHERE time >= ? AND time <= ?"
        " ORDER BY session, id",
        (begin, until),
    ):
        if session in ahead:
            found.events.append({**dict(zip(columns, values, strict=True)), "at": values[0] + ahead[session]})
    if datasets:
        _datasets(db, found)
    return found


def _sessions(db: sqlite3.Connection, since: float) -> list[Session]:
    """All that reach beyond `since`, one after another in steady time."""
    ends: dict[int, float] = {}
    for table, last in (("runs", "last"), ("inputs", "time"), ("events", "time")):
        for number, end in db.execute(f"SELECT session, max({last}) FROM {table} GROUP BY session"):
            ends[number] = max(end, ends.get(number, end))
    found: list[Session] = []
    for number, wall, kind, text in db.execute("SELECT id, wall, kind, data FROM sessions ORDER BY id"):
        end = max(wall, ends.get(number, wall))
        if end < since or number not in ends:
            continue
        ahead = max(0.0, found[-1].end - wall) if found else 0.0
        found.append(Session(number, wall + ahead, end + ahead, kind, json.loads(text), ahead))
    return found


def _runs(db: sqlite3.Connection, found: Recording, ahead: Mapping[int, float], since: float, until: float) -> set[int]:
    keys = {int(number): str(key) for number, key in db.execute("SELECT id, key FROM targets")}
    used = set()
    results: dict[tuple[object, ...], Result] = {}
    for session, target, first, last, count, ok, silent, reason, said, times in db.execute(
        "SELECT session, target, first, last, count, ok, silent, reason, said, times FROM runs"
        " WHERE last >= ? AND first <= ? ORDER BY session, first, id",
        (since, until),
    ):
        if session not in ahead or target not in keys:
            continue
        outcome = ok, silent, reason, said
        result = results.get(outcome)
        if result is None:
            word, weight = json.loads(said) if said else ("", None)
            result = results[outcome] = Result(bool(ok), reason, 0.0, bool(silent), False, weight, word)
        ticks: array[int] = array("I")
        ticks.frombytes(times)
        heads = tuple([tick * TICK for tick in ticks]) if len(ticks) > 1 else (0.0,)
        shift = ahead[session]
        run = Run(first + shift, last + shift, count, result, heads)
        found.runs.setdefault(keys[target], []).append(run)
        used.add(target)
    return used


def _datasets(db: sqlite3.Connection, found: Recording) -> None:
    for one in found.inputs:
        name = one.data.get("files")
        if one.kind not in ("load", "picture") or not name or name in found.datasets or name in found.missing:
            continue
        try:
            found.datasets[name] = _dataset(db, name)
        except (LookupError, ValueError, zlib.error) as error:
            found.missing[name] = str(error)


def _dataset(db: sqlite3.Connection, name: str) -> Any:
    contents, mtimes = {}, {}
    for path, (digest, mtime) in json.loads(_content(db, name, "the list of files")).items():
        contents[path], mtimes[path] = _content(db, digest, path), int(mtime)
    loaded = zonefile.load(contents, mtimes)
    if loaded.dataset is None:
        faults = [str(one) for one in loaded.problems if not one.warning]
        raise ValueError(f"this rrdns refuses files that were accepted then: {faults[0] if faults else '?'}")
    return loaded.dataset


def _content(db: sqlite3.Connection, digest: str, what: str) -> bytes:
    row = db.execute("SELECT data FROM files WHERE digest = ?", (digest,)).fetchone()
    if row is None:
        raise LookupError(f"the journal does not hold {what} (too large for its size, or already dropped)")
    return zlib.decompress(row[0])
