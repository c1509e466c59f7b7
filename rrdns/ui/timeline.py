"""What members were in the course of time, drawn: lines of a terminal, or an SVG picture. Pure.

A terminal's cell and a picture's shortest bar stand for some time; where more than one thing happened in it, the worst
is shown. Must not know: where the spans come from.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from rrdns.texts import clean, duration
from rrdns.ui.console import WEAK, Cell, Line, cut, styled

WORST = ("unknown", "answered", "standby", "gone", "withheld", "dead")
SIGNS: dict[str, Cell] = {
    "answered": ("━", "green"),
    "standby": ("─", "cyan"),
    "gone": ("·", "dim"),
    "withheld": ("▒", "yellow"),
    "dead": ("█", "red"),
    "unknown": (" ", ""),
}
MEANINGS = {
    "answered": "answered",
    "dead": "dead, and answered",
    "withheld": "alive, and withheld",
    "gone": "dead, and out",
    "standby": "out on purpose",
}
COLOURS = {
    "answered": "#3fa34d",
    "standby": "#5b9bd5",
    "gone": "#c9ced6",
    "withheld": "#f2b134",
    "dead": "#d62839",
}
TICKS = 5
DECIDING = 0.1  # seconds that a decision takes: nobody is withheld by it
FLEETING = 1.0  # seconds; of less a timeline shows nothing by itself
LABEL = 26


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the drawing. `spans`: (begin, end, kind), in seconds of the axis. `pool`: a heading where it
    changes; `faint`: it goes on from the row above."""

    pool: str
    label: str
    spans: tuple[tuple[float, float, str], ...]
    faint: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """From when to when, and the wall time of its beginning."""

    begin: float
    end: float
    wall: float

    def ticks(self, count: int = TICKS) -> Iterator[tuple[float, str]]:
        """Shares of the axis and their moments in words."""
        long = self.end - self.begin > 2 * 86400
        for number in range(count):
            share = number / (count - 1)
            moment = time.localtime(self.wall + share * (self.end - self.begin))
            yield share, time.strftime("%a %d. %H:%M" if long else "%H:%M:%S", moment)


def spans_of(turns: Sequence[tuple[float, str]], axis: Axis) -> tuple[tuple[float, float, str], ...]:
    """Spans within the axis, of moments at which something became something."""
    found = []
    for index, (at, kind) in enumerate(turns):
        end = turns[index + 1][0] if index + 1 < len(turns) else axis.end
        begin, end = max(at, axis.begin), min(end, axis.end)
        if end > begin and kind != "unknown" and (kind != "withheld" or end - begin > DECIDING):
            found.append((begin, end, kind))
    return tuple(found)


# ---------------------------------------------------------------- a terminal


def lines(rows: Sequence[Row], axis: Axis, width: int) -> Iterator[Line]:
    """A heading for each pool, a line for each row, the time below."""
    room = max(20, min(width, 160) - LABEL - 1)
    pool = None
    for row in rows:
        if row.pool != pool:
            pool = row.pool
            yield styled((f"{clean(pool)}", "bold"))
        cells = [SIGNS[kind] for kind in _cells(row, axis, room)]
        yield styled((cut(f"  {clean(row.label)}", LABEL) + " ", WEAK if row.faint else ""), *_joined(cells))
    marks, at = "", 0
    for share, text in axis.ticks():
        place = min(round(share * room), room - len(text))
        if place >= at:
            marks += " " * (place - at) + text + " "
            at = place + len(text) + 1
    yield styled((" " * (LABEL + 1) + marks, WEAK))
    legend: list[Cell | str] = ["  "]
    for kind, meaning in MEANINGS.items():
        legend += [SIGNS[kind], f" {meaning}   "]
    yield styled(*legend, (f"one column is {duration((axis.end - axis.begin) / room)}", WEAK))


