"""The run folder: the lock on it, the board, the workers' unix sockets, and what an earlier server left there.

A start over the orphans of a killed supervisor first moves their board and sockets into `old-<n>/`. Should
this start fail as well, or be killed half way, the next one still finds everyone who lives. Floor 4, standard
library only. Must not know: what the processes do.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rrdns import board
from rrdns.board import Board
from rrdns.log import logger
from rrdns.supervise import privileges
from rrdns.supervise.privileges import Account

# what rrdns itself keeps in its folders; see privileges.prepare_folder
OWN = (
    *("lock", "board*", "listen*", "worker-*.sock", "old-*", "upgrade*"),
    *("state.db*", "accepted*", "journal*", "*.sock"),
)


class FolderError(Exception):
    """The state folder cannot be used; the text says why and what to do."""


class RunFolder:
    def __init__(self, state: str, account: Account | None) -> None:
        """The folder `state`, made where needed; "none": a private one, gone with the server's orderly end."""
        self.kept = state != "none"
        self._lock = -1
        if self.kept:
            self.path = Path(state).absolute()
            privileges.prepare_folder(self.path, account, OWN, "--state DIR (or none)")
        else:
            self.path = Path(tempfile.mkdtemp(prefix="rrdns-"))
            if account:
                os.chown(self.path, account.uid, account.gid)

    @property
    def board(self) -> Path:
        return self.path / board.NAME

    def lock(self, account: Account | None, inherited: int = -1) -> None:
        """Takes the folder for this process as long as it lives. FolderError names the one that has it.
        `inherited`: what `pass_on` gave before an exec."""
        file = self.path / "lock"
        if inherited >= 0 and _is_same(inherited, file):
            os.set_inheritable(inherited, False)
            self._lock = inherited
            return
        try:
            with privileges.acting_as(account):
                fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o640)
        except OSError as error:
            raise FolderError(f"cannot open {file}: {error.strerror}: mend it, or use --state DIR") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
            os.close(fd)
            if not isinstance(error, BlockingIOError):
                raise FolderError(f"cannot lock {file}: {error.strerror}: use --state DIR on another disk") from error
            raise FolderError(another_server(int(pid) if pid.isdigit() else 0, self.path)) from None
        self._lock = fd
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:  # a full disk: the lock holds all the same, only nobody can read whose it is
            logger.warning("cannot write into %s: %s", file, error.strerror)

    def pass_on(self) -> int:
        """Lets the lock outlive an exec of this process; its descriptor."""
        os.set_inheritable(self._lock, True)
        return self._lock

    def generations(self) -> list[Path]:
        """Every folder that may hold a board of an earlier server, the newest first."""
        old = sorted(self.path.glob("old-*"), key=lambda path: path.stat().st_mtime, reverse=True)
        return [self.path, *(path for path in old if path.is_dir())]

    def set_aside(self) -> None:
        """Moves the last server's board and sockets out of the way, still findable. The board goes last."""
        if self.board.exists():
            number = 0
            while (aside := self.path / f"old-{number}").exists():
                number += 1
            try:
                aside.mkdir(mode=0o700)
                for file in (*self.path.glob("worker-*.sock"), self.board):
                    file.rename(aside / file.name)
            except OSError as error:
                raise FolderError(f"cannot make {aside}: {error.strerror}: mend {self.path}") from error
        self.sweep()

    def forget(self) -> None:
        """Everyone of earlier servers is gone: so are their folders."""
        for folder in self.path.glob("old-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        for file in (*self.path.glob("worker-*.sock"), self.path / "listen", self.board):
            file.unlink(missing_ok=True)

    def open_board(self, workers: int) -> Board:
        try:
            return Board(self.board, rows=board.FIRST_WORKER + workers)
        except OSError as error:
            raise FolderError(f"cannot make {self.board}: {error.strerror}: mend it, or use --state DIR") from error

    def open_link(self, index: int) -> socket.socket:
        """The listening socket at which worker `index`, whoever that is at the time, is met."""
        path = self.path / f"worker-{index}.sock"
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.setblocking(False)
        before = os.umask(0o177)
        try:
            path.unlink(missing_ok=True)
            link.bind(str(path))
        except OSError as error:
            link.close()
            why = error.strerror or f"{error} (a unix socket's path has at most 107 bytes)"
            raise FolderError(f"cannot make {path}: {why}: use --state DIR") from error
        finally:
            os.umask(before)
        link.listen(16)
        return link

    def write_listen(self, addresses: Sequence[tuple[str, int]]) -> None:
        """The addresses really served, as JSON [[address, port], ...], for `status` and tests."""
        fresh = self.path / "listen.new"
        fresh.unlink(missing_ok=True)
        fresh.write_text(json.dumps([list(one) for one in addresses]) + "\n")
        fresh.rename(self.path / "listen")

    def clean(self) -> None:
        """Leaves nothing that speaks of a living server; the lock file stays, unlinking a lock is a race."""
        if not self.kept:
            shutil.rmtree(self.path, ignore_errors=True)
            return
        self.sweep()
        if self._lock >= 0:
            os.ftruncate(self._lock, 0)

    def unlock(self) -> None:
        """For callers that live on after the server (tests); a process that ends need not."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _is_same(fd: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), file.stat())
    except OSError:
        return False


def another_server(pid: int, path: Path) -> str:
    who = f" (pid {pid})" if pid else ""
    return f"another rrdns{who} serves from {path}; stop it, or use --state DIR"
