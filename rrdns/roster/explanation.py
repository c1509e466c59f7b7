"""Why an answer is what it is: the whole chain from a question to its bytes, as JSON-ready data. Floor 3, pure.

    {"name", "type",        the question
     "zone",                the zone it falls in, or None
     "found",               pool | hinted | static | alias | rewrite | any | referral | nodata | nxdomain | refused
     "at",                  the name whose records answer: itself, a wildcard, a cut, a DNAME, the closest encloser
     "why",                 a sentence
     "reply",               what the table answers next to a first question: rcode, aa, and the records of each
                            section as text; None where it is put together of several (see `then`)
     "slots",               how many different turns the answer takes
     "service", "ring",     with `found` pool: as in status; {"slots", "pages", "first", "members"}, where `first`
                            are the members of the first slots and `members` what each is due and gets (control
                            adds "fit": how many addresses a client without a cookie gets by UDP at most)
     "pool",                with `found` pool, and hinted from one pool: as in status, its name added, and each
                            member's "serves", "serves_why"
     "ttl",                 with `found` hinted: {"ttl", "ttl_max", "ttl_why"}
     "then"}                with alias and rewrite: the same for the name it leads to, if that is ours; else None

Must not know: how anything is decided; it reads the roster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rrdns import failover, hinting, schedulers, wire
from rrdns.answers import CUT, DEFAULT, DNAME, EMPTY, OWN, AnswerSet, Body, key
from rrdns.model import Hinted, Service
from rrdns.roster import hinted, snapshot
from rrdns.roster.duty import Duty, wide
from rrdns.zonefile import rdata

if TYPE_CHECKING:
    from rrdns.roster.roster import Roster

Json = dict[str, Any]

MAX_CHAIN = 12  # as many aliases as a worker follows
FIRST_SLOTS = 8
_RCODES = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}


def explain(roster: Roster, name: bytes, rtype: int, now: float, depth: int = 0) -> Json:
    """Why `name`, lower-case wire form, is answered as it is for `rtype`."""
    found: Json = {"name": wire.name_to_text(name), "type": wire.type_name(rtype)}
    at = _place(roster, name)
    if at is None:
        why = "no zone served here holds this name"
        return {**found, "zone": None, "found": "refused", "at": None, "why": why, **_reply(name, None), "then": None}
    owner, exists = at
    node = roster.nodes[owner]
    found |= {"zone": wire.name_to_text(node.zone), "at": wire.name_to_text(owner)}
    if not exists and node.kind not in (CUT, DNAME):
        why = f"the zone has no such name; {wire.name_to_text(owner)} is the nearest that exists, with no wildcard"
        nxdomain = roster.zones[node.zone].nxdomain
        return {**found, "found": "nxdomain", "why": why, **_reply(name, nxdomain), "then": None}
    if not exists and node.kind == DNAME:
        return found | _rewritten(roster, name, owner, rtype, now, depth)
    return found | _existing(roster, name, owner, rtype, now, depth)


def _place(roster: Roster, name: bytes) -> tuple[bytes, bool] | None:
    """The name whose node answers, and whether it stands for the question's name (itself, or a wildcard)."""
    if name in roster.nodes:
        return name, True
    upper = name
    while upper[0]:
        upper = wire.parent(upper)
        node = roster.nodes.get(upper)
        if node is not None:
            wild = b"\1*" + upper
            by_wildcard = node.kind not in (CUT, DNAME) and wild in roster.nodes
            return (wild, True) if by_wildcard else (upper, False)
    return None


