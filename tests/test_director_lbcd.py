"""Directors of type lbcd: what the load daemon of lbnamed answers, what is no answer, and the daemon itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator

import live
import pytest
import real_directors
from director_input import refused
from needs import needs

from rrdns.directors import Fault, lbcd
from rrdns.directors.reach import endpoint
from rrdns.model import Director, Report

# Captured from lbcd 3.5.2; the number of the question is 42.
VERSION_2 = bytes.fromhex("0002002a000100016b02c05c6b02c8a60000000000ab00ab00ab00000000000044440000000000ab000000c8")
VERSION_3 = bytes.fromhex("0003002a000100016b02c05c6b02c8a60000000000390050005e00000000000044440000000000ab000000c8")
REFUSED = bytes.fromhex("0003002a00010003")  # to a question of version 4


def one(data: bytes, host: str = "192.0.2.11") -> Report:
    (report,) = lbcd.parse(data, 42, host).parts[""]
    return report


def test_captured_answers() -> None:
    assert one(VERSION_3) == Report("", "192.0.2.11", 0, "up", "cost 171, load 0.57, 0 users", 270)
    assert one(VERSION_2) == Report("", "192.0.2.11", 0, "up", "cost 171, 0 users", 270)
    assert one(VERSION_3, "web1.example.com").server == "web1.example.com"
    assert one(VERSION_3, "2001:DB8::1").address == "2001:db8::1"


def test_lower_cost_is_higher_weight() -> None:
    weights = [lbcd.weight(cost, 200) for cost in (0, 171, 300, 1500, 9000, 10**6)]
    assert weights == [500, 270, 200, 59, 11, 1]
    assert lbcd.weight(0, 0) == 1000
    assert lbcd.weight(171, 400) < lbcd.weight(171, 200)  # one more client costs it more


def test_out_of_rotation() -> None:
    out = one(VERSION_3[:36] + struct.pack("!2I", lbcd.OUT, 200))
    assert (out.word, out.weight) == ("down", 0)


def test_an_old_daemon_tells_only_its_load() -> None:
    old = VERSION_2[:8] + struct.pack("!3I5H", 1, 2, 3, 57, 80, 94, 5, 3) + b"\0" * 4
    assert one(old).why.startswith(f"cost {3 * 57 + 100 * 3 + 20 * 2}")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "0 bytes"),
        (VERSION_3[:20], "cut off"),
        (VERSION_3[:40], "cut off"),
        (b"\0\4" + VERSION_3[2:], "no answer of lbcd"),
        (VERSION_3[:2] + b"\0\1" + VERSION_3[4:], "no answer of lbcd"),
        (VERSION_3[:7] + b"\2" + VERSION_3[8:], "refuses the question (status 2)"),
        (REFUSED, "refuses the question (status 3)"),
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "no answer of lbcd"),
    ],
)
def test_what_is_no_answer(data: bytes, said: str) -> None:
    assert said in refused(lambda data: lbcd.parse(data, 42, "192.0.2.11"), data)


@contextlib.contextmanager
def answering(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """A UDP server: the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def run() -> None:
            while (got := server.recvfrom(2048))[0] != b"end":
                server.sendto(answer(got[0]), got[1])

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(b"end", server.getsockname())
            thread.join(10)


async def test_version_2_is_asked_where_3_is_refused() -> None:
    asked = []

    def old(question: bytes) -> bytes:
        version, number, _, _ = struct.unpack("!4H", question)
        asked.append(version)
        if version != 2:
            return struct.pack("!4H", 2, number, 1, 3)
        return struct.pack("!4H", 2, number, 1, 1) + VERSION_2[8:]

    with answering(old) as port:
        director = Director("old", "lbcd", socket=f"127.0.0.1:{port}", timeout=10)
        assert (await real_directors.servers(director, ""))["127.0.0.1"].weight == 270
    assert asked == [3, 2]


async def test_another_ones_answer_is_none() -> None:
    with answering(lambda question: VERSION_3) as port:
        director = Director("l", "lbcd", socket=f"127.0.0.1:{port}", timeout=10)
        assert "no answer of lbcd" in await real_directors.reason(director)


def test_the_port_is_known() -> None:
    assert endpoint("192.0.2.11", lbcd.PORT) == ("192.0.2.11", 4330)


def test_the_real_daemon() -> None:
    needs("lbcd")
    port = live.free_port("127.0.0.1")
    director = Director("l", "lbcd", socket=f"127.0.0.1:{port}", timeout=5)
    daemon = subprocess.Popen(["/usr/sbin/lbcd", "-f", "-b", "127.0.0.1", "-p", str(port), "-w", "100:200"])
    found: list[Report] = []

    def answers() -> bool:
        with contextlib.suppress(Fault):
            found.append(asyncio.run(real_directors.servers(director, ""))["127.0.0.1"])
        return bool(found)

    try:
        live.wait_for(answers, 30, "lbcd")
    finally:
        daemon.terminate()
        daemon.wait(20)
    assert (found[0].word, found[0].weight) == ("up", lbcd.weight(100, 200))
