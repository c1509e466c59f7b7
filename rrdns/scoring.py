"""Scoring: what a replay was worth, counted while it runs. Floor 3, pure.

At every moment a member of a pool is one of

    answered   alive, and in the answers                 dead       dead, and in the answers all the same
    withheld   alive, but judged down or not yet up      gone       dead, and out of the answers
    standby    alive, and out of them on purpose: drained, disabled, another tier, another's turn
    unknown    nothing is recorded of it

where dead is what `replay.py` calls dead. From these:

    failovers  how often a member left the answers because it was judged down
    flaps      how often it did so within FLAP seconds of having come back
    dead       time in which a dead member was answered while the pool had one alive
    withheld   time in which a member that was alive was kept out by a verdict
    outage     time in which no member was alive, so that nothing could be done
    deaths     each death of a member that was answered: how long until clients were rid of it, against the budget

Must not know: how it was replayed, what is drawn of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache

from rrdns.failover import Selection
from rrdns.hosts import Host
from rrdns.model import State
from rrdns.rehearsing import Rehearsal
from rrdns.roster.duty import Duty
from rrdns.roster.roster import Decision, Roster
from rrdns.ui import budget
from rrdns.wire import name_to_text

FLAP = 600.0
IN = ("answered", "dead")
ALIVE = {"answered", "withheld", "standby"}
KINDS = ("answered", "dead", "withheld", "gone", "standby", "unknown")


@dataclass(slots=True)
class Death:
    """A member of the answers died at `at`. `left`: when it was out of them; None: it came back to life before, or
    time ended. `ttls`: by service the TTL in force when it died and when it left."""

    member: str
    at: float
    left: float | None = None
    revived: float | None = None
    ttls: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(slots=True)
class PoolScore:
    """One pool. `spans`: of each member the moments at which it became what."""

    failovers: int = 0
    flaps: int = 0
    dead: float = 0.0
    withheld: float = 0.0
    outage: float = 0.0
    deaths: list[Death] = field(default_factory=list)
    spans: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    services: dict[str, ServiceScore] = field(default_factory=dict)


@dataclass(slots=True)
class ServiceScore:
    """One name: its budget in seconds (None: no check), what it promises for a host's first failure, and how often
    it was kept and missed; `worst`: the longest it took."""

    ttl: int
    budget: float | None
    first: float
    kept: int = 0
    missed: int = 0
    worst: float = 0.0


@dataclass(slots=True)
class _Now:
    """A pool at this moment: the decision and the hosts that were looked at, and what followed for each member."""

    duty: Duty | None = None
    selection: Selection | None = None
    served: dict[str, set[bytes]] = field(default_factory=dict)
    hosts: list[Host] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    back: dict[str, float] = field(default_factory=dict)
    open: dict[str, Death] = field(default_factory=dict)
    since: float = 0.0
    flags: tuple[bool, bool, bool] = (False, False, False)


class Score:
    """A `replay.Watch`: counts from `begin` on. `finish` closes the books."""

    def __init__(self, begin: float) -> None:
        self.begin = begin
        self.pools: dict[str, PoolScore] = {}
        self.seconds = 0.0
        """How long there was a server to watch."""
        self._truth: dict[str, bool] = {}
        self._now: dict[str, _Now] = {}
        self._users: dict[str, dict[str, set[int]]] = {}
        """By target and pool the members that have it."""
        self._roster: Roster | None = None
        self._running: float | None = None
        self._anew = True

    # ------------------------------------------------------------------ what is told

    def aimed(self, roster: Roster, now: float) -> None:
        """Other targets, or another roster."""
        self._roster, self._anew = roster, True
        users: dict[str, dict[str, set[int]]] = {}
        for name, duty in roster.duties.items():
            for index, of_member in enumerate(duty.targets):
                for key in (key for of_address in of_member for key in of_address):
                    users.setdefault(key, {}).setdefault(name, set()).add(index)
        self._users = users
        if self._running is None:
            self._running = now
            for one in self._now.values():
                one.since = now
        for name in self._now.keys() - roster.duties.keys():
            self._leave(name, now)

    def decided(self, roster: Rehearsal, decision: Decision, now: float) -> None:
        """Pools were decided; after `aimed` all of them are looked at."""
        anew, self._anew = self._anew, False
        for name in roster.duties if anew else roster.decided:
            duty, known = roster.duties.get(name), self._now.get(name)
            if duty is None:
                continue
            if anew or known is None or known.duty is not duty:
                self._look(name, duty, range(len(duty.hosts)), now)
            elif known.selection is not duty.selection:
                self._look(name, duty, _others(known, duty), now)

    def truth(self, key: str, dead: bool | None, now: float) -> None:
        if self._truth.get(key) is dead:
            return
        if dead is None:
            del self._truth[key]
        else:
            self._truth[key] = dead
        if self._roster is not None:
            for name, indices in self._users.get(key, {}).items():
                duty, known = self._roster.duties[name], self._now.get(name)
                fresh = known is None or known.duty is not duty
                self._look(name, duty, range(len(duty.hosts)) if fresh else indices, now)

    def paused(self, now: float) -> None:
        """Nobody served, or nothing is known of it: time does not count."""
        for one in self._now.values():
            one.open.clear()
        self._stop(now)

    def finish(self, now: float) -> None:
        self._stop(now)

    # ------------------------------------------------------------------ inside

    def _stop(self, now: float) -> None:
        for name, one in self._now.items():
            self._count(self.pools[name], one, now)
            for member in one.kinds:
                self._turn(self.pools[name], member, "unknown", now)
            one.flags = (False, False, False)
        if self._running is not None:
            self.seconds += max(0.0, now - max(self._running, self.begin))
        self._running = None

    def _leave(self, name: str, now: float) -> None:
        one = self._now.pop(name)
        self._count(self.pools[name], one, now)
        for member in one.kinds:
            self.pools[name].spans[member].append((now, "unknown"))

    def _look(self, name: str, duty: Duty, indices: Iterable[int], now: float) -> None:
        """What these members of a pool are now; of the others nothing is new."""
        if self._running is None:
            return
        score = self.pools.setdefault(name, PoolScore())
        one = self._now.setdefault(name, _Now(since=now))
        if one.selection is not duty.selection:
            one.selection, one.served = duty.selection, _served(duty.selection)
        if one.duty is not duty:  # a load, or its director, made it another
            one.duty, names = duty, {host.name for host in duty.hosts}
            for member in [member for member in one.kinds if member not in names]:
                self._turn(score, member, "unknown", now)
                del one.kinds[member]
            one.hosts = list(duty.hosts)
        moved = False
        for index in indices:
            host = one.hosts[index] = duty.hosts[index]
            before = one.kinds.get(host.name, "unknown")
            kind = _kind(host, duty.targets[index], one.served.get(host.name, frozenset()), self._truth)
            one.kinds[host.name] = kind
            if kind != before:
                moved = True
                self._follow(score, one, duty, host, (before, kind), now)
                self._turn(score, host.name, kind, now)
        if moved or any(one.flags):
            self._flag(score, one, now)

    def _flag(self, score: PoolScore, one: _Now, now: float) -> None:
        self._count(score, one, now)
        found = set(one.kinds.values())
        alive = bool(found & ALIVE)
        one.flags = "dead" in found and alive, "withheld" in found, not alive and bool(found - {"unknown"})

    def _turn(self, score: PoolScore, member: str, kind: str, now: float) -> None:
        spans = score.spans.setdefault(member, [])
        if not spans or spans[-1][1] != kind:
            spans.append((now, kind))

    def _count(self, score: PoolScore, one: _Now, now: float) -> None:
        lasted = now - max(one.since, self.begin)
        one.since = now
        if lasted > 0 and self._running is not None:
            score.dead += lasted * one.flags[0]
            score.withheld += lasted * one.flags[1]
            score.outage += lasted * one.flags[2]

    def _follow(self, score: PoolScore, one: _Now, duty: Duty, host: Host, turn: tuple[str, str], now: float) -> None:
        """One member's turn from one kind to another: does it come, go, die?"""
        before, after = turn
        member = host.name
        if before in IN and after not in IN:
            if host.state is State.DOWN and now >= self.begin:
                score.failovers += 1
                score.flaps += now - one.back.get(member, float("-inf")) < FLAP
        elif after in IN and before in ("gone", "withheld"):
            one.back[member] = now
        if after == "dead":
            ttls = {service: (ttl, ttl) for service, ttl in self._ttls(duty, now)}
            one.open[member] = Death(member, now, ttls=ttls)
        elif before == "dead" and (death := one.open.pop(member, None)) is not None:
            if after == "answered":
                death.revived = now
            elif after != "unknown":
                death.left = now
                ttls_now = dict(self._ttls(duty, now))
                death.ttls = {name: (was, ttls_now.get(name, was)) for name, (was, _) in death.ttls.items()}
            if death.at >= self.begin:
                self._judge(score, duty, death)

    def _ttls(self, duty: Duty, now: float) -> Iterator[tuple[str, int]]:
        """The TTL of each of its names at this moment."""
        assert self._roster is not None
        for service in duty.services:
            short = self._roster.why_short(service, now)
            yield _text(service.name), min(service.ttl, service.ttl_min) if short else service.ttl

    def _judge(self, score: PoolScore, duty: Duty, death: Death) -> None:
        """Whether clients were rid of a dead member in time. The death itself was up to `first` seconds before the
        failure that is recorded, and that counts; a member that revived before it was out says nothing."""
        assert self._roster is not None
        score.deaths.append(death)
        for service in duty.services:
            name = _text(service.name)
            found = budget.of(service, duty.pool, self._roster.dataset.checks)
            one = score.services.get(name)
            if one is None:
                one = score.services[name] = ServiceScore(service.ttl, None, 0.0)
            one.budget, one.first = (found.worst, found.first) if found else (None, 0.0)
            if death.left is None or found is None:
                continue
            took = found.first + max(
                death.ttls[name][0] if name in death.ttls else service.ttl,
                death.left - death.at + min(service.ttl, service.ttl_min),
            )
            one.worst = max(one.worst, took)
            if took <= found.worst + 1.0:
                one.kept += 1
            else:
                one.missed += 1


