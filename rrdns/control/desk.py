"""Desk: where every input meets the roster, and every decision goes on to all whom it concerns.

The order is always the same: the input is journaled, the roster decides, events are told (log, followers, store),
changed rings go to the publisher, and what a restart needs goes to the store. Results of one moment are decided
together. A load is decided in a thread, with results waiting for it, so that a large one stops neither heartbeat
nor probes. Must not know: HTTP, files, sqlite, how a worker is reached.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from rrdns import failover, log
from rrdns.answers import Changes, Key
from rrdns.control.clock import Clock
from rrdns.control.counters import Ring, Tally
from rrdns.control.publisher import Publisher
from rrdns.control.store import Store
from rrdns.model import DataSet, Event, Override, Result, Target
from rrdns.roster.roster import Decision, Roster

TOGETHER = 0.005  # seconds in which results are gathered for one decision
SAVE_WAIT = 3.0  # an operator waits no longer for the disk
FOLLOWED = 1000  # events a follower may lag behind
LARGE = 500  # targets, or rings: a picture of more is drawn in a thread

_BAD = ("down", "unknown", "degraded", "panic", "held", "refused")

A = TypeVar("A")
T = TypeVar("T")
Followers = set["asyncio.Queue[dict[str, Any] | None]"]


class Desk:
    """`turn` is held by whoever reads or changes the roster over more than one step of the loop."""

    def __init__(self, roster: Roster, store: Store, publisher: Publisher, tally: Tally, clock: Clock) -> None:
        self.roster = roster
        self.turn = asyncio.Lock()
        self.followers: Followers = set()
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
        self.serving = False
        """Before that, hosts that are found to be up are no news."""
        self._flush: asyncio.TimerHandle | None = None
        self._saving: set[asyncio.Future[bool]] = set()

    # ------------------------------------------------------------------ inputs

    async def load(self, dataset: DataSet) -> Mapping[str, Target]:
        """Puts a data set in force; gives the targets to be probed from now on."""
        async with self.turn:
            decision, rings, targets = await self._in_thread(self._load, dataset)
            self._targets = targets
            self._act(decision, rings)
            self._store.keep_only_targets(targets)
            self._catch_up()
        self._tally.keep_only(
            [(pool.name, member.name) for pool in dataset.pools.values() for member in pool.members],
            [service.name for zone in dataset.zones.values() for service in zone.services],
        )
        return targets

    async def look(self, draw: Callable[[Roster], T]) -> T:
        """A picture of the roster; of a large one it is drawn in a thread, so that the loop does not lag."""
        async with self.turn:
            if len(self._targets) <= LARGE and len(self.roster.answers) <= LARGE:
                return draw(self.roster)
            try:
                return await self._in_thread(draw, self.roster)
            finally:
                self._catch_up()

    def on_result(self, target: Target, result: Result) -> float:
        """The prober's door: one result; seconds to the next probe."""
        if result.void:
            return target.check.fast
        if self._apart:
            self._waiting.append((target, result))
            return target.check.interval if result.ok else target.check.fast
        self._note(target, result)
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(TOGETHER, self._decide)
        return self.roster.pace(target.key) if target.key in self._targets else target.check.interval

    async def override(
        self, members: list[tuple[str, str]], word: str, seconds: float | None, owner: str, reason: str
    ) -> tuple[list[str], bool]:
        """An operator's word on (pool, member)s; whose override changed, and whether that is saved."""
        async with self.turn:
            now = self._clock.moment()
            standing = {(one.pool, one.member): one for one in self.roster.overrides}
            until = None if seconds is None else now.mono + seconds
            until_wall = None if seconds is None else now.wall + seconds
            changed = []
            for pool, member in members:
                old = standing.get((pool, member))
                op = Override(pool, member, word, owner, reason, now.wall, until, until_wall)
                if _says_the_same(old, op):
                    continue
                what = {"word": word, "for": seconds, "owner": owner, "reason": reason}
                self._store.note_input("override", f"{pool}/{member}", what, now.wall)
                if word == "enable":
                    self._act(self.roster.clear(pool, member, now.mono, owner, reason))
                else:
                    self._act(self.roster.override(op, now.mono))
                changed.append(f"{pool}/{member}")
        return changed, await self._saved(self._store.flush(durable=True))

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

    # ------------------------------------------------------------------ what an override would do

    def emptied(self, members: list[tuple[str, str]], word: str) -> str:
        """In words, which pools would lose the last member they have, and what would be answered; or ""."""
        texts = []
        for pool in self.roster.emptied(members):
            duty = self.roster.duties[pool]
            names = {member for in_pool, member in members if in_pool == pool}
            hosts = [
                replace(one, drained=word == "drain", disabled=word == "disable", available=False)
                if one.name in names
                else one
                for one in duty.hosts
            ]
            after = failover.decide(duty.pool, hosts, duty.last)
            serving = ", ".join(one.name for one in after.serving) or ("SERVFAIL" if after.servfail else "no address")
            texts.append(f"pool {pool} would have no available member left; it would answer {serving} ({after.why})")
        return "; ".join(texts)

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
        self._decide()

    def _load(self, dataset: DataSet) -> tuple[Decision, dict[Key, Ring], Mapping[str, Target]]:
        """In a thread. Without the cycle collector, which would walk over all that is new again and again; what
        stays is then frozen, out of its sight. Cycles left from before are collected first, while that is quick."""
        gc.collect()
        gc.disable()
        try:
            decision = self.roster.load(dataset, self._clock.now())
            return decision, self._rings(decision.changes), dict(self.roster.targets())
        finally:
            gc.freeze()
            gc.enable()

    def _note(self, target: Target, result: Result) -> None:
        if target.key not in self._targets:
            return  # its probe was under way when the files changed
        now = self._clock.moment()
        self._store.note_result(target.key, result, now.wall)
        self.roster.note(target.key, result, now.mono)
        self._store.keep_health(target.key, self.roster.health(target.key))

    def _decide(self) -> None:
        """What follows from the results noted since the last time."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        if not self._apart:
            self._act(self.roster.flush(self._clock.now()))

    def _act(self, decision: Decision, rings: Mapping[Key, Ring] | None = None) -> None:
        if not decision:
            return
        for event in decision.events:
            self._tell(event)
        if decision.changes:
            self._publisher.publish(decision.changes, self._rings(decision.changes) if rings is None else rings)
        if any(event.subject == "override" for event in decision.events):
            self._store.keep_overrides(self.roster.overrides)
        if decision.events:
            self._store.urge()
        self.news.set()

    def _rings(self, changes: Changes) -> dict[Key, Ring]:
        """Who stands in the counted rings among the changes."""
        found = {}
        for key, ring in changes.sets.items():
            if ring is not None and ring.counted:
                name = key[:-2]
                found[key] = Ring(name, self.roster.services[name].pool, self.roster.ring_members(key))
        return found

    def _tell(self, event: Event) -> None:
        row = self._store.keep_event(event)
        level = logging.WARNING if event.after in _BAD else logging.INFO
        if event.subject == "target" or (not self.serving and event.before == "unknown" and level == logging.INFO):
            level = logging.DEBUG  # its member's line says it, where it matters; and a start is no transition
        why = f": {event.why}" if event.why else ""
        text = f"{event.subject} {event.name} {event.before} -> {event.after}{why}"
        log.logger.log(level, "%s", text, extra={"fields": {"event": row}})
        for queue in list(self.followers):
            try:
                queue.put_nowait(row)
            except asyncio.QueueFull:
                self.followers.discard(queue)  # it reads nothing; the stream is ended, it can come again

    async def _saved(self, flush: Awaitable[bool]) -> bool:
        """Whether a flush succeeds in the time an operator waits; it goes on in any case."""
        task = asyncio.ensure_future(flush)
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)
        done, _ = await asyncio.wait({task}, timeout=SAVE_WAIT)
        return bool(done) and task.result()


def _says_the_same(old: Override | None, new: Override) -> bool:
    if new.word == "enable":
        return old is None
    if old is None:
        return False
    return (old.word, old.reason, old.until, new.until) == (new.word, new.reason, None, None)
