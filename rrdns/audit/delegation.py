"""A zone's delegation as the world sees it, against what the zone itself says. Pure.

| the parent says               | we say            | finding                                                      |
|-------------------------------|-------------------|--------------------------------------------------------------|
| nothing                       | any               | not delegated                                                |
| a server that we do not have  |                   | clients are sent there, and it is none of ours               |
|                               | one it lacks      | nobody finds it                                              |
| glue                          | other addresses   | clients are sent to an old address                           |
| no glue, and it is needed     | addresses         | nobody can find the server                                   |

And of each listed server: it must answer for the zone (SOA, with AA), with the serial that we have or a younger one
of ours. Must not know: how it was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rrdns.audit.findings import Finding

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One zone from outside. `listed`: name servers in the parent's referral, with the glue it gives; `servers`: by
    name and address the serial it answers with, or in words why it does not; `fault`: why nothing could be seen."""

    parent: str = ""
    listed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    servers: Mapping[tuple[str, str], int | str] = field(default_factory=dict)
    fault: str = ""


def judge(zone: str, ours: Json, seen: Seen) -> Iterator[Finding]:
    """`ours` as `facts.name_servers` gives it."""
    if seen.fault:
        yield Finding("delegation", zone, seen.fault)
        return
    mine = {_name(name): set(addresses) for name, addresses in ours["ns"].items()}
    listed = {_name(name): set(addresses) for name, addresses in seen.listed.items()}
    for name in sorted(listed.keys() - mine.keys()):
        text = f"its parent {seen.parent} sends clients to {name}, which is no NS of the zone here"
        yield Finding("delegation", zone, text)
    for name in sorted(mine.keys() - listed.keys()):
        yield Finding("delegation", zone, f"{name} is an NS of the zone, but its parent {seen.parent} does not list it")
    for name in sorted(mine.keys() & listed.keys()):
        if mine[name] and listed[name] and mine[name] != listed[name]:
            text = f"the glue of {name} at {seen.parent} is {_words(listed[name])}, here it is {_words(mine[name])}"
            yield Finding("delegation", zone, text)
        elif not listed[name] and name.endswith(f".{zone}") and mine[name]:
            yield Finding("delegation", zone, f"{seen.parent} gives no glue for {name}, which lies in the zone itself")
    yield from _servers(zone, ours, seen)


def _servers(zone: str, ours: Json, seen: Seen) -> Iterator[Finding]:
    for (name, address), said in sorted(seen.servers.items()):
        who = f"{name} ({address})" if address else name
        if isinstance(said, str):
            yield Finding("name-server", zone, f"{who}: {said}")
        elif said != ours["serial"] and (ours["serial"] - said) % 2**32 < 2**31:
            yield Finding("name-server", zone, f"{who} has serial {said}, older than ours, {ours['serial']}")


def _name(text: str) -> str:
    return text.lower().rstrip(".") + "."


def _words(addresses: set[str]) -> str:
    return " ".join(sorted(addresses))
