"""What rows stand on: rrdns as an operator starts it, hosts whose manners change, figures of its processes."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import live
import machine
from live import ZONE, Server, end_leftovers, free_port, pools, wait_for
from misbehaving import Client as Caller
from misbehaving import Manner, Misbehaving, answer, says
from pacer import Pacer, pace

from faultrows.rows import Finding, Skip
from rrdns.board import CONTROL, FIRST_WORKER, SERVING, Board
from rrdns.ui.client import Client, Unreachable

__all__ = ["NAME", "ZONE", "Host", "Server", "end_leftovers", "serve", "wait_for"]

_T = TypeVar("_T")

NAME = "www.lb.example.com."
GOOD = says(answer("200 OK", b"ok\n"))
INTERVAL, TIMEOUT, FAST, FALL, RISE = 1.0, 0.5, 0.3, 3, 2


class Host:
    """A web server in this process, on an address of its own; `probes` are the times it was asked."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port = address, port
        self.manner: Manner = GOOD
        self.probes: list[float] = []
        self._server: Misbehaving | None = None
        self.accept()

    def _treat(self, caller: Caller) -> None:
        self.probes.append(time.monotonic())
        self.manner(caller)

    def refuse(self) -> None:
        if self._server is not None:
            self._server.__exit__(None, None, None)
            self._server = None

    def accept(self) -> None:
        if self._server is None:
            self._server = Misbehaving(self._treat, host=self.address, port=self.port)
            self._server.__enter__()


@contextlib.contextmanager
def hosts(count: int = 3, network: str = "127.0.0.") -> Iterator[list[Host]]:
    """Hosts on 127.0.0.11 and up, one port."""
    addresses = [f"{network}{11 + at}" for at in range(count)]
    port = free_port(*addresses)
    with contextlib.ExitStack() as stack:
        found = []
        for address in addresses:
            found.append(Host(address, port))
            stack.callback(found[-1].refuse)
        yield found


@contextlib.contextmanager
def site(count: int = 3, *arguments: str, zone: str = ZONE, pool: str = "") -> Iterator[tuple[Server, list[Host]]]:
    """rrdns with `www` over so many hosts that are up, all of them answered. `pool`: more lines of the pools file."""
    with hosts(count) as behind:
        members = [f"web{at + 1}: {host.address}" for at, host in enumerate(behind)]
        with served(members, behind[0].port, *arguments, zone=zone, more=pool) as server:
            settled(server)
            yield server, behind


def served(
    members: Sequence[str], port: int, *arguments: str, zone: str = ZONE, more: str = "", start: bool = True
) -> contextlib.AbstractContextManager[Server]:
    """rrdns with `www` over these members, asked at this port; two workers unless told otherwise."""
    interval, timeout, fast = (f"{value * 1000:.0f}ms" for value in (INTERVAL, TIMEOUT, FAST))
    text = pools(port, *members, interval=interval, timeout=timeout, fast=fast) + more
    return serve(zone, text, *(arguments or ("--workers", "2")), start=start)


@contextlib.contextmanager
def serve(zone: str, pools_text: str, *arguments: str, start: bool = True) -> Iterator[Server]:
    """As the tests' own, but asked for its status without a process for each question."""
    with live.serve(zone, pools_text, *arguments, start=False) as server:
        server.status = functools.partial(status, server)  # type: ignore[method-assign]
        if start:
            server.start()
        yield server


def settled(server: Server) -> None:
    """Every process serves, every member is up."""
    wait_for(lambda: members(server) and set(members(server).values()) == {"up"}, 60, "all members are up")


def client(server: Server) -> Client:
    return Client(str(server.control), 10)


def status(server: Server) -> dict[str, Any]:
    """Without a process of its own, so it can be asked often; OSError when nobody answers."""
    try:
        return client(server).get("/status")
    except Unreachable as error:
        raise OSError(str(error)) from None


def members(server: Server) -> dict[str, str]:
    return {name: one["state"] for name, one in status(server)["pools"]["web"]["members"].items()}


def withdrawals(server: Server) -> list[str]:
    """Members that went down, as the events tell."""
    events = client(server).get("/events", limit=10000)["events"]
    return [one["name"] for one in events if one["subject"] == "member" and one["after"] == "down"]


def board(server: Server) -> Board:
    return Board(server.state / "board")


def worker_rows(one: Board) -> range:
    return range(FIRST_WORKER, one.rows)


def pids(server: Server) -> list[int]:
    one = board(server)
    return [one.get(at, "pid") for at in range(one.rows) if one.lives(at)]


