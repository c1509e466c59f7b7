"""What a running server knows, as JSON: `rrdns whatif` asks it and imagines the rest by itself. Floor 3, pure.

    files       contents by path, base64, and their change times        now         the server's own clock
    health      by target key, times on that clock                      words       operators' words in force
    members, standings, names                                           as `Roster.restore` takes them
    tables      by director what it said last, or why it can't be read  settings    what decisions depend on

Must not know: HTTP, how files are read.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from rrdns.imagined import Known
from rrdns.model import DataSet, DirectorTable, Health, Override, Report, Standing, State
from rrdns.roster.roster import Roster

Json = dict[str, Any]
Files = tuple[Mapping[str, bytes], Mapping[str, int]]

T = TypeVar("T")


def told(roster: Roster, files: Files, settings: Mapping[str, Any], now: float) -> Json:
    """Everything, for a reader that decides by itself."""
    contents, mtimes = files
    return {
        "files": {path: b64encode(data).decode() for path, data in contents.items()},
        "mtimes": dict(mtimes),
        "now": now,
        "health": {key: _health(roster.health(key)) for key in roster.targets()},
        "words": [asdict(one) for one in roster.overrides],
        "members": roster.directors.kept(),
        "names": roster.names.kept(),
        "standings": standings_told(roster.standings),
        "tables": {
            name: _table(feed.table) if feed.table is not None else {"fault": feed.fault}
            for name, feed in roster.directors.feeds.items()
            if feed.asked
        },
        "settings": dict(settings),
    }


def files_of(data: Json) -> Files:
    contents = {str(path): b64decode(text) for path, text in data["files"].items()}
    return contents, {str(path): int(mtime) for path, mtime in data["mtimes"].items()}


def known_of(data: Json, dataset: DataSet) -> Known:
    """What was told, with the files already read. Raises KeyError, TypeError, ValueError for what is none."""
    settings = data["settings"]
    return Known(
        dataset,
        {str(key): _read(Health, row) for key, row in data["health"].items()},
        tuple([_read(Override, one) for one in data["words"]]),
        {
            str(pool): [(name, tuple(addresses), weight) for name, addresses, weight in rows]
            for pool, rows in data["members"].items()
        },
        standings_of(data["standings"]),
        {str(name): _table_of(said) for name, said in data["tables"].items()},
        float(data["now"]),
        float(settings.get("isolation_hold", 60.0)),
        tuple(settings.get("witness", ())),
        {str(name): (tuple(v4), tuple(v6), float(at)) for name, (v4, v6, at) in data.get("names", {}).items()},
    )


def standings_told(standings: Mapping[str, Standing]) -> Json:
    return {name: asdict(one) for name, one in standings.items()}


def standings_of(data: Mapping[str, Any]) -> dict[str, Standing]:
    return {str(name): _read(Standing, one) for name, one in data.items()}


def _health(one: Health) -> Json:
    return {**asdict(one), "state": one.state.value}


def _table(table: DirectorTable) -> Json:
    parts = {name: [asdict(one) for one in reports] for name, reports in table.parts.items()}
    return {"parts": parts, "master": table.master}


def _table_of(said: Mapping[str, Any]) -> DirectorTable | str:
    if "fault" in said:
        return str(said["fault"])
    parts = {str(name): tuple([_read(Report, one) for one in reports]) for name, reports in said["parts"].items()}
    return DirectorTable(parts, said["master"])


def _read(kind: type[T], row: Mapping[str, Any]) -> T:
    """A fact from its JSON; what another version says besides is let pass."""
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    found = {name: _tuples(value) for name, value in row.items() if name in known}
    if kind is Health:
        found["state"] = State(found["state"])
    return kind(**found)


def _tuples(value: Any) -> Any:
    return tuple([_tuples(one) for one in value]) if isinstance(value, list | tuple) else value
