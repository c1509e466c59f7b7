"""Checks and pools: from the mappings of a pools file (or of a POOL record) to model.Check and model.Pool.

`read_pools` reads a whole pools file into a `Shelf`; `read_pool` reads one pool body, also one in place.
Every fault of an entry is reported and the entry kept as a name, so that nobody who refers to it is blamed.
Must not know: zones, pydantic, what refers to a pool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rrdns.model import Check, Member, Place, Pool, WhenDown
from rrdns.zonefile import director_vips, directors, failover, later, member_names, readers, shapes
from rrdns.zonefile.checks import read_check
from rrdns.zonefile.complaints import Complaints, Spot, did_you_mean
from rrdns.zonefile.directors import DirectorEntry, DirectorRef
from rrdns.zonefile.failover import PoolRef
from rrdns.zonefile.fitting import read_model
from rrdns.zonefile.scalars import show
from rrdns.zonefile.yaml_nodes import Map, Seq


@dataclass(frozen=True, slots=True)
class CheckEntry:
    """A check as found; `check` None: it has faults, which are reported."""

    check: Check | None
    place: Place
    out: Complaints


@dataclass(frozen=True, slots=True)
class PoolEntry:
    """A pool as found; `pool` None: it has faults, which are reported. `check_refs`: the checks it names, faulty
    or not, with place and path; `out` is where to complain about them."""

    pool: Pool | None
    place: Place
    out: Complaints
    check_refs: tuple[tuple[str, Spot, str], ...] = ()
    director_refs: tuple[DirectorRef, ...] = ()
    pool_refs: tuple[PoolRef, ...] = ()
    name_refs: tuple[member_names.Ref, ...] = ()
    capacity_spot: Spot = (0, 0)


@dataclass(slots=True)
class Shelf:
    """All checks, directors and pools of a directory by name. `unread`: a file or section of them could not be read,
    so that names may be missing."""

    checks: dict[str, CheckEntry] = field(default_factory=dict)
    pools: dict[str, PoolEntry] = field(default_factory=dict)
    directors: dict[str, DirectorEntry] = field(default_factory=dict)
    unread: bool = False


SECTIONS = ("checks", "directors", "pools")
LOADED = {"lc": "rr", "wlc": "wrr"}
"""Schedulers that go by connections, and what they are without."""


def read_pools(root: Map, out: Complaints, shelf: Shelf) -> None:
    """One pools file, added to `shelf`."""
    for key, value in root.items():
        spot = root.at_key(key)
        if key in SECTIONS:
            _section(key, root, out, shelf)
        elif key in later.KEYS["file"]:
            out.problem(spot, key, later.comes_later(f"the section {key}"))
        elif key.startswith("x-"):
            continue
        elif isinstance(value, Map) and "type" in value:
            out.problem(spot, key, "looks like a DNS record: its place is a zone file (ZONE.yaml), not a pools file")
        else:
            near = did_you_mean(key, SECTIONS) or f"; possible are {', '.join(SECTIONS)}"
            shelf.unread = True
            out.problem(spot, key, f"unknown section{near}")


def _section(kind: str, root: Map, out: Complaints, shelf: Shelf) -> None:
    section = root[kind]
    if section is None:
        return  # everything under it is commented out
    if not isinstance(section, Map):
        out.problem(root.at(kind), kind, f"{show(section)} is not a mapping (`name: {{...}}` lines)")
        shelf.unread = True
        return
    entries: Mapping[str, CheckEntry | DirectorEntry | PoolEntry] = getattr(shelf, kind)
    for name, body in section.items():
        path = f"{kind}.{name}"
        spot = section.at_key(name)
        try:
            readers.name(name)
        except ValueError as error:
            out.problem(spot, path, str(error))
            continue
        if name in entries:
            out.problem(spot, path, f"the same name is defined at {entries[name].place} already")
            continue
        if not isinstance(body, Map):
            out.problem(section.at(name), path, f"{show(body)} is not a mapping (`key: value` lines)")
            body = None
        if kind == "checks":
            check = read_check(name, body, path, out) if body is not None else None
            shelf.checks[name] = CheckEntry(check, out.place(spot), out)
        elif kind == "directors":
            shelf.directors[name] = directors.entry(name, body, spot, path, out)
        elif body is None:
            shelf.pools[name] = PoolEntry(None, out.place(spot), out)
        else:
            shelf.pools[name] = read_pool_section(name, body, spot, path, out)


# ---------------------------------------------------------------- pools


def read_pool_section(name: str, body: Map, spot: Spot, path: str, out: Complaints) -> PoolEntry:
    """One pool of a pools file."""
    model = read_model(shapes.PoolModel, body, "pool", path, out)
    return pool_entry(name, model, body, spot, path, out)


def pool_entry(
    name: str,
    model: shapes.PoolModel | shapes.PoolRecord | None,
    body: Map,
    spot: Spot,
    path: str,
    out: Complaints,
) -> PoolEntry:
    """A pool from its validated body, or what can be said of it without."""
    refs = tuple(_check_refs(body, path))
    following, director_refs = directors.followed(body, path, out)
    rule, pool_refs, sound = failover.read(body, path, out)
    faulty = PoolEntry(None, out.place(spot), out, refs, director_refs, tuple(pool_refs))
    if "check" in body and "checks" in body:
        out.problem(body.at_key("checks"), f"{path}.checks", "check: and checks: mean the same: use one of them")
        return faulty
    if model is None or following is None or not sound:
        return faulty
    members: tuple[Member, ...] = ()
    if model.members is not None:
        members = _members(model.members, body, path, out)
        if not members:
            return faulty
    elif not following:
        out.problem(spot, path, "has neither members: nor director: (which then says who they are)")
        return faulty
    else:
        members = director_vips.members(following)
    pool = Pool(
        name=name,
        members=members,
        checks=tuple(dict.fromkeys(model.check or model.checks or ())),
        scheduler=model.scheduler or "wrr",
        quorum=model.quorum[0],
        quorum_weight=model.quorum[1],
        panic=model.panic,
        families=model.families,
        when_down=WhenDown(model.when_down)
        if isinstance(model.when_down, str)
        else WhenDown("addresses", model.when_down),
        following=following,
        weight_from=directors.weight_from(model.weight_from, following, body),
        slow_start=model.slow_start,
        correct=model.correct,
        capacity=model.capacity,
        failover=rule,
        fallback=model.fallback or "",
        before_promote=model.before_promote,
    )
    directors.question(pool, model.weight_from, body, path, out)
    _question_balance(pool, body, path, out)
    _question_pool(pool, body, path, out)
    failover.question(pool, body, path, out)
    names = member_names.refs(body, path) if any(one.hosts for one in members) else ()
    return PoolEntry(pool, out.place(spot), out, refs, director_refs, tuple(pool_refs), names, body.at("capacity"))


def _check_refs(body: Map, path: str) -> Iterator[tuple[str, Spot, str]]:
    for key in ("check", "checks"):
        listed = body.get(key)
        named = zip(listed, listed.spots, strict=True) if isinstance(listed, Seq) else [(listed, body.at(key))]
        for index, (name, spot) in enumerate(named):
            where = f"{path}.{key}.{index}" if isinstance(listed, Seq) else f"{path}.{key}"
            if isinstance(name, str | int | float) and not isinstance(name, bool):
                yield readers.text(name), spot, where


def _members(
    found: dict[str, shapes.NamedMember] | list[shapes.ListedMember], body: Map, path: str, out: Complaints
) -> tuple[Member, ...]:
    """The members; none if there is a fault among them (or there are none, which is one)."""
    holder = body["members"]
    if not found:
        out.problem(body.at("members"), f"{path}.members", "has no members: there would be nothing to answer")
        return ()
    members: dict[str, Member] = {}
    owners: dict[str, str] = {}
    sound = True
    listed = list(found.items()) if isinstance(found, dict) else [(one.name or "", one) for one in found]
    for index, (name, one) in enumerate(listed):
        where = f"{path}.members.{index if isinstance(holder, Seq) else name}"
        spot = holder.spots[index] if isinstance(holder, Seq) else holder.at(name)
        name = name or member_names.called(one.address[0])
        if name in members:
            out.problem(spot, where, f"the name {name} is taken by another member of this pool")
            sound = False
        for address in one.address:
            if address in owners:
                what = "a name" if member_names.is_name(address) else "an address"
                whose = "twice here" if owners[address] == name else f"{owners[address]}'s {what.split()[1]} too"
                out.problem(spot, where, f"{address} is {whose}: {what} belongs to one member of a pool")
                sound = False
            owners[address] = name
        members[name] = Member(
            name,
            tuple([text for text in one.address if not member_names.is_name(text)]),
            one.weight,
            one.priority,
            tuple(dict.fromkeys(one.labels or ())),
            tuple([text for text in one.address if member_names.is_name(text)]),
        )
    return tuple(members.values()) if sound else ()


def _question_balance(pool: Pool, body: Map, path: str, out: Complaints) -> None:
    """Words that need a director and have none."""
    if pool.scheduler in LOADED and not pool.following:
        out.warning(body.at("scheduler"), f"{path}.scheduler", degrades(pool.scheduler))
    if pool.correct and not pool.following:
        message = "there is no director: that would count connections, so nothing can be corrected"
        out.problem(body.at("correct"), f"{path}.correct", message)
    if pool.correct and pool.scheduler in LOADED:
        message = f"has no effect with {pool.scheduler}, which goes by connections already: use wrr"
        out.warning(body.at("correct"), f"{path}.correct", message)


def degrades(scheduler: str) -> str:
    why = f"{scheduler} goes by a director's connections and the pool has no director"
    return f"{why}: it degrades to {LOADED[scheduler]}"


def _question_pool(pool: Pool, body: Map, path: str, out: Complaints) -> None:
    """What can't work, and what probably is not meant."""
    if not pool.members:
        return  # a director tells them
    weights = [member.weight for member in pool.members]
    loaded = sum(1 for weight in weights if weight)
    if pool.quorum > len(weights):
        message = f"{pool.quorum} is more than the {len(weights)} members there are"
        out.problem(body.at("quorum"), f"{path}.quorum", message)
    elif loaded and pool.quorum > loaded:
        message = f"{pool.quorum} is more than the {loaded} members with a weight above 0: the pool is never ok"
        out.warning(body.at("quorum"), f"{path}.quorum", message)
    if pool.quorum_weight > sum(weights) and pool.weight_from == "zone":
        message = f"weight {pool.quorum_weight} is more than the members have together, {sum(weights)}"
        out.problem(body.at("quorum"), f"{path}.quorum", message)
    if not loaded:
        out.warning(body.at("members"), f"{path}.members", "every weight is 0: all are drained, so all are answered")
    if not (pool.checks or pool.following) and "check" not in body and "checks" not in body:
        out.warning(body.spot, path, "has no check: its members count as up, dead or not (check: [] if that is meant)")
    names: dict[str, Spot] = {}
    for name, spot, where in _check_refs(body, path):
        if names.setdefault(name, spot) != spot:
            out.warning(spot, where, f"the check {name} is named twice")
