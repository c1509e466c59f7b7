"""Overview: everything /status and /export say, put together from the roster, the board, the tally and the store.

Reads only. Must not know: HTTP, how any of it came to be.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rrdns import __version__, board, hinting, wire
from rrdns.answers import AnswerSet, key
from rrdns.board import Board
from rrdns.control import resolving
from rrdns.control.clock import Clock
from rrdns.control.counters import Rate, Tally
from rrdns.control.journal import Journal
from rrdns.control.store import Store
from rrdns.roster import snapshot
from rrdns.roster.roster import Roster
from rrdns.settings import Settings

Json = dict[str, Any]
EVENTS = 20
ASKED = 12 + 4 + 11  # bytes of a query beside its name: header, type and class, an OPT
_OF_WORKERS = (
    *("pid", "restarts", "udp", "tcp", "answered", "dropped", "refused", "truncated", "limited", "errors"),
    *("tcp_connections", "tcp_evicted", "tcp_refused"),
)


@dataclass(slots=True)
class ReloadState:
    """How the last load went. `state`: ok | refused | kept; `source`: zones | accepted, what is in force."""

    state: str = "ok"
    when: float = 0.0
    problems: list[str] = field(default_factory=list)
    source: str = "zones"
    unkept: str = ""
    """Why the accepted copy could not be written; empty: it is there."""

    def shown(self) -> Json:
        return {"state": self.state, "when": self.when, "problems": self.problems, "source": self.source}


class Poll(Protocol):
    """How the last question to a director went."""

    @property
    def took(self) -> float: ...


class Overview:
    """One per control process; `sample` is called once a second for the rates."""

    def __init__(
        self,
        settings: Settings,
        run: Path,
        shared: Board,
        store: Store,
        tally: Tally,
        clock: Clock,
        journal: Journal | None = None,
    ) -> None:
        self.reload = ReloadState()
        self._settings = settings
        self._run = run
        self._board = shared
        self.place = run, shared
        self._store = store
        self._journal = journal or Journal(None, clock)
        self._tally = tally
        self._clock = clock
        self._started = clock.now()
        self._serving_since: float | None = None
        self.polls: Callable[[], Mapping[str, Poll]] = dict
        self.looks: Callable[[], Mapping[str, resolving.Stats]] = dict
        self.notify: Callable[[float], Json] = lambda now: {}
        self._rates = [Rate() for _ in range(board.FIRST_WORKER, shared.rows)]

    def serving(self) -> None:
        self._serving_since = self._clock.now()

    def sample(self) -> None:
        """Reads the workers' counters for the rates."""
        now = self._clock.now()
        for index, rate in enumerate(self._rates):
            row = board.FIRST_WORKER + index
            rate.read(self._board.get(row, "udp") + self._board.get(row, "tcp"), now)

    def status(self, roster: Roster) -> Json:
        now = self._clock.moment()
        found = snapshot.snapshot(roster, now.mono, now.wall)
        self._add_answers(found, now.mono)
        since = self._serving_since
        return {
            "version": __version__,
            "time": now.wall,
            "uptime": self._uptime(now.mono),
            "qps": sum(rate.value for rate in self._rates),
            "control": {
                "pid": os.getpid(),
                "state": "starting" if since is None else "serving",
                "since_age": now.mono - (self._started if since is None else since),
            },
            "supervisor": {
                "pid": self._board.get(board.SUPERVISOR, "pid"),
                "state": self._state(board.SUPERVISOR),
            },
            "workers": [self._worker(index) for index in range(len(self._rates))],
            "listen": self._listen(),
            **found,
            "directors": self._directors(found["directors"]),
            "names": {name: {**one, **resolving.shown(self.looks(), name)} for name, one in found["names"].items()},
            "reload": self.reload.shown(),
            "store": self._saving(),
            "journal": self._journal.shown(now.mono),
            "notify": self.notify(now.mono),
            "events": self._store.events(EVENTS),
        }

    def with_answers(self, found: Json | None) -> None:
        """Adds to what `explain` says what the members of its pool were answered, and what fits."""
        if found and found.get("ring"):
            found["ring"]["fit"] = fit(found["name"], found["type"], self._settings)
        while found:
            if found.get("pool"):
                firsts = self._tally.answered(found["pool"]["name"], self._clock.now())
                for name, member in found["pool"]["members"].items():
                    member["answered"] = firsts.get(name, 0.0) if firsts else None
            found = found.get("then")

    # ------------------------------------------------------------------ parts

    def _directors(self, found: Json) -> Json:
        """With how long the last question took."""
        polls = self.polls()
        for name, one in found.items():
            one["took"] = polls[name].took if name in polls else None
        return found

    def _add_answers(self, found: Json, now: float) -> None:
        members, services = self._tally.rates(now)
        for pool_name, pool in found["pools"].items():
            firsts = self._tally.answered(pool_name, now)
            for member_name, member in pool["members"].items():
                member["answered"] = firsts.get(member_name, 0.0) if firsts else None
                member["answers"] = self._tally.members.get((pool_name, member_name), 0)
                member["rate"] = members.get((pool_name, member_name), 0.0)
        by_name = {wire.name_to_text(name): rate for name, rate in services.items()}
        for name, service in found["services"].items():
            service["rate"] = by_name.get(name, 0.0)

    def _uptime(self, now: float) -> float:
        """The server's: its supervisor's, which outlives control; without one control's own."""
        if self._board.lives(board.SUPERVISOR):
            born = self._board.get(board.SUPERVISOR, "born") / os.sysconf("SC_CLK_TCK")
            return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - born)
        return now - self._started

    def _state(self, row: int) -> str:
        if not self._board.get(row, "pid"):
            return "none"
        return board.STATES.get(self._board.get(row, "state"), "?") if self._board.lives(row) else "gone"

    def _worker(self, index: int) -> Json:
        number = board.FIRST_WORKER + index
        row = self._board.row(number)
        return {
            **{name: row[name] for name in _OF_WORKERS},
            "state": self._state(number),
            "queries": row["udp"] + row["tcp"],
            "stale": bool(row["stale"]),
            "confined": bool(row["confined"]),
            "heartbeat_age": max(0.0, self._board.age(number)) if row["pid"] else None,
            "rate": self._rates[index].value,
        }

    def _listen(self) -> list[str]:
        """What is really served, as the supervisor noted it; before that, what was asked for."""
        try:
            addresses = [(str(one[0]), int(one[1])) for one in json.loads((self._run / "listen").read_text())]
        except (OSError, ValueError, TypeError, LookupError):
            addresses = list(self._settings.listen)
        return [f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address, port in addresses]

    def _saving(self) -> Json:
        why = "; ".join(word for word in (self._store.why, self.reload.unkept) if word)
        return {"state": "failing" if why else "ok", "why": why, "notes": self._store.notes}


