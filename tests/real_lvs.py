"""A real LVS director on a machine whose kernel has no IPVS: user-mode-linux, with this machine's disk as its root.

Boot to the first table takes some four seconds of a core; `lvs_guest.py` is what runs inside. The guest has no network
to the outside: its tables come out as files in a shared folder, a twentieth of a second after they change.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import live
import pytest
from needs import needs

GUEST = Path(__file__).with_name("lvs_guest.py")
SERVERS = ("10.9.0.11", "10.9.0.12", "10.9.0.13")
VIP = "203.0.113.10:80"


@dataclass
class Director:
    """`proc` is a /proc of the guest's tables; `table` the copy of its /proc/net/ip_vs."""

    folder: Path
    process: subprocess.Popen[bytes] = field(init=False)
    orders: int = 0

    @property
    def shared(self) -> Path:
        return self.folder / "shared"

    @property
    def proc(self) -> Path:
        return self.shared / "proc"

    @property
    def table(self) -> Path:
        return self.proc / "net" / "ip_vs"

    @property
    def log(self) -> str:
        return (self.folder / "console").read_text(errors="replace")[-4000:]

    def start(self) -> None:
        for name in ("proc/net", "orders", "web", "uml"):
            (self.shared / name).mkdir(parents=True)
        python = shutil.which("python3", path="/usr/bin") or sys.executable
        argv = (
            *("linux.uml", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "mem=256M"),
            *(f"uml_dir={self.folder}", "umid=uml", "con=null", "con0=null,fd:1", "quiet", "panic=1"),
            *(f"init={python}", f"shared={self.shared}", "--", str(GUEST)),
        )
        with (self.folder / "console").open("wb") as console:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console, cwd=self.folder, start_new_session=True
            )
        live.wait_for(self._is_up, 120, "user-mode-linux shows its table")

    def _is_up(self) -> bool:
        if self.process.poll() is not None and not (self.shared / "booted").exists():
            lack = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            lack(f"user-mode-linux does not boot here (may processes be traced?):\n{self.log}")
        assert self.process.poll() is None, f"user-mode-linux has ended:\n{self.log}"
        return self.table.exists()

    def run(self, script: str, seconds: float = 60) -> str:
        """What a script says that runs in the guest; AssertionError if it fails there."""
        self.orders += 1
        order = self.shared / "orders" / f"{self.orders:04}.sh"
        beside = order.with_suffix(".new")
        beside.write_text(script)
        beside.rename(order)
        code = order.with_suffix(".code")
        live.wait_for(code.exists, seconds, f"{script!r} in the guest")
        said, errors = (order.with_suffix(one).read_text(errors="replace") for one in (".out", ".err"))
        assert code.read_text() == "0", f"{script}: exit code {code.read_text()}\n{said}\n{errors}\n{self.log}"
        return said

    def web(self, address: str, *, up: bool) -> None:
        """Whether that web server in the guest answers."""
        mark = self.shared / "web" / address
        mark.unlink(missing_ok=True) if up else mark.touch()

    def end(self) -> None:
        (self.shared / "off").touch()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # its session: a guest is several processes here
        self.process.wait(20)


@contextlib.contextmanager
def director() -> Iterator[Director]:
    needs("linux.uml", "ipvsadm", "keepalived", "ip")
    with tempfile.TemporaryDirectory(prefix="rrdns-lvs-") as name:
        one = Director(Path(name))
        try:
            one.start()
            yield one
        finally:
            if hasattr(one, "process"):
                one.end()
