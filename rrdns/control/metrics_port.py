"""The TCP port for /metrics and /healthz: a very small HTTP server that strangers may knock at.

Own limits, as such pages are a known way to trouble a name server: few connections, a short request within a short
time, one answer a connection, and a reader that does not read is hung up on. It never fails control: an address that
can't be had is told in the log and tried again. Must not know: what the pages say.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Awaitable, Callable

from rrdns import log

REQUEST = 4096  # bytes
ASKING = 5.0  # seconds for the whole request
ANSWERING = 15.0
CONNECTIONS = 16
RETRY = 5.0

Page = Callable[[], Awaitable[tuple[int, str, bytes]]]
"""Status, content type and body."""


class MetricsPort:
    def __init__(self, listen: tuple[tuple[str, int], ...], pages: dict[str, Page]) -> None:
        self._listen = listen
        self._pages = pages
        self._busy = 0
        self._told: set[tuple[str, int]] = set()
        self.ports: dict[tuple[str, int], int] = {}
        """Where port 0 was asked for, the one that was given."""

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for address in self._listen:
                group.create_task(self._serve(address))

    async def _serve(self, address: tuple[str, int]) -> None:
        host, port = address
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if not ipaddress.ip_address(host).is_loopback:
            log.logger.warning("metrics on %s: not a loopback address; whoever reaches it can read them", where)
        while True:
            try:
                server = await asyncio.start_server(self._talk, host, port, limit=REQUEST, backlog=32)
            except OSError as error:
                if address not in self._told:
                    self._told.add(address)
                    log.logger.error("metrics on %s: %s; trying again", where, error.strerror or error)
                await asyncio.sleep(RETRY)
                continue
            self.ports[address] = server.sockets[0].getsockname()[1]
            log.logger.info("metrics on http://%s/metrics", where.rpartition(":")[0] + f":{self.ports[address]}")
            async with server:
                await server.serve_forever()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._busy += 1
        try:
            if self._busy > CONNECTIONS:
                return
            async with asyncio.timeout(ASKING):
                asked = await _question(reader)
            if asked is None:
                return
            async with asyncio.timeout(ANSWERING):
                writer.write(await self._answer(*asked))
                await writer.drain()
                writer.write_eof()
                await reader.read(1)  # its end, so that closing does not cut off what is on the way
        except (TimeoutError, OSError):
            pass  # it asked or read too slowly, or has gone
        finally:
            self._busy -= 1
            writer.transport.abort()

    async def _answer(self, method: str, path: str) -> bytes:
        page = self._pages.get(path.partition("?")[0])
        if page is None:
            return _reply(404, "application/json", _error(f"here are {', '.join(self._pages)}"), method)
        if method not in ("GET", "HEAD"):
            return _reply(405, "application/json", _error("only GET"), method)
        try:
            status, kind, body = await page()
        except Exception:
            log.logger.exception("%s: internal error", path)
            return _reply(500, "application/json", _error("internal error; the log says more"), method)
        return _reply(status, kind, body, method)


async def _question(reader: asyncio.StreamReader) -> tuple[str, str] | None:
    """Method and path; None for what is no HTTP, or too long."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return None
    try:
        return words[0].decode("ascii"), words[1].decode("ascii")
    except UnicodeDecodeError:
        return None


def _error(text: str) -> bytes:
    return json.dumps({"error": text}).encode()


_WORDS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 500: "Internal Server Error"}


def _reply(status: int, kind: str, body: bytes, method: str) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_WORDS.get(status, 'Service Unavailable')}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if method == "HEAD" else body)
