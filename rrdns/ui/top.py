"""`rrdns top`: the live console. Fetches snapshots in a thread, reads keys, draws `screen.picture`.

Must not know: what a picture shows (screen.py), what a snapshot means (present.py).
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rrdns.texts import duration
from rrdns.ui import screen, signs
from rrdns.ui.choosing import joined_events
from rrdns.ui.client import Client, Json, Refused, Unreachable
from rrdns.ui.console import Line, joined, live, out, write
from rrdns.ui.keys import Keys, single_keys
from rrdns.ui.screen import Link
from rrdns.ui.sparkline import History
from rrdns.ui.view import Scene, View, press

PERIOD = 0.25  # seconds between snapshots; longer where the server takes long to answer
EVENTS = 1000  # so many past events are asked for when their page is opened
ESCAPE_WAIT = 0.05  # a lone ESC is the key, not the start of a sequence, when nothing follows for this long
UNREACHABLE = 3


def run(args: argparse.Namespace) -> int:
    client = Client(args.control, timeout=3.0)
    source = _Source(client, lambda: signs.find_board(args.state, args.control, args.default_state))
    if args.once:
        return _once(source)
    console = out()
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or console.is_dumb_terminal:
        print("rrdns top needs a terminal; `rrdns top --once` prints one picture, `rrdns status` a whole snapshot.",
              file=sys.stderr)  # fmt: skip
        return 2
    source.start()
    try:
        _Top(source).run()
    finally:
        source.stop()
    return 0


def _once(source: _Source) -> int:
    source.fetch()
    console = out()
    size = console.size if console.is_terminal else os.terminal_size((_env("COLUMNS", 80), _env("LINES", 24)))
    lines, _ = screen.picture(source.scene, View(pane=""), source.link(), size[0], size[1])
    write(console, lines)
    if source.error:
        print(f"rrdns: {source.error}", file=sys.stderr)
        return UNREACHABLE
    return 0


def _env(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() and int(text) > 0 else default


# ---------------------------------------------------------------- where pictures come from


class _Source:
    """The last snapshot, the error if the last attempt gave none, and what the board says then."""

    def __init__(self, client: Client, find_board: Callable[[], Path | None]) -> None:
        self._client = client
        self._find_board = find_board
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="snapshots")
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.scene: Scene | None = None
        self.error = ""
        self.all_events = False  # whether someone looks at more events than a snapshot has
        self._events: tuple[Mapping[str, Any], ...] = ()
        self._history = History()
        self._signs: Json | None = None
        self._qps: float | None = None
        self._lost_at = 0.0

    @property
    def wake(self) -> int:
        """Readable when there is something new to draw."""
        return self._wake_read

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._end.set()

    def fetch(self) -> None:
        """One attempt. Fields are set whole, one after the other: the drawing thread sees either old or new."""
        try:
            status = self._client.get("/status")
            self._history = self._history.after(status)
            self.scene = Scene.of(status, self._history, self._past(status))
        except (Unreachable, Refused) as error:
            if not self.error:
                self._lost_at = time.monotonic()
            self._read_board()
            self.error = str(error)
        else:
            self.error, self._signs, self._qps = "", None, None

    def _past(self, status: Json) -> tuple[Mapping[str, Any], ...]:
        """Events: asked for once, then each snapshot's new ones are added; empty while nobody looks."""
        if not self.all_events:
            self._events = ()
            return ()
        known = joined_events(self._events, status.get("events", ()))
        if known is None:  # more has happened than a snapshot tells
            known = tuple(self._client.get("/events", limit=EVENTS).get("events", ()))
        self._events = known[-EVENTS:]
        return self._events

    def _read_board(self) -> None:
        board = self._find_board()
        before, now = self._signs, signs.read(board) if board else None
        if before and now and now["read_at"] > before["read_at"]:
            self._qps = max(0, now["queries"] - before["queries"]) / (now["read_at"] - before["read_at"])
        self._signs = now

    def link(self) -> Link:
        if not self.error:
            return Link()
        if self._signs is None:
            since = f" for {duration(time.monotonic() - self._lost_at)}" if self._thread.is_alive() else ""
            return Link(f"server not reachable{since}, trying again", None, self.error)
        return Link(signs.sentence(self._signs), self._qps, self.error)

    def _work(self) -> None:
        while not self._end.is_set():
            began = time.monotonic()
            self.fetch()
            took = time.monotonic() - began
            self._tell()
            # Where answering is work for the server, watching takes a seventh of its control's time at most.
            self._end.wait(PERIOD if self.error else min(5.0, max(PERIOD - took, 6 * took)))

    def _tell(self) -> None:
        try:
            os.write(self._wake_write, b"s")
        except BlockingIOError:
            pass  # the pipe is full of news already


# ---------------------------------------------------------------- the loop


class _Top:
    def __init__(self, source: _Source) -> None:
        self._source = source
        self._view = View()
        self._shown: Scene | None = None
        self._console = out()
        self._keys = Keys()
        self._stop = ""  # "quit", or "suspend" for Ctrl-Z

    def run(self) -> None:
        with _signals(self._signalled) as wake:
            while True:
                self._stop = ""
                with single_keys(sys.stdin.fileno()), live(self._console) as screen_:
                    while not self._stop:
                        screen_.update(self._draw(), refresh=True)
                        self._wait(wake)
                if self._stop == "quit":
                    return
                os.kill(os.getpid(), signal.SIGSTOP)  # Ctrl-Z: the terminal is the shell's again until `fg`

    def _draw(self) -> Line:
        if not self._view.paused or self._shown is None:
            self._shown = self._source.scene
        width, height = self._console.size
        link = Link() if self._view.paused and self._shown is not None else self._source.link()
        lines, self._view = screen.picture(self._shown, self._view, link, width, height)
        return joined(lines)

    def _wait(self, wake: int) -> None:
        """Until there is something to draw: keys, a snapshot, a signal, or a second (ages move on)."""
        stdin = sys.stdin.fileno()
        timeout = ESCAPE_WAIT if self._keys.waiting else 1.0
        ready, _, _ = select.select([stdin, self._source.wake, wake], [], [], timeout)
        pressed: list[str] = []
        if stdin in ready:
            data = os.read(stdin, 1024)
            pressed = self._keys.feed(data) if data else ["quit"]  # an end of file: the terminal is gone
        elif self._keys.waiting:
            pressed = self._keys.settle()
        for fd in (self._source.wake, wake):
            if fd in ready:
                os.read(fd, 1024)
        for key in pressed:
            self._press(key)

    def _press(self, key: str) -> None:
        if key == "quit" or (key == "q" and not self._view.typing and not self._view.help):
            self._stop = "quit"
        else:
            self._view = press(self._view, key, max(1, self._console.size[1] // 2))
            self._source.all_events = self._view.page == "events"

    def _signalled(self, number: int) -> None:
        if number == signal.SIGTSTP:
            self._stop = "suspend"
        elif number != signal.SIGWINCH:
            self._stop = "quit"


@contextmanager
def _signals(told: Callable[[int], None]) -> Iterator[int]:
    """Signals only set a word and wake the loop, so that the terminal is always put back; gives the waking fd."""
    read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def handler(number: int, frame: FrameType | None) -> None:
        told(number)

    numbers = (signal.SIGWINCH, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGTSTP)
    before = {number: signal.signal(number, handler) for number in numbers}
    woken = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    try:
        yield read_end
    finally:
        signal.set_wakeup_fd(woken)
        for number, old in before.items():
            signal.signal(number, old)
        os.close(read_end)
        os.close(write_end)
