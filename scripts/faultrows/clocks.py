"""R12: the wall clock steps, by libfaketime in front of every process of rrdns; the monotonic clock goes on."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from faultrows import ground
from faultrows.rows import Finding, Run, Skip, row

STEPS = {"+1 h": "+3600", "-1 h": "-3600", "+10 y": "+315360000", "1970": "-1"}


def library() -> str:
    found = sorted(itertools.chain(*(Path(one).glob("**/libfaketime.so.1") for one in ("/usr/lib", "/usr/local/lib"))))
    if not found:
        raise Skip("not installed: libfaketime (Debian: faketime)")
    return str(found[0])


@row("R12", "the clock jumps: +1 h, -1 h, +10 years, 1970", "0 lost, nothing withdrawn, no burst of checks > 2x")
def clock_steps(run: Run) -> Finding:
    finding, path = Finding(), library()
    hold = min(4.0, run.seconds / 5)  # seconds at each
    with ground.hosts(3) as behind:
        members = [f"web{at + 1}: {host.address}" for at, host in enumerate(behind)]
        with ground.served(members, behind[0].port, start=False) as server:
            clock = server.folder / "clock"
            clock.write_text("+0")
            faked = {"LD_PRELOAD": path, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
                     "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}  # fmt: skip
            with ground.environment(**faked):
                server.start()
            ground.settled(server)
            load = ground.watch(server, hold * (len(STEPS) + 2), run.rate, allow=[host.address for host in behind])
            start = time.monotonic()
            time.sleep(hold)
            seen = 0
            for step in STEPS.values():
                offset = step if step != "-1" else f"-{int(time.time()) - 1000}"
                clock.write_text(offset)
                time.sleep(hold)
                seen += abs(ground.status(server)["time"] - time.time() - float(offset)) < 60
            clock.write_text("+0")
            figures = load.result()
            took = time.monotonic() - start
            finding.all_of("jumps that rrdns saw", seen, len(STEPS))
            ground.count(finding, figures)
            finding.at_most("members withdrawn", len(ground.withdrawals(server)), 0)
            probes = sorted(at - start for host in behind for at in host.probes if at >= start)
            most = max(sum(at <= one < at + 2 for one in probes) for at in probes)
            finding.at_most("checks in any 2 s", most, 2 * 2 * len(behind) / ground.INTERVAL)
            finding.at_least("checks a second", len(probes) / took, 0.5 * len(behind) / ground.INTERVAL, timing=True)
            saved = ground.status(server)["store"]["state"]
            finding.at_most("store failing", int(saved != "ok"), 0)
            finding.at_most("tracebacks in the log", ground.tracebacks(server), 0)
    return finding
