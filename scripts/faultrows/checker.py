"""The process that checks: R13 paused, R14 killed, R20 with a thousand members at once."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import data
import machine
import servers
from pacer import pace
from targets_server import targets

from faultrows import ground
from faultrows.rows import Finding, Run, row
from rrdns.board import CONTROL

MAX_STALE = 2.0


@row(
    "R13",
    "the checker stands still (SIGSTOP, and nobody to replace it), then goes on",
    "answers stay, 0 lost, marked as stale; afterwards nothing withdrawn",
    gdnsd="checks in the server's process",
    PowerDNS="checks in the server's process",
)
def paused(run: Run) -> Finding:
    """The supervisor is stopped too: it would have replaced control after 5 s, which R14 shows."""
    finding, lasts = Finding(), max(5.0, run.seconds / 2)
    with ground.hosts(3) as behind:
        members = [f"web{at + 1}: {host.address}" for at, host in enumerate(behind)]
        with ground.served(members, behind[0].port, start=False) as server:
            config = server.folder / "settings.yaml"
            config.write_text(f"max_stale: {MAX_STALE}\n")
            server.arguments += ("--config", str(config))
            server.start()
            ground.settled(server)
            allow = [host.address for host in behind]
            load = ground.watch(server, lasts + 6, run.rate, allow=allow)
            time.sleep(1)
            stopped = [server.process.pid, ground.control_pid(server)]
            for pid in stopped:
                ground.kill(pid, signal.SIGSTOP)
            try:
                time.sleep(lasts)
                marked = ground.total(server, "stale")
                finding.at_most("addresses missing meanwhile", len(set(allow) - server.addresses()), 0)
            finally:
                for pid in reversed(stopped):
                    ground.kill(pid, signal.SIGCONT)
            ground.count(finding, load.result())
            ground.wait_for(lambda: not ground.total(server, "stale"), 60, "no longer stale")
            finding.all_of("workers that mark it", marked, 2)
            finding.at_most("members withdrawn", len(ground.withdrawals(server)), 0)
            finding.told("stood still", lasts, "s")
    return finding


@row("R14", "the checker is killed (-9)", "0 lost, back <= 1 s, states kept, nothing withdrawn")
def killed(run: Run) -> Finding:
    finding = Finding()
    with ground.site() as (server, behind):
        behind[2].refuse()
        ground.wait_for(lambda: ground.members(server)["web3"] == "down", 60, "web3 down")
        behind[2].accept()  # up, but that takes `rise` checks to be believed
        known = [behind[0].address, behind[1].address]
        before = len(ground.withdrawals(server))
        load = ground.watch(server, 6, run.rate, allow=[*known, behind[2].address])
        time.sleep(1)
        old = ground.control_pid(server)
        ground.kill(old)
        back = ground.successor(server, CONTROL, old)
        ground.count(finding, load.result())
        ground.wait_for(lambda: ground.members(server), 30, "control answers")
        kept = ground.client(server).get("/events", limit=1000)["events"]
        forgotten = [one for one in kept if one["subject"] == "member" and one["before"] == "unknown"]
        finding.at_most("back after", back * 1000, 1000, "ms", timing=True)
        finding.at_most("members judged anew", max(0, len(forgotten) - 3), 0)  # each once, at the first start
        finding.at_most("members withdrawn", len(ground.withdrawals(server)) - before, 0)
    return finding


COUNT, EVERY = 1000, 5.0


@row(
    "R20",
    "1,000 members, each checked every 5 s, from a start and after a reload",
    "peak in any 100 ms <= 3x the mean, <= 50 % of a core, DNS p99 < 2x idle",
    quick=False,
)
def stampede(run: Run) -> Finding:
    ground.need("nginx")
    finding, window = Finding(), max(12.0, run.seconds)
    with targets(log=True) as web:

        def write(folder: Path) -> None:
            addresses = data.addresses(1, COUNT)
            (folder / f"{data.ZONE}.yaml").write_text(
                "'': {type: NS, value: ns1.lb.example.com.}\nwww: {type: A, value: 192.0.2.1}\n"
                + "".join(f"p{at}: {{type: POOL, pool: p{at}}}\n" for at in range(COUNT // 100))
            )
            check = f"{{type: http, port: {web.port}, interval: 5s, timeout: 2s}}"
            (folder / "pools.yaml").write_text(
                f"checks:\n  c: {check}\npools:\n{data.pools_of(addresses, 'c', 100, 'p')}"
            )

        with servers.rrdns(write, "--workers", "1") as server:
            bare = pace(server.port, 500, 5, ground.NAME).result()  # the machine with these checks under way
            for title in ("start", "reload"):
                if title == "reload":
                    pool_file = server.zones / "pools.yaml"
                    pool_file.write_text(pool_file.read_text().replace("timeout: 2s", "timeout: 1900ms"))
                    server.control.post("/reload", {"force": False}, timeout=60)
                control = server.pid("control")
                # the first round is deliberately quick; what is meant is every round after it
                time.sleep(EVERY + 1 if title == "start" else 1)
                begin, spent = time.time(), machine.cpu_seconds([control])
                figures = pace(server.port, 500, window, ground.NAME).result()
                end = time.time()
                share = (machine.cpu_seconds([control]) - spent) / (end - begin) * 100
                time.sleep(1.5)  # nginx writes its log every second
                times = sorted(at for at, _ in web.seen() if begin <= at < end)
                mean = COUNT / EVERY / 10
                finding.at_most(f"{title}: peak in 100 ms / mean", peak(times, 0.1) / mean, 3, timing=True)
                due = COUNT / EVERY * (end - begin)
                finding.at_least(f"{title}: checks of those due", len(times) / due * 100, 80, "%", timing=True)
                finding.at_most(f"{title}: checker", share, 50, "% of a core", timing=True)
                finding.at_most(f"{title}: DNS p99 / idle", figures["p99_ms"] / bare["p99_ms"], 2, timing=True)
                finding.at_most(f"{title}: DNS lost", ground.unanswered(figures), 0, timing=True)
            down = [one for pool in server.control.get("/status")["pools"].values() for one in pool["members"].values()]
            finding.at_most("members not up", sum(one["state"] != "up" for one in down), 0)
    return finding


def peak(times: list[float], width: float) -> int:
    """The most of them within any such stretch."""
    most = first = 0
    for at, one in enumerate(times):
        while times[first] <= one - width:
            first += 1
        most = max(most, at - first + 1)
    return most
