"""10,000 TCP and 10,000 HTTP targets, each asked every 5 s: CPU of control, and how late the probes are."""

from __future__ import annotations

import contextlib
import time
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bench
import data
import machine
import servers
from figures import Row
from targets_server import Targets, targets

NAME, TITLE = "targets", "10,000 TCP and 10,000 HTTP targets, each every 5 s"
COUNT, SIZE, INTERVAL = 10_000, 100, 5.0
JITTER = 0.1  # of the interval, either way (rrdns.checks.rhythm)
SETTLE, WINDOW = 15, 30
KINDS = {"tcp": ("tcp",), "http": ("http",), "both": ("tcp", "http")}


def files(port: int, kinds: tuple[str, ...]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        checks = "".join(f"  {kind}: {{type: {kind}, port: {port}, interval: 5s, timeout: 2s}}\n" for kind in kinds)
        pools = "".join(
            data.pools_of(data.addresses(network, COUNT), kind, SIZE, kind)
            for network, kind in ((1, "tcp"), (2, "http"))
            if kind in kinds
        )
        names = "".join(
            f"{kind}{at}: {{type: POOL, pool: {kind}{at}}}\n" for kind in kinds for at in range(COUNT // SIZE)
        )
        apex = "'': {type: NS, value: ns1.lb.example.com.}\nns1: {type: A, value: 127.0.0.1}\n"
        (folder / f"{data.ZONE}.yaml").write_text(apex + names)
        (folder / "pools.yaml").write_text(f"checks:\n{checks}pools:\n{pools}")

    return write


def run(on: bench.Bench) -> Row:
    row = Row(NAME, TITLE)
    row.table.append(
        [
            "",
            "control, % of a core",
            "probes/s seen",
            "HTTP gap p50",
            "p99",
            "worst",
            "late mean ms",
            "latest 1 % ms",
            "control MiB",
        ]
    )
    found: dict[str, dict[str, Any]] = {}
    for title, kinds in KINDS.items():
        machine.say(f"targets: {title}: settling")
        with contextlib.ExitStack() as stack:
            web = stack.enter_context(targets((on.load_cpu,), log="http" in kinds))
            write = files(web.port, kinds)
            server = stack.enter_context(servers.rrdns(write, cpus=(on.server_cpu,), probe=f"ns1.{data.ZONE}"))
            control = server.pid("control")
            time.sleep(SETTLE)
            before, start = machine.cpu_seconds([control]), time.monotonic()
            machine.say(f"targets: {title}: measuring for {WINDOW} s")
            time.sleep(WINDOW)
            took = time.monotonic() - start
            share = (machine.cpu_seconds([control]) - before) / took * 100
            found[title] = one = {"control_percent": share, "control_mib": machine.resident(control)}
            one.update(gaps(web, took) if "http" in kinds else {})
            states = server.control.get("/status")["pools"].values()
            one["up"] = sum(each["state"] == "up" for pool in states for each in pool["members"].values())
        shown = ("probes", "p50", "p99", "worst", "late_mean_ms", "latest_ms")
        cells = [f"{one[what]:.3g}" if what in one else "" for what in shown]
        row.table.append([f"{title} ({one['up']:,} up)", f"{share:.1f}", *cells, f"{one['control_mib']:.0f}"])
    machine.say("")
    row.add("both: CPU of control", found["both"]["control_percent"], "% of a core", 60, 25)
    row.add("10,000 TCP alone: CPU of control", found["tcp"]["control_percent"], "% of a core", 60, 25)
    row.add("10,000 HTTP alone: CPU of control", found["http"]["control_percent"], "% of a core", 60, 25)
    for title, what in (("http", "10,000 HTTP alone"), ("both", "both")):
        latest = found[title]["latest_ms"]
        row.add(f"{what}: lateness of HTTP probes, mean of the latest 1 %", latest, "ms", 500, 100)
        row.add(f"{what}: lateness of HTTP probes, mean", found[title]["late_mean_ms"], "ms", 500, 100)
        row.add(f"{what}: HTTP probes, of those due", found[title]["kept_percent"], "%", 97, 99, at_least=True)
    row.notes.append(
        "lateness from outside: a gap between two probes of a target is 5 s +- 10 % and how late the second"
    )
    row.notes.append("is. The p99 can't be told from that, the mean of the latest 1 % can, which is never less.")
    row.notes.append("TCP probes leave no trace here.")
    row.details = found
    return row


def gaps(web: Targets, window: float) -> dict[str, float]:
    """Between two requests to the same address, those that ended in the last `window` seconds."""
    time.sleep(2)  # nginx writes its log a second late
    seen = web.seen()
    since = max(when for when, _ in seen) - window
    last: dict[str, float] = {}
    found = []
    for when, address in seen:
        if address in last and when > since:
            found.append(when - last[address])
        last[address] = when
    found.sort()
    late = lateness(found)
    seen_rate = {"probes": len(found) / window, "kept_percent": len(found) / window / (COUNT / INTERVAL) * 100}
    gap = {"p50": found[len(found) // 2], "p99": found[int(len(found) * 0.99)], "worst": found[-1]}
    return {**gap, **late, **seen_rate, "targets_seen": len(last)}


def lateness(gaps: list[float]) -> dict[str, float]:
    """Of sorted gaps; a gap is the jittered interval and the lateness L.

    As the interval is evenly spread, the share of gaps longer than its longest and x, times its spread, is E max(L - x,
    0); and the least of x + E max(L - x, 0) / 1 % is the mean of the latest 1 % (Rockafellar and Uryasev 2000), which
    no p99 is beyond.
    """
    longest, spread = INTERVAL * (1 + JITTER), 2 * INTERVAL * JITTER
    over = (at / 1000 for at in range(int(INTERVAL * 1000)))
    latest = min(x + spread * (1 - bisect_right(gaps, longest + x) / len(gaps)) / 0.01 for x in over)
    mean = sum(gaps) / len(gaps) - INTERVAL
    return {"latest_ms": latest * 1000, "late_mean_ms": max(0.0, mean) * 1000}
