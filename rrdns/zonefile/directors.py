"""Directors and who follows them: from the section `directors:` and the word `director:` to model.Director, Following.

What needs both ends (is there such a director, does its type have such a part) is judged by `judge`, called from
`references.py`. Faulty entries are kept as names, so that nobody who refers to them is blamed. Must not know:
zones, pydantic, how a director is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rrdns.model import Director, Following, Place, Pool, herald
from rrdns.zonefile import director_vips, member_names, readers
from rrdns.zonefile.complaints import Complaints, Spot, did_you_mean
from rrdns.zonefile.director_shapes import DIRECTORS, PART_KEYS, PARTS, FollowModel
from rrdns.zonefile.fitting import read_model
from rrdns.zonefile.scalars import show
from rrdns.zonefile.yaml_nodes import Map, Seq


@dataclass(frozen=True, slots=True)
class DirectorEntry:
    """A director as found; `director` None: it has faults, which are reported. `type` "": not known. `master`: the
    director it names as its herald, with place and path."""

    director: Director | None
    type: str
    place: Place
    out: Complaints
    master: tuple[str, Spot, str] | None = None


@dataclass(frozen=True, slots=True)
class DirectorRef:
    """A pool's mention of a director. `part_key`: the key by which it names the part of the table, "" for none.
    `herald`: it is to tell who is the master."""

    name: str
    spot: Spot
    path: str
    part_key: str
    part_spot: Spot
    at_member: bool
    herald: bool = False


# ---------------------------------------------------------------- the section


def entry(name: str, body: Map | None, spot: Spot, path: str, out: Complaints) -> DirectorEntry:
    """One director; `body` None: it is no mapping, which is reported."""
    if body is None:
        return DirectorEntry(None, "", out.place(spot), out)
    kind = _type(body, path, out)
    if "password" in body:
        message = "a password does not belong in this file: write password_file: PATH, or password_env: NAME"
        out.problem(body.at_key("password"), f"{path}.password", message)
    asked = _without(body, "password")
    model: Any = read_model(DIRECTORS[kind], asked, "director", path, out) if kind else None
    master = body.get("master")
    ref = (_herald(master), body.at("master"), f"{path}.master") if isinstance(master, str | int) else None
    faulty = DirectorEntry(None, kind, out.place(spot), out, ref)
    if model is None or "password" in body or not _fits(model, body, spot, path, out):
        return faulty
    given = model.model_dump()
    secret = given.get("password_file"), given.get("password_env")
    director = Director(
        name=name,
        type=kind,
        url=given.get("url") or "",
        socket=given.get("socket") or "",
        path=given.get("path") or "",
        fifo=given.get("fifo") or "",
        user=given.get("user") or "",
        master=given["master"] or "",
        command=given.get("command") or (),
        interval=given["interval"],
        timeout=given["timeout"],
        stale_after=given["stale_after"],
        password_from=f"file:{secret[0]}" if secret[0] else f"env:{secret[1]}" if secret[1] else "",
        verify=given.get("verify", True),
    )
    if director.stale_after < director.interval + director.timeout:
        time = readers.duration_text
        shortest = time(director.interval + director.timeout)
        message = (
            f"{time(director.stale_after)} is less than interval and timeout together, {shortest}: one slow answer"
        )
        out.warning(body.at("stale_after"), f"{path}.stale_after", f"{message} silences it")
    return DirectorEntry(director, kind, out.place(spot), out, ref)


def _type(body: Map, path: str, out: Complaints) -> str:
    kind = body.get("type")
    if isinstance(kind, str) and kind in DIRECTORS:
        return kind
    listed = ", ".join(DIRECTORS)
    if kind is None:
        out.problem(body.at("type"), path, f"has no type; possible are {listed}")
    else:
        near = did_you_mean(kind, DIRECTORS) if isinstance(kind, str) else ""
        out.problem(body.at("type"), f"{path}.type", f"{show(kind)} is none of {listed}{near}")
    return ""


def _herald(master: str | int) -> str:
    """The director that `master:` names."""
    return herald(readers.text(master))[0]


def _without(body: Map, key: str) -> Map:
    if key not in body:
        return body
    rest = Map(body.spot)
    rest.update({name: value for name, value in body.items() if name != key})
    rest.spots = body.spots
    return rest


def _fits(model: Any, body: Map, spot: Spot, path: str, out: Complaints) -> bool:
    """What one key alone can't tell."""
    fine = True
    doors = [key for key in ("url", "socket", "path", "command") if key in body]
    if len(doors) > 1:
        out.problem(body.at_key(doors[1]), f"{path}.{doors[1]}", f"stands beside {doors[0]}: use one of them")
        fine = False
    if model.type == "haproxy" and not doors:
        out.problem(spot, path, "needs socket: (/run/haproxy/admin.sock, or host:port) or url: (its stats page)")
        fine = False
    if model.type == "keepalived" and not doors and "fifo" not in body:
        message = "needs fifo: (its notify_fifo), path: (its notify log or JSON dump) or command: (which prints that)"
        out.problem(spot, path, message)
        fine = False
    if "password_file" in body and "password_env" in body:
        out.problem(body.at_key("password_env"), f"{path}.password_env", "stands beside password_file: use one of them")
        fine = False
    if "url" not in body:
        for key in ("user", "password_file", "password_env", "verify"):
            if key in body:
                out.problem(body.at_key(key), f"{path}.{key}", "has no effect without url:")
                fine = False
    elif "user" not in body and ("password_file" in body or "password_env" in body):
        out.problem(spot, path, "has a password and no user:")
        fine = False
    return fine