def _existing(roster: Roster, name: bytes, owner: bytes, rtype: int, now: float, depth: int) -> Json:
    """An existing name, or a wildcard or a cut that speaks for it."""
    node, word = roster.nodes[owner], wire.type_name(rtype)
    zone = roster.zones[node.zone]
    by = f"the wildcard {wire.name_to_text(owner)}" if owner[:2] == b"\1*" and owner != name else "the name"
    if node.kind == CUT and not (rtype == wire.DS and owner == name):
        why = f"{wire.name_to_text(owner)} is delegated: its name servers are told instead"
        return _plain("referral", why, name, roster.answers[key(owner, DEFAULT)])
    service = roster.services.get(owner)
    if service is not None and rtype in (wire.A, wire.AAAA):
        return _pool(roster, name, service, rtype, now)
    ring = roster.answers.get(key(owner, rtype))
    records = roster.hinted.get(key(owner, rtype))
    if ring is not None and records is not None:
        return _hinted(roster, name, by, records, ring, now)
    if ring is not None:
        if not ring.bodies[0].counts[0]:
            return _plain("nodata", f"{by} has no {word} record", name, ring)
        turns = f", in {len(ring.slots)} turns" if len(ring.slots) > 1 else ""
        return _plain("static", f"{by} has {ring.bodies[0].counts[0]} {word} in the zone file{turns}", name, ring)
    if rtype == wire.ANY and node.kind != EMPTY:
        return _plain("any", "ANY gets one record that says so (RFC 8482)", name, zone.any)
    default = roster.answers.get(key(owner, DEFAULT)) if node.kind == OWN else None
    if default is not None and default.bodies[0].alias >= 0:
        body = default.bodies[0]
        target = body.data[body.alias :].lower()
        why = f"{by} is an alias (CNAME) of {wire.name_to_text(target)}"
        return {**_plain("alias", why, name, default), "then": _then(roster, target, rtype, now, depth)}
    why = f"{by} has no {word} record"
    if node.kind == EMPTY:
        why = f"the name has no records, but there are names below it, so it exists and has no {word}"
    if service is not None:
        why += f"; it is a POOL, so the answer may be kept for {service.ttl} s at most"
    return _plain("nodata", why, name, default or zone.nodata)


def _plain(found: str, why: str, name: bytes, ring: AnswerSet) -> Json:
    return {"found": found, "why": why, **_reply(name, ring), "then": None}


def _rewritten(roster: Roster, name: bytes, owner: bytes, rtype: int, now: float, depth: int) -> Json:
    tail = roster.answers[key(owner, wire.DNAME)].bodies[0].data[12:]
    target = (name[: len(name) - len(owner)] + tail).lower()
    why = f"{wire.name_to_text(owner)} is a DNAME of {wire.name_to_text(tail)}: "
    if len(target) > wire.MAX_NAME:
        why += "the name would become longer than 255 bytes, so YXDOMAIN"
        return {"found": "rewrite", "why": why, "reply": None, "slots": 1, "then": None}
    why += f"the answer is a CNAME to {wire.name_to_text(target)}"
    then = _then(roster, target, rtype, now, depth)
    return {"found": "rewrite", "why": why, "reply": None, "slots": 1, "then": then}


def _then(roster: Roster, target: bytes, rtype: int, now: float, depth: int) -> Json | None:
    if depth >= MAX_CHAIN or rtype == wire.ANY or _place(roster, target) is None:
        return None
    return explain(roster, target, rtype, now, depth + 1)


# -------------------------------------------------------------------- POOL names


def _pool(roster: Roster, name: bytes, service: Service, rtype: int, now: float) -> Json:
    """The A or AAAA of a POOL name."""
    duty = roster.duties[service.pool]
    ring = roster.answers.get(key(service.name, rtype))
    state = f"pool {service.pool} is {duty.selection.state}: {duty.selection.why}"
    if ring is None or not ring.counted:
        why = f"{state}; nobody with an {wire.type_name(rtype)} address serves"
    else:
        number = len(duty.selection.serving)
        why = f"{state}; {number} {'serves' if number == 1 else 'serve'}"
    default = roster.answers[key(service.name, DEFAULT)]
    return {
        "found": "pool",
        "why": why,
        **_reply(name, ring or default),
        "service": {"name": wire.name_to_text(service.name), **snapshot.service(roster, service, now)},
        "ring": _ring(duty, service, rtype),
        "pool": _picture(roster, service.pool, now),
        "then": None,
    }


