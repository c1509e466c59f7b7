"""AnswerTable: from the bytes of a query to the bytes of its reply. The workers' half; needs only floor 0.

Pure: no socket, no clock. A query takes one of four ways, the first that fits:

  memo       the packet's bytes after the id were seen before: one slice, one dictionary look-up, next slot
  quick      all but its name and type were seen before, and those are known: `recall.py`
  cookied    one of these two, for all but the bytes of its cookie; the reply gets a cookie of its own
  ring       parse, find the ring; its slot is a finished body; the packet is remembered
  composed   an alias is followed, a DNAME applied, additional addresses added, or EDNS options answered: the
             reply is put together

The first two are tried by the batched loop (`server/udp.py`); everything else is here. What depends on the client
or the time is asked of an `Asker`, and never remembered. Must not know: pools, health.
"""

from __future__ import annotations

from rrdns import wire
from rrdns.answers import AUTHORITATIVE, Body
from rrdns.server import edns
from rrdns.server.bodies import dname_of, name_at, shortened, with_owner, without
from rrdns.server.client_network import ClientNetwork
from rrdns.server.cookies import Cookies
from rrdns.server.edns import Asked, Asker, Policy, with_options
from rrdns.server.recall import BARE, Recall
from rrdns.server.rings import (
    BADCOOKIE_OPT,
    BADVERS_OPT,
    OPTS,
    WHOLE,
    WITH_COOKIE,
    Entry,
    Ring,
    header,
    next_item,
    view_of,
)
from rrdns.server.table import Table

MAX_CHASE = 12  # CNAMEs followed inside a zone in one reply
MAX_MESSAGE = 65535
MAX_POINTER = 0x3FFF  # RFC 1035 section 4.1.4: 14 bits

_WHOLE_COOKIE = edns.option(edns.COOKIE, bytes(WHOLE))[:4]
_HALF_COOKIE = edns.option(edns.COOKIE, bytes(8))[:4]

_ADDRESSES = (wire.A.to_bytes(2, "big"), wire.AAAA.to_bytes(2, "big"))


