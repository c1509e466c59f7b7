"""What is kept of host names: the journal's rows of what resolvers said, and the last good sets that a restart needs.

Into the journal goes what is new. A good answer that only says the same again is noted when it turns out to have been
the last one before a fault, at its own time, so that a reader knows how old the good set was. Pure.
Must not know: sqlite, how the roster decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from ipaddress import ip_address
from typing import Any

from rrdns.recorded import Input
from rrdns.resolution import Resolution
from rrdns.roster.names import KeptNames
from rrdns.roster.resolved import Found

Json = dict[str, Any]
SHOWN = 8


class NameJournal:
    """`news` gives what to note of one look, with the time it is noted at."""

    def __init__(self) -> None:
        self._said: dict[str, Resolution] = {}
        self._again: dict[str, float] = {}
        """When a good answer that is noted was heard again last."""

    def news(self, name: str, said: Resolution, now: float) -> Iterator[tuple[float, Json]]:
        before = self._said.get(name)
        if before is not None and _same(before, said):
            self._again[name] = now
            return
        self._said[name] = said
        heard = self._again.pop(name, None)
        if before is not None and heard is not None and not _failed(before):
            yield heard, row(before)
        yield now, row(said)


def _failed(said: Resolution) -> bool:
    return isinstance(said.v4, str) or isinstance(said.v6, str)


def _same(one: Resolution, other: Resolution) -> bool:
    """Resolvers turn the order."""
    return all(_plain(a) == _plain(b) for a, b in ((one.v4, other.v4), (one.v6, other.v6)))


def _plain(said: tuple[str, ...] | str) -> object:
    return said if isinstance(said, str) else sorted(said)


def row(said: Resolution) -> Json:
    return asdict(said)


def said_of(data: Mapping[str, Any]) -> Resolution:
    """A row, read back."""
    return Resolution(*[one if isinstance(one, str) else tuple(map(str, one)) for one in (data["v4"], data["v6"])])


# ---------------------------------------------------------------- a picture of all of it


def pictured(found: Mapping[str, Found], now: float) -> Json:
    """What is known of all names, for the journal."""
    return {
        name: {"sets": [list(each) for each in one.sets], "age": now - one.at, "faults": list(one.faults)}
        for name, one in found.items()
        if one.addresses or one.asked
    }


def of_picture(data: Mapping[str, Any], now: float) -> tuple[KeptNames, dict[str, Resolution]]:
    """The last good sets, and what to hear after the load, so that it is known why they are old."""
    kept = {name: (tuple(one["sets"][0]), tuple(one["sets"][1]), now - float(one["age"])) for name, one in data.items()}
    heard = {
        name: Resolution(*[fault or tuple(each) for fault, each in zip(one["faults"], one["sets"], strict=True)])
        for name, one in data.items()
        if any(one["faults"])
    }
    return kept, heard


def never_resolved(wanted: Iterable[str], inputs: Iterable[Input]) -> str:
    """A sentence on the names of which a journal says nothing; "" where there are none."""
    told = {one.name for one in inputs if one.kind == "name"}
    told |= {name for one in inputs if one.kind == "picture" for name in one.data.get("names", {})}
    missing = sorted(set(wanted) - told)
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    names = ", ".join(missing[:SHOWN]) + more
    return f"not resolved in that time, so their members have no address here: {names}" if missing else ""


# ---------------------------------------------------------------- over a restart

NAMES = "names"
"""The store's key of what `names_text` gives."""


def names_text(kept: KeptNames, mono: float, wall: float) -> str:
    return json.dumps({name: [v4, v6, wall - max(0.0, mono - at)] for name, (v4, v6, at) in kept.items()})


def names_of(text: str | None, mono: float, wall: float) -> tuple[KeptNames, str]:
    """Last good sets as they were kept, on today's clock; and what is wrong with them, in words."""
    found: dict[str, tuple[tuple[str, ...], tuple[str, ...], float]] = {}
    try:
        for name, (v4, v6, at) in json.loads(text or "{}").items():
            sets = [tuple(str(ip_address(str(one))) for one in each) for each in (v4, v6)]
            found[str(name)] = sets[0], sets[1], mono - max(0.0, wall - float(at))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        return {}, f"the addresses of members' names could not be understood ({error}); they are resolved anew"
    return found, ""
