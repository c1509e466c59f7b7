"""The state folder: R10 its file damaged in eight ways before a start, R11 the disk full while serving."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.message
import dns.query

from faultrows import ground
from faultrows.rows import Finding, Run, row

TEN_YEARS = 10 * 365 * 86400.0
PRECIOUS = "not yours"


def _cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _sql(*statements: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        with contextlib.closing(sqlite3.connect(file)) as base:
            for one in statements:
                base.execute(one)
            base.commit()

    return change


def _no_permission(file: Path) -> None:
    """Root may read all files, but no directory as a file."""
    if os.geteuid():
        file.chmod(0)
    else:
        file.unlink()
        file.mkdir()


def _symlink(file: Path) -> None:
    target = file.parent.parent / "precious"
    target.write_text(PRECIOUS)
    file.unlink()
    file.symlink_to(target)


def _future(file: Path) -> None:
    """As from before a reboot, by a clock that was ten years ahead."""
    _sql(f"UPDATE health SET wall = wall + {TEN_YEARS}, boot = 'another'")(file)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: os.truncate(file, 0),
    "cut": _cut,
    "random bytes": lambda file: file.write_bytes(ground.chance().randbytes(40_000)),
    "another version": _sql("PRAGMA user_version = 99"),
    "future time": _future,
    "1 GB": lambda file: file.write_bytes(b"\xff" * 4096) and os.truncate(file, 1 << 30),
    "no permission": _no_permission,
    "symlink": _symlink,
}


@row(
    "R10",
    "state file empty, cut, random, of another version, from the future, 1 GB, unreadable, a symlink",
    "starts 8/8, serves <= 2 s, a damaged record is never trusted, the symlink is not followed",
    NSD="CVE-2020-28935: followed one",
)
def damaged_state(run: Run) -> Finding:
    """The kept file says that web3 is down; it is up, so an answer without it is an answer from that record."""
    finding, started, trusted, slowest = Finding(), 0, [], 0.0
    with ground.site() as (server, behind):
        behind[2].refuse()
        ground.wait_for(lambda: ground.members(server)["web3"] == "down", 60, "web3 down")
        server.process.terminate()
        server.process.wait(15)
        kept = server.folder / "kept"
        shutil.copytree(server.state, kept)
        behind[2].accept()
        for name, damage in DAMAGES.items():
            shutil.rmtree(server.state)
            shutil.copytree(kept, server.state)
            damage(server.state / "state.db")
            asking = ground.thread(first_answer, server)
            server.start()
            started += 1
            took, first = asking.result(60)
            slowest = max(slowest, took)
            if first != {host.address for host in behind}:
                trusted.append(f"{name}: {sorted(first)}")
            server.process.terminate()
            server.process.wait(15)
        followed = (server.folder / "precious").read_text() != PRECIOUS
        finding.at_most("tracebacks in the log", ground.tracebacks(server), 0)
    finding.all_of("starts", started, len(DAMAGES))
    finding.all_of("not trusted", len(DAMAGES) - len(trusted), len(DAMAGES))
    finding.at_most("symlinks followed", int(followed), 0)
    finding.at_most("slowest until it serves", slowest, 2.0, "s", timing=True)
    finding.notes += trusted
    return finding


def first_answer(server: ground.Server) -> tuple[float, set[str]]:
    """Asks until one answers; after how many seconds, and what."""
    start = time.monotonic()
    query = dns.message.make_query(ground.NAME, "A")
    found: list[dns.message.Message] = []
    ground.wait_for(lambda: found.append(dns.query.udp(query, "127.0.0.1", 0.1, server.port)) is None, 60, "an answer")
    return time.monotonic() - start, {str(one) for rrset in found[0].answer for one in rrset}


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 1 MiB at `folder`."""
    ground.need("mount", root=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        raise ground.Skip(f"no tmpfs can be mounted: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@row("R11", "the disk of the state folder is full for a while", "0 lost, the kept file stays whole, one log line a "
     "minute, recovers by itself")  # fmt: skip
def full_disk(run: Run) -> Finding:
    finding = Finding()
    with contextlib.ExitStack() as stack:
        behind = stack.enter_context(ground.hosts(3))
        members = [f"web{at + 1}: {host.address}" for at, host in enumerate(behind)]
        server = stack.enter_context(ground.served(members, behind[0].port, start=False))
        stack.enter_context(small_disk(server.state))
        stack.callback(server.end)
        server.start()
        ground.settled(server)
        load = ground.watch(server, 14, run.rate, allow=[host.address for host in behind])
        filler = server.state / "filler"
        fill(filler)
        behind[2].refuse()
        ground.wait_for(lambda: ground.members(server)["web3"] == "down", 60, "web3 down though nothing can be saved")
        ground.wait_for(lambda: ground.status(server)["store"]["state"] != "ok", 60, "it says that nothing is saved")
        time.sleep(5)
        whole = intact(server.state / "state.db", server.folder)
        complaints = [line for line in server.log.splitlines() if "saved" in line.lower() or "disk" in line.lower()]
        filler.unlink()
        took = ground.wait_for(lambda: ground.status(server)["store"]["state"] == "ok", 60, "saves again")
        ground.count(finding, load.result())
        finding.at_most("kept file damaged", int(not whole), 0)
        finding.at_most("log lines about it", len(complaints), 2)
        finding.at_most("saves again after", took, 10, "s", timing=True)
        finding.at_least("down kept after all", kept_down(server.state / "state.db", server.folder), 1)
        finding.at_most("tracebacks in the log", ground.tracebacks(server), 0)
        finding.details["log"] = complaints
    return finding


def fill(file: Path) -> None:
    size = 65536
    with open(file, "wb", buffering=0) as out:
        while size:
            try:
                out.write(b"x" * size)
            except OSError:
                size //= 2


def _copy(file: Path, folder: Path) -> Path:
    """Of the file and its log, to look at without a lock in the full folder."""
    for one in file.parent.glob(f"{file.name}*"):
        shutil.copyfile(one, folder / f"copy-{one.name}")
    return folder / f"copy-{file.name}"


def intact(file: Path, folder: Path) -> bool:
    with contextlib.closing(sqlite3.connect(_copy(file, folder))) as base:
        return bool(base.execute("PRAGMA integrity_check").fetchone()[0] == "ok")


def kept_down(file: Path, folder: Path) -> int:
    with contextlib.closing(sqlite3.connect(_copy(file, folder))) as base:
        return int(base.execute("SELECT count(*) FROM health WHERE state = 'down'").fetchone()[0])
