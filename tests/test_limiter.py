"""The rate limiter: the rule over pretend time, the cut-off reply, and the doors that use it."""

from __future__ import annotations

import ipaddress
import signal
import socket

import dns.flags
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_zone import question, small_zone
from worker_process import wait_until, worker

from rrdns.server.edns import Policy
from rrdns.server.limited import LimitedBatchSocket, LimitedPlainSocket, limiter
from rrdns.server.limiter import Limiter, cut_off
from rrdns.server.respond import AnswerTable
from rrdns.server.udp import batches_work
from rrdns.settings import Settings

NEVER = 0.0001  # replies a second: one, and no other while a test lasts


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def sent(one: Limiter, text: str, count: int, now: float) -> int:
    """How many of `count` replies to an address go out whole."""
    return count - len(one.over([packed(text)] * count, now)[0])


def table() -> AnswerTable:
    one = AnswerTable()
    one.stage(small_zone())
    one.commit(1, fresh=True)
    return one


# ---------------------------------------------------------------- the rule


def test_a_second_at_once_and_then_the_rate() -> None:
    one = Limiter(10)
    assert sent(one, "192.0.2.1", 50, 100.0) == 10
    assert sent(one, "192.0.2.1", 50, 100.0) == 0
    assert sent(one, "192.0.2.1", 50, 100.3) == 3
    assert sent(one, "192.0.2.1", 50, 1000.0) == 10, "no more is saved up"
    assert one.limited == 40 + 50 + 47 + 40


@pytest.mark.parametrize(
    ("first", "same", "other"),
    [("192.0.2.1", "192.0.2.255", "192.0.3.1"), ("2001:db8:0:ff::1", "2001:db8::1", "2001:db8:0:100::1")],
)
def test_a_prefix_is_one_client(first: str, same: str, other: str) -> None:
    one = Limiter(5)
    assert sent(one, first, 5, 1.0) == 5
    assert sent(one, same, 1, 1.0) == 0
    assert sent(one, other, 5, 1.0) == 5


@pytest.mark.parametrize(("slip", "cut"), [(0, 0), (1, 90), (2, 45), (3, 30)])
def test_every_slipth_reply_beyond_is_cut_off(slip: int, cut: int) -> None:
    one, asked = Limiter(10, slip), [packed("192.0.2.1")]
    assert one.over(asked * 100, 1.0) == (list(range(10, 100)), cut)
    singly = [one.over(asked, 1.0) for _ in range(90)]
    assert sum(slips for _, slips in singly) == cut and all(found == [0] for found, _ in singly)


def test_exempt_networks_are_neither_limited_nor_counted() -> None:
    one = Limiter(5, exempt=("192.0.2.128/25", "10.0.0.0/8", "2001:db8::/32"))
    assert sent(one, "192.0.2.200", 100, 1.0) == 100
    assert sent(one, "10.9.8.7", 100, 1.0) == 100
    assert sent(one, "2001:db8:1::1", 100, 1.0) == 100
    assert sent(one, "192.0.2.1", 100, 1.0) == 5, "its neighbours took nothing of its share"
    assert sent(one, "2001:db9::1", 100, 1.0) == 5


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 40)), max_size=30), st.integers(1, 50))
def test_never_more_than_a_burst_and_the_rate(steps: list[tuple[float, int]], rate: int) -> None:
    one, now, start, total = Limiter(rate), 50.0, 50.0, 0
    for pause, count in steps:
        now += pause
        total += sent(one, "192.0.2.1", count, now)
        assert total <= rate + rate * (now - start) + 1


def test_a_flood_from_everywhere_takes_no_memory_and_starves_nobody_else() -> None:
    one = Limiter(80, secret=b"x", buckets=1 << 10)
    flood = [number.to_bytes(4, "big") for number in range(0, 1 << 32, 1 << 18)]  # 16,384 networks
    assert one.over(flood, 1.0) == ([], 0), "sixteen to a bucket are below the rate"
    assert len(one._empty_at) == 1 << 10
    with pytest.raises(ValueError, match="power of two"):
        Limiter(1, buckets=1000)


def test_each_worker_gives_its_part() -> None:
    assert limiter(Settings(), 2) is None
    mine = limiter(Settings(rrl=100, rrl_exempt=()), 4)
    assert mine is not None and sent(mine, "127.0.0.1", 200, 1.0) == 25
    usual = limiter(Settings(rrl=1), 1)
    assert usual is not None and sent(usual, "127.0.0.1", 200, 1.0) == 200


# ---------------------------------------------------------------- the reply that is left


@pytest.mark.parametrize("text", ["www", "alias", "alias2", "nothing", "x.moved", "cut", "big", "mail", "WwW", "out"])
@pytest.mark.parametrize("edns", [None, 1232])
def test_cut_off_keeps_question_and_opt(text: str, edns: int | None) -> None:
    packet = question(text + ".lb.example.com.", 15 if text == "mail" else 1, edns=edns, do=edns is not None)
    whole = table().reply(packet, udp=True)
    assert whole is not None
    cut = cut_off(whole)
    told, asked, before = dns.message.from_wire(cut), dns.message.from_wire(packet), dns.message.from_wire(whole)
    assert told.flags == before.flags | dns.flags.TC and told.id == before.id
    assert told.question == asked.question and cut[12:].startswith(packet[12:20])
    assert not told.answer and not told.authority and not told.additional
    assert (told.edns, told.payload, told.ednsflags) == (before.edns, before.payload, before.ednsflags)
    assert len(cut) <= len(packet)


