"""The dns check: Knot's own answers, forged and broken replies, and a reader that takes nothing on trust."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from needs import needs

from rrdns import wire
from rrdns.checks import dns, probe
from rrdns.model import Check, DnsProbe, Result, Target
from rrdns.zonefile import load, rdata

NAME = wire.name_from_text("www.lb.example.")
ZONE = """$ORIGIN lb.example.
@ 60 SOA NS1 hostmaster 1 2 3 4 5
@ 60 NS NS1.lb.example.
ns1 60 A 192.0.2.53
www 60 A 192.0.2.1
www 60 A 192.0.2.2
www 60 AAAA 2001:db8::1
alias 60 CNAME WWW
mail 60 MX 10 www
text 60 TXT "hello"
"""


def ask(port: int, asked: DnsProbe, timeout: float = 20.0, loop: Callable[[], Any] = uvloop.new_event_loop) -> Result:
    check = Check("dns", "dns", port, asked, timeout=timeout)
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(probe(Target(check.key("127.0.0.1"), check, "127.0.0.1")))


def question(name: str, qtype: str, *expect: object, **more: Any) -> DnsProbe:
    """As a check of a pools file has it."""
    text = f"checks: {{x: {{type: dns, name: {name}, qtype: {qtype}, expect: {list(expect)}, host: 1}}}}"
    text = text.replace(", host: 1", "").replace(", expect: []", "")
    pools = f"{text}\npools: {{p: {{check: x, members: [192.0.2.9]}}}}\n".encode()
    zone = b"'': {type: NS, value: ns1.a.example.}\nns1: {type: A, value: 192.0.2.1}\nw: {type: POOL, pool: p}\n"
    loaded = load({"pools.yaml": pools, "a.example.yaml": zone})
    assert loaded.dataset, loaded.problems
    found = loaded.dataset.checks["x"].probe
    assert isinstance(found, DnsProbe)
    return found


# ------------------------------------------------------------ a real server


@pytest.fixture(scope="module")
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    needs("knotd")
    folder = tmp_path_factory.mktemp("knot")
    (folder / "lb.example.zone").write_text(ZONE)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    (folder / "knot.conf").write_text(
        f"server:\n    rundir: {folder}\n    listen: 127.0.0.1@{port}\ndatabase:\n    storage: {folder}\n"
        f"zone:\n  - domain: lb.example\n    storage: {folder}\n    file: lb.example.zone\n"
    )
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    process = subprocess.Popen(["knotd", "-c", str(folder / "knot.conf")], env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not ask(port, DnsProbe(NAME), 0.5).ok:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_knot_answers(knot: int, loop: Callable[[], Any]) -> None:
    instead = "instead of what is expected"
    for asked, ok, reason in (
        (question("www.lb.example.", "A"), True, "NOERROR"),
        (question("WWW.lb.example.", "A", "192.0.2.7", "192.0.2.2"), True, "NOERROR, with the record expected"),
        (question("www.lb.example.", "AAAA", "2001:db8::1"), True, "NOERROR, with the record expected"),
        (question("www.lb.example.", "A", "192.0.2.7"), False, f"NOERROR, but 2 other A records {instead}"),
        (question("text.lb.example.", "TXT", "hello"), True, "NOERROR, with the record expected"),
        (question("alias.lb.example.", "CNAME", "www.LB.example."), True, "NOERROR, with the record expected"),
        (question("alias.lb.example.", "A", "192.0.2.1"), True, "NOERROR, with the record expected"),
        (question("lb.example.", "NS", "ns1.lb.example."), True, "NOERROR, with the record expected"),
        (question("mail.lb.example.", "A", "192.0.2.1"), False, f"NOERROR, but no A record {instead}"),
        (question("nobody.lb.example.", "A"), False, "NXDOMAIN"),
        (question("other.example.", "A"), False, "REFUSED"),
        (DnsProbe(wire.name_from_text("nobody.lb.example."), 1, (0, 3)), True, "NXDOMAIN"),
        (DnsProbe(NAME, 1, (3,)), False, "NOERROR, expected NXDOMAIN"),
    ):  # fmt: skip
        result = ask(knot, asked, loop=loop)
        assert (result.ok, result.reason, result.silent, result.void) == (ok, reason, False, False)
    mail = rdata.encode(wire.MX, {"preference": 10, "exchange": "www.lb.example."}, b"\0")
    assert ask(knot, DnsProbe(wire.name_from_text("mail.lb.example."), wire.MX, (0,), (mail,)), loop=loop).ok


# ------------------------------------------------------------ bad servers


@contextlib.contextmanager
def server(answers: Callable[[bytes], list[bytes]]) -> Iterator[int]:
    """Sends what `answers` makes of each datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.1)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                with contextlib.suppress(OSError):
                    query, client = sock.recvfrom(4096)
                    for one in answers(query):
                        sock.sendto(one, client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            done.set()
            thread.join()


def reply(query: bytes, flags: int = 0x8400, count: int = 1, data: bytes = bytes((192, 0, 2, 1))) -> bytes:
    record = b"\xc0\x0c" + struct.pack("!2HIH", 1, 1, 60, len(data)) + data
    return query[:2] + struct.pack("!5H", flags, 1, count, 0, 0) + query[12:] + record * count


EXPECTING = DnsProbe(NAME, 1, (0,), (bytes((192, 0, 2, 1)),))
WRONG: dict[str, Callable[[bytes], bytes]] = {
    "another id": lambda query: bytes((query[0] ^ 1, query[1])) + reply(query)[2:],
    "another question": lambda query: reply(query).replace(b"\x03www", b"\x03wwx"),
    "another type": lambda query: reply(query[:-3] + b"\x1c" + query[-2:]),
    "a query": lambda query: reply(query, 0),
    "another opcode": lambda query: reply(query, 0xA400),
    "empty": lambda query: b"",
    "short": lambda query: reply(query)[:11],
    "no question, no error": lambda query: query[:2] + struct.pack("!5H", 0x8000, 0, 0, 0, 0),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_reply_to_us_is_passed_over(wrong: str) -> None:
    with server(lambda query: [WRONG[wrong](query)]) as port:
        result = ask(port, EXPECTING, 0.3)
    assert (result.ok, result.silent) == (False, False)
    assert result.reason == "no answer to www.lb.example. A in 300ms (what came was no reply to the question)"
    with server(lambda query: [WRONG[wrong](query)] * 5 + [reply(query)]) as port:
        assert ask(port, EXPECTING).ok


def test_other_manners() -> None:
    with server(lambda query: []) as port:
        result = ask(port, EXPECTING, 0.3)
        assert (result.ok, result.silent) == (False, True)
        assert result.reason == "no answer to www.lb.example. A in 300ms"
    with server(lambda query: [b"garbage" * 9] * 3000) as port:  # the kernel may drop some
        assert not ask(port, EXPECTING, 1.0).ok
    with server(lambda query: [query[:2] + struct.pack("!5H", 0x8001, 0, 0, 0, 0)]) as port:
        assert ask(port, EXPECTING).reason == "FORMERR"
    with server(lambda query: [reply(query, 0x8600, 0)]) as port:
        assert ask(port, EXPECTING).reason == "NOERROR, but the answer is cut off (TC) before the record expected"
    with server(lambda query: [reply(query, 0x8400, 1)[:-2]]) as port:
        assert ask(port, EXPECTING).reason == "NOERROR, but the answer can't be read: a record is cut off"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        closed = sock.getsockname()[1]
    result = ask(closed, EXPECTING)
    assert (result.ok, result.reason, result.silent) == (False, "connection refused", False)


# ------------------------------------------------------------ the reader


def test_pointers_lead_backwards_only() -> None:
    query = dns.question(7, DnsProbe(NAME, wire.NS))
    head = query[:2] + struct.pack("!5H", 0x8400, 1, 1, 0, 0) + query[12:]
    at = len(head)
    for pointer in (at, at + 2, 0x3FFF):  # to itself, forward, beyond
        with pytest.raises(dns.BadReply):
            list(dns.rdatas(head + struct.pack("!H", 0xC000 | pointer) + bytes(10), query))
    chain = head + b"\xc0\x0c" + struct.pack("!2HIH", wire.NS, 1, 1, 2) + struct.pack("!H", 0xC000 | 16)
    assert list(dns.rdatas(chain, query)) == [b"\x02lb\x07example\0"]


@given(st.binary(max_size=400), st.integers(0, 0xFFFF), st.sampled_from([1, 2, 6, 15, 16, 33]))
def test_any_bytes_are_read_or_refused(body: bytes, count: int, qtype: int) -> None:
    query = dns.question(7, DnsProbe(NAME, qtype))
    packet = query[:2] + struct.pack("!5H", 0x8400, 1, count, 0, 0) + query[12:] + body
    begun = time.process_time()
    with contextlib.suppress(dns.BadReply):
        assert all(len(one) < 70000 for one in dns.rdatas(packet, query))
    assert time.process_time() - begun < 1


def test_recursion_is_asked_for_where_wanted() -> None:
    assert dns.question(0x1234, DnsProbe(NAME, 28, recurse=True))[:4] == b"\x12\x34\x01\x00"
