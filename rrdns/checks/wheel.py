"""Due times: who is due when, to within one slot. Pure.

A heap of 20,000 targets would be walked up and down with a cache miss at each step; one of the slots in use is short.
Must not know: clocks, probes.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator

from rrdns.checks.jobs import Job

WIDTH = 0.005  # seconds of one slot


class Wheel:
    """Jobs by the slot in which they are due: that is by the slot's number times WIDTH."""

    def __init__(self) -> None:
        self._slots: dict[int, list[tuple[int, Job]]] = {}
        self._numbers: list[int] = []  # a heap of the keys
        self._entries = 0

    def put(self, job: Job) -> None:
        """In its place for `job.due`. An entry it had is dead from now on."""
        self._entries += 1
        job.entry = self._entries
        number = math.ceil(job.due / WIDTH)
        there = self._slots.get(number)
        if there is None:
            there = self._slots[number] = []
            heapq.heappush(self._numbers, number)
        there.append((job.entry, job))

    @property
    def first(self) -> float | None:
        """When the first slot is due; None if there is none."""
        return self._numbers[0] * WIDTH if self._numbers else None

    def taken(self, now: float) -> Iterator[Job]:
        """Who is due by `now`, once; those that are gone, or stand elsewhere by now, are left out."""
        while self._numbers and self._numbers[0] * WIDTH <= now:
            for entry, job in self._slots.pop(heapq.heappop(self._numbers)):
                if job.entry == entry and not job.gone:
                    yield job
