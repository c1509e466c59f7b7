"""A closed-loop UDP load that costs little of the core it shares with the server: batches of one question, counted.

    python blaster.py --port 5300 --seconds 4 [--sockets 32] [--window 16]

Each socket keeps `window` queries under way: what came back is counted and sent again, many to a system call. Nothing
is matched or parsed; what gets lost is replaced after a silence. (dnsperf beside a server on one core spends more than
the server and looks at every socket in turn, so that it would measure itself.) Prints one JSON line. Loopback only.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import select
import socket
import subprocess
import sys
import time
from array import array
from pathlib import Path
from typing import Any

import data
import machine

SILENCE = 0.05  # seconds after which a socket's queries count as lost
ROOM = 2048


class Batch:
    """The vectors of sendmmsg and recvmmsg on connected sockets: see struct mmsghdr in recvmmsg(2)."""

    def __init__(self, count: int, query: bytes) -> None:
        self._query = ctypes.create_string_buffer(query, len(query))
        self._replies = ctypes.create_string_buffer(ROOM * count)
        query_at, replies_at = ctypes.addressof(self._query), ctypes.addressof(self._replies)
        self._out_iov = array("Q", (query_at, len(query)))
        self._in_iov = array("Q", [word for at in range(count) for word in (replies_at + ROOM * at, ROOM)])
        out_iov, in_iov = self._out_iov.buffer_info()[0], self._in_iov.buffer_info()[0]
        self._out = array("Q", [word for _ in range(count) for word in (0, 0, out_iov, 1, 0, 0, 0, 0)])
        self._in = array("Q", [word for at in range(count) for word in (0, 0, in_iov + 16 * at, 1, 0, 0, 0, 0)])
        self._libc = ctypes.CDLL(None)
        self._libc.sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._libc.recvmmsg.argtypes = (*self._libc.sendmmsg.argtypes, ctypes.c_void_p)
        self._out_at, self._in_at, self._count = self._out.buffer_info()[0], self._in.buffer_info()[0], count

    def send(self, fd: int, count: int) -> None:
        self._libc.sendmmsg(fd, self._out_at, count, socket.MSG_DONTWAIT)

    def receive(self, fd: int) -> int:
        found: int = self._libc.recvmmsg(fd, self._in_at, self._count, socket.MSG_DONTWAIT, None)
        return max(0, found)


def run(port: int, seconds: float, sockets: int, window: int) -> dict[str, Any]:
    batch = Batch(window, data.packet(data.NAME))
    poll = select.epoll()
    heard: dict[int, float] = {}
    keep = []
    start = now = time.monotonic()
    for _ in range(sockets):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect(("127.0.0.1", port))
        poll.register(sock.fileno(), select.EPOLLIN)
        heard[sock.fileno()] = now
        keep.append(sock)
        batch.send(sock.fileno(), window)
    answered = silences = 0
    end, looked = start + min(seconds, 60), start
    while now < end:
        for fd, _ in poll.poll(SILENCE, sockets):
            count = batch.receive(fd)
            answered += count
            batch.send(fd, count)
            heard[fd] = now
        now = time.monotonic()
        if now - looked > SILENCE:
            looked = now
            for fd, when in heard.items():
                if now - when > 4 * SILENCE:
                    silences += 1
                    heard[fd] = now
                    batch.send(fd, window)
    return {"answered": answered, "silences": silences, "rate": answered / (now - start)}


def start(port: int, seconds: float, cpu: int) -> subprocess.Popen[str]:
    words = [sys.executable, str(Path(__file__)), f"--port={port}", f"--seconds={seconds}"]
    return subprocess.Popen(machine.on_cpus([cpu], words), stdout=subprocess.PIPE, text=True)  # ends by itself


def read(process: subprocess.Popen[str], limit: float) -> dict[str, Any]:
    try:
        out, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        out, _ = process.communicate()
    if process.returncode:
        raise SystemExit("bench: the load generator failed")
    return json.loads(out)  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--sockets", type=int, default=32)
    parser.add_argument("--window", type=int, default=16)
    options = parser.parse_args()
    print(json.dumps(run(options.port, options.seconds, options.sockets, options.window)))


if __name__ == "__main__":
    main()
