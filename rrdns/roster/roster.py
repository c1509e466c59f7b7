"""Roster: who is on duty now, and why. The one stateful object; floor 3, pure: `now` is an argument.

Everything that can change an answer comes in by a door: `load`, `observe`, `override`, `clear`, `advance`; each
gives a `Decision`, the changed part of the table and what there is to tell. The same calls give the same
decisions. `note` and `flush` are the two halves of `observe`, for many results and one decision. What is in force
is read at the doors of `in_force.py`; pictures for people are drawn by `snapshot.py` and `explanation.py`. Must not
know: sockets, files, clocks, processes, how a probe is made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rrdns import overrides, wire
from rrdns.answers import NO_CHANGES, AnswerSet, Changes, Key, key
from rrdns.model import DataSet, DirectorTable, Event, Health, Override, Result, Standing, Unheard
from rrdns.resolution import Resolution
from rrdns.roster import deciding, explanation, hinted, overriding, pools, services, snapshot, telling, verdicts
from rrdns.roster.company import UnknownPool as UnknownPool
from rrdns.roster.decision import NOTHING as NOTHING
from rrdns.roster.decision import Decision as Decision
from rrdns.roster.directors import Kept
from rrdns.roster.duty import Duty
from rrdns.roster.frozen import Frozen
from rrdns.roster.in_force import InForce
from rrdns.roster.names import KeptNames
from rrdns.roster.overriding import UnknownMember as UnknownMember
from rrdns.roster.pages import PAGE_EVERY as PAGE_EVERY
from rrdns.roster.statics import Difference, put
from rrdns.roster.verdicts import OTHERS, Aims

BIG = 100  # members; a bigger pool takes milliseconds to decide, so its results are taken together,
GAP = 0.05  # that many seconds of them


class Roster(InForce):
    """`start_wait`: seconds after the first load from which `settled` no longer waits; None: it waits for ever.
    `tells`: answers say where they are not as good as they look (`caveats.py`)."""

    def __init__(
        self,
        start_wait: float | None = None,
        isolation_hold: float = 60.0,
        witness: Iterable[str] = (),
        tells: bool = False,
    ) -> None:
        super().__init__(isolation_hold, witness)
        self._tells = tells
        self._start_wait = start_wait
        self._first_load: float | None = None
        self._now = 0.0
        self._users: Mapping[str, tuple[tuple[str, int], ...]] = {}
        self._dirty: set[str] = set()
        self._timed: set[str] = set()
        """Pools that feel an operator's word which ends by itself."""
        self._events: list[Event] = []
        self._restored: tuple[Override, ...] = ()

    # ------------------------------------------------------------------ what is known

    def settled(self, now: float) -> bool:
        """Whether every target has a verdict, and every director and name was read or not (the first round is done),
        or `start_wait` is over."""
        if self._first_load is None:
            return False
        waited = self._start_wait is not None and now - self._first_load >= self._start_wait
        return waited or self.verdicts.unknown + self.directors.unheard + self.names.unheard == 0

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
        names: KeptNames = MappingProxyType({}),
    ) -> None:
        """What outlived the last process, for the first load to take up; `members`: as `directors.kept` gave it,
        `standings`: as `standings` did, `frozen`: as `holds.frozen` did, `names`: as `names.kept` did."""
        self.holds.kept = frozen
        self.verdicts.restore(kept)
        self.company.restore(standings)
        self.directors.restore(members or {})
        self.names.restore(names)
        self._restored = tuple(overrides)

    def load(self, dataset: DataSet, now: float) -> Decision:
        """Another data set in force, as a whole; what is known of targets and members that stay is kept."""
        first, self._first_load = self._first_load is None, self._first_load if self._first_load is not None else now
        self._now = now
        dataset = self.directors.load(self.names.load(dataset, now), now)
        if not first:
            self._events += telling.reloaded(self.dataset, dataset, self.duties, now)
        aims = verdicts.aims(dataset)
        self.verdicts.load(aims)
        self.verdicts.listen(dataset.directors.values())
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
        names = self.statics.services()
        for name in self.services.keys() - names.keys():
            self.ttls.pop(name, None)
            for rtype in (wire.A, wire.AAAA):
                wanted.sets.setdefault(key(name, rtype), None)
        records = {hinted.place(one): one for one in self.statics.hinted()}
        for place in self.hinted.keys() - records.keys():
            wanted.sets.setdefault(place, None)
        self.services, self.hinted = names, records
        return self._table.enforce(wanted)

    def _load_pools(self, dataset: DataSet, aims: Aims, now: float) -> None:
        self.duties = pools.employ(dataset, aims.keys, self.duties, self.directors)
        self.pages.keep_only(self.duties)
        self._events += overriding.take_up(self.duties, self.holds, self._restored, now)
        self._restored = ()
        learned = self.directors, self.names, self.verdicts
        pools.brief(self.duties, self.services.values(), self.hinted.values(), *learned)
        self.company.load(self.duties, aims.lent, self.verdicts.judged, now)
        self._events += self.holds.lost(self.duties, now)
        for _ in self.holds.impose(self.duties):
            pass
        self._timed = {name for name, duty in self.duties.items() if duty.has_timed()}
        self._events += self.balancing.fit(self.duties, dataset, now)
        self._dirty = set(self.duties)

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
        self._events += deciding.step(self.company, self.duties, names, self.verdicts, now, self._held, self._tells)
        changed: dict[Key, AnswerSet | None] = {}
        for name in names:
            self._render(self.duties[name], now, changed)
        for place, ring in hinted.rings(self, names, now):
            put(self._table.answers, place, ring, changed)
        self.pages.note(self.duties, names, now)
        return changed

    def _render(self, duty: Duty, now: float, changed: dict[Key, AnswerSet | None]) -> None:
        pending = self._why_pending(duty)
        for service in duty.services:
            why = pending or services.why_timed(duty, service, now)
            ttl = min(service.ttl, service.ttl_min) if why else service.ttl
            self.ttls[service.name] = ttl, why
            for place, ring in services.rings(self._table, duty, service, ttl):
                put(self._table.answers, place, ring, changed)

    # ------------------------------------------------------------------ directors

    def report(self, name: str, table: DirectorTable | str, now: float) -> Decision:
        """One reading of a director, or in words why there is none, and what follows from it."""
        self.hear(name, table, now)
        return self.flush(now)

    def hear(self, name: str, table: DirectorTable | str, now: float) -> None:
        """One reading, kept in mind for `flush`."""
        self.verdicts.hear_director(name, isinstance(table, Unheard), now)
        self._take_verdicts()
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
        """Judges the members anew on whom there is another word; where there are other members, or other addresses of
        them, their pools."""
        directors, names = self.directors, self.names
        directors.renew(names.moved, now)
        if directors.moved or names.moved:
            before = None if directors.moved else (self.duties, self._dirty)
            directors.moved, names.moved = False, {}
            self.moves += 1
            self._take_verdicts()
            dataset = directors.applied(names.applied(self.dataset))
            self._events += telling.moved(self.duties, dataset, now)
            aims = verdicts.aims(dataset)
            self.verdicts.load(aims)
            self._users, self.dataset = aims.users, dataset
            held = [name for name, duty in self.duties.items() if duty.stays()]
            self._load_pools(dataset, aims, now)
            for name in held:
                self.duties[name].spoken = False  # other members are no operator's word: a hold stops that
            if before is not None:  # other addresses are nobody's business but of the pools that have them
                self._dirty = before[1] | pools.new(self.duties, before[0])
        for duty, index in pools.heard(self.duties, directors):
            self._judge(duty, index)
        self._events += [*directors.events, *names.events]
        directors.events.clear()
        names.events.clear()

    # ------------------------------------------------------------------ host names

    def resolved(self, name: str, said: Resolution | str, now: float) -> Decision:
        """One look at a host name of members, or in words why it gave nothing, and what follows from it."""
        self.learn({name: Resolution.failed(said) if isinstance(said, str) else said}, now)
        return self.flush(now)

    def learn(self, said: Mapping[str, Resolution], now: float) -> None:
        """Looks at names, kept in mind for `flush`."""
        self.names.hear(said, now)
        self._take_words(now)

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

    def failback(self, pool: str, now: float, owner: str = "", reason: str = "", force: bool = False) -> Decision:
        """What is well again and waits to return to a pool does so now; `force`: and who waits for `before_promote`
        is promoted without it. Raises UnknownPool."""
        self.company.recall(self.duties, pool, telling.by(owner, reason), force)
        self._dirty.add(pool)
        return self.flush(now)

    def promoted(self, pool: str, ident: int, ok: bool, said: str, now: float) -> Decision:
        """What a command of `promotions` came to, in words; one that is not waited for any more is let pass."""
        if self.company.promotions.result(pool, ident, ok, said, now):
            self._dirty.add(pool)
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
        self._dirty |= self.pages.turn(self.duties, now)
        return self.flush(now)

    def next_deadline(self) -> float | None:
        """When `advance` has something to do; None: nothing is timed."""
        timed = (self.pages.due, self.verdicts.guard_due(), self.directors.next_deadline())
        found = [when for when in timed if when is not None] + [self._due(name) for name in self._dirty]
        found += self.holds.deadlines()
        found += self.balancing.deadlines(self.duties, self.directors, self._now)
        for duty in [self.duties[name] for name in self._timed]:
            found += overriding.deadlines(duty, self._now)
        found += self.company.deadlines(self.duties, self._now)
        return min(found, default=None)
