"""The http and https checks: one HTTP/1.1 request, judged by status and, where asked, by words in the body.

h11 writes the request and reads the answer; this is the one place that imports it. Redirects are not followed:
they are judged by their status. An answer as plain as most are (`_PLAIN`) is judged without h11, which takes ten
times the CPU for the same verdict. Reading is bounded everywhere, for a host that fails may send anything:

    what                    bound                        then
    status line + headers   HEAD_LIMIT                   down: header too large
    1xx answers before it   INTERIM_LIMIT                down
    body                    the check's body_limit       down: not found in the first ... bytes
    chunks of the body      CHUNK_LIMIT                  down (each costs time, however small it is)
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import quote

import h11

from rrdns import __version__
from rrdns.checks import stream, tls
from rrdns.checks.conversation import Conversation
from rrdns.checks.dialer import Dialer
from rrdns.checks.words import plain, shown, size, wanted
from rrdns.model import HttpProbe, Result, Target

HEAD_LIMIT = 32768
INTERIM_LIMIT = 8
CHUNK_LIMIT = 2048

_SAFE_IN_PATH = "".join(chr(code) for code in range(0x21, 0x7F))  # as written; only what can't be sent is quoted

# A whole head that h11 would accept too: a status, headers, at most one that says how long the body is.
_HEADER = rb"(?:(?!content-length|transfer-encoding)[!#$%&'*+.^_`|~0-9a-z-]+:[\t -~]*\r\n)*+"
_LENGTH = rb"(?:content-length:[\t ]*[0-9]{1,15}\r\n|transfer-encoding:[\t ]*chunked\r\n)?+"
_PLAIN = re.compile(
    rb"(?-i:HTTP)/1\.[01] ([2-5][0-9][0-9])(?: ([\t -~]*))?\r\n" + _HEADER + _LENGTH + _HEADER + rb"\r\n", re.I
)


class HttpConversation(Conversation):
    def __init__(self, asked: HttpProbe, request: bytes) -> None:
        super().__init__(asked.tls)
        self._asked = asked
        self._request = request
        self._reader: h11.Connection | None = None
        self._start = b""  # of the answer, until the status line is there
        self._line_seen = False
        self._status = 0
        self._interim = 0
        self._words = asked.body.encode()
        self._tail = b""
        self._body = 0
        self._chunks = 0

    @property
    def _h11(self) -> h11.Connection:
        if self._reader is None:
            self._reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
            self._reader.send(_asked_of_anybody(self._asked))
            self._reader.send(h11.EndOfMessage())
        return self._reader

    def begin(self) -> bytes:
        return self._request

    def heard(self, data: bytes) -> None:
        if not self._line_seen:
            if not self._start and not self._words and (found := _PLAIN.match(data)):
                status = int(found[1])
                if self._wants(status):
                    return self.judge(True, f"HTTP {status}")
                if not 300 <= status < 400:  # of those, where to is worth knowing
                    return self.judge(False, self._unwanted(status, found[2] or b""))
            self._start += data[:64]
            if not self._start.startswith(b"HTTP/1."[: len(self._start)]):
                kind = "HTTP/1" if self._start.startswith(b"HTTP/") else "HTTP"
                return self.judge(False, f"not {kind}: {shown(self._start)}")
            self._line_seen = b"\n" in data
        self._h11.receive_data(data)
        self._read()

    def ended(self, how: str) -> None:
        if how == "closed" and self._status:
            self._h11.receive_data(b"")  # the end of a body that has no length
            self._read()
        if self._status:
            self.judge(False, f"HTTP {self._status}, but {how} after {size(self._body)} of the body{self._lacking}")
        elif self._line_seen:
            self.judge(False, f"{how} in the headers")
        elif self.received:
            self.judge(False, f"{how} in the status line: {shown(self._start)}")
        else:
            self.judge(False, f"{how} before the status line")

    def waiting(self) -> str:
        if self._status:
            return f"reading the body ({size(self._body)} so far)"
        return "reading the headers" if self._line_seen else "reading the status line"

    @property
    def _lacking(self) -> str:
        return f" without {wanted(self._words)}"

    def _read(self) -> None:
        """Judges by what has come so far, as far as that is possible."""
        while self.verdict is None:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                return self._broken(error)
            match event:
                case h11.NEED_DATA:
                    return
                case h11.Response():
                    self._judge_status(event)
                case h11.InformationalResponse():
                    self._interim += 1
                    if event.status_code == HTTPStatus.SWITCHING_PROTOCOLS:  # after this it is not HTTP any more
                        self._judge_status(event)
                    elif self._interim > INTERIM_LIMIT:
                        self.judge(False, f"bad HTTP: over {INTERIM_LIMIT} interim answers (1xx)")
                case h11.Data():
                    self._search(event.data)
                case _:
                    self.judge(False, f"HTTP {self._status}, but the body ({size(self._body)}) is{self._lacking}")

    def _broken(self, error: h11.RemoteProtocolError) -> None:
        if self._h11.trailing_data[1]:  # the end of the connection, in the midst of a body: `ended` has the words
            return
        if error.error_status_hint == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            part = "a line of the body" if self._status else "the header"
            return self.judge(False, f"bad HTTP: {part} is over {HEAD_LIMIT} bytes")
        self.judge(False, f"bad HTTP: {plain(str(error))}")

    def _judge_status(self, answer: h11.Response | h11.InformationalResponse) -> None:
        self._status = status = answer.status_code
        if not self._wants(status):
            self.judge(False, self._unwanted(status, bytes(answer.reason), answer.headers))
        elif not self._words:
            self.judge(True, f"HTTP {status}")

    def _wants(self, status: int) -> bool:
        return any(low <= status <= high for low, high in self._asked.statuses)

    def _unwanted(self, status: int, reason: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> str:
        """`HTTP 503 Service Unavailable`, `HTTP 301 to https://...`, `HTTP 200, expected 204`."""
        if 300 <= status < 400:
            for name, value in headers:
                if name == b"location":
                    return f"HTTP {status} to {plain(value.decode('latin-1'), 100)}"
        if status < 300:
            ranges = (str(low) if low == high else f"{low}-{high}" for low, high in self._asked.statuses)
            return f"HTTP {status}, expected {' '.join(ranges)}"
        phrase = reason.decode("latin-1").strip()
        if not phrase and status in HTTPStatus._value2member_map_:
            phrase = HTTPStatus(status).phrase
        return f"HTTP {status} {plain(phrase, 60)}".rstrip()

    def _search(self, data: bytes) -> None:
        """Looks for the words in the body, keeping no more of it than could hold their beginning."""
        limit = self._asked.body_limit
        piece = bytes(data[: limit - self._body])
        window = self._tail + piece
        self._body += len(piece)
        self._chunks += 1
        if self._words in window:
            self.judge(True, f"HTTP {self._status}")
        elif self._body >= limit or self._chunks >= CHUNK_LIMIT:
            self.judge(False, f"HTTP {self._status}, but the first {size(self._body)} of the body are{self._lacking}")
        else:
            self._tail = window[-(len(self._words) - 1) :] if len(self._words) > 1 else b""


@functools.lru_cache(maxsize=1 << 17)
def _said(asked: HttpProbe, address: str, port: int) -> bytes:
    """The request of a check as it is sent."""
    writer = h11.Connection(h11.CLIENT)
    request = writer.send(request_for(asked, address, port)) or b""
    return request + (writer.send(h11.EndOfMessage()) or b"")


@functools.lru_cache(maxsize=1 << 10)
def _asked_of_anybody(asked: HttpProbe) -> h11.Request:
    """What h11 must know of a request to read its answer: method and headers, but not whom it goes to."""
    return request_for(asked, "192.0.2.1", 80)


def request_for(asked: HttpProbe, address: str, port: int) -> h11.Request:
    """The request of a check; the check's own headers replace the usual ones. Raises LocalProtocolError, UnicodeError.

    `Host` is the check's host as it is written (a port in it included), else the address.
    """
    headers = {
        "Host": asked.host or _authority(address, port, asked.tls),
        "User-Agent": f"rrdns/{__version__} (health check)",
        "Connection": "close",
        "Accept": "*/*",
    }
    if asked.method in ("POST", "PUT", "PATCH"):
        headers["Content-Length"] = "0"  # RFC 9110 section 8.6
    own = {name.lower() for name, _ in asked.headers}
    lines = [(name, value) for name, value in headers.items() if name.lower() not in own]
    return h11.Request(
        method=asked.method, target=quote(asked.path, safe=_SAFE_IN_PATH), headers=[*lines, *asked.headers]
    )


def _authority(address: str, port: int, secure: bool) -> str:
    host = f"[{address}]" if ":" in address else address
    return host if port == (443 if secure else 80) else f"{host}:{port}"


def server_name(asked: HttpProbe, address: str) -> str:
    """Whom the certificate must name, and SNI asks for: the check's host without a port, else the address."""
    host = asked.host
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return (host.partition(":")[0] if host.count(":") == 1 else host).rstrip(".") or address


def conversation(target: Target, asked: HttpProbe) -> HttpConversation | Result:
    """What to say, or why that can't be said."""
    try:
        return HttpConversation(asked, _said(asked, target.address, target.check.port))
    except (h11.LocalProtocolError, UnicodeError) as error:
        return Result(False, f"cannot ask this: {plain(str(error))}")


async def in_tls(talk: HttpConversation, target: Target, asked: HttpProbe) -> Result:
    name = server_name(asked, target.address)
    try:
        name.encode("idna")  # ssl would object in the midst of the handshake
    except UnicodeError as error:
        return Result(False, f"cannot ask this: {plain(str(error))}")
    return await stream.in_tls(talk, target, tls.context(asked.verify), name)


async def probe(target: Target, asked: HttpProbe, dialer: Dialer) -> Result:
    talk = conversation(target, asked)
    if isinstance(talk, Result):
        return talk
    return await (in_tls(talk, target, asked) if asked.tls else dialer.ask(talk, target))