_text = lru_cache(maxsize=1 << 14)(name_to_text)


def _served(selection: Selection) -> dict[str, set[bytes]]:
    """The addresses of each host that is answered."""
    served: dict[str, set[bytes]] = {}
    for one in selection.serving:
        served.setdefault(one.name, set()).update(one.addresses)
    return served


def _others(known: _Now, duty: Duty) -> list[int]:
    """Members that may have become something else by a decision: other hosts than before, or answered otherwise."""
    before, after = known.served, _served(duty.selection)
    return [
        index
        for index, (old, new) in enumerate(zip(known.hosts, duty.hosts, strict=True))
        if old is not new or before.get(new.name) != after.get(new.name)
    ]


def _kind(host: Host, keys: tuple[tuple[str, ...], ...], served: Set[bytes], truth: Mapping[str, bool]) -> str:
    """What a member is. One of another pool that serves here is judged by its verdict there: it has no target."""
    alive = dead = kept_out = False
    for address, of_address in zip(host.addresses, keys, strict=True):
        known = [truth[key] for key in of_address if key in truth]
        if any(known):
            dead = True
            if address.packed in served:
                return "dead"
        elif known or (not of_address and host.told):
            alive = True
            kept_out |= address.packed not in served and address.state is not State.UP
    if not alive and not dead:
        return "answered" if served and not any(keys) else "unknown"
    if kept_out and not host.drained and not host.disabled:
        return "withheld"
    if served:
        return "answered"
    return "gone" if dead and not alive else "standby"
