"""UDP, many datagrams a system call (recvmmsg/sendmmsg through ctypes), or one at a time where that is missing.

`turn()` takes what is queued, up to a batch, and answers it. All vectors are made once, over flat memory, and
never rebuilt; receive and send have their own, so nothing is reset between batches. A reply is gathered from
two segments: the request's own buffer, with ten header bytes patched in place (id, question and its letter
case stay where they are), and the slot's bytes by address. Must not know: zones, rings' meaning, control.

Layout of the flat vectors on 64-bit Linux, in 8-byte words (recvmmsg(2), recvmsg(2)):

  mmsghdr  0 name  1 namelen  2 iov  3 iovlen  4 control  5 controllen  6 flags  7 length of the datagram
  iovec    0 base  1 length
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import socket
import sys
import time
from array import array

from rrdns.server.clients import asker
from rrdns.server.respond import AnswerTable, cut
from rrdns.server.rings import Entry

BATCH = 64
BUFFER = 4096  # a query is far smaller; a longer datagram arrives cut off and is FORMERR
NAME_ROOM = 28  # sockaddr_in6
CONTROL_ROOM = 64  # one in_pktinfo or in6_pktinfo

_HDR, _IOV = 8, 2  # words


class Counts:
    """What a socket did since it was made."""

    __slots__ = ("answered", "dropped", "errors", "queries", "send_failed", "truncated")

    def __init__(self) -> None:
        self.queries = self.answered = self.dropped = self.errors = self.send_failed = self.truncated = 0


def batches_work() -> bool:
    """Whether the layout above is this machine's and the calls exist."""
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_void_p) != 8 or sys.byteorder != "little":
        return False
    libc = ctypes.CDLL(None)
    return hasattr(libc, "recvmmsg") and hasattr(libc, "sendmmsg")


def open_udp(sock: socket.socket, table: AnswerTable) -> BatchSocket | PlainSocket:
    return BatchSocket(sock, table) if batches_work() else PlainSocket(sock, table)


def is_wildcard(sock: socket.socket) -> bool:
    """Whether the socket hears on every address, so that replies must name the one that was asked."""
    return sock.getsockname()[0] in ("0.0.0.0", "::")


