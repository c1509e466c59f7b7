"""`rrdns notify test [SINK]`: has the server send a test to its sinks, and says what came of it.

Must not know: how anything is sent.
"""

from __future__ import annotations

import argparse
import json

from rrdns.texts import clean, duration
from rrdns.ui.client import Client

FINE, PROBLEMS = 0, 1
TIMEOUT = 75.0  # a sink's own is at most 60 s, and they are tried side by side


def run(args: argparse.Namespace) -> int:
    answer = Client(args.control).post("/notify/test", {"sink": args.sink}, TIMEOUT)
    if args.json:
        print(json.dumps(answer, indent=2))
        return FINE if answer.get("ok") else PROBLEMS
    for one in answer.get("sinks", ()):
        word = "ok    " if one.get("ok") else "FAILED"
        where = f"{clean(one.get('name', '?'))} ({clean(one.get('type', ''))}, {clean(one.get('where', ''))})"
        print(f"{word}  {where}: {clean(one.get('said', ''))}, {duration(one.get('took') or 0.0)}")
    return FINE if answer.get("ok") else PROBLEMS
