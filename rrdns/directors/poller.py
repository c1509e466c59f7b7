"""Asks each director every `interval`, and hands on what it said: a table, or why there is none.

Each director has a task of its own, so one that hangs delays nobody; a task asks one question at a time, and a
changed director's task waits for the end of its predecessor. A question ends at the director's `timeout`, whatever
its reader does; parsing may go on a little longer, in a thread. A reader that fails in a way it should not is
logged, once, and told as a fault. Must not know: pools, staleness, what a table means.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from rrdns.checks.words import seconds
from rrdns.directors import Fault
from rrdns.directors.bounds import Question, asking
from rrdns.directors.reach import Reach
from rrdns.directors.readers import READERS, Reader
from rrdns.log import logger
from rrdns.model import Director, DirectorTable, Unheard

JITTER = 0.1
GAP = 0.1  # seconds between a question and the next, where a director brings it forward
PARSING = 5.0  # seconds beyond the timeout, after which an answer that came is given up too

OnTable = Callable[[str, DirectorTable | str], None]


@dataclass(slots=True)
class Stats:
    """How the questions to one director went. `last_ok` is monotonic, None: never; `took`, `bytes` of the last."""

    questions: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    last_ok: float | None = None
    took: float = 0.0
    bytes: int = 0
    reason: str = "not asked yet"

    @property
    def answered(self) -> bool:
        """Or failed; at least once."""
        return self.questions > 0


@dataclass(slots=True)
class _Watch:
    director: Director
    stats: Stats
    task: asyncio.Task[None] | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Poller:
    def __init__(self, on_table: OnTable, reach: Reach, readers: Mapping[str, Reader] = READERS) -> None:
        self._on_table = on_table
        self._reach = reach
        self._readers = readers
        self._watches: dict[str, _Watch] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._running = False
        self._told: set[tuple[str, str]] = set()

    @property
    def stats(self) -> Mapping[str, Stats]:
        return {name: watch.stats for name, watch in self._watches.items()}

    def settled(self) -> bool:
        """Every director has answered or failed once."""
        return all(watch.stats.answered for watch in self._watches.values())

    def set_directors(self, directors: Mapping[str, Director]) -> None:
        """An unchanged one goes on undisturbed."""
        for name in [name for name, watch in self._watches.items() if directors.get(name) != watch.director]:
            watch = self._watches[name]
            if name not in directors:
                del self._watches[name]
            self._end(watch)
        for name, director in directors.items():
            old = self._watches.get(name)
            if old is None or old.director != director:
                self._watches[name] = watch = _Watch(director, Stats())
                if self._running:
                    self._begin(watch)
        self._reach.keep_fifos({one.fifo for one in directors.values()})

    def start(self) -> None:
        if not self._running:
            self._running = True
            for watch in self._watches.values():
                self._begin(watch)

    async def stop(self) -> None:
        self._running = False
        for watch in self._watches.values():
            self._end(watch)
        if self._ending:
            await asyncio.wait(self._ending)

    def _begin(self, watch: _Watch) -> None:
        name = f"director {watch.director.name}"
        before = {task for task in self._ending if task.get_name() == name}
        watch.task = asyncio.create_task(self._follow(watch, before), name=name)

    def _end(self, watch: _Watch) -> None:
        if watch.task is not None and not watch.task.done():
            self._ending.add(watch.task)
            watch.task.add_done_callback(self._ending.discard)
            watch.task.cancel()

    # ---------------------------------------------------------------- one director

    async def _follow(self, watch: _Watch, before: set[asyncio.Task[None]]) -> None:
        """Asks at once, then from question to question an interval, or sooner where the director tells news unasked;
        late, it does not catch up."""
        if before:
            await asyncio.wait(before)
        interval = watch.director.interval
        while True:
            begun = time.monotonic()
            answer = await self._ask(watch, begun)
            with self._guarded(watch.director, "passing on"):
                self._on_table(watch.director.name, answer)
            due = begun + interval * random.uniform(1 - JITTER, 1 + JITTER)
            await self._pause(watch, max(due - time.monotonic(), interval * JITTER))

    async def _pause(self, watch: _Watch, wait: float) -> None:
        least = min(GAP, wait)
        await asyncio.sleep(least)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait - least):
                await watch.news.wait()

    async def _ask(self, watch: _Watch, begun: float) -> DirectorTable | str:
        director, stats = watch.director, watch.stats
        question = Question(begun + director.timeout, wake=watch.news.set, woken=watch.news.is_set())
        watch.news.clear()
        asking.set(question)  # this task's alone
        answer: DirectorTable | str = f"internal error reading a director of type {director.type}: see the log"
        with self._guarded(director, "reading"):
            answer = await self._answer(director)
        stats.questions += 1
        stats.took = time.monotonic() - begun
        stats.bytes = question.bytes
        if isinstance(answer, str):
            stats.failures += 1
            stats.failures_in_a_row += 1
            stats.reason = answer
        else:
            stats.failures_in_a_row = 0
            stats.last_ok = time.monotonic()
            stats.reason = answer.note
        return answer

    async def _answer(self, director: Director) -> DirectorTable | str:
        reader = self._readers.get(director.type)
        if reader is None:
            return f"there is no type of director {director.type!r}: known are {', '.join(sorted(self._readers))}"
        bound = asyncio.timeout(director.timeout + PARSING)
        try:
            async with bound:
                return await reader(director, self._reach)
        except Fault as fault:
            return Unheard(fault) if fault.silent else str(fault)
        except TimeoutError:
            if not bound.expired():
                raise
            return f"its answer could not be read in {seconds(director.timeout + PARSING)}"

    @contextlib.contextmanager
    def _guarded(self, director: Director, doing: str) -> Iterator[None]:
        """What should not happen ends no polling, and is logged once for each place it happens in."""
        try:
            yield
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            place = f"{type(error).__name__} {frames[-1].filename}:{frames[-1].lineno}"
            if (director.name, place) not in self._told:
                self._told.add((director.name, place))
                logger.exception("director %s: internal error %s its table; polling goes on", director.name, doing)
