"""Which services, members, pools and events `rrdns top` lists, and in which order. Pure.

Goes by the snapshot itself where it can: rows are worked out only to filter by words and to sort by age.
Must not know: how rows are drawn, keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rrdns.texts import clean
from rrdns.ui.present import Json, MemberRow
from rrdns.ui.view import Ref, Scene, View

_WORST_FIRST = ("down", "unknown", "disabled", "drained", "up")
_OF_POOLS = ("pool", "member", "failover", "promotion", "balance", "override", "addresses")
_WELL = ("up", "ok", "serving", "")


SORTS: dict[str, Callable[[Scene, Ref], Any]] = {
    "state": lambda scene, ref: _WORST_FIRST.index(ref.state) if ref.state in _WORST_FIRST else 0,
    "name": lambda scene, ref: ref.path,
    "since": lambda scene, ref: since if (since := scene.member(ref).since) is not None else 1e12,
    "share": lambda scene, ref: -(ref.facts.get("share") or 0.0),
    "answers/s": lambda scene, ref: -(ref.facts.get("rate") or 0.0),
}
"""By the words of `view.SORT_WORDS`; the file's order needs none."""


def chosen_members(scene: Scene, view: View, sort: str, pool: str | None = None) -> list[Ref]:
    wanted = view.filter.lower()
    rows = [
        ref
        for ref in scene.refs
        if (pool is None or ref.pool == pool)
        and (not view.problems or ref.problem)
        and (not wanted or wanted in _words(scene.member(ref)))
    ]
    if sort not in SORTS:
        return rows[::-1] if view.backwards else rows
    key = SORTS[sort]
    return sorted(rows, key=lambda ref: key(scene, ref), reverse=view.backwards)


def _words(row: MemberRow) -> str:
    """What a filter looks at."""
    return " ".join((row.path, row.state, row.reason, *(one.address for one in row.addresses))).lower()


def chosen_services(scene: Scene, view: View) -> list[str]:
    wanted = view.filter.lower()
    found = []
    for name, one in scene.status.get("services", {}).items():
        state = str(scene.pools.get(one.get("pool"), {}).get("state", ""))
        if view.problems and state in _WELL:
            continue
        if not wanted or wanted in f"{name} {one.get('pool', '')} {state}".lower():
            found.append(name)
    return found


def chosen_pools(scene: Scene, view: View) -> list[str]:
    wanted = view.filter.lower()
    return [
        name
        for name, pool in scene.pools.items()
        if (not view.problems or pool.get("state", "") not in _WELL)
        and (not wanted or wanted in f"{name} {pool.get('state', '')} {pool.get('scheme') or ''}".lower())
    ]


def chosen_events(scene: Scene, view: View, pool: str | None = None) -> list[Json]:
    """The newest first."""
    wanted = view.filter.lower()
    return [
        event
        for event in reversed(scene.events)
        if (not view.problems or event.get("after") not in _WELL)
        and (pool is None or _about(event, pool))
        and (not wanted or wanted in _said(event))
    ]


def _about(event: Json, pool: str) -> bool:
    """A check's own transitions are left out: its member's say the same."""
    return event.get("subject") in _OF_POOLS and str(event.get("name", "")).partition("/")[0] == pool


def _said(event: Json) -> str:
    return " ".join(clean(event.get(one, "")) for one in ("subject", "name", "before", "after", "why")).lower()


def joined_events(known: tuple[Json, ...], newest: Sequence[Json]) -> tuple[Json, ...] | None:
    """What is known and what a snapshot adds, the newest last; None where something between them is missing."""
    if not known:
        return None if newest else ()
    last = known[-1]
    for index in range(len(newest) - 1, -1, -1):
        if newest[index] == last:
            return (*known, *newest[index + 1 :])
    return None
