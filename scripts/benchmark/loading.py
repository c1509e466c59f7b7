"""Loading 100,000 RRsets in 1,000 files: time to serving, memory, and the time until one changed file is answered."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import bench
import data
import machine
import servers
from figures import Row
from servers import Server

NAME, TITLE = "loading", "100,000 RRsets in 1,000 files: start, memory, one file changed"
FILES, NAMES = 1000, 100
QUIET = 0.3  # seconds a directory must be at rest before it is read (rrdns.control.watcher)
PROBE = "h0.z0.example.net"


def many(folder: Path) -> None:
    data.many_zones(folder, FILES, NAMES)


def run(on: bench.Bench) -> Row:
    row = Row(NAME, TITLE)
    starts, control, worker, changes, cpu = [], [], [], [], []
    for number in range(min(on.rounds, 3)):
        machine.say(f"loading: start {number + 1}")
        with servers.rrdns(many, probe=PROBE) as server:
            starts.append(server.started)
            time.sleep(1)
            control.append(machine.resident(server.pid("control")))
            worker.append(machine.resident(server.pid("worker")))
            for turn in range(3):
                machine.say(f"loading: start {number + 1}, change {turn + 1}")
                before = server.cpu()
                changes.append(change_one(server, turn))
                cpu.append(server.cpu() - before)
            control[-1] = max(control[-1], machine.resident(server.pid("control")))
            worker[-1] = max(worker[-1], machine.resident(server.pid("worker")))
    machine.say("")
    middle = statistics.median
    row.add("start to first answer", middle(starts), "s", 15, 5)
    row.add("control, resident after it and three changes", max(control), "MiB", 400)
    row.add("one worker, resident likewise", max(worker), "MiB", 150)
    row.add("one file changed to its answer, after the quiet time", max(0, middle(changes) - QUIET), "s", 1, 0.2)
    row.notes.append(f"quiet time: {QUIET} s; CPU of all processes for one changed file: {middle(cpu):.2f} s (median)")
    row.details = {"starts_s": starts, "control_mib": control, "worker_mib": worker, "changes_s": changes, "cpu_s": cpu}
    return row


def change_one(server: Server, turn: int) -> float:
    """Seconds from the renaming of a new file into place to its first answer."""
    address = f"192.0.2.{100 + turn}"
    fresh = server.zones / ".fresh"
    fresh.write_text(data.one_zone(5, NAMES, address))
    wanted = bytes(map(int, address.split(".")))
    packet = data.packet("h3.z5.example.net")
    fresh.rename(server.zones / "z5.example.net.yaml")
    took = machine.wait_for(lambda: wanted in server.ask(packet), 120, "the changed answer", 0.001)
    time.sleep(2)  # the sweep and whatever follows are over
    return took
