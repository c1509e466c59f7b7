"""The picture of `rrdns top`: a snapshot and a view become exactly `height` lines of at most `width` cells. Pure.

    title            version, queries a second, workers, uptime, control, time
    alarms           only when there are some
    a page           overview, pools, one pool, directors or events
    keys             or the filter being typed

Only rows in sight are drawn. Must not know: terminals, keyboards as bytes, sockets, clocks.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from rrdns.texts import clean, clock, plural, rate
from rrdns.ui import overview, pool_page, present, sparkline, told_pages
from rrdns.ui.console import ALARM, TITLE, WARN, WEAK, Cell, Line, cut, fit, styled
from rrdns.ui.present import Json
from rrdns.ui.view import HELP, PAGES, PANES, SORT_WORDS, Scene, View

DRAW = {
    "overview": overview.draw,
    "pools": pool_page.draw_all,
    "pool": pool_page.draw,
    "directors": told_pages.draw_directors,
    "events": told_pages.draw_events,
}


@dataclass(frozen=True, slots=True)
class Link:
    """How the picture stands to the server: `words` when control does not answer, `qps` as the board counts it
    then, and the whole `error`."""

    words: str = ""
    qps: float | None = None
    error: str = ""

    @property
    def gone(self) -> bool:
        return bool(self.words)


# ---------------------------------------------------------------- the picture


def picture(scene: Scene | None, view: View, link: Link, width: int, height: int) -> tuple[list[Line], View]:
    """Exactly `height` lines, none wider than `width`; and the view with its scrolling kept within the rows."""
    lines = [_title(scene, view, link, width)]
    if view.help:
        lines += _help()
    elif scene is None:
        said = textwrap.wrap(clean(link.error), max(10, width - 4)) or ["asking ..."]
        lines += [styled(""), *(styled(f"  {line}") for line in said)]
    else:
        lines += _alarms(scene.status, width, height)
        page, view = DRAW[view.page](scene, view, width, height - len(lines) - 1)
        lines += page
        if link.gone:
            for line in lines[1:]:
                line.stylize(WEAK)
    del lines[max(1, height - 1) :]
    lines += [styled("") for _ in range(height - 1 - len(lines))]
    if height > 1:
        lines.append(_foot(view))
    return [fit(line, width) for line in lines], view


def _title(scene: Scene | None, view: View, link: Link, width: int) -> Line:
    words = present.title_words(scene.status) if scene else ["rrdns top"]
    if link.gone:
        words = [words[0], link.words] + ([f"{rate(link.qps)} q/s"] if link.qps is not None else [])
    elif scene:
        words.append(f"control {clean(scene.status.get('control', {}).get('state', '?'))}")
        if width >= 100:
            words[1] += f" {sparkline.draw(scene.history.total, 12 if width < 160 else 30)}"
        if width > 140:
            words.append(" ".join(scene.status.get("listen", ())))
    at = scene.status.get("time", 0.0) if scene else 0.0
    right = (" PAUSED" if view.paused else "") + (f" {clock(at, at)} " if at else " ")
    style = ALARM if link.gone else WARN if view.paused else "reverse"
    return fit(styled((cut(" " + "  ".join(words), max(0, width - len(right))), style), (right, style)), width)


def _alarms(status: Json, width: int, height: int) -> list[Line]:
    """At most a fifth of the height. A refused load's first problems stand right below its alarm."""
    lines = [fit(styled((f" {text}", style)), width, pad=True) for text, style in present.alarms(status)]
    lines[1:1] = [styled((f"   {problem}", "red")) for problem in present.reload_problems(status)[:3]]
    room = max(1, height // 5)
    if len(lines) > room:
        hidden = len(lines) - room + 1
        lines[room - 1 :] = [
            fit(styled((f" and {plural(hidden, 'more alarm')}: rrdns status", ALARM)), width, pad=True)
        ]
    return lines


def _help() -> list[Line]:
    wide = max(len(keys) for keys, _ in HELP)
    return [styled(""), *(styled("  ", (keys.ljust(wide), "bold"), f"  {what}") for keys, what in HELP)]


def _foot(view: View) -> Line:
    """The two keys everybody needs, what is chosen, the pages, then the other keys as far as there is room."""
    if view.typing:
        return styled(
            ("filter: ", TITLE), clean(view.filter), ("▏", "bold"), ("   Enter keeps it, Esc clears it", WEAK)
        )
    chosen = [f"filter: {clean(view.filter)}"] if view.filter else []
    chosen += ["only problems"] if view.problems else []
    if view.page in _SORTED and (view.sort or view.backwards):
        chosen.append(f"sort: {SORT_WORDS[view.sort]}{' (turned)' if view.backwards else ''}")
    pages: list[Cell] = []
    for number, name in PAGES:
        here = name == view.page or (name == "pools" and view.page == "pool")
        pages += [(f"{number} ", WEAK), (name, "reverse" if here else WEAK), (" ", "")]
    enter = "Esc back  ←→ pools" if view.page == "pool" else "Enter pool"
    said = ("  ".join([*chosen, ""]), TITLE)
    return styled(("q quit  ? help  ", WEAK), said, *pages, (f" {enter}", WEAK), (_others(view), WEAK))


_SORTED = ("overview", "pool")


def _others(view: View) -> str:
    words = ["Tab list"] if len(PANES[view.page]) > 1 else []
    words += ["s sort"] if view.page in _SORTED else []
    return "  " + "  ".join([*words, "/ filter", "d problems", "p pause"])
