"""octoDNS's `dynamic` A and AAAA records with one rule for everybody, read as a pool of their own. Floor 1, pure.

| octoDNS                                  | here                                                                    |
|------------------------------------------|-------------------------------------------------------------------------|
| one rule without geos and subnets        | the name's pool; several rules, or one with them, are refused           |
| pools' values, weight                    | members, one of which is in each answer (`answers: 1`), by weight       |
| status: down                             | left out                                                                |
| status: up, for all values               | no check; beside values that are checked it is refused                  |
| fallback                                 | priorities, and the scheme idle-standby: back as soon as a host is back |
| the record's own value, values           | answered when all are down (`when_down:`)                               |
| octodns.healthcheck HTTP, HTTPS, TCP ... | a check; without it octoDNS's own default: HTTPS, port 443, /_dns       |

A dynamic A and a dynamic AAAA of one name share a pool where neither has a fallback. Must not know: files, YAML text.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from rrdns import wire
from rrdns.model import Check, Failover, Member, Pool, WhenDown
from rrdns.zonefile import readers
from rrdns.zonefile.checks import read_check
from rrdns.zonefile.complaints import Spot, unknown_key
from rrdns.zonefile.drafts import ServiceDraft, ZoneDraft
from rrdns.zonefile.owners import POOL_TYPE
from rrdns.zonefile.pools import CheckEntry, PoolEntry, Shelf
from rrdns.zonefile.scalars import show
from rrdns.zonefile.special_records import pool_ttl
from rrdns.zonefile.yaml_nodes import Map, Seq

KEYS = frozenset({"type", "ttl", "value", "values", "dynamic", "octodns"})
HEALTHCHECK_KEYS = frozenset({"host", "path", "port", "protocol"})
PROTOCOLS = {"HTTP": "http", "HTTPS": "https", "TCP": "tcp", "ICMP": "icmp"}
STATUSES = ("obey", "up", "down")
GEOGRAPHY = "answers by geography or subnet are not served: one rule with a pool, for everybody, is read"


class _Fault(Exception):
    """What can't be read, with the place and the path below the record."""

    def __init__(self, spot: Spot, path: str, message: str) -> None:
        super().__init__(message)
        self.spot = spot
        self.path = path


class _Told(Exception):
    """A fault that is in the complaints already."""


@dataclass(frozen=True, slots=True)
class _Value:
    address: str
    weight: int
    status: str
    spot: Spot
    path: str


def is_dynamic(rtype: int, record: Map) -> bool:
    return "dynamic" in record and rtype in (wire.A, wire.AAAA)


def read_dynamic(
    draft: ZoneDraft, owner: bytes, rtype: int, record: Map, path: str, default_ttl: int | None, shelf: Shelf
) -> None:
    """The record as a POOL with a pool in place: into `draft.services` and `shelf`, or complaints."""
    out = draft.out
    try:
        pool, check = _read(draft, owner, rtype, record, path)
        ttl = _ttl(draft, record, path, default_ttl)
        service = ServiceDraft(
            owner, pool.name, ttl, math.ceil(ttl / 4), 1, None, record.spot, path, record.at("dynamic")
        )
        if owner in draft.services:
            pool, service = _joined(draft, pool, check, service, record, path, shelf)
        elif pool.name in shelf.pools or (check and check.name in shelf.checks):
            taken = shelf.pools[pool.name].place if pool.name in shelf.pools else shelf.checks[pool.name].place
            raise _Fault(record.spot, "", f"its pool and check are called {pool.name}, but so is what is at {taken}")
    except (_Fault, _Told) as fault:
        if isinstance(fault, _Fault):
            out.problem(fault.spot, f"{path}.{fault.path}" if fault.path else path, str(fault))
        draft.broken.add((owner, POOL_TYPE))
        return
    draft.services[owner] = service
    shelf.pools[pool.name] = PoolEntry(pool, out.place(record.at_key("dynamic")), out)
    if check is not None:
        shelf.checks[check.name] = CheckEntry(check, out.place(record.at_key("dynamic")), out)


def _joined(
    draft: ZoneDraft, pool: Pool, check: Check | None, service: ServiceDraft, record: Map, path: str, shelf: Shelf
) -> tuple[Pool, ServiceDraft]:
    """One pool for the A and the AAAA of a name, where that says the same as two."""
    first = draft.services[owner := service.name]
    place = draft.out.place(first.spot)
    entry = shelf.pools.get(first.pool)
    known = entry.pool if entry else None
    if known is None or first.pool != pool.name or first.path.rpartition(" ")[2] not in ("A", "AAAA"):
        raise _Fault(record.spot, "", f"a name has one POOL or dynamic record of a type; there is one at {place}")
    if first.path == path:
        raise _Fault(record.spot, "", f"this name has another dynamic record of this type at {place}")
    if known.failover or pool.failover:
        text = "a dynamic A and a dynamic AAAA of one name, with fallbacks, would fall back together here: "
        raise _Fault(record.at_key("dynamic"), "dynamic", f"{text}write one POOL; the other is at {place}")
    before = shelf.checks[pool.name].check if pool.name in shelf.checks else None
    if before != check:
        raise _Fault(record.spot, "octodns.healthcheck", f"is another than that of the record at {place}: one is read")
    when_down = WhenDown("addresses", known.when_down.addresses + pool.when_down.addresses)
    joined = replace(pool, members=known.members + pool.members, when_down=when_down)
    assert owner == first.name
    return joined, replace(first, ttl=min(first.ttl, service.ttl), ttl_min=min(first.ttl_min, service.ttl_min))


