"""Where names in record values lead: to nothing, in a circle, to the wrong kind of record. Over all zones of a load.

| target of   | leads to                                   | is                                              |
|-------------|--------------------------------------------|-------------------------------------------------|
| CNAME       | itself in the end                          | a problem                                       |
| CNAME       | nothing, in a zone of ours                 | a warning                                       |
| MX SRV      | nothing, a CNAME, a name without addresses | a warning                                       |
| NS          | a POOL (its addresses change), a CNAME     | a problem (RFC 2181 section 10.3, as BIND)      |
| NS          | nothing, a name without addresses          | a warning                                       |
| NS of a cut | a name in it without glue                  | a warning: nobody could find it (RFC 1034 4.2.1)|

Also: records of a zone that stand inside another zone of the same load. Must not know: YAML, pools.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from rrdns import wire
from rrdns.wire import name_to_text, type_name
from rrdns.zonefile.complaints import Spot
from rrdns.zonefile.drafts import SetDraft, ZoneDraft
from rrdns.zonefile.zone_rules import ancestors, records_at

_TARGET_AT = {wire.CNAME: 0, wire.NS: 0, wire.MX: 2, wire.SRV: 6}
_ADDRESSES = frozenset({wire.A, wire.AAAA})


class Kind(Enum):
    OUTSIDE = 1  # in no zone of ours
    DELEGATED = 2  # at or below a zone cut
    REDIRECTED = 3  # below a DNAME
    MISSING = 4
    FOUND = 5


@dataclass(frozen=True, slots=True)
class Found:
    """What a name leads to; `owner` is the name itself or the wildcard that covers it."""

    kind: Kind
    view: View | None = None
    owner: bytes = b""


class View:
    """One zone, with the names that exist in it."""

    __slots__ = ("broken", "cuts", "dnames", "draft", "names")

    def __init__(self, draft: ZoneDraft) -> None:
        self.draft = draft
        self.names: set[bytes] = {draft.name}
        for owner in draft.names():
            while owner not in self.names:  # empty non-terminals exist too
                self.names.add(owner)
                owner = wire.parent(owner)
        self.broken = {owner for owner, _ in draft.broken}
        self.cuts = {owner for owner, sets in draft.sets.items() if wire.NS in sets and owner != draft.name}
        self.cuts |= {owner for owner, rtype in draft.broken if rtype == wire.NS and owner != draft.name}
        self.dnames = {owner for owner, sets in draft.sets.items() if wire.DNAME in sets}

    def find(self, name: bytes) -> Found:
        """RFC 1034 section 4.3.2 and RFC 4592 in small."""
        if self.cuts or self.dnames:
            for above in ancestors(name, self.draft.name):
                if above in self.dnames:
                    return Found(Kind.REDIRECTED, self)
                if above in self.cuts:
                    return Found(Kind.DELEGATED, self)
            if name in self.cuts:
                return Found(Kind.DELEGATED, self)
        if name in self.names:
            return Found(Kind.FOUND, self, name)
        encloser = next(above for above in ancestors(name, self.draft.name) if above in self.names)
        wildcard = b"\x01*" + encloser
        return Found(Kind.FOUND, self, wildcard) if wildcard in self.names else Found(Kind.MISSING, self)


class Atlas:
    """All zones of a load; those that are looked at get a view."""

    def __init__(self, drafts: Mapping[bytes, ZoneDraft]) -> None:
        self._drafts = drafts
        self._views: dict[bytes, View] = {}

    def view(self, zone: bytes) -> View:
        found = self._views.get(zone)
        if found is None:
            found = self._views[zone] = View(self._drafts[zone])
        return found

    def find(self, name: bytes) -> Found:
        at = name
        while at not in self._drafts:
            if at == b"\0":
                return Found(Kind.OUTSIDE)
            at = wire.parent(at)
        return self.view(at).find(name)

    def cname(self, name: bytes) -> tuple[View, SetDraft] | None:
        """The CNAME a query for `name` would meet."""
        found = self.find(name)
        if found.kind is not Kind.FOUND or found.view is None:
            return None
        one = found.view.draft.sets.get(found.owner, {}).get(wire.CNAME)
        return (found.view, one) if one else None


def judge_targets(drafts: Mapping[bytes, ZoneDraft], some: Collection[ZoneDraft] | None = None) -> None:
    """Every row of the table above, into the zones' complaints; of `some` of them, if all others are known to be
    sound and to lead to none of these."""
    atlas = Atlas(drafts)
    judged = drafts.values() if some is None else some
    for draft in judged:
        for owner, rtype, target, spot, path in targets_of(draft):
            if target == b"\0" and rtype != wire.CNAME:
                continue  # "no such service" (RFC 7505, RFC 2782)
            found = atlas.find(target)
            if rtype == wire.NS:
                _judge_ns(draft, owner, target, found, spot, path)
            elif found.kind is Kind.MISSING:
                draft.out.warning(spot, path, _missing(target, found))
            elif rtype != wire.CNAME and found.kind is Kind.FOUND:
                _judge_host(draft, rtype, target, found, spot, path)
    _judge_loops(atlas, judged)
    _judge_nested(drafts, judged)


def targets_of(draft: ZoneDraft) -> Iterator[tuple[bytes, int, bytes, Spot, str]]:
    """Owner, type, target, place and path of every record that leads to a name."""
    for owner, sets in draft.sets.items():
        for rtype, one in sets.items():
            start = _TARGET_AT.get(rtype)
            if start is not None:
                for data, spot in zip(one.rdatas, one.spots, strict=True):
                    yield owner, rtype, data[start:].lower(), spot, one.path


def _missing(target: bytes, found: Found) -> str:
    zone = found.view.draft.name if found.view else b"\0"
    return f"leads to {name_to_text(target)} which does not exist in the zone {name_to_text(zone)}"


def _has_addresses(found: Found) -> bool:
    view = found.view
    if view is None or found.owner in view.broken or found.owner in view.draft.services:
        return True
    return bool(_ADDRESSES & view.draft.sets.get(found.owner, {}).keys())


def _judge_host(draft: ZoneDraft, rtype: int, target: bytes, found: Found, spot: Spot, path: str) -> None:
    assert found.view is not None
    if wire.CNAME in found.view.draft.sets.get(found.owner, {}):
        message = f"leads to the CNAME {name_to_text(target)} but {type_name(rtype)} must name the host itself"
        draft.out.warning(spot, path, message)
    elif not _has_addresses(found):
        draft.out.warning(spot, path, f"leads to {name_to_text(target)} which has no address")


def _judge_ns(draft: ZoneDraft, owner: bytes, target: bytes, found: Found, spot: Spot, path: str) -> None:
    out, text = draft.out, name_to_text(target)
    if found.view is None:
        return
    inside = found.view.draft
    if found.kind is Kind.MISSING:
        out.warning(spot, path, _missing(target, found))
    elif found.kind is Kind.DELEGATED:
        needed = owner != draft.name and wire.is_within(target, owner)
        if needed and target not in found.view.broken and not _ADDRESSES & inside.sets.get(target, {}).keys():
            message = f"{text} lies in what it delegates: give it an A or AAAA record (glue), or nobody finds it"
            out.warning(spot, path, message)
    elif found.kind is Kind.FOUND:
        if found.owner in inside.services:
            place = inside.out.place(inside.services[found.owner].spot)
            out.problem(spot, path, f"{text} is the POOL at {place}: a name server needs fixed addresses (A, AAAA)")
        elif wire.CNAME in inside.sets.get(found.owner, {}):
            out.problem(spot, path, f"{text} is a CNAME: NS must name a host itself (RFC 2181 section 10.3)")
        elif not _has_addresses(found):
            out.warning(spot, path, f"{text} has no address: give it an A or AAAA record")


def _judge_loops(atlas: Atlas, judged: Iterable[ZoneDraft]) -> None:
    """CNAMEs that lead back to where they began, each circle once."""
    done: set[bytes] = set()
    for draft in judged:
        for owner, sets in draft.sets.items():
            if wire.CNAME in sets:
                # A wildcard covers no one name; begin with where it leads.
                first = sets[wire.CNAME].rdatas[0].lower() if owner[:2] == b"\x01*" else owner
                _follow(atlas, first, done)


def _follow(atlas: Atlas, name: bytes, done: set[bytes]) -> None:
    path: dict[bytes, tuple[View, SetDraft]] = {}
    while name not in done:
        if name in path:
            circle = list(path)[list(path).index(name) :]
            view, one = path[name]
            text = " -> ".join(name_to_text(step) for step in [*circle, name])
            view.draft.out.problem(one.spot, one.path, f"leads in a circle: {text}")
            break
        hop = atlas.cname(name)
        if hop is None:
            break
        path[name] = hop
        name = hop[1].rdatas[0].lower()
    done.update(path)


def _judge_nested(drafts: Mapping[bytes, ZoneDraft], judged: Iterable[ZoneDraft]) -> None:
    """Records of a zone at or below the apex of another zone that is served here too: that one answers."""
    children: dict[bytes, set[bytes]] = {}
    for name in drafts:
        above = name
        while above != b"\0":
            above = wire.parent(above)
            if above in drafts:
                children.setdefault(above, set()).add(name)
                break
    for draft in judged:
        parent = draft.name
        inner = children.get(parent)
        if inner is None:
            continue
        cuts = {owner for owner, sets in draft.sets.items() if wire.NS in sets and owner != parent}
        for owner in draft.names():
            chain = [owner, *ancestors(owner, parent)]
            child = next((one for one in chain if one in inner), None)
            if child is None or not cuts.isdisjoint(chain):
                continue  # below a cut zone_rules warns
            for _, spot, path in records_at(draft, owner):
                message = f"is never answered: the zone {name_to_text(child)} at {drafts[child].place} answers here"
                draft.out.warning(spot, path, message)
