"""Much to do: R1 a load near the most it can, R2 three times too much, R26 memory over a long run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import blaster
import machine

from faultrows import ground, others
from faultrows.rows import Finding, Run, row


def questions(folder: Path, names: list[str]) -> Path:
    file = folder / "questions"
    file.write_text("".join(f"{name} A\n" for name in names))
    return file


def dnsperf(port: int, file: Path, seconds: float, *more: str) -> dict[str, float]:
    """sent, lost, rate; it ends by itself. It shares the CPUs with the server and comes after it."""
    words = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(file), "-l", f"{seconds:.0f}", "-c", "16"]
    with subprocess.Popen(
        [*words, "-T", "1", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        machine.yields(process.pid)
        try:
            out, errors = process.communicate(timeout=seconds + 60)
        except BaseException:
            process.kill()
            raise
    found = re.findall(r"Queries (sent|completed|lost|per second):\s+([\d.]+)", out)
    told = {name: float(value) for name, value in found}
    if "per second" not in told:
        raise AssertionError(f"dnsperf: {errors[-300:]}{out[-300:]}")
    return told


def greatest(port: int, file: Path) -> float:
    return dnsperf(port, file, 5, "-q", "300")["per second"]


@row("R1", "80 % of its own maximum, for --seconds", "0 lost, p99 < 5 ms, memory grows <= 5 %")
def held(run: Run) -> Finding:
    ground.need("dnsperf")
    finding = Finding()
    with ground.site() as (server, _):
        file = questions(server.folder, ["www.lb.example.com", "one.lb.example.com", "x.dev.lb.example.com"])
        most = greatest(server.port, file)
        before = ground.resident(server)
        watched = ground.watch(server, run.seconds - 1, run.rate)
        told = dnsperf(server.port, file, run.seconds, "-q", "1000", "-Q", f"{most * 0.8:.0f}")
        figures = watched.result()
        finding.at_most(f"lost of {told['sent']:,.0f}", told["lost"], 0, timing=True)
        finding.at_most("lost", told["lost"] / told["sent"] * 100, 1, "%")
        finding.at_most("p99", figures["p99_ms"], 5, "ms", timing=True)
        finding.at_most("memory grew by", (ground.resident(server) / before - 1) * 100, 5, "%")
        finding.told("maximum beside its own load generator", most, "q/s")
        finding.told("held", told["per second"], "q/s")

    def gdnsd(peer: others.Peer) -> str:
        file = questions(peer.folder, ["www.lb.example.com"])
        its = greatest(peer.port, file)
        watched = peer.watch(min(run.seconds, 20) - 1, run.rate)
        told = dnsperf(peer.port, file, min(run.seconds, 20), "-q", "1000", "-Q", f"{its * 0.8:.0f}")
        return f"max {its:,.0f}; lost {told['lost']:.0f} of {told['sent']:,.0f}, p99 {watched.result()['p99_ms']} ms"

    others.compare(run, finding, gdnsd)
    return finding


@row(
    "R2",
    "three times the maximum for --seconds (open loop), then 500 q/s",
    "answered >= 90 % of the maximum, 0 lost 1 s later, no growth",
    quick=False,
)
def overload(run: Run) -> Finding:
    """Senders that wait for nobody; what they reach beside the server is told. The maximum is that of a closed loop."""
    ground.need("dnsperf")
    finding = Finding()
    with ground.site() as (server, _):
        most = blaster.read(blaster.start(server.port, 5, max(os.sched_getaffinity(0))), 60)["rate"]
        before, answered = ground.resident(server), ground.total(server, "answered")
        words = [sys.executable, "-m", "faultrows.flood", str(server.port), f"{run.seconds}", f"{3 * most / 2:.0f}"]
        floods = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        sent = sum(int(one.communicate(timeout=run.seconds + 60)[0]) for one in floods)
        rate = (ground.total(server, "answered") - answered) / run.seconds
        time.sleep(1)
        after = ground.watch(server, 5, run.rate).result()
        finding.told("sent / maximum", sent / run.seconds / most)
        finding.at_least("answered / maximum", rate / most * 100, 90, "%", timing=True)
        ground.count(finding, after, what="1 s later")
        finding.at_most("memory grew by", (ground.resident(server) / before - 1) * 100, 5, "%")
        finding.at_most("workers replaced", ground.total(server, "restarts"), 0)
    return finding


@row(
    "R26",
    "memory: 1e7 queries, 1e5 names, 1e4 reloads (a twentieth of it; --scale 20 for all)",
    "no growth after the first parts (< 2 %), no cache grows with the names asked",
    quick=False,
)
def memory(run: Run) -> Finding:
    ground.need("dnsperf")
    finding, parts = Finding(), 5
    queries, reloads = int(5e5 * run.scale), int(500 * run.scale)
    with ground.site() as (server, _):
        names = [f"{name}.dev.lb.example.com" for name in (f"h{at}" for at in range(100_000))]
        file, control, files = questions(server.folder, names), ground.client(server), ground.Files.of(server)
        sizes, asked = [], 0
        for _ in range(parts):
            told = dnsperf(server.port, file, 600, "-n", str(max(1, round(queries / parts / 100_000))), "-q", "300")
            asked += int(told["sent"])
            for number in range(reloads // parts):
                text = f"{files.texts[0]}n{number % 7}: {{type: A, value: 192.0.2.{number % 250}}}\n"
                files.zone.write_text(text)
                control.post("/reload", {"force": False}, timeout=60)
            sizes.append({pid: machine.resident(pid) for pid in ground.pids(server)})
        early, late = sum(sizes[1].values()), sum(sizes[-1].values())
        finding.at_most("memory grew after the first two parts by", (late / early - 1) * 100, 2, "%")
        finding.told("at the end", late, "MiB")
        finding.notes.append(f"{asked:,} queries for 100,000 names, {reloads:,} reloads, in {parts} parts")
        finding.details["mib"] = [list(one.values()) for one in sizes]
        finding.at_most("tracebacks in the log", ground.tracebacks(server), 0)
    return finding
