"""Two pages of `rrdns top`: what directors say (and host names, which tell addresses), and what happened. Pure.

Must not know: the frame around, keys.
"""

from __future__ import annotations

from dataclasses import replace

from rrdns.texts import clean, duration
from rrdns.ui import name_rows, present
from rrdns.ui.choosing import chosen_events
from rrdns.ui.console import Cell, Column, Line, state_style, styled
from rrdns.ui.panes import Listing, shared
from rrdns.ui.present import DirectorRow, Json
from rrdns.ui.view import Ref, Scene, View

DIRECTORS = (
    Column("DIRECTOR", least=10),
    Column("TYPE", drop=3),
    Column("STATE"),
    Column("READ", right=True),
    Column("TOOK", right=True, drop=4),
    Column("SERVERS", right=True),
    Column("MASTER", drop=5),
    Column("POOLS", least=8, drop=2),
    Column("REASON", least=14, grow=True),
)
TOLD = (
    Column("MEMBER", least=14),
    Column("STATE"),
    Column("SAYS"),
    Column("SINCE", right=True, drop=2),
    Column("WEIGHT", right=True),
    Column("ACTIVE", right=True),
    Column("INACTIVE", right=True, drop=3),
    Column("WHY", least=14, grow=True),
)
EVENTS = (Column("EVENTS"), Column("WHAT", least=14), Column("CHANGE"), Column("WHY", least=10, grow=True))


# ---------------------------------------------------------------- directors


def draw_directors(scene: Scene, view: View, width: int, height: int) -> tuple[list[Line], View]:
    """Below the directors: the members of whom the one under the cursor speaks, and what it says."""
    rows = _chosen(scene, view)
    facts = {**scene.status.get("directors", {}), **scene.status.get("names", {})}
    directors = Listing(
        "directors",
        DIRECTORS,
        rows,
        lambda row: _director_cells(row, facts.get(row.name, {})),
        lambda row: _first_pool(facts.get(row.name, {})),
        (max((row.name for row in rows), key=len, default=""),),
        "no director is configured, and no host name: pools' members come from the zone files",
    )
    at = max(0, min(view.at.get("directors", 0), len(rows) - 1))
    name = rows[at].name if rows else ""
    told = [ref for ref in scene.refs if name and name in _speakers(ref)]
    listing = Listing(
        "told",
        TOLD,
        told,
        lambda ref: _told_cells(ref, name),
        lambda ref: ref.pool,
        (clean(max((ref.path for ref in told), key=len, default="")), "disabled"),
        f"{name or 'nobody'} speaks of no member",
    )
    free = max(0, height - 3)
    above, below = shared(free, (max(1, len(rows)), 6), (max(1, len(told)), 12))
    view = view.placed("directors", len(rows), above).placed("told", len(told), below)
    lines = [*directors.lines(view, width, above), styled(""), *listing.lines(view, width, below)]
    return lines, replace(view, under=directors.under(view) or listing.under(view))


def _speakers(ref: Ref) -> set[str]:
    """Who speaks of a member: its director, and its host names."""
    voice = ref.facts.get("director") or {}
    return {clean(one) for one in (voice.get("name") or "", *(ref.facts.get("names") or ())) if one}


def _chosen(scene: Scene, view: View) -> list[DirectorRow]:
    wanted = view.filter.lower()
    return [
        row
        for row in [*present.directors(scene.status), *_as_directors(scene.status)]
        if (not view.problems or row.state != "up") and (not wanted or wanted in f"{row.phrase} {row.state}".lower())
    ]


def _as_directors(status: Json) -> list[DirectorRow]:
    """Host names tell who is behind them, as directors do."""
    return [
        DirectorRow(one.name, "host name", one.state, one.age, None, len(one.addresses), one.reason)
        for one in name_rows.names(status)
    ]


def _first_pool(one: Json) -> str:
    return str(next(iter(one.get("pools", ())), ""))


def _director_cells(row: DirectorRow, one: Json) -> list[Cell]:
    master = one.get("master")
    return [
        (row.name, ""),
        (row.type, ""),
        (clean(row.state), state_style(row.state)),
        (f"{duration(row.age)} ago" if row.age is not None else "never", "" if row.age is not None else "yellow"),
        (duration(row.took) if row.took is not None else "", ""),
        (str(row.servers), ""),
        (
            row.instances or (("master" if master else "backup") if isinstance(master, bool) else clean(master or "")),
            "",
        ),
        (", ".join(clean(pool) for pool in one.get("pools", ())), ""),
        (row.reason, ""),
    ]


def _told_cells(ref: Ref, by: str) -> list[Cell]:
    voice = ref.facts.get("director") or {}
    named = (ref.facts.get("names") or {}).get(by)
    if named is not None:
        voice = {**named, "word": named.get("state", "?"), "why": " ".join(named.get("addresses", ()))}
    word = clean(voice.get("word", "?"))
    numbers = [voice.get(one) for one in ("weight", "active", "inactive")]
    weight, active, inactive = ("" if one is None else f"{one:g}" for one in numbers)
    return [
        (clean(ref.path), ""),
        (clean(ref.state), state_style(ref.state)),
        (word, state_style(word)),
        (duration(voice["since"]) if voice.get("since") is not None else "", ""),
        (weight, ""),
        (active, ""),
        (inactive, ""),
        (clean(voice.get("why", "")), ""),
    ]


# ---------------------------------------------------------------- events


def draw_events(scene: Scene, view: View, width: int, height: int) -> tuple[list[Line], View]:
    """The newest first."""
    rows = chosen_events(scene, view)
    events = Listing(
        "events",
        EVENTS,
        rows,
        lambda event: present.event_cells(event, scene.now),
        lambda event: _pool_of(scene, event),
        nothing="nothing has happened yet",
    )
    free = max(0, height - 1)
    view = view.placed("events", len(rows), free)
    return events.lines(view, width, free), replace(view, under=events.under(view))


def _pool_of(scene: Scene, event: Json) -> str:
    pool = str(event.get("name", "")).partition("/")[0]
    return pool if pool in scene.pools and event.get("subject") != "target" else ""
