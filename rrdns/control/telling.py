"""Telling: an event goes to the store, the journal and the log, to whoever follows, and to those who listen.

Must not know: where events come from, HTTP, sqlite.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from rrdns import log
from rrdns.control.journal import Journal
from rrdns.control.store import Store
from rrdns.model import Event

FOLLOWED = 1000  # events a follower may lag behind

_BAD = ("down", "unknown", "degraded", "panic", "held", "refused", "fault", "stale", "suspect")

Followers = set["asyncio.Queue[dict[str, Any] | None]"]


class Telling:
    def __init__(self, store: Store, journal: Journal) -> None:
        self.followers: Followers = set()
        self.listeners: list[Callable[[Event], None]] = []
        """Told of every event, at once; they must neither wait nor raise."""
        self._store = store
        self._journal = journal

    def tell(self, event: Event, serving: bool) -> None:
        """`serving`: before that, hosts that are found to be up are no news."""
        row = self._store.keep_event(event)
        self._journal.note_event(event)
        level = logging.WARNING if event.after in _BAD else logging.INFO
        if event.subject == "target" or (not serving and event.before == "unknown" and level == logging.INFO):
            level = logging.DEBUG  # its member's line says it, where it matters; and a start is no transition
        why = f": {event.why}" if event.why else ""
        text = f"{event.subject} {event.name} {event.before} -> {event.after}{why}"
        log.logger.log(level, "%s", text, extra={"fields": {"event": row}})
        for queue in list(self.followers):
            try:
                queue.put_nowait(row)
            except asyncio.QueueFull:
                self.followers.discard(queue)  # it reads nothing; the stream is ended, it can come again
        for hear in self.listeners:
            hear(event)
