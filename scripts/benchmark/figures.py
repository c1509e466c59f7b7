"""What is measured, what was wanted, and whether it was reached; the tables and the JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `must` and `aim` are bounds: upper ones, unless `at_least`. Without them it is only printed."""

    what: str
    value: float | None
    unit: str = ""
    must: float | None = None
    aim: float | None = None
    at_least: bool = False
    note: str = ""

    def reaches(self, bound: float) -> bool:
        if self.value is None:
            return False
        return self.value >= bound if self.at_least else self.value <= bound

    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.must is None:
            return ""
        if self.aim is not None and self.reaches(self.aim):
            return "ok, aim reached"
        if self.reaches(self.must):
            return "ok"
        off = abs(self.value - self.must) / self.must * 100 if self.must else abs(self.value)
        return f"SHORT by {number(off)} %" if self.must else f"SHORT by {off:.3g} {self.unit}"


@dataclass(slots=True)
class Row:
    """The figures of one module; `details` is all that was measured on the way, for the JSON."""

    name: str
    title: str
    figures: list[Figure] = field(default_factory=list)
    table: list[list[str]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, what: str, value: float | None, unit: str = "", must: float | None = None, aim: float | None = None,
            at_least: bool = False, note: str = "") -> None:  # fmt: skip
        self.figures.append(Figure(what, value, unit, must, aim, at_least, note))


def number(value: float | None) -> str:
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def columns(rows: list[list[str]]) -> Iterable[str]:
    """Text columns: the first to the left, the rest to the right."""
    if not rows:
        return
    widths = [max(len(row[at]) for row in rows if at < len(row)) for at in range(max(map(len, rows)))]
    for row in rows:
        cells = (cell.rjust(widths[at]) if at else cell.ljust(widths[at]) for at, cell in enumerate(row))
        yield "  ".join(cells).rstrip()


def text(row: Row) -> str:
    lines = [f"== {row.name}: {row.title}", *columns(row.table)]
    judged = [["figure", "measured", "must reach", "aim", "verdict"]]
    for one in row.figures:
        sign = ">=" if one.at_least else "<="
        bounds = [
            "" if bound is None else f"{sign} {number(bound)} {one.unit}".rstrip() for bound in (one.must, one.aim)
        ]
        judged.append([one.what, f"{number(one.value)} {one.unit}".rstrip(), *bounds, one.verdict() or one.note])
    if row.figures:
        lines += ["" if row.table else None, *columns(judged)]  # type: ignore[list-item]
    lines += [f"  {note}" for note in row.notes]
    return "\n".join(line for line in lines if line is not None) + "\n"


def as_json(row: Row) -> dict[str, Any]:
    found = asdict(row)
    for one, figure in zip(found["figures"], row.figures, strict=True):
        one["verdict"] = figure.verdict()
    del found["table"]
    return found
