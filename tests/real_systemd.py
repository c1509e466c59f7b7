"""A machine with a real systemd as pid 1, for tests of the unit: namespaces of this kernel, see systemd_guest.py.

Its disk is a throw-away copy of this one, its network is its own loopback, its processes see no others. Needs root.
All of it ends with the `unshare` that holds it, whatever happens to the test.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from live import wait_for
from needs import needs

import rrdns

SYSTEMD = Path("/lib/systemd/systemd")
PACKAGING = Path(__file__).parent.parent / "packaging"
CONTROL = "/run/rrdns/control.sock"
UNIT_CGROUP = "/sys/fs/cgroup/system.slice/rrdns.service/cgroup.procs"


@dataclass
class Machine:
    """`init`: the pid of its systemd, as this machine counts."""

    init: int
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def command(self, *words: str) -> list[str]:
        """Runs as root inside."""
        return ["nsenter", f"--target={self.init}", "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", *words]

    def run(self, *words: str, check: bool = True, timeout: float = 90) -> str:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=timeout)
        said = done.stdout + done.stderr
        assert not check or not done.returncode, f"{words}: {done.returncode} {said}\n{self.journal()}"
        return said

    def code(self, *words: str, timeout: float = 90) -> int:
        return subprocess.run(self.command(*words), capture_output=True, timeout=timeout).returncode

    def rrdns(self, *words: str, **more: float) -> str:
        return self.run("/opt/rrdns/bin/rrdns", *words, "--control", CONTROL, **more)  # type: ignore[arg-type]

    def here(self, *words: str) -> list[str]:
        """Runs with its network, but with this machine's disk; ends with it, and is seen there."""
        return ["nsenter", f"--target={self.init}", "-n", "-p", *words]

    def background(self, *words: str) -> None:
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.started.append(subprocess.Popen(self.here(*words), **quiet))  # type: ignore[call-overload]

    def write(self, path: str, text: str) -> None:
        subprocess.run(
            self.command("sh", "-c", f"mkdir -p {Path(path).parent}; cat >{path}"), input=text.encode(), check=True
        )

    def unit(self) -> dict[str, str]:
        """What systemd knows of it."""
        said = self.run("systemctl", "show", "rrdns")
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)

    def pids(self) -> list[int]:
        """The unit's processes, as the machine counts them."""
        return [int(pid) for pid in self.run("sh", "-c", f"cat {UNIT_CGROUP} 2>/dev/null || true").split()]

    def process(self, pid: int) -> dict[str, str]:
        said = self.run("cat", f"/proc/{pid}/status")
        return {key: value.strip() for key, _, value in (line.partition(":") for line in said.splitlines())}

    def journal(self) -> str:
        words = self.command("journalctl", "--no-pager", "--lines=2000")
        return subprocess.run(words, capture_output=True, text=True, timeout=60).stdout


def _hierarchy() -> Path | None:
    """Where this machine has its cgroups of version 2."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        if kind == "cgroup2" and "rw" in options.split(","):
            return Path(where)
    return None


def needs_systemd() -> Path:
    """Skips where there can be no such machine; the folder of its cgroups."""
    needs("unshare", "nsenter", "systemctl", "ip")
    if os.geteuid() != 0:
        pytest.skip("a systemd of the test's own needs root")
    if not SYSTEMD.exists():
        pytest.skip(f"no {SYSTEMD} (Debian: systemd)")
    if "overlay" not in Path("/proc/filesystems").read_text():
        pytest.skip("this kernel has no overlayfs")
    hierarchy = _hierarchy()
    if hierarchy is None:
        pytest.skip("no writable cgroup v2 hierarchy here")
    return hierarchy


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    """Booted: systemd says that it is done."""
    cgroup = needs_systemd() / f"rrdns-test-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="rrdns-systemd-") as folder, contextlib.ExitStack() as stack:
        work, log = Path(folder, "work"), Path(folder, "log")
        work.mkdir()
        try:
            cgroup.mkdir()
        except OSError as error:
            pytest.skip(f"no cgroup can be made here: {error}")
        stack.callback(_remove, cgroup)
        with log.open("wb") as out:
            holder = subprocess.Popen(
                [
                    *("unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"),
                    *(sys.executable, str(Path(__file__).with_name("systemd_guest.py")), str(work), str(cgroup)),
                    *(sys.base_prefix, sysconfig.get_path("purelib"), str(Path(rrdns.__file__).parent)),
                    str(PACKAGING),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        stack.callback(_end, holder)
        one = Machine(_init(holder, log))
        stack.callback(_end_all, one.started)
        try:
            wait_for(lambda: one.code("systemctl", "is-active", "machine.target") == 0, 60, "systemd is up")
            yield one
        except BaseException:
            print(log.read_text(), one.journal(), file=sys.stderr)
            raise


def _init(holder: subprocess.Popen[bytes], log: Path) -> int:
    """The pid of the first process inside, once it has become systemd."""
    found: list[int] = []

    def there() -> bool:
        if holder.poll() is not None:
            pytest.skip(f"no such machine can be made here: {log.read_text().strip() or holder.returncode}")
        children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
        found[:] = [int(one) for one in children if Path(f"/proc/{one}/comm").read_text().strip() == "systemd"]
        return bool(found)

    wait_for(there, 60, "systemd begins")
    return found[0]


def _end(process: subprocess.Popen[bytes]) -> None:
    """With `unshare` the first process inside dies, and with that one all the others."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait(30)


def _end_all(processes: list[subprocess.Popen[bytes]]) -> None:
    for one in processes:
        _end(one)


def _remove(cgroup: Path) -> None:
    def gone() -> bool:
        for folder in [*sorted((one for one in cgroup.rglob("*") if one.is_dir()), reverse=True), cgroup]:
            folder.rmdir()
        return True

    wait_for(gone, 30, f"{cgroup} is empty")
