"""Our side: the real roster over files as an operator writes them, one director, and a worker's cursor."""

from __future__ import annotations

import random
from collections.abc import Sequence

from rrdns import wire, zonefile
from rrdns.answers import key
from rrdns.model import DirectorTable, Report
from rrdns.roster.roster import Decision, Roster
from simulated.world import Answer, Host

WWW = wire.name_from_text("www.lb.example.com.")
WWW_A = key(WWW, wire.A)
ZONE = """
'': {type: NS, values: [ns1.example.net.]}
www: {type: POOL, pool: web, ttl: %(ttl)d, answers: %(answers)d}
"""
POOLS = """
directors:
  lb1: {type: haproxy, socket: /run/haproxy/admin.sock, interval: %(poll)ds}
pools:
  web:
    check: []
    scheduler: %(scheduler)s
    correct: %(correct)s
    slow_start: %(slow_start)ds
    director: {name: lb1, backend: web}
    weight_from: zone
    members:
%(members)s
"""


class Server:
    """Answers as rrdns would; `second` lets it poll its director and act."""

    def __init__(
        self,
        hosts: Sequence[Host],
        weights: Sequence[int],
        ttl: int,
        answers: int = 2,
        scheduler: str = "wrr",
        correct: bool = False,
        slow_start: int = 0,
        poll: int = 2,
    ) -> None:
        self.hosts = hosts
        self.poll = poll
        self.roster = Roster()
        lines = [f"      {host.name}: {{address: {host.address}, weight: {weight}}}"
                 for host, weight in zip(hosts, weights, strict=True)]  # fmt: skip
        words: dict[str, object] = {
            "ttl": ttl, "answers": answers, "scheduler": scheduler, "correct": str(correct).lower(), "poll": poll,
            "members": "\n".join(lines), "slow_start": slow_start,
        }  # fmt: skip
        pools = POOLS % words
        loaded = zonefile.load({"lb.example.com.yaml": (ZONE % words).encode(), "pools.yaml": pools.encode()})
        if loaded.dataset is None:
            raise SystemExit("\n".join(map(str, loaded.problems)))
        self.commits = 0
        self.events: list[str] = []
        self._slots: tuple[tuple[str, ...], ...] = ()
        self._cursor = random.Random(len(hosts)).randrange(1024)
        self._given = 0
        self._next_poll = 0.0
        self._put(self.roster.load(loaded.dataset, 0.0), 0.0)

    def ask(self) -> Answer:
        self._cursor += 1
        self._given += 1
        return self._slots[self._cursor % len(self._slots)]

    def second(self, now: float) -> None:
        due = self.roster.next_deadline()
        if due is not None and due <= now:
            self._put(self.roster.advance(now), now)
        if now >= self._next_poll:
            self._next_poll = now + self.poll
            self.roster.answered("web", self._given)
            self._put(self.roster.report("lb1", self._table(now), now), now)

    def factor(self, member: str) -> float:
        return self.roster.duties["web"].balance.meter.factor(member)

    def _table(self, now: float) -> DirectorTable:
        """What HAProxy's `show stat` tells."""
        rows = [
            Report(host.name, host.address, 80, "up" if host.up else "down", "", 1, host.active(now), 0, host.total)
            for host in self.hosts
        ]
        return DirectorTable({"web": tuple(rows)})

    def _put(self, decision: Decision, now: float) -> None:
        self.events += [f"{now:.0f} {one.subject} {one.name} {one.after}" for one in decision.events]
        if decision.changes.sets:
            self.commits += 1
            self._slots = self.roster.ring_members(WWW_A)


class Argmin:
    """What is tempting instead of wlc: every answer begins with the host that has fewest connections for its weight,
    as the director told them last."""

    def __init__(self, hosts: Sequence[Host], weights: Sequence[int], poll: int = 2) -> None:
        self.hosts, self.weights, self.poll = hosts, weights, poll
        self.commits = 0
        self._order: Answer = [host.name for host in hosts]
        self._next_poll = 0.0

    def ask(self) -> Answer:
        return self._order

    def second(self, now: float) -> None:
        if now >= self._next_poll:
            self._next_poll = now + self.poll
            self.commits += 1
            load = {host.name: host.active(now) / weight for host, weight in zip(self.hosts, self.weights, strict=True)}
            self._order = sorted(load, key=load.__getitem__)
