"""gdnsd in the same test (`--peers`): the same names over the same hosts, checked by itself. Never a reason to fail."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import machine
import servers
from pacer import pace

from faultrows import ground
from faultrows.rows import Finding, Run
from rrdns.board import born


@dataclass
class Peer:
    """A gdnsd that runs. `pid` changes with `again`."""

    port: int
    pid: int
    folder: Path
    hosts: list[ground.Host]
    _words: list[str]
    _successor: subprocess.Popen[bytes] | None = None

    def watch(self, seconds: float, rate: float = 500):  # type: ignore[no-untyped-def]
        return pace(self.port, rate, seconds, ground.NAME)

    def again(self) -> None:
        """Started anew as soon as the old one is gone, as by a supervisor that never sleeps."""
        end = time.monotonic() + 5
        while born(self.pid) and time.monotonic() < end:
            time.sleep(0.001)
        with open(self.folder / "log", "ab") as log:
            self._successor = subprocess.Popen(self._words, cwd=self.folder, stdout=log, stderr=log)
        self.pid = self._successor.pid

    def end(self) -> None:
        if self._successor is not None:
            machine.end(self._successor)


@contextlib.contextmanager
def gdnsd() -> Iterator[Peer]:
    with ground.hosts(4) as behind, servers.gdnsd(behind[0].port, threads=2) as server:
        pid = server.pids[0]
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
        peer = Peer(server.port, pid, server.folder, behind, words)
        try:
            yield peer
        finally:
            peer.end()


def compare(run: Run, finding: Finding, how: Callable[[Peer], str]) -> None:
    """Adds what gdnsd did, where that is wanted and it is there."""
    if not run.peers or machine.find("gdnsd") is None:
        return
    try:
        with gdnsd() as peer:
            finding.others["gdnsd"] = how(peer)
    except (Exception, SystemExit) as error:
        finding.others["gdnsd"] = f"not measured: {str(error)[:100]}"


def told(figures: dict[str, float]) -> str:
    lost = figures["lost"] + figures["late"] + figures["wrong"]
    return f"{lost} of {figures['sent']} lost, gap {figures['gap_ms']} ms"


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
