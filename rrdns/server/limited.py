"""The UDP doors with a Limiter between the finished replies and the wire; made only when the rate is set.

Without a rate the worker makes the plain doors of `udp.py`, and nothing here runs: off costs nothing. A reply
held back has taken its place in the ring like a sent one. A client that showed a valid cookie asked from its own
address (RFC 7873 section 5.2.5), so its replies hit nobody else: they are neither limited nor counted. Must not know:
prefixes, rates, what makes a cookie valid.
"""

from __future__ import annotations

import ctypes
import os
import socket
import time

from rrdns.server.limiter import Limiter, cut_off
from rrdns.server.respond import AnswerTable
from rrdns.server.rings import Entry
from rrdns.server.udp import BUFFER, BatchSocket, PlainSocket, batches_work
from rrdns.server.udp import open_udp as open_free
from rrdns.settings import Settings


def limiter(settings: Settings, workers: int) -> Limiter | None:
    """One worker's part of the rate: the kernel shares the clients' ports out among them."""
    if not settings.rrl:
        return None
    return Limiter(settings.rrl / max(workers, 1), settings.rrl_slip, settings.rrl_exempt, secret=os.urandom(8))


def open_udp(sock: socket.socket, table: AnswerTable, limiter: Limiter | None) -> BatchSocket | PlainSocket:
    if limiter is None:
        return open_free(sock, table)
    return LimitedBatchSocket(sock, table, limiter) if batches_work() else LimitedPlainSocket(sock, table, limiter)


class LimitedBatchSocket(BatchSocket):
    """A batch whose replies are all in the vectors is judged, then sent."""

    def __init__(self, sock: socket.socket, table: AnswerTable, limiter: Limiter) -> None:
        super().__init__(sock, table)
        self._limiter = limiter
        self._cookies = table.cookies
        self._proved: list[int] = []
        """Packets of this batch that came with a valid cookie."""

    def _miss(self, rest: bytes, start: int, size: int, segment: int) -> Entry | None:
        before = self._cookies.proofs  # what is remembered has no cookie: every one comes by here
        entry = super()._miss(rest, start, size, segment)
        if self._cookies.proofs != before:
            self._proved.append(start // BUFFER)
        return entry

    def _reply(self, count: int, silent: list[int]) -> None:
        first, last = self._address_at, self._address_at + self._address_size
        names = self._names[: 32 * count]
        free, self._proved = [*silent, *self._proved], []
        places = range(count) if not free else sorted({*range(count)}.difference(free))
        addresses = [names[32 * i + first : 32 * i + last] for i in places]
        over, slips = self._limiter.over(addresses, time.monotonic())
        for position in over[:slips]:
            self._slip(places[position])
        unsent = [places[position] for position in over[slips:]]
        super()._reply(count, sorted([*silent, *unsent]) if unsent else silent)

    def _slip(self, i: int) -> None:
        """Cuts off the reply that stands in the vector."""
        iov, start, segment = self._send_iov, i * BUFFER, 4 * i + 1
        reply = self._buffer[start : start + iov[segment]]
        if iov[segment + 2]:
            reply += ctypes.string_at(iov[segment + 1], iov[segment + 2])
        self._write(start, segment, cut_off(reply))
        self.counts.truncated += 1


class LimitedPlainSocket(PlainSocket):
    def __init__(self, sock: socket.socket, table: AnswerTable, limiter: Limiter) -> None:
        super().__init__(sock, table)
        self._limiter = limiter
        self._cookies = table.cookies
        self._proofs = self._cookies.proofs

    def _send(self, reply: bytes, control: list[tuple[int, int, bytes]], peer: object) -> None:
        before, self._proofs = self._proofs, self._cookies.proofs
        if self._proofs != before:
            super()._send(reply, control, peer)
            return
        address = socket.inet_pton(self.sock.family, peer[0].partition("%")[0])  # type: ignore[index]
        over, slips = self._limiter.over([address], time.monotonic())
        if over:
            if not slips:
                self.counts.dropped += 1
                return
            reply = cut_off(reply)
            self.counts.truncated += 1
        super()._send(reply, control, peer)
