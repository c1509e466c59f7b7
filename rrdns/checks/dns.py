"""The dns check: one question over UDP, and a reader for the reply that takes nothing on trust.

Whatever is not a reply to this very question (another id, another question, no reply at all) is passed over until
the deadline: it may be forged, or belong to an earlier probe. Of a reply the answer section alone is read, record by
record, at most `RECORDS` of them; a name's pointers must lead backwards (RFC 1035 section 4.1.4).
"""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from collections.abc import Iterator
from typing import cast

from rrdns import wire
from rrdns.checks.words import fault, plain, seconds
from rrdns.model import DnsProbe, Result, Target

RECORDS = 256
STRAYS = 1000  # datagrams that are no reply to us; more is a flood
_HEADER = struct.Struct("!6H")
_RECORD = struct.Struct("!2HIH")
_PTR = 12
_QR, _OPCODE, _TC, _RD = 0x8000, 0x7800, 0x0200, 0x0100
RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")
# Rdata with names that may be compressed (RFC 3597 section 4): how many bytes, then names, then bytes.
_NAMES_IN = {wire.NS: (0, 1), wire.CNAME: (0, 1), _PTR: (0, 1), wire.SOA: (0, 2), wire.MX: (2, 1), wire.SRV: (6, 1)}


class BadReply(ValueError):
    """A reply that can't be read."""


def question(ident: int, asked: DnsProbe) -> bytes:
    header = _HEADER.pack(ident, _RD if asked.recurse else 0, 1, 0, 0, 0)
    return header + asked.name + struct.pack("!2H", asked.qtype, wire.CLASS_IN)


def is_reply(packet: bytes, query: bytes) -> bool:
    """Whether it answers `query`. A server that can't read a question may leave it out (FORMERR, NOTIMP)."""
    if len(packet) < 12 or packet[:2] != query[:2]:
        return False
    _, flags, questions, _, _, _ = _HEADER.unpack_from(packet)
    if not flags & _QR or flags & _OPCODE:
        return False
    if not questions:
        return len(packet) == 12 and bool(flags & 15)
    return questions == 1 and packet[12 : len(query)].lower() == query[12:].lower()


def rdatas(packet: bytes, query: bytes) -> Iterator[bytes]:
    """The rdata of each answer of the type asked for, uncompressed, its names in lower case. Raises BadReply."""
    qtype = int.from_bytes(query[-4:-2], "big")
    at = len(query) if int.from_bytes(packet[4:6], "big") else 12
    for _ in range(min(RECORDS, int.from_bytes(packet[6:8], "big"))):
        _, at = _name(packet, at)
        if at + 10 > len(packet):
            raise BadReply("a record is cut off")
        rtype, rclass, _, size = _RECORD.unpack_from(packet, at)
        at += 10 + size
        if at > len(packet):
            raise BadReply("a record is cut off")
        if rtype == qtype and rclass == wire.CLASS_IN:
            yield _expanded(packet, at - size, at, rtype)


