"""What goes out of control for people and machines to see: notifications, metrics, and the port for the latter.

Wires them to the desk, and is their one face for control and the API. Must not know: how anything is decided, told
or counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rrdns.board import Board
from rrdns.checks.jobs import Stats
from rrdns.control.clock import Clock
from rrdns.control.counters import Tally
from rrdns.control.desk import Desk
from rrdns.control.measures import Measures
from rrdns.control.metrics import TYPE, Metrics, Polled, Sources
from rrdns.control.metrics_port import MetricsPort
from rrdns.control.overview import Overview
from rrdns.control.store import NAME, Store
from rrdns.model import Result, Target
from rrdns.notify import sinks
from rrdns.notify.office import Office
from rrdns.notify.outbox import Outbox
from rrdns.notify.picture import picture
from rrdns.settings import Settings

Page = tuple[int, str, bytes]


class Outward:
    """`checks` and `polls`: how probes and directors' readings go."""

    def __init__(
        self,
        settings: Settings,
        run: Path,
        shared: Board,
        desk: Desk,
        store: Store,
        tally: Tally,
        overview: Overview,
        clock: Clock,
        checks: Callable[[], Stats],
        polls: Callable[[], Mapping[str, Polled]],
    ) -> None:
        self._desk = desk
        self._clock = clock
        self._overview = overview
        self._reload_name = settings.zones
        self.measures = Measures()
        outbox = Outbox(run / NAME if settings.state != "none" else None, clock)
        self.office = Office([sinks.of(one) for one in settings.notify], outbox, clock)
        desk.listeners += [self.measures.heard, self.office.tell]
        overview.notify = self.office.snapshot
        self.metrics = Metrics(
            desk, Sources(shared, store, tally, self.measures, overview, clock, checks, polls, self.office.snapshot)
        )
        self.port = MetricsPort(settings.metrics_listen, {"/metrics": self.page, "/healthz": self.health})

    def on_result(self, target: Target, result: Result) -> float:
        """The prober's door: counted, and on to the desk."""
        self.measures.asked(target, result)
        return self._desk.on_result(target, result)

    async def begin(self) -> None:
        """The server serves."""
        found = await self._desk.look(lambda roster: picture(roster, self._clock.now()))
        reload = self._overview.reload
        found["reload", self._reload_name] = reload.state, next(iter(reload.problems), "")
        self.office.begin(found)

    # ------------------------------------------------------------------ what the API asks

    async def page(self) -> Page:
        return 200, TYPE, await self.metrics.page()

    async def health(self) -> Page:
        ok, words = self.metrics.health()
        return 200 if ok else 503, "application/json", json.dumps(words).encode()

    async def test(self, sink: str) -> list[dict[str, Any]]:
        """KeyError for a sink that there is not."""
        return await self.office.test(sink)
