"""The picture of `rrdns top`: a snapshot and a view become exactly `height` lines of at most `width` cells. Pure.

    title            version, queries a second, workers, uptime, control, time
    alarms           only when there are some
    SERVICE ...      the names served from pools
    MEMBER ...       the members; what is left of the height
    EVENTS ...       the last ones
    keys             or the filter being typed

Only rows in sight are drawn. Must not know: terminals, keyboards as bytes, sockets, clocks.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from rrdns.texts import clean, clock, count, duration, percent, plural, rate
from rrdns.ui import fairness, present
from rrdns.ui.console import (
    ALARM,
    TITLE,
    WARN,
    WEAK,
    Cell,
    Column,
    Line,
    cut,
    fit,
    head_text,
    lay_out,
    row_text,
    state_style,
    styled,
)
from rrdns.ui.present import Json, MemberRow, ServiceRow
from rrdns.ui.view import HELP, SORTS, Scene, View, chosen_members, chosen_services

Row = TypeVar("Row")

MANY = 8  # so many serving members are named on a service's line
BAR = 6  # cells of the bar that shows a share
_EIGHTHS = " ▏▎▍▌▋▊▉"


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


SERVICES = (
    Column("SERVICE", least=20),
    Column("TTL", right=True),
    Column("POOL", least=8),
    Column("STATE"),
    Column("Q/S", right=True),
    Column("SERVED BY", least=12, drop=2, grow=True),
    Column("TTL AND STATE BECAUSE", least=12, drop=3),
)
MEMBERS = (
    Column("MEMBER", least=16),
    Column("ADDRESS", least=15, drop=3),
    Column("STATE"),
    Column("SINCE", right=True),
    Column("WT", right=True),
    Column("SHARE"),
    Column("WANTED", right=True, drop=7),
    Column("ANSWERED", right=True, drop=8),
    Column("CONNECTED", right=True, drop=9),
    Column("A/S", right=True, drop=4),
    Column("ANSWERS", right=True, drop=6),
    Column("REASON", least=20, grow=True),
)


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
        panes, view = _panes(scene, view, width, height - len(lines) - 1)
        lines += panes
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
        if width > 120:
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


def _panes(scene: Scene, view: View, width: int, height: int) -> tuple[list[Line], View]:
    """Events take a fifth of the height at most, services a third of what is left, members the rest."""
    services, members = chosen_services(scene, view), chosen_members(scene, view)
    events = _last_events(scene.status, height // 5) if height >= 12 else ()
    free = max(0, height - 2 - (len(events) + 1 if events else 0))  # less the headings
    for_services = min(max(1, len(services)), max(1, free // 3))
    spare = free - for_services - max(1, len(members))
    for_services = min(free, for_services + max(0, min(spare, len(services) - for_services)))
    top = {
        "services": max(0, min(view.top["services"], len(services) - for_services)),
        "members": max(0, min(view.top["members"], len(members) - (free - for_services))),
    }
    view = replace(view, top=top)
    lines = _pane("services", SERVICES, services, _service_cells, view, width, for_services)
    lines += _pane("members", MEMBERS, members, _member_cells, view, width, free - for_services)
    lines += [styled("") for _ in range(height - len(lines) - (len(events) + 1 if events else 0))]
    return lines + _events(events, scene.status.get("time", 0.0), width), view


def _pane(
    name: str,
    columns: Sequence[Column],
    rows: Sequence[Row],
    cells_of: Callable[[Row], list[Cell]],
    view: View,
    width: int,
    height: int,
) -> list[Line]:
    """A heading with the part in sight, and the rows in sight; widths by all rows, so that scrolling moves none."""
    cells = [cells_of(row) for row in rows]
    first = view.top[name]
    seen = cells[first : first + height]
    widths = lay_out(columns, cells, width)
    heading = head_text(columns, widths)
    if view.pane == name:
        heading.stylize("reverse")
    if len(seen) < len(rows):
        part = f" {first + 1}-{first + len(seen)} of {len(rows)} "
        heading = fit(fit(heading, width - len(part), pad=True).append(part, WEAK), width)
    if not rows and height:
        nothing = "no problem" if view.problems and not view.filter else "nothing matches" if view.filter else "none"
        return [heading, styled((f"({nothing})", WEAK))]
    return [heading, *(row_text(columns, widths, row) for row in seen)]


def _last_events(status: Json, count: int) -> Sequence[Json]:
    """A target's transitions are left to `rrdns events`: its member's say the same."""
    return [event for event in status.get("events", ()) if event.get("subject") != "target"][-count:]


def _events(events: Sequence[Json], now_wall: float, width: int) -> list[Line]:
    if not events:
        return []
    columns = (Column("EVENTS"), Column("", least=14), Column(""), Column("", least=10))
    cells = [present.event_cells(event, now_wall) for event in events]
    widths = lay_out(columns, cells, width)
    return [head_text(columns, widths), *(row_text(columns, widths, row) for row in cells)]


def _help() -> list[Line]:
    wide = max(len(keys) for keys, _ in HELP)
    return [styled(""), *(styled("  ", (keys.ljust(wide), "bold"), f"  {what}") for keys, what in HELP)]


def _foot(view: View) -> Line:
    """The two keys everybody needs, what is chosen, then the other keys as far as there is room."""
    if view.typing:
        return styled(("filter: ", TITLE), view.filter, ("▏", "bold"), ("   Enter keeps it, Esc clears it", WEAK))
    chosen = [f"sort: {SORTS[view.sort][0]}{' (turned)' if view.backwards else ''}"]
    if view.filter:
        chosen.append(f"filter: {view.filter}")
    if view.problems:
        chosen.append("only problems")
    others = "  s sort  / filter  d problems  p pause  Tab pane"
    return styled(("q quit  ? help  ", WEAK), ("  ".join(chosen), TITLE), (others, WEAK))


# ---------------------------------------------------------------- rows


def _service_cells(row: ServiceRow) -> list[Cell]:
    because = row.ttl_why if row.ttl < row.ttl_max else ""
    return [
        (row.name, ""),
        (f"{row.ttl}s", "yellow" if row.ttl < row.ttl_max else ""),
        (row.pool, ""),
        (row.state, state_style(row.state)),
        (rate(row.rate), ""),
        (_served(row), ""),
        ("; ".join(word for word in (because, row.why if row.problem else "") if word), "yellow"),
    ]


def _served(row: ServiceRow) -> str:
    if len(row.serving) > MANY:
        return f"{len(row.serving)} members"
    return " ".join(f"{name} {percent(share)}" for name, share in row.serving) or "nobody"


def _member_cells(row: MemberRow) -> list[Cell]:
    address = row.addresses[0].address if row.addresses else ""
    if len(row.addresses) > 1:
        address += f" +{len(row.addresses) - 1}"
    return [
        (row.path, "" if row.share else WEAK),
        (address, ""),
        (row.state, state_style(row.state)),
        (duration(row.since) if row.since is not None else "", ""),
        (present.weight_text(row), ""),
        (f"{bar(row.share)} {percent(row.share):>5}", "" if row.share else WEAK),
        *((fairness.share_text(one), "") for one in (row.wanted, row.answered, row.connected)),
        (rate(row.rate), ""),
        (count(row.answers), ""),
        (row.reason, ""),
    ]


def bar(share: float) -> str:
    """A share of one as BAR cells, to an eighth of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * BAR * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(BAR)
