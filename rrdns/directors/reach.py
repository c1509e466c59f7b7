"""The bounded doors through which directors are asked: HTTP, a stream, a datagram, a file, a command.

Whatever stands behind a door may hang, drip, babble or lie. So each question ends at the director's `timeout` as
a whole and at a number of bytes, and all that can go wrong is a `Fault` whose text says what, where and what to do.
Passwords are read at each question, and neither they nor the query of a URL ever stand in a message.

    door       asks                                          the one bound that is not plain
    http       GET `url`                                     bytes count unpacked; redirects only within the host
    stream     writes to `socket`, reads to the end
    datagram   one UDP exchange with `socket`
    file       a regular file, never a FIFO or device        one reading thread a path, however long it hangs
    fifo       a FIFO, which stays open (`fifo.py`)          a line, and bytes a second
    command    runs `command`; its process group is killed

`parsed` is for readers: it takes a large body's parsing out of the loop. Must not know: what an answer means.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rrdns.checks import command as programs
from rrdns.checks.words import plain, seconds
from rrdns.directors import Fault
from rrdns.directors.bounds import (
    MAX_BYTES,
    Body,
    Progress,
    amount,
    aside,
    asking,
    bounded,
    came,
    left,
    parsed,
    silent,
    socket_reason,
)
from rrdns.directors.fifo import Fifo, Listener
from rrdns.directors.web import HttpAnswer, Web
from rrdns.model import Director

__all__ = ["MAX_BYTES", "HttpAnswer", "Reach", "endpoint", "parsed"]

_READ = 65536
_SECRET_BYTES = 4096

T = TypeVar("T")
L = TypeVar("L", bound=Listener)


class Reach:
    """All doors of one process."""

    def __init__(self) -> None:
        self._web = Web()
        self._reading: dict[tuple[str, str], asyncio.Future[Any]] = {}
        self._fifos: dict[str, Fifo[Any]] = {}

    async def close(self) -> None:
        self.keep_fifos(())
        await self._web.close()

    async def http(
        self,
        director: Director,
        url: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        limit: int = MAX_BYTES,
    ) -> HttpAnswer:
        """The answer to a GET of `url`, or of the director's, whatever its status (`answer.whole()` wants 200)."""
        return await self._web.ask(director, director.url if url is None else url, headers or {}, limit, self.password)

    # ---------------------------------------------------------------- sockets

    async def stream(self, director: Director, question: bytes, *, limit: int = MAX_BYTES) -> bytes:
        """Writes the question, and reads until the other side closes."""
        progress = Progress(plain(_socket_of(director)))
        writer = None
        try:
            async with bounded(director, progress):
                if director.socket.startswith("/"):
                    reader, writer = await asyncio.open_unix_connection(director.socket)
                else:
                    host, port = endpoint(director.socket)
                    reader, writer = await asyncio.open_connection(host, port)
                writer.write(question)
                body = Body(limit, progress)
                while data := await reader.read(_READ):
                    body.add(data)
                return body.end()
        except (OSError, ValueError) as error:
            raise Fault(socket_reason(progress.where, error), silent(error)) from None
        finally:
            if writer is not None:
                writer.transport.abort()  # nothing is left to say, and closing could wait for a peer that is stuck

    async def datagram(self, director: Director, question: bytes, port: int = 0) -> bytes:
        """Sends one datagram and gives the first that comes back from there; `port` where `socket` names none."""
        host, to = endpoint(_socket_of(director), port)
        progress = Progress(f"{host} port {to} (UDP)")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        transport = None
        try:
            async with bounded(director, progress):
                transport, _ = await loop.create_datagram_endpoint(lambda: _One(answer), remote_addr=(host, to))
                transport.sendto(question)
                data = await answer
                came(len(data))
                return data
        except (OSError, ValueError) as error:
            raise Fault(socket_reason(progress.where, error), silent(error)) from None
        finally:
            answer.cancel()
            if transport is not None:
                transport.abort()

    # ---------------------------------------------------------------- files and programs

    async def file(self, path: str, limit: int = MAX_BYTES, within: float = 2.0) -> bytes:
        """A regular file's content. On a hung file system one thread hangs, and who asks meanwhile waits with it."""
        data = await self._alone("read", path, lambda: _content(path), within)
        came(len(data))
        if len(data) > limit:
            raise Fault(f"{path} is larger than the {amount(limit)} that are read of a director")
        return data

    async def fifo(self, director: Director, listen: Callable[[], L]) -> Fifo[L]:
        """The director's FIFO, read up to now; its `fault` says what is wrong with it. It stays open, and what comes
        brings the next question forward: directors of one path share it, and a director that was only edited keeps it.
        """
        path = director.fifo
        one: Fifo[L] = self._fifos.setdefault(path, Fifo(path, listen()))
        question = asking.get()
        if question is not None and question.wake is not None:
            one.wakers[director.name] = question.wake
        try:
            await self._alone("open", path, one.find, director.timeout, one.found)
        except Fault as fault:
            if ("open", path) in self._reading:
                one.fault = str(fault)  # nothing is known of the path: what is open stays so
            else:
                one.missing(str(fault))
        return one

    def keep_fifos(self, paths: Collection[str]) -> None:
        """Closes the others."""
        for path in [path for path in self._fifos if path not in paths]:
            self._fifos.pop(path).close()

    async def _alone(
        self, doing: str, path: str, call: Callable[[], T], within: float, then: Callable[[T], None] | None = None
    ) -> T:
        """What a call in a thread gives that may hang on a file system; one at a time for a path, and who comes
        meanwhile waits with it. `then` takes it in any case, also when nobody waits any more."""
        reading: asyncio.Future[T] | None = self._reading.get((doing, path))
        if reading is None:
            reading = asyncio.ensure_future(aside(call))
            self._reading[doing, path] = reading
            reading.add_done_callback(lambda done: self._done(doing, path, done, then))
        try:
            async with asyncio.timeout(left(within)):
                return await asyncio.shield(reading)
        except TimeoutError:
            raise Fault(f"{path} could not be {_PAST[doing]} in {seconds(within)}: is its file system hung?") from None
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise Fault(f"cannot {doing} {plain(path)}: {why}{_file_hint(error)}") from None
        except (ValueError, RuntimeError) as error:  # a NUL in the path; no thread to be had
            raise Fault(f"cannot {doing} {plain(path)}: {plain(str(error))}") from None

    def _done(self, doing: str, path: str, done: asyncio.Future[T], then: Callable[[T], None] | None) -> None:
        self._reading.pop((doing, path), None)
        if not done.cancelled() and done.exception() is None and then is not None:  # who waited has seen a failure
            then(done.result())

    async def password(self, director: Director) -> str | None:
        """As it stands now where `password_from` points; None without one."""
        kind, _, name = director.password_from.partition(":")
        if not kind:
            return None
        if kind == "env":
            value = os.environ.get(name)
            if value is None:
                raise Fault(f"no password: the environment variable {plain(name)} is not set for rrdns")
            return value
        try:
            return (await self.file(name, _SECRET_BYTES, director.timeout)).decode().rstrip("\r\n")
        except Fault as error:
            raise Fault(f"no password: {error}") from None
        except UnicodeDecodeError:
            raise Fault(f"no password: {plain(name)} is not UTF-8 text") from None

    async def command(self, director: Director, *, limit: int = MAX_BYTES) -> bytes:
        """What a program writes to its standard output, if it ends with 0."""
        argv = list(director.command)
        if not argv:
            raise Fault("no `command:` is given")
        try:
            child = programs.Child(argv, programs.clean(RRDNS_DIRECTOR=director.name), limit + 1, apart=True)
        except (OSError, ValueError) as error:
            raise Fault(programs.not_started(argv[0], error)[0]) from None
        program = plain(argv[0], 80)
        ended = await child.wait(left(director.timeout))
        came(len(child.output))
        if len(child.output) > limit:
            raise Fault(f"{program} writes more than {amount(limit)}")
        said = programs.first_line(child.errors)
        if not ended:
            raise Fault(f"{program} had not ended after {seconds(director.timeout)} and was killed{said}")
        if child.ended.result() != 0:
            raise Fault(f"{program}: {programs.ending(child.ended.result())}{said}")
        return child.output


