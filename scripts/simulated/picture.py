"""The two questions as an SVG: shares over time without and with the correction, and the busiest host's load. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from simulated.trials import ADDRESSES, MEAN, WINDOW, Loads, Plan, Row, Shares

COLOURS = ("#0a7f5a", "#3b6fb6", "#c2452d", "#c9922a")
KINDS = {"wlc": "#0a7f5a", "argmin": "#c2452d"}
WIDTH, LEFT, RIGHT, HIGH, GAP, HEAD = 860, 56, 16, 170, 58, 62


def draw(plan: Plan, without: Shares, with_: Shares, busy: Sequence[Loads], subtitle: str) -> str:
    height = HEAD + 3 * (HIGH + GAP)
    parts = [_text(12, 22, "Share of clients that really arrive, as a part of the share wanted", 15, weight="bold")]
    parts.append(_text(12, 40, subtitle, 11, "#555"))
    for at in range(len(ADDRESSES)):
        parts.append(f'<rect x="{WIDTH - 300 + at * 72}" y="30" width="10" height="10" fill="{COLOURS[at]}"/>')
        parts.append(_text(WIDTH - 285 + at * 72, 39, f"web{at + 1}", 11))
    for place, (title, found) in enumerate((("correct: false", without), ("correct: true", with_))):
        parts += _shares(HEAD + place * (HIGH + GAP), title, found, plan)
    parts += _loads(HEAD + 2 * (HIGH + GAP), busy)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif">\n<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _shares(top: float, title: str, found: Shares, plan: Plan) -> list[str]:
    """0.4 to 1.6 of the share wanted, the mean of MEAN windows; grey: within a tenth."""
    parts = _frame(top, title, (0.4, 1.6), (0.6, 0.8, 1.0, 1.2, 1.4), (0.9, 1.1))
    for word, window in (("web2 fails", plan.fails), ("web2 returns", plan.returns)):
        x = _x(window, plan.windows)
        parts.append(f'<path d="M{x:.1f} {top + 14}V{top + HIGH}" stroke="#999" stroke-dasharray="3 3"/>')
        parts.append(_text(x + 4, top + 24, word, 10, "#555"))
    for host in range(len(ADDRESSES)):
        line = [(_x(at + 0.5, plan.windows), mean) for at, mean in enumerate(_means(found.relative, host))]
        parts.append(_path(line, top, (0.4, 1.6), COLOURS[host]))
    minutes = plan.windows * WINDOW / 60
    parts += [_text(_x(m, minutes), top + HIGH + 14, f"{m}", 10, "#555", anchor="middle") for m in _steps(minutes)]
    return [*parts, _text(WIDTH - RIGHT, top + HIGH + 28, "minutes", 10, "#555", anchor="end")]


def _means(rows: Sequence[Row], host: int) -> list[float | None]:
    found: list[float | None] = []
    run: list[float] = []
    for row in rows:
        one = row[host]
        run = [] if one is None else [*run, one][-MEAN:]
        found.append(sum(run) / len(run) if run else None)
    return found


def _loads(top: float, busy: Sequence[Loads]) -> list[str]:
    words = ", ".join(f"{one.name} {one.mean:.2f} on average, {one.worst:.2f} at worst" for one in busy)
    parts = _frame(
        top, f"connections of the busiest host over what it is due: {words}", (0.8, 2.6), (1.0, 1.5, 2.0), ()
    )
    for one in busy:
        line = [(_x(at, len(one.rows)), max(row)) for at, row in enumerate(one.rows)]
        parts.append(_path([*line], top, (0.8, 2.6), KINDS.get(one.name, "#777"), 1.2))
    minutes = len(busy[0].rows) / 60
    parts += [_text(_x(m, minutes), top + HIGH + 14, f"{m}", 10, "#555", anchor="middle") for m in _steps(minutes)]
    for at, one in enumerate(busy):
        parts.append(f'<rect x="{LEFT + 8 + at * 72}" y="{top + 20}" width="10" height="10" '
                     f'fill="{KINDS.get(one.name, "#777")}"/>')  # fmt: skip
        parts.append(_text(LEFT + 23 + at * 72, top + 29, one.name, 11))
    return [*parts, _text(WIDTH - RIGHT, top + HIGH + 28, "minutes", 10, "#555", anchor="end")]


def _steps(minutes: float) -> range:
    return range(0, int(minutes) + 1, max(1, round(minutes / 9)))


def _x(at: float, of: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * at / of


def _y(value: float, top: float, span: tuple[float, float]) -> float:
    low, high = span
    return top + 14 + (HIGH - 14) * (1 - (min(high, max(low, value)) - low) / (high - low))


def _frame(
    top: float, title: str, span: tuple[float, float], marks: Sequence[float], band: Sequence[float]
) -> list[str]:
    parts = [_text(LEFT, top + 6, title, 12, weight="bold")]
    if band:
        low, high = (_y(one, top, span) for one in band)
        wide = WIDTH - LEFT - RIGHT
        parts.append(f'<rect x="{LEFT}" y="{high:.1f}" width="{wide}" height="{low - high:.1f}" fill="#eee"/>')
    for mark in marks:
        y = _y(mark, top, span)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{mark:g}", 10, "#555", anchor="end"))
    return parts


def _path(line: Sequence[tuple[float, float | None]], top: float, span: tuple[float, float], colour: str,
          wide: float = 1.8) -> str:  # fmt: skip
    steps, pen = [], "M"
    for x, value in line:
        if value is None:
            pen = "M"
            continue
        steps.append(f"{pen}{x:.1f} {_y(value, top, span):.1f}")
        pen = "L"
    return f'<path d="{"".join(steps)}" fill="none" stroke="{colour}" stroke-width="{wide}"/>'


def _text(x: float, y: float, words: str, size: int, fill: str = "#111", *, anchor: str = "start",
          weight: str = "normal") -> str:  # fmt: skip
    style = f'font-size="{size}" fill="{fill}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'