def _picture(roster: Roster, name: str, now: float) -> Json:
    """A pool as in status, with each member's part in the answer."""
    duty = roster.duties[name]
    picture = snapshot.pool(roster, duty, now)
    serving = {one.name: one.why for one in duty.selection.serving}
    for host in duty.hosts:
        member = picture["members"][host.name]
        member["serves"] = host.name in serving
        member["serves_why"] = serving.get(host.name) or failover.why_not(host, duty.selection)
    return {"name": name, **picture}


def _hinted(roster: Roster, name: bytes, by: str, records: Hinted, ring: AnswerSet, now: float) -> Json:
    """SVCB or HTTPS records some of which have their address hints from pools."""
    found = hinted.pools(records)
    said = [f"pool {one} ({(pool := roster.duties[one].selection).state}: {pool.why})" for one in found]
    count, word = len(records.rrset.rdatas), wire.type_name(records.rrset.type)
    ttl = hinting.ttl_of(ring)
    why = hinted.why_short(roster, records, now) if ttl != records.ttl else ""
    picture = {"pool": _picture(roster, found[0], now)} if len(found) == 1 else {}
    return {
        "found": "hinted",
        "why": f"{by} has {count} {word} in the zone file; address hints follow {' and '.join(said)}",
        **_reply(name, ring),
        "ttl": {"ttl": ttl, "ttl_max": records.ttl, "ttl_why": why},
        **picture,
        "then": None,
    }


def _ring(duty: Duty, service: Service, rtype: int) -> Json:
    """Who is in the ring, what each is due, and what the ring gives. A member's addresses are counted together;
    in an answer with several of them it is counted for each."""
    order = duty.orders(service)[rtype == wire.AAAA]
    names = order.entries.names
    size = len(names)
    answers = wide(service.answers, size)
    due = schedulers.shares(order.entries.weights, answers, duty.by(service.scheduler)) if size else []
    inside = schedulers.reached(order.slots, size)
    first = schedulers.first_shares(order.slots, size)
    members: dict[str, Json] = {}
    for index, member in enumerate(names):
        one = members.setdefault(member, {"due": 0.0, "inside": 0.0, "first": 0.0, "addresses": 0})
        one["due"] += due[index]
        one["inside"] += inside[index]
        one["first"] += first[index]
        one["addresses"] += 1
    slots = [list(slot) for slot in order.members()[:FIRST_SLOTS]]
    return {"slots": len(order.slots), "pages": order.pages, "first": slots, "members": members}


# -------------------------------------------------------------------- bytes as people read them


def _reply(name: bytes, ring: AnswerSet | None) -> Json:
    if ring is None:
        reply: Json = {"rcode": "REFUSED", "aa": False, "answer": [], "authority": [], "additional": []}
        return {"reply": reply, "slots": 1}
    return {"reply": _shown(name, ring.bodies[ring.slots[0]]), "slots": len(ring.slots)}


def _shown(name: bytes, body: Body) -> Json:
    """One body in master-file text."""
    sections: Json = {}
    at = 0
    for section, count in zip(("answer", "authority", "additional"), body.counts, strict=True):
        lines = []
        for _ in range(count):
            line, at = _record(name, body.data, at)
            lines.append(line)
        sections[section] = lines
    rcode = body.flags & 15
    return {"rcode": _RCODES.get(rcode, str(rcode)), "aa": bool(body.flags & wire.AA), **sections}


def _record(name: bytes, data: bytes, at: int) -> tuple[str, int]:
    """The record at `at` as a line, and where the next begins."""
    if data[at] >= 0xC0:
        owner, at = name, at + 2
    else:
        start = at
        while data[at]:
            at += data[at] + 1
        at += 1
        owner = data[start:at]
    rtype, ttl = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 4 : at + 8], "big")
    start = at + 10
    end = start + int.from_bytes(data[at + 8 : start], "big")
    text = rdata.to_text(rtype, data[start:end])
    return f"{wire.name_to_text(owner)} {ttl} IN {wire.type_name(rtype)} {text}", end
