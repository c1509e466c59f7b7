"""What all three ways into an IPVS table share: the names of its parts, and the order of their servers. Pure.

    TCP 203.0.113.10 port 80    `203.0.113.10:80`
    UDP                         `203.0.113.10:80/udp`      SCTP: `/sctp`
    IPv6                        `[2001:db8::1]:80`
    firewall mark 7             `fwm:7`, IPv4 and IPv6 in one

A server's order in the kernel is that of its adding, newest first, so it differs between two directors that say the
same: here it is by address. Weight 0 is told as weight 0 of a server that is up; whether that means drained or
failed is for who follows to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address

from rrdns.model import DirectorTable, Report


def part(proto: str, address: str, port: int) -> str:
    shown = f"[{address}]" if ":" in address else address
    return f"{shown}:{port}" + ("" if proto == "tcp" else f"/{proto}")


def mark(number: int) -> str:
    return f"fwm:{number}"


def report(
    address: str,
    port: int,
    weight: int | None,
    active: int | None,
    inactive: int | None,
    how: str = "",
    total: int | None = None,
) -> Report:
    """`how` is the forwarding: Route (direct routing), Tunnel, Masq (NAT), Local, Bypass."""
    words = [one for one in (how, "" if weight is None else f"weight {weight}") if one]
    return Report("", address, port, "up", ", ".join(words), weight, active, inactive, total)


def table(parts: Mapping[str, Iterable[Report]]) -> DirectorTable:
    return DirectorTable({name: tuple(sorted(reports, key=_order)) for name, reports in parts.items()})


@lru_cache(maxsize=65536)
def canonical(address: str) -> str:
    """ValueError if it is no address."""
    return str(ip_address(address))


@lru_cache(maxsize=65536)
def _packed(address: str) -> tuple[int, bytes]:
    found = ip_address(address)
    return found.version, found.packed


def _order(one: Report) -> tuple[tuple[int, bytes], int]:
    return _packed(one.address), one.port
