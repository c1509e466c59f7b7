"""LVS: the kernel's table of virtual services (IPVS), on this machine or on another.

    written in the zone files          read from                                       gives
    {type: ipvs}                       /proc/net/ip_vs; needs no rights                weight, active, inactive
    {type: ipvs, path: FILE}           a copy of that file
    {type: ipvs, url: http://.../metrics}   node_exporter's collector ipvs there       the same
    {type: ipvs, socket: netlink}      the kernel by netlink; needs CAP_NET_ADMIN,     and connections in total
                                       which rrdns gives up unless it stays root

A fault, never an empty table, where the kernel has no IPVS or the text is not whole. A service without servers is
listed with none. Must not know: pools, what weight 0 means to one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from rrdns.checks.words import plain
from rrdns.directors import Fault, ipvs_metrics, ipvs_netlink
from rrdns.directors.ipvs_parts import mark, part, report, table
from rrdns.directors.reach import Reach, parsed
from rrdns.model import Director, DirectorTable, Report

PROC = "/proc/net/ip_vs"

_HEADER = (  # net/netfilter/ipvs/ip_vs_ctl.c: ip_vs_info_seq_show
    re.compile(r"IP Virtual Server version \d+\.\d+\.\d+ \(size=\d+\)"),
    re.compile(r"Prot LocalAddress:Port Scheduler Flags"),
    re.compile(r"  -> RemoteAddress:Port Forward Weight ActiveConn InActConn"),
)
_SERVICE = re.compile(r"(TCP|UDP|SCTP)\s+(\[[0-9A-Fa-f:]{39}\]|[0-9A-Fa-f]{8}):([0-9A-Fa-f]{4})\s+\S+.*", re.ASCII)
_MARK = re.compile(r"FWM\s+([0-9A-Fa-f]{8})\s+\S+.*", re.ASCII)
_SERVER = re.compile(
    r"  -> +(\[[0-9A-Fa-f:]{39}\]|[0-9A-Fa-f]{8}):([0-9A-Fa-f]{4})\s+([A-Za-z]+)"
    r"\s+(\d{1,15})\s+(\d{1,15})\s+(\d{1,15})\s*",
    re.ASCII,
)


async def read(director: Director, reach: Reach) -> DirectorTable:
    if director.socket == "netlink":
        return await ipvs_netlink.read()
    if director.socket:
        raise Fault(f"`socket: {plain(director.socket, 80)}`: an ipvs director knows only `socket: netlink`")
    if director.url:
        answer = await reach.http(director)
        return await parsed(ipvs_metrics.parse, answer.whole(), answer.where)
    path = director.path or PROC
    try:
        data = await reach.file(path, within=director.timeout)
    except Fault:
        if path == PROC and _has_none():
            raise Fault(
                f"{PROC} does not exist: the kernel here has no IPVS (modprobe ip_vs), or it is in another network "
                "namespace than rrdns"
            ) from None
        raise
    return await parsed(parse, data, path)


def _has_none() -> bool:
    return not Path(PROC).exists()


def parse(data: bytes, where: str = PROC) -> DirectorTable:
    """The text of /proc/net/ip_vs."""
    text = data.decode("ascii", "replace")
    if not text.endswith("\n"):
        raise Fault(f"{where} is empty" if not text else f"{where} is cut off: its last line has no end")
    lines = text.split("\n")
    if len(lines) <= len(_HEADER) or not all(header.match(line) for header, line in zip(_HEADER, lines, strict=False)):
        raise Fault(f"{where} is no table of IPVS: it starts with {plain(lines[0], 60)!r}")
    parts: dict[str, list[Report]] = {}
    here: list[Report] | None = None
    for number, line in enumerate(lines[3:-1], 4):
        try:
            found = _SERVER.fullmatch(line)
            if found is None:
                here = parts.setdefault(_service(line), [])
            elif here is None:
                raise ValueError
            else:
                address, port, how, weight, active, inactive = found.groups()
                here.append(report(_address(address), int(port, 16), int(weight), int(active), int(inactive), how))
        except ValueError:
            raise Fault(f"{where}, line {number}, is no line of IPVS: {plain(line, 60)!r}") from None
    return table(parts)


def _service(line: str) -> str:
    found = _SERVICE.fullmatch(line)
    if found:
        proto, address, port = found.groups()
        return part(proto.lower(), _address(address), int(port, 16))
    found = _MARK.fullmatch(line)
    if found is None:
        raise ValueError
    return mark(int(found[1], 16))


@lru_cache(maxsize=65536)
def _address(text: str) -> str:
    return str(IPv6Address(text[1:-1]) if text.startswith("[") else IPv4Address(int(text, 16)))
