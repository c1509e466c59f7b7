"""A small table written by hand, with one of each kind of name: for tests of the workers' half alone."""

from __future__ import annotations

import ipaddress

from rrdns import wire
from rrdns.answers import (
    AUTHORITATIVE,
    CUT,
    DEFAULT,
    DNAME,
    EMPTY,
    NXDOMAIN,
    OWN,
    REFERRAL,
    AnswerSet,
    Body,
    Changes,
    Node,
    ZoneAnswers,
    key,
)

name = wire.name_from_text
ZONE = name("lb.example.com.")
HINFO = 13


def record(owner: bytes, rtype: int, ttl: int, rdata: bytes) -> bytes:
    return owner + rtype.to_bytes(2, "big") + b"\0\1" + ttl.to_bytes(4, "big") + len(rdata).to_bytes(2, "big") + rdata


def own(rtype: int, ttl: int, *rdatas: bytes) -> Body:
    """A body of one RRset at the question's name."""
    data, owners = b"", []
    for rdata in rdatas:
        owners.append(len(data))
        data += record(b"\xc0\x0c", rtype, ttl, rdata)
    return Body(AUTHORITATIVE, (len(rdatas), 0, 0), data, tuple(owners))


def addresses(*texts: str, ttl: int = 20) -> Body:
    return own(28 if ":" in texts[0] else 1, ttl, *(ipaddress.ip_address(text).packed for text in texts))


def soa(flags: int, ttl: int = 60) -> AnswerSet:
    rdata = name("ns1.lb.example.com.") + name("hostmaster.example.com.") + (7).to_bytes(4, "big") + bytes(16)
    return AnswerSet((Body(flags, (0, 1, 0), record(ZONE, wire.SOA, ttl, rdata)),))


def alias(target: str) -> Body:
    rdata = name(target)
    data = record(b"\xc0\x0c", wire.CNAME, 300, rdata)
    return Body(AUTHORITATIVE, (1, 0, 0), data, (0,), 12)


def small_zone() -> Changes:
    def at(text: str) -> bytes:
        return name(text + ".lb.example.com.")

    sets: dict[bytes, AnswerSet] = {}
    nodes = {ZONE: Node(ZONE)}
    nodes[at("www")] = Node(ZONE, OWN)
    ring = tuple(addresses(f"192.0.2.{10 + n}") for n in range(1, 5))
    sets[key(at("www"), 1)] = AnswerSet(ring, (3, 2, 3, 1, 3, 2, 3, 0, 2, 1), True)
    sets[key(at("www"), DEFAULT)] = soa(AUTHORITATIVE, 20)
    for text, target in (
        ("alias", "www.lb.example.com."),
        ("alias2", "alias.lb.example.com."),
        ("out", "www.example.org."),
        ("loop", "loop.lb.example.com."),
        ("dangling", "nothing.lb.example.com."),
        ("*.wild", "www.lb.example.com."),
    ):
        nodes[at(text)] = Node(ZONE, OWN)
        body = alias(target)
        sets[key(at(text), DEFAULT)] = AnswerSet((body,))
        sets[key(at(text), wire.CNAME)] = AnswerSet((Body(body.flags, body.counts, body.data, body.owners),))
    nodes[at("wild")] = Node(ZONE, EMPTY)
    nodes[at("cut")] = Node(ZONE, CUT)
    glue = record(at("ns.cut"), 1, 300, bytes((192, 0, 2, 99)))
    referral = record(at("cut"), wire.NS, 300, at("ns.cut")) + glue
    sets[key(at("cut"), DEFAULT)] = AnswerSet((Body(REFERRAL, (0, 1, 1), referral),))
    nodes[at("moved")] = Node(ZONE, DNAME)
    sets[key(at("moved"), wire.DNAME)] = AnswerSet((own(wire.DNAME, 300, ZONE),))
    nodes[at("mail")] = Node(ZONE)
    mx = own(wire.MX, 300, b"\0\x0a" + at("www"))
    sets[key(at("mail"), wire.MX)] = AnswerSet((Body(mx.flags, mx.counts, mx.data, mx.owners, -1, (14,)),))
    nodes[at("big")] = Node(ZONE)
    sets[key(at("big"), 1)] = AnswerSet((addresses(*(f"192.0.2.{n}" for n in range(1, 101))),))
    hinfo = AnswerSet((own(HINFO, 3600, b"\x07RFC8482\0"),))
    return Changes(sets, nodes, {ZONE: ZoneAnswers(soa(AUTHORITATIVE), soa(NXDOMAIN), hinfo)})


def question(
    text: str,
    rtype: int = 1,
    *,
    edns: int | None = None,
    do: bool = False,
    version: int = 0,
    rd: bool = True,
    number: int = 0x1234,
    options: bytes = b"",
) -> bytes:
    """A query as a resolver sends it."""
    extra = b""
    if edns is not None:
        extra = b"\0\0\x29" + edns.to_bytes(2, "big") + bytes((0, version, 0x80 * do, 0))
        extra += len(options).to_bytes(2, "big") + options
    head = number.to_bytes(2, "big") + bytes((int(rd), 0)) + b"\0\1\0\0\0\0" + (b"\0\1" if extra else b"\0\0")
    return head + name(text) + rtype.to_bytes(2, "big") + b"\0\1" + extra