# ---------------------------------------------------------------- who follows


def followed(body: Map, path: str, out: Complaints) -> tuple[tuple[Following, ...] | None, tuple[DirectorRef, ...]]:
    """What a pool's body says of directors, at the pool or at its members; None if there is a fault in it."""
    found: list[Following] = []
    refs: list[DirectorRef] = []
    places: list[tuple[Spot, str]] = []
    fine = True
    at_members = False
    for holder, where, member in _holders(body, path):
        if member and not at_members and found:
            message = "the pool follows a director already: write it either at the pool or at its members"
            out.problem(holder.at_key("director"), f"{where}.director", message)
            fine = False
        at_members = at_members or bool(member)
        for value, spot, at in _several(holder, where):
            one = _one(value, holder, spot, at, member, out, refs)
            if one is None:
                fine = False
            elif one in found:
                out.problem(spot, at, "says the same as the one before it")
                fine = False
            else:
                found.append(one)
                places.append((value.at("virtual") if isinstance(value, Map) else spot, at))
    if not fine or at_members:
        return (tuple(found) if fine else None), tuple(refs)
    return director_vips.placed(found, places, body, path, out), tuple(refs)


def _holders(body: Map, path: str) -> Iterator[tuple[Map, str, str]]:
    """The mappings that have a `director:`: the pool's, then its members', with path and the member's name."""
    if body.get("director") is not None:
        yield body, path, ""
    members = body.get("members")
    if isinstance(members, Map):
        for name, one in members.items():
            if isinstance(one, Map) and one.get("director") is not None:
                yield one, f"{path}.members.{name}", name
    elif isinstance(members, Seq):
        for index, one in enumerate(members):
            if isinstance(one, Map) and one.get("director") is not None:
                address = one.get("address")
                first = address[0] if isinstance(address, Seq) and address else address
                yield one, f"{path}.members.{index}", _member_name(one.get("name"), first)


def _member_name(name: object, address: object) -> str:
    """The name the member will have; anything where it has a fault that is reported elsewhere."""
    try:
        return readers.name(name) if name is not None else member_names.called(member_names.read(address))
    except ValueError:
        return "?"


def _several(holder: Map, where: str) -> Iterator[tuple[Any, Spot, str]]:
    value = holder["director"]
    if isinstance(value, Seq):
        for index, (one, spot) in enumerate(zip(value, value.spots, strict=True)):
            yield one, spot, f"{where}.director.{index}"
    else:
        yield value, holder.at("director"), f"{where}.director"


def _one(
    value: Any, holder: Map, spot: Spot, path: str, member: str, out: Complaints, refs: list[DirectorRef]
) -> Following | None:
    if isinstance(value, str | int) and not isinstance(value, bool):
        short = Map(spot)
        short["name"] = value
        short.spots["name"] = (*spot, *spot)
        value = short
    if not isinstance(value, Map):
        out.problem(spot, path, f"{show(value)} is not a director's name nor {{name: ..., virtual: ...}}")
        return None
    parts = [key for key in value if key in PART_KEYS]
    name = value.get("name")
    if isinstance(name, str | int) and not isinstance(name, bool):
        key = parts[0] if parts else ""
        refs.append(DirectorRef(readers.text(name), value.at("name"), path, key, value.at_key(key), bool(member)))
    master = value.get("master")
    if isinstance(master, str | int) and not isinstance(master, bool) and _herald(master):
        spot = value.at("master")
        refs.append(DirectorRef(_herald(master), spot, f"{path}.master", "", spot, bool(member), herald=True))
    model = read_model(FollowModel, value, "director", path, out)
    if model is None or not _sensible(model, value, parts, path, member, out):
        return None
    return Following(
        director=model.name,
        part=getattr(model, parts[0]) if parts else "",
        use="virtual" if member or model.use == "virtual" else "real-servers",
        member=member,
        map=model.map,
        sorry=model.sorry or "",
        weight_zero=model.weight_zero,
        quorum=model.quorum,
        master=model.master or "",
    )


