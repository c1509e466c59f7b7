"""Control: loads, checks, decides, publishes, keeps, speaks to people. `python -m rrdns.control.control`, asyncio.

Started by the supervisor with RRDNS_SETTINGS (JSON), RRDNS_BOARD and RRDNS_RUN in the environment. The start:

    store -> files (the directory, else the accepted copy) -> roster with the health that was kept -> control
    socket -> first round of probes, until every target has a verdict or start_wait is over -> SERVING -> workers

Everything is wired here and nothing is decided here. Exit 1 with the problems on stderr when there is nothing to
serve. The one module that imports uvloop.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from rrdns import board, log
from rrdns.board import Board
from rrdns.checks import Prober
from rrdns.control import files, reports, watcher
from rrdns.control.api import Api, InUse
from rrdns.control.clock import Clock
from rrdns.control.counters import Tally
from rrdns.control.desk import Desk
from rrdns.control.doors import OpenDoors
from rrdns.control.files import Accepted
from rrdns.control.journal import NAME as JOURNAL
from rrdns.control.journal import Journal
from rrdns.control.journal_rows import Files
from rrdns.control.loading import Load, Loader, is_warning
from rrdns.control.outward import Outward
from rrdns.control.overview import Overview, ReloadState, summary
from rrdns.control.publisher import Publisher
from rrdns.control.standings import STANDINGS, standings_of
from rrdns.control.store import NAME, Store
from rrdns.directors.poller import Poller
from rrdns.directors.reach import Reach
from rrdns.model import State
from rrdns.roster import frozen
from rrdns.roster.roster import Roster
from rrdns.settings import Settings
from rrdns.texts import plural

BEAT = 0.2
SAMPLE = 1.0
KEEP_WAIT = 2.0  # a reload waits no longer for the disk that keeps its copy
SHOWN = 100  # problems logged and shown; a directory can have thousands
SOCKET_WAIT = 5.0  # for a control before us to let go of the control socket
CLOSE_WAIT = 1.5

Json = dict[str, Any]
ProberFactory = Callable[..., Prober]


class StartFailed(Exception):
    """There is nothing to serve, and why: lines for the operator."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Control:
    """The process. `run` is its life."""

    def __init__(
        self, settings: Settings, run: Path, shared: Board, prober: ProberFactory = Prober, clock: Clock | None = None
    ) -> None:
        self.settings = settings
        self.clock = clock or Clock()
        kept = settings.state != "none"
        self.board = shared
        self.store = Store(run / NAME if kept else None, self.clock)
        self.loader = Loader(settings.zones, Accepted(run) if kept else None, self.store)
        self.tally = Tally()
        self.publisher = Publisher(run, shared, self.tally, self.clock.now)
        self.roster = Roster(None, settings.isolation_hold, settings.witness, settings.ede)
        age, size = settings.journal_age, settings.journal_size
        self.journal = Journal(run / JOURNAL if kept and size else None, self.clock, age, size)
        self.journal.about = {
            "isolation_hold": settings.isolation_hold,
            "witness": list(settings.witness),
            "health_max_age": settings.health_max_age,
        }
        self.journal.contents = self._contents
        self.store.on_full = self.journal.give_way
        self.desk = Desk(self.roster, self.store, self.publisher, self.tally, self.clock, self.journal)
        self.overview = Overview(settings, run, shared, self.store, self.tally, self.clock)
        self.outward = Outward(
            settings,
            run,
            shared,
            self.desk,
            self.store,
            self.tally,
            self.overview,
            self.clock,
            lambda: self.prober.stats(),
            lambda: self.poller.stats,
        )
        self.prober = prober(self.outward.on_result, settings.check_concurrency, settings.command_concurrency)
        self.reach = Reach()
        self.poller = Poller(self.desk.on_table, self.reach)
        self.desk.on_targets = self.prober.set_targets
        self.overview.polls = lambda: self.poller.stats
        doors = OpenDoors(self.desk, self.overview, self.store, self.clock, self.reload, self.outward)
        self.api = Api(doors, Path(settings.control), settings.control_group)
        self._one_load = asyncio.Lock()
        self._unkept: Load | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._fingerprint: files.Fingerprint | None = None
        self._background: set[asyncio.Task[Any]] = set()

    # ------------------------------------------------------------------ life

    async def run(self) -> None:
        """Until cancelled. Raises StartFailed."""
        self.board.sign_in(board.CONTROL, board.STARTING)
        beat = asyncio.create_task(self._beat())
        try:
            await self._start()
            async with asyncio.TaskGroup() as group:
                for task in (
                    self.desk.keep_time(),
                    self.store.run(),
                    self.journal.run(),
                    self._sample(),
                    self._serve(),
                    self._watch(),
                    self.outward.office.run(),
                    self.outward.port.run(),
                ):
                    group.create_task(task)
                group.create_task(_fails_with(beat))
        finally:
            self.board.set(board.CONTROL, "state", board.STOPPING)
            beat.cancel()
            await self._end()

    async def _start(self) -> None:
        await self.store.open()
        await self.journal.open()
        await self.outward.office.open()
        health = self.store.health(self.settings.health_max_age)
        members, wrong = reports.members_of(self.store.meta(reports.MEMBERS))
        if wrong:
            log.logger.error("%s: %s", self.store.path, wrong)
        standings, wrong = standings_of(self.store.meta(STANDINGS))
        if wrong:
            log.logger.error("%s: %s", self.store.path, wrong)
        held, wrong = frozen.read(self.store.meta(frozen.FROZEN))
        if wrong:
            log.logger.error("%s: %s", self.store.path, wrong)
        self.roster.restore(health, self.store.overrides(), members, standings, held)
        corrections, wrong = reports.corrections_of(self.store.meta(reports.CORRECTIONS))
        if wrong:
            log.logger.error("%s: %s", self.store.path, wrong)
        self.roster.balancing.restore(corrections)
        self._fingerprint = await asyncio.to_thread(files.fingerprint, self.settings.zones)
        async with self._one_load:
            load = await self.loader.start(self.settings.strict)
            if load.dataset is None:
                raise StartFailed(load.problems)
            self._log_problems(load)
            await self._put_in_force(load)
            await self._save(load)
        await self._open_socket()
        self.prober.start()
        self.poller.start()

    async def _serve(self) -> None:
        """The first round, then the workers."""
        if not await self.desk.settled(self.settings.start_wait):
            unread = self.roster.directors.unheard
            log.logger.warning(
                "%d of %d targets have no verdict after %g s%s; serving anyway",
                self.roster.verdicts.unknown,
                len(self.roster.targets()),
                self.settings.start_wait,
                f", and {plural(unread, 'director')} no word" if unread else "",
            )
        self.overview.serving()
        self.desk.serving = True
        await self.outward.begin()
        self.board.set(board.CONTROL, "state", board.SERVING)
        states = [self.roster.health(key).state for key in self.roster.targets()]
        log.logger.info(
            "serving %s, %s from pools; %d of %s up",
            plural(len(self.roster.dataset.zones), "zone"),
            plural(len(self.roster.services), "name"),
            states.count(State.UP),
            plural(len(states), "target"),
        )
        await self.publisher.run()

    async def _end(self) -> None:
        """An orderly end, in bounded time whatever the disk does."""
        self.desk.followers.clear()
        try:
            async with asyncio.timeout(CLOSE_WAIT):
                ends = self.api.stop(), self.prober.stop(), self._hang_up_on_directors(), self.store.close()
                await asyncio.gather(*ends, self.journal.close(), self.outward.office.close())
        except TimeoutError:
            log.logger.error("not everything could be saved at the end: the disk does not answer")

    async def _hang_up_on_directors(self) -> None:
        await self.poller.stop()
        await self.reach.close()

    async def _beat(self) -> None:
        while True:
            self.board.beat(board.CONTROL)
            await asyncio.sleep(BEAT)

    async def _sample(self) -> None:
        """Once a second: the rates, and another try for an accepted copy the disk did not take."""
        while True:
            self.overview.sample()
            await asyncio.sleep(SAMPLE)
            if self._unkept is not None and (self._keeping is None or self._keeping.done()):
                self._keeping = self._later(self._keep(self._unkept))

    async def _watch(self) -> None:
        async for _ in watcher.changes(self.settings.zones, self._fingerprint):
            async with self._one_load:
                load = await self.loader.look()
                if load is not None:
                    await self._take(load)

    async def _open_socket(self) -> None:
        """The socket may still be held by the control before us, which was told to end."""
        end = self.clock.now() + SOCKET_WAIT
        while True:
            try:
                return await self.api.start()
            except InUse as error:
                if self.clock.now() >= end:
                    raise StartFailed([str(error)]) from error
                await asyncio.sleep(0.1)
            except OSError as error:
                raise StartFailed([f"the control socket can't be made: {error}"]) from error

    def hang_up(self) -> None:
        """SIGHUP: reload now, and let the supervisor see when it is over."""
        self._later(self.reload(False)).add_done_callback(self._count_reload)

    def _count_reload(self, task: asyncio.Task[Any]) -> None:
        self.board.set(board.CONTROL, "reloads", self.board.get(board.CONTROL, "reloads") + 1)

    def _later(self, job: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(job)
        self._background.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.logger.error("internal error", exc_info=error)

    # ------------------------------------------------------------------ loads

    async def reload(self, force: bool) -> Json:
        """Now, and synchronously; the answer of POST /reload."""
        async with self._one_load:
            load = await self.loader.reload(force)
            saved = await self._take(load)
        if load.dataset is None:
            faults = len(load.faults)
            error = f"{faults} problem{'s' if faults != 1 else ''}"
            return {"ok": False, "error": error, "problems": load.problems, "changed": {}}
        return {"ok": True, "problems": load.problems, "changed": load.changed, "saved": saved}

    async def _take(self, load: Load) -> bool:
        """A load's outcome: in force, or refused and shown; whether it is saved. The caller holds `_one_load`."""
        before = self.overview.reload.state
        self._log_problems(load)
        if load.dataset is None:
            self.overview.reload = ReloadState(
                "refused",
                self.clock.moment().wall,
                _bounded(load.problems),
                self.overview.reload.source,
                self.overview.reload.unkept,
            )
            self.desk.tell("reload", self.settings.zones, before, "refused", load.faults[0])
            return True
        await self._put_in_force(load)
        if load.changed or load.state != before:
            self.desk.tell("reload", self.settings.zones, before, load.state, summary(load.changed))
        else:
            log.logger.info("reload of %s: nothing changed", self.settings.zones)
        return await self._save(load)

    def _log_problems(self, load: Load) -> None:
        """Each one line; of warnings only those that are new."""
        known = set(self.overview.reload.problems)
        for line in [line for line in load.problems if not (is_warning(line) and line in known)][:SHOWN]:
            log.logger.log(logging.WARNING if is_warning(line) else logging.ERROR, "%s", line)

    async def _put_in_force(self, load: Load) -> None:
        assert load.dataset is not None
        wall = self.clock.moment().wall
        now = self.clock.now()
        targets = await self.desk.load(load.dataset)
        if load.directory is not None:
            found = load.directory.files, load.directory.mtimes
            await self.journal.note_load(self.settings.zones, load.state, found, now)
        self.loader.in_force(load)
        self.prober.set_targets(targets)
        self.poller.set_directors(load.dataset.directors)
        if self.desk.serving:
            await self.outward.begin()
        source = "accepted" if load.state == "kept" else "zones"
        self.overview.reload = ReloadState(load.state, wall, _bounded(load.problems), source)
        if load.state == "kept":
            log.logger.error("%s can't be served; the files accepted before it are, until it can", self.settings.zones)

    def _contents(self) -> Files | None:
        """The files in force, as the disk has them; without a state folder those of the directory."""
        kept = self.loader.accepted
        copy = kept.read(self.settings.zones) if kept is not None else files.read(self.settings.zones)
        return (copy.files, copy.mtimes) if copy is not None else None

    async def _save(self, load: Load) -> bool:
        """The copy, the serials and the load itself, on the disk; waited for as long as that is quick. Whether all of
        it is there."""
        self._unkept = None
        self._keeping = self._later(self._keep(load))
        saving = self._later(self.store.flush(durable=True))
        done, _ = await asyncio.wait({self._keeping, saving}, timeout=KEEP_WAIT)
        return {self._keeping, saving} <= done and saving.result() and not self.overview.reload.unkept

    async def _keep(self, load: Load) -> None:
        """Writes the accepted copy; tried again while it fails and is the newest."""
        why = await self.loader.keep(load)
        if why and why != self.overview.reload.unkept:
            log.logger.error("%s: the files are in force, but NOT kept; trying again", why)
        self.overview.reload.unkept = why
        self._unkept = load if why else None


def _bounded(lines: list[str]) -> list[str]:
    return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"... and {len(lines) - SHOWN} more"]


