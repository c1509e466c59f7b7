"""Joining what refers to one another: services and hints to pools, pools to checks. Unknown names get a "did you mean".

Also the warnings that need both ends: what nobody uses, weights that can't show. Must not know: YAML, records.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

from rrdns import wire
from rrdns.model import Check, Director, Hinted, Hints, Pool, RRset, Service
from rrdns.zonefile import directors, failover, hints, member_names
from rrdns.zonefile.complaints import did_you_mean
from rrdns.zonefile.drafts import ServiceDraft, SetDraft, ZoneDraft
from rrdns.zonefile.pools import LOADED, Shelf, degrades

_MAX_HINTS = 50


def judge_references(drafts: Iterable[ZoneDraft], shelf: Shelf) -> None:
    """Names that nothing is called, into the complaints of whoever uses them."""
    if shelf.unread:
        return  # the name may stand in the file that could not be read
    hints: dict[str, str] = {}
    for entry in shelf.pools.values():
        for name, spot, path in entry.check_refs:
            if name not in shelf.checks:
                entry.out.problem(spot, path, f"there is no check {name!r}{_hint(name, 'checks', shelf.checks, hints)}")
    _judge_directors(shelf)
    _judge_failover(shelf)
    hints = {}
    for draft in drafts:
        for name, spot, path in draft.pool_refs:
            if name not in shelf.pools:
                draft.out.problem(spot, path, f"there is no pool {name!r}{_hint(name, 'pools', shelf.pools, hints)}")


def _judge_directors(shelf: Shelf) -> None:
    hints: dict[str, str] = {}
    for entry in shelf.pools.values():
        for ref in entry.director_refs:
            if ref.name not in shelf.directors:
                hint = _hint(ref.name, "directors", shelf.directors, hints)
                entry.out.problem(ref.spot, ref.path, f"there is no director {ref.name!r}{hint}")
            elif wrong := directors.judge(ref, shelf.directors[ref.name]):
                entry.out.problem(*wrong)
    for one in shelf.directors.values():
        if one.master is None:
            continue
        name, spot, path = one.master
        if name not in shelf.directors:
            hint = _hint(name, "directors", shelf.directors, hints)
            one.out.problem(spot, path, f"there is no director {name!r}{hint}")
        elif shelf.directors[name].type not in ("keepalived", ""):
            kind = shelf.directors[name].type
            one.out.problem(spot, path, f"{name} is of type {kind}: only keepalived tells who is the master")


def _judge_failover(shelf: Shelf) -> None:
    hints: dict[str, str] = {}
    refs = {}
    for of, entry in shelf.pools.items():
        known = [one for one in entry.pool_refs if one.name in shelf.pools]
        for one in entry.pool_refs:
            if one not in known:
                hint = _hint(one.name, "pools", shelf.pools, hints)
                entry.out.problem(one.spot, one.path, f"there is no pool {one.name!r}{hint}")
        if known:
            refs[of] = entry.out, tuple(known)
    for out, spot, path, message in failover.judge(refs, {name: entry.pool for name, entry in shelf.pools.items()}):
        out.problem(spot, path, message)


def judge_names(drafts: Mapping[bytes, ZoneDraft], shelf: Shelf) -> None:
    """Members' host names that lead back to a POOL of ours."""
    named = [(pool, entry.name_refs) for pool, entry in shelf.pools.items() if entry.name_refs]
    for pool, (why, spot, path) in member_names.judge(drafts, named) if named else ():
        shelf.pools[pool].out.problem(spot, path, why)


def _hint(name: str, kind: str, names: Collection[str], hints: dict[str, str]) -> str:
    """What may have been meant. Comparing with ten thousand names takes a while: not for more than a few."""
    if not names:
        return f"; no {kind} are defined, their place is pools.yaml"
    if name not in hints:
        if len(hints) >= _MAX_HINTS:
            return ""
        known = sorted(names)
        more = ", ..." if len(known) > 8 else ""
        hints[name] = did_you_mean(name, known) or f"; there are {', '.join(known[:8])}{more}"
    return hints[name]


def used_by(draft: ZoneDraft) -> set[str]:
    """The pools its records answer from."""
    used = {service.pool for service in draft.services.values()}
    return used | {pool for at in draft.hinted for pool in _set(draft, at).pools.values()}