def test_cut_off_keeps_the_options_in_the_opt() -> None:
    reply = dns.message.make_response(dns.message.make_query("www.example.com.", "A"))
    reply.use_edns(0, payload=1232, options=[dns.edns.GenericOption(10, b"12345678abcdefgh")])
    assert dns.message.from_wire(cut_off(reply.to_wire())).options[0].to_wire() == b"12345678abcdefgh"


def test_a_header_alone_stays() -> None:
    reply = table().reply(b"\0\1\x28\0" + bytes(8), udp=True)
    assert reply is not None and cut_off(reply) == reply


# ---------------------------------------------------------------- the doors


def kinds() -> list[type[LimitedBatchSocket] | type[LimitedPlainSocket]]:
    return [LimitedBatchSocket, LimitedPlainSocket] if batches_work() else [LimitedPlainSocket]


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0", "::1"])
def test_the_doors_send_cut_off_or_nothing(
    kind: type[LimitedBatchSocket] | type[LimitedPlainSocket], listen: str
) -> None:
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server, socket.socket(family, socket.SOCK_DGRAM) as client:
        if listen == "0.0.0.0":
            server.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
        server.bind((listen, 0))
        server.setblocking(False)
        door = kind(server, table(), Limiter(NEVER, 2))
        client.connect(("127.0.0.1" if listen == "0.0.0.0" else listen, server.getsockname()[1]))
        client.settimeout(10)
        texts = ("www", "alias", "nothing", "big", "cut", "www", "www")
        for number, text in enumerate(texts):
            client.send(question(text + ".lb.example.com.", edns=1232, number=number))
            client.send(b"\x80" * 20)  # a response: silence, not a reply held back
        while door.turn():
            pass
        got = [dns.message.from_wire(client.recv(4096)) for _ in range(4)]
        assert [one.id for one in got] == ([0, 1, 2, 3] if kind is LimitedBatchSocket else [0, 2, 4, 6])
        assert got[0].answer and not got[0].flags & dns.flags.TC
        for one in got[1:]:
            assert one.flags & dns.flags.TC and not one.answer and one.edns == 0 and one.question
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(4096)
        counts = door.counts
        assert (counts.queries, counts.answered, counts.dropped, counts.errors) == (14, 4, 10, 0)


def test_a_worker_limits_a_forged_network_and_serves_it_by_tcp() -> None:
    with worker(small_zone(), settings=Settings(rrl=1, rrl_exempt=("127.0.5.0/24",))) as one:
        packet = question("www.lb.example.com.")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((one.address, one.port))
            one.process.send_signal(signal.SIGSTOP)
            for _ in range(60):
                sock.send(packet)
            one.process.send_signal(signal.SIGCONT)
            wait_until(lambda: one.value("udp") == 60)
        wait_until(lambda: one.value("limited") >= 50)
        assert one.value("answered") + one.value("dropped") == 60 and one.value("truncated") >= 25
        assert one.tcp(packet)[0][6:8] == b"\0\1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.5.1", 0))
            sock.settimeout(10)
            sock.connect((one.address, one.port))
            for _ in range(100):
                sock.send(packet)
                assert not sock.recv(4096)[2] & 0x02


# ---------------------------------------------------------------- clients that proved their address


SECRET = bytes(range(16))
HALF = b"\x24\x64\xc4\xab\xcf\x10\xc9\x57"


def with_cookie(number: int, cookie: bytes) -> bytes:
    return question(
        "www.lb.example.com.", edns=1232, number=number, options=b"\0\x0a" + bytes((0, len(cookie))) + cookie
    )


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("listen", ["127.0.0.1", "::1"])
def test_a_valid_cookie_frees_its_client_alone(
    kind: type[LimitedBatchSocket] | type[LimitedPlainSocket], listen: str
) -> None:
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server, socket.socket(family, socket.SOCK_DGRAM) as client:
        server.bind((listen, 0))
        server.setblocking(False)
        proved = AnswerTable(policy=Policy(secrets=(SECRET,)))
        proved.stage(small_zone())
        proved.commit(1, fresh=True)
        judge = Limiter(NEVER, 0)
        door = kind(server, proved, judge)
        client.connect(server.getsockname()[:2])
        client.settimeout(10)
        client.send(with_cookie(1, HALF))
        while door.turn():
            pass
        cookie = dns.message.from_wire(client.recv(4096)).options[0].to_wire()
        assert len(cookie) == 24
        forged = cookie[:16] + bytes(8)
        for number, one in ((10, cookie), (11, HALF), (12, cookie), (13, forged), (14, b""), (15, cookie)):
            client.send(with_cookie(number, one) if one else question("www.lb.example.com.", number=number))
        while door.turn():
            pass
        got = [dns.message.from_wire(client.recv(4096)) for _ in range(3)]
        assert [one.id for one in got] == [10, 12, 15] and all(one.answer for one in got)
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(4096)
        assert judge.limited == 3 and door.counts.errors == 0
