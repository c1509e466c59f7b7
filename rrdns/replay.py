"""Replay: a journal's inputs through the real decision code, under the files of then or under others. Floor 3, pure.

    results     as they came, to a target that was probed then; others get those of the likest one (`retold.py`)
    reports     told when they came, and again as long as the director went on saying the same
    overrides, loads, restarts   as they came; under other files, those instead of each load

Results are gathered for one decision as control gathers them. What can't count any more is left out: in a run, all
results after the verdict stands. `watch` is told of decisions and of the truth, which is this: a host is dead from
the first failure of an unbroken run of failures until the first success after it.
Must not know: sqlite, wall clocks, how a roster decides, what is made of the outcome.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from itertools import count
from math import inf
from typing import Any, Protocol

from rrdns.knowledge import standings_of
from rrdns.model import DataSet, Event, Health, Override, Standing
from rrdns.recorded import Input, Recording, Session, Tables
from rrdns.retold import Cursor, Likeness, like, stands
from rrdns.roster.directors import Kept
from rrdns.roster.roster import NOTHING, Decision, Roster, UnknownMember

TOGETHER = 0.005
LEAST_WAIT = 0.02  # control's own, between two deadlines
WARM = 900.0  # seconds before the time asked for, from which counters and damping are known again
POLLS = 3  # after something new a director's readings are told one by one; a removal must stand for two


class Watch(Protocol):
    """Who looks on. Times are steady; `dead` None: nothing is known."""

    def aimed(self, roster: Roster, now: float) -> None: ...
    def decided(self, roster: Roster, decision: Decision, now: float) -> None: ...
    def truth(self, key: str, dead: bool | None, now: float) -> None: ...
    def paused(self, now: float) -> None: ...


class Blind:
    def aimed(self, roster: Roster, now: float) -> None: ...
    def decided(self, roster: Roster, decision: Decision, now: float) -> None: ...
    def truth(self, key: str, dead: bool | None, now: float) -> None: ...
    def paused(self, now: float) -> None: ...


class Player:
    """One pass. `files`: in force instead of those of then."""

    def __init__(self, recording: Recording, since: float, files: DataSet | None = None, watch: Watch | None = None):
        self.recording = recording
        self.files = files
        self.watch: Watch = watch or Blind()
        self.events: list[Event] = []
        self.likenesses: dict[str, Likeness] = {}
        """Of targets that were not probed as they are asked now."""
        self.unheard: set[str] = set()
        """Targets of which nothing is recorded."""
        self.notes: dict[str, None] = {}
        self.start = recording.start(since - WARM)
        self.begin = self.start.at if self.start is not None else recording.begin
        self.now = self.begin
        self.roster = Roster()
        self._about: Mapping[str, Any] = {}
        self._cursors: dict[str, Cursor] = {}
        self._heap: list[tuple[float, int, Any]] = []
        self._order = count()
        self._flush_at, self._deadline = inf, inf
        self._moves = 0
        self._tables = Tables()
        self._polls: dict[str, int] = {}
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
        sessions = self.recording.sessions
        for index, one in enumerate(sessions):
            if one.begin > picture.at and one.kind != "clock":
                self._push(one.begin, one)
            goes_on = index + 1 < len(sessions) and sessions[index + 1].kind == "clock"
            if one.end > picture.at and not goes_on:
                after = sessions[index + 1].begin if index + 1 < len(sessions) else inf
                end = min(one.end + 2 * TOGETHER, after)  # what follows from its last results is still its own
                self._push(end, end)
        for one_input in self.recording.inputs:
            after = one_input.at > picture.at or (one_input.at == picture.at and one_input.kind != "picture")
            if after and one_input is not picture and not (one_input.kind == "load" and one_input.at <= picture.at):
                self._push(one_input.at, one_input)
        words = [spoken(said, picture.at) for said in picture.data.get("words", ())]
        self._new_roster({}, words, {}, standings_of(picture.data.get("standings", {})))
        self._load(str(picture.data.get("files", "")))
        for name, said in picture.data.get("reports", {}).items():
            self._report(name, said)

    def _new_roster(
        self,
        health: Mapping[str, Health],
        overrides: Iterable[Override],
        members: Kept,
        standings: Mapping[str, Standing],
    ) -> None:
        about = self._about
        self.roster = Roster(None, float(about.get("isolation_hold", 60.0)), tuple(about.get("witness", ())))
        self.roster.restore(health, overrides, members, standings)
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
        self._new_roster(kept, old.overrides, old.directors.kept(), old.standings)
        self._tables, self._polls = Tables(), {}

    def _pause(self) -> None:
        """A session ended: nothing is known until the next."""
        if self._flush_at < inf:
            self._flush()
        self._polls.clear()
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
        elif one.kind == "override":
            self._speak(one)
        elif one.kind == "failback":
            self._failback(one)
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
        self._moves = self.roster.moves
        self._aim()
        self._act(decision)

    def _speak(self, one: Input) -> None:
        for said in one.data.get("words", ()):
            word = spoken(said, self.now)
            try:
                self._act(self.roster.speak((word,), self.now))
            except UnknownMember as error:
                self.notes[f"an operator's {word.word} was left out: {error}"] = None

    def _failback(self, one: Input) -> None:
        said = [str(one.data.get(word, "")) for word in ("owner", "reason")]
        if one.name in self.roster.duties:
            self._act(self.roster.failback(one.name, self.now, *said))

    def _report(self, name: str, data: Mapping[str, Any]) -> None:
        said = self._tables.take(name, data)
        fault = isinstance(said, str)
        self._polls[name] = self._polls.get(name, 0) + 1
        self._hear(name, said)
        if not fault:
            self._next_poll(name, self._polls[name], 1)

    def _poll(self, what: tuple[str, int, int]) -> None:
        """The director was read again, and said the same."""
        name, change, number = what
        if self._polls.get(name) == change:
            self._hear(name, self._tables.table(name))
            self._next_poll(name, change, number + 1)

    def _next_poll(self, name: str, change: int, number: int) -> None:
        director = self.roster.dataset.directors.get(name)
        if director is not None:
            wait = director.interval if number <= POLLS else max(director.interval, 0.7 * director.stale_after)
            self._push(self.now + wait, (name, change, number))

    def _hear(self, name: str, said: Any) -> None:
        self.roster.hear(name, said, self.now)
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
        if decision is not NOTHING:
            self.events += decision.events
            self.watch.decided(self.roster, decision, self.now)


def spoken(said: Mapping[str, Any], now: float) -> Override:
    """An operator's word from its row; what another version wrote besides is let pass."""
    known = {one.name for one in fields(Override)}
    rest = {name: value for name, value in said.items() if name in known}
    until = None if said.get("for") is None else now + float(said["for"])
    return Override(**rest, until=until, until_wall=until)
