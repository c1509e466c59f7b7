"""The board: a small shared file of heartbeats and counters, one row a process. Standard library only.

Each process writes its own row and reads the others', so that `status` and `top` can tell who is gone when
control is gone. All values are unsigned 64-bit integers, written whole (aligned), times are nanoseconds of
CLOCK_MONOTONIC. Row 0 is the supervisor, row 1 control, rows 2... the workers. Must not know: what the
numbers mean to anyone.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
import time
from pathlib import Path

MAGIC = 0x7272646E73_0001  # "rrdns", layout 1
NAME = "board"
SUPERVISOR, CONTROL, FIRST_WORKER = 0, 1, 2
FRESH = 5.0  # seconds: a heartbeat that proves a life by itself

# states of a row
NONE, STARTING, SERVING, STOPPING = 0, 1, 2, 3
STATES = {NONE: "none", STARTING: "starting", SERVING: "serving", STOPPING: "stopping"}

FIELDS = (
    "pid",
    "born",  # /proc/PID/stat start time: tells a process from a later one with its pid
    "beat",
    "state",
    "restarts",
    "udp",  # queries that came by UDP
    "tcp",  # queries that came by TCP
    "answered",
    "dropped",  # packets that get silence
    "refused",  # REFUSED, FORMERR, NOTIMP, BADVERS
    "truncated",
    "tcp_connections",
    "errors",  # packets that raised, should stay 0
    "stale",  # 1: answers without control for over max_stale
    "send_failed",
    "table",  # the number of the last commit applied
    "limited",  # UDP replies beyond the rate of their prefix: cut off (in `truncated`) or unsent (in `dropped`)
    "tcp_evicted",  # connections closed to make room for another
    "tcp_refused",  # connections closed unheard, for want of descriptors
    "confined",  # 1: the kernel keeps it from opening files and starting programs
    "reloads",  # of control: reloads that a SIGHUP asked for and that are over, refused ones too
)
COLUMN = {name: index for index, name in enumerate(FIELDS)}
ROW = 32  # words a row; room to grow


class Board:
    """The mapped file. `rows` is fixed when it is made."""

    def __init__(self, path: str | os.PathLike[str], rows: int = 0) -> None:
        """Opens the board at `path`; with `rows` > 0 makes it anew (atomically). OSError or ValueError if bad."""
        file = Path(path)
        if rows:
            fresh = file.with_name(file.name + ".new")
            fresh.unlink(missing_ok=True)
            fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
            # really there, not sparse: on a full disk a touch of the map would end the process (SIGBUS)
            os.posix_fallocate(fd, 0, 8 * ROW * (rows + 1))
            os.pwrite(fd, MAGIC.to_bytes(8, sys.byteorder), 0)  # before anybody can find it
            fresh.rename(file)
        else:
            try:
                fd = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
            except PermissionError:
                fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            size = os.fstat(fd).st_size
            if size < 8 * ROW * 2 or size % (8 * ROW):
                raise ValueError(f"{file} is no board of rrdns")
            writable = _is_writable(fd)
            self._map = mmap.mmap(fd, size, access=mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ)
        finally:
            os.close(fd)
        self._words = memoryview(self._map).cast("Q")
        self.rows = size // (8 * ROW) - 1
        if self._words[0] != MAGIC:
            raise ValueError(f"{file} is no board of this version of rrdns")

    def get(self, row: int, name: str) -> int:
        return self._words[ROW * (row + 1) + COLUMN[name]]

    def set(self, row: int, name: str, value: int) -> None:
        self._words[ROW * (row + 1) + COLUMN[name]] = value

    def row(self, row: int) -> dict[str, int]:
        start = ROW * (row + 1)
        return dict(zip(FIELDS, self._words[start : start + len(FIELDS)], strict=True))

    def words(self, row: int) -> memoryview:
        """The row's own words, for a writer that knows COLUMN; keep it no longer than the board."""
        start = ROW * (row + 1)
        return self._words[start : start + ROW]

    def sign_in(self, row: int, state: int = STARTING) -> None:
        """Puts this process into the row; counters stay, so that a successor goes on counting."""
        self.set(row, "state", state)
        self.set(row, "born", born(os.getpid()))
        self.set(row, "beat", time.monotonic_ns())
        self.set(row, "pid", os.getpid())

    def beat(self, row: int) -> None:
        self.set(row, "beat", time.monotonic_ns())

    def age(self, row: int) -> float:
        """Seconds since the row's last heartbeat."""
        return (time.monotonic_ns() - self.get(row, "beat")) / 1e9

    def lives(self, row: int) -> bool:
        """Whether the process that signed in is still there (zombies are not)."""
        pid = self.get(row, "pid")
        there = born(pid) if pid else 0
        if not there:
            return bool(pid) and is_hidden(pid) and 0 <= self.age(row) < FRESH
        return there == self.get(row, "born")


def is_hidden(pid: int) -> bool:
    """Whether it is there, but /proc does not show it to us. With systemd's ProtectProc=invisible that is so for a
    process that has a capability we lack, as the supervisor has for port 53."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's, and there
    return not Path(f"/proc/{pid}").exists()


def _is_writable(fd: int) -> bool:
    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_RDWR)


def born(pid: int) -> int:
    """The start time of a process in clock ticks since boot, 0 if there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    fields = stat[stat.rindex(b")") + 2 :].split()
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])
