"""OwnFile: a sqlite file that is this process's own. What the state file and the journal have in common; blocking.

Opens or makes it, refuses links and what is no plain file, moves a damaged one or another version's aside and begins a
new one, and knows whether the file it opened still stands at its path. Raises OSError and sqlite3.Error. Must not
know: what the tables hold.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
Identity = tuple[int, int]
"""Device and inode."""


class Unusable(Exception):
    """The file is damaged or not ours; the message says how."""


class OwnFile(ABC, Generic[T]):
    """`kept_aside`: so many damaged files are kept, older ones are removed."""

    def __init__(self, path: Path, kept_aside: int) -> None:
        self.path = path
        self._kept_aside = kept_aside
        self._connection: sqlite3.Connection | None = None
        self._identity: Identity = (0, 0)

    @abstractmethod
    def _begin(self, db: sqlite3.Connection) -> T:
        """Sets up the connection and gives what the file holds; raises Unusable."""

    @property
    def is_open(self) -> bool:
        """Whether the file this process opened still stands at its path."""
        return self._connection is not None and stands(self.path, self._identity)

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.OperationalError(f"{self.path.name} is not open")
        return self._connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        close(connection)

    def _open(self, damaged: str) -> tuple[T, str]:
        """Opens or makes the file: what it holds, and what was wrong with it, for the log. `damaged`: a write found
        it so, begin a new one."""
        self.close()
        try:
            if damaged:
                raise Unusable(f"it is damaged ({damaged})")
            return self._connect(), ""
        except Unusable as error:
            aside = self._move_aside()
            try:
                held = self._connect()
            except Unusable as again:
                raise OSError(f"{self.path}: {again}, and so is a new one") from again
            return held, f"{self.path}: {error}; moved to {aside.name}, a new one is begun"

    def _connect(self) -> T:
        self._identity = self._claim()
        connection = sqlite3.connect(self.path, timeout=2.0, isolation_level=None, check_same_thread=False)
        try:
            held = self._begin(connection)
        except sqlite3.DatabaseError as error:
            connection.close()
            if is_damage(error):
                raise Unusable(f"it is damaged ({error})") from error
            raise
        except Unusable:
            connection.close()
            raise
        self._connection = connection
        return held

    def _claim(self) -> Identity:
        """Makes sure that the path is a plain file of ours, made if need be, and that no link leads elsewhere."""
        for name in (self.path, *companions(self.path)):
            if name.is_symlink():
                raise OSError(f"{name} is a symbolic link; remove it: rrdns does not write through links")
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        try:
            found = os.fstat(fd)
        finally:
            os.close(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(f"{self.path} is no plain file; remove it")
        return found.st_dev, found.st_ino

    def _move_aside(self) -> Path:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        aside = self.path.with_name(f"{self.path.name}.corrupt-{stamp}")
        number = 1
        while aside.exists():
            number += 1
            aside = self.path.with_name(f"{self.path.name}.corrupt-{stamp}-{number}")
        self.path.rename(aside)
        for old, new in zip(companions(self.path), companions(aside), strict=True):
            if old.exists():
                old.rename(new)
        olds = [
            p for p in self.path.parent.glob(f"{self.path.name}.corrupt-*") if not p.name.endswith(("-wal", "-shm"))
        ]
        for old in sorted(olds, key=lambda path: path.stat().st_mtime, reverse=True)[self._kept_aside :]:
            if old != aside:
                for name in (old, *companions(old)):
                    name.unlink(missing_ok=True)
        return aside


def companions(path: Path) -> tuple[Path, Path]:
    """What sqlite keeps beside a file in WAL mode."""
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def stands(path: Path, identity: Identity) -> bool:
    """Whether that file is what now stands at the path."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == identity


def close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        try:
            connection.close()
        except sqlite3.Error:
            pass  # what could not be written has been reported when it was tried


def settle_version(db: sqlite3.Connection, version: int, tables: str) -> None:
    """Makes the tables in a new file; raises Unusable for another program's or version's."""
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    if found == 0:
        if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise Unusable("it is the database of another program")
        db.executescript(f"BEGIN IMMEDIATE;{tables}PRAGMA user_version={version};COMMIT;")
    elif found != version:
        raise Unusable(f"it is of version {found}, this rrdns writes version {version}")


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All that is written inside, or nothing of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is at fault. A statement that finds no such table or column is damage too."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
