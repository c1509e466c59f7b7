"""The command line of scripts/bench."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import sys
from pathlib import Path

import bench
import chart
import figures
import machine

ROWS = ("cpu", "latency", "workers", "growth", "loading", "cnames", "pauses", "targets", "tcp")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="rrdns beside gdnsd, Knot, NSD and PowerDNS.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"a name or number of: {' '.join(ROWS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of one measurement")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    parser.add_argument("--svg", type=Path, help="draw the cpu row into this file")
    options = parser.parse_args()
    names = [ROWS[int(one) - 1] if one.isdigit() and 1 <= int(one) <= len(ROWS) else one for one in options.rows]
    if unknown := sorted(set(names) - set(ROWS)):
        parser.error(f"unknown row: {', '.join(unknown)} (there are {', '.join(ROWS)})")
    if options.svg and names and "cpu" not in names:
        parser.error("--svg draws the cpu row: name it too")
    place = machine.describe()
    busy = os.getloadavg()[0]
    if busy > 0.7:
        print(f"bench: the machine is busy (load {busy:.1f}): these figures will be worse than true", file=sys.stderr)
    on = bench.make(options.rounds, options.seconds)
    found: list[figures.Row] = []
    failed = []
    try:
        for name in names or ROWS:
            try:
                row = importlib.import_module(name).run(on)
            except SystemExit as error:  # one row's trouble is not the others'
                machine.say("")
                print(f"== {name}: failed\n{error}\n", flush=True)
                failed.append(name)
                continue
            found.append(row)
            print(figures.text(row), flush=True)
            if options.json:  # after each row: a long run that is interrupted has not been for nothing
                whole = {"machine": place, "rounds": options.rounds, "seconds": options.seconds,
                         "failed": failed, "rows": [figures.as_json(one) for one in found]}  # fmt: skip
                options.json.write_text(json.dumps(whole, indent=1) + "\n")
            if options.svg and name == "cpu":
                day = str(place["time"])[:10]
                about = f"{place['cpu']}, server on one core, medians of {options.rounds} alternating rounds, {day}"
                options.svg.parent.mkdir(parents=True, exist_ok=True)
                options.svg.write_text(chart.draw(chart.of_details(row.details), about))
    finally:
        shutil.rmtree(on.folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
