"""Whether two workers do twice the work of one: one and its load on one core, two and theirs on two cores.

Two CPUs that are threads of one core, or a busy neighbour, cannot do twice the work, whoever works; so gdnsd is
asked the same with one thread and two.
"""

from __future__ import annotations

import contextlib
import statistics

import bench
import blaster
import machine
import servers
from figures import Row, number
from targets_server import targets

NAME, TITLE = "workers", "answers a second: one worker and its load on one core, two of each on two cores"


def run(on: bench.Bench) -> Row:
    row = Row(NAME, TITLE)
    if on.server_cpu == on.load_cpu:
        row.notes.append("not measured: needs two CPUs")
        row.add("two workers against one", None, "x", 1.7, 1.9, at_least=True)
        return row
    both = (on.server_cpu, on.load_cpu)
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(targets())
        write = servers.bench_files(web.port)
        running = {
            ("rrdns", 1): stack.enter_context(servers.rrdns(write, "--workers", "1", cpus=both[:1], name="rrdns, 1")),
            ("rrdns", 2): stack.enter_context(servers.rrdns(write, "--workers", "2", cpus=both, name="rrdns, 2")),
            ("gdnsd", 1): stack.enter_context(servers.gdnsd(web.port, both[:1])),
            ("gdnsd", 2): stack.enter_context(servers.gdnsd(web.port, both, threads=2)),
        }
        rates: dict[tuple[str, int], list[float]] = {key: [] for key in running}
        keys = {id(server): key for key, server in running.items()}
        for _, server in on.alternating("workers", list(running.values())):
            key = keys[id(server)]
            loads = [blaster.start(server.port, on.seconds, cpu) for cpu in both[: key[1]]]
            rates[key].append(sum(blaster.read(each, on.seconds + 30)["rate"] for each in loads))
    machine.say("")
    row.table.append(["", "one", "two", "ratio"])
    for name in ("rrdns", "gdnsd"):
        ratio = bench.median_ratio(rates[name, 2], rates[name, 1])
        middle = (number(statistics.median(rates[name, count])) for count in (1, 2))
        row.table.append([f"{name}, answers/s", *middle, f"{ratio:.2f}"])
        must, aim = (1.7, 1.9) if name == "rrdns" else (None, None)
        row.add(
            f"{name}: two workers against one", ratio, "x", must, aim, at_least=True, note="what this machine gives"
        )
    row.details = {f"{name} {count}": values for (name, count), values in rates.items()}
    return row