async def _fails_with(task: asyncio.Task[Any]) -> None:
    """So that a group ends when this task does."""
    await asyncio.shield(task)


# ---------------------------------------------------------------------- the process


async def _main(settings: Settings, run: Path, shared: Board) -> int:
    control = Control(settings, run, shared)
    loop = asyncio.get_running_loop()
    life = asyncio.create_task(control.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, life.cancel)
    loop.add_signal_handler(signal.SIGHUP, control.hang_up)
    try:
        await life
    except asyncio.CancelledError:
        return 0
    except StartFailed as error:
        for line in error.lines:
            print(line, file=sys.stderr)
        return 1
    except Exception:
        log.logger.exception("control ends on an internal error; the workers answer on")
        return 70  # EX_SOFTWARE
    return 0


def main() -> int:
    missing = [name for name in ("RRDNS_SETTINGS", "RRDNS_BOARD", "RRDNS_RUN") if not os.environ.get(name)]
    if missing:
        print(
            f"rrdns.control.control is started by the supervisor (rrdns serve): {missing[0]} is not set",
            file=sys.stderr,
        )
        return 2
    try:
        settings = Settings.from_json(os.environ["RRDNS_SETTINGS"])
        shared = Board(os.environ["RRDNS_BOARD"])
    except (OSError, ValueError, TypeError) as error:
        print(f"control: {error}", file=sys.stderr)
        return 2
    log.setup("control", settings.log_format, settings.log_level)
    gc.disable()  # until the first load is frozen
    try:
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        code = runner.run(_main(settings, Path(os.environ["RRDNS_RUN"]), shared))
        # A thread that waits for a disk must not hold up our end.
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
