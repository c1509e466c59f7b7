"""AnswerTable: from the bytes of a query to the bytes of its reply. The workers' half; needs only floor 0.

Pure: no socket, no clock. A query takes one of four ways, the first that fits:

  memo       the packet's bytes after the id were seen before: one slice, one dictionary look-up, next slot
  stem       all but the bytes of its cookie were seen before: the same, and a cookie of its own in the reply
  ring       parse, find the ring; its slot is a finished body; the packet is remembered for the memo
  composed   an alias is followed, a DNAME applied, additional addresses added, or EDNS options answered: the
             reply is put together

The memo is read by the batched loop (`server/udp.py`); everything else is here. What depends on the client or the
time is asked of an `Asker`, and never remembered. Must not know: pools, health.
"""

from __future__ import annotations

from rrdns import wire
from rrdns.answers import AUTHORITATIVE, Body
from rrdns.server import edns
from rrdns.server.cookies import Cookies
from rrdns.server.edns import Asked, Asker, Policy, with_options
from rrdns.server.rings import BADCOOKIE_OPT, BADVERS_OPT, OPTS, Entry, Ring, header, next_item, view_of
from rrdns.server.table import Table

MEMO_SIZE = 16384
MAX_CHASE = 12  # CNAMEs followed inside a zone in one reply
MAX_MESSAGE = 65535
MAX_POINTER = 0x3FFF  # RFC 1035 section 4.1.4: 14 bits

_WHOLE_COOKIE = edns.option(edns.COOKIE, bytes(24))[:4]
_HALF_COOKIE = edns.option(edns.COOKIE, bytes(8))[:4]
_COOKIE_ROOM = 28

_ADDRESSES = (wire.A.to_bytes(2, "big"), wire.AAAA.to_bytes(2, "big"))


