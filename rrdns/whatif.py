"""What if: an outage that did not happen, through the real decision code in pretend time. Floor 3, pure.

It starts from what a running server knows (`Known`), or from files with everything up (`all_up`). Then

    down           nothing is heard from the member any more, from second 0; its first failed probe is as late as the
                   failover budget allows, those after it too. A director that lists it says down.
    drain          as `rrdns drain` at second 0
    director gone  it can't be read any more; the others can

Everything goes through a roster's doors at the times at which it would come, so that damping, the self-isolation
guard, schemes and staleness have their say; what stands at the end, when nothing moves any more, is the outcome.
Must not know: files, sockets, clocks, how it is printed.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import inf
from typing import Any

from rrdns import assumed
from rrdns.carrying import NOBODY_GOOD, Load, loads
from rrdns.imagined import Known
from rrdns.model import DirectorTable, Override, Result, Service
from rrdns.roster.entries import Listing, entries_of
from rrdns.roster.roster import Decision, Roster
from rrdns.ui import budget
from rrdns.wire import name_to_text

DEAD = Result(False, "no answer (as asked: what if)", silent=True)
TOGETHER = 0.005
AFTER = 120.0  # seconds watched after the last thing that is sure to happen
QUIET = "nothing can find out: no check, no director"


@dataclass(frozen=True, slots=True)
class Outage:
    """(pool, member)s that die and that are drained, and directors that can't be read any more."""

    down: tuple[tuple[str, str], ...] = ()
    drain: tuple[tuple[str, str], ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """What a service answers at one moment. `healthy`: with a member that is known good. `rest`: what it stands on
    otherwise, a sentence. `weight`: of the members that serve."""

    members: tuple[str, ...]
    state: str
    why: str
    ttl: int
    healthy: bool
    servfail: bool
    weight: int


@dataclass(frozen=True, slots=True)
class Fate:
    """One service before and after. `lost`, `joined`: members out of and into its answers. `out`: seconds until the
    last one lost is out of our answers, None: never; `moved`: until no cache has one. `needs` and `has`: weight to
    carry the load, and the weight there is, of all pools on the same hosts; `needs` 0: not told."""

    service: str
    pool: str
    before: Picture
    after: Picture
    lost: tuple[str, ...]
    joined: tuple[str, ...]
    dying: tuple[str, ...]
    out: float | None
    moved: float | None
    needs: int
    has: int

    @property
    def changed(self) -> bool:
        return bool(self.lost or self.joined or self.dying) or self.before != self.after

    @property
    def share(self) -> float:
        """What remains of the weight."""
        return self.after.weight / self.before.weight if self.before.weight else 0.0

    @property
    def suffices(self) -> bool | None:
        return None if not self.needs else self.has >= self.needs


@dataclass(frozen=True, slots=True)
class Story:
    """What would happen: each service's fate, the pools' moves as (seconds, pool, members), whether the
    self-isolation guard held, and what could not be taken into account."""

    fates: tuple[Fate, ...]
    moves: tuple[tuple[float, str, tuple[str, ...]], ...]
    held: bool
    notes: tuple[str, ...]

    @property
    def stranded(self) -> tuple[Fate, ...]:
        """Services that would be left without a healthy member."""
        return tuple(one for one in self.fates if not one.after.healthy)


def unfold(known: Known, outage: Outage) -> Story:
    """What would happen."""
    return _Course(known, outage).story()


class _Course:
    """One pretended course of events."""

    def __init__(self, known: Known, outage: Outage) -> None:
        self.known, self.outage = known, outage
        self.start = known.now
        self.roster = Roster(None, known.isolation_hold, known.witness)
        self.moves: list[tuple[float, str, tuple[str, ...]]] = []
        self.held = False
        self.notes: dict[str, None] = {}
        self._serving: dict[str, tuple[str, ...]] = {}
        self._left: dict[tuple[str, str], tuple[float, dict[bytes, int]]] = {}
        self._ttls: dict[bytes, int] = {}
        self._heap: list[tuple[float, int, str, str]] = []
        self._order = count()
        self._deadline = inf

    def story(self) -> Story:
        self._settle()
        before = {name: self._picture(one) for name, one in self.roster.services.items()}
        hosts = {name: set(one) for name, one in self._serving.items()}
        self._ttls = {name: ttl for name, (ttl, _) in self.roster.ttls.items()}
        self.moves.clear()
        self._strike()
        self._run(self.start + self._horizon())
        after = {name: self._picture(one) for name, one in self.roster.services.items()}
        groups = self._loads()
        fates = [
            self._fate(service, before[name], after[name], hosts.get(service.pool, set()), groups)
            for name, service in self.roster.services.items()
        ]
        return Story(tuple(sorted(fates, key=_place)), tuple(self.moves), self.held, tuple(self.notes))

    # ------------------------------------------------------------------ the course

    def _settle(self) -> None:
        """The roster as the server has it."""
        known, now = self.known, self.start
        self.roster.restore(known.health, known.overrides, known.members, known.standings, names=known.names)
        self._act(self.roster.load(known.dataset, now), now)
        for name, said in known.tables.items():
            for _ in range(2):  # a removal must stand for two readings
                self._act(self.roster.report(name, said, now), now)
        self._act(self.roster.advance(now), now)

    def _strike(self) -> None:
        now, down = self.start, set(self.outage.down)
        for pool, member in self.outage.drain:
            one = Override(pool, member, "drain", "", "what if", now)
            self._act(self.roster.override(one, now), now)
        for name in self.known.tables:
            self._push(now + self._interval(name), "director", name)
        for key in sorted(self._dying(down)):
            check = self.roster.targets()[key].check
            first, _ = budget.detection(check)
            self._push(now + first, "probe", key)
        for pool, member in self.outage.down:
            index = self.roster.duties[pool].index(member)
            keys = self.roster.duties[pool].targets[index] if index is not None else ()
            if not any(keys) and not self.known.dataset.pools[pool].following:
                self.notes[f"{pool}/{member}: {QUIET}; it would be answered until someone drains it"] = None

    def _dying(self, down: set[tuple[str, str]]) -> set[str]:
        """Targets on the addresses of members that die: all of them, for a host has one fate."""
        pools = self.roster.dataset.pools
        gone = {
            address
            for pool, member in down
            for one in (pools[pool].members if pool in pools else ())
            if one.name == member
            for address in one.addresses
        }
        return {key for key, target in self.roster.targets().items() if target.address in gone}

    def _run(self, until: float) -> None:
        while True:
            first = self._heap[0][0] if self._heap else inf
            if min(first, self._deadline) > until:
                return
            if self._deadline < first:
                now = self._deadline
                self._act(self.roster.advance(now), now)
                continue
            now = first
            while self._heap and self._heap[0][0] <= now + TOGETHER:
                self._happen(*heapq.heappop(self._heap))
            self._act(self.roster.flush(now + TOGETHER), now + TOGETHER)

    def _happen(self, now: float, _: int, kind: str, name: str) -> None:
        if kind == "director":
            said = "gone (as asked: what if)" if name in self.outage.gone else self._told(name)
            self.roster.hear(name, said, now)
            self._push(now + self._interval(name), kind, name)
            return
        self.roster.note(name, DEAD, now)
        check = self.roster.targets()[name].check
        self._push(now + max(budget.JITTER * self.roster.pace(name), check.timeout), kind, name)

    def _act(self, decision: Decision, now: float) -> None:
        deadline = self.roster.next_deadline()
        self._deadline = inf if deadline is None else max(deadline, now + 0.02)
        self.held |= self.roster.verdicts.held
        for name, duty in self.roster.duties.items():
            serving = tuple(one.name for one in duty.selection.serving)
            before = self._serving.get(name)
            if serving == before:
                continue
            self._serving[name] = serving
            self.moves.append((now - self.start, name, serving))
            for gone in set(before or ()) - set(serving):
                self._left[name, gone] = now - self.start, dict(self._ttls)
        self._ttls = {name: ttl for name, (ttl, _) in self.roster.ttls.items()}
        for follows in assumed.succeed(self.roster, now, self.notes):
            self._act(follows, now)

    def _push(self, at: float, kind: str, name: str) -> None:
        heapq.heappush(self._heap, (at, next(self._order), kind, name))

    def _interval(self, name: str) -> float:
        director = self.roster.dataset.directors.get(name)
        return budget.JITTER * director.interval + director.timeout if director else 10.0

    def _told(self, name: str) -> DirectorTable | str:
        """What a director that can be read says: the same as before, but of those that died that they are down."""
        said = self.known.tables[name]
        if isinstance(said, str):
            return said
        dead: dict[str, set[str]] = {}
        down = set(self.outage.down)
        for pool in self.roster.dataset.pools.values():
            gone = [one for one in pool.members if (pool.name, one.name) in down]
            names = {text for one in gone for text in (one.name, *one.addresses)}
            for one in pool.following:
                if one.director != name or not names:
                    continue
                hit = dead.setdefault(one.part, set())
                for report in said.parts.get(one.part, ()):
                    entries = entries_of(one, Listing((report,), 0.0), [])
                    if {report.server, *(each.address for each in entries)} & names or one.member in names:
                        hit.add(report.server + report.address)
        parts = {
            part: tuple(
                [replace(one, word="down", why="what if") if one.server + one.address in dead.get(part, ()) else one
                 for one in reports]
            )
            for part, reports in said.parts.items()
        }  # fmt: skip
        return replace(said, parts=parts)

    def _horizon(self) -> float:
        """Seconds until everything that follows has followed."""
        checks = self.roster.dataset.checks.values()
        directors = self.roster.dataset.directors.values()
        longest = max([budget.detection(check)[1] for check in checks], default=0.0)
        stale = max([one.stale_after + 3 * (one.interval + one.timeout) for one in directors], default=0.0)
        return max(longest, stale) + self.known.isolation_hold + AFTER

    # ------------------------------------------------------------------ pictures

    def _picture(self, service: Service) -> Picture:
        duty = self.roster.duties[service.pool]
        found = duty.selection
        bad = found.rung in NOBODY_GOOD
        healthy = bool(found.serving) and not bad and (found.state != "panic" or any(o.available for o in duty.hosts))
        weight = 0 if bad else sum(one.weight for one in found.serving) // duty.scale
        names = tuple(one.name for one in found.serving)
        ttl = self.roster.ttls[service.name][0]
        return Picture(names, found.state, found.why, ttl, healthy, found.servfail, weight)

    def _loads(self) -> dict[str, Load]:
        duties = self.roster.duties
        scales = {name: duty.scale for name, duty in duties.items()}
        return loads({name: duty.selection for name, duty in duties.items()}, self.roster.dataset.pools, scales)

    def _fate(
        self, service: Service, before: Picture, after: Picture, hosts: set[str], groups: Mapping[str, Load]
    ) -> Fate:
        lost = tuple(one for one in before.members if one not in after.members)
        struck = {member for pool, member in (*self.outage.down, *self.outage.drain) if pool == service.pool}
        dying = tuple(one for one in before.members if one in struck)
        out, moved = self._moved(service, before, [one for one in (*lost, *dying) if one in hosts], after)
        load = groups[service.pool]
        needs = load.needs if self.roster.dataset.pools[service.pool].capacity else 0
        return Fate(
            name_to_text(service.name), service.pool, before, after, lost,
            tuple(one for one in after.members if one not in before.members), dying, out, moved, needs, load.has,
        )  # fmt: skip

    def _moved(
        self, service: Service, before: Picture, going: Sequence[str], after: Picture
    ) -> tuple[float | None, float | None]:
        """Seconds until the last of them is out of our answers, and until no cache has it: the answers of the first
        failure's time live for their TTL from then, later ones for theirs from the moment it is out."""
        pool = self.roster.dataset.pools[service.pool]
        out, moved = 0.0, 0.0
        for member in dict.fromkeys(going):
            if member in after.members or (service.pool, member) not in self._left:
                return None, None
            left, ttls = self._left[service.pool, member]
            if (service.pool, member) in self.outage.down:
                checks = [self.roster.dataset.checks[name] for name in pool.checks]
                first = max([budget.detection(check)[0] for check in checks], default=0.0)
            else:
                first = 0.0
            gone = left - TOGETHER + budget.PUBLISH
            out = max(out, gone)
            short = min(before.ttl, ttls.get(service.name, before.ttl))
            moved = max(moved, min(first, left) + before.ttl, gone + short)
        return out, moved


def _place(fate: Fate) -> Any:
    """Worst first, then by name."""
    return fate.after.healthy, not fate.changed, fate.service
