"""What holds for every reply, whatever was asked: the rules that all fuzzing judges by. Shares no code with rrdns."""

from __future__ import annotations

import dns.exception
import dns.message
import replies

UDP_LIMIT = 1232
FORMERR, NOTIMP = 1, 4
NOBODY, ANYBODY = b"\0\x08\0\4\0\0\0\0", b"\0\x08\0\4\0\1\0\0"
"""Client Subnet without an address and with family 0, which dnspython does not read. It goes back as it came."""


def judge(packet: bytes, reply: bytes | None, udp: bool) -> None:
    """AssertionError or DNSException where a reply breaks a rule; `packet` is any bytes at all.

    | rule                                                                  | from                    |
    |-----------------------------------------------------------------------|-------------------------|
    | silence to under 12 bytes and to responses, a reply to all else       | RFC 1035 4.1.1          |
    | id, opcode and RD as asked; QR set; RA, Z, AD and CD clear            | RFC 1035, RFC 4035 3.1.6|
    | FORMERR and NOTIMP are a header alone                                 | nothing to amplify      |
    | else the question octet for octet, and no other                       | RFC 1035 4.1.2          |
    | by UDP no longer than the client takes and the limit allows; 512      |                         |
    | where it does not say                                                 | RFC 6891 6.2.3          |
    | a cut off reply holds no records                                      | RFC 2181 9              |
    | an OPT where one was asked with, and only there                       | RFC 6891 7              |
    | AA only with an answer of ours: not with REFUSED, SERVFAIL, BADVERS   |                         |
    | dnspython reads it; no record stands in it twice                      | RFC 2181 5              |
    """
    if len(packet) < 12 or packet[2] & 0x80:
        assert reply is None, "a reply to what is no query"
        return
    assert reply is not None, "silence towards a query"
    assert reply[:2] == packet[:2], "another id"
    assert reply[2] & 0xF9 == 0x80 | packet[2] & 0x79, "QR, opcode or RD"
    assert not reply[3] & 0xF0, "RA, Z, AD or CD is set"
    rcode = reply[3] & 15
    if rcode in (FORMERR, NOTIMP):
        assert len(reply) == 12 and not any(reply[4:]) and not reply[2] & 0x06, "more than a bare header"
        return
    read = dns.message.from_wire(reply.replace(NOBODY, ANYBODY))
    end = question_end(packet)
    assert reply[4:6] == packet[4:6], "another number of questions"
    assert reply[12:end] == packet[12:end], "another question"
    if reply[2] & 0x02:
        assert reply[6:10] == b"\0\0\0\0" and int.from_bytes(reply[10:12], "big") == (read.edns >= 0), "TC and records"
    if read.rcode() not in (0, 3, 6):
        assert not reply[2] & 0x04, "AA without an answer"
    if packet[4:6] == b"\0\1":
        assert not replies.parse(reply).repeats, "a record twice"
    asked = understood(packet)
    if asked is not None:
        assert (asked.edns >= 0) == (read.edns >= 0), "an OPT for none, or none for one"
    if udp:
        assert len(reply) <= limit(asked), f"{len(reply)} bytes are more than {limit(asked)}"


def question_end(packet: bytes) -> int:
    if packet[4:6] == b"\0\0":
        return 12
    at = 12
    while packet[at]:
        at += packet[at] + 1
    return at + 5


def understood(packet: bytes) -> dns.message.Message | None:
    """The query as dnspython reads it; None where it does not: it reads more of some records than we do."""
    try:
        return dns.message.from_wire(packet.replace(NOBODY, ANYBODY))
    except (dns.exception.DNSException, ValueError, IndexError):
        return None


def limit(asked: dns.message.Message | None) -> int:
    if asked is None:
        return UDP_LIMIT
    return min(max(512, asked.payload), UDP_LIMIT) if asked.edns >= 0 else 512
