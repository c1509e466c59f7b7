"""Table: every ring of this server, changed by commits, searched by name and type. Needs only floor 0.

Pure. One writer (`stage`, `commit`), called between two batches of queries. Must not know: packets, sockets,
why a ring is as it is.
"""

from __future__ import annotations

from rrdns import wire
from rrdns.answers import (
    AUTHORITATIVE,
    CUT,
    DEFAULT,
    DNAME,
    EMPTY,
    OWN,
    REFUSED,
    SERVFAIL,
    AnswerSet,
    Body,
    Changes,
    Node,
    ZoneAnswers,
)
from rrdns.server import edns
from rrdns.server.edns import Policy
from rrdns.server.rings import Ring

_IN = b"\0\1"
_DS = wire.DS.to_bytes(2, "big")
_ANY = wire.ANY.to_bytes(2, "big")
_CNAME = wire.CNAME.to_bytes(2, "big")
_DNAME = wire.DNAME.to_bytes(2, "big")
_DEFAULT = DEFAULT.to_bytes(2, "big")
_TRANSFERS = (wire.AXFR.to_bytes(2, "big"), wire.IXFR.to_bytes(2, "big"))


class _Zone:
    __slots__ = ("any", "apex", "nodata", "nxdomain")

    def __init__(self, apex: bytes, answers: ZoneAnswers) -> None:
        self.apex = apex
        self.nodata, self.nxdomain, self.any = Ring(answers.nodata), Ring(answers.nxdomain), Ring(answers.any)


class _Staged:
    """A change being collected piece by piece: everything costly is done here, so that the commit is short."""

    def __init__(self) -> None:
        self.zones: dict[bytes, _Zone] = {}
        self.changed_zones: list[tuple[_Zone, ZoneAnswers]] = []
        self.nodes: dict[bytes, tuple[_Zone, int]] = {}
        self.rings: dict[bytes, Ring] = {}
        self.changed: list[tuple[bytes, Ring, AnswerSet]] = []
        self.same: list[tuple[bytes, Ring]] = []
        self.gone_zones: list[bytes] = []
        self.gone_nodes: list[bytes] = []
        self.gone_sets: list[bytes] = []
        self.seen: tuple[set[bytes], set[bytes], set[bytes]] = (set(), set(), set())
        self.places: dict[tuple[bytes, int], tuple[_Zone, int]] = {}