class _One(asyncio.DatagramProtocol):
    """The first thing that comes back."""

    def __init__(self, answer: asyncio.Future[bytes]) -> None:
        self._answer = answer

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


def _content(path: str) -> bytes:
    """Up to one byte over the most that is ever read."""
    if not stat.S_ISREG(Path(path).stat().st_mode):  # before opening: to open a device may do something
        raise OSError("it is not a regular file")
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(fd, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError("it is not a regular file")
        pieces, left = [], MAX_BYTES + 1
        while left and (data := file.read(min(left, 1 << 20))):
            pieces.append(data)
            left -= len(data)
    return b"".join(pieces)


def endpoint(text: str, default: int = 0) -> tuple[str, int]:
    """`10.0.0.1:80`, `[2001:db8::1]:80`, `lb1:80`; without a port where there is a default."""
    host, port = text.strip(), ""
    if host.startswith("["):
        host, _, port = host[1:].partition("]")
        port = port.removeprefix(":")
    elif host.count(":") == 1:
        host, port = host.split(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else (0 if port else default)
    if not host or not 0 < number < 65536:
        raise Fault(f"`socket: {plain(text, 80)}` is neither a path (/run/...) nor host:port")
    return host, number


def _socket_of(director: Director) -> str:
    if not director.socket or "\0" in director.socket:
        raise Fault("no `socket:` is given (a path, or host:port)")
    return director.socket


_PAST = {"read": "read", "open": "opened"}


def _file_hint(error: OSError) -> str:
    return ": the user rrdns runs as may not read it" if isinstance(error, PermissionError) else ""
