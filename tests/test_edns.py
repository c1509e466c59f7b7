"""EDNS options without sockets: what goes back, read by dnspython, and that nothing of a client is remembered."""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from small_zone import addresses, name, question, small_zone

from rrdns import wire
from rrdns.answers import AnswerSet, Changes, key
from rrdns.server import edns
from rrdns.server.edns import COOKIE, KEEPALIVE, NSID, SUBNET, Policy, option
from rrdns.server.respond import AnswerTable

SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
ME, YOU = bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2))
NOW = 1559731985
HALF = b"12345678"
FULL = Policy(
    nsid=b"server-1", secrets=(SECRET,), ede=True, keepalive=100, version_text=b"rrdns", hostname_text=b"ns1.example"
)
NAMES = ("www", "alias", "nothing", "cut", "big", "mail", "x.moved", "wWw")


def table(policy: Policy = FULL) -> AnswerTable:
    one = AnswerTable(policy=policy)
    one.stage(small_zone())
    one.commit(1, fresh=True)
    return one


def send(one: AnswerTable, packet: bytes, *, udp: bool = True, client: bytes = ME, now: int = NOW) -> bytes:
    reply = one.reply(packet, udp, lambda: (client, now))
    assert reply is not None
    return reply


def ask(
    one: AnswerTable,
    text: str = "www",
    options: bytes = b"",
    *,
    udp: bool = True,
    client: bytes = ME,
    now: int = NOW,
    size: int = 1232,
) -> dns.message.Message:
    packet = question(f"{text}.lb.example.com.", edns=size, options=options)
    reply = send(one, packet, udp=udp, client=client, now=now)
    if udp:
        assert len(reply) <= min(max(size, 512), 1232)
    return dns.message.from_wire(reply)


def given_back(message: dns.message.Message) -> dict[int, bytes]:
    found = {}
    for one in message.options:
        data = one.to_wire()
        assert isinstance(data, bytes) and int(one.otype) not in found
        found[int(one.otype)] = data
    return found


# ---------------------------------------------------------------- NSID, unknown options, keepalive


def test_nsid_only_when_asked_and_configured() -> None:
    assert given_back(ask(table(), options=option(NSID, b""))) == {NSID: b"server-1"}
    assert given_back(ask(table())) == {}
    assert given_back(ask(table(Policy()), options=option(NSID, b""))) == {}


@pytest.mark.parametrize(
    "options", [option(12, bytes(99)), option(65001, b"x"), option(edns.ERROR, b""), option(9, b"")]
)
def test_unknown_options_are_ignored_and_cost_nothing(options: bytes) -> None:
    one = table()
    message = ask(one, options=options)
    assert message.answer and not message.options
    assert one.recall.memo, "the reply is the same as to a query without options, and remembered as such"


def test_keepalive_by_tcp_only() -> None:
    asked = option(KEEPALIVE, b"")
    assert given_back(ask(table(), options=asked, udp=False)) == {KEEPALIVE: b"\0\x64"}
    assert given_back(ask(table(), options=asked)) == {}
    assert ask(table(), options=option(KEEPALIVE, b"\0\1")).answer, "by UDP it is ignored whatever it holds"
    assert (
        send(table(), question("www.lb.example.com.", edns=1232, options=option(KEEPALIVE, b"\0\1")), udp=False)[3] == 1
    )


# ---------------------------------------------------------------- Client Subnet


@pytest.mark.parametrize(
    "data",
    [
        "0001180" + "0c00002",
        "00012000c0000201",
        "00010000",
        "0002380020010db8000000",
        "0002800020010db8" + 24 * "0",
        "00000000",
    ],
)
@pytest.mark.parametrize("udp", [True, False])
def test_subnet_comes_back_with_scope_0(data: str, udp: bool) -> None:
    asked = bytes.fromhex(data)
    packet = question("www.lb.example.com.", edns=1232, options=option(SUBNET, asked))
    reply = send(table(), packet, udp=udp)
    assert reply.endswith(option(SUBNET, asked)) and reply[7] == 1
    if asked[1]:  # dnspython knows no family 0
        assert dns.message.from_wire(reply).options[0].to_wire() == asked


