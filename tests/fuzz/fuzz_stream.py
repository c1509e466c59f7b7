"""Fuzz target: the input is how a byte stream is chopped, and the stream; it goes through the real TcpServer.

    byte 0    number of chop sizes (its low 4 bits); with the top bit the client reads nothing before it has sent all
    then      the chop sizes less one, a byte each, used in a circle; without any the stream comes in one piece
    then      the stream

The client's bytes must be the replies to the messages asked one by one, in order: up to the first message that gets
silence or is longer than any real one, where the server closes, or to the end of the stream. (What a reply may be
is the other target's business.)
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from unittest import mock

from fuzz.tables import POLICIES, client, table
from rrdns.server import tcp

POLICY = POLICIES[1]
SERVED, TWIN = table(POLICY), table(POLICY)
POLL = select.epoll()
TCP = tcp.TcpServer([], SERVED, POLL, limit=8, per_client=8, idle=10.0)
ROUNDS = 10_000  # an input of 64 kB needs a tenth of them


def one_input(data: bytes) -> None:
    slow, pieces, stream = understand(data)
    expected = asked_one_by_one(stream)
    errors = TCP.errors
    got = exchange(pieces, slow)
    assert TCP.errors == errors, "an exception while answering"
    assert not TCP.connections and not TCP.clients and not TCP._waiting, "something was left behind"
    assert got == expected, f"{len(got)} bytes of replies, expected were {len(expected)}"


def understand(data: bytes) -> tuple[bool, list[bytes], bytes]:
    head = data[0] if data else 0
    count = head & 15
    sizes, stream = data[1 : 1 + count], data[1 + count :]
    return bool(head & 0x80), list(chopped(stream, sizes)), stream


def chopped(stream: bytes, sizes: bytes) -> Iterator[bytes]:
    at = turn = 0
    while at < len(stream):
        size = sizes[turn % len(sizes)] + 1 if sizes else len(stream)
        yield stream[at : at + size]
        at += size
        turn += 1


def asked_one_by_one(stream: bytes) -> bytes:
    """What the client should read in all."""
    out = b""
    at = 0
    while at + 2 <= len(stream):
        length = int.from_bytes(stream[at : at + 2], "big")
        packet = stream[at + 2 : at + 2 + length]
        if length > tcp.MAX_QUERY or len(packet) < length:
            break
        reply = TWIN.reply(packet, asker=client)
        if reply is None:
            break
        out += len(reply).to_bytes(2, "big") + reply
        at += 2 + length
    return out


def exchange(pieces: list[bytes], slow: bool) -> bytes:
    """Sends the pieces, the server taking turns after each; then closes the sending half and reads to the end."""
    ours, theirs = socket.socketpair()
    got = bytearray()
    with ours, mock.patch.object(tcp, "asker", lambda _: client):
        # The smallest buffer there is: replies go out in parts.
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        theirs.setblocking(False)
        ours.setblocking(False)
        TCP._take(theirs, ("192.0.2.1", 53), 0.0)
        for piece in pieces:
            if not send(ours, piece):
                break
            turns(None if slow else ours, got)
        try:
            ours.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server was first
        for _ in range(ROUNDS):
            if not turns(ours, got):
                break
        else:
            raise AssertionError("the server keeps the connection of a client that has closed its half")
    return bytes(got)


def send(sock: socket.socket, piece: bytes) -> bool:
    """False when the server has closed. What it does not read at once waits in the kernel's buffer, which is larger
    than any input."""
    try:
        sock.sendall(piece)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def turns(reader: socket.socket | None, got: bytearray) -> bool:
    """The worker's loop while there is something to do; True while the connection is open."""
    for _ in range(ROUNDS):
        moved = False
        for fd, event in POLL.poll(0):
            moved = True
            if event & select.EPOLLOUT:
                TCP.writable(fd, 0.0)
            if event & ~select.EPOLLOUT:
                TCP.readable(fd, 0.0)
        moved |= TCP.go_on(0.0)
        if reader is not None:
            try:
                data = reader.recv(65536)
            except BlockingIOError:
                data = b""
            except ConnectionResetError:
                return False  # it closed, and did not read all we sent
            got += data
            moved |= bool(data)
        if not moved:
            return bool(TCP.connections)
    raise AssertionError("the server never comes to rest")
