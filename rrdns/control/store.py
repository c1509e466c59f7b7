"""Store: what outlives the process, behind calls that never wait and never fail into the deciding code.

`keep_...` takes memory only; a thread of its own writes them in batches, at once for transitions
and overrides (`flush`), else once a second. When the disk does not take them, the store says so once, remembers
it (`state`, `why`: "in force, NOT saved"), and tries again every few seconds with everything. With no path
nothing is kept, and that is no failure. Must not know: how anything is decided.
"""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from rrdns import log
from rrdns.control.clock import Clock, Moment
from rrdns.control.ownfile import is_damage
from rrdns.control.statefile import EVENTS, Batch, EventRow, Kept, KeptHealth, StateFile
from rrdns.model import Event, Health, Override, State

NAME = "state.db"
EVERY = 1.0  # seconds between writes of what is not urgent
RETRY = 3.0  # seconds between tries while the disk takes nothing
REFRESH = 30.0  # seconds until a health without news is written again, for its age
PRUNE = 3600.0
BACKLOG = 50_000  # events held for a disk that takes nothing; the oldest go first
FUTURE = 5.0  # a health from further in the future is not believed: a clock was wrong

_T = TypeVar("_T")


class Store:
    def __init__(self, path: Path | None, clock: Clock) -> None:
        self.path = path
        self.state = "ok"
        self.why = ""
        self.notes: list[str] = []
        """What was wrong with the file at start, for people."""
        self.on_full: Callable[[], None] = lambda: None
        """Told that the disk is full: what is needed less than this goes first."""
        self._clock = clock
        self._file = StateFile(path) if path is not None else None
        self._thread = ThreadPoolExecutor(1, "store") if path is not None else None
        self._writing = asyncio.Lock()
        self._urgent = asyncio.Event()
        self._health: dict[str, KeptHealth] = {}
        self._overrides: tuple[tuple[Override, Moment], ...] = ()
        self._serials: dict[str, tuple[int, str]] = {}
        self._meta: dict[str, str] = {}
        self._events: deque[EventRow] = deque(maxlen=EVENTS)
        self._pending = Batch()
        self._pruned = float("-inf")
        self._tried = float("-inf")

    # ------------------------------------------------------------------ start and end

    async def open(self) -> None:
        """Reads what was kept. A file that can't be opened leaves an empty store that says so."""
        if self._file is None:
            return
        try:
            kept = await self._in_thread(self._file.open)
        except (OSError, sqlite3.Error) as error:
            self._fail(error)
            return
        self._take(kept)

    async def run(self) -> None:
        """Writes what is pending until cancelled."""
        while True:
            try:
                async with asyncio.timeout(EVERY):
                    await self._urgent.wait()
            except TimeoutError:
                pass
            self._urgent.clear()
            now = self._clock.now()
            if self.state == "ok" or now - self._tried >= RETRY:
                await self.flush()

    async def close(self) -> None:
        """Writes everything once more and lets go of the file; after that nothing is kept."""
        if self._file is None or self._thread is None:
            return
        await self.flush(durable=True)
        await self._in_thread(self._file.close)
        self._thread.shutdown(wait=False)
        self._file = None

    async def flush(self, durable: bool = False) -> bool:
        """Writes what is pending now; whether it is saved (or nothing is to be). Cancelled, it is still done to its
        end: the next one waits for it."""
        if self._file is None:
            self._pending = Batch()
            return True
        return await asyncio.shield(self._flush(durable))

    async def _flush(self, durable: bool) -> bool:
        async with self._writing:
            now = self._clock.moment()
            batch, self._pending = self._pending, Batch()
            batch.durable |= durable
            if now.mono - self._pruned >= PRUNE:
                batch.prune, self._pruned = True, now.mono
            if not (batch.anew or batch.prune or _something(batch)) and self.state == "ok":
                return True
            self._tried = now.mono
            try:
                await self._in_thread(self._write, batch, now.wall)
            except (OSError, sqlite3.Error) as error:
                self._pending = _joined(batch, self._pending)
                self._fail(error)
                if _is_full(error):
                    self.on_full()
                return False
            if self.state != "ok":
                self.state, self.why = "ok", ""
                log.logger.info("state is saved again in %s", self.path)
            return True

    def urge(self) -> None:
        """What was kept so far is to be written at once, not within a second."""
        self._urgent.set()

    # ------------------------------------------------------------------ what was kept

    def health(self, max_age: float) -> dict[str, Health]:
        """Kept health, on today's clock, of targets last seen within `max_age` seconds."""
        now = self._clock.moment()
        found = {}
        for key, kept in self._health.items():
            old = kept.health
            seen = now.of(old.seen, kept.at)
            if -FUTURE <= now.mono - seen <= max_age:
                since = now.of(old.since, kept.at)
                relapse_at = now.of(old.relapse_at, kept.at) if old.relapse_at else 0.0
                found[key] = Health(
                    old.state, since, old.failures, old.successes, old.need, relapse_at, seen, old.reason, old.took
                )
        return found

    def overrides(self) -> tuple[Override, ...]:
        """Kept overrides with what is left of their time; a clock that went back prolongs none."""
        now = self._clock.moment()
        found = []
        for old, at in self._overrides:
            until = None
            if old.until is not None:
                until = now.mono + (old.until - at.mono) - max(0.0, now.since(at))
            found.append(
                Override(old.pool, old.member, old.word, old.owner, old.reason, old.since_wall, until, old.until_wall)
            )
        return tuple(found)

    def serial(self, zone: str) -> tuple[int, str] | None:
        """The last serial of a zone, and the digest of what it stood for."""
        return self._serials.get(zone)

    def meta(self, key: str) -> str | None:
        return self._meta.get(key)

    def events(self, limit: int = 50, since: float | None = None, pool: str = "") -> list[dict[str, Any]]:
        """The last events, oldest first; `since` in seconds before now; `pool`: only its own and its members'."""
        earliest = self._clock.moment().wall - since if since is not None else float("-inf")
        return last_events(self._events, limit, earliest, pool)

    def event_rows(self) -> tuple[EventRow, ...]:
        """All that are kept, oldest first; for a thread."""
        return tuple(self._events)

    # ------------------------------------------------------------------ what is to be kept

    def keep_health(self, key: str, health: Health) -> None:
        """Keeps a target's health, if it has changed in a way that a restart must know, or its age has."""
        now = self._clock.now()
        kept = self._health.get(key)
        if kept is not None and now - kept.at.mono < REFRESH and _says(kept.health) == _says(health):
            return
        self._health[key] = self._pending.health[key] = KeptHealth(health, self._clock.moment())

    def keep_only_targets(self, keys: Iterable[str]) -> None:
        """After a reload: forgets targets that no file names any more."""
        keep = set(keys)
        for key in self._health.keys() - keep:
            del self._health[key]
            self._pending.health[key] = None

    def keep_overrides(self, overrides: Iterable[Override]) -> None:
        now = self._clock.moment()
        self._overrides = self._pending.overrides = tuple((override, now) for override in overrides)

    def keep_event(self, event: Event) -> dict[str, Any]:
        """Keeps an event; gives it as people get it, with its wall time."""
        wall = self._clock.moment().wall_of(event.at)
        row = (wall, event.subject, event.name, event.before, event.after, event.why)
        self._events.append(row)
        self._pending.events.append(row)
        if len(self._pending.events) > BACKLOG:
            del self._pending.events[: BACKLOG // 10]
        return event_dict(row)

    def keep_serials(self, serials: Mapping[str, tuple[int, str]]) -> None:
        for zone, value in serials.items():
            if self._serials.get(zone) != value:
                self._serials[zone] = self._pending.serials[zone] = value

    def keep_meta(self, key: str, value: str) -> None:
        self._meta[key] = self._pending.meta[key] = value

    # ------------------------------------------------------------------ inside

    def _take(self, kept: Kept) -> None:
        self._health, self._serials, self._meta = kept.health, kept.serials, kept.meta
        self._overrides = tuple(kept.overrides)
        self._events.extend(kept.events)
        self._say(kept)

    def _everything(self) -> Batch:
        """For a file that missed something, or is a new one: all that a restart needs."""
        return Batch(dict(self._health), self._overrides, dict(self._serials), dict(self._meta), anew=True)

    def _write(self, batch: Batch, wall: float) -> None:
        """In the thread. A file that has gone from its path, or shows damage, is made anew with everything
        (copying a dict is one step, so the loop may go on changing them)."""
        assert self._file is not None
        try:
            if self.state != "ok" or not self._file.is_open:
                batch = _joined(batch, self._everything())
            if not self._file.is_open:
                self._say(self._file.open())
            try:
                self._file.write(batch, wall)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._say(self._file.open(damaged=str(error)))
                self._file.write(_joined(batch, self._everything()), wall)
        except (OSError, sqlite3.Error):
            self._file.close()
            raise

    def _say(self, kept: Kept) -> None:
        for note in kept.notes:
            log.logger.error("%s", note)
        self.notes = kept.notes or self.notes

    def _fail(self, error: Exception) -> None:
        why = f"{self.path}: {error}"
        if self.state == "ok" or self.why != why:
            log.logger.error("%s: everything stays in force, but is NOT saved; trying again every %g s", why, RETRY)
        self.state, self.why = "failing", why

    async def _in_thread(self, function: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)


def last_events(rows: Sequence[EventRow], limit: int, earliest: float, pool: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for row in reversed(rows):
        if len(found) >= limit or row[0] < earliest:
            break
        if not pool or row[2] == pool or row[2].startswith(pool + "/"):
            found.append(event_dict(row))
    return found[::-1]


def event_dict(row: EventRow) -> dict[str, Any]:
    return dict(zip(("time", "subject", "name", "before", "after", "why"), row, strict=True))


def _says(health: Health) -> tuple[object, ...]:
    """The part of a health that a restart must not lose. While all is well successes only count up."""
    successes = health.successes if health.failures or health.state is not State.UP else -1
    return health.state, health.since, health.failures, successes, health.need, health.relapse_at


def _is_full(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return getattr(error, "errno", None) == errno.ENOSPC or (code is not None and code & 0xFF == sqlite3.SQLITE_FULL)


def _something(batch: Batch) -> bool:
    return bool(batch.health or batch.serials or batch.meta or batch.events or batch.overrides is not None)


def _joined(older: Batch, newer: Batch) -> Batch:
    """Both as one batch; where both speak of the same thing the newer one holds."""
    return Batch(
        {**older.health, **newer.health},
        newer.overrides if newer.overrides is not None else older.overrides,
        {**older.serials, **newer.serials},
        {**older.meta, **newer.meta},
        (older.events + newer.events)[-BACKLOG:],
        older.anew or newer.anew,
        older.durable or newer.durable,
        older.prune or newer.prune,
    )
