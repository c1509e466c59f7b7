"""A small real HTTP server on a unix socket that answers like control's API, for the tests of what people touch.

Answers are canned and can be changed while it runs: `api.status`, `api.answers[(method, path)] = (code, body)`.
`api.asked` lists what came: (method, path, query, body).
`python tests/fake_api.py SOCKET [MEMBERS]` serves until killed.
"""

from __future__ import annotations

import json
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Json = dict[str, Any]


def member(
    state: str = "up",
    address: str = "192.0.2.11",
    reason: str = "HTTP 200",
    since: float = 3600.0,
    share: float = 0.5,
    weight: int = 1,
    **more: Any,
) -> Json:
    check = {
        "check": "web",
        "state": "up" if state in ("up", "drained", "disabled") else state,
        "reason": reason,
        "failures": 0,
        "successes": 5,
        "need": 3,
        "took": 0.003,
        "seen_age": 1.2,
    }
    one = {"address": address, "state": check["state"], "reason": reason, "since": since, "checks": [check]}
    return {
        "state": state,
        "why": reason,
        "weight": weight,
        "effective_weight": float(weight),
        "share": share,
        "answers": 1234,
        "rate": 1.5,
        "override": None,
        "addresses": [one],
        **more,
    }


def status(members: int = 3, services: int = 1) -> Json:
    """A believable snapshot: the last member is down, the one before it drained where there are enough."""
    every = {
        f"web{index}": member(address=f"192.0.2.{index % 250}", share=1 / members) for index in range(1, members + 1)
    }
    if members > 1:
        every[f"web{members}"] = member(
            "down", f"192.0.2.{members % 250}", "timed out after 2s connecting", 42.0, 0.0, rate=0.0
        )
    if members > 2:
        override = {"word": "drain", "owner": "ann", "reason": "kernel", "since": 60.0, "left": 4800.0}
        every[f"web{members - 1}"] = member("drained", "192.0.2.77", share=0.0, override=override)
    now = time.time()
    pool = {
        "state": "ok",
        "why": "",
        "serving": [name for name, one in every.items() if one["state"] == "up"],
        "scheme": None,
        "holder": None,
        "queue": [],
        "quorum": 1,
        "scheduler": "wrr",
        "members": every,
    }
    names = ["www"] + [f"s{index}" for index in range(2, services + 1)]
    service = {"pool": "web", "ttl": 5, "ttl_why": "web/web3 may come back", "ttl_max": 20, "types": ["A", "AAAA"]}
    event = {"subject": "member", "before": "up", "after": "down", "why": "timed out after 2s connecting"}
    return {
        "version": "0.1.0",
        "time": now,
        "uptime": 11520.0,
        "qps": 1234.5,
        "control": {"pid": 4711, "state": "serving", "since_age": 11520.0},
        "supervisor": {"pid": 4710, "state": "serving"},
        "workers": [
            {"pid": 4712 + index, "state": "serving", "queries": 9999, "restarts": 0, "udp": 9000, "tcp": 999,
             "dropped": 0, "refused": 3, "truncated": 0, "errors": 0, "limited": 0, "tcp_connections": 0,
             "tcp_evicted": 0, "tcp_refused": 0, "stale": False, "confined": True, "heartbeat_age": 0.1,
             "rate": 600.0}
            for index in range(2)
        ],
        "listen": ["127.0.0.1:5300", "[::1]:5300"],
        "pools": {"web": pool},
        "services": {
            f"{name}.lb.example.com.": {**service, "scheduler": "wrr", "answers": 8, "rate": 617.2, "slots": {"A": 10}}
            for name in names
        },
        "zones": {"lb.example.com.": {"serial": 1700000000, "names": 5}},
        "overrides": [],
        "directors": {},
        "isolation": {"held": False, "why": "", "left": None},
        "reload": {"state": "ok", "when": now - 60, "problems": [], "source": "zones"},
        "store": {"state": "ok", "why": ""},
        "events": [{**event, "time": now - 42 + index, "name": f"web/web{index}"} for index in range(1, 9)],
    }  # fmt: skip


class FakeApi:
    """`with FakeApi(path) as api:` serves from a thread; `stop()` and `start()` again play a restart of control."""

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)
        self.status: Json = status()
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        self.asked: list[tuple[str, str, Json, Any]] = []
        self.delay = 0.0
        self.stream: list[Json] = []
        self.ended = threading.Event()
        self._server: socketserver.ThreadingMixIn | None = None

    def start(self) -> None:
        Path(self.path).unlink(missing_ok=True)
        self.ended.clear()
        api = self

        class Handler(_Handler):
            fake = api

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that has gone is none of the tests' business."""

        server = Server(self.path, Handler)
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.ended.set()
        server, self._server = self._server, None
        if isinstance(server, socketserver.BaseServer):
            server.shutdown()
            server.server_close()
        Path(self.path).unlink(missing_ok=True)

    def __enter__(self) -> FakeApi:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def answer(self, method: str, path: str) -> tuple[int, Any]:
        if (method, path) in self.answers:
            return self.answers[method, path]
        if path == "/status":
            return 200, self.status
        if path == "/events":
            return 200, {"events": self.status["events"]}
        return 404, {"error": f"nothing at {path}"}


class _Handler(BaseHTTPRequestHandler):
    fake: FakeApi
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._do(None)

    def do_POST(self) -> None:
        self._do(json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0)))))

    def _do(self, body: Any) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        self.fake.asked.append((self.command, parts.path, query, body))
        time.sleep(self.fake.delay)
        if query.get("follow"):
            self._follow()
            return
        code, answer = self.fake.answer(self.command, parts.path)
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _follow(self) -> None:
        """The stream's events at once, then silence until the server is stopped."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in self.fake.stream:
            line = json.dumps(event).encode() + b"\n"
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
        self.wfile.flush()
        self.fake.ended.wait(60)
        self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True


if __name__ == "__main__":
    with FakeApi(sys.argv[1]) as fake:
        if len(sys.argv) > 2:
            fake.status = status(int(sys.argv[2]))
        threading.Event().wait()