class BatchSocket:
    """A non-blocking UDP socket served in batches."""

    def __init__(self, sock: socket.socket, table: AnswerTable) -> None:
        self.sock = sock
        self.counts = Counts()
        self._table = table
        self._fd = sock.fileno()
        self._asking = 0
        """Where the packet that is being looked up begins."""
        self._time = 0
        """Unix seconds, read once a batch and only when a cookie wants to know; 0: not read."""
        self._wildcard = is_wildcard(sock)
        self._version6 = sock.family == socket.AF_INET6
        # sockaddr_in: family 2, port 2, address 4; sockaddr_in6: family 2, port 2, flow 4, address 16
        self._address_at, self._address_size = (8, 16) if self._version6 else (4, 4)
        self._buffer = mmap.mmap(-1, BATCH * BUFFER)
        self._names = mmap.mmap(-1, BATCH * 32)
        self._control = mmap.mmap(-1, BATCH * CONTROL_ROOM)
        self._views = [memoryview(one) for one in (self._buffer, self._names, self._control)]
        self._receive_iov = array("Q", bytes(8 * _IOV * BATCH))
        self._send_iov = array("Q", bytes(8 * 2 * _IOV * BATCH))
        self._receive = array("Q", bytes(8 * _HDR * BATCH))
        self._send = array("Q", bytes(8 * _HDR * BATCH))
        self._fill()
        self._fresh = self._receive[:]
        self._lengths = memoryview(self._receive).cast("B").cast("I")[14 :: 2 * _HDR]
        self._plans = [
            [(i, i * BUFFER, i * BUFFER + 2, slice(i * BUFFER + 2, i * BUFFER + 12), 4 * i + 1) for i in range(count)]
            for count in range(BATCH + 1)
        ]
        libc = ctypes.CDLL(None, use_errno=True)
        self._recvmmsg, self._sendmmsg = libc.recvmmsg, libc.sendmmsg
        pointer, number = ctypes.c_void_p, ctypes.c_int
        self._recvmmsg.argtypes = (number, pointer, ctypes.c_uint, number, pointer)
        self._sendmmsg.argtypes = (number, pointer, ctypes.c_uint, number)
        self._receive_at = self._receive.buffer_info()[0]
        self._send_at = self._send.buffer_info()[0]

    def _fill(self) -> None:
        """Writes all addresses into the vectors, once."""
        buffer, names, control = (_address(one) for one in (self._buffer, self._names, self._control))
        name_size = 16 if self.sock.family == socket.AF_INET else NAME_ROOM
        receive_iov, send_iov = self._receive_iov.buffer_info()[0], self._send_iov.buffer_info()[0]
        for i in range(BATCH):
            name, data = names + 32 * i, buffer + BUFFER * i
            self._receive_iov[2 * i : 2 * i + 2] = array("Q", (data, BUFFER))
            self._send_iov[4 * i] = data
            ancillary = (control + CONTROL_ROOM * i, CONTROL_ROOM) if self._wildcard else (0, 0)
            self._receive[_HDR * i : _HDR * i + 6] = array("Q", (name, name_size, receive_iov + 16 * i, 1, *ancillary))
            self._send[_HDR * i : _HDR * i + 6] = array("Q", (name, name_size, send_iov + 32 * i, 2, *ancillary))

    def turn(self) -> int:
        """Receives up to a batch, answers it, and says how many datagrams there were (0: none waiting)."""
        if self._wildcard:
            self._receive[:] = self._fresh  # the kernel wrote the lengths of the control data there
        count: int = self._recvmmsg(self._fd, self._receive_at, BATCH, socket.MSG_DONTWAIT, None)
        if count <= 0:
            return 0
        self._time = 0
        recall = self._table.recall
        buffer, iov, find, quick = self._buffer, self._send_iov, recall.memo.get, recall.quick
        silent: list[int] = []
        for (i, start, patch, head, segment), size in zip(
            self._plans[count], self._lengths[:count].tolist(), strict=True
        ):
            rest = buffer[patch : start + size]
            entry = find(rest)
            if entry is None:
                entry = quick(rest) or self._miss(rest, start, size, segment)
                if entry is None:
                    if not iov[segment]:
                        silent.append(i)
                    continue
            ring, items, end, room = entry
            if ring is None:
                hdr, address, length = items.header, items.address, items.length
            else:
                cursor = ring.cursor
                ring.cursor = cursor + 1
                hdr, _, address, length = items[cursor % len(items)]
            if length > room:
                hdr, data = cut(entry, hdr, room)
                self._put(start, segment, hdr, end, data)
                self.counts.truncated += (hdr[0] & 0x02) >> 1
                continue
            buffer[head] = hdr
            iov[segment] = end
            iov[segment + 1] = address
            iov[segment + 2] = length
        self.counts.queries += count
        if self._wildcard:
            self._turn_around(count)
        self._reply(count, silent)
        return count

    def _miss(self, rest: bytes, start: int, size: int, segment: int) -> Entry | None:
        """A packet that is not remembered: its Entry, or None with the whole reply (or nothing) in the vector."""
        self._asking = start
        try:
            finished = self._table.cookied(rest, *self._ask())
            if finished is not None:
                hdr, end, data = finished
                self._put(start, segment, hdr, end, data)
                self.counts.truncated += (hdr[0] & 0x02) >> 1
                return None
            found = self._table.lookup(self._buffer[start : start + size], self._ask)
        except Exception:
            # One odd packet must not end the worker; the counter shows in `status`, and should stay 0.
            self.counts.errors += 1
            found = None
        if isinstance(found, tuple):
            return found
        if found and found[2] & 0x02:
            self.counts.truncated += 1
        self._write(start, segment, found or b"")
        return None

    def _ask(self) -> tuple[bytes, int]:
        """Who sent the packet that is being looked up, and the time."""
        at = self._asking // BUFFER * 32 + self._address_at
        now = self._time = self._time or int(time.time())
        return self._names[at : at + self._address_size], now

    def _put(self, start: int, segment: int, hdr: bytes, end: int, data: bytes) -> None:
        """Puts what follows the question behind it, into the request's buffer."""
        buffer, iov, behind = self._buffer, self._send_iov, start + end
        buffer[start + 2 : start + 12] = hdr
        buffer[behind : behind + len(data)] = data
        iov[segment] = end + len(data)
        iov[segment + 2] = 0

    def _write(self, start: int, segment: int, reply: bytes) -> None:
        """Puts a whole reply into the request's buffer; an empty one means silence."""
        self._buffer[start : start + len(reply)] = reply
        iov = self._send_iov
        iov[segment] = len(reply)
        iov[segment + 2] = 0

    def _turn_around(self, count: int) -> None:
        """Makes the received control data (the address that was asked) that of the reply: RFC 3542 section 6.1.

        The interface is left to routing, but for link-local addresses, which mean nothing without one.
        """
        control, version6 = self._control, self._version6
        for i in range(count):
            self._send[_HDR * i + 5] = self._receive[_HDR * i + 5]
            at = CONTROL_ROOM * i + 16
            if not version6:
                control[at : at + 4] = b"\0\0\0\0"
            elif control[at : at + 2] != b"\xfe\x80":
                control[at + 16 : at + 20] = b"\0\0\0\0"

    def _reply(self, count: int, silent: list[int]) -> None:
        """Sends the replies of a batch, in runs between the silent ones."""
        self.counts.dropped += len(silent)
        first = 0
        for stop in (*silent, count):
            while first < stop:
                sent: int = self._sendmmsg(
                    self._fd, self._send_at + 8 * _HDR * first, stop - first, socket.MSG_DONTWAIT
                )
                if sent > 0:
                    self.counts.answered += sent
                    first += sent
                else:
                    # This one can't be sent (no route, full queue ...): skip it, the rest may go.
                    self.counts.send_failed += 1
                    first += 1
            first = stop + 1


