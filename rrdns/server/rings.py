"""Ring: an AnswerSet at work in a worker, its slots made ready to be sent. Needs only floor 0.

Pure. Must not know: how a ring is found, sockets.
"""

from __future__ import annotations

import ctypes
from typing import NamedTuple

from rrdns import wire
from rrdns.answers import AnswerSet, Body
from rrdns.server.edns import BADCOOKIE, with_options

Item = tuple[bytes, bytes, int, int]
"""A finished slot: ten header bytes, the bytes behind the question, their address and length."""


def address_of(data: bytes) -> int:
    """Where the bytes stand in memory, for a send vector; valid while `data` lives."""
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


class Entry(NamedTuple):
    """What the memo keeps of a packet: its ring, the ring's items in the packet's view, the end of the
    question, and how many bytes may follow it."""

    ring: Ring
    items: list[Item]
    question_end: int
    room: int


class Ring:
    """An AnswerSet at work: a cursor, and its slots made ready for each kind of query that came (a *view*).

    Views: index 0-5 = RD bit + 2 * (0 no EDNS, 1 EDNS, 2 EDNS with DO). A view's list keeps its identity
    when the ring is replaced, so that memo entries need not be touched. The cursor only grows: less
    `start` it is the number of answers given since commit `number`. `options` stand in the OPT of every answer.
    """

    __slots__ = ("bodies", "counted", "cursor", "number", "options", "plain", "slots", "start", "views")

    def __init__(self, answers: AnswerSet, cursor: int = 0, number: int = 0, options: bytes = b"") -> None:
        self.options = options
        self.bodies = answers.bodies
        self.slots = answers.slots
        self.counted = answers.counted
        self.plain = all(body.alias < 0 and not body.extra for body in answers.bodies)
        self.cursor = self.start = cursor
        self.number = number
        self.views: list[list[Item] | None] = [None] * 6

    def holds(self, answers: AnswerSet) -> bool:
        return self.slots == answers.slots and self.bodies == answers.bodies and self.counted == answers.counted

    def replace(self, answers: AnswerSet, number: int) -> None:
        """New content in place; the cursor goes on."""
        self.bodies, self.slots, self.counted = answers.bodies, answers.slots, answers.counted
        self.plain = all(body.alias < 0 and not body.extra for body in answers.bodies)
        self.start, self.number = self.cursor, number
        for index, view in enumerate(self.views):
            if view is not None:
                view[:] = self._items(index)

    def items(self, view: int) -> list[Item]:
        found = self.views[view]
        if found is None:
            found = self.views[view] = self._items(view)
        return found

    def _items(self, view: int) -> list[Item]:
        ready = []
        opt = with_options(OPTS[view >> 1], self.options if view > 1 else b"")
        for body in self.bodies:
            data = body.data + opt
            ready.append((header(body.flags, body.counts, view), data, address_of(data), len(data)))
        return [ready[slot] for slot in self.slots]

    def take(self) -> Body:
        cursor = self.cursor
        self.cursor = cursor + 1
        return self.bodies[self.slots[cursor % len(self.slots)]]


def _opt(size: int, flags: int, extended: int = 0) -> bytes:
    return b"\0\0\x29" + size.to_bytes(2, "big") + bytes((extended, 0)) + flags.to_bytes(2, "big") + b"\0\0"


OPTS = (b"", _opt(wire.UDP_LIMIT, 0), _opt(wire.UDP_LIMIT, 0x8000))
BADVERS_OPT = _opt(wire.UDP_LIMIT, 0, wire.BADVERS >> 4)
BADCOOKIE_OPT = _opt(wire.UDP_LIMIT, 0, BADCOOKIE >> 4)


def header(flags: int, counts: tuple[int, int, int], view: int) -> bytes:
    """The ten header bytes behind the id, for one question."""
    if view & 1:
        flags |= wire.RD
    answer, authority, additional = counts
    additional += view > 1
    return bytes(
        (
            flags >> 8,
            flags & 255,
            0,
            1,
            answer >> 8,
            answer & 255,
            authority >> 8,
            authority & 255,
            additional >> 8,
            additional & 255,
        )
    )


def next_item(entry: Entry) -> Item:
    """The slot under the cursor of an entry's ring; moves the cursor."""
    ring = entry.ring
    cursor = ring.cursor
    ring.cursor = cursor + 1
    return entry.items[cursor % len(entry.items)]


def view_of(packet: bytes, edns: wire.Edns | None) -> int:
    kind = 0 if edns is None else 2 if edns.do else 1
    return (packet[2] & 1) + 2 * kind
