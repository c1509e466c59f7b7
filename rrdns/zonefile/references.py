"""Joining what refers to one another: services to pools, pools to checks. Unknown names get a "did you mean".

Also the warnings that need both ends: what nobody uses, weights that can't show. Must not know: YAML, records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from rrdns.model import Check, Pool, Service
from rrdns.zonefile.complaints import did_you_mean
from rrdns.zonefile.drafts import ServiceDraft, ZoneDraft
from rrdns.zonefile.pools import Shelf

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
    hints = {}
    for draft in drafts:
        for name, spot, path in draft.pool_refs:
            if name not in shelf.pools:
                draft.out.problem(spot, path, f"there is no pool {name!r}{_hint(name, 'pools', shelf.pools, hints)}")


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


def judge_use(drafts: Iterable[ZoneDraft], shelf: Shelf) -> None:
    """Warnings for a load that has no problems: what nobody uses, and weights that do not show."""
    used_pools = {service.pool for draft in drafts for service in draft.services.values()}
    used_checks = {name for entry in shelf.pools.values() if entry.pool for name in entry.pool.checks}
    for name, pool in shelf.pools.items():
        if name not in used_pools:
            spot = pool.place.line, pool.place.column
            pool.out.warning(spot, f"pools.{name}", "no POOL record uses this pool")
    for name, check in shelf.checks.items():
        if name not in used_checks:
            check.out.warning((check.place.line, check.place.column), f"checks.{name}", "no pool uses this check")
    weighted = {
        name: entry.pool
        for name, entry in shelf.pools.items()
        if entry.pool and len({member.weight for member in entry.pool.members if member.weight}) > 1
    }
    for draft in drafts:
        for service in draft.services.values():
            if service.pool in weighted:
                _judge_weights(draft, service, weighted[service.pool])


def _judge_weights(draft: ZoneDraft, service: ServiceDraft, pool: Pool) -> None:
    if (service.scheduler or pool.scheduler) == "rr":
        message = f"the scheduler rr takes no notice of the weights of {pool.name}: use wrr"
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
        found.append(Service(one.name, draft.name, one.pool, one.ttl, one.ttl_min, one.answers, scheduler))
    return tuple(found)


def pools_of(shelf: Shelf) -> dict[str, Pool]:
    return {name: entry.pool for name, entry in shelf.pools.items() if entry.pool is not None}


def checks_of(shelf: Shelf) -> dict[str, Check]:
    return {name: entry.check for name, entry in shelf.checks.items() if entry.check is not None}
