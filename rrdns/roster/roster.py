"""Roster: who is on duty now, and why. The one stateful object; floor 3, pure: `now` is an argument.

Everything that can change an answer comes in by a door: `load`, `observe`, `override`, `clear`, `advance`; each
gives a `Decision`, the changed part of the table and what there is to tell. The same calls give the same
decisions. `note` and `flush` are the two halves of `observe`, for many results and one decision. Pictures for
people are drawn by `snapshot.py` and `explanation.py`. Must not know: sockets, files, clocks, processes, how a
probe is made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from rrdns import isolation, overrides, wire
from rrdns.answers import DEFAULT, DNAME, NO_CHANGES, AnswerSet, Changes, Key, Node, ZoneAnswers, key
from rrdns.model import DataSet, DirectorTable, Event, Health, Hinted, Override, Result, Service, Standing, Target
from rrdns.roster import explanation, hinted, overriding, snapshot, succession, telling, verdicts
from rrdns.roster.balancing import Balancing
from rrdns.roster.company import Company
from rrdns.roster.company import UnknownPool as UnknownPool
from rrdns.roster.decision import NOTHING as NOTHING
from rrdns.roster.decision import Decision as Decision
from rrdns.roster.directors import Directors, Kept
from rrdns.roster.duty import Duty
from rrdns.roster.frozen import Frozen
from rrdns.roster.overriding import UnknownMember as UnknownMember
from rrdns.roster.statics import Difference, Statics, Table, put
from rrdns.roster.verdicts import OTHERS, Aims, Verdicts

_A = wire.A.to_bytes(2, "big")
PAGE_EVERY = 5.0  # seconds a page of a ring stands, where the sequence has several
BIG = 100  # members; a bigger pool takes milliseconds to decide, so its results are taken together,
GAP = 0.05  # that many seconds of them


class Roster:
    """`start_wait`: seconds after the first load from which `settled` no longer waits; None: it waits for ever.
    `tells`: answers say where they are not as good as they look (`caveats.py`)."""

    def __init__(
        self,
        start_wait: float | None = None,
        isolation_hold: float = 60.0,
        witness: Iterable[str] = (),
        tells: bool = False,
    ) -> None:
        self.dataset = DataSet()
        self.statics = Statics()
        self.verdicts = Verdicts(isolation_hold, witness)
        self.directors = Directors()
        self.company = Company()
        self.moves = 0
        """How often directors changed who is a member, and with that the targets."""
        self.duties: dict[str, Duty] = {}
        self.services: dict[bytes, Service] = {}
        self.hinted: dict[Key, Hinted] = {}
        self.ttls: dict[bytes, tuple[int, str]] = {}
        """Of each service the TTL in force, and why it is not its full one."""
        self._tells = tells
        self._start_wait = start_wait
        self._first_load: float | None = None
        self._now = 0.0
        self._users: Mapping[str, tuple[tuple[str, int], ...]] = {}
        self._held = False
        self._dirty: set[str] = set()
        self.holds = overriding.Holds()
        self.balancing = Balancing()
        self._timed: set[str] = set()
        """Pools that feel an operator's word which ends by itself."""
        self._paged: set[str] = set()
        self._next_page: float | None = None
        self._events: list[Event] = []
        self._restored: tuple[Override, ...] = ()
        self._table = Table()

    # ------------------------------------------------------------------ what is in force

    @property
    def answers(self) -> Mapping[Key, AnswerSet]:
        return MappingProxyType(self._table.answers)

    @property
    def nodes(self) -> Mapping[bytes, Node]:
        return MappingProxyType(self._table.nodes)

    @property
    def zones(self) -> Mapping[bytes, ZoneAnswers]:
        return MappingProxyType(self._table.zones)

    @property
    def overrides(self) -> tuple[Override, ...]:
        """All operators' words in force, holds first."""
        holds = [self.holds.words[pool] for pool in sorted(self.holds.words)]
        return (*holds, *(word for _, duty in sorted(self.duties.items()) for word in duty.words_in_force()))

    @property
    def standings(self) -> Mapping[str, Standing]:
        """What failover schemes remember, for a restart."""
        return self.company.kept(self.duties)

    def targets(self) -> Mapping[str, Target]:
        """All targets to be probed, the guard's witnesses among them."""
        return MappingProxyType(self.verdicts.all_targets())

    def health(self, key: str) -> Health:
        """What to keep of a target over a restart."""
        return self.verdicts.believed(key)

    def pace(self, key: str) -> float:
        """Seconds to the target's next probe, without jitter."""
        return self.verdicts.pace(key)

    def settled(self, now: float) -> bool:
        """Whether every target has a verdict and every director was read or not (the first round is done), or
        `start_wait` is over."""
        if self._first_load is None:
            return False
        waited = self._start_wait is not None and now - self._first_load >= self._start_wait
        return waited or self.verdicts.unknown + self.directors.unheard == 0

    def ring_members(self, key: Key) -> tuple[tuple[str, ...], ...]:
        """For each slot of a POOL's ring the members in the order they are answered; () for anything else."""
        service = self.services.get(key[:-2])
        ring = self._table.answers.get(key)
        if service is None or ring is None or not ring.counted:
            return ()
        v4, v6 = self.duties[service.pool].orders(service)
        return (v4 if key.endswith(_A) else v6).members()

    def snapshot(self, now: float, wall: float | None = None) -> dict[str, Any]:
        """The parts of `status --json` that are known here, with ages for times; `wall` gives overrides theirs."""
        return snapshot.snapshot(self, now, wall)

    def explain(self, name: bytes, rtype: int, now: float) -> dict[str, Any]:
        """Why the answer to a question is what it is: see `explanation.py`."""
        return explanation.explain(self, name, rtype, now)

    # ------------------------------------------------------------------ the files

    def restore(
        self,
        kept: Mapping[str, Health],
        overrides: Iterable[Override],
        members: Kept | None = None,
        standings: Mapping[str, Standing] = MappingProxyType({}),
        frozen: Frozen = MappingProxyType({}),
    ) -> None:
        """What outlived the last process, for the first load to take up; `members`: as `directors.kept` gave it,
        `standings`: as `standings` did, `frozen`: as `holds.frozen` did."""
        self.holds.kept = frozen
        self.verdicts.restore(kept)
        self.company.restore(standings)
        self.directors.restore(members or {})
        self._restored = tuple(overrides)

    def load(self, dataset: DataSet, now: float) -> Decision:
        """Another data set in force, as a whole; what is known of targets and members that stay is kept."""
        first, self._first_load = self._first_load is None, self._first_load if self._first_load is not None else now
        self._now = now
        dataset = self.directors.load(dataset, now)
        if not first:
            self._events += telling.reloaded(self.dataset, dataset, self.duties, now)
        aims = verdicts.aims(dataset)
        self.verdicts.load(aims)
        self._users = aims.users
        changes = self._load_zones(dataset)
        self.dataset = dataset
        self._load_pools(dataset, aims, now)
        self._take_words(now)
        changes.sets.update(self._decide(sorted(self._dirty), now))
        if first:  # a start is no transition; what became of a kept override is worth telling
            self._events = [event for event in self._events if event.subject == "override"]
        return self._decision(Changes(changes.sets, changes.nodes, changes.zones))

    def _load_zones(self, dataset: DataSet) -> Difference:
        """Puts the static table in force; gives what really changed in it."""
        wanted = self.statics.load(dataset.zones)
        services = self.statics.services()
        for name in self.services.keys() - services.keys():
            self.ttls.pop(name, None)
            for rtype in (wire.A, wire.AAAA):
                wanted.sets.setdefault(key(name, rtype), None)
        records = {hinted.place(one): one for one in self.statics.hinted()}
        for place in self.hinted.keys() - records.keys():
            wanted.sets.setdefault(place, None)
        self.services, self.hinted = services, records
        return self._table.enforce(wanted)

    def _load_pools(self, dataset: DataSet, aims: Aims, now: float) -> None:
        old, keys, self.duties, self._paged = self.duties, aims.keys, {}, set()
        for name in sorted(dataset.pools):
            pool, before = dataset.pools[name], old.get(name)
            if before is not None and before.pool == pool and before.targets == keys[name]:
                self.duties[name] = before
                continue
            duty = self.duties[name] = Duty(pool, keys[name])
            duty.made = self.directors.makes(name)
            if before is not None:
                duty.follow(before)
        self._take_up(now)
        serving: dict[str, list[Service]] = {}
        for service in self.services.values():
            serving.setdefault(service.pool, []).append(service)
        records = hinted.by_pool(self.hinted.values())
        for name, duty in self.duties.items():
            duty.services, duty.hinted = tuple(serving.get(name, ())), records.get(name, ())
            duty.voices, duty.agents = self.directors.voices(name), self.verdicts.agents
            duty.believe(self.verdicts.judged)
            if not duty.hosts:
                duty.judge_all(self.verdicts.judged, self.verdicts.pending)
        self.company.load(self.duties, aims.lent, self.verdicts.judged)
        self._events += self.holds.lost(self.duties, now)
        for _ in self.holds.impose(self.duties):
            pass
        self._timed = {name for name, duty in self.duties.items() if duty.has_timed()}
        self._events += self.balancing.fit(self.duties, dataset, now)
        self._dirty = set(self.duties)

    def _take_up(self, now: float) -> None:
        """Overrides of the last process, once the pools are there."""
        for override in self._restored:
            duty = self.duties.get(override.pool)
            if not override.member and (duty is not None or not override.pool):
                self.holds.words[override.pool] = override
            elif duty is None or (duty.index(override.member) is None and not duty.made):
                self._events.append(telling.lost(override, now))
            else:
                duty.take(override)
        self._restored = ()

    # ------------------------------------------------------------------ results

    def observe(self, key: str, result: Result, now: float) -> Decision:
        """One result, and what follows from it; a big pool that was decided just now follows at `next_deadline`."""
        self.note(key, result, now)
        return self.flush(now, patient=True)

    def note(self, key: str, result: Result, now: float) -> None:
        """One result, kept in mind for `flush`."""
        self.verdicts.note(key, result, now)
        if self.verdicts.changed:
            self._take_verdicts()

    def _take_verdicts(self) -> None:
        """Judges the members anew whose checks have news."""
        for target in self.verdicts.changed:
            for pool, index in self._users[target]:
                self._judge(self.duties[pool], index if index != OTHERS else None)
        self.verdicts.changed.clear()

    def flush(self, now: float, patient: bool = False) -> Decision:
        """What follows from all that was noted, in one decision; `patient` leaves big pools that were decided
        just now to `next_deadline`."""
        self._now = now
        if self._held != self.verdicts.held:  # everybody's TTL
            self._held = self.verdicts.held
            self._dirty = set(self.duties)
        names = sorted(name for name in self._dirty if not patient or now >= self._due(name))
        if not names and not self._events and not self.verdicts.events:
            return NOTHING
        return self._decision(Changes(self._decide(names, now), {}, {}))

    def _due(self, name: str) -> float:
        """When a pool may be decided again."""
        duty = self.duties[name]
        return duty.decided_at + GAP if len(duty.hosts) > BIG else duty.decided_at

    def _judge(self, duty: Duty, index: int | None) -> None:
        if index is not None:
            duty.judge(index, self.verdicts.judged, self.verdicts.pending)
        self._dirty.add(duty.pool.name)

    def _decision(self, changes: Changes) -> Decision:
        events, self._events = tuple(self._events), []
        return Decision(changes or NO_CHANGES, events) if changes or events else NOTHING

    def _decide(self, names: Collection[str], now: float) -> dict[Key, AnswerSet | None]:
        """Decides pools that something happened to, in one step, and renders what came out differently."""
        self._events += self.verdicts.events
        self.verdicts.events.clear()
        names = self.company.together(names)
        self._dirty.difference_update(names)
        selections = self.company.decide(self.duties, names, now, self._held)
        steps, known = [], len(self._events)
        changed: dict[Key, AnswerSet | None] = {}
        for name in names:
            duty = self.duties[name]
            if duty.stays():
                self._events += telling.decided(duty, duty.selection, self.verdicts, now)
                duty.decided_at = now
            else:
                self._events += telling.decided(duty, selections[name], self.verdicts, now)
                steps.append((duty, duty.selection))
                duty.select(selections[name], now, self._tells)
            duty.spoken = False
            self._render(duty, now, changed)
        self._events += list(succession.told(self.company, steps, self._events[known:], now))
        for place, ring in hinted.rings(self, names, now):
            put(self._table.answers, place, ring, changed)
        for name in names:
            duty = self.duties[name]
            (self._paged.add if duty.pages() > 1 else self._paged.discard)(name)
        if not self._paged:
            self._next_page = None
        elif self._next_page is None:
            self._next_page = now + PAGE_EVERY
        return changed

    def _render(self, duty: Duty, now: float, changed: dict[Key, AnswerSet | None]) -> None:
        pending = self._why_pending(duty)
        for service in duty.services:
            why = pending or self._why_timed(duty, service, now)
            ttl = min(service.ttl, service.ttl_min) if why else service.ttl
            self.ttls[service.name] = ttl, why
            for rtype, ring in zip((wire.A, wire.AAAA), duty.rings(service, ttl), strict=True):
                telling_none = duty.ede and duty.has(4 if rtype == wire.A else 16)
                if ring is None and (telling_none or self._table.nodes[service.name].kind == DNAME):
                    ring = self._table.answers[key(service.name, DEFAULT)]  # only OWN nodes fall back to it
                    ring = replace(ring, ede=duty.ede) if telling_none else ring
                put(self._table.answers, key(service.name, rtype), ring, changed)

    def why_short(self, service: Service, now: float) -> str:
        """Why a service would answer with `ttl_min` now, in the words of this moment; empty when it would not."""
        duty = self.duties[service.pool]
        return self._why_pending(duty) or self._why_timed(duty, service, now)

    def _why_pending(self, duty: Duty) -> str:
        if self._held:
            return isolation.why(self.verdicts.guard)
        why = telling.of_pending(duty, self.verdicts)
        return why or succession.of_borrowed(self.company, self.duties, duty, self.verdicts)

    def _why_timed(self, duty: Duty, service: Service, now: float) -> str:
        return telling.of_ending(duty, service, now) or succession.of_return(duty, service.ttl, now)

    # ------------------------------------------------------------------ directors

    def report(self, name: str, table: DirectorTable | str, now: float) -> Decision:
        """One reading of a director, or in words why there is none, and what follows from it."""
        self.hear(name, table, now)
        return self.flush(now)

    def hear(self, name: str, table: DirectorTable | str, now: float) -> None:
        """One reading, kept in mind for `flush`."""
        self.directors.hear(name, table, now)
        self._take_words(now)
        self._dirty |= self.balancing.hear(name, table, self.duties, self.directors, now)
        self._tell_balance(self.directors.followers(name), now)

    def answered(self, pool: str, count: int) -> None:
        """How many answers the names of a pool have given in all; told before a reading of its director."""
        self.balancing.answered(pool, count)

    def _tell_balance(self, names: Iterable[str], now: float) -> None:
        self._events += self.balancing.events([name for name in names if name in self.balancing.keen], self.duties, now)

    def _take_words(self, now: float) -> None:
        """Judges the members anew on whom there is another word; where there are other members, their pools."""
        directors = self.directors
        if directors.moved:
            directors.moved = False
            self.moves += 1
            self._take_verdicts()
            dataset = directors.applied(self.dataset)
            self._events += telling.moved(self.duties, dataset, now)
            aims = verdicts.aims(dataset)
            self.verdicts.load(aims)
            self._users, self.dataset = aims.users, dataset
            held = [name for name, duty in self.duties.items() if duty.stays()]
            self._load_pools(dataset, aims, now)
            for name in held:
                self.duties[name].spoken = False  # other members are no operator's word: a hold stops that
        for name, members in directors.changed.items():
            duty = self.duties[name]
            duty.voices = directors.voices(name)
            for index, member in enumerate(duty.pool.members if members else ()):
                if member.name in members:
                    self._judge(duty, index)
        directors.changed.clear()
        self._events += directors.events
        directors.events.clear()

    # ------------------------------------------------------------------ operators

    def override(self, op: Override, now: float) -> Decision:
        """One word of an operator; it replaces the one before. Raises UnknownMember."""
        return self.speak((op,), now)

    def speak(self, ops: Sequence[Override], now: float) -> Decision:
        """Words of an operator: all of them in one decision or, with UnknownMember, none."""
        overriding.judge(self.duties, ops)
        self._heed(overriding.say_all(self.duties, self.holds, ops, now))
        return self.flush(now)

    def _heed(self, said: overriding.Said) -> None:
        self._events += said.events
        for duty, index in said.touched:
            duty.spoken = True
            self._judge(duty, index)
        for duty in {duty.pool.name: duty for duty, _ in said.touched}.values():
            (self._timed.add if duty.has_timed() else self._timed.discard)(duty.pool.name)

    def clear(self, pool: str, member: str, now: float, owner: str = "", reason: str = "") -> Decision:
        """The `enable` word: the member's overrides go, if it has any; without a member the pool's hold. Raises
        UnknownMember."""
        word = overrides.ENABLE if member else overrides.RELEASE
        return self.speak((Override(pool, member, word, owner, reason, 0.0),), now)

    def outlook(self, ops: Iterable[Override]) -> list[overriding.Outlook]:
        """What the pools concerned would answer, were these words said: the decision on the imagined state."""
        return overriding.outlook(
            self.duties, ops, lambda instead: self.company.imagine(self.duties, instead, self._now)
        )

    def failback(self, pool: str, now: float, owner: str = "", reason: str = "") -> Decision:
        """What is well again and waits to return to a pool does so now. Raises UnknownPool."""
        self.company.recall(self.duties, pool, telling.by(owner, reason))
        self._dirty.add(pool)
        for name in self.company.together([pool]):
            self.duties[name].spoken = True
        return self.flush(now)

    # ------------------------------------------------------------------ time

    def advance(self, now: float) -> Decision:
        """What happens without input: overrides end, or come so near their end that the TTL shrinks; pages turn;
        a hold ends."""
        self.verdicts.advance(now)
        self._take_verdicts()
        self.directors.advance(now)
        self._take_words(now)
        moved = self.balancing.advance(self.duties, self.directors, now)
        self._dirty |= moved
        self._tell_balance(moved, now)
        for said in overriding.released(self.duties, self.holds, now):
            self._heed(said)
        for name in sorted(self._timed):
            self._heed(overriding.expire(self.duties[name], now))
            self._dirty.add(name)
        self._dirty |= self.company.due(self.duties, now)
        if self._next_page is not None and now >= self._next_page:
            for name in self._paged:
                self.duties[name].turn()
            self._dirty |= self._paged
            self._next_page = now + PAGE_EVERY
        return self.flush(now)

    def next_deadline(self) -> float | None:
        """When `advance` has something to do; None: nothing is timed."""
        timed = (self._next_page, self.verdicts.guard_due(), self.directors.next_deadline())
        found = [when for when in timed if when is not None] + [self._due(name) for name in self._dirty]
        found += self.holds.deadlines()
        found += self.balancing.deadlines(self.duties, self.directors, self._now)
        for duty in [self.duties[name] for name in self._timed]:
            found += overriding.deadlines(duty, self._now)
        found += self.company.deadlines(self.duties, self._now)
        return min(found, default=None)
