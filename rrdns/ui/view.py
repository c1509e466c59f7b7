"""What the person at `rrdns top` has chosen, how keys change it, and which rows it lets through. Pure.

Must not know: how rows are drawn, terminals, where snapshots come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from rrdns.ui import present
from rrdns.ui.present import Json, MemberRow, ServiceRow

_WORST_FIRST = ("down", "unknown", "disabled", "drained", "up")

HELP = (
    ("q, Ctrl-C", "quit"),
    ("j k arrows PgUp PgDn Home End", "scroll the chosen pane"),
    ("Tab", "choose the other pane: services, members"),
    ("s, S", "sort members by the next, the previous"),
    ("r", "turn the order around"),
    ("/", "filter: name, pool, address, state, reason"),
    ("Enter, Esc", "keep the filter, clear it"),
    ("d", "only what has a problem"),
    ("p, Space", "pause"),
    ("?", "this help; any key leaves it"),
)


@dataclass(frozen=True, slots=True)
class View:
    """What the person at the keys has chosen. `top` holds each pane's first row in sight."""

    sort: int = 0
    backwards: bool = False
    filter: str = ""
    typing: bool = False
    problems: bool = False
    paused: bool = False
    help: bool = False
    pane: str = "members"
    top: dict[str, int] = field(default_factory=lambda: {"services": 0, "members": 0})


@dataclass(frozen=True, slots=True)
class Scene:
    """One snapshot with its rows worked out, once for all frames drawn of it."""

    status: Json
    services: tuple[ServiceRow, ...]
    members: tuple[MemberRow, ...]

    @classmethod
    def of(cls, status: Json) -> Scene:
        return cls(status, tuple(present.services(status)), tuple(present.members(status)))


SORTS: tuple[tuple[str, Callable[[MemberRow], Any]], ...] = (
    ("file order", lambda row: 0),
    ("state", lambda row: _WORST_FIRST.index(row.state) if row.state in _WORST_FIRST else 0),
    ("name", lambda row: row.path),
    ("since", lambda row: row.since if row.since is not None else 1e12),
    ("share", lambda row: -row.share),
    ("answers/s", lambda row: -row.rate),
)


def press(view: View, key: str, page: int) -> View:
    """The view after a key; `page` is how many rows PgUp and PgDn move. `q` is not ours."""
    if view.help:
        return replace(view, help=False)
    if view.typing:
        return _typed(view, key)
    moves = {"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -page, "pgdn": page, "home": -(10**9), "end": 10**9}
    if key in moves:
        top = max(0, min(view.top[view.pane] + moves[key], 10**9))
        return replace(view, top={**view.top, view.pane: top})
    match key:
        case "s":
            return replace(view, sort=(view.sort + 1) % len(SORTS), top={**view.top, "members": 0})
        case "S":
            return replace(view, sort=(view.sort - 1) % len(SORTS), top={**view.top, "members": 0})
        case "r":
            return replace(view, backwards=not view.backwards)
        case "/":
            return replace(view, typing=True)
        case "esc":
            return replace(view, filter="")
        case "d":
            return replace(view, problems=not view.problems, top={"services": 0, "members": 0})
        case "p" | " ":
            return replace(view, paused=not view.paused)
        case "?" | "h":
            return replace(view, help=True)
        case "tab":
            return replace(view, pane="services" if view.pane == "members" else "members")
    return view


def _typed(view: View, key: str) -> View:
    if key == "enter":
        return replace(view, typing=False)
    if key == "esc":
        return replace(view, typing=False, filter="")
    if key == "backspace":
        return replace(view, filter=view.filter[:-1])
    if key == "clear":
        return replace(view, filter="")
    if len(key) == 1 and key.isprintable():
        return replace(view, filter=view.filter + key, top={"services": 0, "members": 0})
    return view


def chosen_services(scene: Scene, view: View) -> list[ServiceRow]:
    wanted = view.filter.lower()
    return [
        row
        for row in scene.services
        if (not view.problems or row.problem) and (not wanted or wanted in f"{row.name} {row.pool} {row.state}".lower())
    ]


def chosen_members(scene: Scene, view: View) -> list[MemberRow]:
    wanted = view.filter.lower()
    rows = [row for row in scene.members if (not view.problems or row.problem) and (not wanted or wanted in _text(row))]
    return sorted(rows, key=SORTS[view.sort][1], reverse=view.backwards) if view.sort else rows[:: _step(view)]


def _step(view: View) -> int:
    return -1 if view.backwards else 1


def _text(row: MemberRow) -> str:
    """What a filter looks at."""
    return " ".join((row.path, row.state, row.reason, *(one.address for one in row.addresses))).lower()
