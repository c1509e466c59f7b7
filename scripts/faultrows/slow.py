"""TCP clients that give nothing: R23 ten thousand in four manners, R24 when there are no descriptors left."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

import data
import machine
from test_slow_clients import Trickle, connected, descriptors

from faultrows import ground, others
from faultrows.rows import Finding, Run, row

QUERY = data.packet(ground.NAME)
FRAMED = len(QUERY).to_bytes(2, "big") + QUERY


@dataclass(frozen=True)
class Door:
    """What `connected` and `Trickle` want to know."""

    address: str
    port: int


def fresh(port: int) -> float | None:
    """Seconds for a query over a new connection; as a resolver does, once again when it was closed."""
    start = time.monotonic()
    for _ in range(2):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            sock.sendall(FRAMED)
            if sock.recv(2):
                return time.monotonic() - start
    return None


def serve_others(finding: Finding, port: int, rounds: int) -> list[float]:
    took = [fresh(port) for _ in range(rounds)]
    served = sorted(one for one in took if one is not None)
    finding.told(f"fresh TCP served of {rounds}", len(served))
    return served


def open_all(stack: contextlib.ExitStack, door: Door, each: int) -> dict[str, int]:
    """`each` connections idle, half a query in, and never reading; those that drip are a Trickle's."""
    many: Any = door
    idle = [stack.enter_context(connected(many, at)) for at in range(each)]
    partial = [stack.enter_context(connected(many, at)) for at in range(each)]
    deaf = [stack.enter_context(connected(many, at)) for at in range(each)]
    time.sleep(0.2)
    for sock in partial:
        with contextlib.suppress(OSError):
            sock.send(FRAMED[: len(FRAMED) // 2])
    for sock in deaf:
        with contextlib.suppress(OSError):
            sock.send(FRAMED * 200)
    return {"idle": len(idle), "partial": len(partial), "noread": len(deaf)}


@row(
    "R23",
    "10,000 TCP connections that are idle, drip, stop half way, or never read",
    "UDP 100 %, fresh TCP >= 99 %, p99 < 100 ms, memory + <= 64 MiB",
    gdnsd="10,000 drip: 81/81, p99 29 ms",
    NSD="16/26",
    Knot="45/52",
)
def slow_clients(run: Run) -> Finding:
    finding, each = Finding(), int(2500 * min(run.scale, 1))
    rounds = 100
    limits = descriptors(4 * each)
    with limits, ground.site() as (server, _), contextlib.ExitStack() as stack:
        door, before = Door("127.0.0.1", server.port), ground.resident(server)
        finding.details["opened"] = open_all(stack, door, each)
        trickle = stack.enter_context(Trickle(door, each))  # type: ignore[arg-type]
        ground.wait_for(lambda: trickle.rounds >= 3, 60, "they drip")
        load = ground.watch(server, 8, 200)
        served = serve_others(finding, server.port, rounds)
        ground.count(finding, load.result(), what="UDP")
        finding.at_least("fresh TCP", len(served) / rounds * 100, 99, "%")
        finding.at_most(
            "fresh TCP p99", served[int(len(served) * 0.99) - 1] * 1000 if served else 1e6, 100, "ms", timing=True
        )
        finding.at_most("memory grew by", ground.resident(server) - before, 64, "MiB")
        finding.told("closed for others", ground.total(server, "tcp_evicted"))
        finding.at_most("errors", ground.total(server, "errors"), 0)
    others.compare(run, finding, lambda peer: gdnsd(peer, each))
    return finding


def gdnsd(peer: others.Peer, each: int) -> str:
    found = Finding()
    with descriptors(4 * each), contextlib.ExitStack() as stack:
        door = Door("127.0.0.1", peer.port)
        open_all(stack, door, each)
        stack.enter_context(Trickle(door, each))  # type: ignore[arg-type]
        served = serve_others(found, peer.port, 60)
    return f"{len(served)}/60, p99 {served[-1] * 1000:.0f} ms" if served else "0/60"


LIMIT, DRIPPING = 64, 300


@row(
    "R24",
    f"no descriptors left: {LIMIT} allowed, {DRIPPING} connections that drip",
    "UDP 100 %, fresh TCP >= 95 %, CPU < 5 % of a core, checks go on",
    gdnsd="43/43, 0 ticks",
    Knot="1/7 and 4/12, 1,490-1,917 ticks",
)
def no_descriptors(run: Run) -> Finding:
    finding, rounds = Finding(), 40
    with descriptors(DRIPPING), ground.site() as (server, behind):
        workers = [ground.worker_pid(server, at) for at in range(2)]
        for pid in ground.pids(server):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        door: Any = Door("127.0.0.1", server.port)
        socks = [connected(door, at) for at in range(DRIPPING)]
        stop = threading.Event()
        drip = threading.Thread(target=dripping, args=(socks, stop))
        drip.start()
        try:
            time.sleep(2)
            spent, probes, start = machine.cpu_seconds(workers), len(behind[0].probes), time.monotonic()
            time.sleep(3)
            busy = (machine.cpu_seconds(workers) - spent) / (time.monotonic() - start) * 100
            load = ground.watch(server, 5, 200)
            served = serve_others(finding, server.port, rounds)
            ground.count(finding, load.result(), what="UDP")
        finally:
            stop.set()
            drip.join()
            for sock in socks:
                sock.close()
        finding.at_least("fresh TCP", len(served) / rounds * 100, 95, "%")
        finding.at_most("CPU of the workers", busy, 5, "% of a core", timing=True)
        finding.at_least("checks of one host meanwhile", len(behind[0].probes) - probes, 3)
        finding.at_most("members withdrawn", len(ground.withdrawals(server)), 0)
        finding.at_most("workers replaced", ground.total(server, "restarts"), 0)
        finding.at_most("log lines", len(server.log.splitlines()), 60)

    def peer_too(peer: others.Peer) -> str:
        resource.prlimit(peer.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        found, ended = Finding(), threading.Event()
        door: Any = Door("127.0.0.1", peer.port)
        held = [connected(door, at) for at in range(DRIPPING)]
        thread = threading.Thread(target=dripping, args=(held, ended))
        thread.start()
        try:
            spent = machine.cpu_seconds([peer.pid])
            served = serve_others(found, peer.port, rounds)
            return f"{len(served)}/{rounds}, {(machine.cpu_seconds([peer.pid]) - spent) * machine.TICK:.0f} ticks"
        finally:
            ended.set()
            thread.join()
            for sock in held:
                sock.close()

    others.compare(run, finding, peer_too)
    return finding


def dripping(socks: list[socket.socket], stop: threading.Event) -> None:
    """A byte each, twice a second; those that were closed stay closed."""
    at = 0
    long = b"\x0f\xff" + bytes(4095)
    while not stop.wait(0.5):
        for sock in socks:
            with contextlib.suppress(OSError):
                sock.send(long[at : at + 1])
        at += 1
