"""Asks a DNS server one question over UDP, for `rrdns demo`. Reads A and AAAA answers and nothing else.

Must not know: why it is asked.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from typing import NamedTuple

from rrdns import wire


class Answer(NamedTuple):
    """`addresses` in the order they came; `ttl` the lowest of them, 0 without any."""

    rcode: int
    addresses: tuple[str, ...]
    ttl: int


class BadReply(ValueError):
    """What came is no answer to what was asked."""


def ask(server: str, port: int, name: str, rtype: str = "A", timeout: float = 2.0) -> Answer:
    """One question, one answer; OSError (TimeoutError) if none comes, BadReply if it is no DNS."""
    packet = question(name, rtype)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((server, port))
        sock.send(packet)
        deadline = time.monotonic() + timeout
        while True:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            reply = sock.recv(4096)
            if reply[:2] == packet[:2] and len(reply) >= 12 and reply[2] & 0x80:
                return parse(reply)


def question(name: str, rtype: str) -> bytes:
    """A query with a random id, without EDNS."""
    qname = wire.name_from_text(name if name.endswith(".") else name + ".")
    kind = wire.type_number(rtype).to_bytes(2, "big")
    return os.urandom(2) + b"\0\0\0\1\0\0\0\0\0\0" + qname + kind + b"\0\1"


def parse(reply: bytes) -> Answer:
    """The addresses of a reply."""
    try:
        at = 12
        for _ in range(int.from_bytes(reply[4:6], "big")):
            at = _behind_name(reply, at) + 4
        found, ttls = [], []
        for _ in range(int.from_bytes(reply[6:8], "big")):
            at = _behind_name(reply, at)
            rtype, size = int.from_bytes(reply[at : at + 2], "big"), int.from_bytes(reply[at + 8 : at + 10], "big")
            if rtype in (wire.A, wire.AAAA):
                found.append(str(ipaddress.ip_address(reply[at + 10 : at + 10 + size])))
                ttls.append(int.from_bytes(reply[at + 4 : at + 8], "big"))
            at += 10 + size
            if at > len(reply):
                raise ValueError("it is cut off")
    except (IndexError, ValueError) as error:
        raise BadReply(f"a reply of {len(reply)} bytes can't be read: {error}") from error
    return Answer(reply[3] & 0x0F, tuple(found), min(ttls, default=0))


def _behind_name(reply: bytes, at: int) -> int:
    """The offset behind a name; a compression pointer ends it."""
    while reply[at]:
        if reply[at] >= 0xC0:
            return at + 2
        at += reply[at] + 1
    return at + 1
