"""TCP: queries a second and CPU time per query, one query to a connection and a hundred, beside Knot, NSD, gdnsd."""

from __future__ import annotations

import contextlib
import statistics
from typing import Any

import bench
import machine
import servers
import tcp_client
from figures import Row, number
from targets_server import targets

NAME, TITLE = "tcp", "queries over TCP (server on one core, the client on the other; 8 connections at once)"
KINDS = {"one query a connection": 1, "100 queries a connection": 100}
AT_ONCE = 8  # Knot's listen queue holds ten; more would measure refusals


def run(on: bench.Bench) -> Row:
    row = Row(NAME, TITLE)
    cpus = (on.server_cpu,)
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(targets((on.load_cpu,)))
        running = [
            stack.enter_context(servers.rrdns(servers.bench_files(web.port), cpus=cpus)),
            stack.enter_context(servers.knot(cpus)),
            stack.enter_context(servers.nsd(cpus)),
            stack.enter_context(servers.gdnsd(web.port, cpus)),
        ]
        row.table.append(["", *(f"{one.name} q/s" for one in running), *(f"{one.name} us" for one in running)])
        for title, each in KINDS.items():
            found: dict[str, list[dict[str, Any]]] = {one.name: [] for one in running}
            for _, server in on.alternating(title, running):
                before = server.cpu()
                one = tcp_client.run(server.port, each, AT_ONCE, on.seconds, on.load_cpu)
                one["us"] = (server.cpu() - before) / max(one["answered"], 1) * 1e6
                found[server.name].append(one)
            add(row, title, found)
    machine.say("")
    return row


def add(row: Row, title: str, found: dict[str, list[dict[str, Any]]]) -> None:
    def median(name: str, what: str) -> float:
        return float(statistics.median(one[what] for one in found[name]))

    row.table.append([title, *(number(median(name, "rate")) for name in found),
                      *(f"{median(name, 'us'):.1f}" for name in found)])  # fmt: skip
    for what, words in (("rate", "queries a second"), ("us", "CPU a query")):
        ratio = bench.median_ratio(*([one[what] for one in found[name]] for name in ("rrdns", "knot")))
        row.add(f"{title}: {words}", ratio, "x knot", note="printed")
    failed = {name: sum(one["failed"] for one in runs) for name, runs in found.items()}
    busy = {name: f"{median(name, 'client_busy'):.0%}" for name in found}
    row.notes.append(f"{title}: connections failed {failed}; the client's own core was busy {busy}")
    row.details[title] = found
