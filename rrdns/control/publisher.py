"""Publisher: brings every ring to every worker, and the workers' cursors back to the tally.

Keeps a table of its own of what was decided, so that a worker may come at any time and gets all of it. Each
worker has a line of its own (`Line`): the whole table first, then differences. While a commit is not
acknowledged, what changes meanwhile is only marked; the next commit carries the newest of each. Nothing here
ever waits inside `publish`. Must not know: why a ring is as it is.

A line's life: connect -> "ready" -> hello, whole table, commit -> ack -> [differences, commit -> ack]...
A worker that lives but does not acknowledge within ACK_WAIT is killed; the supervisor replaces it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rrdns import __version__, board, link, log
from rrdns.answers import AnswerSet, Changes, Key, Node, ZoneAnswers
from rrdns.board import Board
from rrdns.control.counters import Ring, Tally

ACK_WAIT = 5.0
LARGE = 4 << 20  # bytes of table that allow a second more
STEP = 0.25  # waiting is counted in such steps, so that a pause of this process itself counts as one step
TICK = 1.0  # pings and counters
RINGS_A_TICK = 5000  # with more, counters are asked for less often: telling them takes a worker's time
RETRY = 0.15

Kill = Callable[[int, int], None]


class Publisher:
    """`kill` and `run` (the folder of the workers' sockets) come from outside, for tests."""

    def __init__(
        self,
        run: Path,
        shared: Board,
        tally: Tally,
        now: Callable[[], float],
        options: Mapping[str, object] | None = None,
        kill: Kill = os.kill,
    ) -> None:
        self.sets: dict[Key, AnswerSet] = {}
        self.nodes: dict[bytes, Node] = {}
        self.zones: dict[bytes, ZoneAnswers] = {}
        self.rings: dict[Key, Ring] = {}
        self.lines = [
            Line(self, index, run / f"worker-{index}.sock", shared, tally, now, dict(options or {}), kill)
            for index in range(shared.rows - board.FIRST_WORKER)
        ]
        # workers may still hold rings of a control process before this one: their numbers must not come again
        held = (shared.get(row, "table") for row in range(board.FIRST_WORKER, shared.rows))
        self.numbers = itertools.count(max(held, default=0) + 1)

    def publish(self, changes: Changes, rings: Mapping[Key, Ring]) -> None:
        """Takes one decision; `rings`: who stands in the counted ones among its sets."""
        _update(self.sets, changes.sets)
        _update(self.nodes, changes.nodes)
        _update(self.zones, changes.zones)
        for key in changes.sets:
            ring = rings.get(key)
            if ring is not None:
                self.rings[key] = ring
            else:
                self.rings.pop(key, None)
        for line in self.lines:
            line.mark(changes)

    async def run(self) -> None:
        """Keeps all lines going until cancelled."""
        async with asyncio.TaskGroup() as group:
            for line in self.lines:
                group.create_task(line.run())


def _update(table: dict[Any, Any], changes: Mapping[Any, Any]) -> None:
    for key, value in changes.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value


class Line:
    """One worker, and after it its successor: the row `index` of the workers."""

    def __init__(
        self,
        publisher: Publisher,
        index: int,
        path: Path,
        shared: Board,
        tally: Tally,
        now: Callable[[], float],
        options: dict[str, object],
        kill: Kill,
    ) -> None:
        self.index = index
        self.path = path
        self.pid = 0
        self.connected = False
        self._publisher = publisher
        self._row = board.FIRST_WORKER + index
        self._board = shared
        self._tally = tally
        self._now = now
        self._options = options
        self._kill = kill
        self._dirty: tuple[set[Key], set[bytes], set[bytes]] = (set(), set(), set())
        self._wake = asyncio.Event()
        self._ready = asyncio.Event()
        self._unacknowledged = 0
        """The number of the commit that is on its way, 0: none is."""
        self._carried: list[Key] = []
        """Counted rings that came with it, or went."""
        self._patience = ACK_WAIT
        self._progress = 0
        self._said = ""

    def mark(self, changes: Changes) -> None:
        """Something changed; the next commit carries it."""
        if not self.connected:
            return  # the whole table will do
        for dirty, changed in zip(self._dirty, (changes.sets, changes.nodes, changes.zones), strict=True):
            dirty.update(changed)
        self._wake.set()

    async def run(self) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(str(self.path))
            except OSError as error:
                self._say(f"worker {self.index} can't be reached: {self.path}: {error}", quiet=True)
                await asyncio.sleep(RETRY)
                continue
            try:
                await self._serve(reader, writer)
            except Exception as error:
                self._ended(error)
            finally:
                self.connected = False
                writer.transport.abort()
                self._tally.gone(self.index)
            await asyncio.sleep(RETRY)

    # ------------------------------------------------------------------ one connection

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Returns never: raises _Over or an error when the connection ends. No TaskGroup: where we are told to end in
        that same moment it raises the error alone, and the telling is lost."""
        self.pid = 0
        self._unacknowledged = 0
        self._wake.clear()
        self._ready.clear()
        tasks = [asyncio.create_task(one) for one in (self._hear(reader), self._watch(), self._speak(writer))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        errors = [error for task in done if (error := task.exception())]
        raise next((error for error in errors if isinstance(error, _Over)), errors[0])

    async def _speak(self, writer: asyncio.StreamWriter) -> None:
        # the worker says "ready" only when it has heard something: it listens to others than control as well
        writer.write(link.encode(("hello", __version__, self._options)))
        await self._ready.wait()
        await self._send_all(writer)
        ticks = itertools.count(1)
        due = self._now() + TICK
        while True:
            try:
                async with asyncio.timeout(max(0.0, due - self._now())):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            if any(self._dirty) and not self._unacknowledged:
                await self._send_dirty(writer)
            if self._now() >= due:
                due = self._now() + TICK
                number = next(ticks)
                writer.write(link.encode(("ping", number)))
                if number % (1 + len(self._publisher.rings) // RINGS_A_TICK) == 0:
                    writer.write(link.encode(("counters", number)))
                await writer.drain()

    async def _send_all(self, writer: asyncio.StreamWriter) -> None:
        publisher = self._publisher
        for dirty in self._dirty:
            dirty.clear()
        self.connected = True
        whole = Changes(dict(publisher.sets), dict(publisher.nodes), dict(publisher.zones))
        await self._commit(writer, whole, dict(publisher.rings), fresh=True)

    async def _send_dirty(self, writer: asyncio.StreamWriter) -> None:
        publisher = self._publisher
        sets, nodes, zones = self._dirty
        changes = Changes(
            {key: publisher.sets.get(key) for key in sets},
            {name: publisher.nodes.get(name) for name in nodes},
            {name: publisher.zones.get(name) for name in zones},
        )
        rings = {key: publisher.rings.get(key) for key in sets}
        for dirty in self._dirty:
            dirty.clear()
        await self._commit(writer, changes, rings, fresh=False)

    async def _commit(
        self, writer: asyncio.StreamWriter, changes: Changes, rings: Mapping[Key, Ring | None], fresh: bool
    ) -> None:
        number = next(self._publisher.numbers)
        self._tally.made(self.index, number, rings)
        self._carried = list(rings)
        self._unacknowledged = number
        self._patience = ACK_WAIT
        for frame in link.parts(changes):
            writer.write(frame)
            await writer.drain()
            self._progress += 1
            self._patience += len(frame) / LARGE
            await asyncio.sleep(0)  # drain does not wait while there is room, and others want to run too
        writer.write(link.encode(("commit", number, fresh)))
        await writer.drain()
        self._progress += 1

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        frames = link.Reader()
        while data := await reader.read(1 << 16):
            for frame in frames.feed(data):
                self._take(frame)
        raise _Over("it hung up")

    def _take(self, frame: tuple[Any, ...]) -> None:
        word = frame[0]
        if word == "ready":
            _, self.pid, index, version = frame
            if version != __version__:
                raise _Over(f"it is of version {version}, control is {__version__}; restart rrdns")
            if index != self.index:
                raise _Over(f"it says it is worker {index}")
            self._say(f"worker {self.index} (pid {self.pid}) is connected", quiet=True)
            self._ready.set()
        elif word == "ack":
            self._tally.read(self.index, frame[2], self._now())
            if frame[1] == self._unacknowledged:
                self._tally.acknowledged(self.index, frame[1], self._carried)
                self._unacknowledged = 0
                self._carried = []
                self._wake.set()
        elif word == "counters":
            self._progress += frame[1] == 0  # a commit is being settled
            self._tally.read(self.index, frame[2], self._now())

    async def _watch(self) -> None:
        """Loses patience with a worker that does not acknowledge, and notices that the row has a new process."""
        waited, progress = 0.0, self._progress
        strange = 0
        while True:
            await asyncio.sleep(STEP)
            if not self._unacknowledged or progress != self._progress:
                waited, progress = 0.0, self._progress
            else:
                waited += STEP
            if waited >= self._patience:
                self._replace(waited)
            pid = self._board.get(self._row, "pid")
            strange = strange + 1 if self.pid and pid and pid != self.pid else 0
            if strange * STEP >= 1.0:
                raise _Over(f"its place is taken by pid {pid}")

    def _replace(self, waited: float) -> None:
        """The worker hangs. It is killed only if it is the one on the board, and still there."""
        pid = self._board.get(self._row, "pid")
        if pid and pid == self.pid and self._board.lives(self._row):
            log.logger.error(
                "worker %d (pid %d) has not acknowledged for %.1f s: killed, the supervisor replaces it",
                self.index,
                pid,
                waited,
            )
            try:
                self._kill(pid, signal.SIGKILL)
            except OSError as error:
                log.logger.error("worker %d (pid %d) could not be killed: %s", self.index, pid, error)
        raise _Over("it did not acknowledge")

    def _ended(self, cause: Exception) -> None:
        if not isinstance(cause, (_Over, OSError, ValueError)):
            log.logger.error("the link to worker %d: internal error", self.index, exc_info=cause)
        ending = self._board.get(self._row, "state") == board.STOPPING
        self._say(f"the link to worker {self.index} (pid {self.pid or '?'}) ended: {cause}; connecting again", ending)

    def _say(self, text: str, quiet: bool = False) -> None:
        """One line per news."""
        if text != self._said:
            self._said = text
            (log.logger.debug if quiet else log.logger.warning)("%s", text)


class _Over(Exception):
    """The connection is of no more use; the message says why."""