def _cells(row: Row, axis: Axis, room: int) -> list[str]:
    """The worst of each cell's time."""
    ranks = [0] * room
    scale = room / max(1e-9, axis.end - axis.begin)
    for begin, end, kind in row.spans:
        first = int((begin - axis.begin) * scale)
        last = max(first, int((end - axis.begin) * scale - 1e-9))
        rank = WORST.index(kind)
        for index in range(max(0, first), min(room - 1, last) + 1):
            ranks[index] = max(ranks[index], rank)
    return [WORST[rank] for rank in ranks]


def _joined(cells: Sequence[Cell]) -> Iterator[Cell]:
    """Neighbours of one style as one piece."""
    text, style = "", ""
    for sign, look in cells:
        if look != style and text:
            yield text, style
            text = ""
        text, style = text + sign, look
    yield text, style


# ---------------------------------------------------------------- a picture


BAR, GAP, SIDE, WIDE = 16, 6, 210, 1100
CHARACTERS = 165  # of a remark, in a line of the picture


def svg(rows: Sequence[Row], axis: Axis, title: str, remarks: Sequence[str] = ()) -> str:
    """A picture that stands by itself; hovering over a bar tells what it was, and for how long."""
    body: list[str] = []
    y, pool = 64, None
    scale = (WIDE - SIDE - 20) / max(1e-9, axis.end - axis.begin)
    top = y
    for number, row in enumerate(rows):
        if row.pool != pool:
            pool = row.pool
            y += 14
            body.append(f'<text x="12" y="{y + 8}" class="pool">{escape(clean(pool))}</text>')
            y += 18
        style = "faint" if row.faint else "member"
        body.append(f'<text x="24" y="{y + 12}" class="{style}">{escape(clean(row.label))}</text>')
        body.append(f'<rect x="{SIDE}" y="{y}" width="{WIDE - SIDE - 20}" height="{BAR}" class="ground"/>')
        for begin, end, kind in sorted(row.spans, key=lambda one: WORST.index(one[2])):
            x, width = SIDE + (begin - axis.begin) * scale, max(0.8, (end - begin) * scale)
            moment = time.strftime("%a %d. %H:%M:%S", time.localtime(axis.wall + begin - axis.begin))
            told = f"{row.label}: {MEANINGS.get(kind, kind)} for {duration(end - begin)} from {moment}"
            body.append(
                f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{COLOURS[kind]}">'
                f"<title>{escape(clean(told))}</title></rect>"
            )
        y += BAR + (2 if not row.faint and number + 1 < len(rows) and rows[number + 1].faint else GAP)
    for share, text in axis.ticks():
        x = SIDE + share * (WIDE - SIDE - 20)
        anchor = "start" if share == 0 else "end" if share == 1 else "middle"
        body.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{y}" class="tick"/>')
        body.append(f'<text x="{x:.1f}" y="{y + 16}" text-anchor="{anchor}" class="time">{escape(text)}</text>')
    x = SIDE
    for kind, meaning in MEANINGS.items():
        body.append(f'<rect x="{x}" y="38" width="12" height="12" fill="{COLOURS[kind]}"/>')
        body.append(f'<text x="{x + 17}" y="48" class="time">{escape(meaning)}</text>')
        x += 40 + 7 * len(meaning)
    below = [line for remark in remarks for line in textwrap.wrap(clean(remark), CHARACTERS, subsequent_indent="  ")]
    for number, remark in enumerate(below):
        body.append(f'<text x="12" y="{y + 40 + 17 * number}" class="time">{escape(remark)}</text>')
    height = y + 44 + 17 * len(below)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {height}" width="{WIDE}" height="{height}"'
        ' font-family="system-ui, sans-serif">'
        "<style>text{fill:#24292f}.title{font-size:17px;font-weight:600}.pool{font-size:14px;font-weight:600}"
        ".member{font-size:12px}.faint,.time{font-size:12px;fill:#6a737d}.ground{fill:#f3f4f6}"
        ".tick{stroke:#24292f;stroke-opacity:.12}</style>"
        f'<rect width="{WIDE}" height="{height}" fill="#ffffff"/>'
        f'<text x="12" y="26" class="title">{escape(clean(title))}</text>{"".join(body)}</svg>\n'
    )
