"""Ring: an AnswerSet at work in a worker, its slots made ready to be sent. Needs only floor 0.

Pure. Must not know: how a ring is found, sockets.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from rrdns import wire
from rrdns.answers import AnswerSet, Body
from rrdns.server.edns import BADCOOKIE, COOKIE, ERROR, option, with_options

Item = tuple[bytes, bytes, int, int]
"""A finished slot: ten header bytes, the bytes behind the question, their address and length."""


def _asked_address(data: bytes) -> int:
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


_HEAD = bytes.__basicsize__ - 1  # CPython: a bytes object is a head, its bytes, and a zero
_KNOWN = all(_asked_address(one) == id(one) + _HEAD for one in (b"", b"a", bytes(300)))


def address_of(data: bytes) -> int:
    """Where the bytes stand in memory, for a send vector; valid while `data` lives. Asking ctypes takes ten times as
    long, and a commit may ask for thousands."""
    return id(data) + _HEAD if _KNOWN else _asked_address(data)


Entry = tuple["Ring | None", Any, int, int]
"""What is remembered of a packet: its ring and the ring's items in the packet's view, or None and a Still; the end of
the question; and how many bytes may follow it. A plain tuple: one is made for every packet that is new."""


Reading = tuple[int, int, int] | tuple[int, int, int, dict[int, int]]
"""The number of the commit that made a ring, its first cursor, its last; of a hashed one how often each slot came."""
WHOLE = 24  # bytes of a cookie with its server half
WITH_COOKIE = 4  # from the view of a query without one to that of the same with one


class Still:
    """The slot of a ring that has but one and does not count, ready for one view: an Item that can be changed.

    With a hundred thousand names what a query costs is the objects it touches, none of which is in the CPU's cache.
    Of such a ring this is the only one: no ring, no list, no tuple.
    """

    __slots__ = ("address", "data", "header", "length", "ring")

    def __init__(self, ring: Ring, item: Item) -> None:
        self.ring = ring
        self.header, self.data, self.address, self.length = item

    def put(self, item: Item) -> None:
        self.header, self.data, self.address, self.length = item


Views = Sequence[tuple[int, list[Item]]]
_NO_VIEWS: tuple[None, ...] = (None,) * 10  # of a ring nobody asked yet; most never are, and share it


class Ring:
    """An AnswerSet at work: a cursor, and its slots made ready for each kind of query that came (a *view*).

    Views: index 0-9 = RD bit + 2 * (0 no EDNS, 1 EDNS, 2 EDNS with DO, 3 and 4 these two with a cookie). A view's
    list, or Still, keeps its identity when the ring is replaced, so that memo entries need not be touched. The cursor
    only grows: less `start` it is the number of answers given since commit `number`; it stands while the ring is
    `still`. `options` stand in the OPT of every answer.
    A ring that tells something (`ede`) is never plain: only a composed reply sees whether there is room for it.
    """

    __slots__ = (
        *("bodies", "counted", "cursor", "hashed", "hits", "number", "options", "plain", "slots", "start", "still"),
        "views",
    )

    def __init__(self, answers: AnswerSet, cursor: int = 0, number: int = 0, options: bytes = b"") -> None:
        self.options = options or _told(answers)
        self.bodies = answers.bodies
        self.slots = answers.slots
        self.counted = answers.counted
        self.hashed = answers.hashed
        self.hits: dict[int, int] = {}
        """Of a hashed ring: how often each slot was given since `start`."""
        self.plain, self.still = _is_plain(answers), _is_still(answers)
        self.cursor = self.start = cursor
        self.number = number
        self.views: Sequence[list[Item] | Still | None] = _NO_VIEWS

    def holds(self, answers: AnswerSet) -> bool:
        same = self.slots == answers.slots and self.bodies == answers.bodies and self.counted == answers.counted
        return same and self.hashed == answers.hashed and self.options == _told(answers)

    def prepare(self, answers: AnswerSet) -> Views:
        """The views in use as they will be with new content: what takes time, done before a commit."""
        return [
            (index, items_of(answers, index, self.options)) for index, view in enumerate(self.views) if view is not None
        ]

    def replace(self, answers: AnswerSet, number: int, ready: Views = ()) -> bool:
        """New content in place, with the views `prepare` made of it; the cursor goes on. Whether it is of another kind,
        so that what is remembered of packets must be forgotten."""
        was = self._kind()
        self.bodies, self.slots, self.counted = answers.bodies, answers.slots, answers.counted
        self.plain, self.still, self.options = _is_plain(answers), _is_still(answers), _told(answers)
        self.hashed = answers.hashed
        self.begin(number)
        if self._kind() != was:
            self.views = _NO_VIEWS
            return True
        fresh = dict(ready)
        for index, view in enumerate(self.views):
            if view is not None:
                items = fresh.get(index) or items_of(answers, index, self.options)
                if isinstance(view, Still):
                    view.put(items[0])
                else:
                    view[:] = items
        return False

    def _kind(self) -> tuple[bool, bool, bool]:
        return self.plain, self.still, self.counted

    def begin(self, number: int) -> None:
        """Counts anew, for the commit of that number."""
        self.start, self.number, self.hits = self.cursor, number, {}

    def reading(self) -> Reading:
        """What was answered since `start`."""
        if self.hashed:
            return self.number, self.start, self.cursor, dict(self.hits)
        return self.number, self.start, self.cursor

    def items(self, view: int) -> list[Item] | Still:
        found = self.views[view]
        if found is None:
            if self.views is _NO_VIEWS:
                self.views = list(_NO_VIEWS)
            items = items_of(self, view, self.options)
            found = Still(self, items[0]) if self.still else items
            self.views[view] = found  # type: ignore[index]
        return found

    def entry(self, view: int, end: int, room: int) -> Entry:
        return None if self.still else self, self.views[view] or self.items(view), end, room

    def take(self) -> Body:
        cursor = self.cursor
        self.cursor = cursor + (not self.still)
        return self.bodies[self.slots[cursor % len(self.slots)]]

    def take_at(self, slot: int) -> Body:
        """The body of one slot, for a hashed ring; the cursor counts it."""
        self.cursor += 1
        self.hits[slot] = self.hits.get(slot, 0) + 1
        return self.bodies[self.slots[slot]]


def _is_plain(answers: AnswerSet) -> bool:
    return not answers.ede and not answers.hashed and all(body.alias < 0 and not body.extra for body in answers.bodies)


def _is_still(answers: AnswerSet) -> bool:
    return len(answers.slots) == 1 and not answers.counted and _is_plain(answers)


def _told(answers: AnswerSet) -> bytes:
    return option(ERROR, answers.ede) if answers.ede else b""


def items_of(answers: AnswerSet | Ring, view: int, options: bytes) -> list[Item]:
    """The finished slots of one view."""
    ready = []
    opt = with_options(OPTS[view >> 1], options if view > 1 else b"")
    for body in answers.bodies:
        data = body.data + opt
        ready.append((header(body.flags, body.counts, view), data, address_of(data), len(data)))
    return [ready[slot] for slot in answers.slots]


def _opt(size: int, flags: int, extended: int = 0) -> bytes:
    return b"\0\0\x29" + size.to_bytes(2, "big") + bytes((extended, 0)) + flags.to_bytes(2, "big") + b"\0\0"


def _cookied(opt: bytes) -> bytes:
    """An OPT whose only option is a COOKIE, but for its 24 bytes: they follow in each reply."""
    return with_options(opt, option(COOKIE, bytes(WHOLE)))[:-WHOLE]


_PLAIN_OPT, _DO_OPT = _opt(wire.UDP_LIMIT, 0), _opt(wire.UDP_LIMIT, 0x8000)
OPTS = (b"", _PLAIN_OPT, _DO_OPT, _cookied(_PLAIN_OPT), _cookied(_DO_OPT))
BADVERS_OPT = _opt(wire.UDP_LIMIT, 0, wire.BADVERS >> 4)
BADCOOKIE_OPT = _opt(wire.UDP_LIMIT, 0, BADCOOKIE >> 4)


@lru_cache(maxsize=4096)
def header(flags: int, counts: tuple[int, int, int], view: int) -> bytes:
    """The ten header bytes behind the id, for one question; shared by all replies alike."""
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
    ring, items, _, _ = entry
    if ring is None:
        still: Still = items
        return still.header, still.data, still.address, still.length
    cursor = ring.cursor
    ring.cursor = cursor + 1
    return items[cursor % len(items)]  # type: ignore[no-any-return]


def view_of(packet: bytes, edns: wire.Edns | None) -> int:
    kind = 0 if edns is None else 2 if edns.do else 1
    return (packet[2] & 1) + 2 * kind
