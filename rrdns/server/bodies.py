"""What a reply does to bodies: owners turned, names read, records left out. Needs only floor 0.

Pure. Must not know: tables, packets, options.
"""

from __future__ import annotations

from rrdns import wire
from rrdns.answers import Body


def dname_of(body: Body) -> bytes:
    """The DNAME record a body of `Table._rewritten` begins with; empty for any other body."""
    if body.owners:
        return body.data[: body.owners[0]]
    return body.data if body.flags & 0x000F == wire.YXDOMAIN else b""


def without(body: Body, dname: bytes) -> Body:
    """The body less its DNAME: the reply has that already, and no record stands in it twice (RFC 2181 section 5)."""
    size = len(dname)
    if not size:
        return body
    answers, authority, additional = body.counts
    owners = tuple(at - size for at in body.owners)
    alias = body.alias - size if body.alias >= 0 else -1
    return Body(body.flags, (answers - 1, authority, additional), body.data[size:], owners, alias)


def shortened(body: Body, room: int) -> Body | None:
    """As many of a pool's addresses as fit into `room` bytes; None: not one. Whom this leaves out comes first in
    another answer, so it is no reason for TC: an answer is a choice of the pool's addresses in any case."""
    count = body.counts[0]
    if not count or len(body.owners) != count:
        return None
    step = len(body.data) // count
    fit = min(count, room // step)
    return Body(body.flags, (fit, 0, 0), body.data[: fit * step], body.owners[:fit]) if fit > 0 else None


def name_at(data: bytes, at: int) -> bytes:
    """The uncompressed name that stands at `at`, lower-case."""
    start = at
    while data[at]:
        at += data[at] + 1
    return data[start : at + 1].lower()


def with_owner(body: Body, position: int) -> bytes:
    """The body's records with owners that point to `position` in the message instead of to the question."""
    pointer = (0xC000 | position).to_bytes(2, "big")
    data = bytearray(body.data)
    for at in body.owners:
        data[at : at + 2] = pointer
    return bytes(data)