@pytest.mark.parametrize(
    "data",
    [
        "",
        "000118",
        "00011818c00002",  # a scope in a query
        "00011800c0000200",  # an address longer than its source says
        "00011800c000",
        "00011700c00003",  # a bit behind the source
        "00012100c000020100",  # source over 32
        "0002810020010db8" + 26 * "0",
        "00030000",
        "00000800c0",
    ],
)
def test_malformed_subnets(data: str) -> None:
    packet = question("www.lb.example.com.", edns=1232, options=option(SUBNET, bytes.fromhex(data)))
    assert send(table(), packet) == b"\x12\x34\x81\1" + bytes(8)


def test_the_seam_for_another_scope() -> None:
    assert edns.subnet_answer(bytes.fromhex("00011800c00002"), 16) == option(SUBNET, bytes.fromhex("00011810c00002"))


# ---------------------------------------------------------------- cookies


@pytest.mark.parametrize("udp", [True, False])
@pytest.mark.parametrize("text", NAMES)
def test_a_cookie_in_every_reply(text: str, udp: bool) -> None:
    one = table()
    first = given_back(ask(one, text, option(COOKIE, HALF), udp=udp))[COOKIE]
    assert first[:8] == HALF and len(first) == 24
    for _ in range(3):
        message = ask(one, text, option(COOKIE, first), udp=udp, now=NOW + 100)
        assert given_back(message) == {COOKIE: first}
        assert message.rcode() == ask(one, text, udp=udp).rcode()
    assert given_back(ask(one, text, option(COOKIE, first), udp=udp, now=NOW + 2000))[COOKIE] != first
    assert given_back(ask(one, text, option(COOKIE, first), udp=udp, client=YOU))[COOKIE] != first


def test_replies_are_never_remembered_for_another_client_or_time() -> None:
    one = table()
    seen = set()
    for client in (ME, YOU):
        for now in (NOW, NOW + 4000):
            for _ in range(2):
                seen.add(given_back(ask(one, options=option(COOKIE, HALF), client=client, now=now))[COOKIE])
    assert len(seen) == 4 and not one.recall.memo


def test_the_ring_turns_and_follows_changes_with_cookies_too() -> None:
    one = table()
    got = [str(ask(one, options=option(COOKIE, HALF)).answer[0][0]) for _ in range(10)]
    assert sorted(got) == sorted(["192.0.2.11"] + ["192.0.2.12"] * 2 + ["192.0.2.13"] * 3 + ["192.0.2.14"] * 4)
    www = key(name("www.lb.example.com."), 1)
    one.stage(Changes({www: AnswerSet((addresses("192.0.2.99"),), (0,), True)}, {}, {}))
    one.commit(2)
    assert str(ask(one, options=option(COOKIE, HALF)).answer[0][0]) == "192.0.2.99"
    one.stage(Changes({www: None}, {}, {}))
    one.commit(3)
    assert not ask(one, options=option(COOKIE, HALF)).answer


def test_a_stem_stands_for_one_packet_but_its_cookie() -> None:
    one = table()
    ask(one, options=option(COOKIE, HALF))
    assert ask(one, "nothing", option(COOKIE, HALF)).rcode() == dns.rcode.NXDOMAIN
    assert ask(one, options=option(COOKIE, HALF), size=4096).answer
    head = question("www.lb.example.com.", edns=1232, options=option(COOKIE, HALF))[:-8]
    for tail in (b"", b"7 bytes", b"9 bytes..", option(COOKIE, HALF)):  # OPT's length no longer fits
        assert send(one, head + tail)[3] & 15 == wire.FORMERR
    twice = option(12, option(COOKIE, HALF)) + option(COOKIE, b"abcdefgh")
    assert given_back(ask(one, options=twice))[COOKIE][:8] == b"abcdefgh"
    # Of two the first counts, also where the second stands where a stem's cookie would.
    for _ in range(2):
        both = option(COOKIE, HALF) + option(COOKIE, b"abcdefgh")
        assert given_back(ask(one, options=both))[COOKIE][:8] == HALF


