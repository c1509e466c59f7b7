"""What a journal tells, as facts: sessions, runs of equal results, other inputs, events. Floor 3, pure.

All times here are steady seconds: wall time as long as the wall clock only went forward; where it went back, sessions
still follow one another. `Recording.wall` gives wall time for people. Must not know: sqlite, how a journal is
written, what follows from it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rrdns.model import DataSet, DirectorTable, Report, Result, Unheard

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Session:
    """One unbroken stretch of the journal. `kind`: start (the server's) | clock (its wall clock was stepped) | hole
    (rows before it were lost). `ahead`: its steady times minus wall times."""

    number: int
    begin: float
    end: float
    kind: str
    about: Json
    ahead: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """Equal results of one target in a row. `heads`: their first moments, in seconds after `first`; what follows is
    taken to be evenly spread up to `last`."""

    first: float
    last: float
    count: int
    result: Result
    heads: Sequence[float] = (0.0,)

    def moments(self) -> Iterator[float]:
        for head in self.heads:
            yield self.first + head
        start, rest = self._tail()
        for number in range(1, rest + 1):
            yield start + (self.last - start) * number / rest

    def at_or_after(self, moment: float) -> float | None:
        """The first of its results from `moment` on."""
        index = bisect_left(self.heads, moment - self.first)
        if index < len(self.heads):
            return self.first + self.heads[index]
        start, rest = self._tail()
        if moment > self.last or not rest:
            return None
        step = (self.last - start) / rest
        if step <= 0:
            return self.last
        number = max(1, -int((start - moment) // step))
        return min(self.last, max(moment, start + step * number))

    def at_or_before(self, moment: float) -> float | None:
        """The last of its results up to `moment`, roughly where they are only counted."""
        if moment < self.first:
            return None
        if moment >= self.last:
            return self.last
        index = bisect_right(self.heads, moment - self.first) - 1
        start, rest = self._tail()
        if moment < start or not rest or self.last <= start:
            return self.first + self.heads[index]
        step = (self.last - start) / rest
        return start + step * ((moment - start) // step)

    def _tail(self) -> tuple[float, int]:
        return self.first + self.heads[-1], self.count - len(self.heads)


@dataclass(frozen=True, slots=True)
class Input:
    """A load, an override, a report, counts, a look at a name, or a picture of what was in force. `name`: what it is
    about."""

    at: float
    session: int
    kind: str
    name: str
    data: Json


@dataclass(slots=True)
class Recording:
    """A journal, or the part of it that was asked for. `runs` by target key, oldest first; `abouts`: what each target
    asked; `events` as `rrdns events` prints them, with steady `at`; `datasets` by digest of the list of files,
    `missing` those that can't be had, and why."""

    sessions: list[Session] = field(default_factory=list)
    abouts: dict[str, Json] = field(default_factory=dict)
    runs: dict[str, list[Run]] = field(default_factory=dict)
    inputs: list[Input] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    datasets: dict[str, DataSet] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def begin(self) -> float:
        return self.sessions[0].begin if self.sessions else 0.0

    @property
    def end(self) -> float:
        return self.sessions[-1].end if self.sessions else 0.0

    def session(self, at: float) -> Session:
        index = bisect_right([one.begin for one in self.sessions], at) - 1
        return self.sessions[max(0, index)]

    def wall(self, at: float) -> float:
        return at - self.session(at).ahead

    def steady(self, wall: float) -> float:
        """The steady time of a wall time; where the clock went back and showed it twice, the later one."""
        for one in reversed(self.sessions):
            if wall >= one.begin - one.ahead:
                return wall + one.ahead
        return wall + (self.sessions[0].ahead if self.sessions else 0.0)

    def after(self, picture: Input, settling: float) -> Iterator[tuple[float, Input | Session | float]]:
        """All that came after a picture: inputs, sessions as they begin, and where none goes on from one its end; what
        follows from the last results of a session (`settling` seconds) is still its own."""
        for index, one in enumerate(self.sessions):
            if one.begin > picture.at and one.kind != "clock":
                yield one.begin, one
            following = self.sessions[index + 1] if index + 1 < len(self.sessions) else None
            if one.end > picture.at and (following is None or following.kind != "clock"):
                end = one.end + settling if following is None else min(one.end + settling, following.begin)
                yield end, end
        for told in self.inputs:
            shown = told.kind in ("picture", "load") and told.at <= picture.at
            if told is not picture and told.at >= picture.at and not shown:
                yield told.at, told

    def start(self, since: float) -> Input | None:
        """The picture to begin with, so that `since` is covered: the last one before it, else the first there is."""
        pictures = [one for one in self.inputs if one.kind == "picture"]
        before = [one for one in pictures if one.at <= since]
        return before[-1] if before else next(iter(pictures), None)


class Tables:
    """Directors' tables, put together again from what was new in each."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[tuple[str, str, str, int], tuple[str, int | None, bool]]] = {}
        self._parts: dict[str, list[str]] = {}
        self._masters: dict[str, bool | None] = {}
        self._whole: dict[str, DirectorTable] = {}

    def take(self, name: str, data: Json) -> DirectorTable | str:
        """What the director said then, whole; a text: it could not be read, and why."""
        if data.get("fault") is not None:
            return Unheard(data["fault"]) if data.get("silent") else str(data["fault"])
        rows = self._rows.setdefault(name, {})
        for part, server, address, port in data.get("gone", ()):
            rows.pop((part, server, address, port), None)
        for part, server, address, port, word, weight, backup in data.get("rows", ()):
            rows[part, server, address, port] = word, weight, backup
        self._parts[name] = list(data.get("parts", ()))
        if "master" in data:
            self._masters[name] = data["master"]
        self._whole.pop(name, None)
        return self.table(name)

    def table(self, name: str) -> DirectorTable:
        if name not in self._whole:
            self._whole[name] = self._table(name)
        return self._whole[name]

    def _table(self, name: str) -> DirectorTable:
        parts: dict[str, list[Report]] = {part: [] for part in self._parts.get(name, ())}
        for (part, server, address, port), (word, weight, backup) in self._rows.get(name, {}).items():
            one = Report(server, address, port, word, "as journaled", weight=weight, backup=backup)
            parts.setdefault(part, []).append(one)
        return DirectorTable({part: tuple(found) for part, found in parts.items()}, self._masters.get(name))
