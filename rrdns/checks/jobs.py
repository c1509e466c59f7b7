"""What the prober keeps of each target, and what it tells of itself. Plain data."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from enum import Enum

from rrdns.model import CommandProbe, Result, Target

LEAST_SHARE = 1 / 64


class Place(Enum):
    WAITING = "waiting"
    READY = "ready"
    RUNNING = "running"


class Job:
    """One target and where it stands. `entry` is the number of its living heap entry; others of it are dead."""

    __slots__ = ("again", "begun", "bunched", "due", "entry", "gone", "place", "target", "task")

    def __init__(self, target: Target, due: float) -> None:
        self.target = target
        self.due = due
        self.begun = 0.0
        self.place = Place.WAITING
        self.entry = -1
        self.bunched = True  # started in a crowd (first round, after a pause): its next time is spread
        self.again = False  # to be asked once more when it ends
        self.gone = False
        self.task: asyncio.Task[Result] | None = None

    @property
    def runs_command(self) -> bool:
        return isinstance(self.target.check.probe, CommandProbe)


class Lane:
    """READY jobs of one kind, and how many of them may run at once and may begin within one tick of the loop.

    Of both limits only a share is used, which follows the CPU time that a tick costs us (`adapt`). A round of
    10,000 TLS handshakes begun together, or 500 answers coming together, would stall the loop, void one another,
    and begin again for ever. Hosts that let us wait cost no CPU time, so many of them do not make the share small.
    """

    __slots__ = ("begun", "limit", "most", "ready", "running", "share")

    def __init__(self, limit: int, most: int) -> None:
        """At most `limit` run at once, at most `most` begin within a tick."""
        self.limit = limit
        self.most = most
        self.share = 0.25
        self.ready: deque[Job] = deque()
        self.running = 0
        self.begun = 0  # in this tick

    @property
    def free(self) -> bool:
        return self.running < max(1, int(self.limit * self.share)) and self.begun < max(1, int(self.most * self.share))

    def adapt(self, busy: float, limit: float) -> None:
        """A tick is over; we were `busy` for so many seconds of CPU time (that others took our CPU is no reason to
        do less). At `limit` probes would begin to be void.

        | busy                                | share            |
        |-------------------------------------|------------------|
        | over 40 % of the limit              | a third smaller  |
        | under 20 %, and some had to wait    | an eighth larger |
        """
        if busy > 0.4 * limit:
            self.share = max(LEAST_SHARE, self.share * 2 / 3)
        elif busy < 0.2 * limit and self.ready:
            self.share = min(1.0, self.share * 9 / 8)
        self.begun = 0


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters since the start and gauges of this moment, for metrics.

    `late_total` adds up how much later than due probes began; `late_now` is the wait of the longest-waiting one: it
    grows when there is too much to do. `share` is the connections' (see Lane).
    """

    targets: int
    done: int
    failed: int
    void: int
    errors: int
    in_flight: int
    commands_in_flight: int
    queued: int
    share: float
    late_total: float
    late_worst: float
    late_now: float
    lags: int
    longest_lag: float
