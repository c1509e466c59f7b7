"""Real load balancers as processes of the test: a private folder, loopback ports, stopped by their process object."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import live

from rrdns.directors import Fault
from rrdns.directors.reach import Reach
from rrdns.directors.readers import READERS
from rrdns.model import Director, DirectorTable, Report

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Program:
    """A started program; `log` is what it wrote."""

    folder: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self, *argv: str) -> None:
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.folder, start_new_session=True
            )

    @property
    def log(self) -> str:
        texts = [path.read_text(errors="replace") for path in sorted(self.folder.glob("*")) if path.suffix == ".log"]
        return "\n".join([*texts, (self.folder / "output").read_text(errors="replace")])[-4000:]

    def answers(self, url: str) -> bool:
        assert self.process.poll() is None, "it has ended"
        get(url)
        return True

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)


@contextlib.contextmanager
def program(*argv: str, files: Mapping[str, str], ready: str) -> Iterator[Program]:
    """Runs a program over files in a folder of its own ({folder} in both is that folder) until the URL answers."""
    with tempfile.TemporaryDirectory(prefix="rrdns-director-") as name:
        folder = Path(name)
        folder.chmod(0o777)  # started as root, it becomes another user, who reads and writes here
        for path, text in files.items():
            (folder / path).write_text(text.replace("{folder}", name))
        running = Program(folder)
        executable = shutil.which(argv[0], path=PATH) or argv[0]
        running.start(executable, *[word.replace("{folder}", name) for word in argv[1:]])
        try:
            try:
                live.wait_for(lambda: running.answers(ready), 60, f"{argv[0]} at {ready}")
            except AssertionError as error:
                raise AssertionError(f"{error}\n{running.log}") from None
            yield running
        finally:
            running.end()


def get(url: str, headers: Mapping[str, str] | None = None, send: str | None = None) -> bytes:
    """The body of a 200; OSError (HTTPError is one) for anything else. With `send` it is a POST of a form."""
    body = None if send is None else send.encode()
    asked = urllib.request.Request(url, body, dict(headers or {}))
    with urllib.request.urlopen(asked, timeout=10) as answer:
        found: bytes = answer.read()
        return found


async def table(director: Director) -> DirectorTable:
    """One reading through the real doors."""
    reach = Reach()
    try:
        return await READERS[director.type](director, reach)
    finally:
        await reach.close()


async def servers(director: Director, part: str) -> dict[str, Report]:
    """One part's servers by their name, or their address."""
    return {report.server or report.address: report for report in (await table(director)).parts[part]}


async def reason(director: Director) -> str:
    """Why it can't be read."""
    try:
        found = await table(director)
    except Fault as fault:
        return str(fault)
    raise AssertionError(f"read: {found}")