# ---------------------------------------------------------------- the record


def _read(draft: ZoneDraft, owner: bytes, rtype: int, record: Map, path: str) -> tuple[Pool, Check | None]:
    for key in sorted(record.keys() - KEYS):
        raise _Fault(record.at_key(key), key, unknown_key(key, KEYS - {"octodns"}))
    name = wire.name_to_text(owner)[:-1]
    dynamic = _map(record["dynamic"], record.at("dynamic"), "dynamic")
    for key in dynamic.keys() - {"pools", "rules"}:
        raise _Fault(dynamic.at_key(key), f"dynamic.{key}", unknown_key(key, ("pools", "rules")))
    pools = _map(dynamic.get("pools"), dynamic.at("pools"), "dynamic.pools")
    chain = _chain(pools, _rule(dynamic), dynamic)
    tiers = [list(_values(pools, one, rtype)) for one in chain]
    checked = _statuses(tiers)
    members: dict[str, Member] = {}
    priority = 0
    for tier in tiers:
        serving = [one for one in tier if one.status != "down"]
        priority += bool(serving)
        for one in serving:
            if one.address not in members:
                members[one.address] = Member(one.address, (one.address,), one.weight, priority)
            elif members[one.address].priority == priority:
                raise _Fault(one.spot, one.path, f"{one.address} is in this pool twice")
            else:
                message = f"{one.address} is in an earlier pool of the fallbacks too, and serves there"
                draft.out.warning(one.spot, f"{path}.{one.path}", message)
    if not members:
        raise _Fault(dynamic.at("pools"), "dynamic.pools", "every value is down: there would be nothing to answer")
    check = _check(draft, name, record, path) if checked else None
    pool = Pool(
        name=name,
        members=tuple(members.values()),
        checks=(name,) if check else (),
        when_down=WhenDown("addresses", tuple(_default(record, rtype))),
        failover=Failover("idle-standby", failback=0.0)
        if len({one.priority for one in members.values()}) > 1
        else None,
    )
    return pool, check


def _map(value: object, spot: Spot, path: str) -> Map:
    if isinstance(value, Map) and value:
        return value
    raise _Fault(spot, path, "is missing or empty" if not value else f"{show(value)} is not a mapping")


def _rule(dynamic: Map) -> tuple[str, Spot]:
    """The pool that the only rule names."""
    rules = dynamic.get("rules")
    if not isinstance(rules, Seq) or not rules:
        raise _Fault(dynamic.at("rules"), "dynamic.rules", "is missing or empty: write rules: [{pool: NAME}]")
    if len(rules) > 1:
        raise _Fault(rules.spots[0], "dynamic.rules", f"has {len(rules)} rules: {GEOGRAPHY}")
    rule = _map(rules[0], rules.spots[0], "dynamic.rules.0")
    for key in rule.keys() - {"pool"}:
        message = GEOGRAPHY if key in ("geos", "subnets") else unknown_key(key, ("pool",))
        raise _Fault(rule.at_key(key), f"dynamic.rules.0.{key}", message)
    if "pool" not in rule:
        raise _Fault(rule.spot, "dynamic.rules.0", "has no pool")
    return str(rule["pool"]), rule.at("pool")


def _chain(pools: Map, first: tuple[str, Spot], dynamic: Map) -> list[str]:
    """The pools in the order of their fallbacks."""
    chain: list[str] = []
    name, spot = first
    path = "dynamic.rules.0.pool"
    while True:
        if name not in pools:
            raise _Fault(spot, path, f"there is no pool {name!r}; there are {', '.join(sorted(pools))}")
        if name in chain:
            raise _Fault(spot, path, f"the fallbacks lead in a circle: {' -> '.join([*chain, name])}")
        chain.append(name)
        body = _map(pools[name], pools.at(name), f"dynamic.pools.{name}")
        if body.get("fallback") is None:
            break
        name, spot, path = str(body["fallback"]), body.at("fallback"), f"dynamic.pools.{name}.fallback"
    for unused in pools.keys() - set(chain):
        raise _Fault(pools.at_key(unused), f"dynamic.pools.{unused}", "is used by no rule and no fallback")
    return chain


