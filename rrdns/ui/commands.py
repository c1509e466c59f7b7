"""The small commands: overrides, reload, import, export, schema, version. Each does one thing and says what it did.

Must not know: how the server does it, how files are parsed or written.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rrdns.texts import clean, duration, plural
from rrdns.ui.client import Client, Refused
from rrdns.ui.config import ConfigError

FINE, PROBLEMS, USAGE, NOT_SAVED = 0, 1, 2, 4
EXPORT_TIMEOUT = 60.0
OVERRIDE_TIMEOUT = 15.0  # the server waits for its disk
RELOAD_TIMEOUT = 120.0  # a large directory takes its time, and the answer waits for it

_DONE = {
    "drain": "drained",
    "disable": "disabled",
    "enable": "enabled",
    "force-up": "forced up, whatever their checks say,",
    "weight": "weight changed",
}


def override(args: argparse.Namespace) -> int:
    """drain, disable, enable, force-up, weight."""
    asked = {
        "members": args.members,
        "word": args.word,
        "for": getattr(args, "duration", None),
        "reason": args.reason,
        "force": getattr(args, "force", False),
    }
    if args.word == "weight":
        asked["weight"] = args.weight
    answer = Client(args.control).post("/override", asked, OVERRIDE_TIMEOUT)
    saved = answer.get("saved", True)
    if args.json:
        print(json.dumps(answer, indent=2))
    else:
        changed = [clean(name) for name in answer.get("changed", ())]
        left = f" for {duration(asked['for'])}" if asked["for"] else ""
        same = "nothing to enable: no override stands" if args.word == "enable" else "already so"
        print(f"{_DONE[args.word]}{left}: {', '.join(changed)}" if changed else same)
    if not saved:
        not_saved()
        return NOT_SAVED
    return FINE


def not_saved() -> None:
    print("rrdns: in force, NOT saved: a restart would forget it; see `rrdns status` for why", file=sys.stderr)


def reload(args: argparse.Namespace) -> int:
    try:
        answer: Mapping[str, Any] = Client(args.control).post("/reload", {"force": args.force}, RELOAD_TIMEOUT)
    except Refused as error:
        if "problems" not in error.body:
            raise
        answer = error.body
    fine = bool(answer.get("ok"))
    done = FINE if answer.get("saved", True) else NOT_SAVED
    if args.json:
        print(json.dumps(answer, indent=2))
        return done if fine else PROBLEMS
    problems = [clean(problem) for problem in answer.get("problems", ())]
    for problem in problems:
        print(problem)
    if fine:
        print(f"reloaded: {_changed(answer.get('changed') or {})}")
        if done == NOT_SAVED:
            not_saved()
        return done
    said = clean(answer.get("error") or f"{plural(len(problems), 'problem')}")
    print(f"rrdns: refused ({said}); what was in force before stays in force", file=sys.stderr)
    return PROBLEMS


def _changed(changed: Mapping[str, Any]) -> str:
    """`zones 1, names 3`, or `nothing changed`."""
    words = [f"{clean(what)} {_amount(amount)}" for what, amount in changed.items() if amount]
    return ", ".join(words) or "nothing changed"


def _amount(amount: object) -> str:
    if isinstance(amount, list | tuple):
        return " ".join(clean(one) for one in amount[:10]) + (
            f" and {len(amount) - 10} more" if len(amount) > 10 else ""
        )
    return clean(amount)


# ---------------------------------------------------------------- files in and out


def import_files(args: argparse.Namespace) -> int:
    from rrdns.ui import gdnsd_import, importer

    out = Path(args.out) if args.out else None
    told = args.source or ("gdnsd" if gdnsd_import.is_folder(args.files[0]) else "bind")
    if told == "gdnsd":
        return gdnsd_import.import_gdnsd(args.files, out, args.force)
    return importer.import_files(args.files, out, args.origin, args.force)


def export(args: argparse.Namespace) -> int:
    """From the running server, or from files with every member taken to be up."""
    texts = _of_files(str(args.zones)) if args.zones else _of_server(Client(args.control, EXPORT_TIMEOUT))
    if args.json:
        print(json.dumps({"zones": texts}, indent=2))
        return FINE
    if args.out:
        return _write_all(Path(args.out), texts)
    for index, text in enumerate(texts.values()):
        print("\n" * bool(index) + text, end="")
    return FINE


def _of_server(client: Client) -> dict[str, str]:
    """The server gives records as hex, so that the words for them are in one place."""
    from rrdns import wire
    from rrdns.model import RRset, Zone
    from rrdns.ui import exporter

    texts = {}
    for name, zone in client.get("/export").get("zones", {}).items():
        rrsets = tuple(
            RRset(bytes.fromhex(owner), int(rtype), int(ttl), tuple(bytes.fromhex(data) for data in rdatas))
            for owner, rtype, ttl, rdatas in zone["rrsets"]
        )
        head = f"{name} as rrdns answers at {time.strftime('%Y-%m-%d %H:%M:%S %z')}"
        texts[name] = exporter.master_file(Zone(wire.name_from_text(name).lower(), 0, rrsets), {}, head)
    return texts


def _of_files(folder: str) -> dict[str, str]:
    from rrdns import zonefile
    from rrdns.control import files
    from rrdns.model import Result
    from rrdns.roster.roster import Roster
    from rrdns.ui import exporter
    from rrdns.wire import name_to_text

    read = files.read(folder)
    loaded = zonefile.load(read.files, read.mtimes)
    problems = sorted({*read.problems, *loaded.problems})
    if loaded.dataset is None or any(not problem.warning for problem in problems):
        raise ConfigError("there is nothing to export:\n" + "\n".join(str(one) for one in problems if not one.warning))
    roster = Roster()
    roster.load(loaded.dataset, 0.0)
    for key in roster.targets():
        roster.note(key, Result(True, "taken to be up"), 0.0)
    roster.flush(0.0)
    head = f"from {folder}, all members taken to be up"
    zones = {name_to_text(name): zone for name, zone in loaded.dataset.zones.items()}
    return {name: exporter.master_file(zone, roster.answers, head) for name, zone in zones.items()}


def _write_all(folder: Path, texts: Mapping[str, str]) -> int:
    """One file a zone, named for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            target = folder / f"{name.rstrip('.').replace('/', '-') or 'root'}.zone"
            fresh = target.with_name(f".{target.name}.new")
            fresh.write_text(text)
            fresh.replace(target)
            print(f"{name} -> {target}")
    except OSError as error:
        raise ConfigError(f"{error.filename or folder} can't be written: {error.strerror}") from error
    return FINE


def schema(args: argparse.Namespace) -> int:
    from rrdns import zonefile

    whole = zonefile.schema()
    print(json.dumps(whole[args.kind] if args.kind else whole, indent=2))
    return FINE


def version(args: argparse.Namespace) -> int:
    import platform
    from importlib import metadata

    from rrdns import __version__

    used: dict[str, str] = {}
    for name in ("aiodns", "dnslib", "PyYAML", "rich", "pydantic", "aiohttp", "dnspython", "watchfiles", "uvloop"):
        try:
            used[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            used[name] = "missing"
    if args.json:
        print(json.dumps({"rrdns": __version__, "python": platform.python_version(), "libraries": used}, indent=2))
        return FINE
    print(f"rrdns {__version__} (Python {platform.python_version()}, {platform.system()} {platform.machine()})")
    print(", ".join(f"{name} {number}" for name, number in used.items()))
    return FINE
