"""Connections without TLS, thousands at once: sockets and an epoll of our own, which the loop watches as one file.

A probe is three or four system calls here. The loop's own way (a transport, a task, a timer and a few futures for
each) takes twice their time, which is most of what checks cost where there are many (`scripts/bench targets`).

    dial -> connecting --writable--> open --verdict--> over       done(Result)
                 |                     |
                 '--- error, deadline -'                          done(Result: not ok)

Must not know: what is said (`conversation`), when to ask again.
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Self

from rrdns.checks.conversation import CONNECTING, Conversation
from rrdns.checks.words import fault, seconds
from rrdns.model import Result, Target

BATCH = 64  # events at a time, so that the loop has its turn between
AT_ONCE = 65536  # bytes read at a time
STEP = 0.005  # seconds, at least, between two looks at the deadlines

Outcome = Result | BaseException  # an exception is a fault of our own
Done = Callable[[Outcome], None]


class Line:
    """One connection of one probe; to its conversation, the transport."""

    __slots__ = (
        "_begun",
        "_dialer",
        "_done",
        "_lost",
        "_socket",
        "_talk",
        "_target",
        "_unsent",
        "deadline",
        "descriptor",
        "turn",
    )

    def __init__(self, dialer: Dialer, talk: Conversation, target: Target, done: Done, turn: int) -> None:
        self._dialer = dialer
        self._talk = talk
        self._target = target
        self._done: Done | None = done  # None: told, or nobody wants to know any more
        self._socket: socket.socket | None = None
        self._unsent = b""
        self._lost: OSError | None = None
        self.turn = turn  # of the dialer, in which it was begun
        self.descriptor = -1
        self._begun = time.monotonic()
        self.deadline = self._begun + target.check.timeout

    @property
    def closed(self) -> bool:
        return self._socket is None

    # -------------------------------------------------- what happens

    def dial(self) -> None:
        """Raises OSError."""
        wire = connecting(self._target.address, self._target.check.port)
        self.descriptor = wire.fileno()
        try:
            self._dialer.watch(self)
        except OSError:
            wire.close()
            raise
        self._socket = wire

    def happened(self, events: int) -> None:
        talk, wire = self._talk, self._socket
        assert wire
        if talk.stage == CONNECTING:
            if events & select.EPOLLERR and (number := wire.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
                return self.failed(OSError(number, ""))
            talk.connection_made(self)
            if self._socket:
                self._dialer.hear(self, bool(self._unsent))
        else:
            if self._unsent:
                self._send_rest(events)
            if events != select.EPOLLOUT and self._socket and self._done:
                self._read(wire)
        if talk.verdict is not None:
            self._tell(talk.verdict)

    def _read(self, wire: socket.socket) -> None:
        try:
            data = wire.recv(AT_ONCE)
        except BlockingIOError:
            return
        except OSError as error:
            self._talk.connection_lost(error)
        else:
            if data:
                self._talk.data_received(data)
            else:
                self._talk.connection_lost(self._lost)

    def _send_rest(self, events: int) -> None:
        rest, self._unsent = self._unsent, b""
        if not events & (select.EPOLLERR | select.EPOLLHUP):
            self.write(rest)
        if self._unsent or not self._socket:
            return
        if self._done:
            self._dialer.hear(self, False)
        else:  # these were the last words
            self.abort()

    def failed(self, error: OSError) -> None:
        """There is no connection."""
        self.abort()
        reason, silent, ours = fault(error)
        self._tell(Result(False, reason, time.monotonic() - self._begun, silent, ours))

    def expired(self) -> None:
        self.abort()
        stage = self._talk.stage
        reason = f"timed out after {seconds(self._target.check.timeout)} {stage or self._talk.waiting()}"
        self._tell(Result(False, reason, time.monotonic() - self._begun, silent=stage == CONNECTING))

    def cancel(self) -> None:
        """Nobody will be told."""
        self._done = None
        self.abort()

    def _tell(self, outcome: Outcome | tuple[bool, str]) -> None:
        done, self._done = self._done, None
        if done:
            if isinstance(outcome, tuple):
                outcome = Result(*outcome, time.monotonic() - self._begun)
            done(outcome)

    # -------------------------------------------------- for the conversation

    def write(self, data: bytes) -> None:
        if self._socket is None:
            return
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except ConnectionResetError as error:  # the kernel says so once, and to who reads next it is a mere end
            self._lost = error
            return
        except OSError:  # the other side is gone: the next event says how
            return
        if sent < len(data):
            self._unsent = data[sent:]
            self._dialer.hear(self, True)

    def close(self) -> None:
        """Once all is sent: see `_send_rest`; the deadline ends it at the latest."""
        if not self._unsent:
            self.abort()

    def abort(self) -> None:
        if self._socket:
            self._dialer.forget(self)
            self._socket.close()
            self._socket = None
            self._unsent = b""

    def get_extra_info(self, name: str) -> Any:
        """There is no TLS here, or anything else to be told."""
        return None


class Dialer:
    """All connections of a prober. Everything happens on the loop that made it; close it in the end."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._lines: dict[int, Line] = {}
        """By descriptor."""
        self._turn = 0
        self._by_timeout: dict[float, deque[Line]] = {}
        """For each timeout the lines in the order they began, which is that of their deadlines; many are over."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._loop.add_reader(self._epoll.fileno(), self._look)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cancels what is left."""
        for line in list(self._lines.values()):
            line.cancel()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def dial(self, talk: Conversation, target: Target, done: Done) -> Line:
        """Has `talk` with the target within its check's timeout; `done` is told, never before this returns."""
        line = Line(self, talk, target, done, self._turn)
        try:
            line.dial()
        except OSError as error:
            self._loop.call_soon(line.failed, error)
            return line
        timeout = target.check.timeout
        lines = self._by_timeout.get(timeout)
        if lines is None:
            lines = self._by_timeout[timeout] = deque()
        lines.append(line)
        if self._timer is None or line.deadline < self._timer_at - STEP:
            self._set_timer(line.deadline)
        return line

    async def ask(self, talk: Conversation, target: Target) -> Result:
        """As `dial`; raises what is a fault of our own."""
        told: asyncio.Future[Outcome] = self._loop.create_future()
        line = self.dial(talk, target, told.set_result)
        try:
            outcome = await told
        finally:
            line.cancel()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    # -------------------------------------------------- for the lines

    def watch(self, line: Line) -> None:
        self._epoll.register(line.descriptor, select.EPOLLOUT)
        self._lines[line.descriptor] = line

    def hear(self, line: Line, and_write: bool) -> None:
        self._epoll.modify(line.descriptor, select.EPOLLIN | select.EPOLLOUT if and_write else select.EPOLLIN)

    def forget(self, line: Line) -> None:
        """Said to the kernel too, though closing would do: not while a child that is just being made holds a copy."""
        del self._lines[line.descriptor]
        self._epoll.unregister(line.descriptor)

    # -------------------------------------------------- for the loop

    def _look(self) -> None:
        turn = self._turn = self._turn + 1
        for descriptor, events in self._epoll.poll(0, BATCH):
            line = self._lines.get(descriptor)
            # One that ended in this turn by another's doing may have left its number to one just begun.
            if line is not None and line.turn != turn:
                line.happened(events)

    def _set_timer(self, when: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_later(max(STEP, when - time.monotonic()), self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = time.monotonic()
        for timeout, lines in list(self._by_timeout.items()):
            while lines and (lines[0].closed or lines[0].deadline <= now):
                line = lines.popleft()
                if not line.closed:
                    line.expired()
            if not lines:
                del self._by_timeout[timeout]
        if self._by_timeout:
            self._set_timer(min(lines[0].deadline for lines in self._by_timeout.values()))


def connecting(address: str, port: int) -> socket.socket:
    """A socket that is being connected. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    wire = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    number = wire.connect_ex((address, port))
    if number not in (0, errno.EINPROGRESS):
        wire.close()
        raise OSError(number, "")
    return wire
