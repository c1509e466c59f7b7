"""The door to rich: the only module that imports it. Consoles, the styles of states, and columns that fit a width.

rich's own Table measures every cell of every row (0.8 s for 500 rows); `lay_out` measures with len() where it can
and cuts only what is drawn. Must not know: what the server says, keys, refreshing.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from rich.live import Live

PIPE_WIDTH = 4000  # nothing is cut when the reader is a program

STYLES = {
    "up": "green",
    "ok": "green",
    "serving": "green",
    "degraded": "yellow",
    "unknown": "yellow",
    "fault": "yellow",
    "stale": "bold red",
    "drained": "cyan",
    "disabled": "cyan",
    "starting": "yellow",
    "panic": "bold red",
    "down": "bold red",
    "gone": "bold red",
    "hung": "bold red",
    "refused": "bold red",
    "failing": "bold red",
}
TITLE = "bold"
HEAD = "dim"
ALARM = "bold white on red"
WARN = "black on yellow"
WEAK = "dim"

Cell = tuple[str, str]  # text and style
Line = Text


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """rich would exit 1 here; cli.main knows better."""
        raise BrokenPipeError


def out(file: IO[str] | None = None) -> Console:
    """A console for one answer: no wrapping surprises in pipes, no colour there either (NO_COLOR is rich's matter)."""
    stream = file or sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return _Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def live(console: Console) -> Live:
    """A full screen that is drawn when told to, and put back on exit."""
    from rich.live import Live

    return Live(
        Text(""), console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
    )


def state_style(state: str) -> str:
    return STYLES.get(state, "")


def styled(*pieces: Cell | str) -> Text:
    """A line of pieces, each plain or (text, style)."""
    return Text.assemble(*pieces, no_wrap=True, overflow="crop", end="")


def joined(lines: Sequence[Text]) -> Text:
    """Lines as one text, for a screen."""
    return Text("\n", no_wrap=True, overflow="crop", end="").join(lines)


def width_of(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def cut(text: str, width: int) -> str:
    """Exactly `width` cells: padded, or cut with an ellipsis."""
    size = width_of(text)
    if size <= width:
        return text + " " * (width - size)
    return set_cell_size(text, width - 1) + "…" if width > 1 else set_cell_size(text, width)


def fit(line: Text, width: int, pad: bool = False) -> Text:
    """The line cut to `width` cells, or also padded to it (for a coloured bar)."""
    line.truncate(width, overflow="ellipsis" if line.cell_len > width else "crop", pad=pad)
    return line


@dataclass(frozen=True, slots=True)
class Column:
    """`least`: may shrink to so many cells (0: never shrinks). `drop`: left out where room is short, highest first
    (0: never). `grow`: takes the room that is left. `fold`: a long text goes on below (in `table`)."""

    title: str
    right: bool = False
    least: int = 0
    drop: int = 0
    grow: bool = False
    fold: bool = False


def lay_out(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], width: int, gap: int = 1) -> list[int]:
    """The width of each column, 0 for one that is left out; together with the gaps never over `width`."""
    natural = [width_of(column.title) for column in columns]
    for row in rows:
        for index, (text, _) in enumerate(row):
            if len(text) > natural[index] or not text.isascii():
                natural[index] = max(natural[index], width_of(text))
    kept = set(range(len(columns)))
    while True:
        widths = [natural[index] if index in kept else 0 for index in range(len(columns))]
        short = sum(widths) + gap * (len(kept) - 1) - width
        _shrink(widths, columns, short)
        short = sum(widths) + gap * (len(kept) - 1) - width
        droppable = [index for index in kept if columns[index].drop]
        if short <= 0 or not droppable:
            break
        kept.discard(max(droppable, key=lambda index: columns[index].drop))
    _grow(widths, columns, -short)
    return widths


def _shrink(widths: list[int], columns: Sequence[Column], short: int) -> None:
    """Takes `short` cells from the columns that may shrink, always from the widest."""
    while short > 0:
        able = [i for i, column in enumerate(columns) if column.least and widths[i] > column.least]
        if not able:
            return
        widest = max(able, key=lambda i: widths[i])
        others = [widths[i] for i in able if i != widest]
        step = min(short, widths[widest] - max(columns[widest].least, max(others, default=0)))
        widths[widest] -= max(1, step)
        short -= max(1, step)


def _grow(widths: list[int], columns: Sequence[Column], spare: int) -> None:
    for index, column in enumerate(columns):
        if column.grow and widths[index] and spare > 0:
            widths[index] += spare
            return


def row_text(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[Cell], gap: int = 1) -> Text:
    """One row as a line of exactly the laid out width, without trailing blanks."""
    line = Text(no_wrap=True, overflow="crop", end="")
    last = max((index for index, width in enumerate(widths) if width), default=0)
    for index, (column, width, (text, style)) in enumerate(zip(columns, widths, cells, strict=True)):
        if not width:
            continue
        size = width_of(text)
        if column.right and size < width:
            line.append(" " * (width - size))
            line.append(text, style)
        elif index == last and size <= width:
            line.append(text, style)
        else:
            line.append(cut(text, width), style)
        if index != last:
            line.append(" " * gap)
    return line


def head_text(columns: Sequence[Column], widths: Sequence[int], gap: int = 1) -> Text:
    return row_text(columns, widths, [(column.title, HEAD) for column in columns], gap)


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int, gap: int = 2) -> list[Text]:
    """A heading and all rows, for one printed answer."""
    widths = lay_out(columns, rows, width, gap)
    lines = [head_text(columns, widths, gap)]
    for row in rows:
        lines += [row_text(columns, widths, part, gap) for part in _folded(columns, widths, row)]
    return lines


def _folded(columns: Sequence[Column], widths: Sequence[int], row: Sequence[Cell]) -> Iterable[Sequence[Cell]]:
    """The row, and below it the rests of cells that fold."""
    while True:
        rests = list(row)
        for index, (column, width, (text, style)) in enumerate(zip(columns, widths, row, strict=True)):
            rests[index] = ("", "")
            if column.fold and 0 < width < width_of(text):
                here = textwrap.wrap(text, width)[0]
                row = [*row[:index], (here, style), *row[index + 1 :]]
                rests[index] = (text[len(here) :].strip(), style)
        yield row
        if not any(text for text, _ in rests):
            return
        row = rests


def write(console: Console, lines: Iterable[Text]) -> None:
    """Prints lines; on a terminal long ones fold, in a pipe nothing is cut."""
    for line in lines:
        line.no_wrap, line.overflow = not console.is_terminal, "fold"
        line.end = "\n"
        console.print(line)
