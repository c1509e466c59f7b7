"""Processes that are killed: R3 a worker, R4 all workers, R5 the parent, R6 again and again, R29 the orderly end."""

from __future__ import annotations

import signal
import socket
import time

from data import packet

from faultrows import ground, others
from faultrows.rows import Finding, Run, row
from rrdns.board import FIRST_WORKER, SERVING


def killed_and_restarted(peer: others.Peer) -> str:
    load = peer.watch(6)
    time.sleep(2)
    ground.kill(peer.pid)
    peer.again()
    return f"one process, killed and started by hand: {others.told(load.result())}"


@row(
    "R3",
    "kill -9 one of two workers at 500 q/s",
    "<= 0.1 % lost, gap <= 50 ms, a successor <= 500 ms",
    NSD="0 of 3,000 lost",
    PowerDNS="20 % lost, gap 1,398 ms",
)
def one_worker(run: Run) -> Finding:
    return workers_killed(run, 1)


@row(
    "R4",
    "kill -9 all workers at once at 500 q/s",
    "gap <= 500 ms",
    gdnsd="started by hand: 5 lost, gap 12 ms",
)
def all_workers(run: Run) -> Finding:
    return workers_killed(run, 2)


def workers_killed(run: Run, number: int) -> Finding:
    finding = Finding()
    with ground.site() as (server, behind):
        load = ground.watch(server, 7, run.rate, allow=[host.address for host in behind])
        time.sleep(2)
        old = [ground.worker_pid(server, at) for at in range(number)]
        for pid in old:
            ground.kill(pid)
        back = max(ground.successor(server, FIRST_WORKER + at, pid) for at, pid in enumerate(old))
        ground.count(finding, load.result(), 0.001 if number == 1 else 0.02, 50 if number == 1 else 500)
        finding.at_most("a successor serves after", back * 1000, 500, "ms", timing=True)
        finding.all_of("workers that serve afterwards", serving(server), 2)
    others.compare(run, finding, killed_and_restarted)
    return finding


def serving(server: ground.Server) -> int:
    one = ground.board(server)
    return sum(one.lives(at) and one.get(at, "state") == SERVING for at in ground.worker_rows(one))


@row(
    "R5",
    "kill -9 the parent at 500 q/s, a new start 2 s later",
    "workers serve on; the new start: 0 lost or gap <= 1 s; nothing left behind",
    NSD="main killed: dead for good",
    gdnsd="one process: dead until it is started",
)
def parent(run: Run) -> Finding:
    finding = Finding()
    with ground.site() as (server, behind):
        old = ground.pids(server)
        load = ground.watch(server, 12, run.rate, allow=[host.address for host in behind])
        time.sleep(2)
        server.process.kill()
        server.process.wait(10)
        time.sleep(2)
        finding.all_of("workers that serve on", serving(server), 2)
        server.start()
        ground.count(finding, load.result(), 0.001, 1000)
        ground.wait_for(lambda: not any(map(others.lives, old)), 20, "the old ones end")
        finding.at_most("old processes left", sum(map(others.lives, old)), 0)
        finding.at_most("members withdrawn", len(ground.withdrawals(server)), 0)
    others.compare(run, finding, killed_and_restarted)
    return finding


@row(
    "R6",
    "crash loop: one worker dies as soon as it serves, then both in turn",
    "back-off, >= 1 worker always, >= 95 % answered",
)
def crash_loop(run: Run) -> Finding:
    finding = Finding()
    with ground.site() as (server, behind):
        allow = [host.address for host in behind]
        kills = 0
        for title, posts in (("one", (FIRST_WORKER,)), ("both", (FIRST_WORKER, FIRST_WORKER + 1))):
            lasts = max(3.0, run.seconds * 0.3)
            load = ground.watch(server, lasts + 2, run.rate, allow=allow)
            time.sleep(0.5)
            killed, least = kill_often(server, posts, lasts)
            kills += killed
            figures = load.result()
            answered = figures["answered"] / figures["sent"] * 100
            finding.told(f"{title}: killed", killed)
            if title == "one":
                finding.at_least("one: workers at the worst moment", least, 1)
            finding.at_least(f"{title}: answered", answered, 95, "%")
            finding.at_most(f"{title}: wrong", figures["wrong"], 0)
            finding.told(f"{title}: longest gap", figures["gap_ms"], "ms")
            finding.details[title] = figures
        finding.at_least("back-offs in the log", server.log.count("in 10 s:"), 1)
        finding.at_most("restarts beyond kills", ground.total(server, "restarts") - kills, 0)
        ground.wait_for(lambda: serving(server) >= 1 and server.addresses(), 30, "it answers")
    return finding


def kill_often(server: ground.Server, posts: tuple[int, ...], seconds: float) -> tuple[int, int]:
    """Kills whoever serves at these posts, twice a second each in turn; how often, and how few served at worst."""
    one, turn, killed, least = ground.board(server), 0, 0, 2
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        at = posts[turn % len(posts)]
        turn += 1
        if one.lives(at) and one.get(at, "state") == SERVING:
            ground.kill(one.get(at, "pid"))
            killed += 1
        until = time.monotonic() + 0.5 / len(posts)
        while time.monotonic() < until:
            least = min(least, serving(server))
            time.sleep(0.01)
    return killed, least


@row("R29", "SIGTERM under load", "drains <= 1 s, exit 0, no query already received is lost")
def orderly_end(run: Run) -> Finding:
    finding, burst = Finding(), 100
    with ground.site() as (server, _), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        load = ground.watch(server, 3, run.rate)
        time.sleep(1)
        old = ground.pids(server)
        sock.connect(("127.0.0.1", server.port))
        sock.settimeout(3)
        for _ in range(burst):
            sock.send(packet(ground.NAME))
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        heard = 0
        try:
            while heard < burst and sock.recv(4096):
                heard += 1
        except OSError:
            pass  # nobody there any more
        code = server.process.wait(20)
        took = time.monotonic() - start
        load.result()
        finding.all_of("replies to what was received before", heard, burst)
        finding.at_most("exit code", code, 0)
        finding.at_most("ended after", took, 1.0, "s", timing=True)
        finding.at_most("processes left", sum(map(others.lives, old)), 0)
        finding.at_most("sockets left", len(list(server.state.glob("*.sock"))) + server.control.exists(), 0)
    return finding
