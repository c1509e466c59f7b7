"""Records -> AnswerSets: what a zone's names answer, and the rings of a service. Floor 2, pure.

`render_zone` gives one zone's part of the table, `zone_table` all zones' together; `service_sets` gives the
A and AAAA rings of a POOL name from slots of addresses somebody else has chosen. The layout of a body
(pointers, `owners`, `alias`, `extra`) is told in `answers.py`. Must not know: health, pools, who serves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rrdns import wire
from rrdns.answers import (
    AUTHORITATIVE,
    CUT,
    DEFAULT,
    DNAME,
    EMPTY,
    NAME,
    NXDOMAIN,
    OWN,
    REFERRAL,
    SERVFAIL,
    AnswerSet,
    Body,
    Changes,
    Key,
    Node,
    ZoneAnswers,
    key,
)
from rrdns.model import Hinted, RRset, Service, Zone

MAX_ROTATIONS = 8  # bodies of one static RRset: enough to spread clients, few enough to store
MAX_ADDRESSES = 200  # in one answer of a POOL: far more than a client tries, about 5.6 kB of AAAA

_OWNER = b"\xc0\x0c"  # the question's name (RFC 1035 section 4.1.4)
_IN = wire.CLASS_IN.to_bytes(2, "big")
_TARGET_AT = {wire.NS: 0, wire.MX: 2, wire.SRV: 6, wire.SVCB: 2, wire.HTTPS: 2}  # where a target stands in the rdata
_RFC8482 = b"\x07RFC8482\0"  # HINFO: CPU "RFC8482", OS "" (RFC 8482 section 4.2)
_ANY_TTL = 3600

SERVFAIL_SET = AnswerSet((Body(SERVFAIL, (0, 0, 0), b""),))


@dataclass(frozen=True, slots=True)
class ZoneTable:
    """One zone's part of the table. `services`, `hinted`: those of its POOL names and of its RRsets with hints that
    can be reached (no cut above). `addressed`: targets of `hinted` whose addresses stand in this zone."""

    sets: Mapping[Key, AnswerSet]
    nodes: Mapping[bytes, Node]
    answers: ZoneAnswers
    services: tuple[Service, ...]
    hinted: tuple[Hinted, ...] = ()
    addressed: frozenset[bytes] = frozenset()


def zone_table(zones: Mapping[bytes, Zone]) -> Changes:
    """The whole static table of all zones; the rings that follow pools are left out."""
    sets: dict[Key, AnswerSet | None] = {}
    nodes: dict[bytes, Node | None] = {}
    answers: dict[bytes, ZoneAnswers | None] = {}
    inner = children(zones)
    for apex in sorted(zones):
        table = render_zone(zones[apex], inner[apex])
        sets.update(table.sets)
        nodes.update(table.nodes)
        answers[apex] = table.answers
    return Changes(sets, nodes, answers)


def children(apexes: Iterable[bytes]) -> dict[bytes, tuple[bytes, ...]]:
    """For each zone served, the zones served directly below it (no third one between), sorted."""
    found: dict[bytes, list[bytes]] = {apex: [] for apex in sorted(apexes)}
    for apex in found:
        upper = apex
        while upper != b"\0":
            upper = wire.parent(upper)
            if upper in found:
                found[upper].append(apex)
                break
    return {apex: tuple(inner) for apex, inner in found.items()}


def render_zone(zone: Zone, inner: tuple[bytes, ...] = ()) -> ZoneTable:
    """One zone's sets, nodes and negative answers; `inner` are the apexes of served zones inside it."""
    return _Rendering(zone, inner).table()


