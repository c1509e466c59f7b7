"""dnsperf against one server, pinned, and what the server spent meanwhile."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import machine
from servers import Server


@dataclass(frozen=True, slots=True)
class Run:
    answered: int
    lost: int
    rate: float
    cpu_us: float
    """CPU microseconds of all the server's processes per answered query."""


def start(port: int, file: Path, seconds: float, cpu: int, *more: str) -> subprocess.Popen[str]:
    words = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(file), "-l", str(seconds), "-t", "2", *more]
    if "-c" not in more:
        words += ["-c", "8", "-q", "200"]
    return subprocess.Popen(
        machine.on_cpus([cpu], words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # ends by itself


def read(process: subprocess.Popen[str], limit: float) -> tuple[int, int, float]:
    """(answered, lost, answers a second)"""
    try:
        out, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
    pairs = (line.split(":", 1) for line in out.splitlines() if ":" in line)
    told = {title.strip(): value.split()[0] for title, value in pairs if value.split()}
    try:
        return int(told["Queries completed"]), int(told["Queries lost"]), float(told["Queries per second"])
    except KeyError:
        raise SystemExit(f"bench: dnsperf: {errors.strip()[-500:] or out[-500:]}") from None


def run(server: Server, file: Path, seconds: float, cpu: int, *more: str) -> Run:
    before = server.cpu()
    answered, lost, rate = read(start(server.port, file, seconds, cpu, *more), seconds + 30)
    spent = server.cpu() - before
    return Run(answered, lost, rate, spent / max(answered, 1) * 1e6)
