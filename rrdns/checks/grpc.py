"""The grpc check: grpc.health.v1.Health/Check over HTTP/2, as gRPC's health checking protocol has it.

h2 speaks HTTP/2 (it is to HTTP/2 what h11 is to HTTP/1: no I/O of its own); this is the one place that imports it. On
top of it, one request and one answer are a field each, so no library of gRPC is needed. h2 is an extra: import this
module only to ask.
"""

from __future__ import annotations

from urllib.parse import unquote

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from rrdns import __version__
from rrdns.checks import tls
from rrdns.checks.conversation import Conversation
from rrdns.checks.dialer import Dialer
from rrdns.checks.stream import in_tls
from rrdns.checks.words import plain, shown
from rrdns.model import GrpcProbe, Result, Target

ANSWER_LIMIT = 4096  # bytes of the message
TOTAL_LIMIT = 262144  # bytes on the connection, whatever they are
_STREAM = 1
_SETTINGS = 4  # the type of a server's first frame
_STATES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
# fmt: off
_CODES = (  # of grpc-status
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)
# fmt: on


class Call(Conversation):
    def __init__(self, asked: GrpcProbe, authority: str) -> None:
        super().__init__(asked.tls)
        self._asked = asked
        self._authority = authority
        self._http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._headers: dict[str, str] = {}
        self._message = b""
        self._start = b""

    def begin(self) -> bytes:
        if self._asked.tls and self.transport:
            inside = self.transport.get_extra_info("ssl_object")
            if inside and inside.selected_alpn_protocol() != "h2":
                self.judge(False, "the server does not offer HTTP/2 (ALPN h2)")
                return b""
        http = self._http
        http.initiate_connection()
        headers = [
            (":method", "POST"),
            (":scheme", "https" if self._asked.tls else "http"),
            (":path", "/grpc.health.v1.Health/Check"),
            (":authority", self._authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", f"rrdns/{__version__} (health check)"),
        ]
        http.send_headers(_STREAM, headers)
        http.send_data(_STREAM, request(self._asked.service), end_stream=True)
        return http.data_to_send()

    def heard(self, data: bytes) -> None:
        self._start += data[: max(0, 24 - len(self._start))]
        if len(self._start) >= 4 and (self._start[3] != _SETTINGS or self._start[0]):  # RFC 9113 section 3.4
            return self.judge(False, f"not HTTP/2: {shown(self._start)}")
        if self.received > TOTAL_LIMIT:
            return self.judge(False, f"no answer in the first {TOTAL_LIMIT} bytes")
        try:
            for event in self._http.receive_data(data):
                if self.verdict is None:
                    self._event(event)
        except (h2.exceptions.ProtocolError, UnicodeDecodeError) as error:
            return self.judge(False, f"bad HTTP/2: {plain(str(error) or type(error).__name__, 80)}")
        answer = self._http.data_to_send()
        if answer and self.transport and self.verdict is None:
            self.transport.write(answer)

    def ended(self, how: str) -> None:
        self.judge(False, f"{how} before the answer")

    def waiting(self) -> str:
        return "waiting for the answer" if self.received else "waiting for HTTP/2"

    def _event(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                self._headers.update((str(name), str(value)) for name, value in event.headers or ())
            case h2.events.DataReceived():
                self._message += event.data or b""
                if len(self._message) > ANSWER_LIMIT:
                    self.judge(False, f"the answer is over {ANSWER_LIMIT} bytes")
                elif event.flow_controlled_length:
                    self._http.acknowledge_received_data(event.flow_controlled_length, _STREAM)
            case h2.events.StreamEnded():
                self.judge(*verdict(self._headers, self._message))
            case h2.events.StreamReset():
                self.judge(False, f"the server reset the call (error {int(event.error_code or 0)})")
            case h2.events.ConnectionTerminated():
                self.judge(False, f"the server ended the connection (GOAWAY, error {int(event.error_code or 0)})")


def request(service: str) -> bytes:
    """HealthCheckRequest{service}, with gRPC's own five bytes in front: not compressed, length."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes((number & 0x7F | 0x80,))
        number >>= 7
    return out + bytes((number,))


def verdict(headers: dict[str, str], message: bytes) -> tuple[bool, str]:
    """Of the headers with the trailers, and the body."""
    status = headers.get(":status", "")
    code = headers.get("grpc-status")
    if code is None:
        return (
            False,
            f"HTTP {plain(status, 3)}, and no gRPC status" if status != "200" else "an answer without gRPC status",
        )
    if code != "0":
        word = _CODES[int(code)] if code.isascii() and code.isdecimal() and int(code) < len(_CODES) else plain(code, 20)
        why = plain(unquote(headers.get("grpc-message", "")), 100)
        return False, f"gRPC {word}{': ' if why else ''}{why}"
    # HealthCheckResponse{status}: field 1, a varint; left out if it is 0.
    body = message[5:]
    if message[:5] != b"\0" + len(body).to_bytes(4, "big") or (body and (body[0] != 8 or len(body) != 2)):
        return False, f"the answer is no HealthCheckResponse: {shown(message)}"
    state = body[1] if body else 0
    word = _STATES[state] if state < len(_STATES) else f"status {state}"
    return word == "SERVING", word


async def probe(target: Target, asked: GrpcProbe, dialer: Dialer) -> Result:
    host = f"[{target.address}]" if ":" in target.address else target.address
    call = Call(asked, asked.host or f"{host}:{target.check.port}")
    if not asked.tls:
        return await dialer.ask(call, target)
    name = asked.host.rstrip(".") or target.address
    try:
        name.encode("idna")
    except UnicodeError as error:
        return Result(False, f"cannot ask this: {plain(str(error))}")
    return await in_tls(call, target, tls.context(asked.verify, "h2"), name)
