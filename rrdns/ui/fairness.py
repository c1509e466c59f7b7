"""How far answers and connections are from what was wanted, in words and cells. Pure.

Tolerant as `present.py`, which draws on it. Must not know: how any of it is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rrdns.texts import clean, percent
from rrdns.ui.console import WARN, Cell

Json = Mapping[str, Any]
KINDS = ("wanted", "answered", "connected")


def moved_phrase(member: Json) -> str:
    """`slow start at 40%, correction 0.83, suspect: ...`; empty where its weight alone decides."""
    words = []
    if member.get("slow_start") is not None:
        words.append(f"slow start at {member['slow_start']:.0%}")
    if member.get("correction") is not None and abs(member["correction"] - 1) > 0.005:
        words.append(f"correction {member['correction']:.2f}")
    if member.get("suspect"):
        words.append("suspect: far fewer connections reach it than it is due")
    return ", ".join(words)


def is_metered(status: Json) -> bool:
    """Whether the fairness meter has anything to show: answers were counted, or connections."""
    members = (one for pool in status.get("pools", {}).values() for one in pool.get("members", {}).values())
    return any(one.get("answered") is not None or one.get("connected") is not None for one in members)


def share_text(share: float | None) -> str:
    return "" if share is None else percent(share)


def unbalanced(status: Json) -> Iterator[Cell]:
    """Weights that do not follow what they should."""
    for name, pool in status.get("pools", {}).items():
        for asked, one in (pool.get("schedulers") or {}).items():
            if one.get("why"):
                yield f"pool {clean(name)}: {clean(asked)} works as {clean(one['now'])}: {clean(one['why'])}", WARN
        correction = pool.get("correction") or {}
        if correction.get("state") == "refused":
            yield f"pool {clean(name)}: correct: is not in force: {clean(correction.get('why', ''))}", WARN
        for member in correction.get("suspects", ()):
            yield f"{clean(name)}/{clean(member)} is suspect: it is answered, and hardly a connection reaches it", WARN
