"""What every row gets: how often, how long, on which CPUs, and a folder."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import machine
from servers import Server


@dataclass(frozen=True)
class Bench:
    rounds: int
    seconds: float
    server_cpu: int
    load_cpu: int
    folder: Path

    def alternating(self, title: str, servers: Sequence[Server]) -> Iterator[tuple[int, Server]]:
        """Each server once a round, forwards and backwards in turn, so that a drift of the machine hits all alike."""
        for number in range(self.rounds):
            for server in servers if number % 2 else reversed(servers):
                machine.say(f"{title}: round {number + 1} of {self.rounds}, {server.name}")
                yield number, server


def make(rounds: int, seconds: float) -> Bench:
    cpus = sorted(os.sched_getaffinity(0))
    return Bench(rounds, seconds, cpus[0], cpus[-1], Path(tempfile.mkdtemp(prefix="rrdns-bench-")))


def median_ratio(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
