"""Squid's list of peers: `/squid-internal-mgr/server_list` of an accelerator, the page `mgr:server_list`.

One block of text a cache_peer; every parent is reported, siblings and multicast groups are not (they hold copies,
nobody is sent there first). There is one part, "".

| Squid says            | here                                                                            |
|-----------------------|---------------------------------------------------------------------------------|
| `Parent     : web1`   | server: the peer's `name=`, or its host                                         |
| `Address[0] : ...`    | address; a peer with several is reported once for each, all with the same counts|
| `Status     : Up`     | up; `Down`: down (TCP connects failed `connect-fail-limit` times, 10 by default)|
| `Flags ... weight=20` | weight; Squid leaves out weight=1                                               |
| `Flags ... default`   | backup: the parent of last resort                                               |
| `OPEN CONNS`          | active: connections held open, idle ones too                                    |
| `FETCHES`             | total                                                                           |

Squid knows no drain. `monitorurl` does not take a peer down (5.7), so one that answers 503 stays Up: give the pool
a check of its own. Must not know: HTTP, pools.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from rrdns.directors import Fault
from rrdns.directors.reach import Reach, parsed
from rrdns.directors.words import address, count, name, page, shown, text_of
from rrdns.model import Director, DirectorTable, Report

PAGE = "/squid-internal-mgr/server_list"
_WHAT = "Squid's server_list"
_KINDS = ("Parent", "Sibling", "Multicast Group", "Non-Peer")
_LINE = re.compile(r"([A-Za-z][A-Za-z0-9 ()\[\]-]{0,30}?) *: *(.*)")
_LAST = "keep-alive ratio"  # ends each block; without it the block is cut off


@dataclass(slots=True)
class _Peer:
    """One block: its name, and its lines by their label."""

    kind: str
    name: str
    lines: dict[str, str] = field(default_factory=dict)


async def read(director: Director, reach: Reach) -> DirectorTable:
    answer = await reach.http(director, page(director.url, PAGE))
    return await parsed(parse, answer.whole())


def parse(data: bytes) -> DirectorTable:
    text = text_of(data, _WHAT)
    if "There are no neighbors installed" in text:
        raise Fault(f"{_WHAT}: this Squid has no cache_peer")
    peers = list(_peers(text))
    if not peers:
        raise Fault(f"{_WHAT}: no peer in it; `url:` should end in {PAGE}")
    if not text.endswith("\n") or _LAST not in peers[-1].lines:
        raise Fault(f"{_WHAT} is cut off in the block of {shown(peers[-1].name)}")
    reports = tuple(report for peer in peers if peer.kind == "Parent" for report in _reports(peer))
    if not reports:
        raise Fault(f"{_WHAT}: no peer in it is a parent")
    return DirectorTable({"": reports})


def _peers(text: str) -> Iterator[_Peer]:
    peer = None
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        label, value = found[1].strip(), found[2].strip()
        if label in _KINDS:
            if peer is not None:
                yield peer
            peer = _Peer(label, value)
        elif peer is not None:
            peer.lines.setdefault(label, value)
    if peer is not None:
        yield peer


def _reports(peer: _Peer) -> Iterator[Report]:
    told = peer.lines.get("Status", "")
    status = told.lower()
    if status not in ("up", "down"):
        raise Fault(f"{_WHAT}: {shown(peer.name)} has the status {shown(told)!r}, which is neither Up nor Down")
    host, port = _host(peer)
    failed = peer.lines.get("Last failed connect() at")
    why = shown(told) + (f", last failed connect() at {shown(failed)}" if failed and status == "down" else "")
    flags = peer.lines.get("Flags", "").split()
    weight = next((count(flag[7:]) for flag in flags if flag.startswith("weight=")), 1)
    found = [address(value) for label, value in peer.lines.items() if label.startswith("Address[")]
    for one in dict.fromkeys(filter(None, found)) or [address(host)]:
        yield Report(
            server=name(peer.name or host),
            address=one,
            port=port,
            word=status,
            why=why,
            weight=weight,
            active=count(peer.lines.get("OPEN CONNS")),
            total=count(peer.lines.get("FETCHES")),
            backup="default" in flags,
        )


def _host(peer: _Peer) -> tuple[str, int]:
    """`127.0.0.1/28081/0`: host, HTTP port, ICP port."""
    host, _, ports = peer.lines.get("Host", "").partition("/")
    port = count(ports.partition("/")[0])
    if not host or port is None or port > 65535:
        raise Fault(f"{_WHAT}: {shown(peer.name)} has no `Host : name/port/port` line")
    return host, port
