"""CPU time per query as a pool grows from 2 to 1,000 members, and as the data set grows from 10 to 100,000 names."""

from __future__ import annotations

import contextlib
import statistics
from pathlib import Path

import bench
import data
import load
import machine
import servers
from figures import Row
from servers import Server

NAME, TITLE = "growth", "CPU microseconds per query as pools and data sets grow (all names asked, in no order)"
POOLS = (2, 10, 100, 1000)
SETS = {10: (1, 10), 1000: (10, 100), 100_000: (1000, 100)}
MUST = 1.10
LEARNING = 40.0  # seconds of all the largest set's names, before what is measured: a name is remembered in time


def pools(folder: Path) -> None:
    names = "".join(f"p{size}: {{type: POOL, pool: p{size}0, answers: 1}}\n" for size in POOLS)
    (folder / f"{data.ZONE}.yaml").write_text("'': {type: NS, value: ns1.lb.example.com.}\n"
                                              "ns1: {type: A, value: 127.0.0.1}\n" + names)  # fmt: skip
    lines = "".join(_unchecked(size) for size in POOLS)
    (folder / "pools.yaml").write_text(f"pools:\n{lines}")


def _unchecked(size: int) -> str:
    members = "".join(f"      m{at}: {one}\n" for at, one in enumerate(data.addresses(1, size)))
    return f"  p{size}0:\n    members:\n{members}"


def run(on: bench.Bench) -> Row:
    row = Row(NAME, TITLE)
    cpus = (on.server_cpu,)
    with servers.rrdns(pools, cpus=cpus, probe=f"p2.{data.ZONE}") as server:
        files = {}
        for size in POOLS:
            files[size] = on.folder / f"pool-{size}"
            files[size].write_text(f"p{size}.{data.ZONE} A\n")
        found: dict[int, list[float]] = {size: [] for size in POOLS}
        for number in range(on.rounds):
            for size in POOLS if number % 2 else reversed(POOLS):
                machine.say(f"pool of {size:,}: round {number + 1} of {on.rounds}")
                found[size].append(load.run(server, files[size], on.seconds, on.load_cpu, "-e").cpu_us)
    report(row, "pool", "members", found)
    with contextlib.ExitStack() as stack:
        running: dict[int, Server] = {}
        peers: dict[int, Server] = {}
        for size, (count, names) in SETS.items():
            machine.say(f"loading {size:,} names")

            def write(folder: Path, count: int = count, names: int = names) -> None:
                data.many_zones(folder, count, names)

            running[size] = stack.enter_context(servers.rrdns(write, cpus=cpus, probe="h0.z0.example.net"))
            zones = data.many_master_files(count, names)
            peers[size] = stack.enter_context(servers.gdnsd(machine.free_port(), cpus, zones=zones))
            files[size] = on.folder / f"set-{size}"
            files[size].write_text("".join(f"{one} A\n" for one in data.zone_names(count, names)))
        one_name = on.folder / "one-name"
        one_name.write_text("h0.z0.example.net A\n")
        largest = max(SETS)
        machine.say(f"asking all {largest:,} names")
        learning = load.run(running[largest], files[largest], LEARNING, on.load_cpu, "-e")
        asked = learning.answered / largest
        row.notes.append(
            f"{largest:,} names: {learning.cpu_us:.2f} us a query in the first {LEARNING:g} s, in which each was asked "
            f"{asked:.0f} times; the rounds are those after it, for all sizes"
        )
        found = {size: [] for size in SETS}
        single: dict[int, list[float]] = {size: [] for size in SETS}
        beside: dict[int, list[float]] = {size: [] for size in SETS}
        for number in range(on.rounds):
            for size in SETS if number % 2 else reversed(SETS):
                machine.say(f"data set of {size:,} names: round {number + 1} of {on.rounds}")
                found[size].append(load.run(running[size], files[size], on.seconds, on.load_cpu, "-e").cpu_us)
                single[size].append(load.run(running[size], one_name, on.seconds, on.load_cpu, "-e").cpu_us)
                beside[size].append(load.run(peers[size], files[size], on.seconds, on.load_cpu, "-e").cpu_us)
    machine.say("")
    report(row, "data set, all its names asked", "names", found)
    report(row, "data set, one name asked", "names", single)
    report(row, "gdnsd's data set, all its names asked", "names", beside, None)
    row.notes.append("each ratio is the median over the rounds of the largest to the smallest size")
    return row


def report(row: Row, what: str, unit: str, found: dict[int, list[float]], must: float | None = MUST) -> None:
    sizes = sorted(found)
    row.table.append([what, *(f"{size:,} {unit}" for size in sizes)])
    row.table.append(["  us", *(f"{statistics.median(found[size]):.2f}" for size in sizes)])
    ratio = bench.median_ratio(found[sizes[-1]], found[sizes[0]])
    row.add(f"{what}: {sizes[0]:,} -> {sizes[-1]:,} {unit}", ratio, "x", must)
    row.details[what] = found