# ---------------------------------------------------------------------- export


def export(roster: Roster) -> Json:
    """The answers of this moment: {zone: {"rrsets": [[name, type, ttl, [rdata, ...]], ...]}}, names and rdata in
    wire form as hex. A POOL name has the addresses that stand in its ring now, each once; records with hints from a
    pool have those."""
    return {wire.name_to_text(apex): {"rrsets": _rrsets(roster, apex)} for apex in sorted(roster.dataset.zones)}


def _rrsets(roster: Roster, apex: bytes) -> list[list[Any]]:
    zone = roster.dataset.zones[apex]
    found: list[list[Any]] = []
    for one in zone.rrsets:
        ring = roster.answers.get(key(one.name, one.type)) if key(one.name, one.type) in roster.hinted else None
        rdatas, ttl = (hinting.hinted_rdatas(ring), hinting.ttl_of(ring)) if ring else (one.rdatas, one.ttl)
        found.append([one.name.hex(), one.type, ttl, [rdata.hex() for rdata in rdatas]])
    for service in zone.services:
        for rtype in (wire.A, wire.AAAA):
            addresses = addresses_in(roster.answers.get(key(service.name, rtype)))
            if addresses:
                ttl = roster.ttls[service.name][0]
                found.append([service.name.hex(), rtype, ttl, [address.hex() for address in addresses]])
    return found


def addresses_in(ring: AnswerSet | None) -> list[bytes]:
    """The rdata of all records in a ring's bodies, each once, in their order. Owners are two-byte pointers there."""
    found: dict[bytes, None] = {}
    for body in ring.bodies if ring is not None else ():
        at = 0
        for _ in range(body.counts[0]):
            length = int.from_bytes(body.data[at + 10 : at + 12], "big")
            found[body.data[at + 12 : at + 12 + length]] = None
            at += 12 + length
    return list(found)


def summary(changed: Mapping[str, Any]) -> str:
    """A summary of what a load changed, for the log: `zones changed lb.example.com.; names 3 -> 4`."""
    words = [f"{what} {' '.join(map(str, how)) if isinstance(how, list) else how}" for what, how in changed.items()]
    return "; ".join(words) or "nothing changed"


def fit(name: str, rtype: str, settings: Settings) -> int:
    """How many addresses an answer by UDP may have for a client with EDNS but without a cookie."""
    size = len(wire.name_from_text(name)) + ASKED
    longest = min(settings.udp_limit, settings.udp_ratio * size) if settings.udp_ratio else settings.udp_limit
    return max(0, longest - size) // (16 if rtype == "A" else 28)
