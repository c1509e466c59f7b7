"""`rrdns hold`: nothing changes by itself, until it may again. Must not know: what it does in the server."""

from __future__ import annotations

import argparse
import json

from rrdns.texts import clean, duration
from rrdns.ui.client import Client
from rrdns.ui.commands import FINE, NOT_SAVED, OVERRIDE_TIMEOUT, not_saved
from rrdns.ui.config import ConfigError


def run(args: argparse.Namespace) -> int:
    if args.release and args.duration is not None:
        raise ConfigError("hold --release has no end: leave out --for")
    asked = {
        "members": args.pools or None,
        "word": "release" if args.release else "hold",
        "for": args.duration,
        "reason": args.reason,
    }
    answer = Client(args.control).post("/override", asked, OVERRIDE_TIMEOUT)
    if args.json:
        print(json.dumps(answer, indent=2))
    else:
        print(said([clean(one) for one in answer.get("changed", ())], args.release, args.duration))
    if not answer.get("saved", True):
        not_saved()
        return NOT_SAVED
    return FINE


def said(changed: list[str], release: bool, seconds: float | None) -> str:
    if not changed:
        return "no such hold stands; see `rrdns overrides`" if release else "already so"
    if release:
        return f"released: {', '.join(changed)}; what happened meanwhile counts now"
    left = f" for {duration(seconds)}" if seconds is not None else ", until `rrdns hold --release`"
    return f"held{left}: {', '.join(changed)}; answers stay as they are, probes go on"
