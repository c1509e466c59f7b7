"""What is kept of what directors say: the journal's rows of it, and the members that a restart needs. Pure.

Into the journal goes what is new in a table and can decide who serves. Connections change at every reading, and have
rows of their own (`counted.py`). Weights alone may change at every reading too: then they are noted now and then. A row
is told by part, name, address and port.
Must not know: sqlite, how the roster decides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from rrdns.model import DirectorTable, Unheard
from rrdns.roster.directors import Kept

WEIGHTS_EVERY, WEIGHTS_AT_ONCE = 30.0, 20
"""Seconds between two rows of weights alone, in the long run; so many may come at once."""

Row = tuple[str, str, str, int]
Said = dict[Row, tuple[str, int | None, bool]]


class ReportJournal:
    """`news` gives what to note of one reading, or None."""

    def __init__(self) -> None:
        self._faults: dict[str, str] = {}
        self._said: dict[str, Said] = {}
        self._masters: dict[str, bool | None] = {}
        self._spare: dict[str, tuple[float, float]] = {}
        """Rows of weights alone that may still be noted, and since when."""
        self._late: set[str] = set()
        self._heard: dict[str, float] = {}
        """When each could be read last: at a fault, readings that said nothing new count from there."""

    def whole(self, now: float) -> dict[str, Any]:
        """What is known of all directors, as `news` would tell it to somebody who knows nothing; of one that can't be
        read now what it said last, and how long ago."""
        found: dict[str, Any] = {}
        for name, said in self._said.items():
            parts = list(dict.fromkeys(row[0] for row in said))
            rows = [[*row, *said[row]] for row in said]
            found[name] = {"rows": rows, "gone": [], "parts": parts, "master": self._masters.get(name)}
        for name, why in self._faults.items():
            found[name] = found.get(name, {}) | self._fault(name, why, now)
        return found

    def news(self, name: str, table: DirectorTable | str, now: float) -> dict[str, Any] | None:
        if isinstance(table, str):
            before = self._faults.get(name)
            self._faults[name] = table
            return self._fault(name, table, now) if before != table else None
        self._heard[name] = now
        ended = self._faults.pop(name, None) is not None
        old, new = self._said.get(name), _said(table)
        first = old is None
        old = old or {}
        gone = [list(row) for row in old if row not in new]
        rows = [row for row, said in new.items() if old.get(row) != said]
        weights_only = not gone and all(row in old and _word(old[row]) == _word(new[row]) for row in rows)
        master = self._masters.get(name) != table.master
        if not (first or ended or master) and weights_only and (not rows or not self._may(name, now)):
            if rows:
                self._late.add(name)
            return None
        late = name in self._late
        self._late.discard(name)
        self._said[name], self._masters[name] = new, table.master
        found: dict[str, Any] = {"rows": [[*row, *new[row]] for row in rows], "gone": gone, "parts": list(table.parts)}
        found |= {"late": True} if late else {}  # weights had changed before, and were not noted
        return found | ({"master": table.master} if table.master is not None or master else {})

    def _may(self, name: str, now: float) -> bool:
        """Whether a change of weights alone may be noted."""
        left, since = self._spare.get(name, (float(WEIGHTS_AT_ONCE), now))
        left = min(float(WEIGHTS_AT_ONCE), left + (now - since) / WEIGHTS_EVERY)
        self._spare[name] = (left - 1 if left >= 1 else left), now
        return left >= 1

    def _fault(self, name: str, why: str, now: float) -> dict[str, Any]:
        """`silent`: nothing came back, which the guard against self-isolation goes by. `heard`: seconds since it could
        be read."""
        found: dict[str, Any] = {"fault": why} | ({"silent": True} if isinstance(why, Unheard) else {})
        return found | ({"heard": round(now - self._heard[name], 4)} if name in self._heard else {})


MEMBERS = "members"
"""The store's key of what `members_text` gives."""


def members_text(kept: Mapping[str, object]) -> str:
    return json.dumps(kept, ensure_ascii=False)


def members_of(text: str | None) -> tuple[Kept, str]:
    """Members and weights by pool, as they were kept; and what is wrong with them, in words."""
    found = {}
    try:
        for pool, rows in json.loads(text or "{}").items():
            found[str(pool)] = [
                (str(name), tuple(str(ip_address(str(one))) for one in addresses), _weight(weight))
                for name, addresses, weight in rows
                if addresses
            ]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        return {}, f"the members that directors told could not be understood ({error})"
    return found, ""


CORRECTIONS = "corrections"
"""The store's key of the weights that were learned from connections: JSON of what `Balancing.kept` gives."""


def corrections_of(text: str | None) -> tuple[dict[str, dict[str, dict[str, float]]], str]:
    """Corrections as they were kept; and what is wrong with them, in words."""
    try:
        found = {
            str(pool): {
                str(kind): {str(name): float(value) for name, value in values.items()} for kind, values in kinds.items()
            }
            for pool, kinds in json.loads(text or "{}").items()
        }
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        return {}, f"the corrections of weights could not be understood ({error})"
    return found, ""


def _weight(number: object) -> int | None:
    return number if isinstance(number, int) and 0 <= number <= 65535 else None


def _said(table: DirectorTable) -> Said:
    return {
        (part, one.server, one.address, one.port): (one.word, one.weight, one.backup)
        for part, reports in table.parts.items()
        for one in reports
    }


def _word(said: tuple[str, int | None, bool]) -> tuple[str, bool, bool]:
    """A weight of 0 is a word."""
    return said[0], said[1] == 0, said[2]
