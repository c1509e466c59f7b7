"""A TCP client in a process of its own: many connections at once, each asks so many queries and is closed.

    python tcp_client.py --port 5300 --each 100 --at-once 8 --seconds 4 [--cpu 1]

A connection's queries are sent in one segment, without waiting for answers (pipelining, RFC 7766 section 6.2.1.1), and
the connection is closed when all are answered; then the next is opened. With --each 1 that is a connection per query.
It rotates its source address in 127.3/16, so that ports in TIME_WAIT do not run out. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import data
import machine

STUCK = 5.0  # seconds without an answer at all
IP_BIND_ADDRESS_NO_PORT = 24


class Client:
    def __init__(self, port: int, name: str, each: int) -> None:
        query = data.packet(name)
        self.port = port
        self.request = b"".join(
            struct.pack("!H", len(query)) + number.to_bytes(2, "big") + query[2:] for number in range(each)
        )
        self.each = each
        self.poll = select.epoll()
        self.open: dict[int, tuple[socket.socket, bytearray]] = {}
        self.connections = self.answered = self.failed = 0

    def connect(self) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((f"127.3.0.{self.connections % 64 + 1}", 0))
        self.connections += 1
        sock.connect_ex(("127.0.0.1", self.port))  # on loopback it is connected at once, or the send fails
        try:
            sock.send(self.request)
        except OSError:
            self.failed += 1
            sock.close()
            return
        self.poll.register(sock.fileno(), select.EPOLLIN)
        self.open[sock.fileno()] = (sock, bytearray())

    def read(self, fd: int) -> None:
        sock, buffer = self.open[fd]
        try:
            data = sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        buffer += data
        if data and not _whole(buffer, self.each):
            return
        got = _count(buffer)
        self.answered += got
        self.failed += got < self.each
        del self.open[fd]
        sock.close()

    def run(self, at_once: int, seconds: float) -> dict[str, Any]:
        start = last = time.monotonic()
        end = start + seconds
        before = 0
        while (now := time.monotonic()) < end:
            while len(self.open) < at_once:
                self.connect()
            for fd, _ in self.poll.poll(0.2, at_once):
                self.read(fd)
            if self.answered > before:
                before, last = self.answered, now
            elif now - last > STUCK:
                break
        took = time.monotonic() - start
        for sock, _ in self.open.values():
            sock.close()
        spent = sum(os.times()[:2])
        return {
            "answered": self.answered,
            "connections": self.connections,
            "failed": self.failed,
            "rate": self.answered / took,
            "client_busy": spent / took,
        }


def _count(buffer: bytearray) -> int:
    """Whole messages in the buffer."""
    at = found = 0
    while at + 2 <= len(buffer):
        at += 2 + (buffer[at] << 8 | buffer[at + 1])
        found += at <= len(buffer)
    return found


def _whole(buffer: bytearray, count: int) -> bool:
    """All answers are of one size: cheaper than counting them again for each segment."""
    return len(buffer) >= 2 and len(buffer) >= count * (2 + (buffer[0] << 8 | buffer[1]))


def run(port: int, each: int, at_once: int, seconds: float, cpu: int, name: str = data.NAME) -> dict[str, Any]:
    words = [sys.executable, str(Path(__file__)), f"--port={port}", f"--each={each}", f"--at-once={at_once}"]
    words += [f"--seconds={seconds}", f"--name={name}"]
    done = subprocess.run(machine.on_cpus([cpu], words), capture_output=True, text=True, timeout=seconds + 60)
    if done.returncode:
        raise SystemExit(f"bench: the TCP client failed:\n{done.stderr[-1000:]}")
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--each", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--name", default=data.NAME)
    options = parser.parse_args()
    print(json.dumps(Client(options.port, options.name, options.each).run(options.at_once, min(options.seconds, 60))))


if __name__ == "__main__":
    main()