class Table:
    """Rings by key, names by node, zones by apex."""

    def __init__(self, first_cursor: int = 0, policy: Policy = Policy()) -> None:  # noqa: B008 - frozen
        """`first_cursor` is where new rings of several slots begin: a random number, so that several workers
        and servers do not all begin with the same member."""
        self.sets: dict[bytes, Ring] = {}
        self._counted: dict[bytes, Ring] = {}
        """Those of `sets` whose cursors control asks for."""
        self.nodes: dict[bytes, tuple[_Zone, int]] = {}
        self.zones: dict[bytes, _Zone] = {}
        self.number = 0
        self._first = first_cursor
        self._refused = _failure(REFUSED, policy.ede, edns.NOT_AUTHORITATIVE)
        self._unsupported = _failure(REFUSED, policy.ede, edns.NOT_SUPPORTED)
        self._servfail = _failure(SERVFAIL, policy.ede, edns.NOT_READY)
        self._chaos = {key: Ring(one) for key, one in edns.chaos(policy).items()}
        self._staged = _Staged()
        self._failing = False

    def forget(self) -> None:
        """Called when what was found for a question may no longer be what would be found: for caches above."""

    # ------------------------------------------------------------------ changes

    def stage(self, changes: Changes) -> None:
        """A piece of a change; nothing of it is seen before the commit. A zone comes no later than its nodes."""
        staged = self._staged
        for seen, part in zip(staged.seen, (changes.zones, changes.nodes, changes.sets), strict=True):
            seen.update(part)
        for apex, answers in changes.zones.items():
            zone = self.zones.get(apex)
            if answers is None:
                staged.gone_zones.append(apex)
            elif zone is None:
                staged.zones[apex] = _Zone(apex, answers)
            else:
                staged.changed_zones.append((zone, answers))
        for name, node in changes.nodes.items():
            if node is None:
                staged.gone_nodes.append(name)
            else:
                staged.nodes[name] = self._place(node)
        for key, one in changes.sets.items():
            ring = self.sets.get(key)
            if one is None:
                staged.gone_sets.append(key)
            elif ring is None:
                staged.rings[key] = Ring(one, self._first if len(one.slots) > 1 else 0)
            elif ring.holds(one):
                staged.same.append((key, ring))
            else:
                staged.changed.append((key, ring, one))

    def _place(self, node: Node) -> tuple[_Zone, int]:
        """The (zone, kind) that all nodes of that kind share."""
        staged = self._staged
        place = (node.zone, node.kind)
        found = staged.places.get(place)
        if found is None:
            zone = staged.zones.get(node.zone) or self.zones[node.zone]
            found = staged.places[place] = (zone, node.kind)
        return found

    def discard(self) -> None:
        """Forgets what was staged: the other end went away before its commit."""
        self._staged = _Staged()

    def commit(self, number: int, fresh: bool = False) -> dict[bytes, tuple[int, int, int]]:
        """Puts all staged pieces in force at once; `fresh`: what was not staged goes.

        Gives, for each counted ring that was replaced, removed or confirmed, (its commit's number, its first
        cursor, its last cursor): the answers it gave.
        """
        staged, self._staged = self._staged, _Staged()
        self.number = number
        if fresh:
            zones, nodes, sets = staged.seen
            staged.gone_zones += self.zones.keys() - zones
            staged.gone_nodes += self.nodes.keys() - nodes
            staged.gone_sets += self.sets.keys() - sets
        retired: dict[bytes, tuple[int, int, int]] = {}
        flush = bool(staged.gone_zones or staged.gone_nodes or staged.gone_sets or staged.zones or staged.rings)
        for key in staged.gone_sets:
            gone = self.sets.pop(key, None)
            self._counted.pop(key, None)
            if gone is not None:
                _retire(key, gone, retired)
        for name in staged.gone_nodes:
            self.nodes.pop(name, None)
        for apex in staged.gone_zones:
            self.zones.pop(apex, None)
        flush |= self._replace(staged, number, retired)
        for key, ring in staged.rings.items():
            ring.number = number
            if ring.counted:
                self._counted[key] = ring
        self.zones.update(staged.zones)
        flush |= any(self.nodes.get(name) != place for name, place in staged.nodes.items())
        self.nodes.update(staged.nodes)
        self.sets.update(staged.rings)
        if flush:
            self.forget()
        return retired

    def _replace(self, staged: _Staged, number: int, retired: dict[bytes, tuple[int, int, int]]) -> bool:
        """New content for rings that stay; True where a ring went from plain to composed or back."""
        flush = False
        for zone, answers in staged.changed_zones:
            for ring, one in (
                (zone.nodata, answers.nodata),
                (zone.nxdomain, answers.nxdomain),
                (zone.any, answers.any),
            ):
                if not ring.holds(one):
                    ring.replace(one, number)
        for key, ring, one in staged.changed:
            _retire(key, ring, retired)
            was_plain = ring.plain
            ring.replace(one, number)
            if ring.counted:
                self._counted[key] = ring
            else:
                self._counted.pop(key, None)
            flush |= was_plain != ring.plain
        for key, ring in staged.same:
            _retire(key, ring, retired)
            ring.start, ring.number = ring.cursor, number
        return flush

    def counters(self) -> dict[bytes, tuple[int, int, int]]:
        """For each counted ring that answered: the number of its commit, its first cursor, its cursor now."""
        return {
            key: (ring.number, ring.start, ring.cursor)
            for key, ring in self._counted.items()
            if ring.cursor != ring.start
        }

    def refusals(self) -> int:
        """How often REFUSED was answered."""
        return self._refused.cursor + self._unsupported.cursor

    def fail(self, failing: bool) -> None:
        """Answers SERVFAIL to everything while `failing` (control silent for too long, `stale: servfail`)."""
        if failing != self._failing:
            self._failing = failing
            self.forget()

    def find(self, name: bytes, type_class: bytes) -> Ring:
        """The ring that answers a question: RFC 1034 section 4.3.2, RFC 4592, RFC 6672.

        | the name                       | the answer                                               |
        |--------------------------------|----------------------------------------------------------|
        | is there, with the type        | that ring                                                |
        | is there, without it           | alias, referral, or NODATA: `_absent`                    |
        | is below a zone cut            | the referral                                             |
        | is below a DNAME               | made up on the spot                                      |
        | is not there, `*` beside it is | the wildcard's ring, as if it stood at the name          |
        | is not there                   | NXDOMAIN                                                 |
        | is in no zone of ours          | REFUSED                                                  |

        Before all these: transfers and other classes are REFUSED, but for the CHAOS names that were configured.
        """
        if self._failing:
            return self._servfail
        rtype = type_class[:2]
        if type_class[2:] != _IN or rtype in _TRANSFERS:
            return self._chaos.get(name + type_class, self._unsupported)
        ring = self.sets.get(name + rtype)
        if ring is not None:
            return ring
        nodes = self.nodes
        node = nodes.get(name)
        if node is not None:
            return self._absent(node, name, rtype)
        upper = name
        while upper[0]:
            upper = upper[upper[0] + 1 :]
            node = nodes.get(upper)
            if node is None:
                continue
            zone, kind = node
            if kind == CUT:
                return self.sets[upper + _DEFAULT]
            if kind == DNAME:
                return self._rewritten(name, upper, rtype)
            wild = b"\1*" + upper
            node = nodes.get(wild)
            if node is None:
                return zone.nxdomain
            return self.sets.get(wild + rtype) or self._absent(node, wild, rtype)
        return self._refused

    def _absent(self, node: tuple[_Zone, int], name: bytes, rtype: bytes) -> Ring:
        """The answer for a type that an existing name has no ring for.

        | kind  | ANY              | DS     | other                               |
        |-------|------------------|--------|-------------------------------------|
        | NAME  | HINFO (RFC 8482) | NODATA | NODATA                              |
        | EMPTY | NODATA           | NODATA | NODATA                              |
        | DNAME | HINFO            | NODATA | NODATA                              |
        | OWN   | HINFO            | its own default: an alias, a POOL's short NODATA |
        | CUT   | referral         | NODATA | referral                            |
        """
        zone, kind = node
        if kind == CUT:
            return zone.nodata if rtype == _DS else self.sets[name + _DEFAULT]
        if rtype == _ANY and kind != EMPTY:
            return zone.any
        if kind == OWN:
            return self.sets.get(name + _DEFAULT) or zone.nodata
        return zone.nodata

    def _rewritten(self, name: bytes, owner: bytes, rtype: bytes) -> Ring:
        """RFC 6672 section 3.1: the DNAME, and a CNAME made from it; YXDOMAIN where the new name is too long.

        ANY goes on to the new name too: section 3.2 makes no exception, as it does not where a CNAME was written.
        """
        record = self.sets[owner + _DNAME].take()
        tail = record.data[12:]  # owner pointer 2, type 2, class 2, TTL 4, length 2
        target = name[: len(name) - len(owner)] + tail
        shown = owner + record.data[2:]
        if len(target) > wire.MAX_NAME:
            return _passing(Body(AUTHORITATIVE | wire.YXDOMAIN, (1, 0, 0), shown))
        head = b"\xc0\x0c" + _CNAME + _IN + record.data[6:10] + len(target).to_bytes(2, "big")
        alias = len(shown) + len(head) if rtype != _CNAME else -1
        return _passing(Body(AUTHORITATIVE, (2, 0, 0), shown + head + target, (len(shown),), alias))

    def zone_of(self, name: bytes) -> _Zone | None:
        """The zone a name belongs to by its closest existing ancestor, None for none of ours."""
        while True:
            node = self.nodes.get(name)
            if node is not None:
                return node[0]
            if not name[0]:
                return None
            name = name[name[0] + 1 :]


def _failure(flags: int, tell: bool, code: int) -> Ring:
    return Ring(AnswerSet((Body(flags, (0, 0, 0), b""),)), options=edns.error(code) if tell else b"")


def _passing(body: Body) -> Ring:
    """A ring for one question. Never plain: the bytes of a plain one are remembered, and sent from where they lie when
    their batch is done, so they must outlive it."""
    ring = Ring(AnswerSet((body,)))
    ring.plain = False
    return ring


def _retire(key: bytes, ring: Ring, retired: dict[bytes, tuple[int, int, int]]) -> None:
    if ring.counted and ring.cursor != ring.start:
        retired[key] = (ring.number, ring.start, ring.cursor)
