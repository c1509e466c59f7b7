"""`rrdns import FILE...`: BIND master files become zone YAML, one file per zone. Floor 5.

Must not know: dnspython (`masterfile`), YAML (`zonefile.writer`), how records are answered.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rrdns import __version__, wire
from rrdns.ui.masterfile import Source, read_file
from rrdns.zonefile.naming import yaml_stem
from rrdns.zonefile.writer import zone_yaml


def import_files(paths: Sequence[str | Path], out: Path | None, origin: str | None = None, force: bool = False) -> int:
    """Import every file; 0, or 1 if anything could not be imported, 2 for a request that makes no sense.

    `out` None prints the one zone's YAML. What could not be imported goes to stderr, with file and line.
    """
    if len(paths) != 1 and (out is None or origin is not None):
        what = "--out DIR to write several zones to" if out is None else "--origin with one file only"
        _say(f"import: {len(paths)} files need {what}")
        return 2
    asked = b""
    if origin is not None:
        try:
            asked = wire.name_from_text(origin if origin.endswith(".") else origin + ".").lower()
        except wire.BadName as fault:
            _say(f"import: --origin {origin} {fault}")
            return 2
    failed = False
    done: dict[bytes, str] = {}
    for at, path in enumerate(paths, 1):
        source = read_file(Path(path), asked)
        count = f"[{at}/{len(paths)}] " if len(paths) > 1 else ""
        failed |= not deliver(source, out, force, done, count)
    return int(failed)


def deliver(source: Source, out: Path | None, force: bool, done: dict[bytes, str], count: str) -> bool:
    """Write or print one zone; whether all of the file was imported."""
    target = _place(source, out, force, done) if source.usable else None
    if target is not None or (source.usable and out is None):
        head = [f"Imported from {source.path} by rrdns {__version__}", *source.notes]
        head += [f"NOT imported: {fault}" for fault in source.faults]
        text = zone_yaml(source.zone, source.rrsets, "\n".join(head), yaml_stem(source.zone)[1], source.more)
        try:
            if target is None:
                sys.stdout.write(text)
            else:
                write(target, text)
                done[source.zone] = source.path
        except OSError as error:
            source.faults.append(f"{source.path}: {target or 'stdout'} can't be written: {error.strerror}")
            target = None
    for line in [*source.faults, *(f"{source.path}: {note}" for note in source.notes)]:
        _say(line)
    if target is not None:
        names = len({one.name for one in source.rrsets} | source.more.keys())
        records = sum(len(one.rdatas) for one in source.rrsets) + sum(map(len, source.more.values()))
        zone = wire.name_to_text(source.zone)
        print(f"{count}{source.path} -> {target}: {zone} {names} names, {records} records", flush=True)
    elif out is not None:
        _say(f"{count}{source.path}: nothing written")
    return not source.faults


def _place(source: Source, out: Path | None, force: bool, done: dict[bytes, str]) -> Path | None:
    """The file to write; None, with a fault, where that would lose something, and for standard output."""
    if out is None:
        return None
    target = out / f"{yaml_stem(source.zone)[0]}.yaml"
    if source.zone in done:
        source.faults.append(f"{source.path}: its zone was imported from {done[source.zone]} already")
    elif target.exists() and not force:
        source.faults.append(f"{source.path}: {target} exists already: --force replaces it")
    else:
        return target
    return None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def write(target: Path, text: str) -> None:
    """Whole or not at all: a server may be watching the directory (it reads no file that starts with a dot)."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
