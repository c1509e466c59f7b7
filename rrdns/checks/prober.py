"""When each target is asked: a wheel of due times, bounded parallelism, jitter, the guard against our own lag.

A target is in exactly one place:

    set_targets, kick ----------.
                                v
    WAITING -------due-------> READY -----a place is free-----> RUNNING
       ^                                                           |
       '--------- result: on_result says how soon again -----------'

WAITING targets stand in the wheel and cost nothing; only a RUNNING one has a connection (`dialer`) or a task.
Connections and commands have a lane each (`jobs.Lane`), bounded in parallel, and paced by what the loop can do; how
late probes begin is counted. How soon again: `rhythm`.

Must not know: what a result means. How soon to ask again is `on_result`'s answer.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import resource
import time
from bisect import bisect_left
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from rrdns.checks import rhythm
from rrdns.checks.ask import plain_talk, probe
from rrdns.checks.dialer import Dialer, Line, Outcome
from rrdns.checks.jobs import LATE_BOUNDS, Job, Lane, Place, Running, Stats
from rrdns.checks.lag import LagWatch
from rrdns.checks.wheel import WIDTH, Wheel
from rrdns.model import Result, Target

log = logging.getLogger(__name__)

LAG_LIMIT = 0.1  # DESIGN: a probe during which the own loop lagged longer is void
SLEEPERS = 8  # times `concurrency`: connections that wait for slow or dead hosts
REST = WIDTH  # seconds between two looks at the wheel
CLOCK_STEP = 0.001  # uvloop's
COMPLAIN_EVERY = 60.0

OnResult = Callable[[Target, Result], float]
Ask = Callable[[Target], Coroutine[Any, Any, Result]]


class Prober:
    """Asks all targets again and again. Everything runs on the loop that called `start`."""

    def __init__(
        self,
        on_result: OnResult,
        concurrency: int = 512,
        command_concurrency: int = 16,
        *,
        sleepers: int | None = None,
        rng: random.Random | None = None,
        ask: Ask | None = None,
        lag_limit: float = LAG_LIMIT,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        """`on_result` gets each result, void ones too, and returns the seconds from this probe's begin to the next.

        At most `concurrency` connections are busy at once, besides up to `sleepers` that wait for slow hosts. `ask` is
        for those who ask otherwise than `checks.ask` does.
        """
        self._ask = ask
        self._dialer: Dialer | None = None
        self._on_result = on_result
        concurrency = max(1, concurrency)
        self._connections = Lane(concurrency, _sleepers(concurrency) if sleepers is None else sleepers)
        self._commands = Lane(max(1, command_concurrency))
        self._lanes = (self._connections, self._commands)
        self._rng = rng or random.Random()
        self._lag_limit = lag_limit
        self._cpu = cpu
        self._lag: LagWatch | None = None
        self._lags_seen = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._jobs: dict[str, Job] = {}
        self._leaving: dict[str, Job] = {}  # removed while running
        self._wheel = Wheel()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._stopped = False
        self._done = self._failed = self._void = self._errors = 0
        self._late_total = self._late_worst = 0.0
        self._late = [0] * (len(LATE_BOUNDS) + 1)
        self._complained_at = -math.inf
        self._complained_void = 0

    # ------------------------------------------------------------ doors

    def set_targets(self, targets: Mapping[str, Target]) -> None:
        """From now on exactly these. New ones are asked at once; those that stay keep their rhythm."""
        for key in self._jobs.keys() - targets.keys():
            self._remove(key)
        for key, target in targets.items():
            job = self._jobs.get(key)
            if job is not None:
                job.target = target
                continue
            job = self._leaving.pop(key, None)
            if job is not None:  # removed and back before its probe could end: never two of one target
                job.target, job.gone, job.again, job.bunched = target, False, True, True
                self._jobs[key] = job
                continue
            job = self._jobs[key] = Job(target, self._loop.time() if self._loop else 0.0)
            if self._loop:
                self._enqueue(job)
        self._fill()

    def start(self) -> None:
        """Begins with a first round over all targets, not spread, only bounded in parallel."""
        if self._loop is not None:
            raise RuntimeError("the prober was started before")
        self._loop = asyncio.get_running_loop()
        self._lag = LagWatch(self._lag_limit, self._on_tick, self._cpu)
        if self._ask is None:
            self._dialer = Dialer()
        for job in self._jobs.values():
            job.due = self._loop.time()
            self._enqueue(job)
        self._fill()

    async def stop(self) -> None:
        """Ends all probes; `on_result` is not called any more when this is called."""
        running = [job.running for job in (*self._jobs.values(), *self._leaving.values())]
        self.set_targets({})
        self._stopped = True
        if self._timer:
            self._timer.cancel()
            self._timer = None
        await asyncio.gather(*(one for one in running if isinstance(one, asyncio.Task)), return_exceptions=True)
        if self._dialer:
            self._dialer.close()
        if self._lag:
            self._lag.off()

    def kick(self, key: str) -> None:
        """Asks this target now; if it is being asked, once more right after."""
        job = self._jobs.get(key)
        if job is None or self._loop is None:
            return
        if job.place is Place.RUNNING:
            job.again = True
        elif job.place is Place.WAITING:
            job.due = self._loop.time()
            self._enqueue(job)
            self._fill()

    def stats(self) -> Stats:
        now = self._loop.time() if self._loop else 0.0
        ready = [job for lane in self._lanes for job in lane.ready if not job.gone]
        return Stats(
            targets=len(self._jobs),
            done=self._done,
            failed=self._failed,
            void=self._void,
            errors=self._errors,
            in_flight=self._connections.running,
            commands_in_flight=self._commands.running,
            queued=len(ready),
            share=self._connections.share,
            late=tuple(self._late),
            late_total=self._late_total,
            late_worst=self._late_worst,
            late_now=max((now - job.due for job in ready), default=0.0),
            lags=self._lag.count if self._lag else 0,
            longest_lag=self._lag.longest if self._lag else 0.0,
        )

    # ------------------------------------------------------------ from place to place

    def _remove(self, key: str) -> None:
        job = self._jobs.pop(key)
        job.gone = True
        if job.running:
            self._leaving[key] = job
            job.running.cancel()
            if isinstance(job.running, Line) and self._loop:  # it tells nobody
                self._loop.call_soon(self._ended, job, self._lane(job), None)

    def _wait_until(self, job: Job, due: float) -> None:
        assert self._loop
        job.due = due
        if due <= self._loop.time():
            return self._enqueue(job)
        job.place = Place.WAITING
        self._wheel.put(job)
        if self._timer is None or due < self._timer_at:
            self._set_timer()

    def _set_timer(self) -> None:
        """One timer, for the first slot; it rests a while first, so that those due nearly together share it.

        It must never be set for "almost now": uvloop's clock has whole milliseconds, and the timer would spin.
        (When we were kept from the CPU for that long, uvloop's `call_at` gives a handle that has no `when`.)
        """
        assert self._loop
        first = self._wheel.first
        if first is None:
            return
        when = max(first, self._loop.time() + REST)
        if self._timer is None or when < self._timer_at - REST:
            if self._timer:
                self._timer.cancel()
            self._timer, self._timer_at = self._loop.call_at(when, self._wake), when

    def _wake(self) -> None:
        assert self._loop and self._lag
        self._timer = None
        self._lag.look()  # a pause that just ended is not the fault of the probes begun now
        for job in self._wheel.taken(self._loop.time() + CLOCK_STEP):
            self._enqueue(job)
        self._set_timer()
        self._fill()

    def _lane(self, job: Job) -> Lane:
        return self._commands if job.runs_command else self._connections

    def _enqueue(self, job: Job) -> None:
        job.place = Place.READY
        job.entry = -1
        self._lane(job).ready.append(job)

    def _fill(self) -> None:
        """Starts what is ready, as far as there are places."""
        if self._loop is None or self._stopped:
            return
        for lane in self._lanes:
            while lane.ready and lane.free:
                job = lane.ready.popleft()
                if not job.gone:
                    self._begin(job, lane)

    def _begin(self, job: Job, lane: Lane) -> None:
        assert self._loop and self._lag
        self._lag.on()
        now = self._loop.time()
        late = max(0.0, now - job.due)
        self._late_total += late
        self._late_worst = max(self._late_worst, late)
        self._late[bisect_left(LATE_BOUNDS, late)] += 1
        if late > job.target.check.interval / 2:
            job.bunched = True
        lane.begin(job, now)
        ended = partial(self._ended, job, lane)
        try:
            job.running = self._asking(job.target, ended)
        except Exception as error:  # a fault of our own
            self._loop.call_soon(ended, error)

    def _asking(self, target: Target, ended: Callable[[Outcome | None], None]) -> Running:
        if self._dialer and (talk := plain_talk(target)):
            return self._dialer.dial(talk, target, ended)
        task = asyncio.ensure_future(self._ask(target) if self._ask else probe(target, self._dialer))
        task.add_done_callback(lambda task: ended(None if task.cancelled() else task.exception() or task.result()))
        return task

    def _ended(self, job: Job, lane: Lane, outcome: Outcome | None) -> None:
        """None: it was cancelled."""
        assert self._loop and self._lag
        lane.end(job)
        job.running = None
        if job.gone:
            self._leaving.pop(job.target.key, None)
        elif outcome is None and job.again:  # it had been removed, and came back
            job.again = False
            self._wait_until(job, self._loop.time())
        else:
            result = outcome if isinstance(outcome, Result) else self._our_fault(job.target, outcome)
            if not result.void and self._lag.since(job.begun):
                result = replace(result, void=True, reason=f"not counted: this process lagged (got: {result.reason})")
            self._count(result)
            delay = rhythm.delay(job, result, self._pace(job, result), self._rng)
            if not job.gone:  # on_result may have taken it away
                self._wait_until(job, max(self._loop.time(), job.begun + delay))
        self._fill()

    def _our_fault(self, target: Target, error: BaseException | None) -> Result:
        if error is None:
            return Result(False, "internal error: cancelled")
        self._errors += 1
        log.error("probe of %s (check %s): internal error", target.address, target.check.name, exc_info=error)
        return Result(False, f"internal error: {error!r}")

    def _pace(self, job: Job, result: Result) -> float:
        """What `on_result` says; whatever it does, the prober goes on."""
        check = job.target.check
        try:
            pace = self._on_result(job.target, result)
        except Exception:
            log.exception("taking the result of %s (check %s): internal error", job.target.address, check.name)
            pace = check.interval
        return pace if math.isfinite(pace) else check.interval

    def _on_tick(self, busy: float) -> None:
        assert self._loop and self._lag
        now = self._loop.time()
        lagged, self._lags_seen = self._lag.count > self._lags_seen, self._lag.count
        for lane in self._lanes:
            if lagged:
                lane.lagged(now)
            lane.adapt(busy, self._lag_limit, now)
        self._fill()
        if not any(lane.ready or lane.running for lane in self._lanes):
            self._lag.off()

    def _count(self, result: Result) -> None:
        assert self._loop
        self._done += 1
        if not result.void:
            self._failed += not result.ok
            return
        self._void += 1
        now = self._loop.time()
        if now - self._complained_at >= COMPLAIN_EVERY:
            new = self._void - self._complained_void
            log.warning("probes that said nothing (hosts keep their state): %d; the latest: %s", new, result.reason)
            self._complained_at, self._complained_void = now, self._void


def _sleepers(concurrency: int) -> int:
    """How many connections may wait besides: half of the files we may open, for all else that needs one."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = files // 2 if files != resource.RLIM_INFINITY else math.inf
    return max(0, int(min(SLEEPERS * concurrency, spare - concurrency)))
