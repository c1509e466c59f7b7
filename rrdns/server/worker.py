"""A worker: rings and the query loop, nothing else. `python -m rrdns.server.worker --index I --board PATH ...`

Started by the supervisor with its own sockets; gets rings from control over a unix socket (`link.py`) and
never waits for it: it reads the DNS sockets from the first commit on and goes on when control is gone.
Imports little on purpose: no asyncio, no YAML, no pydantic. Must not know: pools, health, files.
"""

from __future__ import annotations

import argparse
import array
import gc
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable

from rrdns import __version__, board
from rrdns.board import Board
from rrdns.server.confine import confine
from rrdns.server.control_link import SETTLED, ControlLink
from rrdns.server.gathering import Gathering
from rrdns.server.limited import limiter, open_udp
from rrdns.server.policy import policy
from rrdns.server.respond import AnswerTable
from rrdns.server.tcp import TcpServer
from rrdns.server.turns import ask_for_short_turns
from rrdns.server.udp import BatchSocket, PlainSocket
from rrdns.settings import Settings

TICK = 0.2  # seconds: the longest wait, and the heartbeat
REST = 3  # times as long as a piece of a large change took, queries alone are served: a worker that is always at work
# waits for its CPU when others want it too
MAX_TURNS = 16  # batches of one socket in a row before the others are looked at


