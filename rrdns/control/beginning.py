"""Beginning: control's first half. What was kept is opened, the files are read and judged; nothing is in force yet.

It stands apart from wiring.py for the sake of a start that is refused: files that can't be served are told at once,
and not after half a second in which HTTP, probes and directors were loaded for nothing. Must not know: those.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from rrdns.control import files
from rrdns.control.clock import Clock
from rrdns.control.files import Accepted
from rrdns.control.loading import Load, Loader
from rrdns.control.store import NAME, Store
from rrdns.settings import Settings


class StartFailed(Exception):
    """There is nothing to serve, and why: lines for the operator."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Beginning:
    def __init__(self, settings: Settings, run: Path) -> None:
        self.clock = Clock()
        self.kept = settings.state != "none"
        self.store = Store(run / NAME if self.kept else None, self.clock)
        self.loader = Loader(settings.zones, Accepted(run) if self.kept else None, self.store)
        self.fingerprint: files.Fingerprint | None = None
        """Of the directory just before it was read, so that an edit in between is seen."""
        self._settings = settings
        self._load: Load | None = None

    async def read(self) -> None:
        """Raises StartFailed."""
        await self.store.open()
        self.fingerprint = await asyncio.to_thread(files.fingerprint, self._settings.zones)
        load = await self.loader.start(self._settings.strict)
        if load.dataset is None:
            raise StartFailed(load.problems)
        self._load = load

    def take(self) -> Load:
        """The load, which has a data set. Not held any longer here: the files' bytes can be many."""
        assert self._load is not None
        load, self._load = self._load, None
        return load
