"""`rrdns events`: what changed, when and why; with --follow also what changes from now on.

Must not know: where events are kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Iterable

from rrdns.ui import present
from rrdns.ui.client import Client, Json, Unreachable
from rrdns.ui.console import fit, out, styled, width_of

RETRY = 1.0
MOST = 10_000  # a time was given, so what falls into it is not to be cut at the usual 50
REMEMBERED = 2000  # events already shown, so that a stream opened anew repeats none


def run(args: argparse.Namespace) -> int:
    show = _Printer(args.json)
    client = Client(args.control)
    limit = args.limit or (MOST if args.since is not None else None)
    asked = {"limit": limit, "since": args.since, "pool": args.pool}
    if not args.follow:
        show.all(client.get("/events", **asked).get("events", ()))
        return 0
    return _follow(client, asked, show, args.pool)


def _follow(client: Client, asked: Json, show: _Printer, pool: str | None) -> int:
    """The events asked for, then each as it happens; a control that is restarted loses none and repeats none.

    The stream is opened before the past is asked for, so that nothing falls between the two.
    """
    reached = False
    while True:
        try:
            stream = client.stream("/events", follow=1, pool=pool)
            show.all(client.get("/events", **asked).get("events", ()))
            reached = True
            for event in stream:
                show.one(event)
            lost = "the server ended the stream"
        except Unreachable as error:
            if not reached:
                raise
            lost = str(error)
        gone_at = time.time()
        print(f"rrdns: {lost}; trying again", file=sys.stderr)
        while not _answers(client):
            time.sleep(RETRY)
        asked = {**asked, "since": time.time() - gone_at + 60, "limit": MOST}


def _answers(client: Client) -> bool:
    try:
        client.get("/events", limit=1)
    except Unreachable:
        return False
    return True


class _Printer:
    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._console = out()
        self._shown: deque[str] = deque(maxlen=REMEMBERED)
        self._name_width = 24

    def all(self, events: Iterable[Json]) -> None:
        for event in events:
            self.one(event)

    def one(self, event: Json) -> None:
        line = json.dumps(event, sort_keys=True)
        if line in self._shown:
            return
        self._shown.append(line)
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
