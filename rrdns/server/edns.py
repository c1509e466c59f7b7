"""EDNS options (RFC 6891 section 6.1.2): what a query's options ask, and what goes back. Needs only floor 0.

| option              | answered                                               | malformed              |
|---------------------|--------------------------------------------------------|------------------------|
| NSID (RFC 5001)     | when `nsid` is set                                     | (any content is fine)  |
| Client Subnet (7871)| always; SCOPE 0: no answer depends on the client       | FORMERR                |
| COOKIE (RFC 7873)   | with a secret; `cookies` makes and judges them         | FORMERR                |
| keepalive (RFC 7828)| over TCP                                               | FORMERR; ignored on UDP|
| errors (RFC 8914)   | unasked, when `ede` is on and there is room            |                        |
| others              | ignored                                                | ignored                |
| cut off             |                                                        | FORMERR                |

Of an option that comes twice the first counts (RFC 7873 section 5.2 says so for COOKIE). Also the CHAOS names that
ask who a server is. Pure. Must not know: rings, sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from rrdns import wire
from rrdns.answers import AUTHORITATIVE, AnswerSet, Body

NSID, SUBNET, COOKIE, KEEPALIVE, ERROR = 3, 8, 10, 11, 15
BADCOOKIE = 23  # RFC 7873 section 8

# INFO-CODEs of RFC 8914 section 4.
NOT_READY, NOT_AUTHORITATIVE, NOT_SUPPORTED = 14, 20, 21

CLASS_CH = 3
MAX_NSID = 128  # so that all options together fit beside any question in 512 bytes
MAX_TEXT = 255

Asker = Callable[[], tuple[bytes, int]]
"""Says who asks, as an address of 4 or 16 bytes, and when, in Unix seconds; called only where it matters."""


def nobody() -> tuple[bytes, int]:
    return b"", 0


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings say. No `secrets`: no cookies. `keepalive` in tenths of a second."""

    nsid: bytes = b""
    secrets: tuple[bytes, ...] = ()
    cookie_required_udp: bool = False
    ede: bool = False
    keepalive: int = 0
    version_text: bytes = b""
    hostname_text: bytes = b""
    ratio: int = 0
    """A pool's answer by UDP to a client whose address no cookie proved is at most so many times its query; 0: no such
    limit."""
    ratio_all: bool = False
    """The same for every reply: what is longer is cut off."""

    def longest(self, limit: int, size: int, counted: bool) -> int:
        """The longest reply to such a client, for a query of `size` bytes. `counted`: it is a pool's."""
        return min(limit, self.ratio * size) if self.ratio and (counted or self.ratio_all) else limit


class Asked(NamedTuple):
    """The options of a query that get an answer, each as its data."""

    nsid: bool = False
    subnet: bytes | None = None
    cookie: bytes | None = None
    keepalive: bool = False


NOTHING = Asked()


def option(code: int, data: bytes) -> bytes:
    """An option as it stands in an OPT record."""
    return code.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


def parse(options: bytes, policy: Policy, udp: bool) -> Asked | None:
    """What the options ask of this server; None where one of them is malformed."""
    first: dict[int, bytes] = {}
    at, end = 0, len(options)
    while at < end:
        if at + 4 > end:
            return None
        start = at + 4
        at = start + (options[start - 2] << 8 | options[start - 1])
        if at > end:
            return None
        first.setdefault(options[start - 4] << 8 | options[start - 3], options[start:at])
    subnet = first.get(SUBNET)
    if subnet is not None and not _is_subnet(subnet):
        return None
    cookie = first.get(COOKIE) if policy.secrets else None
    if cookie is not None and len(cookie) != 8 and not 16 <= len(cookie) <= 40:
        return None
    keepalive = first.get(KEEPALIVE) if not udp and policy.keepalive else None
    if keepalive:
        return None  # RFC 7828 section 3.1: a query's has no content
    return Asked(NSID in first and bool(policy.nsid), subnet, cookie, keepalive is not None)


_ADDRESS_BITS = {0: 0, 1: 32, 2: 128}  # family 0 with no address: what some clients send for "tell nobody"


def _is_subnet(data: bytes) -> bool:
    """RFC 7871 section 6: SCOPE 0, as many address bytes as SOURCE needs, the bits behind SOURCE zero."""
    if len(data) < 4 or data[3]:
        return False
    source = data[2]
    bits = _ADDRESS_BITS.get(data[0] << 8 | data[1])
    if bits is None or source > bits or len(data) != 4 + (source + 7) // 8:
        return False
    return source % 8 == 0 or not data[-1] & 0xFF >> source % 8


def subnet_answer(asked: bytes, scope: int = 0) -> bytes:
    """The option that answers a Client Subnet. `scope`: how many bits of the address the answer depended on."""
    return option(SUBNET, asked[:3] + bytes((scope,)) + asked[4:])


def error(code: int) -> bytes:
    """An Extended DNS Error; without text, which people can look up by the code."""
    return option(ERROR, code.to_bytes(2, "big"))


def with_options(opt: bytes, options: bytes) -> bytes:
    """An OPT record without options, made to hold some."""
    return opt[:-2] + len(options).to_bytes(2, "big") + options if options else opt


# ---------------------------------------------------------------- CHAOS: who are you? (RFC 4892)


def chaos(policy: Policy) -> dict[bytes, AnswerSet]:
    """The answers in class CH by name + type + class; what is not configured is not here, and REFUSED."""
    found = {}
    for text, names in (
        (policy.version_text, ("version.bind.", "version.server.")),
        (policy.hostname_text, ("hostname.bind.", "id.server.")),
    ):
        if not text:
            continue
        rdata = bytes((len(text),)) + text
        record = b"\xc0\x0c\0\x10\0\3\0\0\0\0" + len(rdata).to_bytes(2, "big") + rdata
        for name in names:
            for rtype in (wire.TXT, wire.ANY):
                key = wire.name_from_text(name) + rtype.to_bytes(2, "big") + CLASS_CH.to_bytes(2, "big")
                found[key] = AnswerSet((Body(AUTHORITATIVE, (1, 0, 0), record, (0,)),))
    return found
