"""A pretended server: a roster driven as control drives it, in pretend time, with its journal beside it."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rrdns import zonefile
from rrdns.control import journal_reading
from rrdns.control.clock import Clock, Moment
from rrdns.control.journal import Journal
from rrdns.knowledge import standings_told
from rrdns.model import DataSet, Event, Override, Result, Target
from rrdns.recorded import Recording
from rrdns.replay import TOGETHER
from rrdns.roster.roster import Decision, Roster

GOOD = Result(True, "HTTP 200")
BAD = Result(False, "refused")
SILENT = Result(False, "timeout", silent=True)

Outcome = Callable[[Target, float], Result]
WALL = 1_790_000_000.0

ZONE = b"""
'': {type: NS, value: ns1.example.com.}
ns1: {type: A, value: 192.0.2.53}
www: {type: POOL, pool: web, ttl: 20}
api: {type: POOL, pool: api, ttl: 30}
"""
POOLS = """
checks:
  web: {{type: tcp, port: 80, interval: 5s, timeout: 2s, fall: {fall}, rise: {rise}}}
  api: {{type: tcp, port: 81, interval: 3s, timeout: 1s, fall: 2, rise: 2}}
pools:
  web:
    check: web
    quorum: {quorum}
    members: {{web1: 192.0.2.1, web2: 192.0.2.2, web3: 198.51.100.3}}
  api:
    check: api
    when_down: empty
    members: {{api1: 192.0.2.11, api2: 203.0.113.12, api3: 203.0.113.13}}
"""


def files(fall: int = 3, rise: int = 3, quorum: int = 1) -> dict[str, bytes]:
    return {
        "zones/example.com.yaml": ZONE,
        "zones/pools.yaml": POOLS.format(fall=fall, rise=rise, quorum=quorum).encode(),
    }


def dataset(contents: dict[str, bytes]) -> DataSet:
    loaded = zonefile.load(contents, dict.fromkeys(contents, 1))
    assert loaded.dataset is not None, loaded.problems
    return loaded.dataset


class Pretend(Clock):
    """A clock the test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.mono, self.ahead = 1000.0, WALL - 1000.0

    def now(self) -> float:
        return self.mono

    def moment(self) -> Moment:
        return Moment("boot", self.mono, self.mono + self.ahead)


@dataclass
class Live:
    """A roster as control would drive it, in pretend time, and the journal beside it."""

    path: Path
    contents: dict[str, bytes]
    clock: Pretend = field(default_factory=Pretend)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.begin()

    def begin(self) -> None:
        """A process begins."""
        self.roster = Roster()
        self.journal = Journal(self.path, self.clock)
        self.journal.overrides = lambda: self.roster.overrides
        self.journal.standings = lambda: standings_told(self.roster.standings)
        self.loop.run_until_complete(self.journal.open())
        self.heap: list[tuple[float, str]] = []
        self.flush_at = float("inf")
        self.deadline = float("inf")

    def restart(self, away: float = 1.0) -> None:
        """The process ends in order, and another takes up what it kept."""
        self.loop.run_until_complete(self.journal.close())
        old, self.clock.mono = self.roster, self.clock.mono + away
        self.begin()
        health = {key: old.health(key) for key in old.targets() if self.clock.mono - old.health(key).seen <= 600}
        held = old.holds.frozen(old.duties)
        kept = health, old.overrides, old.directors.kept(), old.standings, held, old.names.kept()
        self.roster.restore(*kept)
        self.roster.balancing.restore(old.balancing.kept(old.duties))
        self.load(self.contents)

    def load(self, contents: dict[str, bytes]) -> None:
        self.contents = contents
        known = set(self.roster.targets())
        self.act(self.roster.load(dataset(contents), self.clock.mono))
        self.journal.keep_only_targets(self.roster.targets())
        found = contents, dict.fromkeys(contents, 1)
        self.loop.run_until_complete(self.journal.note_load("zones", "ok", found, self.clock.mono))
        for key in self.roster.targets():
            if key not in known:
                heapq.heappush(self.heap, (self.clock.mono + 0.01 * len(self.heap), key))

    def act(self, decision: Decision) -> None:
        for event in decision.events:
            self.events.append(event)
            self.journal.note_event(event)
        deadline = self.roster.next_deadline()
        self.deadline = float("inf") if deadline is None else max(deadline, self.clock.mono + 0.02)

    def override(self, member: str, word: str, seconds: float | None) -> None:
        pool, _, name = member.partition("/")
        now = self.clock.mono
        until = None if seconds is None or word == "enable" else now + seconds
        op = Override(pool, name, word, "me", "why", now, until, until)
        self.journal.note_words([op], now)
        self.act(self.roster.speak((op,), now))

    def run(self, until: float, outcome: Outcome, chance: random.Random) -> None:
        """Probes, decisions and deadlines up to a moment; `outcome` says what a probe gives."""
        while True:
            first = self.heap[0][0] if self.heap else float("inf")
            at = min(first, self.flush_at, self.deadline)
            if at > until:
                break
            self.clock.mono = max(self.clock.mono, at)
            if at == self.flush_at:
                self.flush_at = float("inf")
                self.act(self.roster.flush(self.clock.mono))
            elif at == self.deadline:
                self.act(self.roster.advance(self.clock.mono))
            else:
                self.probe(outcome, chance)
        self.clock.mono = max(self.clock.mono, until)

    def probe(self, outcome: Outcome, chance: random.Random) -> None:
        _, key = heapq.heappop(self.heap)
        target = self.roster.targets().get(key)
        if target is None:
            return
        result = outcome(target, self.clock.mono)
        self.journal.note_result(target, result, self.clock.mono)
        self.roster.note(key, result, self.clock.mono)
        self.flush_at = min(self.flush_at, self.clock.mono + TOGETHER)
        pace = self.roster.pace(key) * chance.uniform(0.9, 1.1)
        heapq.heappush(self.heap, (round(self.clock.mono + pace, 3), key))

    def end(self) -> Recording:
        self.loop.run_until_complete(self.journal.close())
        return journal_reading.read(self.path, WALL - 1e6)

    def steady(self, at: float) -> float:
        return at + WALL - 1000.0


def by_subject(events: list[Event], shift: float = 0.0) -> dict[tuple[str, str], list[tuple[float, str, str]]]:
    found: dict[tuple[str, str], list[tuple[float, str, str]]] = {}
    for one in events:
        found.setdefault((one.subject, one.name), []).append((one.at + shift, one.before, one.after))
    return found


def unlike(ours: list[Event], theirs: list[Event], shift: float, within: float = 0.05) -> list[str]:
    """Where two tellings differ: in what happened to whom, in which order, or in when."""
    first, second = by_subject(ours, shift), by_subject(theirs)
    found = []
    for name in sorted(first.keys() | second.keys()):
        one, other = first.get(name, []), second.get(name, [])
        same = [each[1:] for each in one] == [each[1:] for each in other]
        if not same or any(abs(a[0] - b[0]) > within for a, b in zip(one, other, strict=True)):
            found.append(f"{name}:\n   {one}\n   {other}")
    return found
