"""Connections as directors counted them, on their way into the journal and out of it. Floor 3, pure.

They change at every reading, and `lc`, `wlc` and `correct:` go by them. MANY readings or so are one row: a column of
each number, coded by difference and compressed, four or five bytes for each server and reading. Every reading is kept
as long as all directors together tell of no more than A_SECOND servers a second; beyond that readings are thinned, and
those left out lie on a straight line between their neighbours. So a day takes 2 or 3 MB at most. Directors whose
counts nobody goes by now are kept every SELDOM seconds, for who asks what would be if somebody did.
Must not know: sqlite, what follows from a count.
"""

from __future__ import annotations

import json
import zlib
from array import array
from base64 import b85decode, b85encode
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice, pairwise
from typing import Any

from rrdns.model import DirectorTable, Report

A_SECOND = 5.0
SELDOM = 60.0
MANY = 25
LASTS = 60.0
LONGEST = 600.0  # seconds that one row tells of at most
TICK = 1e-4
SAME = 1e-3  # seconds within which two times are one reading

Server = tuple[str, str, str, int]
"""As a row of a director's table is told: part, name, address, port."""
Counts = tuple[int | None, int | None, int | None]
"""Connections that are active, that are idle or closing, and all since the director's start."""
Row = tuple[str, dict[str, Any], float]
"""Director, what the journal holds, and the time of its last reading."""


def _server(part: str, one: Report) -> Server:
    return part, one.server, one.address, one.port


# ---------------------------------------------------------------- into the journal


@dataclass(slots=True)
class _Gathered:
    """Readings of one director, all of the same servers and pools."""

    servers: tuple[Server, ...]
    pools: tuple[str, ...]
    told: tuple[bool, ...]
    times: list[float] = field(default_factory=list)
    numbers: list[tuple[int, ...]] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        ticks = [round((at - self.times[0]) / TICK) for at in self.times]
        numbers = b"".join(map(_packed, [ticks, *zip(*self.numbers, strict=True)]))
        head = {"servers": self.servers, "pools": self.pools, "told": [int(one) for one in self.told],
                "readings": len(self.times)}  # fmt: skip
        text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
        return {"z": b85encode(zlib.compress(text + b"\n" + numbers, 9)).decode()}


class CountJournal:
    """`note` takes a reading; `taken` gives the rows that came of them."""

    def __init__(self) -> None:
        self._gathered: dict[str, _Gathered] = {}
        self._done: list[Row] = []
        self._noted: dict[str, float] = {}
        self._sizes: dict[str, int] = {}

    def note(self, name: str, table: DirectorTable | str, answers: Mapping[str, int], keen: bool, now: float) -> None:
        """One reading of a director. `answers`: by pool that follows it what its names have answered so far; `keen`:
        whether somebody goes by the counts."""
        if isinstance(table, str):
            return
        reports = {_server(part, one): one for part, every in table.parts.items() for one in every}
        numbers = [number for one in reports.values() for number in (one.active, one.inactive, one.total)]
        told = tuple([one is not None for one in numbers])
        self._sizes[name] = len(reports) if any(told) and keen else 0
        pause = sum(self._sizes.values()) / A_SECOND if keen else SELDOM
        if not any(told) or now - self._noted.get(name, float("-inf")) < 0.9 * pause:
            return
        self._noted[name] = now
        kind = tuple(reports), tuple(answers), told
        one = self._gathered.get(name)
        if one is None or (one.servers, one.pools, one.told) != kind or now - one.times[0] >= LONGEST:
            self._put(name)
            one = self._gathered[name] = _Gathered(*kind)
        one.times.append(now)
        one.numbers.append((*(number for number in numbers if number is not None), *answers.values()))

    def _put(self, name: str) -> None:
        if one := self._gathered.pop(name, None):
            self._done.append((name, one.row(), one.times[-1]))

    def taken(self, whole: bool = True) -> list[Row]:
        """All there is; else only what makes a row worth its head."""
        for name, one in list(self._gathered.items()):
            if whole or len(one.times) >= MANY or one.times[-1] - one.times[0] >= LONGEST:
                self._put(name)
        done, self._done = self._done, []
        return done


