"""Desk: where every input meets the roster, and every decision goes on to all whom it concerns.

The order is always the same: the input is journaled, the roster decides, events are told (log, followers, store),
changed rings go to the publisher, and what a restart needs goes to the store. Results of one moment are decided
together. A load is decided in a thread, with results waiting for it, so that a large one stops neither heartbeat
nor probes. Must not know: HTTP, files, sqlite, how a worker is reached.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TypeVar

from rrdns.answers import Key
from rrdns.control import counting
from rrdns.control.clock import Clock
from rrdns.control.counters import Ring, Tally
from rrdns.control.journal import Journal
from rrdns.control.keepsakes import Keepsakes
from rrdns.control.looks import Looks
from rrdns.control.publisher import Publisher
from rrdns.control.reports import ReportJournal
from rrdns.control.store import Store
from rrdns.control.telling import Telling
from rrdns.control.together import Together
from rrdns.counted import CountJournal
from rrdns.knowledge import standings_told
from rrdns.model import DataSet, DirectorTable, Event, Override, Result, Target
from rrdns.overrides import ENDING
from rrdns.promotions import Promotion
from rrdns.resolution import Resolution
from rrdns.roster import frozen, overriding
from rrdns.roster.roster import Decision, Roster

GATHER = 0.25  # seconds in which names are gathered that move the targets of a large roster
SAVE_WAIT = 3.0  # an operator waits no longer for the disk
LARGE = 500  # targets, or rings: a picture of more is drawn in a thread

A = TypeVar("A")
T = TypeVar("T")


class Objection(Exception):
    """What an operator asks for would do harm that he may not see; the message says what."""


class Desk:
    """`turn` is held by whoever reads or changes the roster over more than one step of the loop."""

    def __init__(
        self,
        roster: Roster,
        store: Store,
        publisher: Publisher,
        tally: Tally,
        clock: Clock,
        journal: Journal | None = None,
    ) -> None:
        self.roster = roster
        self.journal = journal or Journal(None, clock)
        self.turn = asyncio.Lock()
        self._telling = Telling(store, self.journal)
        self.followers, self.listeners = self._telling.followers, self._telling.listeners
        self.news = asyncio.Event()
        """Set at every decision, for whoever waits for the roster to be so far."""
        self._store = store
        self._publisher = publisher
        self._tally = tally
        self._clock = clock
        self._targets: Mapping[str, Target] = {}
        self._apart = False
        """A thread is at the roster; results wait."""
        self._waiting: list[tuple[Target, Result]] = []
        self._reports: dict[str, DirectorTable | str] = {}
        """What directors said while a thread was at the roster, the newest of each."""
        self._looks = Looks(roster, self.journal)
        self.on_names: Callable[[Collection[str]], None] = lambda names: None
        """Told after a load which host names are to be followed."""
        self.on_promotions: Callable[[Sequence[Promotion]], None] = lambda promotions: None
        """Told at every decision whose `before_promote` is to run."""
        self.on_targets: Callable[[Mapping[str, Target]], None] = lambda targets: None
        """Told when directors add or take away members, and with them targets."""
        self._digesting: asyncio.Task[None] | None = None
        self._moves = 0
        self._keepsakes = Keepsakes(roster, store, clock)
        self._said = ReportJournal()
        self._counts = CountJournal()
        self.journal.overrides = lambda: self.roster.overrides
        self.journal.reports = self._said.whole
        self.journal.standings = lambda: standings_told(self.roster.standings)
        self.journal.frozen = lambda: frozen.told(self.roster.holds.frozen(self.roster.duties))
        self.journal.corrections = lambda: self.roster.balancing.kept(self.roster.duties)
        self.journal.gathered = self._counts.taken
        self.serving = False
        """Before that, hosts that are found to be up are no news."""
        self._together = Together(self._decide)
        self._saving: set[asyncio.Future[bool]] = set()

    # ------------------------------------------------------------------ inputs

    async def load(self, dataset: DataSet) -> Mapping[str, Target]:
        """Puts a data set in force; gives the targets to be probed from now on."""
        async with self.turn:
            decision, rings, targets = await self._in_thread(self._load, dataset)
            self._targets = targets
            self._act(decision, rings)
            self._keepsakes.keep_frozen()
            self._store.keep_only_targets(targets)
            self.journal.keep_only_targets(targets)
            self._moves = self.roster.moves
            counting.keep_only_those_there(self.roster, self._tally)
            self._catch_up()
        self.on_names(self.roster.names.wanted)
        return self._targets

    async def look(self, draw: Callable[[Roster], T]) -> T:
        """A picture of the roster, decided as far as it has heard; of a large one it is drawn in a thread, so that the
        loop does not lag."""
        async with self.turn:
            self._together.settle()
            if len(self._targets) <= LARGE and len(self.roster.answers) <= LARGE:
                return draw(self.roster)
            try:
                return await self._in_thread(draw, self.roster)
            finally:
                self._catch_up()

    def on_result(self, target: Target, result: Result) -> float:
        """The prober's door: one result; seconds from its probe's begin to the next."""
        if self._apart:
            self._waiting.append((target, result))
            return target.check.interval if result.ok else target.check.fast
        self._note(target, result)
        if result.void:
            return target.check.fast
        self._together.soon()
        pace = self.roster.pace(target.key) if target.key in self._targets else target.check.interval
        # "No route" comes at once. Asked again as soon, who happened to be first would be down before the others had
        # their turn and the guard could tell whose fault it is: all silence takes the time of a timeout.
        return max(pace, target.check.timeout) if result.silent else pace

    def on_table(self, name: str, table: DirectorTable | str) -> None:
        """The poller's door: what a director said, or why it said nothing."""
        if self._apart or self._is_large(name, table):
            self._reports[name] = table
            self._digest()
            return
        self._hear(name, table)
        self._together.soon()

    def on_name(self, name: str, said: Resolution) -> None:
        """The resolver's door: what was said of a member's host name."""
        self._looks.put(name, said)
        if self._apart or len(self._targets) > LARGE:
            self._digest()
        else:
            self._together.soon()

    def _is_large(self, name: str, table: DirectorTable | str) -> bool:
        """Whether working it out takes so long that the loop would lag."""
        servers = 0 if isinstance(table, str) else sum(map(len, table.parts.values()))
        return self.roster.directors.is_followed_by(name) > LARGE or servers > 4 * LARGE

    def _digest(self) -> None:
        """Large tables, and names of large pools, are worked out in a thread, one after another, of each the newest."""
        if self._digesting is None or self._digesting.done():
            self._digesting = asyncio.create_task(self._hear_apart())

    async def _hear_apart(self) -> None:
        while self._reports or self._looks:
            if not self._reports:
                await asyncio.sleep(GATHER)
            async with self.turn:
                if self._looks:
                    now = self._clock.now()
                    await self._in_thread(lambda said: self.roster.learn(*said), (self._looks.taken(now), now))
                    self._catch_up()
                if not self._reports:
                    continue  # a load has taken them up meanwhile
                name, table = next(iter(self._reports.items()))
                del self._reports[name]
                self._journal_of(name, table)
                await self._in_thread(lambda said: self.roster.hear(*said), (name, table, self._clock.now()))
                self._catch_up()

    async def override(
        self,
        members: list[tuple[str, str]],
        word: str,
        seconds: float | None,
        owner: str,
        reason: str,
        force: bool = False,
    ) -> tuple[list[str], bool]:
        """An operator's word on (pool, member)s, or on pools (no member), in one decision or none; whose override
        changed, and whether that is saved. Raises Objection where it would take the last healthy member away and
        nobody says `force`."""
        async with self.turn:
            now = self._clock.moment()
            until = None if seconds is None else now.mono + seconds
            until_wall = None if seconds is None else now.wall + seconds
            every = [Override(*whom, word, owner, reason, now.wall, until, until_wall) for whom in members]
            standing: dict[tuple[str, str], list[Override]] = {}
            for one in self.roster.overrides:
                standing.setdefault((one.pool, one.member), []).append(one)
            ops = [op for op in every if not overriding.says_nothing_new(standing.get((op.pool, op.member), []), op)]
            overriding.judge(self.roster.duties, ops)
            if word not in ENDING and not force and (why := overriding.objection(self.roster.outlook(ops), word)):
                raise Objection(why)
            self.journal.note_words(ops, now.mono)
            self._act(self.roster.speak(ops, now.mono))
        changed = [f"{op.pool}/{op.member}" if op.member else op.pool or "all pools" for op in ops]
        return changed, await self._saved(self._store.flush(durable=True))

    async def decide(self, door: Callable[[float], Decision]) -> None:
        """What comes in by a door of the roster's that has none here: whoever calls journals it."""
        async with self.turn:
            self._act(door(self._clock.now()))
            self.news.set()  # a deadline may have moved though nothing has changed

    async def failback(self, pool: str, owner: str, reason: str, force: bool = False) -> tuple[str, bool]:
        """An operator says that what waits to return to a pool shall (`force`: without `before_promote`); how the
        pool is then, and whether that is saved. Raises UnknownPool."""
        async with self.turn:
            now = self._clock.now()
            decision = self.roster.failback(pool, now, owner, reason, force)
            self.journal.note_input("failback", pool, {"owner": owner, "reason": reason, "force": force}, now)
            self._act(decision)
            selection = self.roster.duties[pool].selection
        return f"{selection.state}: {selection.why}", await self._saved(self._store.flush(durable=True))

    async def keep_time(self) -> None:
        """Deadlines: what happens without input. Runs until cancelled."""
        while True:
            self.news.clear()
            async with self.turn:
                deadline = self.roster.next_deadline()
            try:
                async with asyncio.timeout(None if deadline is None else max(0.02, deadline - self._clock.now())):
                    await self.news.wait()
            except TimeoutError:
                async with self.turn:
                    self._act(self.roster.advance(self._clock.now()))

    async def settled(self, seconds: float) -> bool:
        """Waits until every target has a verdict, at most so long; whether they have."""
        try:
            async with asyncio.timeout(seconds):
                while not self.roster.settled(self._clock.now()):  # noqa: ASYNC110 - time alone may settle it too
                    await asyncio.sleep(0.01)
        except TimeoutError:
            return False
        return True

    def tell(self, subject: str, name: str, before: str, after: str, why: str) -> None:
        """An event that is no decision of the roster's."""
        self._tell(Event(self._clock.now(), subject, name, before, after, why))

    # ------------------------------------------------------------------ inside

    async def _in_thread(self, work: Callable[[A], T], about: A) -> T:
        """The caller holds `turn`, and calls `_catch_up` when it is done with the outcome."""
        self._apart = True
        try:
            return await asyncio.to_thread(work, about)
        finally:
            self._apart = False

    def _catch_up(self) -> None:
        """The results that came meanwhile."""
        waiting, self._waiting = self._waiting, []
        for target, result in waiting:
            self._note(target, result)
        reports, self._reports = self._reports, {}
        for name, table in reports.items():
            self.on_table(name, table)
        self._together.now()

    def _load(self, dataset: DataSet) -> tuple[Decision, dict[Key, Ring], Mapping[str, Target]]:
        """In a thread. Without the cycle collector, which would walk over all that is new again and again; what
        stays is then frozen, out of its sight. Cycles left from before are collected first, while that is quick."""
        gc.collect()
        gc.disable()
        try:
            decision = self.roster.load(dataset, self._clock.now())
            return decision, counting.rings(self.roster, decision.changes), dict(self.roster.targets())
        finally:
            gc.freeze()
            gc.enable()

    def _note(self, target: Target, result: Result) -> None:
        if target.key not in self._targets:
            return  # its probe was under way when the files changed
        now = self._clock.moment()
        self.journal.note_result(target, result, now.mono)
        self.roster.note(target.key, result, now.mono)
        if not result.void:
            self._store.keep_health(target.key, self.roster.health(target.key))

    def _hear(self, name: str, table: DirectorTable | str) -> None:
        self._journal_of(name, table)
        self.roster.hear(name, table, self._clock.now())

    def _journal_of(self, name: str, table: DirectorTable | str) -> None:
        """A reading into the journal; the roster is told what it needs to make something of it."""
        now = self._clock.now()
        what = self._said.news(name, table, now)
        if what is not None:
            self.journal.note_input("report", name, what, now)
        answered = counting.tell_answers(self.roster, self._tally, name)
        if self.journal.path is not None:
            self._counts.note(name, table, answered, bool(answered), now)

    def _moved(self) -> None:
        """Directors have added members, or taken them away."""
        self._moves = self.roster.moves
        self._targets = dict(self.roster.targets())
        self._store.keep_only_targets(self._targets)
        self.journal.keep_only_targets(self._targets)
        counting.keep_only_those_there(self.roster, self._tally)
        self.on_targets(self._targets)

    def _decide(self) -> None:
        """What follows from the results noted since the last time."""
        if not self._apart:
            now = self._clock.now()
            if self._looks and len(self._targets) <= LARGE:
                self.roster.learn(self._looks.taken(now), now)
            self._act(self.roster.flush(now))

    def _act(self, decision: Decision, rings: Mapping[Key, Ring] | None = None) -> None:
        moved = self.roster.moves != self._moves
        if moved:
            self._moved()
        self._keepsakes.keep_members(moved)
        self._keepsakes.keep_names()
        self._keepsakes.keep_standings()
        self.on_promotions(self.roster.promotions)
        if not decision:
            return
        for event in decision.events:
            self._tell(event)
        if decision.changes:
            rings = counting.rings(self.roster, decision.changes) if rings is None else rings
            self._publisher.publish(decision.changes, rings)
        if any(event.subject == "override" for event in decision.events):
            self._store.keep_overrides(self.roster.overrides)
            self._keepsakes.keep_frozen()
        if decision.events:
            self._store.urge()
        self.news.set()

    def _tell(self, event: Event) -> None:
        self._telling.tell(event, self.serving)

    async def _saved(self, flush: Awaitable[bool]) -> bool:
        """Whether a flush succeeds in the time an operator waits; it goes on in any case."""
        task = asyncio.ensure_future(flush)
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)
        done, _ = await asyncio.wait({task}, timeout=SAVE_WAIT)
        return bool(done) and task.result()
