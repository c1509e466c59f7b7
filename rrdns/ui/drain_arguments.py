"""What can be said to `rrdns drain --wait`. Must not know: how anything is done."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from rrdns.texts import parse_duration


def add_to(parser: argparse.ArgumentParser, checked: Callable[[Callable[[str], Any]], Callable[[str], Any]]) -> None:
    parser.add_argument(
        "--wait", action="store_true", help="until its director counts no new clients any more (without one: 3 x TTL)"
    )
    parser.add_argument(
        "--timeout", metavar="TIME", type=checked(parse_duration), default=900.0, help="wait no longer: 15m by default"
    )
    parser.add_argument(
        "--threshold", metavar="N", type=checked(_per_second), default=None,
        help="new connections a second that count as none (default: 2%% of what it had, at least 0.1)",
    )  # fmt: skip


def _per_second(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < 1e9:
        raise ValueError(f"{text!r} is not a number of connections a second")
    return found
