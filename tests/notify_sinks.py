"""Real sinks for notifications, started and ended by the test: an HTTP server that can misbehave, and a mail server."""

from __future__ import annotations

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

Json = dict[str, Any]


class HttpSink:
    """Takes POSTs on 127.0.0.1. `mood`: ok | hang | drip | an HTTP status. `taken`: what was answered with 200."""

    def __init__(self, mood: str = "ok", port: int = 0, context: Any = None) -> None:
        self.mood = mood
        self.taken: list[Any] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.headers: dict[str, str] = {}
        self._over = threading.Event()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.asked.append((self.path, dict(self.headers)))
                if sink.mood == "hang":
                    sink._over.wait(60)
                    return
                if sink.mood == "drip":
                    for byte in b"HTTP/1.1 200 OK\r\nX-Drip: " + b"x" * 600:
                        if sink._over.wait(0.05):
                            return
                        self.wfile.write(bytes([byte]))
                    return
                code = 200 if sink.mood == "ok" else int(sink.mood)
                if code == 200:
                    sink.taken.append(json.loads(body))
                self.send_response(code)
                for name, value in sink.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"that went " + (b"well" if code == 200 else b"wrong"))

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *args: object) -> None:
                pass  # whoever asked has hung up

        self._server = Server(("127.0.0.1", port), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=lambda: self._server.serve_forever(0.05), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/secret-token"

    def stop(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> HttpSink:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


class MailSink:
    """A real SMTP server on 127.0.0.1. `mood`: ok | 451 | 554, what it says to DATA."""

    def __init__(self, context: Any = None, password: str = "") -> None:
        self.mood = "ok"
        self.mails: list[Envelope] = []
        self.ciphered: list[bool] = []
        sink = self

        class Handler:
            async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
                if sink.mood != "ok":
                    return f"{sink.mood} not now"
                sink.mails.append(envelope)
                sink.ciphered.append(session.ssl is not None)
                return "250 taken"

        def login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
            fine = isinstance(data, LoginPassword) and data.password == password.encode()
            return AuthResult(success=fine, handled=fine)

        more: Json = {"authenticator": login, "auth_required": True} if password else {}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._controller = Controller(
            Handler(),
            hostname="127.0.0.1",
            port=self.port,
            ready_timeout=60,
            tls_context=context,
            require_starttls=context is not None,
            **more,
        )
        self._controller.start()

    def texts(self) -> list[str]:
        return [
            (one.content or b"").decode() if isinstance(one.content, bytes) else str(one.content) for one in self.mails
        ]

    def __enter__(self) -> MailSink:
        return self

    def __exit__(self, *error: object) -> None:
        self._controller.stop()


def eventually(condition: Any, seconds: float = 30.0) -> None:
    """For tests without a loop."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come so far"
        time.sleep(0.02)
