"""One scrolled list of a page of `rrdns top`: a heading, the rows in sight, the cursor. Pure.

rich measures whatever it is given, and so do we: only rows in sight are made into cells. So that columns stay where
they are while one scrolls, a list can name `widest` cells to be measured with them. Must not know: what the rows say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rrdns.ui.console import WEAK, Cell, Column, Line, fit, head_text, lay_out, row_text, styled
from rrdns.ui.view import View

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """`pool_of` says which pool Enter would open at a row."""

    name: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    cells: Callable[[Row], list[Cell]]
    pool_of: Callable[[Row], str] = lambda row: ""
    widest: Sequence[str] = ()
    nothing: str = "none"

    def under(self, view: View) -> str:
        at = view.at.get(self.name, 0)
        return self.pool_of(self.rows[at]) if view.pane == self.name and 0 <= at < len(self.rows) else ""

    def lines(self, view: View, width: int, height: int) -> list[Line]:
        """The heading with the part in sight, and at most `height` rows; `view` is already placed."""
        first = view.top.get(self.name, 0)
        cells = [self.cells(row) for row in self.rows[first : first + height]]
        ruler = [[(text, "") for text in (*self.widest, *[""] * (len(self.columns) - len(self.widest)))]]
        widths = lay_out(self.columns, cells + ruler, width)
        heading = head_text(self.columns, widths)
        chosen = view.pane == self.name
        if chosen:
            heading.stylize("bold not dim underline")
        if len(cells) < len(self.rows):
            part = f" {first + 1}-{first + len(cells)} of {len(self.rows)} "
            heading = fit(fit(heading, width - len(part), pad=True).append(part, WEAK), width)
        if not self.rows and height > 0:
            why = "nothing matches" if view.filter else "no problem" if view.problems else self.nothing
            return [heading, styled((f"({why})", WEAK))]
        lines = [heading, *(row_text(self.columns, widths, row) for row in cells)]
        at = view.at.get(self.name, 0) - first + 1
        if chosen and 0 < at < len(lines):
            line = fit(lines[at], width, pad=True)
            line.stylize("reverse")
        return lines


def shared(free: int, *wanted: tuple[int, int]) -> list[int]:
    """How `free` lines are divided among lists that want (rows, the most parts of 12): what one does not need goes to
    the last, then to the first."""
    given = [min(rows, max(1, free * parts // 12)) for rows, parts in wanted]
    for index in (len(given) - 1, *range(len(given) - 1)):
        given[index] += max(0, min(wanted[index][0] - given[index], free - sum(given)))
    return [max(0, min(one, free - sum(given[:index]))) for index, one in enumerate(given)]
