"""The machine: CPU time and memory of processes, pinning, programs that are surely ended. Linux only."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
SBIN = "/usr/sbin:/sbin"


def find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SBIN}")


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time so far. A process that ended in between is an error: its time would be missing."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # gone since the listing
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found = [pid]
    for one in found:
        found.extend(parents.get(one, ()))
    return found


def resident(pid: int) -> float:
    """Resident memory in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def free_port(address: str = "127.0.0.1") -> int:
    """A port that is free for TCP and UDP."""
    for _ in range(50):
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind((address, 0))
            port: int = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind((address, port))
                return port
    raise SystemExit("bench: no free port")


def on_cpus(cpus: Iterable[int], words: Iterable[str]) -> list[str]:
    return ["taskset", "-c", ",".join(map(str, cpus)), *words]


@contextlib.contextmanager
def program(words: list[str], log: Path, cpus: Iterable[int] = (), **more: object) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs while the block does. taskset becomes it, so the pid is the program's."""
    with open(log, "ab") as file:
        words = on_cpus(cpus, words) if cpus else words
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, **more)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def wait_for(condition: Callable[[], object], seconds: float, what: str, pause: float = 0.02) -> float:
    """Waits until the condition holds; says how long it took."""
    start = time.monotonic()
    while True:
        with contextlib.suppress(OSError):
            if condition():
                return time.monotonic() - start
        if time.monotonic() - start > seconds:
            raise SystemExit(f"bench: not within {seconds:g} s: {what}")
        time.sleep(pause)


def say(text: str) -> None:
    """Progress, on one line of the terminal."""
    if not text and not sys.stderr.isatty():
        return
    clear = "\r\033[K" if sys.stderr.isatty() else ""
    print(f"{clear}{text}", end="" if clear else "\n", file=sys.stderr, flush=True)


def describe() -> dict[str, object]:
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown")  # fmt: skip
    return {
        "cpu": model,
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": os.uname().release,
        "python": sys.version.split()[0],
        "load_average_before": os.getloadavg()[0],
        "time": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
    }


def yields(pid: int, by: int = 10) -> None:
    """Makes a process give way to the servers. It leads a session of its own: where the kernel shares the CPU out by
    sessions first (`sched_autogroup_enabled`, as on most machines), being nice counts only within one (sched(7))."""
    with contextlib.suppress(OSError):  # it has ended, or this kernel has no such groups
        os.setpriority(os.PRIO_PROCESS, pid, by)
        Path(f"/proc/{pid}/autogroup").write_text(str(by))
