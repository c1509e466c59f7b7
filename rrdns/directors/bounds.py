"""What bounds a question to a director: its time, its bytes, and the thread it may hang in.

Must not know: which door it is, what an answer means.
"""

from __future__ import annotations

import asyncio
import mmap
import socket
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from rrdns.checks.words import fault, plain, seconds
from rrdns.directors import Fault
from rrdns.model import Director

MAX_BYTES = 16 * 1024 * 1024
IN_LOOP = 256 * 1024  # bytes that are parsed where they are; more go to a thread

_PIECE = 256 * 1024  # unpacked at a time

T = TypeVar("T")


@dataclass(slots=True)
class Question:
    """One reading of a director, which may go through several doors: all of them share its time.

    `bytes` counts what came. The poller sets `asking` for its task; without it each door has the timeout alone. `wake`
    asks for the next question at once, for doors through which news comes unasked; `woken`: this is such a question.
    """

    ends: float
    bytes: int = 0
    wake: Callable[[], None] | None = None
    woken: bool = False


asking: ContextVar[Question | None] = ContextVar("asking", default=None)


def left(timeout: float) -> float:
    """Seconds that a door may take."""
    question = asking.get()
    return timeout if question is None else max(0.0, min(timeout, question.ends - time.monotonic()))


def came(count: int) -> None:
    question = asking.get()
    if question is not None:
        question.bytes += count


async def aside(call: Callable[[], T]) -> T:
    """Runs a call in a thread of its own, which nobody waits for at the end: it may hang for ever."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, failure = None, None
        try:
            result = call()
        except BaseException as error:
            failure = RuntimeError(str(error)) if isinstance(error, StopIteration) else error
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:
            pass  # the loop has closed meanwhile

    threading.Thread(target=run, daemon=True, name="director").start()
    return await answer


async def parsed(parse: Callable[..., T], body: bytes, *more: Any) -> T:
    """`parse(body, *more)`, in a thread where the body is large. A single call into C over all of it (`findall`,
    `json.loads`) would hold up the loop from there too: parse line by line, or piece by piece."""
    if len(body) <= IN_LOOP:
        return parse(body, *more)
    return await aside(lambda: parse(body, *more))


class Progress:
    """How far a question has come, for the message if it does not end in time."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.came = 0

    def late(self, timeout: float) -> str:
        if not self.came:
            return f"{self.where}: no answer in {seconds(timeout)}"
        return f"{self.where}: the answer was not whole after {seconds(timeout)} ({amount(self.came)} had come)"


@asynccontextmanager
async def bounded(director: Director, progress: Progress) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(left(director.timeout)):
            yield
    except TimeoutError as error:
        if error.errno is not None:  # the kernel's own word: connect gave up
            raise Fault(socket_reason(progress.where, error), silent(error)) from None
        raise Fault(progress.late(director.timeout), silent=not progress.came) from None


class Body:
    """Collects an answer, unpacks it, and stops at the limit. Its memory is a mapping of its own, which goes back to
    the system: what malloc lent for eleven bad answers of megabytes it kept (R16 of scripts/faults: 18 MiB, now 2)."""

    def __init__(self, limit: int, progress: Progress) -> None:
        self._unpack: zlib._Decompress | None = None
        self._limit = limit
        self._progress = progress
        self._room = mmap.mmap(-1, limit, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._size = 0

    def packed_as(self, encoding: str) -> None:
        """The Content-Encoding; only gzip is offered."""
        encoding = encoding.strip().lower()
        if encoding in ("", "identity"):
            return
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise Fault(
                f"{self._progress.where} packs its answer as {plain(encoding, 20)}, though only gzip was offered"
            )
        self._unpack = zlib.decompressobj(47)

    def add(self, data: bytes) -> None:
        self._progress.came += len(data)
        came(len(data))
        if self._unpack is None:
            self._keep(data)
            return
        try:
            piece = self._unpack.decompress(data, _PIECE)
            while piece:
                self._keep(piece)
                piece = self._unpack.decompress(self._unpack.unconsumed_tail, _PIECE)
        except zlib.error:
            raise Fault(f"{self._progress.where}: the answer's gzip packing is broken") from None

    def _keep(self, data: bytes) -> None:
        end = self._size + len(data)
        if end > self._limit:
            raise Fault(f"{self._progress.where}: the answer is larger than {amount(self._limit)}, and was not read on")
        self._room[self._size : end] = data
        self._size = end

    def end(self) -> bytes:
        if self._unpack is not None and self._progress.came and not self._unpack.eof:
            raise Fault(f"{self._progress.where}: the answer is cut off in its gzip packing")
        found = self._room[: self._size]
        self._room.close()
        return found


def socket_reason(where: str, error: OSError | ValueError) -> str:
    if isinstance(error, socket.gaierror):
        return f"{where}: the name can't be resolved"
    if not isinstance(error, OSError):
        return f"{where}: this can't be asked: {plain(str(error), 60)}"
    if isinstance(error, FileNotFoundError):
        return f"{where}: no such socket (is the program running, and does it put its socket there?)"
    if isinstance(error, PermissionError) and where.startswith("/"):
        return f"{where}: permission denied: the user rrdns runs as may not use this socket"
    return f"{where}: {fault(error).reason}"


def silent(error: Exception) -> bool:
    """Whether nothing came back: no refusal, no word of TLS or HTTP. A resolver that is not reached is silent too."""
    cause = getattr(error, "os_error", error)
    if isinstance(cause, socket.gaierror):
        return cause.errno == socket.EAI_AGAIN
    return isinstance(cause, OSError) and bool(cause.errno) and fault(cause).silent


def amount(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count} byte{'' if count == 1 else 's'}"
