"""Child processes and what a supervisor must judge about them. Floor 4, standard library only.

`Child` is one process with its row of the board; `Post` is a worker's place: the sockets stay, the children
come and go. Judgements take `now` (monotonic), so that tests can pretend. Must not know: signals to
ourselves, take-over, DNS.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import rrdns
from rrdns.board import SERVING, STARTING, Board, born
from rrdns.log import logger
from rrdns.supervise import sockets
from rrdns.supervise.ports import Address

GRACE = 10.0  # a starting process until its first heartbeat
WORKER_SILENCE = 2.0
CONTROL_SILENCE = 5.0
CONTROL_LOADING = 30.0  # before it serves: reading a large directory may take the interpreter for a while
STUBBORN = 2.0

DEATHS, DEATHS_WITHIN = 3, 10.0
PARKED, PARKED_MOST = 10.0, 60.0
QUIET = 60.0  # a life this long ends the suspicion


class Child:
    """One process. Its row says who it is from the very start, so that an orphan is found however early."""

    def __init__(self, name: str, row: int, board: Board, command: Sequence[str], env: Mapping[str, str],
                 fds: Iterable[int] = ()) -> None:  # fmt: skip
        """Starts it; OSError if that fails. A session of its own: the terminal's ^C is the supervisor's alone."""
        self.name = name
        self.row = row
        self.started = time.monotonic()
        self.killed = 0.0
        self._board = board
        self._mark = int(self.started * 1e9)
        for column, value in (("pid", 0), ("state", STARTING), ("beat", self._mark)):
            board.set(row, column, value)
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, env=dict(env), pass_fds=tuple(fds), start_new_session=True
        )
        # the child may have signed in by now: it writes the same into these two
        board.set(row, "born", born(self._process.pid))
        board.set(row, "pid", self._process.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        """None while it runs, else its exit code (negative: the signal). Waits for this pid and no other."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        if number == signal.SIGKILL and not self.killed:
            self.killed = time.monotonic()
        self._process.send_signal(number)

    def serves(self) -> bool:
        return self._board.get(self.row, "state") == SERVING

    def silence(self, now: float, forgiven: float) -> float:
        """Seconds without a heartbeat; none are counted before `forgiven`, when we were away ourselves."""
        return now - max(self._board.get(self.row, "beat") / 1e9, forgiven)

    def hangs(self, now: float, forgiven: float, limit: float) -> bool:
        if self._board.get(self.row, "beat") == self._mark:
            limit = max(limit, GRACE)
        return self.silence(now, forgiven) > limit

    def end_if_hung(self, now: float, forgiven: float, limit: float) -> None:
        """SIGKILL, once; the next `poll` tells when it is gone."""
        if not self.killed and self.hangs(now, forgiven, limit):
            silence = self.silence(now, forgiven)
            logger.error("%s (pid %d) gave no sign of life for %.1f s: killed", self.name, self.pid, silence)
            self.signal(signal.SIGKILL)

    def is_lost(self, now: float, forgiven: float) -> bool:
        """Not even SIGKILL ended it: it hangs in the kernel, and a successor must not wait for that."""
        return bool(self.killed) and now - max(self.killed, forgiven) > STUBBORN

    def count_restart(self) -> None:
        self._board.set(self.row, "restarts", self._board.get(self.row, "restarts") + 1)


class Post:
    """A worker's place: index, link, sockets, and the record of those who died there."""

    def __init__(self, index: int, link: socket.socket, cpu: int | None) -> None:
        self.index = index
        self.link = link
        self.cpu = cpu
        self.sockets: list[socket.socket] = []
        self.child: Child | None = None
        self.due = 0.0
        """When the next child may start, if there is none."""
        self.waits = False
        """Its first worker is not started yet: others of a take-over come before it."""
        self.parked = False
        """Without sockets, because its workers die or cannot get answers to serve."""
        self._deaths: list[float] = []
        self._parking = PARKED

    def lacks(self, addresses: Sequence[Address]) -> list[tuple[Address, int]]:
        """(address, kind) without a socket."""
        have = {(sockets.address_of(sock), sock.type) for sock in self.sockets}
        kinds = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
        return [(address, kind) for address in addresses for kind in kinds if (address, kind) not in have]

    def fill(self, addresses: Sequence[Address]) -> None:
        """Opens what it lacks; SocketError (and nothing half open) if that fails."""
        opened: list[socket.socket] = []
        try:
            for address, kind in self.lacks(addresses):
                opened.append((sockets.open_udp if kind == socket.SOCK_DGRAM else sockets.open_tcp)(address))
        except BaseException:
            for sock in opened:
                sock.close()
            raise
        self.sockets += opened
        self.parked = False

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()
        self.sockets.clear()

    def arguments(self) -> list[str]:
        udp = [str(sock.fileno()) for sock in self.sockets if sock.type == socket.SOCK_DGRAM]
        tcp = [str(sock.fileno()) for sock in self.sockets if sock.type == socket.SOCK_STREAM]
        words = ["--link", str(self.link.fileno()), "--udp", ",".join(udp), "--tcp", ",".join(tcp)]
        return words if self.cpu is None else [*words, "--cpu", str(self.cpu)]

    def fds(self) -> list[int]:
        return [self.link.fileno(), *(sock.fileno() for sock in self.sockets)]

    def bury(self, now: float, lived: float) -> int:
        """Notes a death; the number of deaths in the last 10 s."""
        if lived > QUIET:
            self._parking = PARKED
        self._deaths = [one for one in self._deaths if now - one < DEATHS_WITHIN] + [now]
        return len(self._deaths)

    def park(self, now: float, wait: float | None = None) -> float:
        """Gives its share of the clients to the others for a while; seconds until the next try."""
        if wait is None:
            wait, self._parking = self._parking, min(2 * self._parking, PARKED_MOST)
        self._deaths.clear()
        self.close()
        self.parked = True
        self.due = now + wait
        return wait


def pause_after(deaths: int) -> float:
    """Seconds before the successor starts where the sockets stay: none, until it looks like a loop. What comes
    meanwhile waits in the sockets, and they do not hold much."""
    return 0.0 if deaths < DEATHS else min(0.5, 0.1 * 2 ** min(deaths - DEATHS, 4))


def command(module: str, *arguments: str) -> list[str]:
    """`python -m module`; -P: what lies in the working directory is never imported."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(**more: str) -> dict[str, str]:
    """Ours and `more`. A source tree that is not installed is found by PYTHONPATH."""
    env = {**os.environ, **more}
    home = Path(rrdns.__file__).resolve().parent.parent
    if home.name not in ("site-packages", "dist-packages"):
        there = [one for one in env.get("PYTHONPATH", "").split(os.pathsep) if one and one != str(home)]
        env["PYTHONPATH"] = os.pathsep.join([str(home), *there])
    return env


def how_it_ended(code: int | None) -> str:
    if code is None:
        return "hangs in the kernel"
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"died by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"died by signal {-code}"


def reap_strangers(known: Iterable[int]) -> None:
    """As pid 1 of a container we inherit every orphan: take their bodies away, but never a child's of ours."""
    while True:
        try:
            info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if info is None or info.si_pid in known:
            return
        os.waitpid(info.si_pid, os.WNOHANG)