def total(server: Server, name: str) -> int:
    """Of all workers."""
    one = board(server)
    return sum(one.get(at, name) for at in worker_rows(one))


def successor(server: Server, at: int, old: int, seconds: float = 60) -> float:
    """Waits until another than `old` serves in this row; how long it took."""
    one = board(server)

    def serves() -> bool:
        return one.get(at, "pid") != old and one.lives(at) and one.get(at, "state") == SERVING

    start = time.monotonic()
    while not serves():
        if time.monotonic() - start > seconds:
            raise AssertionError(f"no successor in row {at} within {seconds:g} s")
        time.sleep(0.005)
    return time.monotonic() - start


def worker_pid(server: Server, at: int = 0) -> int:
    return board(server).get(FIRST_WORKER + at, "pid")


def control_pid(server: Server) -> int:
    return board(server).get(CONTROL, "pid")


def resident(server: Server) -> float:
    """MiB, all processes."""
    return sum(machine.resident(pid) for pid in pids(server))


def tracebacks(server: Server) -> int:
    return server.log.count("Traceback (most recent call last)")


# ------------------------------------------------------------------ a steady client


def watch(server: Server, seconds: float, rate: float = 500, *names: str, allow: Sequence[str] = ()) -> Pacer:
    """A paced client; it is nice to the server."""
    pacer = pace(server.port, rate, seconds, *(names or (NAME,)), allow=tuple(allow))
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pacer.process.pid, 5)
    return pacer


def unanswered(figures: dict[str, Any]) -> int:
    """No right answer within a second."""
    return int(figures["lost"] + figures["late"] + figures["wrong"])


def count(
    finding: Finding, figures: dict[str, Any], share: float = 0.0, gap: float | None = None, what: str = ""
) -> None:
    """The usual checks of what a paced client saw: lost, wrong, the longest gap in milliseconds."""
    prefix = f"{what}: " if what else ""
    lost = unanswered(figures)
    # a moment in which the machine did something else is the machine's; a wrong answer never is
    finding.at_most(f"{prefix}lost of {figures['sent']}", lost, figures["sent"] * share, timing=True)
    finding.at_most(
        f"{prefix}lost for good or wrong", figures["lost"] + figures["wrong"], figures["sent"] * max(share, 0.02)
    )
    finding.at_most(f"{prefix}wrong", figures["wrong"], 0)
    if gap is not None:
        finding.at_most(f"{prefix}longest gap", figures["gap_ms"], gap, "ms", timing=True)
    finding.details.setdefault("clients", []).append({"what": what, **figures})


def idle() -> str:
    """The same client with no fault: what the machine itself costs."""
    with serve(ZONE, "pools: {web: {members: [192.0.2.1]}}\n", "--workers", "2") as server:
        figures = watch(server, 4, 500).result()
    lost = f"{unanswered(figures)} of {figures['sent']} lost"
    return f"{lost}, p99 {figures['p99_ms']} ms, longest gap {figures['gap_ms']} ms"


# ------------------------------------------------------------------ the machine


def need(*programs: str, root: bool = False) -> None:
    missing = [one for one in programs if machine.find(one) is None]
    if missing:
        raise Skip(f"not installed: {', '.join(missing)}")
    if root and os.geteuid() != 0:
        raise Skip("needs root")


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    os.kill(pid, number)


@contextlib.contextmanager
def environment(**values: str) -> Iterator[None]:
    """For the processes started meanwhile."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclasses.dataclass(frozen=True, slots=True)
class Files:
    """The two files of a served directory, to be edited and put back."""

    zone: Path
    pools: Path
    texts: tuple[str, str]

    @classmethod
    def of(cls, server: Server) -> Files:
        zone, pool = server.zones / "lb.example.com.yaml", server.zones / "pools.yaml"
        return cls(zone, pool, (zone.read_text(), pool.read_text()))

    def put_back(self) -> None:
        for path, text in zip((self.zone, self.pools), self.texts, strict=True):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            path.write_text(text)


def chance(seed: int = 1) -> random.Random:
    return random.Random(seed)


def run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise Skip(f"{' '.join(words)}: {done.stderr.strip()}")


def thread(work: Callable[..., _T], *arguments: object) -> Future[_T]:
    """A thread of its own (it may be in another network), and what came of it. Children of it are in its network."""
    future: Future[_T] = Future()

    def do() -> None:
        try:
            future.set_result(work(*arguments))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=do, daemon=True).start()
    return future
