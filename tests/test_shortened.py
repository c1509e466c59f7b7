"""A pool's answer has fewer addresses where all would be too much; the others come in turn, and none needs TCP."""

from __future__ import annotations

import socket
import time

import dns.flags
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_zone import ZONE, alias, key, name, question, small_zone

from rrdns import render, wire
from rrdns.answers import NAME, OWN, AnswerSet, Changes, Node
from rrdns.control import overview
from rrdns.server.bodies import shortened
from rrdns.server.edns import Policy
from rrdns.server.respond import AnswerTable
from rrdns.server.udp import BatchSocket, PlainSocket, batches_work
from rrdns.settings import Settings

HALF, WHOLE = b"\0\x0a\0\x08" + b"12345678", b"\0\x0a\0\x18"
MANY, ALIAS = "many.lb.example.com.", "short.lb.example.com."
SIZE = 40


def pool(rtype: int, answers: int = 8) -> AnswerSet:
    packed = [bytes(3 if rtype == 1 else 15) + bytes((at,)) for at in range(SIZE)]
    found = render.address_ring(rtype, [tuple((packed + packed)[at : at + answers]) for at in range(SIZE)], 20)
    assert found is not None
    return found


def table(answers: int = 8, ratio: int = 4) -> AnswerTable:
    one = AnswerTable(policy=Policy(secrets=(bytes(16),), ratio=ratio))
    one.stage(small_zone())
    sets = {key(name(MANY), rtype): pool(rtype, answers) for rtype in (1, 28)}
    sets[key(name(ALIAS), 0)] = sets[key(name(ALIAS), 5)] = AnswerSet((alias(MANY),))
    one.stage(Changes(sets, {name(MANY): Node(ZONE, NAME), name(ALIAS): Node(ZONE, OWN)}, {}))
    one.commit(1, True)
    return one


def who() -> tuple[bytes, int]:
    return b"\x7f\0\0\1", int(time.time())


def ask(
    one: AnswerTable, text: str, rtype: int = 1, udp: bool = True, **more: object
) -> tuple[bytes, dns.message.Message]:
    packet = question(text, rtype, **more)  # type: ignore[arg-type]
    reply = one.reply(packet, udp, who) or b""
    return packet, dns.message.from_wire(reply)


def addresses(message: dns.message.Message) -> list[str]:
    return [str(one) for rrset in message.answer for one in rrset if rrset.rdtype in (1, 28)]


@pytest.mark.parametrize("text", [MANY, ALIAS])
@pytest.mark.parametrize("rtype", [1, 28])
@pytest.mark.parametrize("edns", [None, 1232])
def test_all_come_in_turn_and_none_needs_tcp(text: str, rtype: int, edns: int | None) -> None:
    one, seen = table(), set()
    for _ in range(2 * SIZE):
        packet, message = ask(one, text, rtype, edns=edns)
        found = addresses(message)
        assert len(message.to_wire()) <= 4 * len(packet) and not message.flags & dns.flags.TC
        assert 2 <= len(found) <= 8 and (message.edns >= 0) == (edns is not None)
        seen.add(found[0])
    assert len(seen) == SIZE
    assert len(addresses(ask(one, text, rtype, udp=False)[1])) == 8, "all by TCP"


def test_as_many_as_fit() -> None:
    for text, rtype, edns, wanted in ((MANY, 1, None, 6), (MANY, 28, None, 3), (MANY, 1, 1232, 8), (MANY, 28, 1232, 5)):
        packet, message = ask(table(), text, rtype, edns=edns)
        found = len(addresses(message))
        size, step = len(message.to_wire()), 16 if rtype == 1 else 28
        assert found == wanted and (found == 8 or size <= 4 * len(packet) < size + step)


@pytest.mark.parametrize(
    ("text", "rtype", "ratio"), [(MANY, "A", 4), (MANY, "AAAA", 4), (MANY, "AAAA", 9), (MANY, "A", 0)]
)
def test_explain_knows_how_many(text: str, rtype: str, ratio: int) -> None:
    _, message = ask(table(SIZE, ratio), text, wire.type_number(rtype), edns=1232)
    assert len(addresses(message)) == min(SIZE, overview.fit(text, rtype, Settings(udp_ratio=ratio)))


def test_a_proved_address_gets_all() -> None:
    one = table()
    for _ in range(3):
        _, message = ask(one, MANY, 28, edns=1232, options=HALF)
        assert len(addresses(message)) < 8 and not message.flags & dns.flags.TC
    cookie = next(bytes(option.to_wire()) for option in message.options if option.otype == 10)
    for _ in range(3):
        assert len(addresses(ask(one, MANY, 28, edns=1232, options=WHOLE + cookie)[1])) == 8


@pytest.mark.parametrize("edns", [None, 512, 1232])
def test_all_that_fit_the_packet(edns: int | None) -> None:
    one = table(answers=SIZE, ratio=0)
    for text in (MANY, ALIAS):
        _, message = ask(one, text, 28, edns=edns)
        size = len(message.to_wire())
        assert (edns or 512) - 28 - 24 < size <= (edns or 512) or len(addresses(message)) == SIZE
        assert not message.flags & dns.flags.TC


def test_what_becomes_a_pool_is_limited_from_then_on() -> None:
    one, place = table(), key(name(MANY), 28)
    static = AnswerSet(pool(28).bodies, pool(28).slots)
    for answers, wanted in ((static, 8), (pool(28), 5), (static, 8)):
        one.stage(Changes({place: answers}, {}, {}))
        one.commit(one.number + 1)
        for _ in range(3):
            assert len(addresses(ask(one, MANY, 28, edns=1232)[1])) == wanted


@given(
    st.lists(
        st.tuples(
            st.sampled_from((MANY, ALIAS, "x.many.lb.example.com.", MANY.upper())),
            st.sampled_from((1, 28)),
            st.sampled_from((None, 512, 1232)),
            st.sampled_from((b"", HALF, b"\0\x03\0\0")),
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from((8, SIZE)),
    st.sampled_from((0, 3, 4)),
)
def test_memory_never_changes_a_reply(
    asked: list[tuple[str, int, int | None, bytes]], answers: int, ratio: int
) -> None:
    remembering, forgetful = table(answers, ratio), table(answers, ratio)
    now = who()
    for text, rtype, edns, options in (*asked, *asked):
        packet = question(text, rtype, edns=edns, options=options if edns else b"")
        forgetful.forget()
        assert remembering.reply(packet, True, lambda: now) == forgetful.reply(packet, True, lambda: now)


@pytest.mark.parametrize("kind", [BatchSocket, PlainSocket] if batches_work() else [PlainSocket])
def test_both_sockets_shorten(kind: type[BatchSocket] | type[PlainSocket]) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        one = kind(server, table())
        client.connect(server.getsockname())
        client.settimeout(10)
        for options in (b"", HALF):
            for _ in range(3):
                client.send(question(MANY, 28, edns=1232, options=options))
                while not one.turn():
                    time.sleep(0.001)
                message = dns.message.from_wire(client.recv(4096))
                assert 3 <= len(addresses(message)) < 8 and not message.flags & dns.flags.TC
        assert one.counts.truncated == 0 and one.counts.answered == 6


def test_not_even_one() -> None:
    body = pool(1).bodies[0]
    assert shortened(body, 15) is None and shortened(body, -7) is None
    one = shortened(body, 16)
    assert one is not None and one.counts == (1, 0, 0) and one.data == body.data[:16] and one.owners == (0,)
