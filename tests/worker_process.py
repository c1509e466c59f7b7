"""A real worker process with sockets of its own, fed with a table by the test. For tests and benches."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rrdns import board, link
from rrdns.answers import Changes
from rrdns.board import Board
from rrdns.settings import Settings
from rrdns.supervise.sockets import DEFER_ACCEPT


@dataclass
class WorkerProcess:
    """A started worker; `port` answers UDP and TCP on `address`."""

    process: subprocess.Popen[bytes]
    board: Board
    address: str
    port: int
    run: Path
    control: socket.socket = field(init=False)
    commits: int = 0

    def connect(self) -> None:
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.control.settimeout(20)
        self.control.connect(str(self.run / "worker-0.sock"))
        self.control.sendall(link.encode(("hello", link.VERSION, {})))
        self._frames: list[tuple[Any, ...]] = []
        self._reader = link.Reader()
        assert self.frame()[0] == "ready"

    def frame(self) -> tuple[Any, ...]:
        while not self._frames:
            data = self.control.recv(65536)
            if not data:
                raise ConnectionResetError("the worker hung up")
            self._frames += self._reader.feed(data)
        return self._frames.pop(0)

    def publish(self, changes: Changes, fresh: bool = False) -> dict[bytes, tuple[int, int, int]]:
        """Puts a change in force and gives the retired counters."""
        self.commits += 1
        for part in link.parts(changes):
            self.control.sendall(part)
        self.control.sendall(link.encode(("commit", self.commits, fresh)))
        retired: dict[bytes, tuple[int, int, int]] = {}
        while True:
            word, number, readings = self.frame()
            retired |= readings
            if word == "ack":
                assert number == self.commits
                return retired
            assert (word, number) == ("counters", 0)  # of a large commit that is being settled

    def counters(self) -> dict[bytes, tuple[int, int, int]]:
        self.control.sendall(link.encode(("counters", 1)))
        return self.frame()[2]  # type: ignore[no-any-return]

    def udp(self, packet: bytes, timeout: float = 10.0) -> bytes:
        """One query and its reply; raises TimeoutError for silence."""
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            sock.connect((self.address, self.port))
            sock.send(packet)
            return sock.recv(65535)

    def tcp(self, *packets: bytes, timeout: float = 10.0) -> list[bytes]:
        """Several queries over one connection, all sent at once, and their replies."""
        with socket.create_connection((self.address, self.port), timeout=timeout) as sock:
            sock.sendall(b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets))
            with sock.makefile("rb") as stream:
                return [stream.read(int.from_bytes(stream.read(2), "big")) for _ in packets]

    def value(self, name: str) -> int:
        return self.board.get(board.FIRST_WORKER, name)


@contextlib.contextmanager
def worker(
    changes: Changes | None = None,
    *,
    listen: str = "127.0.0.1",
    ask: str = "",
    settings: Settings | None = None,
    cpu: int = -1,
    prefix: tuple[str, ...] = (),
    deferred: bool = False,
) -> Iterator[WorkerProcess]:
    """Starts a worker on a free port of `listen` (asked at `ask`), with the table in force; ends it after.

    `deferred`: the listener is set as the supervisor sets it, silent connections stay in the kernel.
    """
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    with contextlib.ExitStack() as stack:
        run = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rrdns-test-")))
        shared = Board(run / "board", rows=3)
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        udp, tcp = bound(listen, family)
        stack.callback(udp.close)
        stack.callback(tcp.close)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        port = udp.getsockname()[1]
        if deferred:
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER_ACCEPT)
        tcp.listen(1024)
        listener.bind(str(run / "worker-0.sock"))
        listener.listen(8)
        fds = [sock.fileno() for sock in (listener, udp, tcp)]
        process = subprocess.Popen(
            [
                *prefix,
                sys.executable,
                "-m",
                "rrdns.server.worker",
                "--index=0",
                f"--board={run / 'board'}",
                f"--link={fds[0]}",
                f"--udp={fds[1]}",
                f"--tcp={fds[2]}",
                f"--cpu={cpu}",
            ],
            pass_fds=fds,
            env={**os.environ, "RRDNS_SETTINGS": (settings or Settings()).to_json()},
        )
        try:
            started = WorkerProcess(process, shared, ask or listen, port, run)
            started.connect()
            stack.callback(started.control.close)
            if changes is not None:
                started.publish(changes, fresh=True)
            yield started
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def bound(listen: str, family: socket.AddressFamily) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on one port that is free for both."""
    for _ in range(50):
        udp, tcp = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_STREAM)
        for sock in (udp, tcp):
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if listen == "0.0.0.0":
            udp.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
        elif listen == "::":
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        tcp.bind((listen, 0))
        try:
            udp.bind((listen, tcp.getsockname()[1]))
        except OSError:
            udp.close()
            tcp.close()
            continue
        return udp, tcp
    raise AssertionError("no port is free for both UDP and TCP")


def wait_until(condition: Any, seconds: float = 20.0) -> None:
    """Waits for a condition; AssertionError when it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s: {condition}"
        time.sleep(0.02)
