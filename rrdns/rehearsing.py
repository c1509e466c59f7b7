"""Rehearsing: a roster as a replay drives it, which asks only who serves. Floor 3, pure.

It decides as any other. What it leaves out can't change who serves: the bytes and the order of rings, with them the
turning of pages, and a decision after news that make no host another one (a failure that is counted and no more
shortens the TTL: `why_short` tells that when it is asked). With `rings` nothing is left out. Must not know: what is
recorded, when anything happens.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from rrdns.answers import AnswerSet, Key
from rrdns.roster.duty import Duty
from rrdns.roster.roster import Decision, Roster


class Watch(Protocol):
    """Who looks on. Times are steady; `decided` tells of a step over the pools in `roster.decided`; `dead` None:
    nothing is known."""

    def aimed(self, roster: Roster, now: float) -> None: ...
    def decided(self, roster: Rehearsal, decision: Decision, now: float) -> None: ...
    def truth(self, key: str, dead: bool | None, now: float) -> None: ...
    def paused(self, now: float) -> None: ...


class Blind:
    def aimed(self, roster: Roster, now: float) -> None: ...
    def decided(self, roster: Rehearsal, decision: Decision, now: float) -> None: ...
    def truth(self, key: str, dead: bool | None, now: float) -> None: ...
    def paused(self, now: float) -> None: ...


class Rehearsal(Roster):
    """`decided`: the pools that were decided since it was last emptied."""

    def __init__(self, rings: bool, isolation_hold: float = 60.0, witness: Iterable[str] = ()) -> None:
        super().__init__(None, isolation_hold, witness)
        self.decided: set[str] = set()
        self._rings = rings

    def _render(self, duty: Duty, now: float, changed: dict[Key, AnswerSet | None]) -> None:
        self.decided.add(duty.pool.name)
        if self._rings:
            super()._render(duty, now, changed)

    def _judge(self, duty: Duty, index: int | None) -> None:
        name = duty.pool.name
        if self._rings or index is None or duty.spoken or name in self._dirty:
            super()._judge(duty, index)
            return
        host = duty.hosts[index]
        percent = duty.percents.get(host.name)
        super()._judge(duty, index)
        if duty.hosts[index] == host and duty.percents.get(host.name) == percent and not duty.spoken:
            self._dirty.discard(name)
