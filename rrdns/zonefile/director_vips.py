"""`use: virtual` at a pool: the directors' VIPs are its members. Floor 1, pure.

    director:
      - {name: lvs1, virtual: 203.0.113.10:80, use: virtual}
      - {name: lvs2, virtual: 203.0.113.20:80, use: virtual}

| the pool's members: | the VIP of an entry                         | is the member                                  |
|---------------------|---------------------------------------------|------------------------------------------------|
| none                | one director's, and its only one here       | called as the director                         |
| none                | one of several of a director (two families) | called as its address                          |
| none                | several directors' (they fail over)         | one, called as its address; who is master says |
| given               | one of their addresses                      | whose address it is                            |
| given               | nobody's address                            | a mistake, told with its place                 |

Several services of one VIP (ports 80 and 443) stand behind one member. A member without an entry is judged by the
checks alone. Must not know: how a director is asked, what a table says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address

from rrdns.model import Following, Member
from rrdns.zonefile import readers
from rrdns.zonefile.complaints import Complaints, Spot
from rrdns.zonefile.yaml_nodes import Map, Seq

EXAMPLE = "members: {vip1: {address: 203.0.113.10, director: {name: ...}}}"


def address(part: str) -> str:
    """The address of a virtual service; "" of a firewall mark, which has none."""
    host = part.rpartition(":")[0].strip("[]")
    try:
        return str(ip_address(host))
    except ValueError:
        return ""


def placed(
    following: Sequence[Following], places: Sequence[tuple[Spot, str]], body: Map, path: str, out: Complaints
) -> tuple[Following, ...] | None:
    """What is written at a pool, each VIP with the member it is; None if there is a fault in it."""
    if not any(one.use == "virtual" for one in following):
        return tuple(following)
    fine = True
    for one, (spot, at) in zip(following, places, strict=True):
        if one.use != "virtual":
            out.problem(spot, at, "stands among VIPs (use: virtual) and is none: a pool has servers or VIPs, not both")
            fine = False
    if not fine:
        return None
    owners = dict(_owners(body.get("members"))) if body.get("members") is not None else _named(following)
    for one, (spot, at) in zip(following, places, strict=True):
        if address(one.part) not in owners:
            out.problem(spot, f"{at}.virtual", f"no member of the pool has the address {address(one.part)}")
            fine = False
    return tuple([replace(one, member=owners[address(one.part)]) for one in following]) if fine else None


def members(following: Sequence[Following]) -> tuple[Member, ...]:
    """The members of a pool that has no others than VIPs; () where these are servers that a table tells."""
    found = {one.member: (address(one.part),) for one in following if one.use == "virtual"}
    return tuple([Member(name, addresses) for name, addresses in found.items()])


def _named(following: Sequence[Following]) -> Mapping[str, str]:
    """What the VIPs are called, by address."""
    whose: dict[str, set[str]] = {}
    vips: dict[str, set[str]] = {}
    for one in following:
        whose.setdefault(address(one.part), set()).add(one.director)
        vips.setdefault(one.director, set()).add(address(one.part))
    names = {}
    for vip, directors in whose.items():
        (name, *others) = directors
        names[vip] = vip if others or len(vips[name]) > 1 else name
    return names


def _owners(members: object) -> Iterator[tuple[str, str]]:
    """Of the members in the files address and name; what is wrong with them is told elsewhere."""
    every: list[tuple[object, object]] = []
    if isinstance(members, Map):
        every = list(members.items())
    elif isinstance(members, Seq):
        every = [(None, one) for one in members]
    for name, one in every:
        if isinstance(one, Map):
            name = name if name is not None else one.get("name")
            one = one.get("address")
        listed = list(one) if isinstance(one, Seq) else [one]
        for text in listed:
            try:
                yield readers.address(text), readers.name(name if name is not None else listed[0])
            except ValueError:
                continue
