"""Runs both trials, prints their figures, draws the picture; exit 1 if the promises do not hold."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from simulated import picture
from simulated.trials import MEAN, WINDOW, WITHIN, Loads, Plan, Shares, loads, shares, together
from simulated.world import People


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--runs", type=int, default=6, help="runs the shares are the mean of (default 6)")
    parser.add_argument("--rate", type=float, default=People().rate, help="new connections a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--svg", metavar="FILE", help="draw the picture there")
    args = parser.parse_args()
    people, plan = People(rate=args.rate), Plan()
    seeds = range(args.seed, args.seed + args.runs)
    crowd = f"{people.resolvers} resolvers (Zipf {people.zipf:g}), {people.rate:g} connections/s"
    print(f"{crowd}, {people.sorting:.0%} of the clients sort addresses; windows of {WINDOW:g} s, {args.runs} runs")
    without = together([shares(False, people, plan, seed) for seed in seeds])
    with_ = together([shares(True, people, plan, seed) for seed in seeds])
    print(tell("correct: false", without, plan))
    print(tell("correct: true", with_, plan))
    busy = [loads(name, people, 1800, args.seed) for name in ("argmin", "wlc")]
    print("connections of the busiest host, as a part of what it is due:")
    for one in [loads("wrr", people, 1800, args.seed), *busy]:
        print(f"  {one.name:7} {one.mean:.2f} on average, {one.worst:.2f} at worst (99 % of the time), "
              f"{one.commits} other rings in {len(one.rows) // 60} minutes")  # fmt: skip
    if args.svg:
        words = (
            f"{people.resolvers:,} resolvers (Zipf), {people.sorting:.0%} of the clients sort addresses; grey: ±10 %"
        )
        Path(args.svg).write_text(picture.draw(plan, without, with_, busy, words))
    return 0 if holds(with_, plan) and better(busy) else 1


def stretches(plan: Plan) -> dict[str, tuple[int, int]]:
    return {
        "from the start": (0, plan.fails),
        "after the failure": (plan.fails + 1, plan.returns),
        "after the return": (plan.returns + 1, plan.windows),
    }


def tell(title: str, found: Shares, plan: Plan) -> str:
    lines = [f"{title}: {found.questions} questions, {found.commits} other rings, {found.lost} clients lost"]
    for when, (begin, end) in stretches(plan).items():
        after = found.settled(begin, end)
        middle = (begin + end) // 2
        words = f"within {WITHIN:.0%} after {after} windows" if after is not None else f"never within {WITHIN:.0%}"
        lines.append(f"  {when:17}: {words} (mean of {MEAN}); in the second half the worst host is "
                     f"{found.off(middle, end):.1%} off, factors move by {found.swing(middle, end):.2f}")  # fmt: skip
    return "\n".join(lines)


def holds(found: Shares, plan: Plan) -> bool:
    return all(found.settled(begin, end) is not None for begin, end in stretches(plan).values())


def better(busy: list[Loads]) -> bool:
    argmin, wlc = busy
    return wlc.mean < argmin.mean and wlc.worst < argmin.worst


if __name__ == "__main__":
    sys.exit(main())
