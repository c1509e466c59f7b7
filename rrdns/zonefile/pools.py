"""Checks and pools: from the mappings of a pools file (or of a POOL record) to model.Check and model.Pool.

`read_pools` reads a whole pools file into a `Shelf`; `read_pool` reads one pool body, also one in place.
Every fault of an entry is reported and the entry kept as a name, so that nobody who refers to it is blamed.
Must not know: zones, pydantic, what refers to a pool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rrdns.model import Check, CommandProbe, HttpProbe, Member, Place, Pool, Probe, TcpProbe, WhenDown
from rrdns.zonefile import later, readers, shapes
from rrdns.zonefile.complaints import Complaints, Spot, did_you_mean
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


@dataclass(slots=True)
class Shelf:
    """All checks and pools of a directory by name. `unread`: a file or section of them could not be read, so that
    names may be missing."""

    checks: dict[str, CheckEntry] = field(default_factory=dict)
    pools: dict[str, PoolEntry] = field(default_factory=dict)
    unread: bool = False


def read_pools(root: Map, out: Complaints, shelf: Shelf) -> None:
    """One pools file, added to `shelf`."""
    for key, value in root.items():
        spot = root.at_key(key)
        if key in ("checks", "pools"):
            _section(key, root, out, shelf)
        elif key in later.KEYS["file"]:
            out.problem(spot, key, later.comes_later(f"the section {key}"))
        elif key.startswith("x-"):
            continue
        elif isinstance(value, Map) and "type" in value:
            out.problem(spot, key, "looks like a DNS record: its place is a zone file (ZONE.yaml), not a pools file")
        else:
            near = did_you_mean(key, ("checks", "pools")) or "; possible are checks, pools"
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
    entries: Mapping[str, CheckEntry | PoolEntry] = shelf.checks if kind == "checks" else shelf.pools
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
        elif body is None:
            shelf.pools[name] = PoolEntry(None, out.place(spot), out)
        else:
            shelf.pools[name] = read_pool_section(name, body, spot, path, out)


# ---------------------------------------------------------------- the ways from a model's complaint to a place


def locate(body: Map, loc: shapes.Loc) -> tuple[Spot, str]:
    """Place and dotted path of a pydantic location; steps that a short form does not have are left out."""
    here: Any = body
    spot = body.spot
    steps: list[str] = []
    for index, step in enumerate(loc):
        if isinstance(here, Map) and step in here:
            spot, here = here.at(str(step)), here[str(step)]
        elif isinstance(here, Seq) and isinstance(step, int) and step < len(here):
            spot, here = here.spots[step], here[step]
        elif not isinstance(here, Map) or index < len(loc) - 1:
            continue
        steps.append(str(step))  # of a mapping's last step: the name of what is missing
    return spot, ".".join(steps)


M = TypeVar("M", bound=shapes.Model)


def read_model(model: type[M], body: Map, level: str, path: str, out: Complaints) -> M | None:
    """The body as a model, with every fault reported; what comes later and empty values are taken out first."""
    data: dict[str, Any] = {}
    sound = True
    for key, value in body.items():
        if key in later.KEYS.get(level, ()):
            out.problem(body.at_key(key), f"{path}.{key}", later.comes_later(key))
            sound = False
        elif value is None and key in model.model_fields:
            out.problem(body.at_key(key), f"{path}.{key}", "has no value: write one or leave the key out")
            sound = False
        else:
            data[key] = value
    found, complaints = shapes.validate(model, data)
    for loc, message in complaints:
        if message == "is missing" and len(loc) == 1 and (loc[0] in body or not sound):
            continue  # it is there, but empty; or what comes later would have said it
        spot, steps = locate(body, loc)
        unknown = message.startswith("unknown key")
        if unknown:
            spot = _key_spot(body, loc)
        out.problem(spot, f"{path}.{steps}" if steps else path, message)
    return found if sound else None


def _key_spot(body: Map, loc: shapes.Loc) -> Spot:
    here: Any = body
    for step in loc[:-1]:
        here = here[step]
    return here.at_key(str(loc[-1])) if isinstance(here, Map) else body.spot


# ---------------------------------------------------------------- checks


def read_check(name: str, body: Map, path: str, out: Complaints) -> Check | None:
    """One check."""
    kind = body.get("type")
    if not isinstance(kind, str) or kind not in shapes.CHECKS:
        if isinstance(kind, str) and kind in later.CHECK_TYPES:
            out.problem(body.at("type"), f"{path}.type", later.comes_later(f"the check type {kind}"))
        elif kind is None:
            out.problem(body.at("type"), path, f"has no type; possible are {', '.join(shapes.CHECKS)}")
        else:
            near = did_you_mean(kind, shapes.CHECKS) if isinstance(kind, str) else ""
            message = f"{show(kind)} is none of {', '.join(shapes.CHECKS)}{near}"
            out.problem(body.at("type"), f"{path}.type", message)
        return None
    model = read_model(shapes.CHECKS[kind], body, "check", path, out)
    if model is None:
        return None
    _question_check(model, body, path, out)
    # Never slower while a failure counter runs than in quiet times.
    fast = model.fast if "fast" in body else min(model.fast, model.interval)
    port, probe = _probe(model)
    return Check(name, kind, port, probe, model.interval, model.timeout, model.fall, model.rise, model.ok, fast)


def _probe(model: shapes.AnyCheck) -> tuple[int, Probe]:
    match model:
        case shapes.TcpCheck():
            return model.port, TcpProbe(model.send.encode(), model.expect.encode())
        case shapes.CommandCheck():
            return model.port or 0, CommandProbe(model.command)
        case shapes.HttpCheck():
            tls = model.type == "https"
            return model.port or (443 if tls else 80), HttpProbe(
                tls=tls,
                method=model.method,
                path=model.path,
                host=model.host,
                headers=tuple(model.headers.items()),
                statuses=tuple(model.status),
                body=model.body,
                body_limit=model.body_limit,
                verify=model.verify,
            )


def _question_check(model: shapes.AnyCheck, body: Map, path: str, out: Complaints) -> None:
    """What is allowed and probably not meant."""
    time = readers.duration_text
    if model.timeout > model.interval:
        key = "timeout" if "timeout" in body else "interval"
        message = f"the timeout, {time(model.timeout)}, is longer than the interval, {time(model.interval)}"
        out.warning(body.at(key), f"{path}.{key}", f"{message}: dead hosts are asked less often")
    if "fast" in body and model.fast > model.interval:
        message = f"{time(model.fast)} is longer than the interval, {time(model.interval)}"
        out.warning(body.at("fast"), f"{path}.fast", f"{message}: failing hosts are asked less often")
    if isinstance(model, shapes.HttpCheck):
        if model.type == "http" and "verify" in body:
            out.warning(body.at("verify"), f"{path}.verify", "has no effect without TLS (type: https)")
        if model.type == "https" and model.verify and not model.host:
            message = "without host: the certificate must be for the member's address; set host:, or verify: false"
            out.warning(body.spot, path, message)
        if model.method == "HEAD" and model.body:
            out.problem(body.at("body"), f"{path}.body", "an answer to HEAD has no body: use GET")


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
    faulty = PoolEntry(None, out.place(spot), out, refs)
    if "check" in body and "checks" in body:
        out.problem(body.at_key("checks"), f"{path}.checks", "check: and checks: mean the same: use one of them")
        return faulty
    if model is None or model.members is None:
        return faulty
    members = _members(model.members, body, path, out)
    if not members:
        return faulty
    pool = Pool(
        name=name,
        members=members,
        checks=tuple(dict.fromkeys(model.check or model.checks or ())),
        scheduler=model.scheduler or "wrr",
        quorum=model.quorum,
        panic=model.panic,
        families=model.families,
        when_down=WhenDown(model.when_down)
        if isinstance(model.when_down, str)
        else WhenDown("addresses", model.when_down),
    )
    _question_pool(pool, body, path, out)
    return PoolEntry(pool, out.place(spot), out, refs)


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
        name = name or one.address[0]
        if name in members:
            out.problem(spot, where, f"the name {name} is taken by another member of this pool")
            sound = False
        for address in one.address:
            if address in owners:
                whose = "twice here" if owners[address] == name else f"{owners[address]}'s address too"
                out.problem(spot, where, f"{address} is {whose}: an address belongs to one member of a pool")
                sound = False
            owners[address] = name
        members[name] = Member(name, tuple(one.address), one.weight, one.priority)
    return tuple(members.values()) if sound else ()


def _question_pool(pool: Pool, body: Map, path: str, out: Complaints) -> None:
    """What can't work, and what probably is not meant."""
    weights = [member.weight for member in pool.members]
    loaded = sum(1 for weight in weights if weight)
    if pool.quorum > len(weights):
        message = f"{pool.quorum} is more than the {len(weights)} members there are"
        out.problem(body.at("quorum"), f"{path}.quorum", message)
    elif loaded and pool.quorum > loaded:
        message = f"{pool.quorum} is more than the {loaded} members with a weight above 0: the pool is never ok"
        out.warning(body.at("quorum"), f"{path}.quorum", message)
    if not loaded:
        out.warning(body.at("members"), f"{path}.members", "every weight is 0: all are drained, so all are answered")
    if len({member.priority for member in pool.members}) > 1:
        message = f"priorities do nothing yet: {later.comes_later('failover')}; all members serve"
        out.warning(body.at("members"), f"{path}.members", message)
    if not pool.checks and "check" not in body and "checks" not in body:
        out.warning(body.spot, path, "has no check: its members count as up, dead or not (check: [] if that is meant)")
    names: dict[str, Spot] = {}
    for name, spot, where in _check_refs(body, path):
        if names.setdefault(name, spot) != spot:
            out.warning(spot, where, f"the check {name} is named twice")
