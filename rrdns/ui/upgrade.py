"""`rrdns upgrade`: the running server goes on as the version that is installed now. Asks, waits, and says who serves.

Must not know: how the server does it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

from rrdns.texts import clean
from rrdns.ui.client import Client, Unreachable

FINE, PROBLEMS = 0, 1
LOOK = 0.2
SILENCE = 120.0  # control is being replaced: it reads a large directory before it can be asked
UNHEARD = 10.0  # the supervisor takes the question up within a tick
ENDED = (
    "the server ended in the middle of it. Either the new version could not start, then the workers answer on until a\n"
    "start succeeds, or it was told to end; its log says which"
)

Json = dict[str, Any]


def run(args: argparse.Namespace) -> int:
    client = Client(args.control)
    asked = client.post("/upgrade", {})
    outcome = _wait(client, asked["id"], asked["pids"]["supervisor"])
    done = outcome["state"] == "done"
    told = {
        "ok": done,
        "state": outcome["state"],
        "from": asked["from"],
        "to": outcome.get("to"),
        "seconds": outcome.get("seconds"),
        "before": asked["pids"],
        "after": outcome.get("pids") if done else None,
        "why": outcome.get("why", ""),
    }
    if args.json:
        print(json.dumps(told, indent=2))
    elif done:
        print(_words(told))
    if not done:
        print(_failure(told), file=sys.stderr)
    return FINE if done else PROBLEMS


def _wait(client: Client, ident: str, supervisor: int) -> Json:
    """What became of it. Control is away for a moment in the middle: that is no end."""
    began = heard = time.monotonic()
    while True:
        time.sleep(LOOK)
        now = time.monotonic()
        try:
            found = client.get("/upgrade")
        except Unreachable as error:
            if _is_gone(supervisor):
                return {"state": "failed", "why": ENDED}
            if now - heard > SILENCE:
                raise Unreachable(
                    f"the upgrade began, but control has not come back for {SILENCE:g} s ({error}). The workers answer "
                    f"on with what they know; the server's log says more"
                ) from error
            continue
        heard = now
        if found.get("id") != ident:
            return {"state": "failed", "why": "the server was started anew meanwhile; the log says more"}
        last = str(found.get("state"))
        if last in ("done", "refused", "failed"):
            return found
        if last == "asked" and now - began > UNHEARD:
            return {"state": "failed", "why": "the supervisor does not take the question up; the log may say more"}


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # another user's, and there
    return False


def _words(told: Json) -> str:
    before, after = told["before"], told["after"]
    versions = f"{clean(told['from'])} -> {clean(told['to'])}"
    if told["from"] == told["to"]:
        versions = f"to the same version, {clean(told['to'])},"
    workers = " -> ".join(" ".join(str(pid) for pid in one["workers"]) for one in (before, after))
    return (
        f"upgraded {versions} in {told['seconds']:.1f} s\n"
        f"  supervisor {after['supervisor']} (the same process)\n"
        f"  control    {before['control']} -> {after['control']}\n"
        f"  workers    {workers}"
    )


def _failure(told: Json) -> str:
    why = "\n".join(clean(line) for line in str(told["why"]).splitlines())
    if told["state"] == "refused":
        return f"rrdns: no upgrade: {why}\nrrdns: version {clean(told['from'])} serves on"
    return f"rrdns: the upgrade failed: {why}"
