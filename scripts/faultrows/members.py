"""Hosts that fail: R17 in six manners, R18 all of them, R19 one that flaps, then two hundred."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import data
import machine
import servers
from live import wait_for
from misbehaving import answer, resets, says, silent, trickles
from pacer import pace
from targets_server import Targets, targets

from faultrows import ground, others
from faultrows.ground import FALL, INTERVAL, RISE, TIMEOUT, Host
from faultrows.rows import Finding, Run, row

ALL = "all.lb.example.com."
ZONE_ALL = ground.ZONE + "all: {type: POOL, pool: web, answers: all}\n"

FAULTS: dict[str, Callable[[Host], object]] = {
    "refuse": Host.refuse,
    "500": lambda host: setattr(host, "manner", says(answer("500 Internal Server Error"))),
    "hang": lambda host: setattr(host, "manner", silent),
    "drip": lambda host: setattr(host, "manner", trickles(answer("200 OK", b"ok\n"), 0.2)),
    "reset": lambda host: setattr(host, "manner", resets),
    "garbage": lambda host: setattr(host, "manner", says(bytes(range(256)))),
}


@row(
    "R17",
    "members that refuse, say 500, hang, drip, reset, talk garbage",
    "out <= fall x interval + timeout + 0.3 s, in 6/6; back <= rise x interval + 0.3 s",
    gdnsd="interval 2 s: out 4.8-6.0 s, back 4.0-5.0",
    PowerDNS="interval 2 s: out and back 1.0-2.0 s",
)
def manners(run: Run) -> Finding:
    """All at once, one host each; 14 hosts, so that this is not taken for a fault of our own uplink."""
    finding = Finding()
    with ground.site(14, zone=ZONE_ALL) as (server, behind):
        load = ground.watch(server, 15, run.rate)
        faulty = dict(zip(FAULTS, behind, strict=False))
        for name, host in faulty.items():
            FAULTS[name](host)
        out = moments(server, faulty, gone=True)
        for host in faulty.values():
            host.manner = ground.GOOD
            host.accept()
        back = moments(server, faulty, gone=False)
        for name in FAULTS:
            finding.at_most(f"{name}: out after", out[name], FALL * INTERVAL + TIMEOUT + 0.3, "s", timing=True)
            finding.at_most(f"{name}: back after", back[name], RISE * INTERVAL + 0.3, "s", timing=True)
        finding.all_of("out", len(out), 6)
        finding.all_of("back", len(back), 6)
        finding.at_most("good members withdrawn", len(set(ground.withdrawals(server))) - 6, 0)
        ground.count(finding, load.result())
    return finding


def moments(server: ground.Server, faulty: dict[str, Host], gone: bool) -> dict[str, float]:
    """Seconds until each host's address is out of the answer, or in it again."""
    found: dict[str, float] = {}
    start = time.monotonic()

    def look() -> bool:
        there = server.addresses(ALL)
        for name, host in faulty.items():
            if name not in found and (host.address not in there) == gone:
                found[name] = time.monotonic() - start
        return len(found) == len(faulty)

    wait_for(look, 60, f"six {'out' if gone else 'back'}")
    return found


@row(
    "R18",
    "all members down",
    "all of them answered, rcode 0, no empty answer",
    gdnsd="all 4 answered",
    PowerDNS="one, at random",
)
def all_down(run: Run) -> Finding:
    finding = Finding()
    with ground.site() as (server, behind):
        allow = [host.address for host in behind]
        load = ground.watch(server, 7, run.rate, allow=allow)
        for host in behind:
            host.refuse()
        wait_for(lambda: set(ground.members(server).values()) == {"down"}, 60, "all down")
        wait_for(lambda: len(server.addresses()) > 1, 10, "all answered")  # the publisher is a moment behind
        reply = server.ask(ground.NAME)
        finding.all_of("members answered", len(server.addresses()), 3)
        finding.at_most("rcode", reply.rcode(), 0)
        ground.count(finding, load.result(), what="from up to all down")
        for host in behind:
            host.accept()
        wait_for(lambda: "up" in ground.members(server).values(), 60, "one is back")
        finding.at_least("answered with one back", len(server.addresses()), 1)

    def gdnsd(peer: others.Peer) -> str:
        for host in peer.hosts:
            host.refuse()
        time.sleep(25)  # five intervals: its own thresholds
        return others.told(peer.watch(2, 200).result())

    others.compare(run, finding, gdnsd)
    return finding


