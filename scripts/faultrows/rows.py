"""The rows and their verdicts: what was measured, what was wanted. Must not know how a fault is made."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

FAMILIES = (
    *("load", "processes", "reloads", "disk", "clocks", "checker", "members", "directors"),
    *("packets", "slow", "network", "walls"),
)
LAST = 29


class Skip(Exception):
    """Cannot be done on this machine, and why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One figure. `most`, `least`: bounds; both None: only told. `timing`: depends on how quiet the machine is."""

    what: str
    value: float
    unit: str = ""
    most: float | None = None
    least: float | None = None
    timing: bool = False

    @property
    def ok(self) -> bool:
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    def __str__(self) -> str:
        text = f"{self.what} {number(self.value)}{' ' + self.unit if self.unit else ''}"
        if self.ok:
            return text
        bound = f"<= {number(self.most)}" if self.most is not None else f">= {number(self.least or 0)}"
        return f"{text} (wanted {bound})"


@dataclass(slots=True)
class Finding:
    """What a row found. `others`: name of a server -> what it did in the same test here."""

    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def at_most(self, what: str, value: float, bound: float, unit: str = "", *, timing: bool = False) -> None:
        self.checks.append(Check(what, value, unit, most=bound, timing=timing))

    def at_least(self, what: str, value: float, bound: float, unit: str = "", *, timing: bool = False) -> None:
        self.checks.append(Check(what, value, unit, least=bound, timing=timing))

    def all_of(self, what: str, good: int, total: int) -> None:
        """`good` of `total`; all of them are wanted."""
        self.checks.append(Check(f"{what} (of {total})", good, least=total))

    def told(self, what: str, value: float, unit: str = "") -> None:
        self.checks.append(Check(what, value, unit))

    @property
    def verdict(self) -> str:
        return "ok" if all(check.ok for check in self.checks) else "SHORT"

    def misbehaved(self) -> list[str]:
        """The checks that failed and have nothing to do with time."""
        return [str(check) for check in self.checks if not check.ok and not check.timing]


@dataclass(frozen=True, slots=True)
class Run:
    """How much: `seconds` for a row that lasts as long as it is told to, `scale` of counts."""

    seconds: float = 20.0
    rate: float = 500.0
    scale: float = 1.0
    peers: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    title: str
    target: str
    function: Callable[[Run], Finding]
    quick: bool = True
    """Belongs to a run without arguments: done within half a minute or so."""
    others: Mapping[str, str] = field(default_factory=dict)
    """What other servers did, as quoted from an earlier measurement on another machine."""


ROWS: dict[str, Row] = {}


def row(
    id: str, title: str, target: str, *, quick: bool = True, **others: str
) -> Callable[[Callable[[Run], Finding]], Callable[[Run], Finding]]:
    def register(function: Callable[[Run], Finding]) -> Callable[[Run], Finding]:
        assert id not in ROWS, f"{id} twice"
        ROWS[id] = Row(id, title, target, function, quick, others)
        return function

    return register


def load() -> dict[str, Row]:
    """Every row there is, in order."""
    for name in FAMILIES:
        importlib.import_module(f"faultrows.{name}")
    return {id: ROWS[id] for id in sorted(ROWS, key=_order)}


def missing() -> list[str]:
    """Ids that have no row yet."""
    return [f"R{at}" for at in range(1, LAST + 1) if f"R{at}" not in load()]


def _order(id: str) -> tuple[int, str]:
    found = re.match(r"R(\d+)", id)
    return (int(found[1]) if found else 1000, id)


def number(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