def records(packet: bytes, query: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """(name, type, rdata) of every record of every section, names in lower case. Raises BadReply."""
    at = len(query) if int.from_bytes(packet[4:6], "big") else 12
    for _ in range(min(RECORDS, sum(_HEADER.unpack_from(packet)[3:]))):
        name, at = _name(packet, at)
        if at + 10 > len(packet):
            raise BadReply("a record is cut off")
        rtype, rclass, _, size = _RECORD.unpack_from(packet, at)
        at += 10 + size
        if at > len(packet):
            raise BadReply("a record is cut off")
        if rclass == wire.CLASS_IN:
            yield name.lower(), rtype, _expanded(packet, at - size, at, rtype)


def _expanded(packet: bytes, at: int, end: int, rtype: int) -> bytes:
    fixed, names = _NAMES_IN.get(rtype, (0, 0))
    data = packet[at : at + fixed]
    at += fixed
    for _ in range(names):
        name, at = _name(packet, at)
        data += name.lower()
    if at > end:
        raise BadReply("a name goes beyond its record")
    return data + packet[at:end]


def _name(packet: bytes, at: int) -> tuple[bytes, int]:
    """The name at `at`, and where it ends there."""
    name, end, lowest = b"", 0, at
    while True:
        if at >= len(packet):
            raise BadReply("a name is cut off")
        size = packet[at]
        if size >= 0xC0:
            if at + 2 > len(packet):
                raise BadReply("a name is cut off")
            end = end or at + 2
            at = int.from_bytes(packet[at : at + 2], "big") & 0x3FFF
            if at >= lowest:
                raise BadReply("a name points forward")
            lowest = at
            continue
        if size > wire.MAX_LABEL:
            raise BadReply("a name has a label of no known kind")
        name += packet[at : at + 1 + size]
        at += 1 + size
        if len(name) > wire.MAX_NAME or at > len(packet):
            raise BadReply("a name is too long")
        if not size:
            return name, end or at


def verdict(packet: bytes, query: bytes, asked: DnsProbe) -> tuple[bool, str]:
    """Of a reply to this query."""
    rcode = packet[3] & 15
    word = rcode_text(rcode)
    if rcode not in asked.rcodes:
        wanted = "" if asked.rcodes == (0,) else f", expected {' '.join(map(rcode_text, asked.rcodes))}"
        return False, f"{word}{wanted}"
    if not asked.expect:
        return True, word
    seen: list[bytes] = []
    try:
        for data in rdatas(packet, query):
            if data in asked.expect:
                return True, f"{word}, with the record expected"
            seen.append(data)
    except BadReply as error:
        return False, f"{word}, but the answer can't be read: {error}"
    if packet[2] << 8 & _TC:
        return False, f"{word}, but the answer is cut off (TC) before the record expected"
    count = f"{len(seen)} other {wire.type_name(asked.qtype)} record{'' if len(seen) == 1 else 's'}"
    return (
        False,
        f"{word}, but {count if seen else f'no {wire.type_name(asked.qtype)} record'} instead of what is expected",
    )


def rcode_text(rcode: int) -> str:
    return RCODES[rcode] if rcode < len(RCODES) else f"RCODE{rcode}"


class Exchange(asyncio.DatagramProtocol):
    def __init__(self, query: bytes, asked: DnsProbe) -> None:
        self._query = query
        self._asked = asked
        self._strays = 0
        self.verdict: asyncio.Future[tuple[bool, str]] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.DatagramTransport, transport).sendto(self._query)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self.verdict.done():
            return
        if is_reply(data, self._query):
            self.verdict.set_result(verdict(data, self._query, self._asked))
            return
        self._strays += 1
        if self._strays > STRAYS:
            self.verdict.set_result((False, f"over {STRAYS} datagrams that are no reply to the question"))

    def error_received(self, exc: Exception) -> None:
        if not self.verdict.done():
            self.verdict.set_exception(exc)

    @property
    def heard(self) -> bool:
        return self._strays > 0


async def probe(target: Target, asked: DnsProbe) -> Result:
    check = target.check
    loop = asyncio.get_running_loop()
    begun = time.monotonic()
    query = question(secrets.randbits(16), asked)
    talk = Exchange(query, asked)
    transport: asyncio.BaseTransport | None = None
    ok = silent = ours = False
    try:
        async with asyncio.timeout(check.timeout) as limit:
            transport, _ = await loop.create_datagram_endpoint(lambda: talk, remote_addr=(target.address, check.port))
            ok, reason = await talk.verdict
    except OSError as error:
        if isinstance(error, TimeoutError) and limit.expired():
            silent = not talk.heard
            strays = "" if silent else " (what came was no reply to the question)"
            name = plain(wire.name_to_text(asked.name), 80)
            reason = f"no answer to {name} {wire.type_name(asked.qtype)} in {seconds(check.timeout)}{strays}"
        else:
            reason, silent, ours = fault(error)
    finally:
        if transport:
            transport.close()
    return Result(ok, reason, time.monotonic() - begun, silent, ours)
