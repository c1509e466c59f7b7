"""The other end of a line, for tests: a worker that is a real Table behind a real unix socket, in the test's loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rrdns import __version__, link
from rrdns.server.table import Table


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the conditions are others' states
            await asyncio.sleep(0.005)


class FakeWorker:
    """The other end of a line: a real Table, and a switch for not answering."""

    def __init__(self, path: Path, index: int = 0, pid: int | None = None, version: str = __version__) -> None:
        self.path, self.index, self.version = path, index, version
        self.pid = os.getpid() if pid is None else pid
        self.table = Table()
        self.commits: list[tuple[int, bool]] = []
        self.frames: list[str] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> FakeWorker:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        frames = link.Reader()
        self.table.discard()
        first = True
        try:
            while data := await reader.read(1 << 16):
                if first:
                    writer.write(link.encode(("ready", self.pid, self.index, self.version)))
                    first = False
                for frame in frames.feed(data):
                    await self._take(frame, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _take(self, frame: tuple[Any, ...], writer: asyncio.StreamWriter) -> None:
        self.frames.append(frame[0])
        if frame[0] == "part":
            self.table.stage(link.unpack_part(frame))
        elif frame[0] == "commit":
            await self.answering.wait()
            self.commits.append((frame[1], frame[2]))
            writer.write(link.encode(("ack", frame[1], self.table.commit(frame[1], frame[2]))))
        elif frame[0] == "counters":
            writer.write(link.encode(("counters", frame[1], self.table.counters())))

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.path.unlink(missing_ok=True)

    def holds(self) -> dict[bytes, tuple[bytes, ...]]:
        return {name: tuple(body.data for body in one.bodies) for name, one in self.table.sets.items()}
