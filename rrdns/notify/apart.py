"""Blocking work for one sink, in a thread of its own, with a deadline that holds whatever the other side does.

A socket's own timeout begins anew with each byte, so a peer that drips could hold a thread for ever. Here the
deadline shuts the socket, and the thread ends on its own. Where even that can't be (a name server that hangs, a dead
file system) the thread is left behind, and the next try says so instead of making another. Must not know: protocols.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rrdns.checks.words import plain, seconds

T = TypeVar("T")
SECRET = 4096  # bytes
LAST_WAIT = 1.0  # for a thread whose socket was shut


class Failed(Exception):
    """It was not delivered, and why, for people. `refused`: the sink understood it and does not want this message;
    `after`: seconds that it asks us to wait."""

    def __init__(self, why: str, refused: bool = False, after: float = 0.0) -> None:
        super().__init__(plain(why, 300))
        self.refused = refused
        self.after = after


class Grip:
    """The sockets of one try, to be shut when its time is over."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._over = False
        self._lock = threading.Lock()

    def connect(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = socket.create_connection((host, port), timeout)
        with self._lock:
            self._sockets.append(sock)
            over = self._over
        if over:
            self.cut()
        return sock

    def hold(self, sock: socket.socket) -> None:
        """Also this one: what TLS made of the first."""
        with self._lock:
            self._sockets.append(sock)

    def cut(self) -> None:
        with self._lock:
            self._over = True
            sockets = list(self._sockets)
        for sock in sockets:
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not SSLSocket's, which would not be heard twice
            except OSError:
                pass  # it is closed already


class Apart:
    """One sink's thread; at most one works at a time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._busy = False

    async def run(self, work: Callable[[Grip], T], within: float) -> T:
        """What `work` returns or raises; Failed when it takes longer than `within` seconds."""
        if self._busy:
            raise Failed("the try before this one still hangs: a name server or a file system that does not answer?")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        grip = Grip()

        def whole() -> None:
            how: Callable[..., None] = done.set_result
            try:
                found: object = work(grip)
            except BaseException as error:
                how, found = done.set_exception, error
            self._busy = False
            tell(how, found)

        def tell(how: Callable[..., None], what: object) -> None:
            try:
                loop.call_soon_threadsafe(lambda: None if done.done() else how(what))
            except RuntimeError:
                pass  # the loop has ended, and with it who wanted to know

        self._busy = True
        try:
            threading.Thread(target=whole, name=f"notify {self._name}", daemon=True).start()
        except RuntimeError as error:
            self._busy = False
            raise Failed(f"no thread can be started: {error}") from None
        try:
            async with asyncio.timeout(within):
                return await asyncio.shield(done)
        except TimeoutError:
            if done.done():
                raise
            grip.cut()
            await asyncio.wait({done}, timeout=LAST_WAIT)
            if done.done() and not done.cancelled():
                done.exception()  # it is the consequence of the cut
            raise Failed(f"it took longer than {seconds(within)}") from None
        except asyncio.CancelledError:
            grip.cut()
            done.cancel()
            raise


def secret(source: str) -> str:
    """What stands at `file:PATH` or `env:NAME` now; Failed says what is missing, and never shows it. Blocking."""
    kind, _, name = source.partition(":")
    if kind == "env":
        value = os.environ.get(name)
        if value is None:
            raise Failed(f"the environment variable {name} is not set for rrdns")
        return value
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise Failed(f"{name} is no plain file")
            data = os.read(fd, SECRET + 1)
        finally:
            os.close(fd)
    except OSError as error:
        raise Failed(f"cannot read {Path(name)}: {error.strerror}") from None
    if len(data) > SECRET:
        raise Failed(f"{name} is larger than {SECRET} bytes: is it the right file?")
    try:
        return data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise Failed(f"{name} is not UTF-8 text") from None
