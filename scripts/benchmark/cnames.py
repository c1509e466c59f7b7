"""100,000 CNAMEs onto one pool whose members flap, one a second, beside one CNAME onto the same: CPU, no queries."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import bench
import data
import machine
import servers
from figures import Row
from servers import Server
from targets_server import targets

NAME, TITLE = "cnames", "100,000 CNAMEs onto one pool, a member flapping each second: CPU beyond one CNAME's"
MANY = 100_000
MEMBERS = 60  # each flaps once in two minutes at most, so that damping does not end it
WINDOW = 30  # seconds, at least


def files(port: int, count: int) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        cnames = "".join(f"c{at}: {{type: CNAME, value: www.lb.example.com.}}\n" for at in range(count))
        (folder / f"{data.ZONE}.yaml").write_text(
            "'': {type: NS, value: ns1.lb.example.com.}\nns1: {type: A, value: 127.0.0.1}\n"
            f"www: {{type: POOL, pool: web0, answers: 1}}\n{cnames}"
        )
        check = f"{{type: http, port: {port}, interval: 1s, timeout: 900ms, fast: 500ms, fall: 1, rise: 1, ok: 1}}"
        pool = data.pools_of(data.addresses(1, MEMBERS), "web", MEMBERS, "web")
        (folder / "pools.yaml").write_text(f"checks:\n  web: {check}\npools:\n{pool}")

    return write


def cpu_of(server: Server, parts: dict[str, int]) -> dict[str, float]:
    return {what: machine.cpu_seconds([pid]) for what, pid in parts.items()}


def run(on: bench.Bench) -> Row:
    row = Row(NAME, TITLE)
    members = data.addresses(1, MEMBERS)
    window = max(WINDOW, int(on.seconds * on.rounds))
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(targets())
        machine.say("cnames: loading")
        running = {count: stack.enter_context(servers.rrdns(files(web.port, count), name=f"{count}"))
                   for count in (1, MANY)}  # fmt: skip
        parts = {count: {what: one.pid(what) for what in ("control", "worker")} for count, one in running.items()}
        time.sleep(5)
        before = {count: cpu_of(one, parts[count]) for count, one in running.items()}
        last = ""
        start = time.monotonic()
        for second in range(window):
            machine.say(f"cnames: second {second + 1} of {window}")
            if last:
                web.up(last)
            last = members[second % MEMBERS]
            web.down(last)
            time.sleep(max(0, start + second + 1 - time.monotonic()))
        took = time.monotonic() - start
        after = {count: cpu_of(one, parts[count]) for count, one in running.items()}
        events = {
            count: sum(one["name"] != "" for one in server.control.get("/events", limit=1000, since=took + 1)["events"])
            for count, server in running.items()
        }
    machine.say("")
    spent = {count: {what: after[count][what] - before[count][what] for what in after[count]} for count in after}
    share = {count: sum(values.values()) / took * 100 for count, values in spent.items()}
    row.table = [["CNAMEs", "control, % of a core", "worker", "events"]]
    for count, values in spent.items():
        cells = [f"{values[what] / took * 100:.2f}" for what in ("control", "worker")]
        row.table.append([f"{count:,}", *cells, str(events[count])])
    row.add("CPU beyond one CNAME's, of what that takes", (share[MANY] / share[1] - 1) * 100, "%", 5, 0)
    row.add("CPU beyond one CNAME's, of a core", share[MANY] - share[1], "% of a core")
    row.notes.append(f"both servers in the same {took:.0f} s, the same members; the clock's grain is 10 ms")
    row.details = {"seconds": took, "cpu_s": spent, "events": events}
    return row
