"""Together: what comes in one moment is decided in one step, and the steps leave time for everything else.

A step over a pool of 400 members takes control 3 to 8 ms, and each worker 1 ms to take in. While 200 of them come and
go that were sixty steps a second, and one query in fifty waited for one. So:

  the step took    the next comes not before
  up to 1 ms       5 ms after it is asked for
  longer           50 times what is beyond that, at most 0.25 s, after its end

The first news of a calm time is always decided at once. Must not know: what is decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

GATHERED = 0.005  # seconds from the first that asks to the step
LITTLE = 0.001  # seconds
REST = 50
LONGEST_REST = 0.25  # seconds; little beside `fall` checks and a TTL


class Together:
    """Calls `step` for whoever asks, in the loop that runs then."""

    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step
        self._timer: asyncio.TimerHandle | None = None
        self._rested = 0.0

    def soon(self) -> None:
        """One step for all who ask until then."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time() + GATHERED, self._rested), self.now)

    def settle(self) -> None:
        """What has been asked for is done when this returns."""
        if self._timer is not None:
            self.now()

    def now(self) -> None:
        """At once, which serves those who wait as well."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        begun = loop.time()
        self._step()
        ended = loop.time()
        self._rested = ended + min(LONGEST_REST, REST * max(0.0, ended - begun - LITTLE))
