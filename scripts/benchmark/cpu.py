"""CPU time per answered UDP query, five servers side by side, one kind of question after the other."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bench
import data
import load
import machine
import servers
from figures import Row, number
from servers import Server
from targets_server import targets

NAME, TITLE = "cpu", "CPU microseconds per answered UDP query (server on one core, dnsperf on the other)"
COOKIE = ("-E", "10:0123456789abcdef")
FASTEST = 400_000  # answers a second that nobody reaches: so many names are made where none may come twice
PEERS = ("gdnsd", "knot", "nsd", "pdns")


@dataclass(frozen=True, slots=True)
class Case:
    title: str
    questions: Callable[[float], list[str]]
    """Lines for dnsperf, given the seconds of a round."""
    must: float
    aim: float
    fresh: bool = False
    """New questions for each round."""
    more: tuple[str, ...] = ("-e",)


def same(question: str) -> Callable[[float], list[str]]:
    return lambda seconds: [question]


def never_twice(suffix: str) -> Callable[[float], list[str]]:
    def lines(seconds: float) -> list[str]:
        return [f"{name} A" for name in data.fresh_names(int(FASTEST * seconds), suffix)]

    return lines


CASES = (
    Case("weighted, health-checked name", same(f"{data.NAME} A"), 1.15, 1.0),
    Case("NXDOMAIN", same(f"nothing.{data.ZONE} A"), 1.5, 1.15),
    Case("NODATA", same(f"ns1.{data.ZONE} TXT"), 1.5, 1.15),
    Case("wildcard", same(f"anything.wild.{data.ZONE} A"), 1.5, 1.15),
    Case("referral", same(f"host.sub.{data.ZONE} A"), 1.5, 1.15),
    Case("random-subdomain flood (NXDOMAIN)", never_twice(data.ZONE), 1.5, 1.15, fresh=True),
    Case("weighted, random letter case", lambda _: [f"{one} A" for one in data.letter_cases(data.NAME)], 1.5, 1.2),
    Case("weighted, DNS cookie", same(f"{data.NAME} A"), 1.5, 1.2, more=COOKIE),
    Case("weighted, never the same name", never_twice(f"many.{data.ZONE}"), 1.5, 1.2, fresh=True),
)


def run(on: bench.Bench) -> Row:
    row = Row(NAME, TITLE)
    lost = dict.fromkeys(("rrdns", *PEERS), 0)
    cpus = (on.server_cpu,)
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(targets((on.load_cpu,)))
        running = [
            stack.enter_context(servers.rrdns(servers.bench_files(web.port), cpus=cpus)),
            stack.enter_context(servers.gdnsd(web.port, cpus)),
            stack.enter_context(servers.knot(cpus)),
            stack.enter_context(servers.nsd(cpus)),
            stack.enter_context(servers.pdns(web.port, cpus)),
        ]
        row.table.append(["", *(one.name for one in running), "rrdns/gdnsd", "rrdns q/s", "gdnsd q/s"])
        for case in CASES:
            one_case(on, case, running, row, lost)
    row.details["lost"] = lost
    row.notes.append(f"medians of {on.rounds} alternating rounds of {on.seconds:g} s; lost queries: {lost}")
    row.notes.append("weighted names: knot and nsd serve one static address; pdns a Lua record that knows no weights")
    return row


def one_case(on: bench.Bench, case: Case, running: list[Server], row: Row, lost: dict[str, int]) -> None:
    file = Path()
    made = -1
    figures: dict[str, list[float]] = {one.name: [] for one in running}
    rates: dict[str, list[float]] = {one.name: [] for one in running}
    for at, server in on.alternating(case.title, running):
        if made < 0 or (case.fresh and made != at):
            made = at
            file = data.question_file(on.folder, case.questions(on.seconds))
        found = load.run(server, file, on.seconds, on.load_cpu, *case.more)
        figures[server.name].append(found.cpu_us)
        rates[server.name].append(found.rate)
        lost[server.name] += found.lost
    machine.say("")
    medians = {name: statistics.median(values) for name, values in figures.items()}
    qps = {name: statistics.median(values) for name, values in rates.items()}
    ratio = bench.median_ratio(figures["rrdns"], figures["gdnsd"])
    row.table.append([case.title, *(f"{medians[one.name]:.2f}" for one in running), f"{ratio:.2f}",
                      number(qps["rrdns"]), number(qps["gdnsd"])])  # fmt: skip
    row.add(case.title, ratio, "x gdnsd", case.must, case.aim)
    row.details[case.title] = {"us": medians, "qps": qps, "ratio": ratio, "rounds": figures}
