"""R28: what the processes may do after a start as root with --user, as the kernel tells it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import live
import rich

import rrdns
from faultrows import ground
from faultrows.rows import Finding, Run, Skip, row
from rrdns.board import CONTROL, SUPERVISOR, Board
from rrdns.supervise import privileges as accounts

USER = "nobody"
POOLS = "pools: {web: {members: [192.0.2.1]}}\n"


@row(
    "R28",
    "privileges after a start as root",
    "no capability, NoNewPrivs, not uid 0, filters in force; a worker cannot open a file",
    Knot="its unit does so (read)",
    NSD="its unit does so (read)",
)
def privileges(run: Run) -> Finding:
    ground.need(root=True)
    account = accounts.choose(USER)
    if account is None:
        raise Skip(f"no user {USER}")
    finding = Finding()
    with python_for(account), ground.serve(ground.ZONE, POOLS, start=False) as server:
        server.folder.chmod(0o755)
        own = server.folder / "own"  # state, socket and log in a folder of the user's
        own.mkdir()
        os.chown(own, account.uid, -1)
        moved = live.Server(own, server.zones, ("--user", USER, "--workers", "2"))
        try:
            moved.start()
            look(finding, moved)
        finally:
            if hasattr(moved, "process"):
                moved.end()
            live.end_leftovers(moved.state)
    return finding


@contextlib.contextmanager
def python_for(account: accounts.Account) -> Iterator[None]:
    """For processes started meanwhile: a Python and packages the account may read; ours may lie in root's home."""
    packages = [Path(rrdns.__file__).parents[1], Path(rich.__file__).parents[1]]
    if any(accounts.unreadable(one, account) for one in packages):
        raise Skip(f"{USER} may not read {packages[0]}")
    for one in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin")):
        if (
            one
            and accounts.unreadable(Path(one).resolve(), account) is None
            and version(one) == version(sys.executable)
        ):
            path = os.pathsep.join(map(str, packages))
            with mock.patch.object(sys, "executable", one), ground.environment(PYTHONPATH=path):
                yield
            return
    raise Skip(f"{USER} can run no Python {sys.version_info[0]}.{sys.version_info[1]} here")


def version(python: str) -> str:
    code = "import sys; print(sys.version_info[:2])"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=30).stdout


def look(finding: Finding, server: live.Server) -> None:
    one = Board(server.state / "board")
    told = {row: of(one.get(row, "pid")) for row in range(one.rows)}
    finding.at_most("processes of uid 0", sum(one["Uid"].split()[0] == "0" for one in told.values()), 0)
    strong = [row for row, one in told.items() if int(one["CapEff"], 16)]
    # the supervisor keeps the right to low ports: it may have to open them again
    finding.at_most("with capabilities, the supervisor aside", len([row for row in strong if row != SUPERVISOR]), 0)
    net_bind = 1 << 10
    finding.at_most("the supervisor's, beyond low ports", int(told[SUPERVISOR]["CapEff"], 16) & ~net_bind, 0)
    finding.all_of("NoNewPrivs", sum(one["NoNewPrivs"] == "1" for one in told.values()), len(told))
    workers = {row: one for row, one in told.items() if row not in (SUPERVISOR, CONTROL)}
    finding.all_of(
        "workers with a seccomp filter", sum(one["Seccomp"] == "2" for one in workers.values()), len(workers)
    )
    confined = sum(one.get(row, "confined") for row in workers)
    finding.all_of("workers that say they are confined", confined, len(workers))


def of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}