class _Rendering:
    """The work on one zone. What a name's records become:

    | the name                                 | node  | sets                                                     |
    |------------------------------------------|-------|----------------------------------------------------------|
    | below a cut, a DNAME or an inner apex    | none  | none: glue and occluded data (RFC 2136 7.18, RFC 6672 2.4)|
    | an inner apex                            | none  | DS, or this zone's NODATA for it (RFC 4035 section 3.1.4.1)|
    | has NS and is not the apex               | CUT   | the referral as DEFAULT, DS if there                      |
    | has a CNAME                              | OWN   | CNAME and ANY bare; DEFAULT: to be followed               |
    | has a DNAME                              | DNAME | its own; names below are rewritten                        |
    | has a POOL                               | OWN   | its own but A, AAAA; DEFAULT: NODATA with a short TTL     |
    | has records with hints from a pool       | NAME  | its own but those                                         |
    | has anything else                        | NAME  | its own                                                   |
    | has nothing, but names below             | EMPTY | none                                                      |
    """

    def __init__(self, zone: Zone, inner: tuple[bytes, ...]) -> None:
        self.zone = zone
        self.apex = zone.name
        self.inner = frozenset(inner)
        self.names: dict[bytes, dict[int, RRset]] = {}
        for rrset in zone.rrsets:
            self.names.setdefault(rrset.name, {})[rrset.type] = rrset
        self.walls = self._walls()
        self.services = {one.name: one for one in zone.services if self._own(one.name)}
        self.addressed = {
            name for name, rrsets in self.names.items() if (wire.A in rrsets or wire.AAAA in rrsets) and self._own(name)
        } | self.services.keys()
        self.hinted = {(one.rrset.name, one.rrset.type): one for one in zone.hinted}
        self.reached: list[Hinted] = []
        """Those of `hinted` whose name answers."""
        self.sets: dict[Key, AnswerSet] = {}
        self.nodes: dict[bytes, Node] = {}
        self.kinds = {kind: Node(self.apex, kind) for kind in (NAME, EMPTY, CUT, DNAME, OWN)}
        soa = self.names[self.apex][wire.SOA]
        minimum = int.from_bytes(soa.rdatas[0][-4:], "big")
        self.negative_ttl = min(soa.ttl, minimum)  # RFC 2308 sections 3 and 5
        self.soa = soa.rdatas[0]
        self.nodata = self._negative(AUTHORITATIVE, self.negative_ttl)
        self.short_nodata: dict[int, AnswerSet] = {}

    def table(self) -> ZoneTable:
        for name in self.inner:
            self._inner_apex(name)
        for name, rrsets in self.names.items():
            if not self._hidden(name):
                self._name(name, rrsets)
        for service in self.services.values():
            self._service(service)
        self._empty_names()
        hinfo = _record(_OWNER, wire.TYPES["HINFO"], _ANY_TTL, _RFC8482)
        answers = ZoneAnswers(
            self.nodata,
            self._negative(NXDOMAIN, self.negative_ttl),
            AnswerSet((Body(AUTHORITATIVE, (1, 0, 0), hinfo, (0,)),)),
        )
        targets = {_name_at(rdata, 2) for one in self.reached for rdata in one.rrset.rdatas}
        addressed = frozenset(targets & self.addressed)
        return ZoneTable(self.sets, self.nodes, answers, tuple(self.services.values()), tuple(self.reached), addressed)

    # ---------------------------------------------------------------- what can be reached

    def _walls(self) -> frozenset[bytes]:
        """Names below which this zone has no say: cuts, DNAMEs, inner apexes."""
        walls = set(self.inner)
        for name, rrsets in self.names.items():
            if wire.DNAME in rrsets or (wire.NS in rrsets and name != self.apex):
                walls.add(name)
        return frozenset(walls)

    def _hidden(self, name: bytes) -> bool:
        """Whether the name is an inner apex, or below any wall."""
        if not self.walls:
            return False
        if name in self.inner:
            return True
        while len(name) > len(self.apex):
            name = wire.parent(name)
            if name in self.walls:
                return True
        return False

    def _own(self, name: bytes) -> bool:
        """Whether this zone answers for the name's addresses: neither hidden nor a cut itself."""
        return not self._hidden(name) and not self._is_cut(name)

    def _is_cut(self, name: bytes) -> bool:
        return name != self.apex and wire.NS in self.names.get(name, {})

    # ---------------------------------------------------------------- one name

    def _name(self, name: bytes, rrsets: dict[int, RRset]) -> None:
        if self._is_cut(name):
            self.nodes[name] = self.kinds[CUT]
            self.sets[key(name, DEFAULT)] = self._referral(rrsets[wire.NS])
            rrsets = {wire.DS: rrsets[wire.DS]} if wire.DS in rrsets else {}
        elif wire.CNAME in rrsets:
            self.nodes[name] = self.kinds[OWN]
            self._alias(rrsets[wire.CNAME])
            return
        else:
            self.nodes[name] = self.kinds[DNAME if wire.DNAME in rrsets else NAME]
        own_ring = (wire.A, wire.AAAA) if name in self.services else ()
        for rtype, rrset in rrsets.items():
            if rtype in own_ring or (rtype == wire.DS and name == self.apex):
                continue  # a POOL's addresses come from its ring; DS belongs to the parent (RFC 4035 2.4)
            if (name, rtype) in self.hinted:
                self.reached.append(self.hinted[name, rtype])
                continue
            self.sets[key(name, rtype)] = self._rotating(rrset)

    def _inner_apex(self, name: bytes) -> None:
        """The parent's word at the apex of a zone served too: its DS, or that there is none."""
        if any(name != wall and wire.is_within(name, wall) for wall in self.walls):
            return
        rrset = self.names.get(name, {}).get(wire.DS)
        self.sets[key(name, wire.DS)] = self._rotating(rrset) if rrset else self.nodata

    def _alias(self, rrset: RRset) -> None:
        data = _record(_OWNER, wire.CNAME, rrset.ttl, rrset.rdatas[0])
        bare = AnswerSet((Body(AUTHORITATIVE, (1, 0, 0), data, (0,)),))
        followed = AnswerSet((Body(AUTHORITATIVE, (1, 0, 0), data, (0,), alias=len(data) - len(rrset.rdatas[0])),))
        self.sets[key(rrset.name, wire.CNAME)] = bare
        self.sets[key(rrset.name, wire.ANY)] = bare
        self.sets[key(rrset.name, DEFAULT)] = followed

    def _service(self, service: Service) -> None:
        if self.nodes.get(service.name) is not self.kinds[DNAME]:
            self.nodes[service.name] = self.kinds[OWN]
        ttl = min(self.negative_ttl, service.ttl)
        if ttl not in self.short_nodata:
            self.short_nodata[ttl] = self._negative(AUTHORITATIVE, ttl)
        self.sets[key(service.name, DEFAULT)] = self.short_nodata[ttl]

    def _empty_names(self) -> None:
        """Empty non-terminals exist (RFC 4592 section 2.2.2, RFC 8020)."""
        floor = len(self.apex)
        empty = self.kinds[EMPTY]
        open_inner = [name for name in self.inner if key(name, wire.DS) in self.sets]
        for below in [*self.nodes, *sorted(open_inner)]:
            name = below
            while len(name) > floor:
                name = wire.parent(name)
                if name in self.nodes:
                    break
                self.nodes[name] = empty

    # ---------------------------------------------------------------- bodies

    def _negative(self, flags: int, ttl: int) -> AnswerSet:
        return AnswerSet((Body(flags, (0, 1, 0), _record(self.apex, wire.SOA, ttl, self.soa)),))

    def _rotating(self, rrset: RRset) -> AnswerSet:
        """An RRset as a ring: one body for each rotation, the written order first."""
        rdatas = rrset.rdatas
        if len(rdatas) == 1:
            return AnswerSet((rrset_body(rrset.type, rrset.ttl, rdatas, self.addressed),))
        bodies = tuple(rrset_body(rrset.type, rrset.ttl, turned, self.addressed) for turned in _rotations(rdatas))
        return AnswerSet(bodies, tuple(range(len(bodies))))

    def _referral(self, rrset: RRset) -> AnswerSet:
        """NS in authority and what glue this zone has (RFC 1034 4.3.2 step 3b, RFC 9471). Owners are written
        out, since the question may be for any name below the cut."""
        glue: list[bytes] = []
        for target in dict.fromkeys(_name_at(rdata, 0) for rdata in rrset.rdatas):
            if not wire.is_within(target, self.apex):
                continue
            for rtype in (wire.A, wire.AAAA):
                found = self.names.get(target, {}).get(rtype)
                if found is not None:
                    glue += (_record(target, rtype, found.ttl, rdata) for rdata in found.rdatas)
        tail = b"".join(glue)
        bodies = []
        for rdatas in _rotations(rrset.rdatas):
            data = b"".join(_record(rrset.name, wire.NS, rrset.ttl, rdata) for rdata in rdatas)
            bodies.append(Body(REFERRAL, (0, len(rdatas), len(glue)), data + tail))
        return AnswerSet(tuple(bodies), tuple(range(len(bodies))))


