"""`rrdns events`: what changed, when and why; with --follow also what changes from now on.

Where no server answers, and for a journal that is named, the files are read instead. Must not know: which of its
files a server keeps what in.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rrdns import chronicle
from rrdns.texts import clock, duration
from rrdns.ui import present
from rrdns.ui.client import Client, Json, Unreachable
from rrdns.ui.config import ConfigError
from rrdns.ui.console import fit, out, styled, width_of

UNREACHABLE = 3
RETRY = 1.0
USUAL = 50
MOST = 100_000  # a time was given, so what falls into it is not to be cut at the usual 50
PATIENCE = 20.0  # seconds for an answer: a week's events are read from the disk
REMEMBERED = 20_000  # events already shown, so that a stream opened anew repeats none
OVERLAP = 60.0  # seconds that are asked for again after a stream was lost


def run(args: argparse.Namespace) -> int:
    show = _Printer(args.json)
    client = Client(args.control, PATIENCE)
    limit = args.limit or (MOST if args.since is not None else None)
    asked = {"limit": limit, "since": args.since, "pool": args.pool}
    if args.journal:
        if args.follow:
            raise ConfigError("--journal is a file of the past: there is nothing to follow")
        return _from_files(Path(args.journal), None, asked, show)
    if args.follow:
        return _follow(client, asked, show, args.pool)
    try:
        told = client.get("/events", **asked)
    except Unreachable as error:
        from rrdns.control import journal, store

        folder = args.state or args.default_state
        if not folder or not any(Path(folder, one.NAME).exists() for one in (journal, store)):
            raise
        print(f"rrdns: {error}\nrrdns: these are from the files in {folder}", file=sys.stderr)
        _from_files(Path(folder, journal.NAME), Path(folder, store.NAME), asked, show)
        return UNREACHABLE
    show.all(told.get("events", ()))
    _remark(told, asked)
    return 0


def _remark(told: Json, asked: Json) -> None:
    """What the events leave out, for people, on stderr."""
    notes = list(told.get("notes", ()))
    now, kept, since = time.time(), told.get("kept_since"), asked["since"]
    if since is not None:
        if told.get("cut"):
            notes.append(f"there are more; these are the last {asked['limit']:,}")
        elif kept is None:
            notes.append("nothing is kept of that time")
        elif now - since < kept - 1.0:
            notes.append(f"kept since {clock(kept, now)}, {duration(now - kept)} ago: nothing is known of before")
    for note in notes:
        print(f"rrdns: {note}", file=sys.stderr)


def _from_files(journal: Path, state: Path | None, asked: Json, show: _Printer) -> int:
    """Without a server: what the journal tells, and the state file."""
    from rrdns.control import event_reading
    from rrdns.control.event_reading import Part
    from rrdns.control.journal_reading import Unreadable

    limit = asked["limit"] or USUAL
    since = time.time() - asked["since"] if asked["since"] is not None else float("-inf")
    parts: list[Part] = []
    notes = []
    for read, path in ((event_reading.of_state, state), (event_reading.of_journal, journal)):
        if path is None:
            continue
        try:
            parts.append(read(path, limit + 1, since, asked["pool"] or ""))
        except Unreadable as error:
            notes.append(str(error))
    if not parts:
        raise ConfigError("\n".join(notes))
    every = chronicle.joined(parts[0].events, parts[1].events if len(parts) > 1 else ())
    kept = min((one.kept for one in parts if one.kept is not None), default=None)
    show.all(every[max(0, len(every) - limit) :])
    _remark({"kept_since": kept, "cut": len(every) > limit, "notes": notes}, {**asked, "limit": limit})
    return 0


# ---------------------------------------------------------------- what happens from now on


def _follow(client: Client, asked: Json, show: _Printer, pool: str | None) -> int:
    """The events asked for, then each as it happens; a control that is restarted loses none and repeats none.

    The stream is opened before the past is asked for, so that nothing falls between the two. After it was lost the
    past is asked for again from the last event that was shown: the server may have given up on a reader long before
    he noticed.
    """
    reached = False
    begun = time.time()
    while True:
        try:
            stream = client.stream("/events", follow=1, pool=pool)
            told = client.get("/events", **asked)
            show.all(told.get("events", ()))
            if not reached:
                _remark(told, asked)
            reached = True
            for event in stream:
                show.one(event)
            lost = "the server ended the stream"
        except Unreachable as error:
            if not reached:
                raise
            lost = str(error)
        print(f"rrdns: {lost}; trying again", file=sys.stderr)
        while not _answers(client):
            time.sleep(RETRY)
        since = time.time() - min(time.time(), show.last or begun) + OVERLAP
        asked = {**asked, "since": since, "limit": MOST}


def _answers(client: Client) -> bool:
    try:
        client.get("/events", limit=1)
    except Unreachable:
        return False
    return True


class _Printer:
    """`last`: the wall time of the newest event shown."""

    def __init__(self, as_json: bool) -> None:
        self.last: float | None = None
        self._json = as_json
        self._console = out()
        self._recent: deque[Json] = deque()
        self._shown: set[str] = set()
        self._name_width = 24

    def all(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Of the past; what was shown from the stream may be told in another's time now."""
        for event in chronicle.unknown(self._recent, events) if self._recent else events:
            self._print(dict(event))

    def one(self, event: Json) -> None:
        """Of the stream, which may tell again what the past has just told."""
        if _line(event) not in self._shown:
            self._print(event)

    def _print(self, event: Json) -> None:
        self._remember(event)
        if self._json:
            print(json.dumps(event), flush=True)
            return
        when, what, change, why = present.event_cells(event, time.time())
        self._name_width = max(self._name_width, min(width_of(what[0]), 48))
        pad = " " * (self._name_width - width_of(what[0]))
        text = styled(when, "  ", what, pad, "  ", change, f"  {why[0]}" if why[0] else "")
        if self._console.is_terminal:
            fit(text, max(self._console.width, 80))
        self._console.print(text, end="\n", no_wrap=True, overflow="ignore", crop=False)
        self._console.file.flush()

    def _remember(self, event: Json) -> None:
        self._recent.append(event)
        self._shown.add(_line(event))
        if len(self._recent) > REMEMBERED:
            self._shown.discard(_line(self._recent.popleft()))
        self.last = max(self.last or 0.0, float(event.get("time") or 0.0))


def _line(event: Json) -> str:
    return json.dumps(event, sort_keys=True)
