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
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rrdns import board, log
from rrdns.board import Board
from rrdns.checks import Prober
from rrdns.control import keepsakes
from rrdns.control.api import Api, InUse
from rrdns.control.clock import Clock
from rrdns.control.counters import Tally
from rrdns.control.desk import Desk
from rrdns.control.doors import OpenDoors
from rrdns.control.files import Accepted
from rrdns.control.journal import NAME as JOURNAL
from rrdns.control.journal import Journal
from rrdns.control.loading import Loader
from rrdns.control.outward import Outward
from rrdns.control.overview import Overview
from rrdns.control.promoting import Promoting
from rrdns.control.publisher import Publisher
from rrdns.control.reloading import Reloading
from rrdns.control.resolving import Resolving
from rrdns.control.store import NAME, Store
from rrdns.directors.poller import Poller
from rrdns.directors.reach import Reach
from rrdns.model import State
from rrdns.resolver import Resolver
from rrdns.roster.roster import Roster
from rrdns.settings import Settings
from rrdns.texts import plural

BEAT = 0.2
SAMPLE = 1.0
SOCKET_WAIT = 5.0  # for a control before us to let go of the control socket
CLOSE_WAIT = 1.5
GARBAGE = (20_000, 10, 10)  # objects, and rounds: cycles are few here, and to look for them after each 700 new objects
# cost a seventh of all CPU with 20,000 targets

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
        self.store.on_full = self.journal.give_way
        self.desk = Desk(self.roster, self.store, self.publisher, self.tally, self.clock, self.journal)
        self.overview = Overview(settings, run, shared, self.store, self.tally, self.clock, self.journal)
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
        self.resolving = Resolving(self.desk.on_name, Resolver(settings.resolvers))
        self.desk.on_names = self.resolving.set_names
        self.promoting = Promoting(self.desk)
        self.desk.on_promotions = self.promoting.want
        self.overview.looks = lambda: self.resolving.stats
        self.reloading = Reloading(
            settings,
            shared,
            self.loader,
            self.desk,
            self.store,
            self.overview,
            self.outward,
            self.prober,
            self.poller,
            self.clock,
        )
        self.journal.contents = self.reloading.contents
        doors = OpenDoors(self.desk, self.overview, self.store, self.clock, self.reloading.reload, self.outward)
        self.api = Api(doors, Path(settings.control), settings.control_group)

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
                    self.reloading.watch(),
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
        keepsakes.restore(self.roster, self.store, self.clock, self.settings.health_max_age)
        load = await self.reloading.begin()
        if load.dataset is None:
            raise StartFailed(load.problems)
        await self._open_socket()
        self.prober.start()
        self.poller.start()
        self.resolving.start()

    async def _serve(self) -> None:
        """The first round, then the workers."""
        if not await self.desk.settled(self.settings.start_wait):
            unread, unresolved = self.roster.directors.unheard, self.roster.names.unheard
            log.logger.warning(
                "%d of %d targets have no verdict after %g s%s%s; serving anyway",
                self.roster.verdicts.unknown,
                len(self.roster.targets()),
                self.settings.start_wait,
                f", and {plural(unread, 'director')} no word" if unread else "",
                f", and {plural(unresolved, 'host name')} no answer" if unresolved else "",
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
                await asyncio.gather(self.api.stop(), self.prober.stop(), self._hang_up())
                # only now does nothing come any more that is to be kept or told
                await asyncio.gather(self.store.close(), self.journal.close(), self.outward.office.close())
        except TimeoutError:
            log.logger.error("not everything could be saved at the end: the disk does not answer")

    async def _hang_up(self) -> None:
        await self.promoting.stop()
        await self.resolving.stop()
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
            self.reloading.keep_again()

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
    loop.add_signal_handler(signal.SIGHUP, control.reloading.hang_up)
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
    gc.set_threshold(*GARBAGE)
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