class AnswerTable(Table):
    """Every answer of this server, and the memo of packets already understood."""

    def __init__(
        self,
        udp_limit: int = wire.UDP_LIMIT,
        first_cursor: int = 0,
        policy: Policy = Policy(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__(first_cursor, policy)
        self.udp_limit = udp_limit
        self.memo: dict[bytes, Entry] = {}
        self._stems: dict[bytes, Entry] = {}
        """As the memo, for packets that end in a COOKIE option, without the cookie."""
        self._policy = policy
        self._cookies = Cookies(policy.secrets)

    def forget(self) -> None:
        self.memo.clear()
        self._stems.clear()

    def lookup(self, packet: bytes, asker: Asker = edns.nobody) -> Entry | bytes | None:
        """For a UDP packet the memo does not know: an Entry (remembered), a whole reply, or None for silence."""
        if self._stems:
            if packet[-28:-24] == _WHOLE_COOKIE:
                reply = self._by_stem(packet, 24, asker)
                if reply is not None:
                    return reply
            elif packet[-12:-8] == _HALF_COOKIE:
                reply = self._by_stem(packet, 8, asker)
                if reply is not None:
                    return reply
        query = wire.parse_query(packet)
        if query is None:
            return None
        if not isinstance(query, wire.Query):
            return _bare(packet, query)
        name, end, type_class, opt = query
        limit = wire.UDP_MINIMUM
        if opt is not None:
            if opt.version:
                return _badvers(packet, query)
            limit = min(max(limit, opt.size), self.udp_limit)
            if opt.options:
                reply = self._with_options(packet, query, limit, asker, udp=True)
                if reply is not None:
                    return reply
        ring = self.find(name, type_class)
        view = view_of(packet, opt)
        if not ring.plain:
            return self._compose(packet, query, ring, view, limit)
        entry = Entry(ring, ring.items(view), end, limit - end)
        if packet[12 : end - 4] == name:  # mixed case never repeats
            if len(self.memo) >= MEMO_SIZE:
                self.memo.clear()
            self.memo[packet[2:]] = entry
        return entry

    def reply(self, packet: bytes, udp: bool = False, asker: Asker = edns.nobody) -> bytes | None:
        """The whole reply to a packet, or None for silence; without `udp` up to 65,535 bytes (TCP)."""
        if udp:
            found = self.lookup(packet, asker)
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
        if query.edns is not None:
            if query.edns.version:
                return _badvers(packet, query)
            if query.edns.options:
                reply = self._with_options(packet, query, MAX_MESSAGE, asker, udp=False)
                if reply is not None:
                    return reply
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

    # ------------------------------------------------------------------ EDNS options

    def _with_options(self, packet: bytes, query: wire.Query, limit: int, asker: Asker, udp: bool) -> bytes | None:
        """The whole reply to a query with options; None if it is the same as to one without."""
        opt = query.edns
        assert opt is not None
        asked = edns.parse(opt.options, self._policy, udp)
        if asked is None or (not query.name and asked.cookie is None):
            return _bare(packet, wire.FORMERR)
        if asked == edns.NOTHING:
            return None
        options, proved = self._answered(asked, asker)
        if not query.name:
            # RFC 7873 section 5.4: a whole cookie asks whether it is valid, a client's half asks for one.
            return _questionless(packet, options, proved or len(asked.cookie or b"") == 8)
        if udp and asked.cookie is not None and not proved and self._policy.cookie_required_udp:
            return _badcookie(packet, query, options)
        ring = self.find(query.name, query.type_class)
        if udp:
            self._remember_stem(packet, query, asked, ring, limit)
        nice = edns.option(edns.NSID, self._policy.nsid) if asked.nsid else b""
        return self._compose(packet, query, ring, view_of(packet, opt), limit, options, nice + ring.options)

    def _answered(self, asked: Asked, asker: Asker) -> tuple[bytes, bool]:
        """The options that go back whatever the answer, and whether a cookie proved the client's address."""
        options, proved = b"", False
        if asked.cookie is not None:
            cookie, proved = self._cookies.judge(asked.cookie, *asker())
            options = edns.option(edns.COOKIE, cookie)
        if asked.subnet is not None:
            options += edns.subnet_answer(asked.subnet)
        if asked.keepalive:
            options += edns.option(edns.KEEPALIVE, self._policy.keepalive.to_bytes(2, "big"))
        return options, proved

    def _remember_stem(self, packet: bytes, query: wire.Query, asked: Asked, ring: Ring, limit: int) -> None:
        """Keeps what was found, if a COOKIE option alone ends the packet: any other cookie there finds the same."""
        opt, end, cookie = query.edns, query.question_end, asked.cookie
        if opt is None or cookie is None or len(cookie) not in (8, 24) or ring.options or not ring.plain:
            return
        alone = len(opt.options) == 4 + len(cookie) and len(packet) == end + len(OPTS[1]) + len(opt.options)
        if not alone or packet[12 : end - 4] != query.name:
            return
        if len(self._stems) >= MEMO_SIZE:
            self._stems.clear()
        entry = Entry(ring, ring.items(view_of(packet, opt)), end, limit - end - _COOKIE_ROOM)
        self._stems[packet[2 : -len(cookie)]] = entry

    def _by_stem(self, packet: bytes, size: int, asker: Asker) -> bytes | None:
        """The whole reply to a packet that ends in a cookie of `size` bytes, if its stem is known and it is short."""
        entry = self._stems.get(packet[2:-size])
        if entry is None:
            return None
        cookie, proved = self._cookies.judge(packet[-size:], *asker())
        if not proved and self._policy.cookie_required_udp:
            return None
        hdr, data, _, length = next_item(entry)
        if length > entry.room:
            return truncated(packet, entry, hdr, _WHOLE_COOKIE + cookie)
        return b"".join((packet[:2], hdr, packet[12 : entry.question_end], data[:-2], b"\0\x1c", _WHOLE_COOKIE, cookie))

    # ------------------------------------------------------------------ composed replies

    def _compose(
        self,
        packet: bytes,
        query: wire.Query,
        ring: Ring,
        view: int,
        limit: int,
        options: bytes = b"",
        nice: bytes = b"",
    ) -> bytes:
        """A whole reply: aliases followed inside the zone, additional addresses while they fit. Its OPT holds
        `options`, and the `nice` ones if no answer has to go for them."""
        end = query.question_end
        body = ring.take()
        data, counts, flags = body.data, body.counts, body.flags
        at = 0  # where the last body begins in `data`
        seen = {query.name}
        dnames: set[bytes] = {_dname_of(body)}
        zone = self.zone_of(query.name)
        while body.alias >= 0 and len(seen) <= MAX_CHASE:
            target = _name_at(data, at + body.alias)
            if target in seen or self.zone_of(target) is not zone:
                break
            seen.add(target)
            position = end + at + body.alias
            body = self.find(target, query.type_class).take()
            if target + body.data[2:] in dnames:
                break  # the DNAME that was asked for led here, and stands in the reply
            dname = _dname_of(body)
            if dname in dnames:
                body = _without(body, dname)
            dnames.add(dname)
            at = len(data)
            data += _with_owner(body, position)
            counts = (counts[0] + body.counts[0], counts[1] + body.counts[1], counts[2] + body.counts[2])
            flags = flags & 0xFFF0 | body.flags & 0x000F
        opt = OPTS[view >> 1]
        room = limit - end - len(opt) - len(options)
        if nice and not room - len(nice) < len(data) <= room:
            options += nice
            room -= len(nice)
        if body.extra and len(data) <= room:
            data, added = self._with_addresses(data, body, at, end, room)
            counts = (counts[0], counts[1], counts[2] + added)
        if len(data) > room:
            data, counts, flags = b"", (0, 0, 0), flags | wire.TC
        if options:
            opt = with_options(opt, options)
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


def truncated(packet: bytes, entry: Entry, hdr: bytes, options: bytes = b"") -> bytes:
    """The reply to a UDP packet whose slot is longer than there is room for: header with TC, question, OPT."""
    ring = entry.ring
    view = next(index for index, items in enumerate(ring.views) if items is entry.items)
    flags = hdr[0] << 8 | hdr[1] | wire.TC
    opt = with_options(OPTS[view >> 1], options)
    return packet[:2] + header(flags, (0, 0, 0), view) + packet[12 : entry.question_end] + opt


def _badvers(packet: bytes, query: wire.Query) -> bytes:
    """RFC 6891 section 6.1.3: no answer, and our own version in the OPT."""
    hdr = header(wire.QR, (0, 0, 0), view_of(packet, query.edns))
    return packet[:2] + hdr + packet[12 : query.question_end] + BADVERS_OPT


def _badcookie(packet: bytes, query: wire.Query, options: bytes) -> bytes:
    """RFC 7873 section 5.2.3: no answer, and a cookie to ask again with."""
    hdr = header(wire.QR | edns.BADCOOKIE & 15, (0, 0, 0), view_of(packet, query.edns))
    return packet[:2] + hdr + packet[12 : query.question_end] + with_options(BADCOOKIE_OPT, options)


def _questionless(packet: bytes, options: bytes, good: bool) -> bytes:
    """The reply to a query for nothing but a cookie: a header and an OPT."""
    opt, rcode = (OPTS[1], wire.NOERROR) if good else (BADCOOKIE_OPT, edns.BADCOOKIE & 15)
    return packet[:2] + bytes((0x80 | packet[2] & 1, rcode)) + b"\0\0\0\0\0\0\0\1" + with_options(opt, options)


def _bare(packet: bytes, rcode: int) -> bytes:
    """A reply of a header alone: opcode and RD as asked (RFC 1035 section 4.1.1); it can't amplify."""
    return packet[:2] + bytes((0x80 | packet[2] & 0x79, rcode)) + bytes(8)


def _dname_of(body: Body) -> bytes:
    """The DNAME record a body of `Table._rewritten` begins with; empty for any other body."""
    if body.owners:
        return body.data[: body.owners[0]]
    return body.data if body.flags & 0x000F == wire.YXDOMAIN else b""


def _without(body: Body, dname: bytes) -> Body:
    """The body less its DNAME: the reply has that already, and no record stands in it twice (RFC 2181 section 5)."""
    size = len(dname)
    if not size:
        return body
    answers, authority, additional = body.counts
    owners = tuple(at - size for at in body.owners)
    alias = body.alias - size if body.alias >= 0 else -1
    return Body(body.flags, (answers - 1, authority, additional), body.data[size:], owners, alias)


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
