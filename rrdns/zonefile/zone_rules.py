"""Rules between the records of one zone: what may stand together, and what a resolver would never see.

| at a name                       | rule                                                          | from             |
|---------------------------------|---------------------------------------------------------------|------------------|
| CNAME                           | alone, and one                                                | RFC 1034 3.6.2   |
| DNAME                           | one; not with CNAME; not with NS below the apex; nothing below| RFC 6672 2.3, 2.4|
| SOA                             | one, at the apex only (left out, it is made)                  | RFC 1035 5.2     |
| NS                              | at the apex; not at a wildcard, nor is DNAME                  | RFC 4592 4.2, 4.4|
| DS                              | where there are NS, not at the apex                           | RFC 4035 2.4     |
| POOL                            | one; instead of A and AAAA                                    |                  |
| below a cut (NS below the apex) | only the addresses of its name servers are seen: a warning    | RFC 1034 4.2.1   |

What a target leads to is `targets.py`'s business. Must not know: YAML, other zones, pools.
"""

from __future__ import annotations

from collections.abc import Iterator

from rrdns import wire
from rrdns.wire import name_to_text, type_name
from rrdns.zonefile.complaints import Spot
from rrdns.zonefile.drafts import SetDraft, ZoneDraft
from rrdns.zonefile.owners import POOL_TYPE

_ADDRESSES = frozenset({wire.A, wire.AAAA})
_AT_A_CUT = frozenset({wire.NS, wire.DS, wire.DNAME})  # a DNAME is refused there anyway
_SINGLE = (wire.CNAME, wire.DNAME, wire.SOA)


def judge_zone(draft: ZoneDraft) -> None:
    """Every breach of the table above, into the zone's complaints."""
    _judge_apex(draft)
    for owner, sets in draft.sets.items():
        if len(sets) > 1 or owner in draft.services:
            _judge_company(draft, owner, sets)
        for rtype in _SINGLE:
            if rtype in sets and len(sets[rtype].rdatas) > 1:
                _judge_single(draft, owner, rtype, sets[rtype])
        if owner[:2] == b"\x01*":
            _judge_wildcard(draft, owner, sets)
    _judge_hidden(draft)


def _judge_apex(draft: ZoneDraft) -> None:
    apex = draft.sets.get(draft.name, {})
    if wire.NS not in apex and (draft.name, wire.NS) not in draft.broken:
        example = name_to_text(draft.name)
        message = f"the zone has no NS record at its apex: '': {{type: NS, value: ns1.{example}}}"
        if (draft.name, POOL_TYPE) not in draft.broken:
            draft.out.problem(draft.spot, name_to_text(draft.name), message)
    if wire.DS in apex:
        ds = apex[wire.DS]
        draft.out.problem(ds.spot, ds.path, "the DS of a zone stands in its parent zone, not at its own apex")
    for owner, sets in draft.sets.items():
        if wire.SOA in sets and owner != draft.name:
            soa = sets[wire.SOA]
            draft.out.problem(soa.spot, soa.path, "a SOA belongs to the zone's apex, the key ''")
        if wire.DS in sets and wire.NS not in sets and owner != draft.name and (owner, wire.NS) not in draft.broken:
            ds = sets[wire.DS]
            draft.out.problem(ds.spot, ds.path, "a DS stands only where NS records delegate the name")


def _judge_company(draft: ZoneDraft, owner: bytes, sets: dict[int, SetDraft]) -> None:
    """What stands beside one another at a name."""
    out, service = draft.out, draft.services.get(owner)
    if wire.CNAME in sets:
        cname = sets[wire.CNAME]
        others = [f"{type_name(rtype)} at {out.place(one.spot)}" for rtype, one in sets.items() if rtype != wire.CNAME]
        others += [f"POOL at {out.place(service.spot)}"] if service else []
        out.problem(cname.spot, cname.path, f"a CNAME stands alone at its name, but there is {', '.join(others)}")
    elif service:
        for rtype in sorted(_ADDRESSES & sets.keys()):
            one = sets[rtype]
            message = f"the POOL at {out.place(service.spot)} gives this name's addresses: put them into the pool"
            out.problem(one.spot, one.path, message)
    if wire.DNAME in sets and wire.NS in sets and owner != draft.name:
        one = sets[wire.DNAME]
        message = f"a DNAME can't stand where NS records delegate the name ({out.place(sets[wire.NS].spot)})"
        out.problem(one.spot, one.path, message)


def _judge_single(draft: ZoneDraft, owner: bytes, rtype: int, one: SetDraft) -> None:
    first = draft.out.place(one.spots[0])
    message = f"a name has one {type_name(rtype)}, this one has another at {first}"
    if rtype == wire.CNAME:
        message += "; to spread the load use a POOL, or A records"
    draft.out.problem(one.spots[1], one.path, message)


def _judge_wildcard(draft: ZoneDraft, owner: bytes, sets: dict[int, SetDraft]) -> None:
    for rtype, section in ((wire.NS, "4.2"), (wire.DNAME, "4.4")):
        if rtype in sets:
            one = sets[rtype]
            message = f"nobody has said what {type_name(rtype)} at a wildcard means (RFC 4592 section {section})"
            draft.out.problem(one.spot, one.path, message)


def _judge_hidden(draft: ZoneDraft) -> None:
    """Records below a zone cut or a DNAME, where answers come from elsewhere."""
    cuts = {owner for owner, sets in draft.sets.items() if wire.NS in sets and owner != draft.name}
    dnames = {owner for owner, sets in draft.sets.items() if wire.DNAME in sets}
    if not cuts and not dnames:
        return
    glue = {data.lower() for sets in draft.sets.values() if wire.NS in sets for data in sets[wire.NS].rdatas}
    for owner in draft.names():
        cut = owner if owner in cuts else None
        for above in ancestors(owner, draft.name):
            if above in dnames:
                _hidden_by_dname(draft, owner, above)
            if above in cuts:
                cut = above
        if cut is not None:
            _hidden_by_cut(draft, owner, cut, glue)


def _hidden_by_dname(draft: ZoneDraft, owner: bytes, above: bytes) -> None:
    dname = draft.sets[above][wire.DNAME]
    for _, spot, path in records_at(draft, owner):
        place = draft.out.place(dname.spot)
        draft.out.problem(spot, path, f"stands below the DNAME at {place}, which answers for all names below it")


def _hidden_by_cut(draft: ZoneDraft, owner: bytes, cut: bytes, glue: set[bytes]) -> None:
    for rtype, spot, path in records_at(draft, owner):
        if rtype in _ADDRESSES and owner in glue:
            continue
        if owner == cut and rtype in _AT_A_CUT:
            continue
        place = draft.out.place(draft.sets[cut][wire.NS].spot)
        where = "at" if owner == cut else "below"
        message = f"is never answered: it stands {where} the delegation of {name_to_text(cut)} at {place}"
        draft.out.warning(spot, path, message)


def records_at(draft: ZoneDraft, owner: bytes) -> Iterator[tuple[int, Spot, str]]:
    """Type, place and path of each record set (POOL too) at a name."""
    for rtype, one in draft.sets.get(owner, {}).items():
        yield rtype, one.spot, one.path
    if owner in draft.services:
        yield POOL_TYPE, draft.services[owner].spot, draft.services[owner].path


def ancestors(name: bytes, zone: bytes) -> Iterator[bytes]:
    """The names above `name`, nearest first, as far as the zone's apex."""
    while len(name) > len(zone):
        name = wire.parent(name)
        yield name
