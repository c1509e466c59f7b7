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

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from rrdns.failover import Selection
from rrdns.hosts import Host
from rrdns.model import State
from rrdns.roster.duty import Duty
from rrdns.roster.roster import Decision, Roster
from rrdns.ui import budget
from rrdns.wire import name_to_text

FLAP = 600.0
IN = ("answered", "dead")
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
    """A pool at this moment."""

    selection: Selection | None = None
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
        self._users: dict[str, list[str]] = {}
        self._roster: Roster | None = None
        self._running: float | None = None
        self._anew = True

    # ------------------------------------------------------------------ what is told

    def aimed(self, roster: Roster, now: float) -> None:
        """Other targets, or another roster."""
        self._roster, self._anew = roster, True
        users: dict[str, dict[str, None]] = {}
        for name, duty in roster.duties.items():
            for keys in (key for of_member in duty.targets for of_address in of_member for key in of_address):
                users.setdefault(keys, {})[name] = None
        self._users = {key: list(of) for key, of in users.items()}
        if self._running is None:
            self._running = now
            for one in self._now.values():
                one.since = now
        for name in self._now.keys() - roster.duties.keys():
            self._leave(name, now)

    def decided(self, roster: Roster, decision: Decision, now: float) -> None:
        for name in self._concerned(roster, decision):
            duty = roster.duties.get(name)
            known = self._now.get(name)
            if duty is not None and (known is None or known.selection is not duty.selection):
                self._look(name, duty, now)

    def _concerned(self, roster: Roster, decision: Decision) -> Iterable[str]:
        """Pools in which somebody may have become something else."""
        if self._anew:
            self._anew = False
            return roster.duties
        told = {one.name.partition("/")[0] for one in decision.events if one.subject != "target"}
        rendered = {roster.services[key[:-2]].pool for key in decision.changes.sets if key[:-2] in roster.services}
        return told | rendered

    def truth(self, key: str, dead: bool | None, now: float) -> None:
        if dead is None:
            self._truth.pop(key, None)
        else:
            self._truth[key] = dead
        if self._roster is not None:
            for name in self._users.get(key, ()):
                self._look(name, self._roster.duties[name], now)

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
                self._turn(self.pools[name], one, member, "unknown", now)
            one.flags = (False, False, False)
        if self._running is not None:
            self.seconds += max(0.0, now - max(self._running, self.begin))
        self._running = None

    def _leave(self, name: str, now: float) -> None:
        one = self._now.pop(name)
        self._count(self.pools[name], one, now)
        for member in one.kinds:
            self.pools[name].spans[member].append((now, "unknown"))

    def _look(self, name: str, duty: Duty, now: float) -> None:
        """What everybody in a pool is now."""
        if self._running is None:
            return
        score = self.pools.setdefault(name, PoolScore())
        one = self._now.setdefault(name, _Now(since=now))
        one.selection = duty.selection
        self._count(score, one, now)
        kinds = dict(_kinds(duty, self._truth))
        for member, kind in kinds.items():
            before = one.kinds.get(member, "unknown")
            if before != kind:
                self._follow(score, one, duty, member, (before, kind), now)
                self._turn(score, one, member, kind, now)
        for member in one.kinds.keys() - kinds.keys():
            self._turn(score, one, member, "unknown", now)
        one.kinds = kinds
        found = set(kinds.values())
        alive = bool(found & {"answered", "withheld", "standby"})
        one.flags = "dead" in found and alive, "withheld" in found, not alive and bool(found - {"unknown"})

    def _turn(self, score: PoolScore, one: _Now, member: str, kind: str, now: float) -> None:
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

    def _follow(self, score: PoolScore, one: _Now, duty: Duty, member: str, turn: tuple[str, str], now: float) -> None:
        """One member's turn from one kind to another: does it come, go, die?"""
        before, after = turn
        if before in IN and after not in IN:
            host = next((each for each in duty.hosts if each.name == member), None)
            if host is not None and host.state is State.DOWN and now >= self.begin:
                score.failovers += 1
                score.flaps += now - one.back.get(member, float("-inf")) < FLAP
        elif after in IN and before in ("gone", "withheld"):
            one.back[member] = now
        if after == "dead":
            ttls = {service: (ttl, ttl) for service, ttl in self._ttls(duty)}
            one.open[member] = Death(member, now, ttls=ttls)
        elif before == "dead" and (death := one.open.pop(member, None)) is not None:
            if after == "answered":
                death.revived = now
            elif after != "unknown":
                death.left = now
            death.ttls = {name: (was, dict(self._ttls(duty)).get(name, was)) for name, (was, _) in death.ttls.items()}
            if death.at >= self.begin:
                self._judge(score, duty, death)

    def _ttls(self, duty: Duty) -> Iterator[tuple[str, int]]:
        assert self._roster is not None
        for service in duty.services:
            yield name_to_text(service.name), self._roster.ttls.get(service.name, (service.ttl, ""))[0]

    def _judge(self, score: PoolScore, duty: Duty, death: Death) -> None:
        """Whether clients were rid of a dead member in time. The death itself was up to `first` seconds before the
        failure that is recorded, and that counts; a member that revived before it was out says nothing."""
        assert self._roster is not None
        score.deaths.append(death)
        for service in duty.services:
            name = name_to_text(service.name)
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


def _kinds(duty: Duty, truth: Mapping[str, bool]) -> Iterator[tuple[str, str]]:
    """What each member is. One of another pool that serves here is judged by its verdict there: it has no target."""
    served: dict[str, set[bytes]] = {}
    for one in duty.selection.serving:
        served.setdefault(one.name, set()).update(one.addresses)
    for host, keys in zip(duty.hosts, duty.targets, strict=True):
        yield host.name, _kind(host, keys, served.pop(host.name, set()), truth)


def _kind(host: Host, keys: tuple[tuple[str, ...], ...], served: set[bytes], truth: Mapping[str, bool]) -> str:
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
