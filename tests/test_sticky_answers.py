"""The workers' half of `sh`: a client's network always meets the same slot, by any road, and is counted right."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable

import dns.edns
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_zone import addresses, name, question, small_zone

from rrdns import wire
from rrdns.answers import AnswerSet, Changes, key
from rrdns.control.counters import Ring, Tally
from rrdns.server.edns import COOKIE, ERROR, SUBNET, Policy, option
from rrdns.server.respond import AnswerTable

WWW = name("www.lb.example.com.")
WWW_A, WWW_AAAA = key(WWW, wire.A), key(WWW, wire.AAAA)
NOW = 1_700_000_000
HOSTS = 64
Asker = Callable[[], tuple[bytes, int]]


def client(text: str) -> Asker:
    packed = ipaddress.ip_address(text).packed
    return lambda: (packed, NOW)


def ring(rtype: int = wire.A, ede: bytes = b"") -> AnswerSet:
    """As many slots as hosts, each its own: so that the answer tells the slot."""
    texts = [f"192.0.2.{n}" if rtype == wire.A else f"2001:db8::{n:x}" for n in range(HOSTS)]
    return AnswerSet(tuple(addresses(text) for text in texts), tuple(range(HOSTS)), True, ede, hashed=True)


def table(ede: bytes = b"", policy: Policy = Policy(secrets=(bytes(16),))) -> AnswerTable:  # noqa: B008 - frozen
    zone = small_zone()
    one = AnswerTable(policy=policy)
    one.stage(Changes({**zone.sets, WWW_A: ring(ede=ede), WWW_AAAA: ring(wire.AAAA)}, zone.nodes, zone.zones))
    one.commit(1, fresh=True)
    return one


def ask(one: AnswerTable, asker: Asker, text: str = "www", rtype: int = wire.A, *, udp: bool = True,
        options: bytes | None = None) -> dns.message.Message:  # fmt: skip
    edns = None if options is None else 1232
    packet = question(f"{text}.lb.example.com.", rtype, edns=edns, options=options or b"")
    reply = one.reply(packet, udp, asker)
    assert reply is not None
    return dns.message.from_wire(reply)


def host(message: dns.message.Message) -> int:
    """The number of the host that was answered."""
    (rdata,) = message.answer[-1]
    return ipaddress.ip_address(str(rdata)).packed[-1]


def subnet(text: str, source: int) -> bytes:
    packed = ipaddress.ip_address(text).packed
    size = (source + 7) // 8
    data = bytearray(packed[:size])
    if source % 8:
        data[-1] &= 0xFF00 >> source % 8 & 0xFF
    return option(SUBNET, bytes((0, 1 if len(packed) == 4 else 2, source, 0)) + bytes(data))


def scope(message: dns.message.Message) -> int | None:
    return next((one.scopelen for one in message.options if isinstance(one, dns.edns.ECSOption)), None)


ROADS = (
    *(
        {"udp": udp, "options": options}
        for udp in (True, False)
        for options in (None, b"", option(COOKIE, b"12345678"))
    ),
    {"text": "alias"},
    {"text": "alias2", "options": b""},
    {"text": "x.wild"},
    {"text": "www.moved", "udp": False},
    {"text": "wWw"},
    {"rtype": wire.AAAA},
)


@given(st.integers(0, 2**32 - 1))
def test_a_client_meets_the_same_host_by_every_road(number: int) -> None:
    one = table()
    me = client(str(ipaddress.IPv4Address(number)))
    first = host(ask(one, me))
    for road in (*ROADS, *ROADS):
        assert host(ask(one, me, **road)) == first, road  # type: ignore[arg-type]


def test_neighbours_are_one_client_and_strangers_are_spread() -> None:
    one = table()
    assert len({host(ask(one, client(f"198.51.100.{n}"))) for n in range(0, 256, 5)}) == 1
    assert len({host(ask(one, client(f"2001:db8:1:2{n:02x}::{n}"))) for n in range(0, 256, 5)}) == 1
    count = Counter(host(ask(one, client(f"10.{n >> 8}.{n & 255}.1"))) for n in range(6400))
    assert len(count) == HOSTS and min(count.values()) > 60 and max(count.values()) < 150
    assert len({host(ask(one, client(f"10.1.{n}.1"))) for n in range(HOSTS)}) > HOSTS / 2, "a block of them too"


@pytest.mark.parametrize(
    ("text", "source", "expected"),
    [
        ("198.51.100.7", 32, 24), ("198.51.100.0", 24, 24), ("198.51.0.0", 16, 16), ("198.51.96.0", 20, 20),
        ("2001:db8:1:2::7", 128, 56), ("2001:db8:1:200::", 56, 56), ("2001:db8::", 32, 32), ("0.0.0.0", 0, 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("udp", [True, False])
@pytest.mark.parametrize("road", ["www", "alias", "x.wild"])
def test_the_scope_is_what_counted(text: str, source: int, expected: int, udp: bool, road: str) -> None:
    one = table()
    resolver, other = client("192.0.2.1"), client("203.0.113.1")
    mine = ask(one, resolver, road, udp=udp, options=subnet(text, source))
    assert scope(mine) == expected
    if source:  # whoever asks for it, it is the client's network that counts
        assert host(mine) == host(ask(one, other, road, udp=udp, options=subnet(text, source)))
    else:  # "do not look at me": the resolver's own
        assert host(mine) == host(ask(one, resolver))


def test_a_client_behind_a_resolver_meets_whom_it_meets_by_itself() -> None:
    one = table()
    assert host(ask(one, client("192.0.2.1"), options=subnet("198.51.100.77", 32))) == host(
        ask(one, client("198.51.100.7"))
    )


def test_other_names_depend_on_nobody() -> None:
    one = table()
    for text in ("big", "nothing"):
        message = ask(one, client("192.0.2.1"), text, udp=False, options=subnet("198.51.100.0", 24))
        assert scope(message) == 0


def test_never_remembered_and_not_by_cookie_either() -> None:
    one = table()
    assert not one.find(WWW, b"\0\1\0\1").plain
    for number in range(50):
        for options in (None, b"", option(COOKIE, b"12345678")):
            ask(one, client(f"10.0.{number}.1"), options=options)
    packet = question("www.lb.example.com.", edns=1232, options=option(COOKIE, b"12345678"))
    assert not one.recall.memo and one.cookied(packet[2:], bytes(4), NOW) is None
    hosts = {host(ask(one, client(f"10.0.{number}.1"))) for number in range(50)}
    assert len(hosts) > 20


def test_a_ring_that_turns_into_a_hashed_one_is_forgotten_by_the_memo() -> None:
    zone = small_zone()
    one = AnswerTable()
    one.stage(zone)
    one.commit(1, fresh=True)
    packet = question("www.lb.example.com.")
    one.reply(packet, True, client("10.0.0.1"))
    assert one.recall.memo
    one.stage(Changes({WWW_A: ring()}, {}, {}))
    one.commit(2)
    hosts = {host(dns.message.from_wire(one.reply(packet, True, client("10.0.0.1")) or b"")) for _ in range(5)}
    assert len(hosts) == 1


def test_an_error_is_told_with_it() -> None:
    told = (3).to_bytes(2, "big") + b"1 of 2 hosts known good"
    one = table(told, Policy(ede=True))
    message = ask(one, client("198.51.100.1"), options=subnet("198.51.100.0", 24))
    assert {int(each.otype) for each in message.options} == {SUBNET, ERROR} and scope(message) == 24
    assert host(message) == host(ask(one, client("198.51.100.1")))


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=60))
def test_answers_are_counted_by_member(asked: list[tuple[int, bool]]) -> None:
    one, tally = table(), Tally()
    slots = tuple((f"web{number % 3}", "spare") for number in range(HOSTS))
    tally.made(0, 1, {WWW_A: Ring(WWW, "web", slots)})
    expected: Counter[tuple[str, str]] = Counter()
    firsts: Counter[str] = Counter()
    for number, look in asked:
        slot = host(ask(one, client(f"10.{number}.0.1")))
        expected.update([("web", slots[slot][0]), ("web", "spare")])
        firsts[slots[slot][0]] += 1
        if look:
            tally.read(0, {WWW_A: one.counters().get(WWW_A, (1, 0, 0))}, 1.0)
    tally.read(0, {WWW_A: one.counters().get(WWW_A, (1, 0, 0))}, 1.0)
    assert tally.members == expected and tally.services.get(WWW, 0) == len(asked)
    assert tally.answered("web", 2.0) == pytest.approx({who: n / len(asked) for who, n in firsts.items()})


def test_counts_go_on_over_another_ring() -> None:
    one, tally = table(), Tally()
    tally.made(0, 1, {WWW_A: Ring(WWW, "web", tuple(("a",) for _ in range(HOSTS)))})
    for number in range(10):
        ask(one, client(f"10.{number}.0.1"))
    tally.read(0, {WWW_A: one.counters().get(WWW_A, (1, 0, 0))}, 1.0)
    for number in range(10):
        ask(one, client(f"10.{number}.0.1"))
    one.stage(Changes({WWW_A: ring(ede=b"\0\3x")}, {}, {}))
    retired = one.commit(2)
    tally.made(0, 2, {WWW_A: Ring(WWW, "web", tuple(("b",) for _ in range(HOSTS)))})
    tally.read(0, retired, 2.0)
    tally.acknowledged(0, 2, [WWW_A])
    for number in range(7):
        ask(one, client(f"10.{number}.0.1"))
    tally.read(0, {WWW_A: one.counters()[WWW_A]}, 3.0)
    assert tally.members == {("web", "a"): 20, ("web", "b"): 7}
