"""`rrdns status`: one snapshot, for people or as JSON. Must not know: how the snapshot came to be."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator

from rrdns.texts import clean, count, duration, percent, plural, rate
from rrdns.ui import fairness, name_rows, present, schemes, signs
from rrdns.ui.client import Client, Unreachable
from rrdns.ui.console import ALARM, TITLE, WEAK, Cell, Column, Line, out, state_style, styled, table, write
from rrdns.ui.present import Json

UNREACHABLE = 3
NOBODY = {"pid": None, "state": "gone", "since_age": None}
MANY = 8  # that many serving members are named on a service's line

SERVICES = (
    Column("SERVICE", least=16),
    Column("TTL", right=True),
    Column("POOL", least=6),
    Column("STATE"),
    Column("Q/S", right=True, drop=1),
    Column("SERVED BY", least=20, fold=True),
)
MEMBERS = (
    Column("MEMBER", least=10),
    Column("ADDRESS", least=15, drop=3),
    Column("STATE"),
    Column("SINCE", right=True, drop=1),
    Column("WEIGHT", right=True, drop=4),
    Column("SHARE", right=True, drop=2),
    Column("ANSWERS", right=True, drop=5),
    Column("WHY", least=16, fold=True),
)
METER = (
    Column("WANTED", right=True, drop=6),
    Column("ANSWERED", right=True, drop=7),
    Column("CONNECTED", right=True, drop=8),
)
AT = 6  # METER's place among the columns of MEMBERS


def run(args: argparse.Namespace) -> int:
    client = Client(args.control)
    try:
        status = client.get("/status")
    except Unreachable as error:
        return _without_control(args, error)
    if args.json:
        print(json.dumps(status, indent=2))
        return 0
    console = out()
    write(console, page(status, console.width))
    return 0


def _without_control(args: argparse.Namespace, error: Unreachable) -> int:
    """Control does not answer: what the board still knows, on stdout as far as there is something; exit 3."""
    board = signs.find_board(args.state, args.control, args.default_state)
    seen = signs.read(board) if board else None
    if args.json:
        known = seen or {"control": NOBODY, "supervisor": NOBODY, "workers": []}
        shown = {name: known[name] for name in ("control", "supervisor", "workers")}
        print(json.dumps({"error": str(error), **shown}, indent=2))
    elif seen is not None:
        console = out()
        write(console, [styled((signs.sentence(seen), "bold red" if console.is_terminal else "")), *_board_lines(seen)])
    print(f"rrdns: {error}", file=sys.stderr)
    return UNREACHABLE


def _board_lines(seen: Json) -> Iterator[Line]:
    for worker in seen["workers"]:
        beat = worker["heartbeat_age"]
        age = f", last heartbeat {duration(beat)} ago" if beat is not None else ""
        yield styled(
            f"  worker {worker['pid']}: ",
            (worker["state"], state_style(worker["state"])),
            f"{age}, {count(worker['queries'])} queries",
        )


def page(status: Json, width: int) -> Iterator[Line]:
    """The whole snapshot as lines."""
    yield styled((" · ".join([*present.title_words(status), *_whereabouts(status)]), TITLE))
    for text, style in present.alarms(status):
        yield styled((f" {text} ", style))
    for problem in present.reload_problems(status):
        yield styled((f"   {problem}", "red"))
    yield styled("")
    services = present.services(status)
    if services:
        yield from table(SERVICES, [_service_cells(row) for row in services], width)
        yield from _reasons(services)
        yield from _schemes(status)
    else:
        yield styled(("no POOL names: only static records are served", WEAK))
    yield styled("")
    members = present.members(status)
    if members:
        metered = fairness.is_metered(status)
        columns = (*MEMBERS[:AT], *METER, *MEMBERS[AT:]) if metered else MEMBERS
        yield from table(columns, [cells for row in members for cells in _member_cells(row, metered)], width)
        yield styled("")
    for director in present.directors(status):
        yield styled(("director ", WEAK), (director.state, state_style(director.state)), f" {director.phrase}")
    yield from _names(status)
    yield from _sinks(status)
    yield from _notes(status)
    zones = status.get("zones", {})
    listed = ", ".join(f"{clean(name)} (serial {zone.get('serial')})" for name, zone in list(zones.items())[:MANY])
    yield styled(("zones: ", WEAK), listed + (f" and {len(zones) - MANY} more" if len(zones) > MANY else ""))


def _names(status: Json) -> Iterator[Line]:
    """Host names of members; those in trouble first, of many only them."""
    rows = sorted(name_rows.names(status), key=lambda row: row.state == "up")
    troubled = sum(row.state != "up" or bool(row.notes) for row in rows)
    shown = rows[: max(MANY, min(troubled, 5 * MANY))]
    for row in shown:
        yield styled(("name ", WEAK), (row.state, state_style(row.state)), f" {row.phrase}")
    if len(rows) > len(shown):
        yield styled((f"and {plural(len(rows) - len(shown), 'more host name')}", WEAK))


def _sinks(status: Json) -> Iterator[Line]:
    """Who should be told of transitions and can't be."""
    for name, sink in status.get("notify", {}).items():
        words = [f"{count(sink.get('waiting') or 0)} waiting"] if sink.get("waiting") else []
        words += [f"{count(sink['dropped'])} dropped"] if sink.get("dropped") else []
        if sink.get("state") == "failing":
            since = f" for {duration(sink['since'])}" if sink.get("since") is not None else ""
            text = f"{clean(name)} ({clean(sink.get('where', ''))}): {', '.join([*words, clean(sink.get('why', ''))])}"
            yield styled(("notify ", WEAK), (f"failing{since}", ALARM), f" {text}")
        elif words:
            yield styled(("notify ", WEAK), f"{clean(name)}: {', '.join(words)}")


