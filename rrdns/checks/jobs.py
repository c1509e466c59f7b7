"""What the prober keeps of each target, and what it tells of itself. Plain data."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from enum import Enum

from rrdns.checks.dialer import Line
from rrdns.model import CommandProbe, Result, Target

FIRST_SHARE = 1 / 8
LEAST_SHARE = 1 / 64
PATIENCE = 0.1  # seconds until a running probe is one that waits

Running = asyncio.Task[Result] | Line


class Place(Enum):
    WAITING = "waiting"
    READY = "ready"
    RUNNING = "running"


class Job:
    """One target and where it stands. `entry` is the number of its living entry in the wheel; others of it are dead."""

    __slots__ = (
        "again",
        "asleep",
        "begun",
        "bunched",
        "due",
        "entry",
        "gone",
        "place",
        "running",
        "runs_command",
        "target",
    )

    def __init__(self, target: Target, due: float) -> None:
        self.target = target
        self.runs_command = isinstance(target.check.probe, CommandProbe)  # of one key always the same
        self.due = due
        self.begun = 0.0
        self.place = Place.WAITING
        self.entry = -1
        self.bunched = True  # started in a crowd (first round, after a pause): its next time is spread
        self.asleep = False  # running, and waiting for long (see Lane)
        self.again = False  # to be asked once more when it ends
        self.gone = False
        self.running: Running | None = None


class Lane:
    """READY jobs of one kind, and how many of them may run at once.

    Of `limit` only a share is used, which follows the CPU time that a tick of the loop costs us (`adapt`). A round of
    10,000 TLS handshakes begun together, or 500 answers coming together, would stall the loop, void one another,
    and begin again for ever. Hosts that let us wait cost no CPU time: after `PATIENCE` a probe is *asleep* and its
    place is free for another, up to `sleepers` such. So a thousand dead hosts make nobody else's probes late.
    """

    __slots__ = ("asleep", "awake", "hasty", "limit", "ready", "running", "share", "sleepers")

    def __init__(self, limit: int, sleepers: int = 0) -> None:
        self.limit = limit
        self.sleepers = sleepers
        self.share = FIRST_SHARE
        self.ready: deque[Job] = deque()
        self.running = 0
        self.asleep = 0
        self.awake: deque[tuple[float, Job]] = deque()  # in the order they began, some of them ended
        self.hasty = -math.inf  # when probes last waited for our own CPU

    @property
    def free(self) -> bool:
        return self.running - self.asleep < max(1, int(self.limit * self.share))

    def begin(self, job: Job, now: float) -> None:
        job.begun = now
        job.place = Place.RUNNING
        job.asleep = False
        self.running += 1
        if self.sleepers:
            self.awake.append((now, job))

    def end(self, job: Job) -> None:
        self.running -= 1
        self.asleep -= job.asleep
        job.asleep = False

    def _doze(self, now: float) -> None:
        """Frees the places of those that have been waiting for long: for their hosts, not for us."""
        while now - self.hasty >= PATIENCE and self.awake and self.awake[0][0] <= now - PATIENCE:
            begun, job = self.awake[0]
            if job.place is Place.RUNNING and job.begun == begun and not job.asleep:
                if self.asleep >= self.sleepers:
                    return
                job.asleep = True
                self.asleep += 1
            self.awake.popleft()

    def lagged(self, now: float) -> None:
        """The loop stood still, whoever's fault: all that ran is void. So let fewer run, which loses fewer next time;
        hosts that answer quickly are asked as often by few."""
        self.hasty = now
        self.share = max(min(self.share, FIRST_SHARE), self.share * 2 / 3)

    def adapt(self, busy: float, limit: float, now: float) -> None:
        """A tick is over; we were `busy` for so many seconds of CPU time (that others took our CPU is no reason to
        do less). At `limit` probes would begin to be void. A tick in which we never rested takes TICK (20 ms) and
        what its last turn of the loop took beyond; it is that turn which must stay short.

        | busy                                | share            |
        |-------------------------------------|------------------|
        | over 45 % of the limit              | a third smaller  |
        | under 30 %, and some had to wait    | an eighth larger |
        """
        if busy > 0.45 * limit:
            self.share = max(LEAST_SHARE, self.share * 2 / 3)
            self.hasty = now
        elif busy < 0.3 * limit and self.ready:
            self.share = min(1.0, self.share * 9 / 8)
        self._doze(now)


LATE_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters since the start and gauges of this moment, for metrics.

    `late` counts probes by how late they began: [i] those up to LATE_BOUNDS[i] seconds, the last all others.
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
    late: tuple[int, ...]
    late_total: float
    late_worst: float
    late_now: float
    lags: int
    longest_lag: float
