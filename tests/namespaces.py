"""Network namespaces made by a test, joined by cables: what happens in them stays in them. Needs root and `ip`.

Each has loopback, and addresses of its own on one end of a cable. All are removed when the test ends, also when it
fails; a test that was killed leaves names that tell its pid, and the next one removes them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from needs import needs

PREFIX = "rr"
_numbers = itertools.count(1)


def needs_namespaces() -> None:
    """Skips (fails in CI) where no namespace can be made: without root, or in a container that forbids it."""
    needs("ip")
    name = f"{PREFIX}{os.getpid()}-try"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if not tried.returncode:
        subprocess.run(["ip", "netns", "del", name], check=True)
        return
    reason = f"no network namespaces here: {tried.stderr.strip()}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


@dataclass
class Namespace:
    """A place of its own; `command` makes a command line run in it."""

    name: str
    addresses: list[str] = field(default_factory=list)

    def command(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, *words]

    def run(
        self, *words: str, timeout: float = 60, stdin: str | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A program to its end; a wrong exit code is the caller's business."""
        command = self.command(*words)
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, input=stdin, env={**os.environ, **(env or {})}
        )

    def pids(self) -> list[int]:
        """What runs in it."""
        listed = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, timeout=30)
        return [int(pid) for pid in listed.stdout.split()]

    @contextlib.contextmanager
    def started(self, *words: str, output: Path, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
        """A program in the background, its words in a file; ended after."""
        with output.open("ab") as out:
            process = subprocess.Popen(
                self.command(*words), stdin=subprocess.DEVNULL, stdout=out, stderr=out, **more
            )  # `ip netns exec` becomes the program: the pid is its own
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)


@contextlib.contextmanager
def cabled(left: Sequence[str], right: Sequence[str]) -> Iterator[tuple[Namespace, Namespace]]:
    """Two namespaces and a cable between them, with all these addresses at its ends; each reaches every address of
    the other directly, and nothing else."""
    needs_namespaces()
    remove_leftovers()
    with contextlib.ExitStack() as stack:
        both = []
        for addresses in (left, right):
            one = Namespace(f"{PREFIX}{os.getpid()}-{next(_numbers)}", list(addresses))
            ip("netns", "add", one.name)
            stack.callback(remove, one.name)
            ip("-n", one.name, "link", "set", "lo", "up")
            both.append(one)
        first, second = both
        ip("-n", first.name, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", second.name)
        for one in both:
            for address in one.addresses:
                size, more = ("/128", ["nodad"]) if ":" in address else ("/32", [])
                ip("-n", one.name, "address", "add", address + size, "dev", "cable", *more)
            ip("-n", one.name, "link", "set", "cable", "up")
        for one in both:
            ip("-n", one.name, "route", "add", "default", "dev", "cable")
            if any(":" in address for address in one.addresses):
                ip("-n", one.name, "-6", "route", "add", "default", "dev", "cable")
        yield first, second


def remove(name: str) -> None:
    """Ends what still runs in a namespace, by pid, and removes it with its end of the cable."""
    for pid in Namespace(name).pids():
        print(f"still running in {name}: {pid}", file=sys.stderr)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=30)
    shutil.rmtree(Path("/etc/netns", name), ignore_errors=True)


def remove_leftovers() -> None:
    """Those of test runs whose process is gone."""
    listed = subprocess.run(["ip", "-j", "netns", "list"], capture_output=True, text=True, timeout=30).stdout
    for line in listed.replace('"', " ").split():
        pid = line.removeprefix(PREFIX).partition("-")[0]
        if line.startswith(PREFIX) and "-" in line and pid.isdigit() and not Path("/proc", pid).exists():
            remove(line)
