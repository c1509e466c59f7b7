"""mod_jk's status worker: `?mime=xml`, or `?mime=prop` where `url:` says so.

A part is a load-balancing worker (`worker.NAME.type=lb`), by its name; its members are the servers.

| activation | state                                        | here                                           |
|------------|----------------------------------------------|------------------------------------------------|
| STP        | any                                          | maint                                          |
| any        | ERR, ERR/REC, ERR/FRC, ERR/PRB (being tried) | down                                           |
| DIS        | OK...                                        | drain: sticky sessions only                    |
| DIS        | OK..., `redirect=` of another names it       | up, backup: mod_jk's hot standby               |
| ACT        | OK, OK/IDLE (no request yet), OK/BSY         | up                                             |

A `distance` above the lowest: backup. lbfactor is the weight, busy what is active, elected the total, `address` where
mod_jk resolved the host to. A state changes under traffic only, unless a watchdog and pings are set up: give the pool
a check of its own. Must not know: HTTP, pools.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import parse_qsl, urlencode

from rrdns.directors import Fault
from rrdns.directors.reach import Reach, parsed
from rrdns.directors.words import address, children, count, endpoint, local, name, page, shown, text_of, xml
from rrdns.model import Director, DirectorTable, Report

_WHAT = "mod_jk's status"
_PAGE = "/jkstatus"
_Member = Mapping[str, str]
_Groups = dict[str, Sequence[_Member]]


async def read(director: Director, reach: Reach) -> DirectorTable:
    base, _, query = page(director.url, _PAGE).partition("?")
    asked = {"mime": "xml", **dict(parse_qsl(query))}
    answer = await reach.http(director, f"{base}?{urlencode(asked)}")
    return await parsed(parse, answer.whole())


def parse(data: bytes) -> DirectorTable:
    """Either format; which one is seen from its first character."""
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:9].lower()
    groups = _from_xml(data) if start.startswith(b"<") and not start.startswith(b"<!doctype") else _from_prop(data)
    if not groups:
        raise Fault(f"{_WHAT}: no worker of type lb in it")
    return DirectorTable({name(lb): tuple(_reports(members, lb)) for lb, members in groups.items()})


def _from_xml(data: bytes) -> _Groups:
    root = xml(data, _WHAT)
    if local(root) == "html":
        text_of(data, _WHAT)
    if local(root) != "status":
        raise Fault(f"{_WHAT}: XML of something else came (<{shown(local(root))}>)")
    for result in children(root, "result"):
        _checked(result.get("type", ""), result.get("message", ""))
    groups: _Groups = {}
    for balancer in [one for balancers in children(root, "balancers") for one in children(balancers, "balancer")]:
        members = [member.attrib for member in children(balancer, "member")]
        told = count(balancer.get("member_count", ""))
        if told is not None and told != len(members):
            raise Fault(f"{_WHAT}: {told} members are announced and {len(members)} listed")
        _add(groups, balancer.get("name", ""), members)
    return groups


def _from_prop(data: bytes) -> _Groups:
    """`worker.node1.state=OK`. A member of two balancers stands there twice: what counts is which one came last."""
    groups: dict[str, list[dict[str, str]]] = {}
    lb, member, result = "", "", {"type": "", "message": ""}
    for line in text_of(data, _WHAT).splitlines():
        key, equals, value = line.partition("=")
        prefix, _, rest = key.partition(".")
        if not equals or prefix != "worker" or not rest:
            if line.strip():
                raise Fault(f"{_WHAT}: neither XML nor properties: {shown(line)!r}; `url:` needs ?mime=xml at its end")
            continue
        owner, _, what = rest.rpartition(".")
        if owner == "result" and what in result:
            result[what] = value
        elif what == "type" and value == "lb":
            groups.setdefault(owner, [])
        elif what == "balance_workers":
            if owner not in groups:
                raise Fault(f"{_WHAT}: members of {shown(owner)}, which is no worker of type lb")
            lb, member = owner, value
            groups[lb].append({"name": value})
        elif owner == member and lb:
            groups[lb][-1][what] = value
    if not result["message"]:
        raise Fault(f"{_WHAT} is cut off: its last lines, worker.result, are missing")
    _checked(result["type"], result["message"])
    return {one: list(members) for one, members in groups.items()}


def _checked(result: str, message: str) -> None:
    if result != "OK":
        raise Fault(f"{_WHAT} answers {shown(result)}: {shown(message)}")


def _add(groups: _Groups, lb: str, members: Sequence[_Member]) -> None:
    if not lb or lb in groups:
        raise Fault(f"{_WHAT}: a balancer named {shown(lb)!r}, which is no name, or stands there twice")
    groups[lb] = members


def _reports(members: Sequence[_Member], lb: str) -> Iterator[Report]:
    standbys = {one.get("redirect", "") for one in members} - {""}
    distances = [_number(one, "distance", lb, 0) for one in members]
    nearest = min(distances, default=0)
    for one, distance in zip(members, distances, strict=True):
        word, standby = _word(one, standbys, lb)
        host, port = endpoint(one.get("address", ""))  # "(null)" or "undefined" where it could not be resolved
        yield Report(
            server=name(one.get("name", "")),
            address=address(host) or address(one.get("host", "")),
            port=_number(one, "port", lb, port),
            word=word,
            why=shown(f"{one['activation']} {one['state']}"),
            weight=_number(one, "lbfactor", lb),
            active=_number(one, "busy", lb),
            total=_number(one, "elected", lb),
            backup=standby or distance > nearest,
        )


def _word(one: _Member, standbys: set[str], lb: str) -> tuple[str, bool]:
    activation, state = one.get("activation", ""), one.get("state", "")
    short = activation[:3].upper()
    if not one.get("name") or short not in ("ACT", "DIS", "STP") or state[:3] not in ("OK", "OK/", "ERR"):
        raise Fault(
            f"{_WHAT}: {shown(lb)} has the member {shown(one.get('name', ''))!r} with activation {shown(activation)!r} "
            f"and state {shown(state)!r}: cut off, or of an unknown version"
        )
    if short == "STP":
        return "maint", False
    standby = short == "DIS" and bool({one["name"], one.get("route", "")} & standbys)
    if state.startswith("ERR"):
        return "down", standby
    return ("drain" if short == "DIS" and not standby else "up"), standby


def _number(one: _Member, key: str, lb: str, default: int | None = None) -> int:
    value = count(one.get(key, "")) if key in one or default is None else default
    if value is None or (key == "port" and value > 65535):
        raise Fault(f"{_WHAT}: {shown(one.get('name', ''))} of {shown(lb)} has {key} {shown(one.get(key, 'nothing'))}")
    return value
