"""IPVS as node_exporter tells it: the `node_ipvs_backend_*` lines of its metrics page. Pure.

The three metrics of a server carry the same labels, letter for letter, so a page is read by label text, and each
text is taken apart once. No general parser of the format does that: prometheus_client's takes ten times as long (a page
of 2,000 servers: 171 ms against 17, Python 3.11).
A collector told to leave labels out (`--collector.ipvs.backend-labels`) sums what it can't tell apart; `proto`,
`remote_port` and `local_mark` may be missing, the addresses may not.

A service without servers has no line of its own there, so it can't be told from one that is gone.
"""

from __future__ import annotations

import re

from rrdns.checks.words import plain
from rrdns.directors import Fault
from rrdns.directors.ipvs_parts import canonical, mark, part, report, table
from rrdns.model import DirectorTable, Report

_BACKEND = "node_ipvs_backend_"
_KINDS = {"weight": 0, "connections_active": 1, "connections_inactive": 2}
_LABEL = re.compile(r'([a-z_]+)="([^"\\]*)"(?:,|$)', re.ASCII)
_NUMBER = re.compile(r" +([0-9.eE+-]+)(?: -?\d+)?", re.ASCII)
_PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}
_MOST = 1 << 62


def parse(data: bytes, where: str = "") -> DirectorTable:
    text = data.decode("utf-8", "replace")
    found: dict[str, list[int | None]] = {}
    parts: dict[str, list[Report]] = {}
    seen = False
    for line in text.split("\n"):
        if not line.startswith("node_ipvs_"):
            continue
        seen = True
        name, brace, rest = line.partition("{")
        labels, end, value = rest.rpartition("}")
        if not brace:
            continue  # a sum over all services
        kind = _KINDS.get(name.removeprefix(_BACKEND)) if name.startswith(_BACKEND) else None
        number = _NUMBER.fullmatch(value) if end else None
        if number is None:
            raise Fault(f"{where}: no line of node_exporter: {plain(line, 80)!r}")
        if kind is not None:
            found.setdefault(labels, [None, None, None])[kind] = _whole(number[1], where)
        else:
            parts.setdefault(_place(labels, where)[0], [])  # some newer metric that names a service
    if not seen:
        raise Fault(f"{where}{_missing(text)}")
    if not text.endswith("\n"):
        raise Fault(f"{where}: the page is cut off: its last line has no end")
    for labels, (weight, active, inactive) in found.items():
        name, address, port = _place(labels, where)
        if not address:
            raise Fault(f"{where}: the servers have no label remote_address: see --collector.ipvs.backend-labels")
        parts.setdefault(name, []).append(report(address, port, weight, active, inactive))
    return table(parts)


def _place(labels: str, where: str) -> tuple[str, str, int]:
    """The part, and the server's address ("" if none is named) and port."""
    pairs = dict(_LABEL.findall(labels))
    try:
        local, remote = pairs.get("local_address", ""), pairs.get("remote_address", "")
        if local:
            name = part(_PROTOCOLS[pairs.get("proto", "TCP")], canonical(local), _port(pairs.get("local_port", "")))
        else:
            name = mark(_hex(pairs.get("local_mark", "")))
        return name, canonical(remote) if remote else "", _port(pairs.get("remote_port", "0"))
    except (KeyError, ValueError):
        raise Fault(
            f"{where}: the labels name no service and server: {{{plain(labels, 120)}}}; local_address, local_port, "
            "local_mark and remote_address are needed (see --collector.ipvs.backend-labels there)"
        ) from None


def _hex(text: str) -> int:
    if not re.fullmatch("[0-9A-Fa-f]{1,8}", text):
        raise ValueError
    return int(text, 16)


def _port(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 65536
    if number > 65535:
        raise ValueError
    return number


def _whole(text: str, where: str) -> int:
    if text.isdigit() and len(text) < 16:
        return int(text)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _MOST:
        raise Fault(f"{where}: {plain(text, 30)!r} is no weight and no number of connections")
    return int(value)


def _missing(text: str) -> str:
    """Why there is not one line about IPVS."""
    if 'node_scrape_collector_success{collector="ipvs"} 0' in text:
        return ": node_exporter can't read IPVS there: the module ip_vs is not loaded, or it may not read /proc/net"
    if "node_scrape_collector_success" in text or "node_exporter_build_info" in text:
        return ": node_exporter tells nothing of IPVS there: start it with --collector.ipvs"
    return ": these are no metrics of a node_exporter: the `url:` should end in :9100/metrics"
