"""Failover schemes in the files: `failover:` and `fallback:` of a pool, and what must hold between pools.

What one pool says is judged by `read` and `question`; what needs both ends by `judge` and `doubt`, called from
`references.py` for a load without unread files. Must not know: zones, pydantic, how it is decided who serves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rrdns.model import Failover, Pool
from rrdns.zonefile import readers
from rrdns.zonefile.complaints import Complaints, Spot
from rrdns.zonefile.failover_shapes import FailoverModel
from rrdns.zonefile.fitting import read_model
from rrdns.zonefile.scalars import show
from rrdns.zonefile.yaml_nodes import Map

KEY_OF = {"rotating-standby": "active", "simple-failover": "backup", "mutual-takeover": "partner"}
"""The key that only this scheme has."""


@dataclass(frozen=True, slots=True)
class PoolRef:
    """A pool's mention of another: `how` is backup | partner | fallback."""

    name: str
    how: str
    spot: Spot
    path: str


Judged = tuple[Complaints, Spot, str, str]
"""Where to complain, and what: complaints, place, path, message."""


# ---------------------------------------------------------------- one pool


def read(body: Map, path: str, out: Complaints) -> tuple[Failover | None, list[PoolRef], bool]:
    """A pool's `failover:` and the pools that it and `fallback:` name; False: there is a fault, which is reported."""
    refs = list(_ref(body, "fallback", path))
    value = body.get("failover")
    if value is None:
        return None, refs, True
    if not isinstance(value, Map):
        message = f"{show(value)} is not {{scheme: idle-standby}} or another scheme"
        out.problem(body.at("failover"), f"{path}.failover", message)
        return None, refs, False
    path = f"{path}.failover"
    refs += [*_ref(value, "backup", path), *_ref(value, "partner", path)]
    model = read_model(FailoverModel, value, "failover", path, out)
    if model is None:
        return None, refs, False
    scheme = model.scheme or ""
    wrong = []
    if not scheme and "fallback" not in body:
        wrong.append((value.spot, path, "has no scheme, and there is no fallback: that failback could be about"))
    for owner, key in KEY_OF.items():
        if key in value and scheme != owner:
            wrong.append((value.at_key(key), f"{path}.{key}", f"belongs to scheme: {owner}"))
        elif scheme == owner and key not in value and key != "active":
            wrong.append((value.at_key("scheme"), path, f"{owner} needs {key}: (the other pool)"))
    for one in wrong:
        out.problem(*one)
    found = Failover(scheme, model.failback, model.active or 1, model.backup or "", model.partner or "")
    return found, refs, not wrong


def _ref(body: Map, how: str, path: str) -> Iterator[PoolRef]:
    name = body.get(how)
    if isinstance(name, str | int | float) and not isinstance(name, bool):
        yield PoolRef(readers.text(name), how, body.at(how), f"{path}.{how}")


def question(pool: Pool, body: Map, path: str, out: Complaints) -> None:
    """What can't work, and what probably is not meant, as far as one pool tells."""
    rule = pool.failover
    scheme = rule.scheme if rule else ""
    if pool.before_promote is not None:
        _question_promotion(pool, body, path, out)
    tiers = Counter(member.priority for member in pool.members)
    if len(tiers) > 1 and scheme != "idle-standby":
        message = "priorities do nothing without failover: {scheme: idle-standby}; all members serve"
        out.warning(body.at("members"), f"{path}.members", message)
    if rule is None or not pool.members:
        return
    spot, where = body.at("failover"), f"{path}.failover"
    if scheme == "idle-standby" and len(tiers) == 1:
        out.warning(spot, where, f"all members have priority {min(tiers)}: nobody stands by, and all serve")
    for tier, number in sorted(tiers.items()) if scheme == "idle-standby" and len(tiers) > 1 else ():
        if number < pool.quorum:
            message = f"tier {tier} has {number} of quorum {pool.quorum}: it never serves by itself"
            out.warning(spot, where, message)
    if scheme != "rotating-standby":
        return
    if pool.quorum > rule.active:
        message = f"{pool.quorum} is more than the {rule.active} that hold a place (active): the pool would never be ok"
        out.problem(body.at("quorum"), f"{path}.quorum", message)
    if rule.active >= len(pool.members):
        message = f"all {len(pool.members)} members hold a place (active: {rule.active}): nobody stands by"
        out.warning(spot, where, message)
    if len({member.weight for member in pool.members}) > 1:
        message = "members have different weights, but who holds a place is a matter of turns: equal hosts are expected"
        out.warning(spot, where, message)


