"""TCP: queries framed by two bytes of length, several a connection, answered in order (RFC 7766).

Non-blocking; the worker's loop calls `readable`, `writable` and `sweep`. Limits, after gdnsd's rules: at most
`limit` connections, the longest idle makes room for a new one; at most `per_client` from one address, whose own
longest idle makes room; idle is measured from the last whole query, so dripping bytes buys no time; a new
connection is read at once, so that a query that is there is answered before others can push it out; a client that
does not read is not read from; a query longer than any real one ends the connection; a descriptor is kept in
reserve, so that running out of them never leaves accept spinning. Must not know: zones, control, UDP.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
from collections import OrderedDict
from typing import Any

from rrdns.server.clients import asker
from rrdns.server.respond import AnswerTable

READ = 65536
MAX_QUERY = 4096  # as by UDP
MAX_UNSENT = 65536  # above this a client that does not read its answers is not read from
MAX_QUERIES_A_TURN = 128  # others want to be served too; the rest waits for the next turn


class Connection:
    """One client: what it sent and was not yet a whole query, and what it has not yet taken."""

    __slots__ = ("active", "asker", "client", "inbox", "outbox", "paused", "sock")

    def __init__(self, sock: socket.socket, peer: Any, now: float) -> None:
        self.sock = sock
        self.client: str = peer[0]
        self.asker = asker(peer[0])
        self.active = now
        self.inbox = bytearray()
        self.outbox = bytearray()
        self.paused = False


class TcpServer:
    """All TCP listeners and connections of a worker, on the worker's epoll."""

    def __init__(
        self,
        listeners: list[socket.socket],
        table: AnswerTable,
        poll: select.epoll,
        *,
        limit: int,
        per_client: int,
        idle: float,
    ) -> None:
        self.listeners = {sock.fileno(): sock for sock in listeners}
        self.connections: OrderedDict[int, Connection] = OrderedDict()  # the longest idle first
        self.clients: dict[str, OrderedDict[int, None]] = {}
        """The same by address."""
        self.queries = self.answered = self.dropped = self.errors = self.evicted = self.refused = 0
        self._table = table
        self._poll = poll
        self._limit = limit
        self._per_client = per_client
        self._idle = idle
        # A copy of one we have: a confined worker (`confine.py`) could open none again.
        self._reserve: int | None = os.dup(poll.fileno())
        self._waiting: set[int] = set()
        """Connections with whole queries still in the inbox, put off to the next turn."""

    def listen(self) -> None:
        for fd in self.listeners:
            self._poll.register(fd, select.EPOLLIN)

    def accept(self, fd: int, now: float) -> None:
        """Takes what waits at a listener, up to a batch."""
        listener = self.listeners[fd]
        for _ in range(32):
            try:
                sock, peer = listener.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    self._refuse(listener)
                # EAGAIN: none waits. Others (ECONNABORTED ...) concern a connection that is already gone.
                return
            sock.setblocking(False)
            self._take(sock, peer, now)

    def _take(self, sock: socket.socket, peer: Any, now: float) -> None:
        same = self.clients.get(peer[0])
        if same is not None and len(same) >= self._per_client:
            self._evict(next(iter(same)))
        while len(self.connections) >= self._limit:
            self._evict(next(iter(self.connections)))
        fd = sock.fileno()
        self.connections[fd] = Connection(sock, peer, now)
        self.clients.setdefault(peer[0], OrderedDict())[fd] = None
        self._poll.register(fd, select.EPOLLIN)
        self.readable(fd, now)

    def _refuse(self, listener: socket.socket) -> None:
        """Out of descriptors: the longest idle goes; without one, the reserve lets us take and close the client."""
        if self.connections:
            self._evict(next(iter(self.connections)))
            return
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
        try:
            listener.accept()[0].close()
            self.refused += 1
        except OSError:
            return  # it went by itself, or another process took the descriptor: the next turn tries again
        finally:
            with contextlib.suppress(OSError):
                self._reserve = os.dup(self._poll.fileno())

    def _evict(self, fd: int) -> None:
        self.evicted += 1
        self.close(fd)

    def readable(self, fd: int, now: float) -> None:
        connection = self.connections.get(fd)
        if connection is None or connection.paused:
            return
        try:
            data = connection.sock.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            self.close(fd)
            return
        if not data:
            # RFC 7766 section 6.2.4 lets a client close its sending half and still read.
            if connection.outbox or fd in self._waiting:
                connection.paused = True
                self._poll.modify(fd, select.EPOLLOUT)
            else:
                self.close(fd)
            return
        connection.inbox += data
        self._answer(fd, connection, now)

    def _answer(self, fd: int, connection: Connection, now: float) -> None:
        inbox, at, done = connection.inbox, 0, 0
        self._waiting.discard(fd)
        while len(inbox) - at >= 2:
            length = inbox[at] << 8 | inbox[at + 1]
            if length > MAX_QUERY:
                self._break_off(fd, connection, done, now)
                return
            if len(inbox) - at - 2 < length:
                break
            if done >= MAX_QUERIES_A_TURN or len(connection.outbox) > MAX_UNSENT:
                self._waiting.add(fd)
                break
            packet = bytes(inbox[at + 2 : at + 2 + length])
            at += 2 + length
            done += 1
            try:
                reply = self._table.reply(packet, asker=connection.asker)
            except Exception:
                self.errors += 1  # one odd query must not end the worker; shows in `status`
                reply = None
            if reply is None:
                # Silence towards what is no query would leave the client waiting: end the connection.
                self._break_off(fd, connection, done - 1, now)
                return
            connection.outbox += len(reply).to_bytes(2, "big") + reply
        del inbox[:at]
        if done:
            self.queries += done
            self.answered += done
            connection.active = now
            self.connections.move_to_end(fd)
            self.clients[connection.client].move_to_end(fd)
            self.writable(fd, now)

    def _break_off(self, fd: int, connection: Connection, done: int, now: float) -> None:
        """Something came that gets no reply: the `done` queries of this turn before it keep theirs, then it is over."""
        self.dropped += 1
        self.queries += done + 1
        self.answered += done
        connection.inbox.clear()
        connection.paused = True
        self.writable(fd, now)

    def writable(self, fd: int, now: float) -> None:
        """Sends what the client takes; reads on when little enough is left."""
        connection = self.connections.get(fd)
        if connection is None:
            return
        outbox = connection.outbox
        if outbox:
            try:
                del outbox[: connection.sock.send(outbox)]
            except BlockingIOError:
                pass
            except OSError:
                self.close(fd)
                return
        if connection.paused and not outbox and fd not in self._waiting:
            self.close(fd)
            return
        want = select.EPOLLOUT if outbox else 0
        if not connection.paused and len(outbox) <= MAX_UNSENT and fd not in self._waiting:
            want |= select.EPOLLIN
        self._poll.modify(fd, want)

    def go_on(self, now: float) -> bool:
        """Answers queries put off in an earlier turn; True when some still wait and could be answered."""
        for fd in list(self._waiting):
            connection = self.connections.get(fd)
            if connection is None:
                self._waiting.discard(fd)
            elif len(connection.outbox) <= MAX_UNSENT:
                self._answer(fd, connection, now)
        return any(len(self.connections[fd].outbox) <= MAX_UNSENT for fd in self._waiting)

    def sweep(self, now: float) -> None:
        """Closes connections that were idle too long."""
        while self.connections:
            fd, connection = next(iter(self.connections.items()))
            if now - connection.active < self._idle:
                return
            self.close(fd)

    def close(self, fd: int) -> None:
        connection = self.connections.pop(fd, None)
        self._waiting.discard(fd)
        if connection is not None:
            same = self.clients[connection.client]
            del same[fd]
            if not same:
                del self.clients[connection.client]
            self._poll.unregister(fd)
            connection.sock.close()

    def finish(self) -> None:
        """Sends what can be sent at once and closes everything."""
        for fd in list(self.connections):
            self.writable(fd, 0.0)
            self.close(fd)
