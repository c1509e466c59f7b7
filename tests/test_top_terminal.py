"""`rrdns top` in a real terminal: keys, resizing, a server that goes and comes, and the terminal after it."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
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


def test_pages_pools_and_no_colour(terminal: Terminal, tmp_path: Path) -> None:
    with FakeApi(tmp_path / "s") as api:
        api.status = fake_api.status(1000, services=3)
        home = Path(__file__).parent.parent
        terminal.start(f"cd {home} && NO_COLOR=1 {sys.executable} -m rrdns top --control {api.path}")
        terminal.wait(lambda text: "web/web1 " in text and "3 directors" in text)
        terminal.type("2")
        terminal.wait(lambda text: "998 of 1000" in text)
        terminal.press("Enter")
        terminal.wait(lambda text: "POOL web" in text and "a second, at most" in text)
        terminal.press("End")
        terminal.wait(lambda text: "web1000 " in text and "-1000 of 1000" in text)
        shown = terminal.tmux("capture-pane", "-p", "-e")
        assert "\x1b[7m" in shown, "the cursor"
        assert not re.search(r"\x1b\[(?:\d+;)*(?:3|4|9|10)[0-7]m", shown), "no colours"
        terminal.press("Escape")
        terminal.wait(lambda text: "998 of 1000" in text and "POOL web" not in text)
        terminal.type("3")
        terminal.wait(lambda text: "no director is configured" in text)
        terminal.type("4")
        terminal.wait(lambda text: "web/web8" in text and "WHAT" in text)
        deadline = time.monotonic() + 30
        while not any(path == "/events" for _, path, _, _ in api.asked):
            assert time.monotonic() < deadline, "all events are asked for"
            time.sleep(0.05)
        terminal.type("1")
        terminal.wait(lambda text: "SERVED BY" in text or "SERVICE" in text)


def test_a_thousand_members_are_shown_and_what_four_frames_a_second_cost_is_told(
    terminal: Terminal, tmp_path: Path
) -> None:
    """The whole program in a wide terminal: asking, reading, drawing. `pytest -s` tells the figure."""
    terminal.size = (200, 60)
    with FakeApi(tmp_path / "s") as api:
        api.status = fake_api.status(1000, services=50)
        home = Path(__file__).parent.parent
        terminal.start(f"cd {home} && {sys.executable} -m rrdns top --control {api.path}")
        terminal.wait(lambda text: "web/web1 " in text)
        pid = find(api.path)
        asked, used, began = len(api.asked), cpu_seconds(pid), time.monotonic()
        time.sleep(5)
        took = time.monotonic() - began
        share, frames = (cpu_seconds(pid) - used) / took, (len(api.asked) - asked) / took
        print(f"\n1,000 members at 200x60: {frames:.1f} frames a second take {share:.1%} of a core")
        assert frames > 0


def cpu_seconds(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