def rrset_body(rtype: int, ttl: int, rdatas: tuple[bytes, ...], addressed: Collection[bytes]) -> Body:
    """One order of an RRset; `addressed`: names whose addresses go along when they are a target."""
    head = _OWNER + rtype.to_bytes(2, "big") + _IN + ttl.to_bytes(4, "big")
    if len(rdatas) == 1 and rtype not in _TARGET_AT:
        return Body(AUTHORITATIVE, (1, 0, 0), head + len(rdatas[0]).to_bytes(2, "big") + rdatas[0], (0,))
    target_at = _TARGET_AT.get(rtype, -1)
    data = bytearray()
    owners, extra = [], []
    for rdata in rdatas:
        owners.append(len(data))
        data += head + len(rdata).to_bytes(2, "big")
        if target_at >= 0 and _name_at(rdata, target_at) in addressed:
            extra.append(len(data) + target_at)
        data += rdata
    return Body(AUTHORITATIVE, (len(rdatas), 0, 0), bytes(data), tuple(owners), extra=tuple(extra))


def _record(owner: bytes, rtype: int, ttl: int, rdata: bytes) -> bytes:
    return owner + rtype.to_bytes(2, "big") + _IN + ttl.to_bytes(4, "big") + len(rdata).to_bytes(2, "big") + rdata


