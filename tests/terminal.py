"""A real terminal for tests: a tmux of its own with one window."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


class Terminal:
    """`text()` is what a person sees."""

    def __init__(self, folder: Path, width: int = 80, height: int = 24) -> None:
        self.socket = str(folder / "tmux")
        self.size = (width, height)

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self.socket, "-f", os.devnull, *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            env={name: value for name, value in os.environ.items() if name != "TMUX"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, line: str) -> None:
        width, height = self.size
        shell = shutil.which("sh") or "/bin/sh"
        self.tmux("new-session", "-d", "-x", str(width), "-y", str(height), shell)
        self.tmux("set-option", "-g", "status", "off")
        self.tmux("resize-window", "-x", str(width), "-y", str(height))
        self.type(line + "\n")

    def type(self, keys: str) -> None:
        self.tmux("send-keys", "-l", keys)

    def press(self, key: str) -> None:
        self.tmux("send-keys", key)

    def text(self) -> str:
        return self.tmux("capture-pane", "-p")

    def wait(self, condition: Callable[[str], object], seconds: float = 30) -> str:
        deadline = time.monotonic() + seconds
        while not condition(text := self.text()):
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s; the screen shows:\n{text}"
            time.sleep(0.1)
        return text

    def end(self) -> None:
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True, timeout=30)
