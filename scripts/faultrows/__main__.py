"""The command line of scripts/faults."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import machine
import pytest

from faultrows import ground, report, rows


def main() -> int:
    there = rows.load()
    parser = argparse.ArgumentParser(prog="scripts/faults", description="Faults made on purpose: what rrdns does.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="such as R3 R24 (default: the quick ones)")
    parser.add_argument("--all", action="store_true", help="the long rows too")
    parser.add_argument("--list", action="store_true", help="what rows there are")
    parser.add_argument("--peers", action="store_true", help="gdnsd in the same test, where it applies")
    parser.add_argument("--seconds", type=float, default=20, help="of rows that last as long as told (20; R1 asks 60)")
    parser.add_argument("--scale", type=float, default=1.0, help="of the counts of long rows, 1 is quick (R26)")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    options = parser.parse_args()
    console = report.console()
    if options.list:
        console.print(report.listing(there, rows.missing()))
        return 0
    wanted = [one.upper() for one in options.rows]
    if unknown := [one for one in wanted if one not in there]:
        parser.error(f"no row {', '.join(unknown)} (scripts/faults --list)")
    chosen = [there[one] for one in wanted] or [one for one in there.values() if one.quick or options.all]
    run = rows.Run(seconds=options.seconds, scale=options.scale, peers=options.peers)
    place = machine.describe()
    try:
        place["idle"] = ground.idle()
    except AssertionError as error:  # it does not even start: no row would say more
        print(f"scripts/faults: {error}", file=sys.stderr)
        return 1
    console.print(f"{place['cpu']}, {place['cpus']} CPUs, load {place['load_average_before']:.1f}; "
                  f"500 queries a second without a fault: {place['idle']}")  # fmt: skip
    found: list[tuple[rows.Row, rows.Finding, str, float]] = []
    for at, one in enumerate(chosen, 1):
        print(f"{at}/{len(chosen)} {one.id} {one.title} ...", file=sys.stderr, flush=True)
        finding, verdict, took = measure(one, run)
        found.append((one, finding, verdict, took))
        if options.json:  # after each: a long run that is interrupted has not been for nothing
            whole = {
                "machine": place,
                "run": dataclasses.asdict(run),
                "rows": [report.as_json(*each) for each in found],
            }
            options.json.write_text(json.dumps(whole, indent=1, default=str) + "\n")
    console.print(report.table(found))
    short = [one.id for one, _, verdict, _ in found if verdict in ("SHORT", "FAILED")]
    console.print(f"short of the target: {' '.join(short)}" if short else "all targets reached")
    return 1 if short else 0


def measure(one: rows.Row, run: rows.Run) -> tuple[rows.Finding, str, float]:
    """One row's trouble is not the others'."""
    start = time.monotonic()
    finding, verdict = rows.Finding(), ""
    try:
        finding = one.function(run)
        verdict = finding.verdict
    except (rows.Skip, pytest.skip.Exception) as why:  # what rows share with the tests skips as tests do
        finding.notes.append(str(why))
        verdict = "skipped"
    except (Exception, SystemExit) as error:
        finding.notes.append(f"{type(error).__name__}: {str(error)[:600]}")
        details: dict[str, Any] = {"traceback": traceback.format_exc()}
        finding.details.update(details)
        verdict = "FAILED"
    return finding, verdict, time.monotonic() - start


if __name__ == "__main__":
    sys.exit(main())