class Worker:
    """The one stateful object of the process; `run` is its loop."""

    def __init__(
        self,
        row: int,
        shared: Board,
        listener: socket.socket,
        udp: list[socket.socket],
        tcp: list[socket.socket],
        settings: Settings,
    ) -> None:
        self.row = row
        self.board = shared
        self.listener = listener
        self.settings = settings
        self.table = AnswerTable(settings.udp_limit, random.randrange(1 << 20), policy(settings))
        self.poll = select.epoll()
        self.limiter = limiter(settings, shared.rows - board.FIRST_WORKER)
        self.udp = {sock.fileno(): open_udp(sock, self.table, self.limiter) for sock in udp}
        self.tcp = TcpServer(
            *(tcp, self.table, self.poll),
            limit=settings.tcp_connections,
            per_client=settings.tcp_per_client,
            idle=settings.tcp_idle,
        )
        self.strangers: dict[int, socket.socket] = {}
        self.gathering = Gathering(time.monotonic())
        self.control: ControlLink | None = None
        self.heard = time.monotonic()
        self.serving = False
        self.stopping = False
        self._rested = 0.0
        self._base = {name: shared.get(row, name) for name in _COUNTERS}

    def run(self) -> None:
        self.poll.register(self.listener.fileno(), select.EPOLLIN)
        wake, bell = socket.socketpair()
        bell.setblocking(False)
        signal.set_wakeup_fd(bell.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.poll.register(wake.fileno(), select.EPOLLIN)
        beat = 0.0
        more, pause = False, TICK
        while not self.stopping:
            events = self.poll.poll(0 if more else pause)
            now = time.monotonic()
            more = False
            for fd, event in events:
                udp = self.udp.get(fd)
                if udp is not None:
                    self._answer(udp)
                else:
                    self._other(fd, event, now)
            if self.tcp.connections:
                more = self.tcp.go_on(now)
            pause = TICK
            if (self.control is not None and self.control.busy) or self.table.unsettled:
                pause = self._go_on(now)
            if now - beat >= TICK / 2:
                beat = now
                self._tick(now)
        self._finish()

    def _answer(self, udp: BatchSocket | PlainSocket) -> None:
        for _ in range(MAX_TURNS):
            if not self.gathering.more(udp.turn()):
                return

    def _other(self, fd: int, event: int, now: float) -> None:
        if fd in self.tcp.listeners:
            self.tcp.accept(fd, now)
        elif fd in self.tcp.connections:
            if event & select.EPOLLOUT:
                self.tcp.writable(fd, now)
            if event & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                self.tcp.readable(fd, now)
        elif self.control is not None and fd == self.control.sock.fileno():
            if event & select.EPOLLOUT:
                self.control.flush()
            if event & ~select.EPOLLOUT:
                self._hear(now)
        elif fd == self.listener.fileno():
            self._welcome()
        elif fd in self.strangers:
            self._introduce(fd, now)

    def _stop(self, number: int, frame: object) -> None:
        self.stopping = True

    def _finish(self) -> None:
        """An orderly end: what is queued is answered first."""
        self.board.set(self.row, "state", board.STOPPING)
        if self.serving:
            for udp in self.udp.values():
                for _ in range(1024):
                    if not udp.turn():
                        break
            now = time.monotonic()
            for fd in list(self.tcp.connections):
                self.tcp.readable(fd, now)
        self.tcp.finish()
        self._tick(time.monotonic())

    # ------------------------------------------------------------------ heartbeat and counters

    def _tick(self, now: float) -> None:
        self.tcp.sweep(now)
        self.gathering.judge(now)
        stale = self.serving and now - self.heard > self.settings.max_stale
        self.table.fail(stale and self.settings.stale == "servfail")
        shared, row, base = self.board, self.row, self._base
        udp = [one.counts for one in self.udp.values()]
        values = {
            "udp": sum(one.queries for one in udp),
            "tcp": self.tcp.queries,
            "answered": sum(one.answered for one in udp) + self.tcp.answered,
            "dropped": sum(one.dropped for one in udp) + self.tcp.dropped,
            "truncated": sum(one.truncated for one in udp),
            "errors": sum(one.errors for one in udp) + self.tcp.errors,
            "send_failed": sum(one.send_failed for one in udp),
            "refused": self.table.refusals(),
            "limited": self.limiter.limited if self.limiter else 0,
            "tcp_evicted": self.tcp.evicted,
            "tcp_refused": self.tcp.refused,
        }
        for name, value in values.items():
            shared.set(row, name, base[name] + value)
        shared.set(row, "tcp_connections", len(self.tcp.connections))
        shared.set(row, "stale", int(stale))
        shared.set(row, "table", self.table.number)
        shared.beat(row)

    # ------------------------------------------------------------------ control, and those who want our sockets

    def _welcome(self) -> None:
        """Someone connects to the unix socket: control, or a new supervisor that takes over."""
        try:
            sock, _ = self.listener.accept()
        except OSError:
            return  # gone again before it was taken
        _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in (0, os.geteuid()):
            sock.close()
            return
        sock.setblocking(False)
        self.strangers[sock.fileno()] = sock
        self.poll.register(sock.fileno(), select.EPOLLIN)
        if len(self.strangers) > 16:
            self._forget(next(iter(self.strangers)))

    def _forget(self, fd: int) -> None:
        self.poll.unregister(fd)
        self.strangers.pop(fd).close()

    def _introduce(self, fd: int, now: float) -> None:
        sock = self.strangers[fd]
        try:
            first = sock.recv(4, socket.MSG_PEEK)
        except OSError:
            first = b""
        if first == b"HAND":
            try:
                self._hand_over(sock)
            except OSError as error:
                print(f"rrdns worker: could not hand the sockets over: {error}", file=sys.stderr)
            self._forget(fd)
        elif not first or first[:1] == b"H":
            self._forget(fd)
        else:
            if self.control is not None:
                self._hang_up()
            del self.strangers[fd]
            self.control = ControlLink(sock, self.table, self.poll)
            self.control.send(("ready", os.getpid(), self.row - board.FIRST_WORKER, __version__))
            self._hear(now)

    def _hand_over(self, sock: socket.socket) -> None:
        """All DNS sockets by SCM_RIGHTS; we go on reading them until we are told to end."""
        fds: list[int] = []
        places: dict[str, list[list[object]]] = {"udp": [], "tcp": []}
        for kind, sockets in (
            ("udp", [one.sock for one in self.udp.values()]),
            ("tcp", list(self.tcp.listeners.values())),
        ):
            for one in sockets:
                places[kind].append([*one.getsockname()[:2], len(fds)])
                fds.append(one.fileno())
        text = json.dumps({"pid": os.getpid(), "index": self.row - board.FIRST_WORKER, **places}) + "\n"
        sock.setblocking(True)
        sock.settimeout(1.0)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sock.sendmsg([text.encode()], rights)

    def _hear(self, now: float, what: Callable[[], bool] | None = None) -> None:
        """Takes what control sent, a bounded piece at a time."""
        assert self.control is not None
        try:
            if (what or self.control.hear)():
                self.heard = now
        except (OSError, ValueError, EOFError, TypeError) as error:
            if not isinstance(error, ConnectionError):
                print(f"rrdns worker: control sent what is no frame ({error}); hanging up", file=sys.stderr)
            self._hang_up()
            return
        self._open()

    def _go_on(self, now: float) -> float:
        """A piece of a large change, if it is time for one; how long to wait for queries now."""
        if self.serving and now < self._rested:
            return 0.001
        start = time.monotonic()
        if self.control is not None and self.control.busy:
            self._hear(now, self.control.go_on)
        else:
            self.table.settle(SETTLED)  # control went in the middle of it
        end = time.monotonic()
        self._rested = end + REST * (end - start)
        return 0.001 if self.serving else 0.0

    def _hang_up(self) -> None:
        assert self.control is not None
        self.poll.unregister(self.control.sock.fileno())
        self.control.sock.close()
        self.control = None
        self.table.discard()

    def _open(self) -> None:
        """Once the first table is in force and settled: from now on queries are read."""
        if self.serving or self.control is None or not self.control.commits:
            return
        self.serving = True
        gc.freeze()
        for fd in self.udp:
            self.poll.register(fd, select.EPOLLIN)
        self.tcp.listen()
        self.board.set(self.row, "state", board.SERVING)


_COUNTERS = (
    *("udp", "tcp", "answered", "dropped", "truncated", "errors", "send_failed", "refused"),
    *("limited", "tcp_evicted", "tcp_refused"),
)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="rrdns.server.worker", description="Started by the supervisor, not by hand.")
    parser.add_argument("--index", type=int, required=True)
    parser.add_argument("--board", required=True)
    parser.add_argument("--link", type=int, required=True)
    parser.add_argument("--udp", default="")
    parser.add_argument("--tcp", default="")
    parser.add_argument("--cpu", type=int, default=-1)
    options = parser.parse_args(argv)
    if options.cpu >= 0:
        try:
            os.sched_setaffinity(0, {options.cpu})
        except OSError as error:
            print(f"rrdns worker: cannot stay on CPU {options.cpu}: {error}; going on without", file=sys.stderr)
    gc.disable()  # the query path makes no cycles; a collection over a large table would be a long pause
    shared = Board(options.board)
    row = board.FIRST_WORKER + options.index
    shared.sign_in(row)
    udp, tcp = ([socket.socket(fileno=int(fd)) for fd in text.split(",") if fd] for text in (options.udp, options.tcp))
    for sock in (*udp, *tcp):
        sock.setblocking(False)
    listener = socket.socket(fileno=options.link)
    listener.setblocking(False)
    one = Worker(row, shared, listener, udp, tcp, Settings.from_json(os.environ.get("RRDNS_SETTINGS", "{}")))
    ask_for_short_turns()
    walls = confine()  # all that is needed is open and imported
    shared.set(row, "confined", int(bool(walls)))
    if not walls:
        print("rrdns worker: this kernel has neither Landlock nor seccomp: going on unconfined", file=sys.stderr)
    one.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
