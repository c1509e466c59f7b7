"""Whether our own loop lagged: a ticking timer that should have run and did not.

A probe that waited while the loop stood still (a busy machine, a stopped process, a long computation) says
nothing of the host. Must not know: probes.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

TICK = 0.02


class LagWatch:
    """Ticks while it is on; `on_tick` is told the CPU time that was used since the last tick."""

    def __init__(
        self, limit: float, on_tick: Callable[[float], None], cpu: Callable[[], float] = time.thread_time
    ) -> None:
        self._limit = limit
        self._on_tick = on_tick
        self._cpu = cpu
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._cpu_before = 0.0
        self._ended_at = -math.inf  # when the last lag was over
        self.count = 0
        self.longest = 0.0

    def on(self) -> None:
        if self._timer is None:
            self._cpu_before = self._cpu()
            self._plan()

    def off(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def since(self, moment: float) -> bool:
        """Whether the loop lagged at any time from `moment` until now."""
        self.look()
        return self._ended_at > moment

    def look(self) -> None:
        """Notices a lag before the tick does: after a pause, other timers may run ahead of it."""
        now = self._loop.time()
        lag = now - self._due
        if self._timer and lag > self._limit:
            self.count += 1
            self.longest = max(self.longest, lag)
            self._ended_at = now
            self._due = now + TICK  # the same lag is not noticed twice

    def _plan(self) -> None:
        self._due = self._loop.time() + TICK
        self._timer = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self.look()
        self._plan()
        before, self._cpu_before = self._cpu_before, self._cpu()
        self._on_tick(self._cpu_before - before)