@pytest.mark.parametrize("size", [0, 1, 7, 9, 15, 41, 60])
def test_cookies_of_impossible_lengths(size: int) -> None:
    packet = question("www.lb.example.com.", edns=1232, options=option(COOKIE, bytes(size)))
    assert send(table(), packet) == b"\x12\x34\x81\1" + bytes(8)
    assert dns.message.from_wire(send(table(Policy()), packet)).answer, "without cookies it is an unknown option"


def test_required_cookies() -> None:
    one = table(Policy(secrets=(SECRET,), cookie_required_udp=True))
    for _ in range(2):
        message = ask(one, options=option(COOKIE, HALF))
        assert message.rcode() == dns.rcode.BADCOOKIE and not message.answer and message.question
        assert not message.flags & dns.flags.AA
        cookie = given_back(message)[COOKIE]
        assert ask(one, options=option(COOKIE, cookie)).answer
        assert ask(one, options=option(COOKIE, cookie), client=YOU).rcode() == dns.rcode.BADCOOKIE
        assert ask(one, options=option(COOKIE, cookie), now=NOW + 5000).rcode() == dns.rcode.BADCOOKIE
    assert ask(one, options=option(COOKIE, HALF), udp=False).answer, "TCP proves the address itself"
    assert ask(one).answer, "without the option a client can't do better"


@pytest.mark.parametrize("udp", [True, False])
def test_a_query_for_a_cookie_alone(udp: bool) -> None:
    def packet(options: bytes, version: int = 0) -> bytes:
        full = question(".", edns=1232, options=options, version=version)
        return full[:4] + b"\0\0" + full[6:12] + full[17:]

    one = table()
    message = dns.message.from_wire(send(one, packet(option(COOKIE, HALF)), udp=udp))
    assert message.rcode() == dns.rcode.NOERROR and not message.question and not message.answer
    cookie = given_back(message)[COOKIE]
    message = dns.message.from_wire(send(one, packet(option(COOKIE, cookie)), udp=udp))
    assert message.rcode() == dns.rcode.NOERROR and given_back(message)[COOKIE] == cookie
    message = dns.message.from_wire(send(one, packet(option(COOKIE, cookie)), udp=udp, client=YOU))
    assert message.rcode() == dns.rcode.BADCOOKIE
    for bad in (b"", option(NSID, b""), option(12, b"")):
        assert send(one, packet(bad), udp=udp)[3] & 15 == wire.FORMERR
    assert send(one, packet(option(COOKIE, HALF), version=1), udp=udp)[3] & 15 == wire.FORMERR
    assert send(table(Policy()), packet(option(COOKIE, HALF)), udp=udp)[3] & 15 == wire.FORMERR


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize("text", [*NAMES, "x" * 63 + "." + "y" * 63 + "." + "z" * 63 + "." + "w" * 40])
@pytest.mark.parametrize("size", [0, 512, 600, 1232])
def test_options_never_make_a_reply_too_long(text: str, size: int) -> None:
    one = table(Policy(nsid=b"n" * edns.MAX_NSID, secrets=(SECRET,), ede=True))
    subnet = option(SUBNET, bytes.fromhex("00028000") + bytes(16))
    for _ in range(2):
        message = ask(one, text, subnet + option(NSID, b"") + option(COOKIE, HALF), size=size)
        assert {SUBNET, COOKIE} <= given_back(message).keys()
        assert bool(message.flags & dns.flags.TC) == (text == "big")
        assert NSID in given_back(message) or (len(text) > 200 and size < 600)
        assert bool(ask(one, text, option(COOKIE, HALF), size=size).flags & dns.flags.TC) == (text == "big")


def test_an_answer_goes_before_the_server_s_name() -> None:
    one = table(Policy(nsid=b"n" * 128, secrets=(SECRET,)))
    changes = Changes({key(name("mail.lb.example.com."), 1): AnswerSet((addresses(*["192.0.2.7"] * 24),))}, {}, {})
    one.stage(changes)
    one.commit(2)
    message = ask(one, "mail", option(NSID, b"") + option(COOKIE, HALF), size=512)
    assert message.answer and not message.flags & dns.flags.TC and given_back(message).keys() == {COOKIE}


