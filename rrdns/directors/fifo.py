"""A FIFO to which a director writes what changes, held open and read line by line as it comes.

It is opened O_RDONLY | O_NONBLOCK. O_RDWR would never see an end of file, and needs the right to write there; but the
end is worth knowing: it says that nobody has the FIFO open any more, so that what was written last holds no longer.

    path                       here
    missing, no FIFO, not ours `fault` says so; looked at again at the next question
    another FIFO than before   the old one is read to its end, then the new one (keepalived makes its own at its start)
    open, nobody writes there  `writer` is False
    full when it is opened     what stands in it is let go: the newest lines found no room

A writer is never held up: keepalived opens its end O_RDWR | O_NONBLOCK, with or without a reader, and drops a line that
finds no room. So too much is simply not read for a while. A FIFO has one reader: another program at the same end takes
lines away from this one. Must not know: what a line means.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from rrdns.checks.words import plain
from rrdns.directors.bounds import amount

LINE = 512  # bytes; keepalived's longest names make less
RATE = 65536  # bytes a second: a whole pipe
_PIECE = 4096
_FULL = 7 / 8  # of a pipe: its pages are not filled to the last byte

Identity = tuple[int, int]


class Listener(Protocol):
    def line(self, text: str, at: float) -> bool:
        """A line without its end, and the wall time at which it came. Whether it is news."""

    def trouble(self, why: str, at: float) -> None:
        """Something came that is no line, or was let go."""

    def opened(self, at: float) -> None:
        """From now on every line is seen."""

    def closed(self) -> None:
        """Nobody writes there any more, or it is another FIFO now."""


L = TypeVar("L", bound=Listener)


class Fifo(Generic[L]):
    """One FIFO, and who listens to it. `wakers`: who is told, by name, when there is news."""

    def __init__(self, path: str, listener: L) -> None:
        self.path = path
        self.listener = listener
        self.wakers: dict[str, Callable[[], None]] = {}
        self.fault = "it was not opened yet"
        self.writer = False
        self._fd: int | None = None
        self._identity: Identity | None = None
        self._watched = False
        self._begun: bytes | None = b""  # of a line; None: of one that is too long, and is let pass
        self._room, self._since = float(RATE), time.monotonic()
        self._resting: asyncio.TimerHandle | None = None
        self._ended = False

    # ---------------------------------------------------------------- opening

    def find(self) -> tuple[int, Identity] | None:
        """What stands at the path now, opened; None: what is open. For a thread: a file system may hang. OSError."""
        at_path = Path(self.path).stat()
        if not stat.S_ISFIFO(at_path.st_mode):  # before opening: to open a device may do something
            raise OSError("it is no FIFO; which one stands behind notify_fifo in keepalived.conf?")
        if self._fd is not None and (at_path.st_dev, at_path.st_ino) == self._identity:
            return None
        fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        opened = os.fstat(fd)
        if not stat.S_ISFIFO(opened.st_mode):
            os.close(fd)
            raise OSError("it is no FIFO")
        return fd, (opened.st_dev, opened.st_ino)

    def found(self, what: tuple[int, Identity] | None) -> None:
        """Takes what `find` gave, in the loop's thread, and reads what is there."""
        self.fault = ""
        if what is None:
            self._look()
        elif self._ended:
            os.close(what[0])
        else:
            self._leave()
            self._fd, self._identity = what
            self._empty_if_full()
            self._look()

    def _look(self) -> None:
        """Reads what is there, and waits for more. That nobody writes may only mean that nobody has come yet."""
        if self._read() and self.writer:
            self._gone()
        self._watch()

    def missing(self, why: str) -> None:
        """There is none, or it can't be opened."""
        self._leave()
        self.fault = why

    def close(self) -> None:
        self._ended = True
        self._shut()

    def _empty_if_full(self) -> None:
        assert self._fd is not None
        size = fcntl.fcntl(self._fd, fcntl.F_GETPIPE_SZ)
        waiting = int.from_bytes(fcntl.ioctl(self._fd, termios.FIONREAD, bytes(4)), "little")
        if waiting < _FULL * size:
            return
        os.read(self._fd, waiting)
        self._begun = None  # what follows may be the rest of a line
        self.listener.trouble(f"{self.path} was full: its newest lines are lost, so the old ones were let go", _wall())

    def _watch(self) -> None:
        if self._fd is not None and not self._watched and self._resting is None:
            asyncio.get_running_loop().add_reader(self._fd, self._ready)
            self._watched = True

    def _unwatch(self) -> None:
        if self._fd is not None and self._watched:
            asyncio.get_running_loop().remove_reader(self._fd)
            self._watched = False

    def _leave(self) -> None:
        """Reads what is left in it, and closes it."""
        self._read()
        self._gone()

    def _gone(self) -> None:
        self._shut()
        if self.writer:
            self.writer = False
            self.listener.closed()
            self._wake()

    def _shut(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        if self._fd is not None:
            self._unwatch()
            os.close(self._fd)
            self._fd = None
        self._begun = b""

    # ---------------------------------------------------------------- reading

    def _ready(self) -> None:
        """There is something, or the last writer has left. Then the end of the file would wake us again and again: so
        it is closed, and opened anew at the next question."""
        if self._read():
            self._gone()

    def _read(self) -> bool:
        """All that is there, as far as a second's bytes go. True: its end was met, for nobody has it open to write."""
        ended = news = False
        at = _wall()
        while self._fd is not None and self._may_read(at):
            try:
                data = os.read(self._fd, _PIECE)
            except BlockingIOError:
                self._heard(at)
                break
            except OSError as error:
                self._gone()
                self.fault = os.strerror(error.errno or 0)
                break
            if not data:
                ended = True
                break
            self._heard(at)
            self._room -= len(data)
            news |= self._take(data, at)
        if news:
            self._wake()
        return ended

    def _heard(self, at: float) -> None:
        """Somebody has it open for writing."""
        if not self.writer:
            self.writer = True
            self.listener.opened(at)

    def _may_read(self, at: float) -> bool:
        if self._resting is not None:
            return False
        now = time.monotonic()
        self._room = min(RATE, self._room + (now - self._since) * RATE)
        self._since = now
        if self._room > 0:
            return True
        self.listener.trouble(f"over {amount(RATE)} a second come in {self.path}: what else writes there?", at)
        self._unwatch()
        self._resting = asyncio.get_running_loop().call_later(1.0, self._rested)
        return False

    def _rested(self) -> None:
        self._resting = None
        self._watch()

    def _take(self, data: bytes, at: float) -> bool:
        news = False
        *whole, rest = data.split(b"\n")
        for piece in whole:
            line = None if self._begun is None else self._begun + piece
            self._begun = b""
            if line is not None and len(line) <= LINE:
                news |= self.listener.line(line.decode("utf-8", "replace").strip(), at)
            elif line is not None:
                self._too_long(line, at)
        if self._begun is not None:
            self._begun += rest
            if len(self._begun) > LINE:
                self._too_long(self._begun, at)
                self._begun = None
        return news

    def _too_long(self, line: bytes, at: float) -> None:
        said = plain(line[:40].decode("utf-8", "replace"), 60)
        self.listener.trouble(f"in {self.path} came a line of over {amount(LINE)}: {said!r}", at)

    def _wake(self) -> None:
        for wake in self.wakers.values():
            wake()


def _wall() -> float:
    """The time files are stamped with."""
    return time.time()
