"""The longest gap between a worker's answers at 5,000 queries a second: reloads of 100,000 RRsets, a mass flap."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bench
import data
import machine
import servers
from figures import Row
from loading import FILES, NAMES, PROBE
from pacer import Pacer
from servers import Server
from targets_server import targets

NAME, TITLE = "pauses", "longest gap between the answers of one worker at 5,000 queries a second, milliseconds"
RATE = 5000
POOLS, SIZE = 20, 100  # members; as many in 127.1/16 as in 127.2/16, of which one half flaps
LONGEST = 120.0
MUST, AIM = 20, 5


def files(port: int) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        data.many_zones(folder, FILES, NAMES)
        steady, flapping = data.addresses(1, POOLS * SIZE // 2), data.addresses(2, POOLS * SIZE // 2)
        mixed = [one for pair in zip(steady, flapping, strict=True) for one in pair]
        names = "".join(f"web{at}: {{type: POOL, pool: web{at}}}\n" for at in range(POOLS))
        (folder / f"{data.ZONE}.yaml").write_text(f"'': {{type: NS, value: ns1.example.org.}}\n{names}")
        check = f"{{type: http, port: {port}, interval: 5s, timeout: 2s}}"
        pools = data.pools_of(mixed, "web", SIZE, "web")
        (folder / "pools.yaml").write_text(f"checks:\n  web: {check}\npools:\n{pools}")

    return write


@contextlib.contextmanager
def watched(server: Server, seconds: float, found: list[dict[str, Any]]) -> Iterator[None]:
    """A paced client meanwhile. It goes before everything on its CPU, and sleeps between its queries."""
    pacer = Pacer(server.port, RATE, seconds, PROBE, urgent=True)
    time.sleep(1)
    try:
        yield
    finally:
        found.append(pacer.result())


def run(on: bench.Bench) -> Row:
    row = Row(NAME, TITLE)
    found: dict[str, list[dict[str, Any]]] = {}
    took: dict[str, list[float]] = {}
    with targets() as web:
        machine.say("pauses: loading")
        with servers.rrdns(files(web.port), probe=PROBE) as server:
            machine.wait_for(lambda: up(server) == POOLS * SIZE, 120, "all members are up", 1)
            reload_time = 2 * server.started + 5
            for number in range(min(on.rounds, 5)):
                machine.say(f"pauses: round {number + 1}: nothing happens")
                with watched(server, 5, found.setdefault("nothing happens", [])):
                    pass
                machine.say(f"pauses: round {number + 1}: reload, all RRsets changed")
                title = "reload, all 100,000 RRsets changed"
                with watched(server, reload_time, found.setdefault(title, [])):
                    took.setdefault(title, []).append(reload_all(server, number))
                machine.say(f"pauses: round {number + 1}: reload, one file changed")
                title = "reload, one of the 1,000 files changed"
                with watched(server, 6, found.setdefault(title, [])):
                    took.setdefault(title, []).append(change(server, [7], number))
                title = "1,000 of 2,000 members fail at once"
                machine.say(f"pauses: round {number + 1}: {title}")
                with watched(server, 20, found.setdefault(title, [])):
                    web.down_network(2)
                    took.setdefault(title, []).append(
                        machine.wait_for(lambda: up(server) <= POOLS * SIZE // 2, 60, "1,000 members down", 1)
                    )
                title = "... and come back"
                machine.say(f"pauses: round {number + 1}: {title}")
                with watched(server, 25, found.setdefault(title, [])):
                    web.up_network(2)
                    took.setdefault(title, []).append(
                        machine.wait_for(lambda: up(server) == POOLS * SIZE, 200, "1,000 members up", 1)
                    )
    machine.say("")
    report(row, found, took)
    return row


def up(server: Server) -> int:
    pools = server.control.get("/status")["pools"].values()
    return sum(one["state"] == "up" for pool in pools for one in pool["members"].values())


def reload_all(server: Server, turn: int) -> float:
    return change(server, list(range(FILES)), turn)


def change(server: Server, numbers: list[int], turn: int) -> float:
    """Gives all names of these files a new address; seconds until the last one answers it."""
    address = f"192.0.2.{20 + turn + (100 if len(numbers) == 1 else 0)}"
    wanted = bytes(map(int, address.split(".")))
    for number in numbers:
        fresh = server.zones / ".fresh"
        fresh.write_text(data.one_zone(number, NAMES, address))
        fresh.rename(server.zones / f"z{number}.example.net.yaml")
    packets = [data.packet(f"h{NAMES - 1}.z{number}.example.net") for number in (numbers[0], numbers[-1])]
    return machine.wait_for(lambda: all(wanted in server.ask(one, 1) for one in packets), LONGEST, "new answers", 0.05)


def report(row: Row, found: dict[str, list[dict[str, Any]]], took: dict[str, list[float]]) -> None:
    row.table.append(["", "gap: median", "worst", "lost", "client's own worst", "took s"])
    for title, runs in found.items():
        gaps = [one["gap_ms"] for one in runs]
        own = max(one["send_late_worst_ms"] for one in runs)
        lost = sum(one["lost"] for one in runs)
        lasted = f"{statistics.median(took[title]):.1f}" if title in took else ""
        row.table.append([title, f"{statistics.median(gaps):.1f}", f"{max(gaps):.1f}", str(lost), f"{own:.1f}", lasted])
        if title != "nothing happens":
            row.add(title, statistics.median(gaps), "ms", MUST, AIM)
    row.notes.append("members that fail again and again return more slowly (damping), so later rounds take longer")
    row.notes.append("gaps by the kernel's time of each reply, median of the rounds' longest; the client has priority")
    row.details = {"runs": found, "took_s": took}