class AnswerTable(Table):
    """Every answer of this server, and what is remembered of packets already understood."""

    def __init__(
        self,
        udp_limit: int = wire.UDP_LIMIT,
        first_cursor: int = 0,
        policy: Policy = Policy(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__(first_cursor, policy)
        self.udp_limit = udp_limit
        self.recall = Recall(self, policy=policy)
        self._cookied = Recall(self, BARE + 4)
        """Of packets that end in a COOKIE option, without the cookie."""
        self._policy = policy
        self.cookies = Cookies(policy.secrets)

    def forget(self) -> None:
        self.recall.forget()
        self._cookied.forget()

    def lookup(self, packet: bytes, asker: Asker = edns.nobody) -> Entry | bytes | None:
        """For a UDP packet that is not remembered: an Entry, a whole reply, or None for silence."""
        query = wire.parse_query(packet)
        if query is None:
            return None
        if not isinstance(query, wire.Query):
            return _bare(packet, query)
        opt = query.edns
        limit = wire.UDP_MINIMUM
        if opt is not None:
            if opt.version:
                return _badvers(packet, query)
            limit = min(max(limit, opt.size), self.udp_limit)
            if opt.options:
                reply = self._with_options(packet, query, limit, asker, udp=True)
                if reply is not None:
                    return reply
        ring = self.find(query.name, query.type_class)
        view = view_of(packet, opt)
        if not ring.plain:
            return self._compose(packet, query, ring, view, limit, False, ClientNetwork(asker))
        return self.recall.learn(packet[2:], query, ring, view, limit)

    def reply(self, packet: bytes, udp: bool = False, asker: Asker = edns.nobody) -> bytes | None:
        """The whole reply to a packet, or None for silence; without `udp` up to 65,535 bytes (TCP)."""
        if udp:
            return self._datagram(packet, asker)
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
            return self._compose(packet, query, ring, view, MAX_MESSAGE, True, ClientNetwork(asker))
        end = query.question_end
        hdr, data, _, length = next_item(ring.entry(view, end, 0))
        if end + length > MAX_MESSAGE:
            return (
                packet[:2] + header(ring.bodies[0].flags | wire.TC, (0, 0, 0), view) + packet[12:end] + OPTS[view >> 1]
            )
        return packet[:2] + hdr + packet[12:end] + data

    def _datagram(self, packet: bytes, asker: Asker) -> bytes | None:
        """What the batched loop does, for one packet."""
        rest = packet[2:]
        entry = self.recall.memo.get(rest) or self.recall.quick(rest)
        if entry is None:
            finished = self.cookied(rest, *asker())
            if finished is not None:
                hdr, end, data = finished
                return packet[:2] + hdr + packet[12:end] + data
            found = self.lookup(packet, asker)
            if not isinstance(found, tuple):
                return found
            entry = found
        _, _, end, room = entry
        hdr, data, _, length = next_item(entry)
        if length > room:
            hdr, data = cut(entry, hdr, room)
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
            if asked.subnet is not None:
                options += edns.subnet_answer(asked.subnet)
            return _questionless(packet, options, proved or len(asked.cookie or b"") == 8)
        if udp and asked.cookie is not None and not proved and self._policy.cookie_required_udp:
            return _badcookie(packet, query, options)
        ring = self.find(query.name, query.type_class)
        if udp:
            self._learn_cookied(packet, query, asked, ring, limit)
        nice = edns.option(edns.NSID, self._policy.nsid) if asked.nsid else b""
        network = ClientNetwork(asker, asked.subnet)
        view, proved = view_of(packet, opt), proved or not udp
        return self._compose(packet, query, ring, view, limit, proved, network, options, nice, asked.subnet)

    def _answered(self, asked: Asked, asker: Asker) -> tuple[bytes, bool]:
        """The options that go back whatever the answer, and whether a cookie proved the client's address."""
        options, proved = b"", False
        if asked.cookie is not None:
            cookie, proved = self.cookies.judge(asked.cookie, *asker())
            options = edns.option(edns.COOKIE, cookie)
        if asked.keepalive:
            options += edns.option(edns.KEEPALIVE, self._policy.keepalive.to_bytes(2, "big"))
        return options, proved

    def _learn_cookied(self, packet: bytes, query: wire.Query, asked: Asked, ring: Ring, limit: int) -> None:
        """Keeps what was found, if a COOKIE option alone ends the packet: any other cookie there finds the same."""
        opt, end, cookie = query.edns, query.question_end, asked.cookie
        if opt is None or cookie is None or len(cookie) not in (8, WHOLE) or ring.options or not ring.plain:
            return
        if len(opt.options) == 4 + len(cookie) and len(packet) == end + len(OPTS[1]) + len(opt.options):
            rest = packet[2 : -len(cookie)]
            self._cookied.learn(rest, query, ring, view_of(packet, opt) + WITH_COOKIE, limit - WHOLE)

    def cookied(self, rest: bytes, client: bytes, now: int) -> tuple[bytes, int, bytes] | None:
        """For a packet, without its id, that ends in a cookie, if all before is remembered: the header, the end of
        the question and what follows it. The last two arguments are what an `Asker` says."""
        if rest[-12:-8] == _HALF_COOKIE:
            stem, cookie = rest[:-8], rest[-8:]
        elif rest[-28:-24] == _WHOLE_COOKIE:
            stem, cookie = rest[:-24], rest[-24:]
        else:
            return None
        entry = self._cookied.memo.get(stem) or self._cookied.quick(stem)
        if entry is None:
            return None
        fresh, proved = self.cookies.judge(cookie, client, now)
        if not proved and self._policy.cookie_required_udp:
            return None
        ring, _, end, room = entry
        hdr, data, _, length = next_item(entry)
        if not proved:
            counted = ring is not None and ring.counted
            room = self._policy.longest(room + end + WHOLE, len(rest) + 2, counted) - end - WHOLE
        if length > room:
            hdr, data = cut(entry, hdr, room)
        return hdr, end, data + fresh

    # ------------------------------------------------------------------ composed replies

    def _compose(
        self,
        packet: bytes,
        query: wire.Query,
        ring: Ring,
        view: int,
        limit: int,
        proved: bool,
        network: ClientNetwork,
        options: bytes = b"",
        nice: bytes = b"",
        subnet: bytes | None = None,
    ) -> bytes:
        """A whole reply: aliases followed inside the zone, additional addresses while they fit. Its OPT holds
        `options`, what `subnet` is answered with, and the `nice` ones if no answer has to go for them."""
        end = query.question_end
        body = network.take(ring)
        data, counts, flags = body.data, body.counts, body.flags
        at = 0  # where the last body begins in `data`
        seen = {query.name}
        dnames: set[bytes] = {dname_of(body)}
        zone = self.zone_of(query.name)
        told = ring.options
        while body.alias >= 0 and len(seen) <= MAX_CHASE:
            target = name_at(data, at + body.alias)
            if target in seen or self.zone_of(target) is not zone:
                break
            seen.add(target)
            position = end + at + body.alias
            ring = self.find(target, query.type_class)
            told = told or ring.options
            body = network.take(ring)
            if target + body.data[2:] in dnames:
                break  # the DNAME that was asked for led here, and stands in the reply
            dname = dname_of(body)
            if dname in dnames:
                body = without(body, dname)
            dnames.add(dname)
            at = len(data)
            data += with_owner(body, position)
            counts = (counts[0] + body.counts[0], counts[1] + body.counts[1], counts[2] + body.counts[2])
            flags = flags & 0xFFF0 | body.flags & 0x000F
        if subnet is not None:
            options += edns.subnet_answer(subnet, network.scope)
        if at and zone is not None and body.counts == (0, 1, 0) and data.startswith(zone.apex, at):
            # a SOA below an alias: its owner ends the question, and the reply stays below four times its query
            data = data[:at] + (0xC000 | end - 4 - len(zone.apex)).to_bytes(2, "big") + data[at + len(zone.apex) :]
        if not proved:
            limit = self._policy.longest(limit, len(packet), ring.counted)
        opt = OPTS[view >> 1]
        nice += told if opt else b""
        room = limit - end - len(opt) - len(options)
        if nice and not room - len(nice) < len(data) <= room:
            options += nice
            room -= len(nice)
        if body.extra and len(data) <= room:
            data, added = self._with_addresses(data, body, at, end, room, network)
            counts = (counts[0], counts[1], counts[2] + added)
        if len(data) > room:
            short = shortened(body, room - at) if ring.counted else None
            if short is None:
                data, counts, flags = b"", (0, 0, 0), flags | wire.TC
            else:
                data = data[: at + len(short.data)]
                counts = (counts[0] - body.counts[0] + short.counts[0], counts[1], counts[2])
        if options:
            opt = with_options(opt, options)
        return packet[:2] + header(flags, counts, view) + packet[12:end] + data + opt

    def _with_addresses(
        self, data: bytes, body: Body, at: int, end: int, room: int, network: ClientNetwork
    ) -> tuple[bytes, int]:
        """Adds the A and AAAA of the names at `body.extra` as far as whole sets fit; leaving some out needs
        no TC (RFC 2181 section 9). Gives the data and how many records came."""
        added = 0
        done = set()
        for offset in body.extra:
            position = end + at + offset
            name = name_at(data, at + offset)
            if name in done or position > MAX_POINTER:
                continue
            done.add(name)
            for rtype in _ADDRESSES:
                ring = self.sets.get(name + rtype)
                if ring is None:
                    continue
                more = network.take(ring)
                good = more.flags == AUTHORITATIVE and more.counts[0] and more.alias < 0
                if good and len(data) + len(more.data) <= room:
                    data += with_owner(more, position)
                    added += more.counts[0]
        return data, added


def cut(entry: Entry, hdr: bytes, room: int) -> tuple[bytes, bytes]:
    """The header, and what follows the question, where the slot just taken is longer than there is room for: a pool's
    answer with fewer addresses; else TC and an OPT."""
    ring, items, _, _ = entry
    ring = ring or items.ring
    view = next(index for index, one in enumerate(ring.views) if one is items)
    opt = OPTS[view >> 1]
    if ring.counted:
        body = ring.bodies[ring.slots[(ring.cursor - 1) % len(ring.slots)]]
        short = shortened(body, room - len(opt))
        if short is not None:
            return header(short.flags, short.counts, view), short.data + opt
    return header(hdr[0] << 8 | hdr[1] | wire.TC, (0, 0, 0), view), opt


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
