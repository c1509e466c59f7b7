"""`rrdns overrides`: what operators have said and still holds, with what is left of it. Must not know: how it works."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator

from rrdns.texts import clean, duration
from rrdns.ui.client import Client
from rrdns.ui.console import WEAK, Cell, Column, Line, out, styled, table, write
from rrdns.ui.present import Json

COLUMNS = (
    Column("WHOM", least=8),
    Column("WORD"),
    Column("BY"),
    Column("SINCE", right=True),
    Column("LEFT", right=True),
    Column("REASON", least=10, fold=True),
)


def run(args: argparse.Namespace) -> int:
    status = Client(args.control).get("/status")
    found = status.get("overrides", [])
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    console = out()
    write(console, page(found, console.width))
    return 0


def page(found: list[Json], width: int) -> Iterator[Line]:
    if not found:
        yield styled(("nothing: no operator's word is in force", WEAK))
        return
    yield from table(COLUMNS, [_cells(one) for one in found], width)


def _cells(one: Json) -> list[Cell]:
    """A hold is of a pool, or of all."""
    pool, member = clean(one.get("pool", "")), clean(one.get("member", ""))
    since, left = one.get("since"), one.get("left")
    word = clean(one.get("word", "?"))
    return [
        (f"{pool}/{member}" if member else f"pool {pool}" if pool else "all pools", ""),
        (word, "bold red" if word == "force-up" else "cyan"),
        (clean(one.get("owner", "")), ""),
        (duration(since) if since is not None else "", ""),
        (duration(left) if left is not None else "no end", "" if left is not None else "yellow"),
        (clean(one.get("reason", "")), ""),
    ]
