"""What rows of the journal say, and how: files, operators' words, what a target asks. Pure.

Must not know: when they are written, sqlite.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from rrdns.model import Override, Target

Files = tuple[Mapping[str, bytes], Mapping[str, int]]
"""Contents and change times by path."""


def packed(found: Files) -> tuple[str, dict[str, bytes]]:
    """The digest of the list of files, and the list and all contents by digest."""
    contents, mtimes = found
    by_path = {path: hashlib.sha256(data).hexdigest()[:32] for path, data in contents.items()}
    listed = {path: [digest, mtimes.get(path, 0)] for path, digest in sorted(by_path.items())}
    manifest = json.dumps(listed, ensure_ascii=False).encode()
    whole = hashlib.sha256(manifest).hexdigest()[:32]
    return whole, {by_path[path]: data for path, data in contents.items()} | {whole: manifest}


def spoken(word: Override, now: float) -> dict[str, object]:
    """An override as a row has it: its end as seconds from now."""
    found = {name: value for name, value in asdict(word).items() if name not in ("until", "until_wall")}
    return found | {"for": None if word.until is None else word.until - now}


def word_of(said: Mapping[str, Any], now: float) -> Override:
    """An operator's word from its row; what another version wrote besides is let pass."""
    known = {one.name for one in fields(Override)}
    rest = {name: value for name, value in said.items() if name in known}
    until = None if said.get("for") is None else now + float(said["for"])
    return Override(**rest, until=until, until_wall=until)


def about(target: Target) -> str:
    """What the target asks, for a reader whose files have no such check."""
    check = target.check
    facts = {
        "check": check.name, "type": check.type, "port": check.port, "address": target.address,
        "asks": repr((check.type, check.port, check.probe, check.at)), "interval": check.interval,
        "timeout": check.timeout, "fall": check.fall, "rise": check.rise,
    }  # fmt: skip
    return json.dumps(facts, ensure_ascii=False)