# ---------------------------------------------------------------- extended errors, CHAOS


@pytest.mark.parametrize("options", [b"", option(COOKIE, HALF), option(NSID, b"")])
@pytest.mark.parametrize("udp", [True, False])
def test_extended_errors(options: bytes, udp: bool) -> None:
    def codes(one: AnswerTable, packet: bytes) -> list[int]:
        message = dns.message.from_wire(send(one, packet, udp=udp))
        return [int(each.code) for each in message.options if isinstance(each, dns.edns.EDEOption)]

    one = table()
    outside = question("www.example.org.", edns=1232, options=options)
    inside = question("www.lb.example.com.", edns=1232, options=options)
    for _ in range(2):
        assert codes(one, outside) == [20]
        assert codes(one, question("lb.example.com.", wire.AXFR, edns=1232, options=options)) == [21]
        assert codes(one, inside) == []
        assert codes(one, question("www.example.org.")) == []
        assert codes(table(Policy(secrets=(SECRET,))), outside) == []
    one.fail(True)
    assert codes(one, inside) == [14]


@pytest.mark.parametrize("options", [None, b"", option(COOKIE, HALF)])
def test_chaos_names(options: bytes | None) -> None:
    def text(one: AnswerTable, owner: str, rtype: int = 16) -> str:
        packet = question(owner, rtype, edns=None if options is None else 1232, options=options or b"")
        at = 12 + len(name(owner)) + 3
        message = dns.message.from_wire(send(one, packet[:at] + b"\3" + packet[at + 1 :]))
        if message.rcode() != dns.rcode.NOERROR:
            return dns.rcode.to_text(message.rcode())
        assert message.answer[0].rdclass == 3 and message.answer[0].ttl == 0
        return str(message.answer[0][0])

    one = table()
    for _ in range(2):
        assert text(one, "version.bind.") == text(one, "VERSION.server.") == '"rrdns"'
        assert text(one, "hostname.bind.", wire.ANY) == text(one, "id.server.") == '"ns1.example"'
        assert text(one, "version.bind.", wire.A) == "REFUSED"
        assert text(one, "www.lb.example.com.") == "REFUSED"
        for owner in ("version.bind.", "id.server."):
            assert text(table(Policy(secrets=(SECRET,))), owner) == "REFUSED"
    assert ask(one, "version.bind").rcode() == dns.rcode.NXDOMAIN, "in class IN it is a name like others"


# ---------------------------------------------------------------- any bytes


_SOME = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.builds(option, st.sampled_from([NSID, SUBNET, COOKIE, KEEPALIVE, 12, 15, 65535]), st.binary(max_size=44)),
        max_size=5,
    ).map(b"".join),
    st.builds(lambda data: option(COOKIE, data), st.binary(min_size=8, max_size=24)),
)


@given(_SOME, st.sampled_from(NAMES), st.integers(0, 5000), st.booleans(), st.booleans(), st.booleans())
def test_any_options(options: bytes, text: str, size: int, udp: bool, required: bool, bare: bool) -> None:
    one = table(Policy(b"n" * 128, (SECRET,), required, True, 100))
    packet = question(f"{text}.lb.example.com.", edns=size, options=options)
    if bare:
        packet = packet[:4] + b"\0\0" + packet[6:12] + packet[12 + len(name(f"{text}.lb.example.com.")) + 4 :]
    for _ in range(2):
        reply = send(one, packet, udp=udp)
        assert reply[:2] == packet[:2]
        assume(option(SUBNET, bytes(4)) not in packet)  # dnspython knows no family 0
        message = dns.message.from_wire(reply, ignore_trailing=False)
        assert not udp or len(reply) <= min(max(size, 512), 1232)
        if message.rcode() == dns.rcode.FORMERR:
            assert len(reply) == 12
        else:
            given_back(message)


@given(st.binary(max_size=80))
def test_parse_never_raises(options: bytes) -> None:
    for udp in (True, False):
        edns.parse(options, FULL, udp)
        edns.parse(options, Policy(), udp)
