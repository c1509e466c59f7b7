"""Journal: every input of a decision, kept so that decisions can be made again; it never stands in anybody's way.

`note_...` take memory only; a thread of its own writes them once a second (`journalfile.py`). Equal results of one
target in a row are one row: the first TIMES moments one by one, for these are what counters count, then only the
last and how many. Reports of directors come coded by difference (`reports.py`). Every PICTURE seconds a picture says
what is in force, so that a reader can begin there and what is older can go.

Times are wall time as it was at the session's start plus the monotonic time since: a step of the wall clock moves
nothing within a session, and begins another. When the disk takes nothing the journal drops what it holds, says so
once, and begins a new session when it can: decisions do not depend on it. Must not know: how anything is decided.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from array import array
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from rrdns import log
from rrdns.control.clock import Clock, Moment
from rrdns.control.journal_rows import Files, about, packed, spoken
from rrdns.control.journalfile import Batch, JournalFile, RunRow
from rrdns.control.ownfile import companions, is_damage
from rrdns.counted import Row
from rrdns.model import Event, Override, Result, Target

NAME = "journal.db"
EVERY = 1.0
RETRY = 3.0
REFRESH = 60.0  # seconds until a run that has only grown is written again
PICTURE = 6 * 3600.0
PRUNE = 300.0
WORTH = 1 << 20  # bytes; a smaller journal makes no room worth having
BACKLOG = 50_000  # rows held for a disk that takes nothing
CLOCK_STEP = 2.0  # the wall clock may drift so far from the session's before another begins
TIMES = 40  # moments kept one by one at the head of a run: more than any rise or fall in force
TICK = 1e-4  # what a moment is counted in

_T = TypeVar("_T")


@dataclass(slots=True)
class _Run:
    number: int
    session: int
    target: int
    first: float
    last: float
    outcome: tuple[bool, bool, str, str, int | None]
    news: bool
    """Something changed with it, so a reader wants its first results at once."""
    count: int = 1
    times: array[int] = field(default_factory=lambda: array("I", (0,)))

    def row(self) -> RunRow:
        ok, silent, reason, word, weight = self.outcome
        said = json.dumps([word, weight]) if word or weight is not None else ""
        return (
            self.number, self.session, self.target, self.first, self.last, self.count, ok, silent, reason, said,
            self.times.tobytes(),
        )  # fmt: skip


class Journal:
    """`path` None: nothing is kept. `overrides`, `reports`, `standings`, `names`, `frozen`, `corrections`: what a
    picture shows, asked when one is drawn."""

    def __init__(self, path: Path | None, clock: Clock, age: float = 14 * 86400.0, size: int = 64 << 20) -> None:
        self.path = path
        self.state = "ok"
        self.why = ""
        self.holes = 0
        """Times something was lost since the start."""
        self.about: Mapping[str, object] = {}
        """The settings that decisions depend on, noted with each session."""
        self.overrides: Callable[[], Iterable[Override]] = tuple
        self.reports: Callable[[float], Mapping[str, object]] = lambda now: {}
        self.standings: Callable[[], Mapping[str, object]] = dict
        self.names: Callable[[float], Mapping[str, object]] = lambda now: {}
        self.frozen: Callable[[], Mapping[str, object]] = dict
        self.corrections: Callable[[], Mapping[str, object]] = dict
        self.gathered: Callable[[bool], Iterable[Row]] = lambda whole: ()
        """Counts of connections: all of them, or as much as makes a row worth writing."""
        self.contents: Callable[[], Files | None] = lambda: None
        """The files in force, read again for a journal that has lost them; called in a thread."""
        self._clock = clock
        self._file = JournalFile(path, age, size) if path is not None else None
        self._thread = ThreadPoolExecutor(1, "journal") if path is not None else None
        self._writing = asyncio.Lock()
        self._pending = Batch()
        self._runs: dict[str, _Run] = {}
        self._grown: set[str] = set()
        self._soon: set[str] = set()
        self._targets: dict[str, int] = {}
        self._session = self._target = self._number = 0
        self._base = 0.0
        """The session's wall time minus its monotonic time."""
        self._load: tuple[str, str] | None = None
        """Digest of the list of files in force, and the load's state."""
        self._pictured = self._refreshed = self._pruned = self._tried = float("-inf")
        self._failing_since = 0.0

    def shown(self, now: float) -> dict[str, Any]:
        """For `status`: `state` ok | failing | off; `since`: seconds it has failed for, None where it does not."""
        state = "off" if self.path is None else self.state
        since = max(0.0, now - self._failing_since) if state == "failing" else None
        return {"state": state, "why": self.why, "since": since, "holes": self.holes}

    # ------------------------------------------------------------------ start and end

    async def open(self) -> None:
        """Begins the first session. A file that can't be opened leaves a journal that says so and tries again."""
        if self._file is None:
            return
        try:
            await self._in_thread(self._reopen, "")
        except (OSError, sqlite3.Error) as error:
            self._fail(error)
        self._begin("start")

    async def run(self) -> None:
        """Writes what is pending until cancelled."""
        while self._file is not None:
            await asyncio.sleep(EVERY)
            now = self._clock.now()
            if self.state == "ok" or now - self._tried >= RETRY:
                await self.flush()

    async def close(self) -> None:
        """Writes everything once more; after that nothing is kept."""
        if self._file is None or self._thread is None:
            return
        self._refreshed = float("-inf")
        await self.flush()
        file, self._file = self._file, None
        await self._in_thread(file.close)
        self._thread.shutdown(wait=False)

    async def flush(self) -> bool:
        """Writes what is pending now; whether it is kept (or nothing is to be). Cancelled, it is still done to its
        end: the next one waits for it."""
        return self._file is None or await asyncio.shield(self._flush())

    async def _flush(self) -> bool:
        async with self._writing:
            now = self._clock.moment()
            self._keep_up(now)
            prune = now.mono - self._pruned >= PRUNE
            if not self._pending and not prune and self.state == "ok":
                return True
            batch, self._pending = self._pending, Batch()
            self._tried = now.mono
            try:
                forgot = await self._in_thread(self._write, batch, self._base + now.mono if prune else None)
            except (OSError, sqlite3.Error) as error:
                self._fail(error)
                self._begin("hole")  # what was in the batch is lost; the next one stands by itself
                return False
            self._pruned = now.mono if prune else self._pruned
            if forgot:
                self._picture(now.mono)  # the one that what is left leans on may be gone
            if self.state != "ok":
                self.state, self.why = "ok", ""
                log.logger.info("inputs are journaled again in %s", self.path)
            return True

    def give_way(self) -> None:
        """The disk is full and something that matters more can't be saved: the journal goes, and begins anew."""
        if self.path is None:
            return
        try:
            if self.path.stat().st_size < WORTH:
                return
            for name in (self.path, *companions(self.path)):
                name.unlink(missing_ok=True)
        except OSError as error:
            log.logger.error("%s could not be removed to make room: %s", self.path, error)
            return
        log.logger.error("%s: removed, for the disk is full and the state matters more", self.path)

    # ------------------------------------------------------------------ what is to be kept

    def note_result(self, target: Target, result: Result, now: float) -> None:
        """One probe's result; `now` monotonic, as the roster gets it."""
        if self._file is None or result.void:
            return
        outcome = (result.ok, result.silent, result.reason, result.word, result.weight)
        at = self._base + now
        run = self._runs.get(target.key)
        if run is not None and run.outcome == outcome:
            run.last = at
            run.count += 1
            if run.count <= TIMES:
                run.times.append(round((at - run.first) / TICK))
            self._grown.add(target.key)
            if run.news and run.count <= TIMES:
                self._soon.add(target.key)
            return
        if run is not None and target.key in self._grown:
            self._pending.runs[run.number] = run.row()
            self._grown.discard(target.key)
        number = self._targets.get(target.key)
        if number is None:
            number = self._target = self._target + 1
            self._targets[target.key] = number
            self._pending.targets.append((number, target.key, about(target)))
        self._number += 1
        news = run is not None or not result.ok
        run = self._runs[target.key] = _Run(self._number, self._session, number, at, at, outcome, news)
        self._pending.runs[run.number] = run.row()
        self._bound()

    def note_words(self, words: Iterable[Override], now: float) -> None:
        """What an operator said, in one breath."""
        self.note_input("override", "", {"words": [spoken(one, now) for one in words]}, now)

    def note_input(self, kind: str, name: str, data: Mapping[str, object], now: float) -> None:
        """An override, a report, a look at a name."""
        if self._file is None:
            return
        text = json.dumps(data, ensure_ascii=False)
        self._pending.inputs.append((self._session, self._base + now, kind, name, text))
        self._bound()

    async def note_load(self, name: str, state: str, found: Files, now: float) -> None:
        """Files that are in force since `now`: their contents, each once, and the list of them."""
        if self._file is None:
            return
        whole, contents = await asyncio.to_thread(packed, found)
        self._load = whole, state
        self._pending.files.update(contents)
        self.note_input("load", name, {"files": whole, "state": state}, now)
        self._picture(now)

    def note_event(self, event: Event) -> None:
        if self._file is None:
            return
        words = (event.subject, event.name, event.before, event.after, event.why)
        self._pending.events.append((self._session, self._base + event.at, *words))

    def keep_only_targets(self, keys: Iterable[str]) -> None:
        """After a reload: runs of targets that no file names any more have ended."""
        for key in self._runs.keys() - set(keys):
            run = self._runs.pop(key)
            if key in self._grown:
                self._pending.runs[run.number] = run.row()
                self._grown.discard(key)

    # ------------------------------------------------------------------ inside

    def _begin(self, kind: str) -> None:
        """A new session: nothing in it leans on what was written before."""
        now = self._clock.moment()
        self._base = now.wall - now.mono
        self._session += 1
        self._runs.clear()
        self._grown.clear()
        if kind == "hole":
            self._targets.clear()
            self._pending = Batch()
            self.gathered(True)
        text = json.dumps(dict(self.about), ensure_ascii=False)
        begun = self._base + now.mono  # as everything after it is reckoned, so that nothing seems to be before it
        self._pending.sessions.append((self._session, begun, kind, text))
        if self._load is not None:
            self._picture(now.mono)

    def _picture(self, now: float) -> None:
        """What is in force, whole."""
        self._pictured = now
        if self._load is None:
            return
        self._put_gathered(True)
        words = [spoken(one, now) for one in self.overrides()]
        what = {
            "files": self._load[0], "state": self._load[1], "words": words, "standings": dict(self.standings()),
            "reports": dict(self.reports(now)), "names": dict(self.names(now)), "frozen": dict(self.frozen()),
            "corrections": dict(self.corrections()),
        }  # fmt: skip
        self.note_input("picture", "", what, now)

    def _keep_up(self, now: Moment) -> None:
        """Before a batch is written: the clock, a picture if it is time, and runs that have grown for long."""
        if abs(now.wall - now.mono - self._base) > CLOCK_STEP:
            self._put_grown()
            self._put_gathered(True)
            self._begin("clock")
        elif now.mono - self._pictured >= PICTURE:
            self._picture(now.mono)
        if now.mono - self._refreshed >= REFRESH:
            self._put_gathered(self._refreshed == float("-inf"))  # the last time of all
            self._refreshed = now.mono
            self._put_grown()
        elif self._soon:
            self._put(self._soon & self._grown)
        self._soon.clear()

    def _put_gathered(self, whole: bool) -> None:
        for name, data, last in self.gathered(whole):
            self.note_input("counts", name, data, last)

    def _put_grown(self) -> None:
        self._put(set(self._grown))

    def _put(self, keys: Iterable[str]) -> None:
        for key in keys:
            run = self._runs[key]
            self._pending.runs[run.number] = run.row()
        self._grown.difference_update(keys)

    def _bound(self) -> None:
        """While the disk takes nothing memory must not grow: what is held is dropped, as a hole."""
        if len(self._pending) > BACKLOG and self.state != "ok":
            self._begin("hole")

    def _write(self, batch: Batch, now: float | None) -> bool:
        """In the thread."""
        file = self._file
        assert file is not None
        try:
            if not file.is_open:
                self._reopen("")
                raise sqlite3.OperationalError("the journal had gone; a new one is begun")
            load = self._load
            if load is not None and load[0] not in file.files and load[0] not in batch.files:
                found = self.contents()
                whole, contents = packed(found) if found is not None else ("", {})
                if whole == load[0]:
                    batch.files.update(contents)
            return file.write(batch, now)
        except sqlite3.DatabaseError as error:
            if is_damage(error) and file.is_open:
                self._reopen(str(error))
            raise

    def _reopen(self, damaged: str) -> None:
        assert self._file is not None
        opened = self._file.open(damaged)
        self._session, self._number = max(opened.session, self._session), max(opened.run, self._number)
        self._targets = opened.targets
        self._target = max([self._target, *opened.targets.values()])
        if opened.note:
            log.logger.error("%s", opened.note)

    def _fail(self, error: Exception) -> None:
        why = f"{self.path}: {error}"
        if self.state == "ok" or self.why != why:
            log.logger.error("%s: inputs are NOT journaled, `rrdns replay` will miss them; trying again", why)
        if self.state == "ok":
            self._failing_since = self._clock.now()
            self.holes += 1
        self.state, self.why = "failing", why

    async def _in_thread(self, function: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)
