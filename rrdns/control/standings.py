"""What failover schemes remember, as the store keeps it: text and back. Pure.

Must not know: sqlite, how schemes decide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from rrdns.model import Standing

STANDINGS = "standings"
"""The store's key of what `standings_text` gives."""

MOST = 65_536


def standings_text(kept: Mapping[str, Standing]) -> str:
    rows = {
        pool: {
            "tier": one.tier,
            "holders": one.holders,
            "queue": one.queue,
            "former": one.former,
            "source": one.source,
            "ailing": one.ailing,
            "entitled": one.entitled,
        }
        for pool, one in kept.items()
    }
    return json.dumps(rows, ensure_ascii=False)


def standings_of(text: str | None) -> tuple[dict[str, Standing], str]:
    """Standings by pool, as they were kept; and what is wrong with them, in words. Who is wrong begins anew."""
    try:
        rows = json.loads(text or "{}")
        return {str(pool): _standing(row) for pool, row in rows.items()}, ""
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return {}, f"what failover schemes remembered could not be understood ({error}): they begin anew"


def _standing(row: Mapping[str, object]) -> Standing:
    tier, source = row["tier"], row["source"]
    if not (tier is None or (isinstance(tier, int) and 0 < tier <= MOST)) or not isinstance(source, str):
        raise ValueError("no tier or pool that can be")
    holders, queue, former = (_names(row[key]) for key in ("holders", "queue", "former"))
    if set(holders) & set(queue):
        raise ValueError("somebody holds a place and waits for one")
    entitled = _names(row.get("entitled", []))  # files of before there was such a thing have none
    return Standing(tier, holders, queue, former, source, bool(row["ailing"]), entitled)


def _names(found: object) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found) or len(set(found)) < len(found):
        raise ValueError("no list of names")
    return tuple(found)
