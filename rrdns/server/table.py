"""Table: every ring of this server, changed by commits, searched by name and type. Needs only floor 0.

Pure. One writer, called between two batches of queries: `stage` takes a change in pieces, `begin` puts it in force
in one step, `settle` does bit by bit what that leaves to do (`settling.py`); `commit` is the two of them at once.
Must not know: packets, sockets, why a ring is as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

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
    ZoneAnswers,
)
from rrdns.server import edns
from rrdns.server.edns import Policy
from rrdns.server.rings import Reading, Ring, Views
from rrdns.server.settling import Late
from rrdns.server.staging import LateNodes, Place, Staged, ZoneRings

_IN = b"\0\1"
_DS = wire.DS.to_bytes(2, "big")
_ANY = wire.ANY.to_bytes(2, "big")
_CNAME = wire.CNAME.to_bytes(2, "big")
_DNAME = wire.DNAME.to_bytes(2, "big")
_DEFAULT = DEFAULT.to_bytes(2, "big")
SMALL = 1000  # a commit of so many places is settled at once, and what caches above remember stays good
_TRANSFERS = (wire.AXFR.to_bytes(2, "big"), wire.IXFR.to_bytes(2, "big"))


class Table:
    """Rings by key, names by node, zones by apex."""

    def __init__(self, first_cursor: int = 0, policy: Policy = Policy()) -> None:  # noqa: B008 - frozen
        """`first_cursor` is where new rings of several slots begin: a random number, so that several workers
        and servers do not all begin with the same member."""
        self.sets: Mapping[bytes, Ring] = {}
        self.nodes: Mapping[bytes, Place] = {}
        self.zones: Mapping[bytes, ZoneRings] = {}
        self._sets, self._nodes, self._zones = self.sets, self.nodes, self.zones
        """The same, and behind them while a commit is being settled."""
        self._counted: dict[bytes, Ring] = {}
        """Those of `sets` whose cursors control asks for."""
        self._retired: dict[bytes, Reading] = {}
        self.number = 0
        self._first = first_cursor
        self._refused = _failure(REFUSED, policy.ede, edns.NOT_AUTHORITATIVE)
        self._unsupported = _failure(REFUSED, policy.ede, edns.NOT_SUPPORTED)
        self._servfail = _failure(SERVFAIL, policy.ede, edns.NOT_READY)
        self._chaos = {key: Ring(one) for key, one in edns.chaos(policy).items()}
        self._staged = Staged()
        self._late: tuple[Late[Any], ...] = ()
        self._views: dict[bytes, Views] = {}
        self._stale = False
        """Whether what was settled since `begin` makes caches wrong."""
        self.failing = False

    def forget(self) -> None:
        """Called when what was found for a question may no longer be what would be found: for caches above."""

    # ------------------------------------------------------------------ changes

    def stage(self, changes: Changes) -> None:
        """A piece of a change; nothing of it is seen before the commit. A zone comes no later than its nodes."""
        self.settle()  # nothing is left to do, but when a control goes in the middle of its commit and another comes
        self._staged.take(changes, self._zones, self._sets)

    def discard(self) -> None:
        """Forgets what was staged: the other end went away before its commit."""
        self._staged = Staged()

    def commit(self, number: int, fresh: bool = False) -> dict[bytes, Reading]:
        """Puts all staged pieces in force and settles them at once; gives `retired`."""
        self.begin(number, fresh)
        self.settle()
        return self.retired()

    def begin(self, number: int, fresh: bool = False) -> None:
        """Puts all staged pieces in force in one step; `fresh`: what was not staged goes. To be settled then."""
        self.settle()
        staged, self._staged = self._staged, Staged()
        self.number = number
        zones = Late(self._zones, staged.zones, fresh, lambda apex, one: self._settle_zone(apex, one, staged.new_zones))
        nodes = LateNodes(self._nodes, staged.nodes, fresh, self._settle_node)
        nodes.zones = zones
        sets = Late(self._sets, staged.sets, fresh, self._settle_set)
        self.zones, self.nodes, self.sets = zones, nodes, sets
        self._late = (zones, nodes, sets)
        self._views = staged.views
        self._stale = False
        if fresh or len(staged) > SMALL:
            self.forget()  # from here on everything is found as it will be
            return
        self.settle()
        if self._stale:
            self.forget()

    def settle(self, count: int = 1 << 30) -> bool:
        """Does what the last commit left to do, about `count` places of it; True when there is nothing left."""
        for one in self._late:
            count = one.go_on(count)
            if not count:
                return False
        if self._late:
            self.zones, self.nodes, self.sets = self._zones, self._nodes, self._sets
            self._late, self._views = (), {}
        return True

    @property
    def unsettled(self) -> bool:
        """Whether the last commit left something to `settle`."""
        return bool(self._late)

    @property
    def retiring(self) -> int:
        """How many readings `retired` would give now."""
        return len(self._retired)

    def retired(self) -> dict[bytes, Reading]:
        """For each counted ring that was replaced, removed or confirmed since last asked: the answers it gave."""
        retired, self._retired = self._retired, {}
        return retired

    def _settle_zone(self, apex: bytes, answers: ZoneAnswers | None, new: Mapping[bytes, ZoneRings]) -> None:
        zone = self._zones.get(apex)
        if answers is None:
            self._zones.pop(apex, None)
            self._stale = True
        elif zone is None:
            self._zones[apex] = new[apex]
            self._stale = True
        else:
            self._stale |= zone.replace(answers, self.number)

    def _settle_node(self, name: bytes, place: Place | None) -> None:
        if place is None:
            self._stale |= self._nodes.pop(name, None) is not None
        elif self._nodes.get(name) != place:
            self._nodes[name] = place
            self._stale = True

    def _settle_set(self, key: bytes, one: AnswerSet | None) -> None:
        ring = self._sets.get(key)
        if ring is not None and ring.counted and ring.cursor != ring.start:
            self._retired[key] = ring.reading()
        if one is None:
            self._stale |= self._sets.pop(key, None) is not None
            self._counted.pop(key, None)
        elif ring is None:
            ring = self._sets[key] = Ring(one, self._first if len(one.slots) > 1 else 0, self.number)
            self._stale = True
            if ring.counted:
                self._counted[key] = ring
        elif ring.holds(one):
            ring.begin(self.number)
        else:
            self._stale |= ring.replace(one, self.number, self._views.pop(key, ()))
            if ring.counted:
                self._counted[key] = ring
            else:
                self._counted.pop(key, None)

    def counted(self) -> list[bytes]:
        """The keys of all counted rings, to be asked for in pieces."""
        return list(self._counted)

    def counters(self, keys: Iterable[bytes] | None = None) -> dict[bytes, Reading]:
        """For each counted ring (of these keys) that answered: the number of its commit, its first cursor, its
        cursor now."""
        found = {}
        for key in self._counted if keys is None else keys:
            ring = self._counted.get(key)
            if ring is not None and ring.cursor != ring.start:
                found[key] = ring.reading()
        return found

    def refusals(self) -> int:
        """How often REFUSED was answered."""
        return self._refused.cursor + self._unsupported.cursor

    def fail(self, failing: bool) -> None:
        """Answers SERVFAIL to everything while `failing` (control silent for too long, `stale: servfail`)."""
        if failing != self.failing:
            self.failing = failing
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
        if self.failing:
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

    def _absent(self, node: Place, name: bytes, rtype: bytes) -> Ring:
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

    def zone_of(self, name: bytes) -> ZoneRings | None:
        """The zone a name belongs to by its closest existing ancestor, None for none of ours."""
        while True:
            node = self.nodes.get(name)
            if node is not None:
                return node[0]
            if not name[0]:
                return None
            name = name[name[0] + 1 :]


def _failure(flags: int, tell: bool, code: int) -> Ring:
    """Counted: `refusals` tells how often."""
    answers = AnswerSet((Body(flags, (0, 0, 0), b""),), counted=True)
    return Ring(answers, options=edns.error(code) if tell else b"")


def _passing(body: Body) -> Ring:
    """A ring for one question. Never plain: the bytes of a plain one are remembered, and sent from where they lie when
    their batch is done, so they must outlive it."""
    ring = Ring(AnswerSet((body,)))
    ring.plain = ring.still = False
    return ring