def _notes(status: Json) -> Iterator[Line]:
    """What is odd in directors' tables: entries refused, directors that disagree."""
    for name, pool in status.get("pools", {}).items():
        for note in (pool.get("following") or {}).get("notes", ()):
            yield styled((f"  pool {clean(name)}: {clean(note)}", "yellow"))


def _whereabouts(status: Json) -> list[str]:
    control = status.get("control", {})
    return [f"control {control.get('pid', '?')} {control.get('state', '')}".strip(), " ".join(status.get("listen", ()))]


def _service_cells(row: present.ServiceRow) -> list[Cell]:
    served = "  ".join(f"{name} {percent(share)}" for name, share in row.serving[:MANY])
    if len(row.serving) > MANY:
        served += f"  and {len(row.serving) - MANY} more"
    return [
        (row.name, ""),
        (f"{row.ttl}s", "yellow" if row.ttl < row.ttl_max else ""),
        (row.pool, ""),
        (row.state, state_style(row.state)),
        (rate(row.rate), ""),
        (served or "nobody", "" if served else ALARM),
    ]


def _schemes(status: Json) -> Iterator[Line]:
    """Of pools with a failover scheme: who is on duty, and who would be next."""
    for name, pool in status.get("pools", {}).items():
        if words := schemes.phrase(pool):
            yield styled((f"  pool {clean(name)} ", WEAK), words)


def _reasons(services: list[present.ServiceRow]) -> Iterator[Line]:
    """Why a TTL is lower than usual and why a pool is not ok, said once below the table."""
    for row in services:
        if row.ttl < row.ttl_max and row.ttl_why:
            yield styled((f"  {row.name} TTL {row.ttl} instead of {row.ttl_max}: {row.ttl_why}", "yellow"))
    said = {(row.pool, row.state, row.why) for row in services if row.problem and row.why}
    for pool, state, why in sorted(said):
        yield styled((f"  pool {pool} {state}: {why}", "yellow"))


def _member_cells(row: present.MemberRow, metered: bool) -> Iterator[list[Cell]]:
    """The member's line, and where it has several addresses a line for each; `metered`: with wanted, answered and
    connected shares."""
    shares: list[Cell] = [(fairness.share_text(one), "") for one in (row.wanted, row.answered, row.connected)]
    one = row.addresses[0] if len(row.addresses) == 1 else None
    address = one.address if one else f"{len(row.addresses)} addresses" if row.addresses else " ".join(row.names)
    yield [
        (row.path, ""),
        (address, ""),
        (row.state, state_style(row.state)),
        (present.since_text(row.since), ""),
        (present.weight_text(row), ""),
        (percent(row.share), "" if row.share else WEAK),
        *(shares if metered else ()),
        (count(row.answers), ""),
        (row.reason, ""),
    ]
    for each in row.addresses if one is None else ():
        blank: Cell = ("", "")
        yield [
            blank,
            (each.address, ""),
            (each.state, state_style(each.state)),
            (present.since_text(each.since), ""),
            blank,
            blank,
            *([blank] * len(METER) if metered else ()),
            blank,
            (each.reason, ""),
        ]
