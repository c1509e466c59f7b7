"""Retold: which recorded results a target gets in a replay, and when. Floor 3, pure.

A target that was probed then gets the results of then. One that was not (its check was edited) is probed in pretend
time: a recorded result of the likest target that falls into its pace is taken as its own, and where it would have
asked oftener, the outcome recorded last before that moment. Must not know: rosters, decisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf

from rrdns.model import Health, State, Target
from rrdns.recorded import Recording, Run

EARLY, LATE = 0.85, 1.15  # of a probe's pace; jitter is 10 %
NEXT = 2e-5  # from one moment of a run to the next there is more


@dataclass(frozen=True, slots=True)
class Likeness:
    """Which recorded target speaks for one that was not probed then. `rank` 0: the very same; 1: the same question,
    at other times or with other thresholds; 2: same type and port; 3: another check of that address."""

    key: str
    source: str
    rank: int


class Cursor:
    """Where the replay stands in the results of one target."""

    __slots__ = ("again", "alive", "index", "last", "like", "runs", "target", "told")

    def __init__(self, target: Target, like: Likeness, runs: list[Run], again: float) -> None:
        self.target, self.like, self.runs = target, like, runs
        self.again = again
        """Seconds between two probes of then, when all was well."""
        self.index = 0
        self.last = -inf
        self.told = -1
        self.alive = True

    def first(self, now: float) -> float | None:
        """The first result from `now` on."""
        while self.index < len(self.runs) and self.runs[self.index].last < now:
            self.index += 1
        if self.index == len(self.runs):
            return None
        return self.runs[self.index].at_or_after(now)

    def following(self, pace: float, settled: bool) -> float | None:
        """When the next result is due after the one at `last`, which came from run `index`."""
        run = self.runs[self.index]
        after = self.runs[self.index + 1].first if self.index + 1 < len(self.runs) else None
        if settled:
            if after is None or not self.like.rank or pace < LATE * self.again:
                return after
            return self.last + pace * max(1, ceil((after - self.last) / pace - 1e-6))
        if not self.like.rank:
            found = run.at_or_after(self.last + NEXT)
            return found if found is not None else after
        found = run.at_or_after(self.last + EARLY * pace)
        if found is None and after is not None and after >= self.last + EARLY * pace:
            found = after
        due = self.last + LATE * pace
        if found is not None and found <= due:
            return found
        lasts = after if after is not None else run.last + LATE * self.again
        if due < lasts and due <= run.last + 3 * self.again + 10.0:
            return due
        return after

    def at(self, moment: float) -> Run:
        """The run in force at a moment."""
        while self.index + 1 < len(self.runs) and self.runs[self.index + 1].first <= moment + 1e-6:
            self.index += 1
        return self.runs[self.index]


def like(target: Target, recording: Recording, by_address: Mapping[str, Sequence[str]]) -> Likeness | None:
    """The recorded target that speaks for this one; `by_address`: the recorded ones."""
    if target.key in recording.runs:
        return Likeness(target.key, target.key, 0)
    check, found = target.check, []
    for key in by_address.get(target.address, ()):
        about = recording.abouts[key]
        if key not in recording.runs:
            continue
        same = about.get("asks") == repr((check.type, check.port, check.probe, check.at))
        near = about.get("type") == check.type and about.get("port") == check.port
        newest = recording.runs[key][-1].last
        found.append((1 if same else 2 if near else 3, -newest, key))
    if not found:
        return None
    rank, _, source = min(found)
    return Likeness(target.key, source, rank)


def stands(health: Health, ok: bool) -> bool:
    """Whether more results of the same outcome would change nothing."""
    if ok:
        return health.state is State.UP and not health.failures
    return health.state is State.DOWN and not health.successes
