"""The command line of what was and what might be: whatif, replay, and `explain --at`. As `arguments`, of which it is
a part. Must not know: how anything is done.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from rrdns.texts import parse_duration
from rrdns.ui.hand_arguments import WHOM

Add = Callable[..., argparse.ArgumentParser]
Checked = Callable[[Callable[[str], Any]], Callable[[str], Any]]


def add_to(add: Add, checked: Checked) -> None:
    """Their commands, in the order of `arguments.COMMANDS`."""
    _whatif(add)
    _replay(add, checked)


def journal(parser: argparse.ArgumentParser) -> None:
    """Where a journal is."""
    parser.add_argument("--state", metavar="DIR", help="the server's state folder, which holds the journal")
    parser.add_argument("--journal", metavar="FILE", help="a journal, wherever it is (a copy, say)")


def _whatif(add: Add) -> None:
    parser = add(
        "whatif",
        "what would an outage do?",
        "The decision code on an imagined outage: before and after for each service, who takes over, how long clients\n"
        "take to move, and whether the weight that is left suffices (`capacity:` of a pool). With ZONES those files,\n"
        "everything up; without, the running server as it is. Exit 1 when some service would be left without a\n"
        "healthy member. Nothing is changed anywhere.",
        ("rrdns whatif --down web1", "rrdns whatif zones/ --all-down rack1     (for CI; members carry labels: [rack1])",
         "rrdns whatif --drain 'web*' --director-gone lvs1 --json"),
        "whatif:run",
        talks=True,
    )  # fmt: skip
    parser.add_argument(
        "zones", metavar="ZONES", nargs="?", help="directory of zone files; without it the server is asked"
    )
    several: dict[str, Any] = {"action": "append", "default": []}
    parser.add_argument("--down", metavar="MEMBER", help=f"dead: {WHOM}; may be repeated", **several)
    parser.add_argument("--drain", metavar="MEMBER", help="drained", **several)
    parser.add_argument("--all-down", metavar="LABEL", help="every member with this label dead", **several)
    parser.add_argument("--director-gone", metavar="NAME", help="a director that can't be read any more", **several)


def _replay(add: Add, checked: Checked) -> None:
    parser = add(
        "replay",
        "what would have happened under other files?",
        "The journal's inputs (every probe's result, reports, overrides, loads) through the real decision code under\n"
        "the files in ZONES, beside what the files of then did: failovers, flaps, how long a dead host was answered\n"
        "and a healthy one withheld, and whether the failover budget was kept. Without ZONES only what was.\n"
        "A host counts as dead from the first failed probe of an unbroken run until the first that succeeds. Services\n"
        "are listed worst first; with ZONES each row says whether the edited files do better, worse or the same.\n"
        "Exit codes: 0 replayed, whatever came of it; 2 there is no journal of that time, or ZONES can't be used.",
        ("rrdns replay --since 7d", "rrdns replay --since 7d zones.new/ --svg week.svg",
         "rrdns replay zones.new/ --journal /tmp/journal.db --json"),
        "replay:run",
        talks=True,
    )  # fmt: skip
    parser.add_argument("zones", metavar="ZONES", nargs="?", help="directory of zone files to try")
    parser.add_argument(
        "--since", metavar="AGE", type=checked(parse_duration), default=7 * 86400.0, help="how far back (default: 7d)"
    )
    parser.add_argument("--all", action="store_true", help="every service and member, not only those with trouble")
    parser.add_argument("--svg", metavar="FILE", help="also draw the timeline into this picture")
    journal(parser)


def at(parser: argparse.ArgumentParser) -> None:
    """`explain` of a moment that has passed."""
    parser.add_argument(
        "--at", metavar="TIME", help="as it was then, from the journal: 03:12, '2026-11-20 03:12', or 2h (ago)"
    )
    journal(parser)