class PlainSocket:
    """The same door over recvmsg and sendmsg, one datagram a call, for systems without the batched calls."""

    def __init__(self, sock: socket.socket, table: AnswerTable) -> None:
        self.sock = sock
        self.counts = Counts()
        self._table = table
        self._wildcard = is_wildcard(sock)
        self._version6 = sock.family == socket.AF_INET6

    def turn(self) -> int:
        for count in range(BATCH):
            try:
                packet, control, _, peer = self.sock.recvmsg(BUFFER, CONTROL_ROOM if self._wildcard else 0)
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK):
                    return count
                continue  # ICMP errors of earlier replies surface here; they concern that packet only
            self.counts.queries += 1
            try:
                reply = self._table.reply(packet, True, asker(peer[0]))
            except Exception:
                self.counts.errors += 1  # see BatchSocket._miss
                reply = None
            if reply is None:
                self.counts.dropped += 1
                continue
            self.counts.truncated += bool(reply[2] & 0x02)
            self._send(reply, control, peer)
        return BATCH

    def _send(self, reply: bytes, control: list[tuple[int, int, bytes]], peer: object) -> None:
        back = []
        for level, kind, data in control:
            if self._version6 and data[:2] != b"\xfe\x80":
                data = data[:16] + bytes(4)
            elif not self._version6:
                data = bytes(4) + data[4:]
            back.append((level, kind, data))
        try:
            self.sock.sendmsg([reply], back, 0, peer)  # type: ignore[arg-type]
            self.counts.answered += 1
        except OSError:
            self.counts.send_failed += 1


def _address(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


__all__ = ["BATCH", "BatchSocket", "Counts", "PlainSocket", "batches_work", "is_wildcard", "open_udp"]