def _sensible(model: FollowModel, body: Map, parts: list[str], path: str, member: str, out: Complaints) -> bool:
    """
    | key     | at the pool: real servers     | at the pool, use: virtual          | at a member: its VIP          |
    |---------|-------------------------------|------------------------------------|-------------------------------|
    | use     | real-servers                  | virtual, at all of the list        | virtual                       |
    | virtual | where its type has such parts | needed: its address is the VIP     | where its type has such parts |
    | map     | yes                           | no: the VIP is answered            | no: the VIP is answered       |
    | quorum  | no: the pool's is beside it   | yes                                | yes                           |
    """
    wrong: list[tuple[str, str]] = []
    vip = model.use == "virtual"
    if len(parts) > 1:
        wrong.append((parts[1], f"stands beside {parts[0]}: a table is told by one of them"))
    if member and model.use == "real-servers":
        wrong.append(("use", "a member's director stands behind its VIP: use: virtual, or write it at the pool"))
    if (member or vip) and "map" in body:
        wrong.append(("map", "has no effect here: a VIP is answered, not the servers behind it"))
    if not member and not vip and "quorum" in body:
        wrong.append(("quorum", "belongs to the pool: write quorum: beside director:"))
    if not member and vip and not director_vips.address(model.virtual or ""):
        message = "here virtual: must name the VIP (203.0.113.10:80)"
        wrong.append(("use", f"{message}; else write it at each member: {director_vips.EXAMPLE}"))
    for key, message in wrong:
        out.problem(body.at_key(key), f"{path}.{key}", message)
    return not wrong


def weight_from(given: str | None, following: tuple[Following, ...], body: Map) -> str:
    """Whose weights count: the zone's if any member has one, else the director's."""
    if given is not None or not following:
        return given or "zone"
    members = body.get("members")
    listed = members.values() if isinstance(members, Map) else members if isinstance(members, Seq) else ()
    return "zone" if any(isinstance(one, Map) and "weight" in one for one in listed) else "director"


def question(pool: Pool, given: str | None, body: Map, path: str, out: Complaints) -> None:
    """What can't work, and what probably is not meant."""
    if given == "director" and not pool.following:
        out.problem(body.at("weight_from"), f"{path}.weight_from", "there is no director: that would tell weights")
    if given == "zone" and not pool.members:
        message = "without members: there are no weights here, so all members count the same"
        out.warning(body.at("weight_from"), f"{path}.weight_from", message)


# ---------------------------------------------------------------- both ends


def judge(ref: DirectorRef, found: DirectorEntry) -> tuple[Spot, str, str] | None:
    """What is wrong between a pool's mention and the director it means: place, path, message."""
    if not found.type:
        return None  # it has a fault already
    if ref.herald:
        message = f"{ref.name} is of type {found.type}: only keepalived tells who is the master"
        return (ref.spot, ref.path, message) if found.type != "keepalived" else None
    if found.type not in PARTS:
        message = f"{ref.name} is of type {found.type}, which lists no servers: name it as master: of another director"
        return ref.spot, ref.path, message
    key, needed = PARTS[found.type]
    if found.type == "lbcd" and not ref.at_member:
        return ref.spot, ref.path, f"{ref.name} is of type lbcd, which tells of one host: write it at that member"
    if ref.part_key and ref.part_key != key:
        what = f"its table is told by {key}:" if key else "it has one table: leave this out"
        return ref.part_spot, f"{ref.path}.{ref.part_key}", f"{ref.name} is of type {found.type}; {what}"
    if needed and not ref.part_key:
        return ref.spot, ref.path, f"{ref.name} is of type {found.type}: say which {_NOUNS[found.type]}, by {key}:"
    return None


_NOUNS = {
    "ipvs": "virtual service",
    "haproxy": "backend",
    "apache": "balancer",
    "mod_jk": "load balancing worker",
    "envoy": "cluster",
}
