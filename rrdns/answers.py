"""AnswerSet: the ring of one (name, type) as plain data, and the nodes that say which names exist.

Floor 0: bytes and integers only; a kernel map could hold them. `render` makes them, `link` carries them,
`respond` answers from them. Must not know: pools, health, sockets.

A reply is   header (12) | question as asked | Body.data | OPT.   Owner names in `data` that equal the
question's name are the pointer 0xC00C; every other name in `data` is uncompressed, because a body is
spliced behind questions of any length. `owners` lists where those pointers stand, so that a body can also
follow a CNAME: then each is turned to point at the alias's target instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

# Header flag words without RD (RFC 1035 section 4.1.1): QR, AA and the rcode.
AUTHORITATIVE = 0x8400
REFERRAL = 0x8000
SERVFAIL = 0x8002
NXDOMAIN = 0x8403
REFUSED = 0x8005

# What kind of name a node is.
NAME = 0  # exists; a type it lacks is NODATA with the zone's SOA
EMPTY = 1  # an empty non-terminal (RFC 4592 section 2.2.2): as NAME, but ANY is NODATA too
CUT = 2  # a zone cut: everything at (but DS) and below is the referral stored under (name, DEFAULT)
DNAME = 3  # as NAME, but names below are rewritten (RFC 6672) by the record stored under (name, 39)
OWN = 4  # as NAME, but a type it lacks is answered from (name, DEFAULT): a POOL's short NODATA, a CNAME

DEFAULT = 0  # the pseudo type under which a node of kind CUT or OWN keeps its answer for all other types


class Body(NamedTuple):
    """The part of a reply behind the question. A tuple, for a worker makes and compares hundreds when one host of a
    large pool turns, and queries wait.

    flags    header flag word without RD
    counts   records in answer, authority, additional; OPT not counted
    data     the records
    owners   offsets in `data` of the two-byte pointers to the question's name
    alias    offset in `data` of the name to go on with (a CNAME's target), or -1
    extra    offsets in `data` of names (MX, SRV, NS targets) whose addresses belong in the additional section
    """

    flags: int
    counts: tuple[int, int, int]
    data: bytes
    owners: tuple[int, ...] = ()
    alias: int = -1
    extra: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerSet:
    """A ring: distinct bodies, each stored once, and the order to give them in, as indices into `bodies`.

    `counted`: a POOL's ring; workers report its cursor, from which the answers per member are known.
    `hashed`: the slot is chosen by the client's network, not by the cursor.
    `ede`: what is to be told of this answer to clients with EDNS, where there is room (RFC 8914): an INFO-CODE of
    two bytes and EXTRA-TEXT.
    """

    bodies: tuple[Body, ...]
    slots: tuple[int, ...] = (0,)
    counted: bool = False
    ede: bytes = b""
    hashed: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """One existing name: the zone (apex) it belongs to and its kind."""

    zone: bytes
    kind: int = NAME


@dataclass(frozen=True, slots=True)
class ZoneAnswers:
    """A zone's negative answers and its reply to ANY (RFC 8482)."""

    nodata: AnswerSet
    nxdomain: AnswerSet
    any: AnswerSet


Key = bytes  # lower-case wire name + two bytes of type


def key(name: bytes, rtype: int) -> Key:
    """The place of an AnswerSet in a table."""
    return name + rtype.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Changes:
    """A difference between two tables; None removes. Applied whole, between two queries."""

    sets: Mapping[Key, AnswerSet | None]
    nodes: Mapping[bytes, Node | None]
    zones: Mapping[bytes, ZoneAnswers | None]

    def __bool__(self) -> bool:
        return bool(self.sets or self.nodes or self.zones)


NO_CHANGES = Changes({}, {}, {})
