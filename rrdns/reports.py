"""What directors say: which load balancers are read, how a pool follows one, and a reading of its table. Floor 0.

Plain frozen data. `model.py` hands it on; import it from there. Must not know: how a table is read or parsed, YAML,
what a word of a director comes to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Director:
    """A load balancer whose table is read; times in seconds. Of `url`, `socket` (a path, or host:port), `path` and
    `command` a type has one, or none: this machine's own table. `fifo` is keepalived's notify_fifo, alone or beside one
    of these. `password` is never written here: `password_from` is `file:PATH` or `env:NAME`, read at each poll.
    `master` names the director (of type keepalived) that tells whether this one is the master, see `herald`."""

    name: str
    type: str
    url: str = ""
    socket: str = ""
    path: str = ""
    command: tuple[str, ...] = ()
    interval: float = 2.0
    timeout: float = 2.0
    stale_after: float = 30.0
    user: str = ""
    password_from: str = ""
    verify: bool = True
    master: str = ""
    fifo: str = ""


@dataclass(frozen=True, slots=True)
class Following:
    """A pool's word that it follows one part of a director's table.

    part         the virtual service, backend, balancer, worker, cluster or peer list; "" where a table has only one
    use          real-servers: members are (or are judged by) the servers there; virtual: the members are directors'
                 VIPs, and `part` is what stands behind the VIP of `member`
    member       with `use: virtual`, the member whose VIP this is; else ""
    map          (network there, network here): servers behind NAT are answered with the address mapped
    sorry        address of the sorry server: only that left means the pool is down
    weight_zero  drain | down: what weight 0 at the director means
    quorum       with `use: virtual`, servers that must be up behind the VIP
    master       who tells whether the director is the master for this part, see `herald`; "": as its own `master` says
    """

    director: str
    part: str = ""
    use: str = "real-servers"
    member: str = ""
    map: tuple[tuple[str, str], ...] = ()
    sorry: str = ""
    weight_zero: str = "drain"
    quorum: int = 1
    master: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a director says of one of its servers.

    server      its name there, "" where it has none
    address     canonical text, "" where the director does not tell it
    word        up | down | drain | maint | unknown (it does not check, or can't say)
    why         the director's own words
    weight      as it is in force there, None: not told
    active, inactive, total   connections now, idle or closing ones, and since the director's start; None: not told
    backup      serves only when no other does
    """

    server: str
    address: str
    port: int
    word: str
    why: str = ""
    weight: int | None = None
    active: int | None = None
    inactive: int | None = None
    total: int | None = None
    backup: bool = False


@dataclass(frozen=True, slots=True)
class DirectorTable:
    """One reading of a director: its parts by name, and whether it is the master (None: it does not say). The parts of
    a keepalived are its VRRP instances, each with one report: `up` where it is the master of it, else `down`. `note`:
    what is odd though it could be read, for people."""

    parts: Mapping[str, tuple[Report, ...]] = field(default_factory=dict)
    master: bool | None = None
    note: str = ""


class Unheard(str):
    """Why a director could not be read, where nothing at all came back from it: the fault may be our own path."""

    __slots__ = ()


def herald(master: str) -> tuple[str, str]:
    """Of `ka1/VI_2` the director, and the VRRP instance whose state counts; "" after `ka1` alone: all of them."""
    name, _, instance = master.partition("/")
    return name, instance
