"""`rrdns replay`: what was, and what would have been under other files; a table, a timeline, JSON, a picture.

Must not know: how decisions are made, how a journal is written.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rrdns import zonefile
from rrdns.control import files, journal, journal_reading
from rrdns.model import DataSet
from rrdns.recorded import Recording
from rrdns.replay import WARM, Player
from rrdns.scoring import Score
from rrdns.texts import clean, duration, plural
from rrdns.ui import timeline
from rrdns.ui.config import ConfigError
from rrdns.ui.console import TITLE, WARN, WEAK, Cell, Column, Line, out, styled, table, write
from rrdns.ui.replayed import Pass, as_json
from rrdns.ui.timeline import Axis, Row

FINE, PROBLEMS = 0, 1
SHOWN = 24  # rows of the timeline; --all shows every member
COLUMNS = (
    Column("SERVICE", least=16), Column("POOL", least=6), Column("FAILOVERS", right=True), Column("FLAPS", right=True),
    Column("DEAD ANSWERED", right=True), Column("ALIVE WITHHELD", right=True), Column("NOBODY ALIVE", right=True),
    Column("BUDGET KEPT", right=True), Column("SLOWEST", right=True),
)  # fmt: skip


def run(args: argparse.Namespace) -> int:
    path = journal_path(args)
    wall = time.time()
    since = wall - args.since
    recording = read(path, since - WARM)
    begin = max(recording.steady(since), recording.begin)
    edited = dataset_of(args.zones) if args.zones else None
    passes = [play(recording, begin, None)]
    if edited is not None:
        passes.append(play(recording, begin, edited))
    told = as_json(str(path), recording, begin, passes, str(args.zones or ""))
    axis = Axis(begin, recording.end, recording.wall(begin))
    if args.svg:
        title = f"rrdns replay, {_moment(axis.wall)} to {_moment(recording.wall(recording.end))}"
        draw(Path(args.svg), timeline.svg(rows(passes, axis, args.all), axis, title, _remarks(told, passes)))
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


def play(recording: Recording, begin: float, edited: DataSet | None) -> Pass:
    score = Score(begin)
    player = Player(recording, begin, edited, score)
    player.play(recording.end)
    score.finish(recording.end)
    return Pass(player, score)


# ---------------------------------------------------------------- as a page


def page(told: Mapping[str, Any], passes: Sequence[Pass], axis: Axis, width: int, everyone: bool) -> Iterator[Line]:
    same = told["agreement"]
    yield styled(
        ("replay  ", TITLE), f"{_moment(told['from'])} to {_moment(told['to'])}, ",
        f"{duration(told['watched'])} with a server",
    )  # fmt: skip
    trust = f"the files of then give {same['same']} of the {same['recorded']} transitions that were recorded"
    yield styled(("trust   ", TITLE), (trust, "" if same["same"] == same["recorded"] else "yellow"))
    if len(passes) > 1:
        yield styled(("read    ", TITLE), f"then → under {clean(told['zones'])}")
    yield styled("")
    body = [_row(name, one) for name, one in told["services"].items()]
    yield from table(COLUMNS, body or [[("nothing is served from a pool", WEAK)] + [("", "")] * 8], width)
    drawn = rows(passes, axis, everyone)
    if drawn:
        yield styled("")
        yield from timeline.lines(drawn, axis, width)
    for note in told["notes"]:
        yield styled(("note  ", WARN), f" {clean(note)}")


def _row(name: str, one: Mapping[str, Any]) -> list[Cell]:
    then, edited = one.get("then"), one.get("edited", _NONE)
    pair = then or {}, (edited if edited is not _NONE else None)

    def amount(key: str, text: Any = str) -> Cell:
        before = text(pair[0][key]) if pair[0] else "-"
        if edited is _NONE:
            return before, _alarm(key, pair[0])
        after = text(pair[1][key]) if pair[1] else "-"
        return f"{before} → {after}" if before != after else before, _better(key, pair)

    return [
        (clean(name), ""), (clean(one["pool"]), WEAK), amount("failovers"), amount("flaps"),
        amount("dead_answered", _time), amount("alive_withheld", _time), amount("nobody_alive", _time),
        _kept(pair, edited is _NONE), amount("slowest", _time),
    ]  # fmt: skip


_NONE: Any = object()


def _time(seconds: float) -> str:
    return duration(seconds) if seconds else "-"


def _kept(pair: tuple[Mapping[str, Any], Mapping[str, Any] | None], single: bool) -> Cell:
    def text(one: Mapping[str, Any] | None) -> str:
        if not one or one.get("budget") is None:
            return "-"
        total = one["budget_kept"] + one["budget_missed"]
        return f"{one['budget_kept']} of {total} in {duration(one['budget'])}" if total else "-"

    before = text(pair[0])
    if single or text(pair[1]) == before:
        return before, "red" if pair[0].get("budget_missed") else ""
    return f"{before} → {text(pair[1])}", _better("budget_missed", pair)


def _alarm(key: str, one: Mapping[str, Any]) -> str:
    return "yellow" if one.get(key) and key in ("dead_answered", "alive_withheld", "flaps") else ""


def _better(key: str, pair: tuple[Mapping[str, Any], Mapping[str, Any] | None]) -> str:
    before, after = pair[0].get(key) or 0, (pair[1] or {}).get(key) or 0
    return "" if before == after else "green" if after < before else "red"


def rows(passes: Sequence[Pass], axis: Axis, everyone: bool) -> list[Row]:
    """Members something happened to, the worst first, then each pool's together; under both files where there are."""
    trouble: dict[tuple[str, str], float] = {}
    for one in passes:
        for pool, score in one.score.pools.items():
            for member, turns in score.spans.items():
                spans = timeline.spans_of(turns, axis)
                bad = sum(end - begin for begin, end, kind in spans if kind in ("dead", "withheld", "gone"))
                trouble[pool, member] = max(bad, trouble.get((pool, member), 0.0))
    chosen = sorted(trouble, key=lambda one: (-trouble[one], one))
    if not everyone:
        chosen = [one for one in chosen if trouble[one] > 0][: SHOWN // len(passes)]
    found = []
    for pool, member in sorted(chosen):
        for index, one in enumerate(passes):
            its = one.score.pools.get(pool)
            turns = its.spans.get(member, []) if its else []
            label = member if not index else "  edited"
            found.append(Row(pool, label, timeline.spans_of(turns, axis), bool(index)))
    return found


def _remarks(told: Mapping[str, Any], passes: Sequence[Pass]) -> list[str]:
    found = []
    for name, one in told["pools"].items():
        texts = []
        for label in ("then", "edited")[: len(passes)]:
            if score := one.get(label):
                texts.append(
                    f"{label}: {plural(score['failovers'], 'failover')}, {plural(score['flaps'], 'flap')}, "
                    f"dead answered {duration(score['dead_answered'])}, "
                    f"alive withheld {duration(score['alive_withheld'])}"
                )
        found.append(f"{name}: " + "; ".join(texts))
    return [*found[:20], *told["notes"]]


def _moment(wall: float) -> str:
    return time.strftime("%a %Y-%m-%d %H:%M:%S", time.localtime(wall))
