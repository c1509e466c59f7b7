"""Bad packets against a real worker: it stays alive, replies by rule, and every good query after is answered."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import dns.exception
import pytest
from fuzz import rules
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_zone import question, small_zone
from worker_process import WorkerProcess, worker

from rrdns.settings import Settings

NAMES = ("www", "alias", "x.wild", "cut", "deep.cut", "x.moved", "mail", "big", "nothing", "WwW", "")


@pytest.fixture(scope="module")
def running() -> Iterator[WorkerProcess]:
    with worker(small_zone(), settings=Settings(cookie_secret=("e5" * 16,), nsid="server-1", ede=True)) as one:
        yield one


def good(chance: random.Random) -> bytes:
    return question(
        f"{chance.choice(NAMES)}.lb.example.com.".lstrip("."),
        chance.choice((1, 1, 28, 5, 15, 6, 2, 39, 43, 65, 255, 65535)),
        edns=chance.choice((None, None, 1232, 4096, 0)),
        do=chance.random() < 0.3,
        version=chance.random() < 0.05,
        number=chance.randrange(65536),
        options=chance.choice((b"", b"\0\x0a\0\x08" + bytes(8), b"\0\3\0\0")),
    )


def mutated(chance: random.Random) -> bytes:
    data = bytearray(good(chance))
    for _ in range(chance.randrange(1, 6)):
        kind = chance.randrange(5)
        at = chance.randrange(len(data)) if data else 0
        if kind == 0 and data:
            data[at] = chance.randrange(256)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = chance.randbytes(chance.randrange(1, 8))
        elif kind == 3:
            data += chance.randbytes(chance.randrange(1, 30))
        elif data:
            data[at] ^= 1 << chance.randrange(8)
    return bytes(data)


def exchange(sock: socket.socket, packets: list[bytes]) -> list[bytes | None]:
    """Sends the packets and a closing query; gives each its reply by the order on one socket."""
    for packet in packets:
        sock.send(packet)
    closing = question("www.lb.example.com.", 65, number=0xFFFF)
    sock.send(closing)
    replies = []
    while True:
        reply = sock.recv(65535)
        if reply[:2] == b"\xff\xff" and reply[12:] and reply[-4:] and reply[12 : len(closing)] == closing[12:]:
            break
        replies.append(reply)
    out: list[bytes | None] = []
    for packet in packets:
        if replies and replies[0][:2] == packet[:2] and len(packet) >= 12 and not packet[2] & 0x80:
            out.append(replies.pop(0))
        else:
            out.append(None)
    assert not replies, "a reply nobody asked for"
    return out


def storm(one: WorkerProcess, total: int, seed: int) -> None:
    chance = random.Random(seed)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.connect((one.address, one.port))
        for _ in range(total // 50):
            packets = [
                chance.randbytes(chance.randrange(0, 120)) if chance.random() < 0.3 else mutated(chance)
                for _ in range(50)
            ]
            packets = [packet for packet in packets if packet[:2] != b"\xff\xff"]
            for packet, reply in zip(packets, exchange(sock, packets), strict=True):
                try:
                    rules.judge(packet, reply, udp=True)
                except dns.exception.DNSException as error:
                    raise AssertionError(f"dnspython: {error}: {packet.hex()} -> {(reply or b'').hex()}") from error
    assert one.process.poll() is None
    assert one.value("errors") == 0


def test_10_000_packets(running: WorkerProcess) -> None:
    storm(running, 10_000, 1)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bytes_of_hypothesis(running: WorkerProcess, packets: list[bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.connect((running.address, running.port))
        packets = [packet for packet in packets if packet[:2] != b"\xff\xff"]
        for packet, reply in zip(packets, exchange(sock, packets), strict=True):
            rules.judge(packet, reply, udp=True)


def first(stream: bytes) -> tuple[bytes, bytes]:
    """The first message of a stream, and the rest."""
    end = 2 + int.from_bytes(stream[:2], "big")
    return stream[2:end], stream[end:]


def test_bad_tcp_streams(running: WorkerProcess) -> None:
    chance = random.Random(5)
    for _ in range(300):
        packets = [mutated(chance) if chance.random() < 0.5 else good(chance) for _ in range(chance.randrange(1, 6))]
        stream = b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets)
        if chance.random() < 0.3:
            stream = stream[: chance.randrange(len(stream))] + chance.randbytes(5)
        with socket.create_connection((running.address, running.port), timeout=20) as sock:
            sock.sendall(stream)
            sock.shutdown(socket.SHUT_WR)
            got = b""
            while data := sock.recv(65536):
                got += data
        while got:  # up to where the stream was cut off, or a packet got silence, which ends the connection
            asked, stream = first(stream)
            reply, got = first(got)
            rules.judge(asked, reply, udp=False)
    assert running.tcp(question("www.lb.example.com."))[0]
    assert running.value("errors") == 0


@pytest.mark.parametrize("bad", [b"\0\x0c" + b"\0\0\x80" + bytes(9), b"\0\0", b"\xff\xff"])
def test_what_came_before_a_bad_message_is_answered(running: WorkerProcess, bad: bytes) -> None:
    """All in one piece: a response, an empty message, one longer than any query."""
    asked = [question("www.lb.example.com.", number=number) for number in range(1, 6)]
    with socket.create_connection((running.address, running.port), timeout=20) as sock:
        sock.sendall(b"".join(len(one).to_bytes(2, "big") + one for one in asked) + bad)
        got = b""
        while data := sock.recv(65536):
            got += data
    replies = []
    while got:
        reply, got = first(got)
        replies.append(reply[:2])
    assert replies == [one[:2] for one in asked]
