"""What is said and heard on one connection of one probe, until there is a verdict. The first verdict stands.

A subclass is a check's own part of it; whoever runs it (`dialer` without TLS, `stream` in TLS) tells it what happens
by the methods of asyncio's protocols and is its transport. The connection is closed as soon as the verdict is known,
whatever is still on its way. Must not know: sockets, deadlines, HTTP, what is expected.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Protocol, cast

from rrdns.checks import tls
from rrdns.checks.words import fault

# The stages before anything is said; later ones are in a conversation's own words.
CONNECTING = "connecting"
HANDSHAKE = "in the TLS handshake"


class Wire(Protocol):
    """The part of asyncio.Transport that a conversation needs."""

    def write(self, data: bytes, /) -> None: ...
    def close(self) -> None:
        """Once all that was written is sent."""

    def abort(self) -> None: ...
    def get_extra_info(self, name: str, /) -> Any: ...


class Conversation(asyncio.Protocol):
    """Subclasses say `begin`, `heard`, `ended` and `waiting`."""

    def __init__(self, in_tls: bool = False) -> None:
        self.before_tls = in_tls  # connected, or about to, and TLS has not yet taken the connection over
        self.verdict: tuple[bool, str] | Exception | None = None  # an exception is a fault of our own
        self.tell: Callable[[], None] | None = None  # called once there is a verdict
        self.received = 0
        self.stage = CONNECTING
        self.transport: Wire | None = None

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
        if self.verdict is None:
            self._settle((ok, reason))
        if last_words and self.transport:
            self.transport.write(last_words)
            self.transport.close()
            self.transport = None
        self.drop()

    # -------------------------------------------------- for who runs it

    def connection_made(self, transport: asyncio.BaseTransport | Wire) -> None:
        self.transport = cast(Wire, transport)
        if self.verdict is not None:  # the deadline came first
            self.drop()
        elif self.before_tls:
            self.stage = HANDSHAKE
        else:
            self._guarded(self._open)

    def secured(self, transport: Wire) -> None:
        """The handshake is done; `transport` is the one inside."""
        self.transport = transport
        if self.verdict is None:
            self._guarded(self._open)

    def data_received(self, data: bytes) -> None:
        if self.verdict is not None:
            return
        if self.before_tls:
            return self.judge(False, tls.early_words(data))
        self.received += len(data)
        self._guarded(self.heard, data)

    def eof_received(self) -> None:
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.verdict is not None:
            return
        if isinstance(exc, ssl.SSLError):  # TLS 1.3: "certificate required" comes after the handshake
            return self.judge(False, tls.handshake_fault(exc))
        how = "closed" if exc is None else fault(exc).reason if isinstance(exc, OSError) else "connection reset"
        if self.before_tls:
            self.judge(False, f"TLS handshake: {how} by the server" if exc is None else f"TLS handshake: {how}")
        else:
            self._guarded(self.ended, how)

    def drop(self) -> None:
        if self.transport:
            self.transport.abort()
            self.transport = None

    def _open(self) -> None:
        self.stage = ""
        first = self.begin()
        if first and self.transport and self.verdict is None:
            self.transport.write(first)

    def _settle(self, verdict: tuple[bool, str] | Exception) -> None:
        self.verdict = verdict
        if self.tell:
            self.tell()

    def _guarded(self, step: Callable[..., None], *arguments: Any) -> None:
        """A fault of our own must end the probe as that, not look like a host that says nothing."""
        try:
            step(*arguments)
        except Exception as error:
            if self.verdict is None:
                self._settle(error)
            self.drop()