@row(
    "R19",
    "one member flaps every 0.4 s, then 200 members at once",
    "<= 1 change of the answer per member and rise + fall checks; p99 x1.2",
    gdnsd="0 changes in 8 s",
    PowerDNS="3 changes in 8 s",
)
def flaps(run: Run) -> Finding:
    finding, lasts = Finding(), 8.0
    with ground.site() as (server, behind):
        load = ground.watch(server, lasts + 1, run.rate, allow=[host.address for host in behind])
        changes, before, end = 0, server.addresses(), time.monotonic() + lasts
        good = True
        while time.monotonic() < end:
            good = not good
            behind[0].manner = ground.GOOD if good else says(answer("503 Service Unavailable"))
            until = time.monotonic() + 0.4
            while time.monotonic() < until:
                now = server.addresses()
                changes, before = changes + (now != before), now
                time.sleep(0.02)
        ground.count(finding, load.result(), what="one")
        allowed = lasts / ((RISE + FALL) * ground.FAST)  # checks come at the fast pace while in doubt
        finding.at_most(f"one: changes in {lasts:g} s", changes, allowed)
    try:
        ground.need("nginx")
    except ground.Skip as why:
        finding.notes.append(f"200 at once: {why}")
        return finding
    two_hundred(run, finding, lasts)
    return finding


def two_hundred(run: Run, finding: Finding, lasts: float, count: int = 200) -> None:
    """Three times with a server that starts anew, for whoever has flapped long returns slowly (damping)."""
    check = "{{type: http, port: {}, interval: 1s, timeout: 500ms, fall: 3, rise: 2, fast: 300ms}}"
    mixed = [*data.addresses(1, count), *data.addresses(2, count)]
    quiet, stormy, turned, down = Figures(), Figures(), 0.0, 0
    for _ in range(3):
        with targets() as web:

            def write(folder: ground.Path, port: int = web.port) -> None:
                (folder / f"{data.ZONE}.yaml").write_text(ground.ZONE)
                pool = data.pools_of(mixed, "c", 2 * count, "web").replace("web0:", "web:")
                (folder / "pools.yaml").write_text(f"checks:\n  c: {check.format(port)}\npools:\n{pool}")

            with servers.rrdns(write, "--workers", "2") as server:
                wait_for(lambda: set(states(server)) == {"up"}, 60, "all are up")
                calm_and_storm(server, run, web, lasts, quiet, stormy)
                events = server.control.get("/events", limit=10_000)["events"]
                changes = sum(one["subject"] == "member" and one["before"] != "unknown" for one in events)
                turned = max(turned, changes / count)
                down = max(down, sum(one != "up" for one in states(server)[count:]))
    finding.at_most("200: changes per member", turned, lasts / ((RISE + FALL) * ground.FAST))
    finding.at_most("200: p99 / quiet", p99(stormy) / p99(quiet), 1.2, timing=True)
    finding.notes.append(f"200: p99 {p99(quiet):.2f} ms quiet, {p99(stormy):.2f} ms in the storm")
    whole = {key: sum(one[key] for one in stormy) for key in ("sent", "answered", "late", "lost", "wrong")}
    ground.count(finding, whole, what="200")
    finding.at_most("200: steady members down", down, 0)
    if run.peers and machine.find("gdnsd"):
        beside_gdnsd(run, finding, lasts, mixed[count - 25 : count + 25])


def beside_gdnsd(run: Run, finding: Finding, lasts: float, hosts: list[str]) -> None:
    """Half of its pool flaps; one of its pools takes no more than 64."""
    quiet, stormy = Figures(), Figures()
    for _ in range(3):
        with targets() as web, servers.gdnsd(web.port, threads=2, members=dict.fromkeys(hosts, 10)) as server:
            calm_and_storm(server, run, web, lasts, quiet, stormy)
    finding.others["gdnsd"] = f"50 hosts, 25 flap: p99 {p99(quiet):.2f} ms quiet, {p99(stormy):.2f} in the storm"


Figures = list[dict[str, Any]]


def calm_and_storm(
    server: servers.Server, run: Run, web: Targets, lasts: float, quiet: Figures, stormy: Figures
) -> None:
    quiet += windows(server, run.rate, lasts)
    storm = threading.Thread(target=flap, args=(web, lasts))
    storm.start()
    stormy += windows(server, run.rate, lasts)
    storm.join()


def p99(those: Figures) -> float:
    return statistics.median(one["p99_ms"] for one in those)


def windows(server: servers.Server, rate: float, lasts: float, count: int = 3) -> Figures:
    """What a paced client sees in each part of that time: one in which the machine did something else is one of
    nine."""
    return [pace(server.port, rate, lasts / count, ground.NAME).result() for _ in range(count)]


def states(server: servers.Server) -> list[str]:
    return [one["state"] for one in server.control.get("/status")["pools"]["web"]["members"].values()]


def flap(web: Targets, lasts: float) -> None:
    end = time.monotonic() + lasts
    while time.monotonic() < end:
        web.down_network(1)
        time.sleep(0.4)
        web.up_network(1)
        time.sleep(0.4)
