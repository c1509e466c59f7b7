"""The HTTP door to directors: one GET, bounded, with redirects only within a host. The client side of aiohttp.

A URL's user and query may be secret, and so may the texts of aiohttp's errors, which hold the URL: messages show
scheme, host and path, and say in words of our own what went wrong. Must not know: files, sockets, what is asked.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from rrdns import __version__
from rrdns.checks.words import fault, plain
from rrdns.directors import Fault
from rrdns.directors.bounds import Body, Progress, amount, bounded, silent
from rrdns.model import Director

if TYPE_CHECKING:
    import aiohttp

REDIRECTS = 3
_READ = 65536
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HINTS = {
    401: "it wants other credentials: see `user:` and `password_file:` of this director",
    403: "it does not let this machine in: allow it there",
    404: "nothing is at this path: see `url:` of this director",
    407: "a proxy stands in between and wants credentials",
}


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """`headers` have lower-case keys; `where` is the URL without credentials and query."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    where: str = ""

    def whole(self) -> bytes:
        """The body of a 200, else a Fault."""
        if self.status == 200:
            return self.body
        hint = _HINTS.get(self.status)
        raise Fault(f"{self.where} answered HTTP {self.status}" + (f": {hint}" if hint else ""))


class Web:
    """The HTTP client of one process."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(
        self,
        director: Director,
        url: str,
        headers: Mapping[str, str],
        limit: int,
        password: Callable[[Director], Awaitable[str | None]],
    ) -> HttpAnswer:
        """The answer to a GET, whatever its status."""
        asked = _checked(url)
        progress = Progress(_shown(asked))
        async with bounded(director, progress):
            if director.user:
                headers = {"Authorization": _basic(director.user, await password(director) or ""), **headers}
            elif asked.username:
                headers = {"Authorization": _basic(unquote(asked.username), unquote(asked.password or "")), **headers}
            for _ in range(REDIRECTS + 1):
                answer = await self._get(asked, headers, director.verify, Body(limit, progress), progress)
                goal = answer.headers.get("location") if answer.status in (301, 302, 303, 307, 308) else None
                if goal is None:
                    return answer
                asked = _redirected(asked, goal)
                progress.where = _shown(asked)
        raise Fault(f"{progress.where} redirects in circles (over {REDIRECTS} times): see `url:` of this director")

    async def _get(
        self, asked: SplitResult, headers: Mapping[str, str], verify: bool, body: Body, progress: Progress
    ) -> HttpAnswer:
        import aiohttp

        if self._session is None:
            # A connection a question: an idle one that the other side has given up costs more than a handshake.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # it would unpack a bomb whole
                timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
                headers={"User-Agent": f"rrdns/{__version__}", "Accept-Encoding": "gzip"},
            )
        url = asked._replace(netloc=asked.netloc.rpartition("@")[2], fragment="").geturl()
        try:
            async with self._session.get(url, headers=headers, allow_redirects=False, ssl=verify) as answer:
                body.packed_as(answer.headers.get("Content-Encoding", ""))
                async for data in answer.content.iter_chunked(_READ):
                    body.add(data)
                found = {key.lower(): value for key, value in answer.headers.items()}
                return HttpAnswer(answer.status, found, body.end(), progress.where)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: what can't stand in a header or URL
            raise Fault(f"{progress.where}: {_http_reason(error, progress.came)}", silent(error)) from None


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme in _DEFAULT_PORTS and parts.hostname and (parts.port is None or parts.port):
            return parts
    except ValueError:
        pass
    raise Fault("`url:` of this director is no http:// or https:// address")


def _port(parts: SplitResult) -> int:
    return parts.port or _DEFAULT_PORTS[parts.scheme]


def _shown(parts: SplitResult) -> str:
    return plain(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def _redirected(asked: SplitResult, goal: str) -> SplitResult:
    """Where a redirect leads: the same host and port, or that host by https."""
    try:
        new = _checked(urljoin(asked.geturl(), goal))
    except (Fault, ValueError):
        raise Fault(f"{_shown(asked)} redirects to something that is no address") from None
    same = new.scheme == asked.scheme and _port(new) == _port(asked)
    if new.hostname != asked.hostname or not (same or (asked.scheme, new.scheme) == ("http", "https")):
        raise Fault(f"{_shown(asked)} redirects elsewhere, to {_shown(new)}: if that is right, make it the `url:`")
    return new


def _http_reason(error: Exception, came: int) -> str:
    """aiohttp's errors in words; their own texts hold the URL, and with it what is secret."""
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        cause = error.__cause__ or getattr(error, "certificate_error", None)
        why = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or "TLS failed"
        return f"TLS: {plain(str(why), 100)} (`verify: false` accepts any certificate)"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the name can't be resolved"
    # aiohttp's own reset, without a number, is of a peer that closed, or said something, before the question.
    early = isinstance(error, ConnectionResetError) and error.errno is None
    if early or isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection without an answer (is this a port for HTTP?)"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {plain(str(error.reason), 100)}"
    if isinstance(error, OSError):
        return fault(getattr(error, "os_error", error)).reason
    if isinstance(error, aiohttp.ClientPayloadError):
        return f"the answer is cut off after {amount(came)}"
    if isinstance(error, aiohttp.ClientResponseError):
        return "what answers there does not speak HTTP"
    return f"it can't be asked ({type(error).__name__}): see `url:`, `user:` and the password"