def _packed(numbers: Sequence[int]) -> bytes:
    """Differences, seven bits a byte; the lowest bit of each is its sign."""
    found, before = bytearray(), 0
    for number in numbers:
        left = (number - before) << 1 if number >= before else ((before - number) << 1) - 1
        before = number
        while left > 127:
            found.append(left & 127 | 128)
            left >>= 7
        found.append(left)
    return bytes(found)


def _unpacked(data: bytes) -> Iterator[int]:
    """The differences."""
    number = shift = 0
    for one in data:
        number |= (one & 127) << shift
        shift += 7
        if one < 128:
            yield -(number + 1 >> 1) if number & 1 else number >> 1
            number = shift = 0


# ---------------------------------------------------------------- out of it


@dataclass(slots=True)
class _Kept:
    """A row, read back."""

    servers: list[Server]
    pools: list[str]
    times: list[float]
    columns: list[list[int | None]]

    def at(self, index: int) -> tuple[dict[Server, Counts], dict[str, int]]:
        found = {
            server: (self.columns[3 * n][index], self.columns[3 * n + 1][index], self.columns[3 * n + 2][index])
            for n, server in enumerate(self.servers)
        }
        rest = self.columns[3 * len(self.servers) :]
        return found, {pool: column[index] or 0 for pool, column in zip(self.pools, rest, strict=True)}


class Counted:
    """What the journal holds of one director's counts; times steady."""

    def __init__(self) -> None:
        self.times = array("d")
        self._rows: list[_Kept] = []
        self._begins: list[float] = []

    def take(self, data: Mapping[str, Any], last: float) -> None:
        """A row of the journal, in the order of time."""
        head, _, packed = zlib.decompress(b85decode(data["z"])).partition(b"\n")
        said, numbers = json.loads(head), _unpacked(packed)
        ticks = list(accumulate(islice(numbers, said["readings"])))
        times = [last + (tick - ticks[-1]) * TICK for tick in ticks]
        many = sum(said["told"]) + len(said["pools"])
        columns: Iterator[list[int | None]] = iter(
            [list(accumulate(islice(numbers, said["readings"]))) for _ in range(many)]
        )
        nothing: list[int | None] = [None] * len(times)
        whole = [next(columns) if told else nothing for told in said["told"]]
        servers = [(str(part), str(name), str(address), int(port)) for part, name, address, port in said["servers"]]
        self._rows.append(_Kept(servers, [str(one) for one in said["pools"]], times, [*whole, *columns]))
        self._begins.append(times[0])
        self.times.extend(times)

    def next(self, now: float, interval: float) -> float | None:
        """When it was read next; where readings were left out, an interval from now."""
        index = bisect_right(self.times, now + SAME)
        if index == len(self.times):
            return None
        return self.times[index] if self.times[index] - now < 1.6 * interval else now + interval

    def at(self, now: float) -> tuple[Mapping[Server, Counts], Mapping[str, int]]:
        """The counts of a moment, and what pools had answered; between two readings what lies between, and for a
        while after the last one what it was."""
        after = bisect_left(self.times, now - SAME)
        if not self.times or after == len(self.times):
            return self._reading(after - 1) if self.times and now - self.times[-1] < LASTS else ({}, {})
        if after == 0 or self.times[after] <= now + SAME:
            return self._reading(after) if self.times[after] <= now + SAME else ({}, {})
        part = (now - self.times[after - 1]) / (self.times[after] - self.times[after - 1])
        (old, given), (new, giving) = self._reading(after - 1), self._reading(after)
        servers = {
            one: (
                _between(old[one][0], new[one][0], part),
                _between(old[one][1], new[one][1], part),
                _between(old[one][2], new[one][2], part),
            )
            for one in new.keys() & old.keys()
        }
        return servers, {pool: _between(given[pool], giving[pool], part) or 0 for pool in given.keys() & giving.keys()}

    def _reading(self, index: int) -> tuple[dict[Server, Counts], dict[str, int]]:
        row = self._rows[bisect_right(self._begins, self.times[index]) - 1]
        return row.at(bisect_left(row.times, self.times[index]))

    def pause(self) -> float:
        """How long it usually is from one reading to the next."""
        pauses = sorted(after - before for before, after in pairwise(self.times))
        return pauses[len(pauses) // 2] if pauses else 0.0


def _between(old: int | None, new: int | None, part: float) -> int | None:
    return None if old is None or new is None else round(old + part * (new - old))