def judge_use(drafts: Collection[ZoneDraft], shelf: Shelf, used_elsewhere: frozenset[str] = frozenset()) -> None:
    """Warnings for a load that has no problems: what nobody uses, and weights that do not show."""
    used_pools = used_elsewhere.union(*(used_by(draft) for draft in drafts))
    used_pools |= {one.name for entry in shelf.pools.values() for one in entry.pool_refs}
    pools = pools_of(shelf)
    for name, one in shelf.pools.items():
        for out, spot, path, message in failover.doubt(name, one.out, one.pool_refs, pools):
            out.warning(spot, path, message)
    used_checks = {name for entry in shelf.pools.values() if entry.pool for name in entry.pool.checks}
    for name, pool in shelf.pools.items():
        if name not in used_pools:
            spot = pool.place.line, pool.place.column
            pool.out.warning(spot, f"pools.{name}", "no record uses this pool")
    for name, check in shelf.checks.items():
        if name not in used_checks:
            check.out.warning((check.place.line, check.place.column), f"checks.{name}", "no pool uses this check")
    used = {ref.name for entry in shelf.pools.values() for ref in entry.director_refs}
    used |= {one.master[0] for one in shelf.directors.values() if one.master}
    for name, director in shelf.directors.items():
        if name not in used:
            spot = director.place.line, director.place.column
            director.out.warning(spot, f"directors.{name}", "no pool follows this director: it is not asked")
    weighted = {
        name: entry.pool
        for name, entry in shelf.pools.items()
        if entry.pool and len({member.weight for member in entry.pool.members if member.weight}) > 1
    }
    for draft in drafts:
        for service in draft.services.values():
            _judge_memory(draft, service, pools[service.pool])
            if service.pool in weighted:
                _judge_weights(draft, service, weighted[service.pool])
            entry = shelf.pools.get(service.pool)
            its = entry.pool if entry else None
            if service.scheduler in LOADED and its and its.scheduler != service.scheduler and not its.following:
                draft.out.warning(service.spot, f"{service.path}.scheduler", degrades(service.scheduler))


def _judge_memory(draft: ZoneDraft, service: ServiceDraft, pool: Pool) -> None:
    """Name servers that decide each by itself, of a pool whose past counts."""
    why = failover.forgetful(pool)
    servers = len(draft.sets[draft.name][wire.NS].rdatas) if why else 1
    if servers > 1:
        message = (
            f"{servers} name servers decide each by itself, and {why}: they may disagree for long about {pool.name}"
        )
        draft.out.warning(service.spot, service.path, message)


def _judge_weights(draft: ZoneDraft, service: ServiceDraft, pool: Pool) -> None:
    scheduler = service.scheduler or pool.scheduler
    if scheduler in ("rr", "lc"):
        message = f"the scheduler {scheduler} takes no notice of the weights of {pool.name}: use w{scheduler}"
        draft.out.warning(service.spot, service.path, message)
    elif service.answers != 1:
        many = f"up to {service.answers}" if service.answers else "all"
        message = f"an answer has {many} addresses in an order resolvers may change: "
        message += "for shares by weight write answers: 1"
        draft.out.warning(service.answers_spot, f"{service.path}.answers", message)


def services_of(draft: ZoneDraft, shelf: Shelf) -> tuple[Service, ...]:
    """The zone's services, of a load without problems."""
    found = []
    for one in draft.services.values():
        entry = shelf.pools[one.pool]
        assert entry.pool is not None
        scheduler = one.scheduler or entry.pool.scheduler
        found.append(Service(one.name, draft.name, one.pool, one.ttl, one.ttl_min, one.answers, scheduler, one.budget))
    return tuple(found)


def hinted_of(draft: ZoneDraft, shelf: Shelf) -> tuple[Hinted, ...]:
    """The zone's records that follow pools with their hints, of a load without problems."""
    found = []
    for owner, rtype in sorted(draft.hinted):
        one = _set(draft, (owner, rtype))
        rrset = RRset(owner, rtype, one.ttl, tuple(one.rdatas))
        rows = zip(one.rdatas, one.spots, strict=True)
        of_records = tuple([_hints(draft, shelf, owner, data, one.pools.get(spot)) for data, spot in rows])
        found.append(Hinted(rrset, draft.name, of_records, math.ceil(one.ttl / 4)))
    return tuple(found)


def _set(draft: ZoneDraft, at: tuple[bytes, int]) -> SetDraft:
    owner, rtype = at
    return draft.sets[owner][rtype]


def _hints(draft: ZoneDraft, shelf: Shelf, owner: bytes, data: bytes, pool: str | None) -> Hints | None:
    """As many hints, in the same order, as the target has addresses, where it is a POOL name over the same pool."""
    if pool is None:
        return None
    target = hints.target_of(data, owner)
    service = draft.services.get(target)
    entry = shelf.pools[pool].pool
    assert entry is not None
    if service is None or service.pool != pool:
        return Hints(pool, scheduler=entry.scheduler)
    return Hints(pool, min(service.answers or hints.MOST, hints.MOST), service.scheduler or entry.scheduler)


def pools_of(shelf: Shelf) -> dict[str, Pool]:
    return {name: entry.pool for name, entry in shelf.pools.items() if entry.pool is not None}


def checks_of(shelf: Shelf) -> dict[str, Check]:
    return {name: entry.check for name, entry in shelf.checks.items() if entry.check is not None}


def directors_of(shelf: Shelf) -> dict[str, Director]:
    """Those that somebody follows, or that tell who is the master: others are not asked."""
    used = {ref.name for entry in shelf.pools.values() for ref in entry.director_refs}
    used |= {one.master[0] for one in shelf.directors.values() if one.master}
    return {name: one.director for name, one in shelf.directors.items() if one.director is not None and name in used}
