"""The facts rrdns works with: zones, pools, checks, health, events. Floor 0: plain frozen data.

Must not know: files, sockets, clocks, YAML, how anything is decided. Times named `now`, `at`, `since`
and `until` are monotonic seconds; `..._wall` are Unix seconds, for people and for the disk only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

# ---------------------------------------------------------------- where something stands in a file


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file the operator wrote; lines and columns count from 1, 0 means "the whole file"."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong (or, as a warning, doubtful) in the files: `zones/pools.yaml:14:13: pools.web: ...`."""

    place: Place
    path: str
    message: str
    warning: bool = False

    def __str__(self) -> str:
        kind = "warning: " if self.warning else ""
        path = f"{self.path}: " if self.path else ""
        return f"{self.place}: {kind}{path}{self.message}"


# ---------------------------------------------------------------- what the files say


@dataclass(frozen=True, slots=True)
class RRset:
    """Static records of one (name, type). `name` is lower-case wire form; `rdatas` are uncompressed wire rdata."""

    name: bytes
    type: int
    ttl: int
    rdatas: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Service:
    """An owner name whose A and AAAA come from a pool (a POOL record). `answers` 0 means all that fit."""

    name: bytes
    zone: bytes
    pool: str
    ttl: int = 20
    ttl_min: int = 5
    answers: int = 8
    scheduler: str = "wrr"


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone: its apex (lower-case wire name), static RRsets (SOA and NS among them) and services."""

    name: bytes
    serial: int
    rrsets: tuple[RRset, ...]
    services: tuple[Service, ...] = ()


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """Connect; optionally send bytes and wait until `expect` (a substring) has been seen."""

    send: bytes = b""
    expect: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """One HTTP/1.1 request. `statuses` are inclusive ranges; `body` must stand in the first `body_limit` bytes."""

    tls: bool = False
    method: str = "GET"
    path: str = "/"
    host: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    statuses: tuple[tuple[int, int], ...] = ((200, 299),)
    body: str = ""
    body_limit: int = 65536
    verify: bool = True


@dataclass(frozen=True, slots=True)
class CommandProbe:
    """Run a program; `{address}` and `{port}` in its arguments are replaced; exit code 0 is up."""

    argv: tuple[str, ...] = ()


Probe = TcpProbe | HttpProbe | CommandProbe


@dataclass(frozen=True, slots=True)
class Check:
    """What to ask a host and how to judge it. Times in seconds. `port` 0: the command needs none."""

    name: str
    type: str
    port: int
    probe: Probe
    interval: float = 5.0
    timeout: float = 2.0
    fall: int = 3
    rise: int = 3
    ok: int = 5
    fast: float = 1.0

    def key(self, address: str) -> str:
        """The identity of this check aimed at `address`: the same for equal checks of any name."""
        asked = (
            self.type,
            self.port,
            self.probe,
            self.interval,
            self.timeout,
            self.fall,
            self.rise,
            self.ok,
            self.fast,
        )
        return f"{hashlib.sha256(repr(asked).encode()).hexdigest()[:12]}@{address}"


@dataclass(frozen=True, slots=True)
class Target:
    """One (check, address), probed once however many pools use it."""

    key: str
    check: Check
    address: str


@dataclass(frozen=True, slots=True)
class Member:
    """One host of a pool. `addresses` are canonical text, IPv4 and IPv6 mixed, at least one."""

    name: str
    addresses: tuple[str, ...]
    weight: int = 1
    priority: int = 1


@dataclass(frozen=True, slots=True)
class WhenDown:
    """What to answer when no host is known good: all | empty | servfail | last | addresses."""

    word: str = "all"
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """Hosts that stand in for one another. `checks` are names; all must pass. `panic` is a share or None."""

    name: str
    members: tuple[Member, ...]
    checks: tuple[str, ...] = ()
    scheduler: str = "wrr"
    quorum: int = 1
    panic: float | None = None
    families: str = "all"
    when_down: WhenDown = WhenDown()


@dataclass(frozen=True, slots=True)
class DataSet:
    """Everything one directory says; it is in force as a whole or not at all."""

    zones: Mapping[bytes, Zone] = field(default_factory=dict)
    pools: Mapping[str, Pool] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)


# ---------------------------------------------------------------- what is learned


class State(StrEnum):
    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one probe. `silent`: nothing came back at all (timeout, unreachable), so the fault may
    be our own path. `void`: our own loop lagged; the result says nothing and must not be counted."""

    ok: bool
    reason: str
    took: float = 0.0
    silent: bool = False
    void: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """What is believed of one target, and the counters it rests on (rules: `health.py`).

    `state` since `since`; `failures` add up while up; `successes` in a row; `need` is today's rise, raised
    by relapses; `relapse_at` is when it last came up (0.0: never); `seen` is the last counted result.
    """

    state: State = State.UNKNOWN
    since: float = 0.0
    failures: int = 0
    successes: int = 0
    need: int = 0
    relapse_at: float = 0.0
    seen: float = 0.0
    reason: str = "not probed yet"
    took: float = 0.0


@dataclass(frozen=True, slots=True)
class Override:
    """An operator's word on one member of one pool. `word`: drain | disable."""

    pool: str
    member: str
    word: str
    owner: str
    reason: str
    since_wall: float
    until: float | None = None
    until_wall: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One transition. `subject`: target | member | pool | service | override | reload | server."""

    at: float
    subject: str
    name: str
    before: str
    after: str
    why: str
