"""AnswerTable: from the bytes of a query to the bytes of its reply. The workers' half; needs only floor 0.

Pure: no socket, no clock. A query takes one of three ways, the first that fits:

  memo       the packet's bytes after the id were seen before: one slice, one dictionary look-up, next slot
  ring       parse, find the ring; its slot is a finished body; the packet is remembered for the memo
  composed   an alias is followed, a DNAME applied, or additional addresses added: the reply is put together

The memo is read by the batched loop (`server/udp.py`); everything else is here. Must not know: pools, health.
"""

from __future__ import annotations

from rrdns import wire
from rrdns.answers import AUTHORITATIVE, Body
from rrdns.server.rings import BADVERS_OPT, OPTS, Entry, Ring, header, next_item, view_of
from rrdns.server.table import Table

MEMO_SIZE = 16384
MAX_CHASE = 12  # CNAMEs followed inside a zone in one reply
MAX_MESSAGE = 65535
MAX_POINTER = 0x3FFF  # RFC 1035 section 4.1.4: 14 bits

_ADDRESSES = (wire.A.to_bytes(2, "big"), wire.AAAA.to_bytes(2, "big"))


class AnswerTable(Table):
    """Every answer of this server, and the memo of packets already understood."""

    def __init__(self, udp_limit: int = wire.UDP_LIMIT, first_cursor: int = 0) -> None:
        super().__init__(first_cursor)
        self.udp_limit = udp_limit
        self.memo: dict[bytes, Entry] = {}

    def forget(self) -> None:
        self.memo.clear()

    def lookup(self, packet: bytes) -> Entry | bytes | None:
        """For a UDP packet the memo does not know: an Entry (remembered), a whole reply, or None for silence."""
        query = wire.parse_query(packet)
        if query is None:
            return None
        if not isinstance(query, wire.Query):
            return _bare(packet, query)
        name, end, type_class, edns = query
        limit = wire.UDP_MINIMUM
        if edns is not None:
            if edns.version:
                return _badvers(packet, query)
            limit = min(max(limit, edns.size), self.udp_limit)
        ring = self.find(name, type_class)
        view = view_of(packet, edns)
        if not ring.plain:
            return self._compose(packet, query, ring, view, limit)
        entry = Entry(ring, ring.items(view), end, limit - end)
        if packet[12 : end - 4] == name:  # mixed case never repeats
            if len(self.memo) >= MEMO_SIZE:
                self.memo.clear()
            self.memo[packet[2:]] = entry
        return entry

    def reply(self, packet: bytes, udp: bool = False) -> bytes | None:
        """The whole reply to a packet, or None for silence; without `udp` up to 65,535 bytes (TCP)."""
        if udp:
            found = self.lookup(packet)
            if not isinstance(found, Entry):
                return found
            hdr, data, _, length = next_item(found)
            if length > found.room:
                return truncated(packet, found, hdr)
            return packet[:2] + hdr + packet[12 : found.question_end] + data
        query = wire.parse_query(packet)
        if query is None:
            return None
        if not isinstance(query, wire.Query):
            return _bare(packet, query)
        if query.edns is not None and query.edns.version:
            return _badvers(packet, query)
        ring = self.find(query.name, query.type_class)
        view = view_of(packet, query.edns)
        if not ring.plain:
            return self._compose(packet, query, ring, view, MAX_MESSAGE)
        end = query.question_end
        hdr, data, _, length = next_item(Entry(ring, ring.items(view), end, 0))
        if end + length > MAX_MESSAGE:
            return (
                packet[:2] + header(ring.bodies[0].flags | wire.TC, (0, 0, 0), view) + packet[12:end] + OPTS[view >> 1]
            )
        return packet[:2] + hdr + packet[12:end] + data

    def _compose(self, packet: bytes, query: wire.Query, ring: Ring, view: int, limit: int) -> bytes:
        """A whole reply: aliases followed inside the zone, additional addresses while they fit."""
        end = query.question_end
        body = ring.take()
        data, counts, flags = body.data, body.counts, body.flags
        at = 0  # where the last body begins in `data`
        seen = {query.name}
        zone = self.zone_of(query.name)
        while body.alias >= 0 and len(seen) <= MAX_CHASE:
            target = _name_at(data, at + body.alias)
            if target in seen or self.zone_of(target) is not zone:
                break
            seen.add(target)
            position = end + at + body.alias
            body = self.find(target, query.type_class).take()
            at = len(data)
            data += _with_owner(body, position)
            counts = (counts[0] + body.counts[0], counts[1] + body.counts[1], counts[2] + body.counts[2])
            flags = flags & 0xFFF0 | body.flags & 0x000F
        opt = OPTS[view >> 1]
        room = limit - end - len(opt)
        if body.extra and len(data) <= room:
            data, added = self._with_addresses(data, body, at, end, room)
            counts = (counts[0], counts[1], counts[2] + added)
        if len(data) > room:
            data, counts, flags = b"", (0, 0, 0), flags | wire.TC
        return packet[:2] + header(flags, counts, view) + packet[12:end] + data + opt

    def _with_addresses(self, data: bytes, body: Body, at: int, end: int, room: int) -> tuple[bytes, int]:
        """Adds the A and AAAA of the names at `body.extra` as far as whole sets fit; leaving some out needs
        no TC (RFC 2181 section 9). Gives the data and how many records came."""
        added = 0
        done = set()
        for offset in body.extra:
            position = end + at + offset
            name = _name_at(data, at + offset)
            if name in done or position > MAX_POINTER:
                continue
            done.add(name)
            for rtype in _ADDRESSES:
                ring = self.sets.get(name + rtype)
                if ring is None or not ring.plain:
                    continue
                more = ring.take()
                if more.flags == AUTHORITATIVE and more.counts[0] and len(data) + len(more.data) <= room:
                    data += _with_owner(more, position)
                    added += more.counts[0]
        return data, added


def truncated(packet: bytes, entry: Entry, hdr: bytes) -> bytes:
    """The reply to a UDP packet whose slot is longer than there is room for: header with TC, question, OPT."""
    ring = entry.ring
    view = next(index for index, items in enumerate(ring.views) if items is entry.items)
    return _cut_off(packet, entry.question_end, hdr, view)


def _cut_off(packet: bytes, end: int, hdr: bytes, view: int) -> bytes:
    flags = hdr[0] << 8 | hdr[1] | wire.TC
    return packet[:2] + header(flags, (0, 0, 0), view) + packet[12:end] + OPTS[view >> 1]


def _badvers(packet: bytes, query: wire.Query) -> bytes:
    """RFC 6891 section 6.1.3: no answer, and our own version in the OPT."""
    hdr = header(wire.QR, (0, 0, 0), view_of(packet, query.edns))
    return packet[:2] + hdr + packet[12 : query.question_end] + BADVERS_OPT


def _bare(packet: bytes, rcode: int) -> bytes:
    """A reply of a header alone: opcode and RD as asked (RFC 1035 section 4.1.1); it can't amplify."""
    return packet[:2] + bytes((0x80 | packet[2] & 0x79, rcode)) + bytes(8)


def _name_at(data: bytes, at: int) -> bytes:
    """The uncompressed name that stands at `at`, lower-case."""
    start = at
    while data[at]:
        at += data[at] + 1
    return data[start : at + 1].lower()


def _with_owner(body: Body, position: int) -> bytes:
    """The body's records with owners that point to `position` in the message instead of to the question."""
    pointer = (0xC000 | position).to_bytes(2, "big")
    data = bytearray(body.data)
    for at in body.owners:
        data[at : at + 2] = pointer
    return bytes(data)
