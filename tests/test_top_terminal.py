"""`rrdns top` in a real terminal: keys, resizing, a server that goes and comes, and the terminal after it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import fake_api
import pytest
from fake_api import FakeApi
from needs import needs
from terminal import Terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    needs("tmux")
    one = Terminal(tmp_path)
    yield one
    one.end()


def test_keys_resizing_a_lost_server_and_the_terminal_after(terminal: Terminal, tmp_path: Path) -> None:
    with FakeApi(tmp_path / "s") as api:
        api.status = fake_api.status(40)
        home = Path(__file__).parent.parent
        line = (
            f"cd {home} && {sys.executable} -m rrdns top --control {api.path}; echo left=$?; stty -a | grep -o ' echo '"
        )
        terminal.start(line)
        text = terminal.wait(lambda text: "web/web1 " in text and "q quit" in text)
        assert len(text.rstrip("\n").splitlines()) == 24
        terminal.type("/")
        terminal.type("web40")
        terminal.wait(lambda text: "filter: web40" in text and "web/web1 " not in text and "web/web40" in text)
        terminal.press("Escape")
        terminal.wait(lambda text: "web/web1 " in text)
        terminal.type("s")
        terminal.wait(lambda text: "sort: state" in text)
        terminal.press("End")
        terminal.wait(lambda text: "of 40" in text and "-40 of 40" in text)
        terminal.type("d")
        terminal.wait(lambda text: "only problems" in text)
        terminal.type("d?")
        terminal.wait(lambda text: "this help" in text)
        terminal.type("x")
        terminal.type("p")
        terminal.wait(lambda text: "PAUSED" in text)
        terminal.type("p")
        terminal.tmux("resize-window", "-x", "120", "-y", "40")
        text = terminal.wait(lambda text: len(text.rstrip("\n").splitlines()) == 40)
        assert "web/web1" in text
        api.stop()
        terminal.wait(lambda text: "server not reachable" in text and "web/web1" in text)
        api.start()
        terminal.wait(lambda text: "control serving" in text)
        terminal.type("q")
        terminal.wait(lambda text: "left=0" in text and " echo" in text.split("left=0")[1])


def test_ctrl_z_and_sigterm_leave_a_sane_terminal(terminal: Terminal, tmp_path: Path) -> None:
    with FakeApi(tmp_path / "s") as api:
        home = Path(__file__).parent.parent
        terminal.start(f"cd {home} && {sys.executable} -m rrdns top --control {api.path}")
        terminal.wait(lambda text: "web/web1 " in text)
        terminal.press("C-z")
        terminal.wait(lambda text: "Stopped" in text and "web/web1 " not in text)
        terminal.type("stty -a | grep -o ' echo '; fg\n")
        terminal.wait(lambda text: "web/web1 " in text and "q quit" in text)
        pid = find(api.path)
        os.kill(pid, signal.SIGTERM)  # typed before it has ended, keys would still be its own
        terminal.wait(lambda text: "q quit" not in text and not Path(f"/proc/{pid}").exists())
        terminal.type("echo left=$?; stty -a | grep -o ' echo '\n")
        terminal.wait(lambda text: "left=0" in text and " echo" in text.split("left=0")[-1])


def find(control: str) -> int:
    """The pid of the one `rrdns top` that watches this socket."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[1:4] == [b"-m", b"rrdns", b"top"] and control.encode() in words:
                return int(folder.name)
    raise AssertionError("no top is running")