def _rotations(rdatas: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
    """At most MAX_ROTATIONS turns of the list, evenly apart, the written order first."""
    size = len(rdatas)
    turns = min(size, MAX_ROTATIONS)
    starts = [turn * size // turns for turn in range(turns)]
    return [rdatas[start:] + rdatas[:start] for start in starts]


def _name_at(data: bytes, start: int) -> bytes:
    """The uncompressed name at `start`, lower-case."""
    at = start
    while data[at]:
        at += data[at] + 1
    return data[start : at + 1].lower()


# -------------------------------------------------------------------- services

Slots = Sequence[tuple[bytes, ...]]  # each slot: packed addresses in the order to answer them


def service_sets(
    service: Service, slots_v4: Slots, slots_v6: Slots, ttl: int, empty: AnswerSet | None = None
) -> dict[Key, AnswerSet | None]:
    """The A and AAAA rings of a POOL name. A family without slots gets `empty`; None there means no set at
    all, so that the node's DEFAULT, a short NODATA, answers."""
    return {
        key(service.name, wire.A): address_ring(wire.A, slots_v4, ttl) or empty,
        key(service.name, wire.AAAA): address_ring(wire.AAAA, slots_v6, ttl) or empty,
    }


def address_ring(rtype: int, slots: Slots, ttl: int, ede: bytes = b"") -> AnswerSet | None:
    """One ring; equal slots share one body. None without slots."""
    places: dict[tuple[bytes, ...], int] = {}
    order = tuple([places.setdefault(slot, len(places)) for slot in slots])
    if not order:
        return None
    size = 4 if rtype == wire.A else 16
    head = _OWNER + rtype.to_bytes(2, "big") + _IN + ttl.to_bytes(4, "big") + size.to_bytes(2, "big")
    step = len(head) + size
    bodies = tuple(
        [Body(AUTHORITATIVE, (len(slot), 0, 0), head + head.join(slot), _steps(len(slot), step)) for slot in places]
    )
    return AnswerSet(bodies, order, counted=True, ede=ede)


@lru_cache(maxsize=2 * MAX_ADDRESSES)
def _steps(count: int, step: int) -> tuple[int, ...]:
    """Where equally long records begin; shared by all bodies of as many."""
    return tuple(range(0, count * step, step))
