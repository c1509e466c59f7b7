"""Latency at a fixed rate, by the paced client: p50, p99, p99.9 at 20,000 and 50,000 queries a second."""

from __future__ import annotations

import contextlib
import statistics
from typing import Any

import bench
import machine
import servers
from figures import Row
from pacer import Pacer
from targets_server import targets

NAME, TITLE = "latency", "latency in microseconds at a fixed rate of queries for the weighted name"
RATES = (20_000, 50_000)
SHOWN = ("p50_us", "p99_us", "p99.9_us")
DISTURBED = 0.01  # share of the queries sent over 1 ms late, above which something else had the client's core
KEPT = 0.98  # of the wanted rate, to count as kept


def run(on: bench.Bench) -> Row:
    row = Row(NAME, TITLE)
    cpus = (on.server_cpu,)
    row.table.append(["", "p50", "p99", "p99.9", "lost", "sent late (p99 us)", "sent > 1 ms late"])
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(targets((on.load_cpu,)))
        running = [
            stack.enter_context(servers.rrdns(servers.bench_files(web.port), cpus=cpus)),
            stack.enter_context(servers.gdnsd(web.port, cpus)),
            stack.enter_context(servers.knot(cpus)),
            stack.enter_context(servers.nsd(cpus)),
        ]
        for rate in RATES:
            found: dict[str, list[dict[str, Any]]] = {one.name: [] for one in running}
            for _, server in on.alternating(f"{rate:,} q/s", running):
                found[server.name].append(Pacer(server.port, rate, on.seconds, cpu=on.load_cpu).result())
            machine.say("")
            add(row, rate, found)
    row.notes.append("from sending to the kernel's time of arrival; the client spins on the other core")
    return row


def add(row: Row, rate: int, found: dict[str, list[dict[str, Any]]]) -> None:
    def median(name: str, what: str) -> float:
        return float(statistics.median(one[what] for one in found[name]))

    for name in found:
        cells = [f"{median(name, what):.0f}" for what in SHOWN]
        lost, sent = (sum(one[what] for one in found[name]) for what in ("lost", "sent"))
        late, over = f"{median(name, 'send_late_p99_us'):.0f}", f"{median(name, 'sent_over_1ms_late'):.2%}"
        row.table.append([f"{rate:,} q/s {name}", *cells, f"{lost} of {sent:,}", late, over])
        if median(name, "sent_over_1ms_late") > DISTURBED:
            row.notes.append(f"{rate:,} q/s, {name}: over 1 % was sent over 1 ms late: not judged")
        if median(name, "rate") < KEPT * rate:
            row.notes.append(f"the client did not keep {rate:,} q/s against {name}: {median(name, 'rate'):,.0f}")
    for what in SHOWN:
        pairs = zip(found["rrdns"], found["gdnsd"], strict=True)
        ratio = statistics.median(mine[what] / theirs[what] for mine, theirs in pairs)
        bounds = (1.5, 1.0) if what == "p99_us" else (None, None)
        calm = all(median(name, "sent_over_1ms_late") <= DISTURBED for name in ("rrdns", "gdnsd"))
        row.add(f"{what.removesuffix('_us')} at {rate:,} q/s", ratio if calm else None, "x gdnsd", *bounds)
    row.details[str(rate)] = found
