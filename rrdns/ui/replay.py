"""`rrdns replay`: what was, and what would have been under other files; a table, a timeline, JSON, a picture.

Must not know: how decisions are made, how a journal is written, how the page looks (`replay_page.py`).
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from pathlib import Path

from rrdns import zonefile
from rrdns.control import files, journal, journal_reading
from rrdns.model import DataSet
from rrdns.recorded import Recording
from rrdns.replay import WARM, Player
from rrdns.scoring import Score
from rrdns.texts import duration
from rrdns.ui import timeline
from rrdns.ui.config import ConfigError
from rrdns.ui.console import out, write
from rrdns.ui.replay_page import moment, page, remarks, rows
from rrdns.ui.replayed import Pass, as_json
from rrdns.ui.timeline import Axis

FINE = 0
PIECES = 200  # in which a replay is played, so that it can say how far it is
PATIENCE = 1.5  # seconds until it says so


def run(args: argparse.Namespace) -> int:
    path = journal_path(args)
    wall = time.time()
    since = wall - args.since
    recording = read(path, since - WARM)
    begin = max(recording.steady(since), recording.begin)
    edited = dataset_of(args.zones) if args.zones else None
    gc.freeze()  # what was read stays: looking through it again and again would cost more than the replay
    passes = [play(recording, begin, None, "then")]
    if edited is not None:
        passes.append(play(recording, begin, edited, "edited"))
    told = as_json(str(path), recording, begin, passes, str(args.zones or ""))
    axis = Axis(begin, recording.end, recording.wall(begin))
    if args.svg:
        title = f"rrdns replay, {moment(axis.wall)} to {moment(recording.wall(recording.end))}"
        draw(Path(args.svg), timeline.svg(rows(passes, axis, args.all), axis, title, remarks(told, passes)))
    if args.json:
        print(json.dumps(told, indent=2))
        return FINE
    console = out()
    write(console, page(told, passes, axis, console.width, args.all))
    if args.svg:
        print(f"picture: {args.svg}")
    return FINE


# ---------------------------------------------------------------- where things are


def journal_path(args: argparse.Namespace) -> Path:
    """--journal, else the journal in the server's state folder."""
    if args.journal:
        return Path(args.journal)
    state = args.state or args.default_state
    if not state:
        raise ConfigError("which journal? With --control, give the server's state folder too: --state DIR")
    return Path(state) / journal.NAME


def read(path: Path, since: float, until: float = float("inf")) -> Recording:
    try:
        recording = journal_reading.read(path, since, until)
    except journal_reading.Unreadable as error:
        raise ConfigError(str(error)) from error
    if not recording.sessions or recording.start(since) is None:
        raise ConfigError(f"{path}: the journal holds nothing to begin with in that time")
    return recording


def dataset_of(folder: str) -> DataSet:
    found = files.read(str(folder))
    loaded = zonefile.load(found.files, found.mtimes)
    problems = [str(one) for one in sorted({*found.problems, *loaded.problems}) if not one.warning]
    if loaded.dataset is None or problems:
        raise ConfigError("\n".join([f"{folder} can't be used:", *problems]))
    return loaded.dataset


def draw(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}") from error


# ---------------------------------------------------------------- playing


def play(recording: Recording, begin: float, edited: DataSet | None, name: str = "") -> Pass:
    score = Score(begin)
    player = Player(recording, begin, edited, score, rings=False)
    progress = Progress(f"replay, {'files of then' if edited is None else 'edited files'}" if name else "")
    first, length = player.begin, recording.end - player.begin
    for piece in range(1, PIECES + 1):
        player.play(first + length * piece / PIECES)
        progress.show(piece / PIECES)
    player.play(recording.end)
    progress.end()
    score.finish(recording.end)
    return Pass(player, score)


class Progress:
    """A line on a terminal that says how far a long replay is; it goes when that is done."""

    def __init__(self, what: str) -> None:
        self._what = what if sys.stderr.isatty() else ""
        self._begun = self._shown = time.monotonic()
        self._long = 0

    def show(self, part: float) -> None:
        now = time.monotonic()
        if not self._what or now - self._begun < PATIENCE or now - self._shown < 0.2:
            return
        self._shown = now
        text = f"{self._what}: {part:.0%}, {duration((now - self._begun) * (1 - part) / part)} left"
        print(f"\r{text.ljust(self._long)}", end="", file=sys.stderr, flush=True)
        self._long = len(text)

    def end(self) -> None:
        if self._long:
            print("\r" + " " * self._long + "\r", end="", file=sys.stderr, flush=True)
