"""The bench behind scripts/bench: alternating rounds of dnsperf against each server, medians, ratios of one run.

Server processes are pinned to the first CPU, the load to the second. CPU is user + system time of all of a
server's processes (for rrdns supervisor, control and worker) over the queries that were answered. Each round
asks every server once, in turn, so that a drift of the machine's speed hits all alike.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from live import Web, free_port, serve, wait_for, web_servers

WEIGHTS = (1, 2, 3, 4)
QUERIES = {
    "weighted pool, EDNS": ("www.lb.example.com A", True),
    "weighted pool, no EDNS": ("www.lb.example.com A", False),
    "static A": ("ns1.lb.example.com A", True),
    "NXDOMAIN": ("nothing.lb.example.com A", True),
}
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Contender:
    name: str
    port: int
    pids: list[int]
    figures: dict[str, list[float]] = field(default_factory=dict)
    rates: dict[str, list[float]] = field(default_factory=dict)
    lost: int = 0

    def cpu(self) -> float:
        """Seconds of user and system time so far, of all processes."""
        total = 0
        for pid in self.pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def round(self, title: str, file: Path, edns: bool, seconds: int, cpu: int) -> None:
        before = self.cpu()
        out = subprocess.run(
            ["taskset", "-c", str(cpu), "dnsperf", "-s", "127.0.0.1", "-p", str(self.port), "-d", str(file)]
            + ["-l", str(seconds), "-c", "8", "-q", "200"]
            + (["-e"] if edns else []),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        spent = self.cpu() - before
        pairs = (line.split(":", 1) for line in out.splitlines() if ":" in line)
        told = {title.strip(): value.split()[0] for title, value in pairs if value.split()}
        answered = int(told["Queries completed"])
        self.figures.setdefault(title, []).append(spent / answered * 1e6)
        self.rates.setdefault(title, []).append(float(told["Queries per second"]))
        self.lost += int(told["Queries lost"])


@contextlib.contextmanager
def rrdns(webs: list[Web], cpu: int) -> Iterator[Contender]:
    zone = """
'': {type: NS, value: ns1.lb.example.com.}
ns1: {type: A, value: 127.0.0.1}
www: {type: POOL, pool: web, answers: 1}
"""
    members = "".join(
        f"      w{number}: {{address: {web.address}, weight: {weight}}}\n"
        for number, (web, weight) in enumerate(zip(webs, WEIGHTS, strict=True))
    )
    check = f"checks: {{web: {{type: http, port: {webs[0].port}}}}}\n"
    pools = f"{check}pools:\n  web:\n    check: web\n    members:\n{members}"
    os.sched_setaffinity(0, {cpu})  # inherited by what we start; we do little ourselves
    with serve(zone, pools, "--workers", "1") as server:
        wait_for(server.addresses)
        status = server.status()
        pids = [status["supervisor"]["pid"], status["control"]["pid"], *(one["pid"] for one in status["workers"])]
        yield Contender("rrdns", server.port, pids)


@contextlib.contextmanager
def gdnsd(webs: list[Web], cpu: int) -> Iterator[Contender]:
    with tempfile.TemporaryDirectory(prefix="rrdns-bench-") as text:
        folder = Path(text)
        port = free_port("127.0.0.1")
        for name in ("zones", "run", "state"):
            (folder / name).mkdir()
        pool = ", ".join(
            f"w{number} => [ {web.address}, {weight} ]"
            for number, (web, weight) in enumerate(zip(webs, WEIGHTS, strict=True))
        )
        (folder / "config").write_text(f"""
options => {{ listen => [ 127.0.0.1 ], dns_port => {port}, run_dir => {folder}/run, state_dir => {folder}/state,
  udp_threads => 1, tcp_threads => 1 }}
service_types => {{ web => {{ plugin => http_status, port => {webs[0].port}, interval => 5, timeout => 2 }} }}
plugins => {{ weighted => {{ service_types => web, multi => false, pool => {{ {pool} }} }} }}
""")
        (folder / "zones" / "lb.example.com").write_text(
            "@ 300 SOA ns1 hostmaster 1 3600 600 1209600 60\n@ 300 NS ns1\nns1 300 A 127.0.0.1\n"
            "www 20 DYNA weighted!pool\n"
        )
        program = shutil.which("gdnsd") or "gdnsd"
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(
                ["taskset", "-c", str(cpu), program, "-c", str(folder), "start"], stdout=log, stderr=log
            )
        try:
            time.sleep(2)
            if process.poll() is not None:
                raise SystemExit(f"gdnsd did not start:\n{(folder / 'log').read_text()}")
            yield Contender("gdnsd", port, [process.pid])
        finally:
            process.terminate()
            process.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    server_cpu, load_cpu = cpus[0], cpus[-1]
    with web_servers(len(WEIGHTS)) as webs, gdnsd(webs, server_cpu) as theirs, rrdns(webs, server_cpu) as ours:
        os.sched_setaffinity(0, {load_cpu})
        contenders = [ours, theirs]
        for title, (query, edns) in QUERIES.items():
            file = webs[0].folder / "queries"
            file.write_text(query + "\n")
            for number in range(options.rounds):
                print(f"\r{title}: round {number + 1} of {options.rounds} ", end="", file=sys.stderr, flush=True)
                for contender in contenders if number % 2 else reversed(contenders):
                    contender.round(title, file, edns, options.seconds, load_cpu)
        print(file=sys.stderr)
    report(ours, theirs, options.json)


def report(ours: Contender, theirs: Contender, file: Path | None) -> None:
    rows = {}
    print(f"{'':26}{'rrdns':>14}{'gdnsd':>14}{'ratio':>8}{'rrdns q/s':>12}{'gdnsd q/s':>12}")
    for title in QUERIES:
        mine, other = statistics.median(ours.figures[title]), statistics.median(theirs.figures[title])
        ratio = statistics.median(a / b for a, b in zip(ours.figures[title], theirs.figures[title], strict=True))
        rates = [statistics.median(one.rates[title]) for one in (ours, theirs)]
        rows[title] = {
            "rrdns_us": mine,
            "gdnsd_us": other,
            "ratio": ratio,
            "rrdns_qps": rates[0],
            "gdnsd_qps": rates[1],
        }
        print(f"{title:26}{mine:11.2f} us{other:11.2f} us{ratio:8.2f}{rates[0]:12,.0f}{rates[1]:12,.0f}")
    print("CPU of all the server's processes per answered query, medians of alternating rounds;")
    print(f"queries lost: rrdns {ours.lost}, gdnsd {theirs.lost}")
    if file:
        file.write_text(
            json.dumps({"figures": rows, "lost": {"rrdns": ours.lost, "gdnsd": theirs.lost}}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
