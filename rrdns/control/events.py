"""Events: what `/events` tells of the past, from the store's memory and from as far back as the journal reaches.

The store has the last ones and is enough for most; for more the journal is read too, in a thread of its own and for
no longer than somebody waits. A journal that can't be read costs what only it has, and that is said. Must not know:
HTTP, how either keeps them.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rrdns import chronicle
from rrdns.control import event_reading
from rrdns.control.clock import Clock
from rrdns.control.event_reading import Part
from rrdns.control.journal import Journal
from rrdns.control.journal_reading import Unreadable
from rrdns.control.store import Store, last_events

WAIT = 10.0
FEW = 1000  # so many are put into words on the loop
ONLY = "only those that the state file keeps are told"


class Events:
    def __init__(self, store: Store, journal: Journal, clock: Clock) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "events")

    async def told(self, limit: int, since: float | None, pool: str) -> bytes:
        """As JSON: {"events": [...], "kept_since": wall time or null, "cut": whether there are more than `limit`,
        "notes": [...]}. `since` in seconds before now."""
        rows = self._store.event_rows()
        if since is None and limit <= FEW:
            found = last_events(rows, limit + 1, float("-inf"), pool)
            if len(found) > limit:
                return _body(found, [], limit, rows[0][0], [])
        earliest = self._clock.moment().wall - since if since is not None else float("-inf")
        kept = rows[0][0] if rows else None
        notes = self._notes(kept, earliest) if since is not None else []
        older = Part()
        if (path := self._journal.path) is not None:
            try:
                async with asyncio.timeout(WAIT):
                    older = await asyncio.get_running_loop().run_in_executor(
                        self._thread, event_reading.of_journal, path, limit + 1, earliest, pool
                    )
            except Unreadable as error:
                notes.append(f"{error}; {ONLY}")
            except TimeoutError:
                notes.append(f"{path}: the disk does not answer within {WAIT:g} s; {ONLY}")
        kept = min((one for one in (kept, older.kept) if one is not None), default=None)
        return await asyncio.to_thread(
            lambda: _body(last_events(rows, limit + 1, earliest, pool), older.events, limit, kept, notes)
        )

    def _notes(self, kept: float | None, earliest: float) -> list[str]:
        """What is known of the journal without reading it; `kept`: how far the store reaches back."""
        if self._journal.path is None and (kept is None or earliest < kept):
            return [f"there is no journal; {ONLY}"]
        if self._journal.state != "ok":
            return [f"the journal is failing ({self._journal.why}); of what it lacks {ONLY}"]
        return []


def _body(
    mine: list[dict[str, Any]], older: list[dict[str, Any]], limit: int, kept: float | None, notes: list[str]
) -> bytes:
    """Bit by bit: the encoder would not let go of the interpreter before it is through."""
    every = chronicle.joined(mine, older)
    rest = json.dumps({"kept_since": kept, "cut": len(every) > limit, "notes": notes})
    lines = (json.dumps(one) for one in every[max(0, len(every) - limit) :])
    return f'{{"events": [{", ".join(lines)}], {rest[1:]}'.encode()
