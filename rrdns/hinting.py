"""The ring of an SVCB or HTTPS RRset whose address hints follow pools; and what stands in a ring. Floor 2, pure.

The slots of addresses are chosen elsewhere, as those of a POOL name are. Must not know: health, pools, who serves.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import lcm

from rrdns.answers import AnswerSet, Body
from rrdns.model import Hinted
from rrdns.render import Slots, rrset_body
from rrdns.zonefile import hints

MAX_TURNS = 256  # so that the slots of both families, and of several pools, all meet; else as many as the longest has

Families = tuple[Slots, Slots]  # IPv4, IPv6


def hinted_ring(
    one: Hinted, slots: Sequence[Families | None], ttl: int, addressed: Collection[bytes], ede: bytes = b""
) -> AnswerSet:
    """The ring of an RRset with address hints; `slots` stands beside its records. A turn takes the next slot of each
    pool and family; a family without slots has no hint. Clients order the records themselves (RFC 9460 section 2.4.1),
    so these do not rotate."""
    lengths = {len(family) for families in slots if families for family in families if family}
    turns = lcm(*lengths)
    if turns > MAX_TURNS:
        turns = max(lengths)
    places: dict[tuple[bytes, ...], int] = {}
    rows = list(zip(one.rrset.rdatas, slots, strict=True))
    order = []
    for turn in range(turns):
        rdatas = tuple([_hinted(rdata, families, turn) if families else rdata for rdata, families in rows])
        order.append(places.setdefault(rdatas, len(places)))
    bodies = tuple([rrset_body(one.rrset.type, ttl, rdatas, addressed) for rdatas in places])
    return AnswerSet(bodies, tuple(order), ede=ede)


def _hinted(rdata: bytes, families: Families, turn: int) -> bytes:
    v4, v6 = [b"".join(slots[turn % len(slots)]) if slots else b"" for slots in families]
    return hints.with_hints(rdata, v4, v6)


def hinted_rdatas(ring: AnswerSet) -> list[bytes]:
    """The records of such a ring, each with all hints it has in any turn."""
    return hints.joined(_rdatas(ring.bodies[index]) for index in dict.fromkeys(ring.slots))


def ttl_of(ring: AnswerSet) -> int:
    """The TTL of its records."""
    return int.from_bytes(ring.bodies[0].data[6:10], "big")


def _rdatas(body: Body) -> list[bytes]:
    """Of the answer section, whose owners are pointers."""
    found, at = [], 0
    for _ in range(body.counts[0]):
        end = at + 12 + int.from_bytes(body.data[at + 10 : at + 12], "big")
        found.append(body.data[at + 12 : end])
        at = end
    return found
