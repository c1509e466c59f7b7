"""The processes of `rrdns demo`: web servers that tell their name, free ports for all, and an orderly end.

Must not know: what the demo shows.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rrdns.board import NAME as BOARD
from rrdns.board import Board

END_WAIT = 10.0

# A web server that tells its name, and ends when the demo does: its standard input is a pipe from there.
WEB = """
import http.server, os, sys, threading
name, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(name) + 1))
        self.end_headers()
        self.wfile.write(name.encode() + b"\\n")
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer((address, port), Handler)
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
print("ready", flush=True)
server.serve_forever()
"""


class Failed(Exception):
    """The demo can't go on, and why."""


@dataclass
class Web:
    """One web server in a process of its own."""

    name: str
    address: str
    port: int
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", WEB, self.name, self.address, str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        if self.process.stdout is None or self.process.stdout.readline() != "ready\n":
            self.end()
            raise Failed(f"the web server {self.name} could not start on {self.address}:{self.port}")

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()
            self.process = None


def free_port(addresses: list[str]) -> int:
    """A TCP port that is free on all of the addresses."""
    for _ in range(100):
        with contextlib.ExitStack() as stack:
            port = 0
            try:
                for address in addresses:
                    sock = stack.enter_context(socket.socket())
                    sock.bind((address, port))
                    port = sock.getsockname()[1]
            except OSError as error:
                if not port:
                    raise Failed(
                        f"{addresses[0]} can't be used: {error.strerror}; the demo needs Linux's 127/8"
                    ) from error
                continue
            return int(port)
    raise Failed("no port is free on " + ", ".join(addresses))


def free_dns_port() -> int:
    """A port that is free for UDP and TCP on 127.0.0.1."""
    for _ in range(100):
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = int(tcp.getsockname()[1])
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return port
    raise Failed("no port is free for UDP and TCP on 127.0.0.1")


def end_server(process: subprocess.Popen[bytes], state: Path) -> None:
    """Ends the server orderly; what is left of it then, or after its supervisor was killed, by pid and birth."""
    process.terminate()
    try:
        process.wait(END_WAIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(OSError, ValueError):
        board = Board(state / BOARD)
        for row in range(board.rows):
            if board.lives(row):
                os.kill(board.get(row, "pid"), signal.SIGKILL)
