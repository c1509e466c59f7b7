"""Polled: what directors said in a recording, and when they said it again. Floor 3, pure.

The journal has what was new in a table, and, one by one as far as they were kept, the readings of its connections
(`counted.py`). Between the two a director went on saying the same: that is told again, or its word would get stale.
Must not know: rosters, decisions.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import inf
from typing import Any

from rrdns.counted import SAME, Counted
from rrdns.model import Director, DirectorTable
from rrdns.recorded import Input, Tables

FEW = 3  # after something new readings are told one by one; a removal must stand for two


class Polls:
    """`counted`: by director what is known of connections. `changes` tells one stretch of the same from the next."""

    def __init__(self, inputs: Iterable[Input], counts: bool) -> None:
        self.counted: dict[str, Counted] = {}
        self.changes: dict[str, int] = {}
        self._tables = Tables()
        self._faults: dict[str, str] = {}
        self._news: dict[str, list[float]] = {}
        self._late: set[str] = set()
        self._gaps: dict[str, list[tuple[float, float]]] = {}
        """From when it could be read for the last time to the fault that was noted then."""
        for one in inputs:
            if one.kind == "report":
                self._news.setdefault(one.name, []).append(one.at)
                if one.data.get("late"):
                    self._late.add(one.name)
                if "heard" in one.data:
                    self._gaps.setdefault(one.name, []).append((one.at - float(one.data["heard"]), one.at))
            elif one.kind == "counts" and counts:
                self.counted.setdefault(one.name, Counted()).take(one.data, one.at)

    def begin_anew(self) -> None:
        """Another process, which knows no table."""
        self._tables = Tables()
        self._faults.clear()
        self.changes.clear()

    def take(self, name: str, data: Mapping[str, Any], now: float) -> DirectorTable | str:
        """Something new, and what the director says with it."""
        self.changes[name] = self.changes.get(name, 0) + 1
        said = self._tables.take(name, data)
        if isinstance(said, str):
            self._faults[name] = said
            return said
        self._faults.pop(name, None)
        return self.said(name, now)

    def said(self, name: str, now: float) -> DirectorTable | str:
        """What the director says at this moment, with its connections as far as they are known; or why nothing."""
        if name in self._faults:
            return self._faults[name]
        table = self._tables.table(name)
        counts = self.counted[name].at(now)[0] if name in self.counted else {}
        if not counts:
            return table
        nothing = None, None, None
        parts = {}
        for part, reports in table.parts.items():
            found = []
            for one in reports:
                active, inactive, total = counts.get((part, one.server, one.address, one.port), nothing)
                found.append(replace(one, active=active, inactive=inactive, total=total))
            parts[part] = tuple(found)
        return DirectorTable(parts, table.master)

    def approximations(self, directors: Mapping[str, Director]) -> Iterator[str]:
        """What a replay knows only roughly, in words."""
        for name in sorted(self._late):
            yield (
                f"weights at {name} changed oftener than was journaled: between two rows of the journal they are "
                f"up to half a minute old"
            )
        for name, one in sorted(self.counted.items()):
            pause = one.pause()
            if name in directors and pause > 1.6 * directors[name].interval:
                yield f"connections of {name} were journaled every {pause:.0f} s: between two readings they are guessed"

    def answers(self, name: str, now: float) -> Mapping[str, int]:
        """By pool what it had answered by then."""
        return self.counted[name].at(now)[1] if name in self.counted else {}

    def is_news(self, name: str, now: float) -> bool:
        """Whether the journal has something new of just this reading, so that it must not be told twice."""
        news = self._news.get(name, [])
        index = bisect_left(news, now - SAME)
        return index < len(news) and news[index] <= now + SAME

    def next(self, director: Director, keen: bool, now: float, number: int) -> float:
        """When it says the same again, for the `number`th time. `keen`: somebody goes by its connections."""
        if director.name in self._faults:  # each reading that fails may tell that who goes by connections can't
            return now + director.interval if keen else inf
        often = keen or number <= FEW
        at = now + (director.interval if often else max(director.interval, 0.7 * director.stale_after))
        if keen and director.name in self.counted:
            at = self.counted[director.name].next(now, director.interval) or at
        for last, fault in self._gaps.get(director.name, []):
            if now < fault - SAME:
                return at if at < last - SAME else last if now < last - SAME else inf
        news = self._news.get(director.name, [])
        index = bisect_right(news, now + SAME)
        if index < len(news) and at > news[index] - director.interval / 2:
            return inf  # that was the next reading
        return at
