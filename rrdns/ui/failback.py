"""`rrdns failback POOL`: what is well again and waits to return does so now; `--force`: and what waits for
`before_promote` goes without it. Must not know: schemes."""

from __future__ import annotations

import argparse
import json
import sys

from rrdns.texts import clean
from rrdns.ui.client import Client
from rrdns.ui.commands import FINE, NOT_SAVED, OVERRIDE_TIMEOUT


def run(args: argparse.Namespace) -> int:
    asked = {"pool": args.pool, "reason": args.reason, "force": args.force}
    answer = Client(args.control).post("/failback", asked, OVERRIDE_TIMEOUT)
    if args.json:
        print(json.dumps(answer, indent=2))
    else:
        print(f"pool {clean(args.pool)}: {clean(answer.get('now', ''))}")
    if not answer.get("saved", True):
        print("rrdns: in force, NOT saved: see `rrdns status` for why", file=sys.stderr)
        return NOT_SAVED
    return FINE
