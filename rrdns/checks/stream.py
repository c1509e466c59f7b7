"""One connection of one probe: connect, TLS where asked, one deadline over all of it, one verdict.

`Conversation` is what tcp and http have in common as a protocol; `converse` runs it. The connection is
closed as soon as the verdict is known, whatever is still on its way. Must not know: HTTP, what is expected.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Any, cast

from rrdns.checks import tls
from rrdns.checks.words import fault, seconds
from rrdns.model import Result, Target

# The stages before anything is said; later ones are in a conversation's own words.
CONNECTING = "connecting"
HANDSHAKE = "in the TLS handshake"


class Conversation(asyncio.Protocol):
    """What is said and heard on one connection. Subclasses say `begin`, `heard`, `ended` and `waiting`."""

    def __init__(self, in_tls: bool = False) -> None:
        self.before_tls = in_tls  # connected, or about to, and TLS has not yet taken the connection over
        self.verdict: asyncio.Future[tuple[bool, str]] = asyncio.get_running_loop().create_future()
        self.received = 0
        self.stage = CONNECTING
        self.transport: asyncio.Transport | None = None

    # -------------------------------------------------- for the subclass

    def begin(self) -> bytes:
        """What to say first."""
        raise NotImplementedError

    def heard(self, data: bytes) -> None:
        """The host said something."""
        raise NotImplementedError

    def ended(self, how: str) -> None:
        """The host ended the connection: `how` is "closed" or "connection reset"; must judge."""
        raise NotImplementedError

    def waiting(self) -> str:
        """What is being waited for now: "reading the status line"."""
        raise NotImplementedError

    def judge(self, ok: bool, reason: str, last_words: bytes = b"") -> None:
        """The first verdict stands. Reading ends with it: a 10 MB answer costs one buffer."""
        if not self.verdict.done():
            self.verdict.set_result((ok, reason))
        if last_words and self.transport:
            self.transport.write(last_words)
            self.transport.close()  # once they are sent
            self.transport = None
        self.drop()

    # -------------------------------------------------- for the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        if self.verdict.done():  # the deadline came first
            self.drop()
        elif self.before_tls:
            self.stage = HANDSHAKE
        else:
            self._guarded(self._open)

    def secured(self, transport: asyncio.Transport) -> None:
        """The handshake is done; `transport` is the one inside."""
        self.transport = transport
        if not self.verdict.done():
            self._guarded(self._open)

    def data_received(self, data: bytes) -> None:
        if self.verdict.done():
            return
        if self.before_tls:
            return self.judge(False, tls.early_words(data))
        self.received += len(data)
        self._guarded(self.heard, data)

    def eof_received(self) -> None:
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.verdict.done():
            return
        if isinstance(exc, ssl.SSLError):  # TLS 1.3: "certificate required" comes after the handshake
            return self.judge(False, tls.handshake_fault(exc))
        how = "closed" if exc is None else fault(exc).reason if isinstance(exc, OSError) else "connection reset"
        if self.before_tls:
            self.judge(False, f"TLS handshake: {how} by the server" if exc is None else f"TLS handshake: {how}")
        else:
            self._guarded(self.ended, how)

    def _open(self) -> None:
        self.stage = ""
        first = self.begin()
        if first and self.transport and not self.verdict.done():
            self.transport.write(first)

    def _guarded(self, step: Callable[..., None], *arguments: Any) -> None:
        """A fault of our own must end the probe as that, not look like a host that says nothing."""
        try:
            step(*arguments)
        except Exception as error:
            if not self.verdict.done():
                self.verdict.set_exception(error)
            self.drop()

    def drop(self) -> None:
        if self.transport:
            self.transport.abort()
            self.transport = None


async def converse(talk: Conversation, target: Target, context: ssl.SSLContext | None = None, name: str = "") -> Result:
    """Runs `talk` with the target, in TLS as `name` if there is a `context`, within the check's timeout."""
    check = target.check
    loop = asyncio.get_running_loop()
    begun, deadline = time.monotonic(), loop.time() + check.timeout
    ok = silent = ours = False
    try:
        async with asyncio.timeout_at(deadline) as limit:
            await _connect(loop, talk, target, context, name)
            ok, reason = await talk.verdict
    except ssl.SSLError as error:
        reason = await tls.explain(error, name, target.address, check.port, deadline - loop.time())
    except OSError as error:  # the kernel's own ETIMEDOUT is a TimeoutError too
        if isinstance(error, TimeoutError) and limit.expired():
            silent = talk.stage == CONNECTING
            reason = f"timed out after {seconds(check.timeout)} {talk.stage or talk.waiting()}"
        else:
            reason, silent, ours = fault(error)
            if talk.stage == HANDSHAKE:  # the host had accepted, so the path works
                unsaid = isinstance(error, ConnectionError) and error.errno is None  # both loops' way to say: EOF
                reason, silent = f"TLS handshake: {'closed by the server' if unsaid else reason}", False
    finally:
        talk.drop()
    return Result(ok, reason, time.monotonic() - begun, silent, ours)


async def _connect(
    loop: asyncio.AbstractEventLoop, talk: Conversation, target: Target, context: ssl.SSLContext | None, name: str
) -> None:
    """Connects, in two steps for TLS, so that a timeout can say which of them did not end.

    The socket is the loop's from the start: uvloop closes one that it is given (`sock=`) twice if that one is
    reset early, and so perhaps another's.
    """
    await loop.create_connection(lambda: talk, target.address, target.check.port)
    if context and talk.transport and not talk.verdict.done():
        talk.before_tls = False
        secure = await loop.start_tls(
            talk.transport, talk, context, server_hostname=name, ssl_handshake_timeout=3600
        )  # the deadline is ours
        talk.secured(cast(asyncio.Transport, secure))
