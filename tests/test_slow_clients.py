"""TCP clients that say nothing or a byte at a time: others stay served, and the worker stays small."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_zone import question, small_zone
from test_worker import resident
from worker_process import WorkerProcess, wait_until, worker

from rrdns.settings import Settings

PACKET = question("www.lb.example.com.")
FRAMED = len(PACKET).to_bytes(2, "big") + PACKET
LONG = b"\x0f\xff" + bytes(4095)  # the start of a query that never ends


@contextlib.contextmanager
def descriptors(count: int) -> Iterator[None]:
    """Room for so many more open files in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + len(list(Path("/proc/self/fd").iterdir())) + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} open files, the limit is {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connected(one: WorkerProcess, number: int) -> socket.socket:
    """A connection being made from one of 120 addresses."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.bind((f"127.0.7.{number % 120 + 1}", 0))
    sock.connect_ex((one.address, one.port))
    return sock


class Trickle:
    """Connections that send a byte now and then, and come again when they are closed."""

    def __init__(self, one: WorkerProcess, count: int) -> None:
        self._one = one
        self._socks = [connected(one, number) for number in range(count)]
        self._at = [0] * count
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.rounds = self.renewed = 0

    def _run(self) -> None:
        while not self._end.wait(0.05):
            for number in range(len(self._socks)):
                self._drip(number)
            self.rounds += 1

    def _drip(self, number: int) -> None:
        at = self._at[number]
        try:
            self._at[number] += self._socks[number].send(LONG[at : at + 1])
        except BlockingIOError:
            pass
        except OSError:
            self._socks[number].close()
            self._socks[number] = connected(self._one, number)
            self._at[number] = 0
            self.renewed += 1

    def __enter__(self) -> Trickle:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        for sock in self._socks:
            sock.close()


def fresh(one: WorkerProcess) -> bool:
    """A query over a new connection; as a resolver does, a second time when the first was closed."""
    address = (one.address, one.port)
    for _ in range(2):
        with contextlib.suppress(ConnectionError), socket.create_connection(address, timeout=20) as sock:
            sock.sendall(FRAMED)
            if sock.recv(2):
                return True
    return False


@pytest.mark.parametrize("deferred", [True, False], ids=["deferred", "accepted"])
@pytest.mark.parametrize(
    ("idle", "trickling"),
    [(2_000, 300), pytest.param(10_000, 1_000, marks=[pytest.mark.full, pytest.mark.timeout(600)])],
)
def test_others_stay_served(idle: int, trickling: int, deferred: bool) -> None:
    with descriptors(idle + trickling), worker(small_zone(), deferred=deferred) as one, contextlib.ExitStack() as stack:
        assert fresh(one)
        before = resident(one.process.pid)
        for number in range(idle):
            stack.enter_context(connected(one, number))
        with Trickle(one, trickling) as trickle:
            wait_until(lambda: trickle.rounds >= 3)
            wait_until(lambda: one.value("tcp_evicted") > 0, 60)
            served = 0
            while served < 60 or trickle.rounds < 20:
                assert one.udp(PACKET)
                assert fresh(one)
                served += 1
            wait_until(lambda: one.value("tcp_connections") > 64)
            assert one.value("tcp_connections") <= Settings().tcp_connections
        wait_until(lambda: one.value("tcp") > served)
        assert one.value("errors") == 0
        grown = resident(one.process.pid) - before
        print(f"{served} of each served, {trickle.renewed} came again, grew by {grown / (1 << 20):.1f} MiB")
        assert grown < 64 << 20


def test_one_address_has_a_part_only() -> None:
    with worker(small_zone(), settings=Settings(tcp_per_client=4)) as one, contextlib.ExitStack() as stack:
        other = stack.enter_context(socket.create_connection((one.address, one.port), timeout=10))
        mine = []
        for _ in range(10):
            sock = stack.enter_context(socket.create_connection((one.address, one.port), 10, ("127.0.7.1", 0)))
            sock.sendall(FRAMED)
            assert sock.recv(2), "the newcomer is served"
            mine.append(sock)
        wait_until(lambda: one.value("tcp_evicted") == 6)
        assert one.value("tcp_connections") == 5
        for sock in mine[:6]:
            while sock.recv(4096):
                pass
        other.sendall(FRAMED)
        assert other.recv(2), "another's connection, idle longer than all, was left alone"


def test_the_one_that_was_asked_last_stays() -> None:
    """The longest idle goes, not the oldest."""
    with worker(small_zone(), settings=Settings(tcp_per_client=2)) as one, contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(socket.create_connection((one.address, one.port), 10)) for _ in "ab")
        for sock in (first, second, first):
            sock.sendall(FRAMED)
            assert len(sock.recv(4096)) > len(PACKET)
        assert fresh(one)
        assert second.recv(1) == b""
        first.sendall(FRAMED)
        assert first.recv(2)


def test_a_query_longer_than_any_ends_the_connection() -> None:
    with worker(small_zone()) as one, socket.create_connection((one.address, one.port), timeout=10) as sock:
        sock.sendall(FRAMED + b"\xff\xff" + bytes(100))
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(4096):
                pass
        wait_until(lambda: one.value("dropped") == 1)
        assert one.value("tcp") == 2 and one.value("errors") == 0


def test_clients_that_never_read_are_bounded_together() -> None:
    packet = question("big.lb.example.com.")
    framed = (len(packet).to_bytes(2, "big") + packet) * 400
    with worker(small_zone()) as one, contextlib.ExitStack() as stack:
        assert fresh(one)
        before = resident(one.process.pid)
        socks = [stack.enter_context(connected(one, number)) for number in range(240)]
        full: set[int] = set()
        while len(full) < len(socks):
            for number, sock in enumerate(socks):
                with contextlib.suppress(ConnectionError):
                    for _ in range(20):
                        try:
                            sock.send(framed)
                        except BlockingIOError:
                            full.add(number)
                            break
        assert fresh(one) and one.udp(PACKET)
        grown = resident(one.process.pid) - before
        print(f"240 never read: grew by {grown / (1 << 20):.1f} MiB")
        assert grown < 64 << 20