def _question_promotion(pool: Pool, body: Map, path: str, out: Complaints) -> None:
    """Where nobody is ever promoted a command that must run before it would never run, and be trusted in."""
    spot, where = body.at_key("before_promote"), f"{path}.before_promote"
    if not (pool.failover and pool.failover.scheme) and not pool.fallback:
        message = "nobody is ever promoted here, all members serve: it needs failover: {scheme: ...} or fallback:"
        out.problem(spot, where, message)
    if pool.panic is not None:
        message = "panic: answers everybody, also those who were not promoted: leave one of the two out"
        out.problem(spot, where, message)


# ---------------------------------------------------------------- both ends


def judge(
    refs: Mapping[str, tuple[Complaints, tuple[PoolRef, ...]]], pools: Mapping[str, Pool | None]
) -> Iterator[Judged]:
    """What is wrong between pools whose names are all known: oneself, partners that are not mutual, loops."""
    for name, (out, its) in refs.items():
        for one in its:
            if one.name == name:
                yield out, one.spot, one.path, f"{name} can't be its own {one.how}"
            elif one.how == "partner" and (other := pools.get(one.name)) is not None:
                theirs = other.failover.partner if other.failover else ""
                if theirs != name:
                    said = f"its partner is {theirs}" if theirs else "it has no such scheme"
                    message = f"{one.name} must have partner: {name} as well, but {said}"
                    yield out, one.spot, one.path, message
    yield from _loops(refs)


def _loops(refs: Mapping[str, tuple[Complaints, tuple[PoolRef, ...]]]) -> Iterator[Judged]:
    """Circles of backups and fallbacks, each told once, at its first pool; partners are no circle."""
    told: set[frozenset[str]] = set()
    for start in sorted(refs):
        trail: list[tuple[str, Iterator[PoolRef]]] = [(start, _ahead(refs, start))]
        seen = {start}
        while trail:
            ref = next(trail[-1][1], None)
            if ref is None:
                trail.pop()
                continue
            circle = [name for name, _ in trail]
            if ref.name == start and len(circle) > 1 and frozenset(circle) not in told:
                told.add(frozenset(circle))
                first = next(one for one in _ahead(refs, start) if one.name == circle[1])
                yield refs[start][0], first.spot, first.path, f"leads in a circle: {' -> '.join([*circle, start])}"
            elif ref.name not in seen and ref.name in refs:
                seen.add(ref.name)
                trail.append((ref.name, _ahead(refs, ref.name)))


def _ahead(refs: Mapping[str, tuple[Complaints, tuple[PoolRef, ...]]], name: str) -> Iterator[PoolRef]:
    return (one for one in refs[name][1] if one.how != "partner" and one.name != name)


def doubt(name: str, out: Complaints, refs: tuple[PoolRef, ...], pools: Mapping[str, Pool]) -> Iterator[Judged]:
    """What probably is not meant between a pool and those it names, of a load without problems."""
    for one in refs:
        other = pools[one.name]
        if one.how == "backup" and other.when_down.word not in ("empty", "addresses"):
            message = f"when its hosts serve {name}, {one.name} may have nobody left and answers by when_down: "
            message += f"{other.when_down.word}; it should be empty, or addresses that say sorry"
            yield out, one.spot, one.path, message


def forgetful(pool: Pool) -> str:
    """Why name servers that decide each by itself may disagree for long about this pool; "" if they may not."""
    rule = pool.failover
    if rule is None:
        return ""
    if rule.scheme == "rotating-standby":
        return "rotating-standby remembers who holds"
    return "failback: manual remembers who serves" if rule.failback is None else ""
