"""What waits for one sink, when to try it again, and what is given up. Floor 1, pure: times are arguments, monotonic.

All that waits for a sink goes out as one message: a sink that was away for an hour gets one, not fifty. A try that
fails is repeated after 5, 10, 20 ... at most 300 seconds. An entry older than `keep`, or the oldest of too many, is
dropped, counted, and spoken of in the next message. Must not know: disks, networks, texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rrdns.notify.notices import Notice, collapsed

FIRST_WAIT = 5.0
LONGEST_WAIT = 300.0
MOST = 200  # entries
MOST_NOTICES = 50_000  # in all entries together
REFUSALS = 5  # a message that is understood and refused so often is dropped: it will not get better


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures - 1, 10)) if failures else 0.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One message that was made at `made`, and waits."""

    id: int
    sink: str
    made: float
    notices: tuple[Notice, ...]


class Queue:
    """`failures` in a row since `failing_since`, because of `why`. `dropped`: messages since the start."""

    def __init__(self, keep: float) -> None:
        self.entries: list[Entry] = []
        self.failures = 0
        self.refusals = 0
        self.failing_since: float | None = None
        self.why = ""
        self.sent = 0
        self.tries_failed = 0
        self.dropped = 0
        self.untold = 0
        """Messages dropped of which the sink was not told yet."""
        self.last_sent: float | None = None
        self.next_try = float("-inf")
        self._keep = keep

    def add(self, entry: Entry) -> list[Entry]:
        """Gives the entries that had to make room."""
        self.entries.append(entry)
        gone = []
        held = sum(len(one.notices) for one in self.entries)
        while len(self.entries) > MOST or (held > MOST_NOTICES and len(self.entries) > 1):
            gone.append(self.entries.pop(0))
            held -= len(gone[-1].notices)
        return self._drop(gone)

    def expired(self, now: float) -> list[Entry]:
        """Takes out the entries that are too old."""
        gone = [one for one in self.entries if now - one.made > self._keep]
        if gone:
            old = {one.id for one in gone}
            self.entries = [one for one in self.entries if one.id not in old]
        return self._drop(gone)

    def deadline(self) -> float | None:
        """When to try; None while nothing waits."""
        return self.next_try if self.entries else None

    def notices(self) -> tuple[Notice, ...]:
        """Of all that waits, as one message."""
        return collapsed(notice for one in self.entries for notice in one.notices)

    def delivered(self, entries: Iterable[Entry], now: float, spoken_of: int = 0) -> None:
        """`spoken_of`: of so many dropped messages the sink knows now."""
        done = {one.id for one in entries}
        self.entries = [one for one in self.entries if one.id not in done]
        self.sent += 1
        self.untold -= spoken_of
        self._well(now)

    def failed(self, why: str, now: float, refused: bool = False, after: float = 0.0) -> list[Entry]:
        """`refused`: the message, not the sink, seems to be at fault; `after`: the sink's own wish for patience.
        Gives what is given up for that."""
        self.failures += 1
        self.tries_failed += 1
        self.why = why
        if self.failing_since is None:
            self.failing_since = now
        self.next_try = now + max(backoff(self.failures), min(after, LONGEST_WAIT))
        self.refusals = self.refusals + 1 if refused else 0
        if self.refusals < REFUSALS:
            return []
        gone, self.entries, self.refusals = self.entries, [], 0
        return self._drop(gone)

    def _well(self, now: float) -> None:
        self.failures = self.refusals = 0
        self.failing_since, self.why = None, ""
        self.last_sent, self.next_try = now, float("-inf")

    def heard(self, now: float) -> None:
        """The sink took something that was not from here: a test, a repetition."""
        self._well(now)

    def _drop(self, gone: list[Entry]) -> list[Entry]:
        self.dropped += len(gone)
        self.untold += len(gone)
        return gone
