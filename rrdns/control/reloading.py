"""Reloading: a load is put in force, or refused and shown; what is in force is kept as a copy beside it.

One load at a time, whoever asks: the start, an edit, `rrdns reload`, SIGHUP. A disk that does not take the copy holds
nothing up: it is tried again until it does. Must not know: how files become a data set (loading.py), HTTP.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from rrdns import board, log
from rrdns.board import Board
from rrdns.checks import Prober
from rrdns.control import files, watcher
from rrdns.control.clock import Clock
from rrdns.control.desk import Desk
from rrdns.control.journal_rows import Files
from rrdns.control.loading import Load, Loader, is_warning
from rrdns.control.outward import Outward
from rrdns.control.overview import Overview, ReloadState, summary
from rrdns.control.store import Store
from rrdns.directors.poller import Poller

KEEP_WAIT = 2.0  # a reload waits no longer for the disk that keeps its copy
SHOWN = 100  # problems logged and shown; a directory can have thousands

Json = dict[str, Any]


class Reloading:
    def __init__(
        self,
        zones: str,
        shared: Board,
        loader: Loader,
        desk: Desk,
        store: Store,
        overview: Overview,
        outward: Outward,
        prober: Prober,
        poller: Poller,
        clock: Clock,
    ) -> None:
        self._zones = zones
        self._board = shared
        self._loader = loader
        self._desk = desk
        self._store = store
        self._overview = overview
        self._outward = outward
        self._prober = prober
        self._poller = poller
        self._clock = clock
        self._one_load = asyncio.Lock()
        self._unkept: Load | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._fingerprint: files.Fingerprint | None = None
        self._background: set[asyncio.Task[Any]] = set()

    # ------------------------------------------------------------------ who asks

    async def begin(self, load: Load, fingerprint: files.Fingerprint | None) -> None:
        """The first load, which has a data set, of a directory that had this fingerprint."""
        self._fingerprint = fingerprint
        async with self._one_load:
            self._log_problems(load)
            await self._put_in_force(load)
            await self._save(load)

    async def watch(self) -> None:
        """Takes every edit. Runs until cancelled."""
        async for _ in watcher.changes(self._zones, self._fingerprint):
            async with self._one_load:
                load = await self._loader.look()
                if load is not None:
                    await self._take(load)

    async def reload(self, force: bool) -> Json:
        """Now, and synchronously; the answer of POST /reload."""
        async with self._one_load:
            load = await self._loader.reload(force)
            saved = await self._take(load)
        if load.dataset is None:
            faults = len(load.faults)
            error = f"{faults} problem{'s' if faults != 1 else ''}"
            return {"ok": False, "error": error, "problems": load.problems, "changed": {}}
        return {"ok": True, "problems": load.problems, "changed": load.changed, "saved": saved}

    def hang_up(self) -> None:
        """SIGHUP: reload now, and let the supervisor see when it is over."""
        self._later(self.reload(False)).add_done_callback(self._count_reload)

    def _count_reload(self, task: asyncio.Task[Any]) -> None:
        self._board.set(board.CONTROL, "reloads", self._board.get(board.CONTROL, "reloads") + 1)

    def contents(self) -> Files | None:
        """The files in force, as the disk has them; without a state folder those of the directory."""
        kept = self._loader.accepted
        copy = kept.read(self._zones) if kept is not None else files.read(self._zones)
        return (copy.files, copy.mtimes) if copy is not None else None

    def keep_again(self) -> None:
        """Another try for an accepted copy the disk did not take."""
        if self._unkept is not None and (self._keeping is None or self._keeping.done()):
            self._keeping = self._later(self._keep(self._unkept))

    # ------------------------------------------------------------------ inside

    async def _take(self, load: Load) -> bool:
        """A load's outcome: in force, or refused and shown; whether it is saved. The caller holds `_one_load`."""
        before = self._overview.reload.state
        self._log_problems(load)
        if load.dataset is None:
            self._overview.reload = ReloadState(
                "refused",
                self._clock.moment().wall,
                _bounded(load.problems),
                self._overview.reload.source,
                self._overview.reload.unkept,
            )
            self._desk.tell("reload", self._zones, before, "refused", load.faults[0])
            return True
        await self._put_in_force(load)
        if load.changed or load.state != before:
            self._desk.tell("reload", self._zones, before, load.state, summary(load.changed))
        else:
            log.logger.info("reload of %s: nothing changed", self._zones)
        return await self._save(load)

    def _log_problems(self, load: Load) -> None:
        """Each one line; of warnings only those that are new."""
        known = set(self._overview.reload.problems)
        for line in [line for line in load.problems if not (is_warning(line) and line in known)][:SHOWN]:
            log.logger.log(logging.WARNING if is_warning(line) else logging.ERROR, "%s", line)

    async def _put_in_force(self, load: Load) -> None:
        assert load.dataset is not None
        wall = self._clock.moment().wall
        now = self._clock.now()
        targets = await self._desk.load(load.dataset)
        if load.directory is not None:
            found = load.directory.files, load.directory.mtimes
            await self._desk.journal.note_load(self._zones, load.state, found, now)
        self._loader.in_force(load)
        self._prober.set_targets(targets)
        self._poller.set_directors(load.dataset.directors)
        if self._desk.serving:
            await self._outward.begin()
        source = "accepted" if load.state == "kept" else "zones"
        self._overview.reload = ReloadState(load.state, wall, _bounded(load.problems), source)
        if load.state == "kept":
            log.logger.error("%s can't be served; the files accepted before it are, until it can", self._zones)

    async def _save(self, load: Load) -> bool:
        """The copy, the serials and the load itself, on the disk; waited for as long as that is quick. Whether all of
        it is there."""
        self._unkept = None
        self._keeping = self._later(self._keep(load))
        saving = self._later(self._store.flush(durable=True))
        done, _ = await asyncio.wait({self._keeping, saving}, timeout=KEEP_WAIT)
        return {self._keeping, saving} <= done and saving.result() and not self._overview.reload.unkept

    async def _keep(self, load: Load) -> None:
        """Writes the accepted copy; tried again while it fails and is the newest."""
        why = await self._loader.keep(load)
        if why and why != self._overview.reload.unkept:
            log.logger.error("%s: the files are in force, but NOT kept; trying again", why)
        self._overview.reload.unkept = why
        self._unkept = load if why else None

    def _later(self, job: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(job)
        self._background.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.logger.error("internal error", exc_info=error)


def _bounded(lines: list[str]) -> list[str]:
    return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"... and {len(lines) - SHOWN} more"]
