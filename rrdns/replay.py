"""Replay: a journal's inputs through the real decision code, under the files of then or under others. Floor 3, pure.

    results     as they came, to a target that was probed then; others get those of the likest one (`retold.py`)
    names       of members given by host name: what was resolved, as it came
    reports     told when they came, and again as long as the director went on saying the same
    overrides, loads, restarts   as they came; under other files, those instead of each load
    before_promote   as it ended then (see `assumed.py`)

Results are gathered for one decision as control gathers them. What can't count any more is left out: in a run, all
results after the verdict stands. `watch` is told of decisions and of the truth, which is this: a host is dead from
the first failure of an unbroken run of failures until the first success after it.
Must not know: sqlite, wall clocks, how a roster decides, what is made of the outcome.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import count
from math import inf
from typing import Any

from rrdns import assumed
from rrdns.control.journal_rows import word_of
from rrdns.control.names_said import never_resolved, of_picture, said_of
from rrdns.knowledge import standings_of
from rrdns.model import DataSet, Event, Health, Override, Standing
from rrdns.polled import Polls
from rrdns.recorded import Input, Recording, Session
from rrdns.rehearsing import Blind, Rehearsal, Watch
from rrdns.resolution import Resolution
from rrdns.retold import Cursor, Likeness, like, stands
from rrdns.roster import frozen, overriding
from rrdns.roster.directors import Kept
from rrdns.roster.names import KeptNames
from rrdns.roster.roster import Decision, UnknownMember, UnknownPool

TOGETHER = 0.005
LEAST_WAIT = 0.02  # control's own, between two deadlines
WARM = 900.0  # seconds before the time asked for, from which counters and damping are known again


class Player:
    """One pass. `files`: in force instead of those of then. `rings`: whether what does not change who serves is worked
    out too, which takes several times as long (see `rehearsing.py`)."""

    def __init__(
        self,
        recording: Recording,
        since: float,
        files: DataSet | None = None,
        watch: Watch | None = None,
        rings: bool = True,
    ) -> None:
        self.recording = recording
        self.files = files
        self.watch: Watch = watch or Blind()
        self.rings = rings
        self.events: list[Event] = []
        self.likenesses: dict[str, Likeness] = {}
        """Of targets that were not probed as they are asked now."""
        self.unheard: set[str] = set()
        """Targets of which nothing is recorded."""
        self.notes: dict[str, None] = {}
        self.start = recording.start(since - WARM)
        self.begin = self.start.at if self.start is not None else recording.begin
        self.now = self.begin
        self.roster = Rehearsal(rings)
        self._about: Mapping[str, Any] = {}
        self._cursors: dict[str, Cursor] = {}
        self._heap: list[tuple[float, int, Any]] = []
        self._order = count()
        self._flush_at, self._deadline = inf, inf
        self._moves = 0
        self._polls = Polls((), rings)
        self._loaded = False
        self._before = DataSet()
        """What was in force before a restart."""
        self._by_address: dict[str, list[str]] = {}
        for key, about in recording.abouts.items():
            self._by_address.setdefault(str(about.get("address", "")), []).append(key)
        if self.start is not None:
            self._open(self.start)

    # ------------------------------------------------------------------ the run of time

    def play(self, until: float) -> None:
        """Everything up to a moment."""
        while True:
            first = self._heap[0][0] if self._heap else inf
            soon = min(self._flush_at, self._deadline)
            if min(first, soon) > until:
                break
            if self._flush_at <= min(first, self._deadline):
                self.now = max(self.now, self._flush_at)
                self._flush()
            elif self._deadline <= first:
                self.now = max(self.now, self._deadline)
                self._act(self.roster.advance(self.now))
            else:
                at, _, what = heapq.heappop(self._heap)
                self.now = max(self.now, at)
                self._happen(what)
        self.now = max(self.now, until)

    def catch_up(self) -> None:
        """Tells the roster the last result of each target that was left out because it could not count, so that
        ages and reasons are those of the moment."""
        for cursor in self._cursors.values():
            if cursor.last > -inf:
                run = cursor.at(self.now)
                at = run.at_or_before(self.now)
                if at is not None and at > cursor.last:
                    self.roster.note(cursor.target.key, run.result, at)
        self._flush()

    def _happen(self, what: Any) -> None:
        if isinstance(what, Cursor):
            self._probe(what)
        elif isinstance(what, Input):
            self._take(what)
        elif isinstance(what, Session):
            self._restart(what)
        elif isinstance(what, float):
            self._pause()
        else:
            self._poll(what)

    def _push(self, at: float, what: Any) -> None:
        heapq.heappush(self._heap, (at, next(self._order), what))

    # ------------------------------------------------------------------ the beginning, and restarts

    def _open(self, picture: Input) -> None:
        """Begins with what was in force, and lines up all that came after."""
        begun = self.recording.session(picture.at)
        self._about = begun.about
        for at, what in self.recording.after(picture, 2 * TOGETHER):
            self._push(at, what)
        self._polls = Polls([one for one in self.recording.inputs if one.at >= picture.at], self.rings)
        words = [word_of(said, picture.at) for said in picture.data.get("words", ())]
        names, heard = of_picture(picture.data.get("names", {}), picture.at)
        standings = standings_of(picture.data.get("standings", {}))
        held, _ = frozen.of(picture.data.get("frozen", {}))
        self._new_roster({}, words, {}, standings, names, held)
        self.roster.balancing.restore(picture.data.get("corrections", {}))
        self._load(str(picture.data.get("files", "")))
        self._resolve(heard)
        for name, said in picture.data.get("reports", {}).items():
            if "rows" in said and "fault" in said:  # it could be read, but that is some time ago
                then = self.now - float(said.get("heard", 0.0))
                self._hear(name, self._polls.take(name, {**said, "fault": None}, then), then)
            self._report(name, said)
        self.notes.update(dict.fromkeys(self._polls.approximations(self.roster.dataset.directors)))

    def _new_roster(
        self,
        health: Mapping[str, Health],
        overrides: Iterable[Override],
        members: Kept,
        standings: Mapping[str, Standing],
        names: KeptNames,
        held: frozen.Frozen,
    ) -> None:
        about = self._about
        hold, witness = float(about.get("isolation_hold", 60.0)), tuple(about.get("witness", ()))
        self.roster = Rehearsal(self.rings, hold, witness)
        self.roster.restore(health, overrides, members, standings, held, names)
        self._moves = self.roster.moves

    def _restart(self, session: Session) -> None:
        """The server began anew, and took up what it had kept; or rows are missing, and it went on."""
        if session.kind != "start":
            self.watch.aimed(self.roster, self.now)
            return
        self._about = session.about
        old, longest = self.roster, float(session.about.get("health_max_age", 600.0))
        kept, before = {}, self.now - 1e-3
        for key, cursor in self._cursors.items():
            seen = cursor.at(before).at_or_before(before) if cursor.last > -inf else None
            if seen is not None and self.now - seen <= longest:
                kept[key] = replace(old.health(key), seen=seen)
        self._before, self._loaded = old.dataset, False
        held = old.holds.frozen(old.duties)
        self._new_roster(kept, old.overrides, old.directors.kept(), old.standings, old.names.kept(), held)
        self.roster.balancing.restore(old.balancing.kept(old.duties))
        self._polls.begin_anew()

    def _pause(self) -> None:
        """A session ended: nothing is known until the next."""
        if self._flush_at < inf:
            self._flush()
        self._polls.changes.clear()
        self._flush_at = self._deadline = inf
        for key in self._cursors:
            self.watch.truth(key, None, self.now)
        self.watch.paused(self.now)

    # ------------------------------------------------------------------ inputs

    def _take(self, one: Input) -> None:
        if one.kind == "load":
            self._load(str(one.data.get("files", "")))
        elif one.kind == "report":
            self._report(one.name, one.data)
        elif one.kind == "name":
            self._resolve({one.name: said_of(one.data)})
        elif one.kind == "override":
            self._speak(one)
        elif one.kind == "failback":
            self._failback(one)
        elif one.kind == "promotion" and self.files is None:
            for follows in assumed.recorded(self.roster, one, self.now):
                self._act(follows)
        elif one.kind == "picture" and self.recording.session(one.at).kind == "hole":
            self._load(str(one.data.get("files", "")))

    def _load(self, name: str) -> None:
        dataset = self.recording.datasets.get(name)
        if self.files is not None:
            if not self._loaded:
                self._put_in_force(self.files)
        elif dataset is not None:
            self._put_in_force(dataset)
        else:
            self.notes[f"files that were loaded can't be read back: {self.recording.missing.get(name, '?')}"] = None
            if not self._loaded:
                self._put_in_force(self._before)

    def _put_in_force(self, dataset: DataSet) -> None:
        self._loaded = True
        decision = self.roster.load(dataset, self.now)
        if missing := never_resolved(self.roster.names.wanted, self.recording.inputs):
            self.notes[missing] = None
        self._moves = self.roster.moves
        self._aim()
        self._act(decision)

    def _speak(self, one: Input) -> None:
        """In one breath, as it was said; what these files have no member or pool for is left out."""
        words = []
        for word in (word_of(said, self.now) for said in one.data.get("words", ())):
            try:
                overriding.judge(self.roster.duties, [word])
            except (UnknownMember, ValueError) as error:
                self._left_out(f"an operator's {word.word}", error)
            else:
                words.append(word)
        if words:
            self._act(self.roster.speak(words, self.now))

    def _left_out(self, what: str, why: Exception) -> None:
        self.notes[f"{what} was left out: {why}"] = None

    def _failback(self, one: Input) -> None:
        owner, reason = (str(one.data.get(word, "")) for word in ("owner", "reason"))
        force = bool(one.data.get("force"))
        try:
            self._act(self.roster.failback(one.name, self.now, owner, reason, force))
        except UnknownPool as error:
            self._left_out("an operator's failback", error)

    def _resolve(self, said: Mapping[str, Resolution]) -> None:
        if said:
            self.roster.learn(said, self.now)
            self._flush_at = min(self._flush_at, self.now + 1e-6)  # as control does, once for all of a moment

    def _report(self, name: str, data: Mapping[str, Any]) -> None:
        said = self._polls.take(name, data, self.now)
        self._hear(name, said)
        self._next_poll(name, self._polls.changes[name], 1)

    def _poll(self, what: tuple[str, int, int]) -> None:
        """The director was read again, and said the same."""
        name, change, number = what
        if self._polls.changes.get(name) == change and not self._polls.is_news(name, self.now):
            self._hear(name, self._polls.said(name, self.now))
            self._next_poll(name, change, number + 1)

    def _next_poll(self, name: str, change: int, number: int) -> None:
        director = self.roster.dataset.directors.get(name)
        if director is not None:
            keen = self.rings and not self.roster.balancing.keen.isdisjoint(self.roster.directors.followers(name))
            at = self._polls.next(director, keen, self.now, number)
            if at < inf:
                self._push(at, (name, change, number))

    def _hear(self, name: str, said: Any, at: float | None = None) -> None:
        for pool, given in self._polls.answers(name, self.now).items():
            if pool in self.roster.duties:
                self.roster.answered(pool, given)
        self.roster.hear(name, said, self.now if at is None else at)
        self._flush_at = min(self._flush_at, self.now + TOGETHER)

    # ------------------------------------------------------------------ results

    def _aim(self) -> None:
        """Other targets: each gets a cursor into what was recorded."""
        targets = self.roster.targets()
        for key in self._cursors.keys() - targets.keys():
            self._cursors.pop(key).alive = False
        for key, target in targets.items():
            if key in self._cursors or key in self.unheard:
                continue
            found = like(target, self.recording, self._by_address)
            runs = self.recording.runs.get(found.source, []) if found else []
            if found is None or not runs:
                self.unheard.add(key)
                continue
            if found.rank:
                self.likenesses[key] = found
            again = float(self.recording.abouts.get(found.source, {}).get("interval", target.check.interval))
            cursor = self._cursors[key] = Cursor(target, found, runs, again)
            at = cursor.first(self.now)
            if at is not None:
                self._push(max(at, self.now), cursor)
        self.watch.aimed(self.roster, self.now)

    def _probe(self, cursor: Cursor) -> None:
        if not cursor.alive:
            return
        key, run = cursor.target.key, cursor.at(self.now)
        if cursor.told != cursor.index:
            cursor.told = cursor.index
            self.watch.truth(key, not run.result.ok, self.now)
        cursor.last = self.now
        self.roster.note(key, run.result, self.now)
        self._flush_at = min(self._flush_at, self.now + TOGETHER)
        known = self.roster.health(key)
        at = cursor.following(self.roster.pace(key), stands(known, run.result.ok))
        if at is not None:
            self._push(at, cursor)

    # ------------------------------------------------------------------ decisions

    def _flush(self) -> None:
        self._flush_at = inf
        self._act(self.roster.flush(self.now))

    def _act(self, decision: Decision) -> None:
        if self.roster.moves != self._moves:
            self._moves = self.roster.moves
            self._aim()
        deadline = self.roster.next_deadline()
        self._deadline = inf if deadline is None else max(deadline, self.now + LEAST_WAIT)
        self.events += decision.events if self.rings else [one for one in decision.events if one.subject != "balance"]
        if self.roster.decided:
            self.watch.decided(self.roster, decision, self.now)
            self.roster.decided.clear()
        for follows in assumed.succeed(self.roster, self.now, self.notes) if self.files is not None else ():
            self._act(follows)
