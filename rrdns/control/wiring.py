"""Wiring: control's second half. Everything is wired here and nothing is decided here.

    roster with the health that was kept -> control socket -> first round of probes, until every target has a verdict
    or start_wait is over -> SERVING -> workers

It begins where beginning.py has read files that can be served. Must not know: how the process starts and ends.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

from rrdns import board, log
from rrdns.board import Board
from rrdns.checks import Prober
from rrdns.control import keepsakes
from rrdns.control.api import Api, InUse
from rrdns.control.beginning import Beginning, StartFailed
from rrdns.control.counters import Tally
from rrdns.control.desk import Desk
from rrdns.control.doors import OpenDoors
from rrdns.control.journal import NAME as JOURNAL
from rrdns.control.journal import Journal
from rrdns.control.outward import Outward
from rrdns.control.overview import Overview
from rrdns.control.promoting import Promoting
from rrdns.control.publisher import Publisher
from rrdns.control.reloading import Reloading
from rrdns.control.resolving import Resolving
from rrdns.directors.poller import Poller
from rrdns.directors.reach import Reach
from rrdns.model import State
from rrdns.resolver import Resolver
from rrdns.roster.roster import Roster
from rrdns.settings import Settings
from rrdns.texts import plural

SAMPLE = 1.0
SOCKET_WAIT = 5.0  # for a control before us to let go of the control socket


class Control:
    """Control, once there is something to serve. `run` is its life."""

    def __init__(self, settings: Settings, run: Path, shared: Board, beginning: Beginning) -> None:
        self.settings = settings
        self.beginning = beginning
        self.clock = beginning.clock
        self.board = shared
        self.store = beginning.store
        self.tally = Tally()
        self.publisher = Publisher(run, shared, self.tally, self.clock.now)
        self.roster = Roster(None, settings.isolation_hold, settings.witness, settings.ede)
        age, size = settings.journal_age, settings.journal_size
        self.journal = Journal(run / JOURNAL if beginning.kept and size else None, self.clock, age, size)
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
        self.prober = Prober(self.outward.on_result, settings.check_concurrency, settings.command_concurrency)
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
            settings.zones,
            shared,
            beginning.loader,
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

    async def run(self, beat: asyncio.Task[None]) -> None:
        """Until cancelled, or until our heart stops. Raises StartFailed."""
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

    async def _start(self) -> None:
        await self.journal.open()
        await self.outward.office.open()
        keepsakes.restore(self.roster, self.store, self.clock, self.settings.health_max_age)
        await self.reloading.begin(self.beginning.take(), self.beginning.fingerprint)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reloading.hang_up)
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

    async def end(self) -> None:
        """An orderly end; it takes as long as the disk takes."""
        self.desk.followers.clear()
        await asyncio.gather(self.api.stop(), self.prober.stop(), self._hang_up())
        # only now does nothing come any more that is to be kept or told
        await asyncio.gather(self.store.close(), self.journal.close(), self.outward.office.close())

    async def _hang_up(self) -> None:
        await self.promoting.stop()
        await self.resolving.stop()
        await self.poller.stop()
        await self.reach.close()

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
