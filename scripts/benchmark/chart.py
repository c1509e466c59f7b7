"""The figures of the CPU row as an SVG: horizontal bars, one group a kind of question. Pure."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

COLOURS = {"rrdns": "#0a7f5a", "gdnsd": "#3b6fb6", "knot": "#7a8ea3", "nsd": "#a3b1bf", "pdns": "#c9a46a"}
WIDTH, LEFT, RIGHT, BAR, GAP, HEAD = 820, 250, 70, 11, 14, 64


def draw(rows: dict[str, dict[str, float]], subtitle: str) -> str:
    """`rows`: title -> server -> microseconds. Bars longer than the chart are cut off and end in their number."""
    servers = [name for name in COLOURS if any(name in figures for figures in rows.values())]
    group = len(servers) * BAR + GAP
    height = HEAD + len(rows) * group + 10
    top = _top(rows)
    room = WIDTH - LEFT - RIGHT
    parts = [_text(12, 22, "CPU microseconds per answered UDP query (less is better)", 15, weight="bold")]
    parts.append(_text(12, 40, subtitle, 11, "#555"))
    for at, name in enumerate(servers):
        x = LEFT + at * 90
        parts.append(f'<rect x="{x}" y="48" width="10" height="10" fill="{COLOURS[name]}"/>')
        parts.append(_text(x + 15, 57, name, 11))
    for number, (title, figures) in enumerate(rows.items()):
        y = HEAD + number * group + GAP / 2
        parts.append(_text(LEFT - 8, y + len(servers) * BAR / 2 + 4, title, 12, anchor="end"))
        for at, name in enumerate(servers):
            if name not in figures:
                continue
            value = figures[name]
            wide = min(value / top, 1) * room
            line = y + at * BAR
            parts.append(
                f'<rect x="{LEFT}" y="{line:.1f}" width="{wide:.1f}" height="{BAR - 1}" fill="{COLOURS[name]}"/>'
            )
            sign = " &#8594;" if value > top else ""
            parts.append(_text(LEFT + wide + 4, line + BAR - 2, f"{value:.1f}", 9, "#333", more=sign))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif">\n<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _top(rows: dict[str, dict[str, float]]) -> float:
    """The scale's end: far slower servers would make all others' bars unreadable."""
    usual = max(value for figures in rows.values() for name, value in figures.items() if name in ("rrdns", "gdnsd"))
    return usual * 1.6


def _text(x: float, y: float, words: str, size: int, fill: str = "#111", *, anchor: str = "start",
          weight: str = "normal", more: str = "") -> str:  # fmt: skip
    style = f'font-size="{size}" fill="{fill}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}{more}</text>'


def of_details(details: dict[str, Any]) -> dict[str, dict[str, float]]:
    return {title: found["us"] for title, found in details.items() if isinstance(found, dict) and "us" in found}