def _values(pools: Map, name: str, rtype: int) -> Iterator[_Value]:
    body: Map = pools[name]
    path = f"dynamic.pools.{name}"
    for key in body.keys() - {"values", "fallback"}:
        raise _Fault(body.at_key(key), f"{path}.{key}", unknown_key(key, ("values", "fallback")))
    values = body.get("values")
    if not isinstance(values, Seq) or not values:
        raise _Fault(body.at("values"), f"{path}.values", "is missing or empty")
    for at, value in enumerate(values):
        where = f"{path}.values.{at}"
        one = _map(value, values.spots[at], where)
        for key in one.keys() - {"value", "weight", "status"}:
            raise _Fault(one.at_key(key), f"{where}.{key}", unknown_key(key, ("value", "weight", "status")))
        address = _one(one, "value", where, lambda found: _address(found, rtype))
        weight = _one(one, "weight", where, lambda found: readers.whole(found, 1, 100)) if "weight" in one else 1
        if weight != 1 and len(values) == 1:
            raise _Fault(one.at("weight"), f"{where}.weight", "has no effect: this is the only value of its pool")
        status = (
            _one(one, "status", where, lambda found: readers.choice(found, STATUSES)) if "status" in one else "obey"
        )
        yield _Value(address, weight, status, one.spot, where)


def _one(body: Map, key: str, path: str, read: Any) -> Any:
    try:
        if key not in body:
            raise ValueError("is missing")
        return read(body[key])
    except ValueError as error:
        raise _Fault(body.at(key), f"{path}.{key}", str(error)) from None


def _address(value: object, rtype: int) -> str:
    kind = ipaddress.IPv6Address if rtype == wire.AAAA else ipaddress.IPv4Address
    try:
        kind(value)
    except ValueError:
        raise ValueError(f"{show(value)} is not the address of a record of type {wire.type_name(rtype)}") from None
    return readers.address(value)


def _default(record: Map, rtype: int) -> Iterator[str]:
    """The record's own values, which are answered when nothing else is left."""
    key = "values" if "values" in record else "value"
    if key not in record:
        raise _Fault(record.spot, "", "has neither value: nor values:, which are answered when all pools are down")
    found = record[key]
    several = found if isinstance(found, Seq) else [found]
    for at, value in enumerate(several):
        spot = found.spots[at] if isinstance(found, Seq) else record.at(key)
        try:
            yield _address(value, rtype)
        except ValueError as error:
            raise _Fault(spot, f"{key}.{at}" if isinstance(found, Seq) else key, str(error)) from None
    if not several:
        raise _Fault(record.at(key), key, "is empty")


def _ttl(draft: ZoneDraft, record: Map, path: str, default_ttl: int | None) -> int:
    if "ttl" not in record:
        return pool_ttl(draft.out, record, path, default_ttl)
    try:
        return readers.ttl(record["ttl"])
    except ValueError as error:
        raise _Fault(record.at("ttl"), "ttl", str(error)) from None


def _statuses(tiers: list[list[_Value]]) -> bool:
    """Whether the pool is checked: for all that serve it is the same."""
    serving = [one for tier in tiers for one in tier if one.status != "down"]
    always = [one for one in serving if one.status == "up"]
    if always and len(always) < len(serving):
        one = always[0]
        message = "beside values that are checked it can't be read: a pool's checks are for all of its members"
        raise _Fault(one.spot, f"{one.path}.status", f"status up {message}")
    return not always


# ---------------------------------------------------------------- the check


def _check(draft: ZoneDraft, name: str, record: Map, path: str) -> Check | None:
    """The healthcheck as a check of ours: a body as it would be written, read by whoever reads checks."""
    block = record.get("octodns")
    found = block.get("healthcheck") if isinstance(block, Map) else None
    spot = record.at_key("dynamic")
    if found is None:
        message = "has no octodns.healthcheck: checked as octoDNS does without one, by HTTPS, port 443, path /_dns"
        draft.out.warning(spot, path, message)
        found = Map(spot)
    where = "octodns.healthcheck"
    given = found if isinstance(found, Map) else _map(found, spot, where)
    for key in given.keys() - HEALTHCHECK_KEYS:
        raise _Fault(given.at_key(key), f"{where}.{key}", unknown_key(key, HEALTHCHECK_KEYS))
    protocol = given.get("protocol", "HTTPS")
    if protocol not in PROTOCOLS:
        message = f"{show(protocol)} is not checked here; {', '.join(PROTOCOLS)} are"
        raise _Fault(given.at("protocol"), f"{where}.protocol", message)
    body = Map(given.spot)
    fields: dict[str, Any] = {"type": PROTOCOLS[protocol]}
    if protocol != "ICMP":
        fields["port"] = given.get("port", 443)
    if protocol in ("HTTP", "HTTPS"):
        fields |= {"path": given.get("path", "/_dns"), "host": given.get("host", name)}
    for key, value in fields.items():
        body[key] = value
        told = "protocol" if key == "type" else key
        body.spots[key] = (*given.at_key(told), *given.at(told))
    check = read_check(name, body, f"{path}.{where}", draft.out)
    if check is None:
        raise _Told
    return check
