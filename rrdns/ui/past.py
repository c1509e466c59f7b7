"""`rrdns explain NAME --at TIME`: the roster as it was then, put together again from the journal.

Must not know: how decisions are made, how the page looks.
"""

from __future__ import annotations

import argparse
import json
import re
import time

from rrdns import wire
from rrdns.replay import WARM, Player
from rrdns.texts import duration, parse_duration
from rrdns.ui.config import ConfigError
from rrdns.ui.console import TITLE, WARN, out, styled, write
from rrdns.ui.explain import page
from rrdns.ui.replay import journal_path, read


def explain(args: argparse.Namespace, name: str, rtype: str) -> int:
    path, wall = journal_path(args), moment(args.at, time.time())
    recording = read(path, wall - WARM, wall)
    at = recording.steady(wall)
    if at < recording.begin:
        raise ConfigError(f"{path}: the journal begins at {_text(recording.wall(recording.begin))}")
    player = Player(recording, at)
    player.play(at)
    player.catch_up()
    told = player.roster.explain(wire.name_from_text(name).lower(), wire.type_number(rtype), at)
    session = recording.session(at)
    if args.json:
        print(json.dumps({**told, "time": wall}, indent=2))
        return 0
    console = out()
    write(console, [styled(("as it was at ", TITLE), (_text(wall), TITLE))])
    if at > session.end + 90.0:
        gone = duration(at - session.end)
        write(console, [styled((f" nothing was journaled then: the last row is {gone} older ", WARN))])
    write(console, [styled((f" {note} ", WARN)) for note in player.notes])
    write(console, page(told, console.width))
    return 0


def moment(text: str, now: float) -> float:
    """Unix seconds of `03:12` (the last one there was), `2026-11-20 03:12`, or an age; ConfigError for what is none."""
    plain = text.strip().replace("T", " ")
    found = re.fullmatch(r"(?:(\d{4})-(\d\d)-(\d\d) )?(\d{1,2}):(\d\d)(?::(\d\d))?", plain, re.ASCII)
    if found is None:
        try:
            return now - parse_duration(plain)
        except ValueError:
            raise ConfigError(f"--at {text!r} is no time; write 03:12, '2026-11-20 03:12:30', or 2h (ago)") from None
    year, month, day, hour, minute, second = (int(one) if one else None for one in found.groups())
    if not (hour is not None and hour < 24 and minute is not None and minute < 60):
        raise ConfigError(f"--at {text!r}: there is no such time of day")
    today = time.localtime(now)
    dated = year is not None
    date = (year or today.tm_year, month or today.tm_mon, day or today.tm_mday)
    wall = time.mktime((*date, hour, minute, second or 0, 0, 0, -1))
    if not dated and wall > now:
        wall = time.mktime((*date[:2], date[2] - 1, hour, minute, second or 0, 0, 0, -1))
    if wall > now:
        raise ConfigError(f"--at {text!r} is yet to come")
    return wall


def _text(wall: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(wall))
