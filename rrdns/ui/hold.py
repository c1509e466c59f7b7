"""`rrdns hold`: nothing changes by itself, until it may again. Must not know: what it does in the server."""

from __future__ import annotations

import argparse
import json

from rrdns.texts import clean, duration
from rrdns.ui.client import Client
from rrdns.ui.commands import FINE, NOT_SAVED, OVERRIDE_TIMEOUT, PROBLEMS, not_saved
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
    client = Client(args.control)
    answer = client.post("/override", asked, OVERRIDE_TIMEOUT)
    changed = [clean(one) for one in answer.get("changed", ())]
    still = _still(client, args.pools) if args.release else []
    if args.json:
        print(json.dumps(answer, indent=2))
    elif args.release:
        print(released(changed, still))
    else:
        print(held(changed, args.pools, args.duration))
    if not answer.get("saved", True):
        not_saved()
        return NOT_SAVED
    return PROBLEMS if still and not changed else FINE


def _still(client: Client, pools: list[str]) -> list[str]:
    """What keeps those pools, or any, as they are all the same: pools with a hold of their own; "" is that of all."""
    holds = [one for one in client.get("/status").get("overrides", ()) if one.get("word") == "hold"]
    standing = {clean(str(one.get("pool", ""))) for one in holds}
    return sorted(standing & {""} if pools else standing)


def held(changed: list[str], pools: list[str], seconds: float | None) -> str:
    if not changed:
        return "already so"
    release = " ".join(["rrdns hold", *map(clean, pools), "--release"])
    left = f" for {duration(seconds)}" if seconds is not None else f", until `{release}`"
    return f"held{left}: {', '.join(changed)}; answers stay as they are, probes go on"


def released(changed: list[str], still: list[str]) -> str:
    if not changed and not still:
        return "nothing was held"
    if "" in still:
        words = "all pools are held still: rrdns hold --release"
    elif still:
        words = f"held still, each by its own word: {', '.join(still)}: rrdns hold {' '.join(still)} --release"
    else:
        words = "what happened meanwhile counts now"
    done = f"released: {', '.join(changed)}" if changed else "no such hold stands"
    return f"{done}; {words}"
