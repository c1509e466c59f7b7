"""How control hands rings to a worker: frames of plain data over a unix stream socket. Floor 0, pure codec.

A frame is four bytes of length and that many of `marshal` data: a tuple whose first item names it. Both
ends run the same interpreter and user, so marshal is safe here and ten times faster than anything portable.

control -> worker
  ("hello", version, options)            once; options is a dict: see `respond.Options`
  ("part", sets, nodes, zones)           a piece of a change, held back until the commit
  ("commit", number, fresh)              apply all pieces at once; fresh: they replace the whole table
  ("ping", number)                       control lives; sent every second
  ("counters", number)                   ask for the cursors of counted rings
worker -> control
  ("ready", pid, index, version)         first of all
  ("ack", number, retired)               the commit is in force, and all of its work done; the next may come.
                                         `retired`: see counters, for rings just replaced
  ("pong", number)
  ("counters", number, {key: (number of the commit that made the ring, first cursor, cursor now)})
                                         of hashed rings with a fourth item, {slot: how often} since that commit
                                         several for one question; number 0: of rings being replaced, and a
                                         sign that a commit is being worked on, before its ack
"""

from __future__ import annotations

import marshal
from collections.abc import Iterator
from typing import Any

from rrdns.answers import AnswerSet, Body, Changes, Node, ZoneAnswers

VERSION = 2
MAX_FRAME = 96 << 20  # the largest ring, 1,024 bodies of 64 kB, fits: a set is never divided
PART_BYTES = 8 << 10  # a worker takes a piece between two batches; a small one keeps the gap short


class LinkError(ValueError):
    """What came over the link is no frame of this protocol."""


def encode(frame: tuple[Any, ...]) -> bytes:
    data = marshal.dumps(frame)
    if len(data) > MAX_FRAME:
        raise LinkError(f"a frame of {len(data)} bytes")
    return len(data).to_bytes(4, "big") + data


class Reader:
    """Collects bytes and gives whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Any, ...]]:
        """The frames that are whole now; to be iterated to the end. After a LinkError the stream is of no more use."""
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= 4:
            length = int.from_bytes(buffer[at : at + 4], "big")
            if length > MAX_FRAME:
                raise LinkError(f"a frame of {length} bytes")
            if len(buffer) - at - 4 < length:
                break
            try:
                frame = marshal.loads(bytes(buffer[at + 4 : at + 4 + length]))
            except (EOFError, ValueError, TypeError) as error:
                raise LinkError(f"a frame that can't be read: {error}") from error
            at += 4 + length
            if not isinstance(frame, tuple) or not frame:
                raise LinkError("a frame that is no tuple")
            yield frame
        del buffer[:at]


def pack_set(one: AnswerSet | None) -> Any:
    """An AnswerSet as nested tuples for marshal."""
    if one is None:
        return None
    return (tuple(map(tuple, one.bodies)), one.slots, one.counted, one.ede, one.hashed)


def unpack_set(data: Any) -> AnswerSet | None:
    if data is None:
        return None
    bodies, slots, counted, ede, hashed = data
    return AnswerSet(tuple(map(Body._make, bodies)), slots, counted, ede, hashed)


def pack_zone(zone: ZoneAnswers | None) -> Any:
    return None if zone is None else (pack_set(zone.nodata), pack_set(zone.nxdomain), pack_set(zone.any))


def unpack_zone(data: Any) -> ZoneAnswers | None:
    if data is None:
        return None
    nodata, nxdomain, any_ = (unpack_set(one) for one in data)
    assert nodata and nxdomain and any_
    return ZoneAnswers(nodata, nxdomain, any_)


def parts(changes: Changes) -> Iterator[bytes]:
    """The frames that carry `changes`, each about PART_BYTES; a commit must follow. Zones come first."""
    zones: dict[bytes, Any] = {}
    sets: dict[bytes, Any] = {}
    nodes: dict[bytes, Any] = {}
    size = 0
    for name, zone in changes.zones.items():
        zones[name] = pack_zone(zone)
        size += len(name) + 32 + (sum(map(_bytes, (zone.nodata, zone.nxdomain, zone.any))) if zone else 0)
        if size >= PART_BYTES:
            yield encode(("part", {}, {}, zones))
            zones, size = {}, 0
    if zones:
        yield encode(("part", {}, {}, zones))
        size = 0
    for name, node in changes.nodes.items():
        nodes[name] = None if node is None else (node.zone, node.kind)
        size += len(name) + 16
        if size >= PART_BYTES:
            yield encode(("part", {}, nodes, {}))
            nodes, size = {}, 0
    for key, one in changes.sets.items():
        sets[key] = pack_set(one)
        size += len(key) + 32 + (_bytes(one) if one else 0)
        if size >= PART_BYTES:
            yield encode(("part", sets, nodes, {}))
            sets, nodes, size = {}, {}, 0
    if sets or nodes:
        yield encode(("part", sets, nodes, {}))


def _bytes(one: AnswerSet) -> int:
    """About what a set takes in a frame."""
    return sum(len(body.data) + 40 for body in one.bodies) + 2 * len(one.slots)


def unpack_part(frame: tuple[Any, ...]) -> Changes:
    _, sets, nodes, zones = frame
    return Changes(
        {key: unpack_set(one) for key, one in sets.items()},
        {name: None if node is None else Node(*node) for name, node in nodes.items()},
        {name: unpack_zone(zone) for name, zone in zones.items()},
    )
