"""What is told, and what goes together: one collector a sink. Floor 1, pure: `now` is an argument, monotonic.

A message says what differs between what was told before and what holds now. It waits for `quiet` seconds without
another notice, at most `longest` from the first: the forty hosts of a rack are one message, and who was back before
it went out is in none. Of one subject at most BURST messages are made in WINDOW; what changes beyond that is held
until it has stood still for SETTLE, or for a WINDOW at most, and then told as one: "flapped, 12 changes, now up".

Must not know: sinks, how anything is sent or kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from rrdns.notify.notices import BAD, STATELESS, Key, Notice, is_news, joined

BURST = 3
WINDOW = 600.0
SETTLE = 60.0
MOST = 5_000  # subjects in one message; what is beyond is counted
REMEMBERED = 1000  # subjects whose messages are counted before the old ones are cleared away


@dataclass(slots=True)
class _Held:
    """A subject that has changed too often to be told each time."""

    notice: Notice
    since: float
    last: float

    @property
    def due(self) -> float:
        return min(self.last + SETTLE, self.since + WINDOW)


class Collector:
    """`told`: what was told last of each subject that was not well then."""

    def __init__(self, quiet: float, longest: float, told: Mapping[Key, Notice] | None = None) -> None:
        self.told = dict(told or {})
        self.lost = 0
        """Notices beyond MOST, left out of the message that is being collected."""
        self._quiet = quiet
        self._longest = longest
        self._open: dict[Key, Notice] = {}
        self._first = self._last = 0.0
        self._held: dict[Key, _Held] = {}
        self._past: dict[Key, deque[float]] = {}

    @property
    def collecting(self) -> int:
        return len(self._open) + len(self._held)

    def hear(self, notice: Notice, now: float) -> None:
        key = notice.key
        held, old = self._held.get(key), self._open.get(key)
        known = held.notice if held else old
        if known is not None and known.after == notice.after and notice.subject not in STATELESS:
            return  # said twice
        if held is not None:
            held.notice, held.last = joined(held.notice, notice), now
            return
        if old is None:
            if self.collecting >= MOST:
                self.lost += 1
                return
            if self._often(key, now):
                self._held[key] = _Held(notice, now, now)
                return
        if not self._open:
            self._first = now
        self._last = now
        self._open[key] = joined(old, notice) if old else notice

    def deadline(self) -> float | None:
        """When `take` will have something to look at."""
        times = [held.due for held in self._held.values()]
        if self._open:
            times.append(min(self._last + self._quiet, self._first + self._longest))
        return min(times, default=None)

    def take(self, now: float, everything: bool = False) -> tuple[Notice, ...]:
        """The notices of a message that is due (with `everything`, of all that was collected); often there are none:
        what was collected has undone itself."""
        found: list[Notice] = []
        if self._open and (everything or now >= min(self._last + self._quiet, self._first + self._longest)):
            found += [one for one in self._open.values() if is_news(self._word(one.key), one)]
            self._open = {}
        for key in [key for key, held in self._held.items() if everything or now >= held.due]:
            notice = self._held.pop(key).notice
            if notice.changes > 1 or is_news(self._word(key), notice):
                found.append(notice)
        for one in found:
            self._tell(one, now)
        if len(self._past) > REMEMBERED:
            self._past = {key: past for key, past in self._past.items() if past[-1] > now - WINDOW}
        return tuple(found)

    def _word(self, key: Key) -> str | None:
        told = self.told.get(key)
        return told.after if told else None

    def _tell(self, notice: Notice, now: float) -> None:
        if notice.severity in BAD:
            self.told[notice.key] = notice
        else:
            self.told.pop(notice.key, None)
        self._past.setdefault(notice.key, deque(maxlen=BURST)).append(now)

    def _often(self, key: Key, now: float) -> bool:
        past = self._past.get(key)
        return past is not None and len(past) == BURST and past[0] > now - WINDOW
