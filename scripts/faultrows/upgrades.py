"""The second half of R7: the server goes on as the installed version while dnsperf asks."""

from __future__ import annotations

import threading
import time

import machine

from faultrows import ground, load, others
from faultrows.rows import Finding, Run

RATE, LASTS = 20_000, 15


def upgraded(run: Run, finding: Finding) -> None:
    """`rrdns upgrade` under RATE; beside it, the same client for wrong answers and gaps as everywhere."""
    with ground.site() as (server, behind):
        old, told = ground.pids(server), dict[str, float]()
        file = load.questions(server.folder, ["www.lb.example.com"])

        def ask() -> None:
            told.update(load.dnsperf(server.port, file, LASTS, "-q", "1000", "-Q", str(RATE)))

        heavy = threading.Thread(target=ask)
        if machine.find("dnsperf"):
            heavy.start()
        watched = ground.watch(server, LASTS - 1, run.rate, allow=[host.address for host in behind])
        time.sleep(2)
        done = server.run("upgrade", "--json", check=False, timeout=180)
        figures = watched.result()
        if heavy.ident:
            heavy.join()
        finding.at_most("upgrade: exit code", done.returncode, 0)
        ground.count(finding, figures, 0, 50, "upgrade")
        if told:
            finding.at_most(f"upgrade: lost of {told['sent']:,.0f}", told["lost"], 0, timing=True)
            finding.at_most("upgrade: lost", told["lost"] / told["sent"] * 100, 1, "%")
        left = [pid for pid in old if others.lives(pid)]
        finding.all_of("upgrade: the old supervisor goes on, alone", int(left == [server.process.pid]), 1)
        finding.at_most("upgrade: members withdrawn", len(ground.withdrawals(server)), 0)
