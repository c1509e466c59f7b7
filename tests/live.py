"""A whole rrdns, started as an operator would, on loopback: for scenario tests. Also the web servers behind it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rcode

ZONE = """
'':
  - {type: NS, values: [ns1.lb.example.com.]}
ns1: {type: A, value: 127.0.0.1}
www: {type: POOL, pool: web, ttl: 20}
one: {type: POOL, pool: web, answers: 1}
alias: {type: CNAME, value: www.lb.example.com.}
static: {type: A, values: [192.0.2.1, 192.0.2.2]}
'*.dev': {type: CNAME, value: www.lb.example.com.}
"""

POOLS = """
checks:
  web: {{type: http, port: {port}, path: /, interval: {interval}, timeout: {timeout}, fall: 3, rise: 2, fast: {fast}}}
pools:
  web:
    check: web
    members:
{members}
"""

WEB_SERVER = """
import http.server, sys, pathlib
status = pathlib.Path(sys.argv[3])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        code = int(status.read_text()) if status.exists() else 200
        self.send_response(code)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\\n")
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""


def wait_for(condition: Callable[[], Any], seconds: float = 30.0, what: str = "") -> float:
    """Waits until the condition holds and says how long it took; AssertionError if it does not."""
    start = time.monotonic()
    while True:
        try:
            if condition():
                return time.monotonic() - start
        except (OSError, dns.exception.DNSException):
            pass  # not there yet
        assert time.monotonic() - start < seconds, f"not within {seconds:g} s: {what or condition}"
        time.sleep(0.02)


def free_port(*addresses: str) -> int:
    """A TCP port free on all the addresses."""
    for _ in range(50):
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind((addresses[0], 0))
            port: int = first.getsockname()[1]
            try:
                for address in addresses[1:]:
                    stack.enter_context(socket.socket()).bind((address, port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


@dataclass
class Web:
    """One real HTTP server in a process of its own; `status(503)` changes what it says."""

    address: str
    port: int
    folder: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        script = self.folder / "web.py"
        script.write_text(WEB_SERVER)
        self.process = subprocess.Popen(
            [sys.executable, str(script), self.address, str(self.port), str(self.file)],
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: socket.create_connection((self.address, self.port), 1).close() is None)

    @property
    def file(self) -> Path:
        return self.folder / f"status-{self.address}"

    def status(self, code: int) -> None:
        self.file.write_text(str(code))

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait(10)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


@dataclass
class Server:
    """A running `rrdns serve`."""

    folder: Path
    zones: Path
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] = field(init=False)
    port: int = 0

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def control(self) -> Path:
        return self.folder / "control.sock"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self, port: int = 0) -> None:
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "rrdns", "serve", str(self.zones)),
                    *("--listen", f"127.0.0.1:{port or self.port}"),
                    *("--state", str(self.state), "--control", str(self.control)),
                    *self.arguments,
                ],
                stdout=log,
                stderr=log,
            )
        wait_for(self._serves, 60, "rrdns serves")

    def _serves(self) -> bool:
        assert self.process.poll() is None, f"rrdns ended with {self.process.returncode}:\n{self.log}"
        status = self.status()
        if status["control"]["state"] != "serving" or not status["workers"]:
            return False
        if any(worker["state"] != "serving" for worker in status["workers"]):
            return False
        self.port = int(status["listen"][0].rsplit(":", 1)[1])
        return True

    def status(self) -> dict[str, Any]:
        done = self.run("status", "--json", check=False)
        if done.returncode not in (0, 3):
            raise OSError(done.stderr)
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    def run(self, *arguments: str, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """An rrdns command against this server."""
        done = subprocess.run(
            [sys.executable, "-m", "rrdns", *arguments, "--control", str(self.control)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "RRDNS_STATE": str(self.state)},
        )
        if check:
            assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def ask(self, name: str, rtype: str = "A", *, tcp: bool = False) -> dns.message.Message:
        query = dns.message.make_query(name, rtype)
        send = dns.query.tcp if tcp else dns.query.udp
        return send(query, "127.0.0.1", timeout=5, port=self.port)

    def addresses(self, name: str = "www.lb.example.com.", rtype: str = "A") -> set[str]:
        """All addresses in one answer."""
        message = self.ask(name, rtype)
        return {str(rr) for rrset in message.answer for rr in rrset if rr.rdtype in (1, 28)}

    def pid(self, what: str, index: int = 0) -> int:
        status = self.status()
        return int(status["workers"][index]["pid"] if what == "worker" else status[what]["pid"])

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)


def pools(port: int, *members: str, interval: str = "1s", timeout: str = "500ms", fast: str = "300ms") -> str:
    lines = "\n".join(f"      {member}" for member in members)
    return POOLS.format(port=port, members=lines, interval=interval, timeout=timeout, fast=fast)


@contextlib.contextmanager
def serve(zone: str = ZONE, pools_text: str = "", *arguments: str, start: bool = True) -> Iterator[Server]:
    """A folder with the two files and rrdns serving it; everything is ended after."""
    with tempfile.TemporaryDirectory(prefix="rrdns-live-") as folder:
        zones = Path(folder, "zones")
        zones.mkdir()
        (zones / "lb.example.com.yaml").write_text(zone)
        (zones / "pools.yaml").write_text(pools_text)
        server = Server(Path(folder), zones, arguments)
        try:
            if start:
                server.start()
            yield server
        except BaseException:
            with contextlib.suppress(OSError):
                print(server.log, file=sys.stderr)
            raise
        finally:
            if hasattr(server, "process"):
                server.end()
            end_leftovers(server.state)


def end_leftovers(state: Path) -> None:
    """Ends processes of a killed supervisor: those that signed in on its board, by pid and birth."""
    from rrdns.board import Board

    with contextlib.suppress(OSError, ValueError):
        board = Board(state / "board")
        for row in range(board.rows):
            if board.lives(row):
                os.kill(board.get(row, "pid"), signal.SIGKILL)


@contextlib.contextmanager
def web_servers(count: int = 3) -> Iterator[list[Web]]:
    """Real HTTP servers on 127.0.0.11, .12 ... and one port."""
    with tempfile.TemporaryDirectory(prefix="rrdns-web-") as folder, contextlib.ExitStack() as stack:
        addresses = [f"127.0.0.{11 + n}" for n in range(count)]
        port = free_port(*addresses)
        servers = [Web(address, port, Path(folder)) for address in addresses]
        for server in servers:
            server.start()
            stack.callback(server.end)
        yield servers
