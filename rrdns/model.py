"""The facts rrdns works with: zones, pools, checks, health, events. Floor 0: plain frozen data.

Must not know: files, sockets, clocks, YAML, how anything is decided. Times named `now`, `at`, `since`
and `until` are monotonic seconds; `..._wall` are Unix seconds, for people and for the disk only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rrdns.probes import AgentProbe as AgentProbe
from rrdns.probes import CommandProbe as CommandProbe
from rrdns.probes import DnsProbe as DnsProbe
from rrdns.probes import Elsewhere as Elsewhere
from rrdns.probes import GrpcProbe as GrpcProbe
from rrdns.probes import HttpProbe as HttpProbe
from rrdns.probes import IcmpProbe as IcmpProbe
from rrdns.probes import Probe as Probe
from rrdns.probes import SmtpProbe as SmtpProbe
from rrdns.probes import TcpProbe as TcpProbe
from rrdns.probes import TlsProbe as TlsProbe
from rrdns.promotions import Fence as Fence
from rrdns.reports import Director as Director
from rrdns.reports import DirectorTable as DirectorTable
from rrdns.reports import Following as Following
from rrdns.reports import Report as Report
from rrdns.reports import Unheard as Unheard
from rrdns.reports import herald as herald

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
    """An owner name whose A and AAAA come from a pool (a POOL record). `answers` 0 means all that fit. `budget`: the
    seconds that a dead host may go on being answered, None: not told."""

    name: bytes
    zone: bytes
    pool: str
    ttl: int = 20
    ttl_min: int = 5
    answers: int = 8
    scheduler: str = "wrr"
    budget: float | None = None


@dataclass(frozen=True, slots=True)
class Hints:
    """Where an SVCB or HTTPS record has its address hints from; `answers` and `scheduler` as in Service."""

    pool: str
    answers: int = 8
    scheduler: str = "wrr"


@dataclass(frozen=True, slots=True)
class Hinted:
    """An RRset of SVCB or HTTPS records whose address hints follow pools. `rrset` has the records without those
    hints, and is one of its zone's RRsets; `hints` has an item for each record, None for one without a pool."""

    rrset: RRset
    zone: bytes
    hints: tuple[Hints | None, ...]
    ttl_min: int = 5

    @property
    def ttl(self) -> int:
        return self.rrset.ttl


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone: its apex (lower-case wire name), static RRsets (SOA and NS among them), services, and which of
    the RRsets are answered with hints."""

    name: bytes
    serial: int
    rrsets: tuple[RRset, ...]
    services: tuple[Service, ...] = ()
    hinted: tuple[Hinted, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """What to ask a host and how to judge it. Times in seconds. `port` 0: none is needed. `at`: it is aimed elsewhere
    than at the address in the answer."""

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
    at: Elsewhere | None = None

    def asked(self, address: str) -> str:
        """The address that is asked for `address`, which is the one in answers; ValueError if there is none."""
        return self.at.of(address) if self.at else address

    def key(self, address: str) -> str:
        """The identity of this check aimed at `address`: the same for equal checks of any name."""
        asked: tuple[object, ...] = (
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
        if self.at:
            asked = (*asked, self.at)
        return f"{hashlib.sha256(repr(asked).encode()).hexdigest()[:12]}@{address}"


@dataclass(frozen=True, slots=True)
class Target:
    """One (check, address), probed once however many pools use it."""

    key: str
    check: Check
    address: str


@dataclass(frozen=True, slots=True)
class Member:
    """One host of a pool. `addresses` are canonical text, IPv4 and IPv6 mixed; none where `hosts` have not been
    resolved. `labels`: what else it shares a fate with, in the operator's words. `hosts`: names whose addresses are
    its own too, lower-case with the final dot; in the files' data set those are not among `addresses`."""

    name: str
    addresses: tuple[str, ...]
    weight: int = 1
    priority: int = 1
    labels: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WhenDown:
    """What to answer when no host is known good: all | empty | servfail | last | addresses."""

    word: str = "all"
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failover:
    """A pool's scheme: idle-standby | rotating-standby | simple-failover | mutual-takeover, "" for a pool that only
    has a fallback. `failback`: seconds of unbroken health before service returns, None: only by hand. `active`: how
    many hold, of rotating-standby; `backup` and `partner`: the other pool, of the last two."""

    scheme: str = ""
    failback: float | None = 30.0
    active: int = 1
    backup: str = ""
    partner: str = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """Hosts that stand in for one another. `checks` are names; all must pass. `panic` is a share or None.
    `capacity`: the weight it takes to carry the pool's load at its busiest, 0: not told.
    `slow_start`: seconds in which the weight of a member that came back climbs. `correct`: weights are corrected by
    what its director counts. `before_promote`: what must exit 0 before others take over."""

    name: str
    members: tuple[Member, ...]
    checks: tuple[str, ...] = ()
    scheduler: str = "wrr"
    quorum: int = 1
    panic: float | None = None
    families: str = "all"
    when_down: WhenDown = WhenDown()
    following: tuple[Following, ...] = ()
    weight_from: str = "zone"
    failover: Failover | None = None
    fallback: str = ""
    quorum_weight: int = 0
    slow_start: float = 0.0
    correct: bool = False
    capacity: int = 0
    before_promote: Fence | None = None


@dataclass(frozen=True, slots=True)
class DataSet:
    """Everything one directory says; it is in force as a whole or not at all."""

    zones: Mapping[bytes, Zone] = field(default_factory=dict)
    pools: Mapping[str, Pool] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)
    directors: Mapping[str, Director] = field(default_factory=dict)


# ---------------------------------------------------------------- what is learned


class State(StrEnum):
    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one probe. `silent`: nothing came back at all (timeout, unreachable), so the fault may
    be our own path. `void`: our own fault (the loop lagged, a permission is missing); the result says nothing of the
    host and must not be counted.

    An agent check may bring more, None and "" where the agent did not say: `weight`, per cent of the member's own
    (0 is drained), and `word`, its administrative state: ready | drain | maint. That a word left out leaves the state
    as it was is for whoever keeps it.
    """

    ok: bool
    reason: str
    took: float = 0.0
    silent: bool = False
    void: bool = False
    weight: int | None = None
    word: str = ""


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
class Standing:
    """All that a pool's failover scheme remembers.

    tier        idle-standby: the priority that serves
    holders     rotating-standby: who has a place; queue: who waits, first in first out; former: who held last when
                all were gone
    source      the pool whose hosts serve it, "" for none
    ailing      its own hosts were not enough, and have not been well for `failback` since
    entitled    with `before_promote`: who may be answered without it, in the roles of `fencing.py`

    These are kept over restarts, the times are not: what was not watched is no unbroken health.

    ripening    idle-standby: since when each better tier has had quorum without a break
    well_since  since when an ailing pool's own hosts have been enough without a break
    unsure_since  since when there is somebody nothing is known of
    """

    tier: int | None = None
    holders: tuple[str, ...] = ()
    queue: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    source: str = ""
    ailing: bool = False
    entitled: tuple[str, ...] = ()
    ripening: tuple[tuple[int, float], ...] = ()
    well_since: float | None = None
    unsure_since: float | None = None


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


ABSENT = "absent"
"""The state, in words, of what was not there before, or is there no more."""


@dataclass(frozen=True, slots=True)
class Event:
    """One transition. `subject`: target | member | pool | failover | service | director | name | addresses | balance |
    override | reload | server."""

    at: float
    subject: str
    name: str
    before: str
    after: str
    why: str
