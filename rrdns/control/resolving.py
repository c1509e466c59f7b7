"""Follows host names of members: asks for A and AAAA of each again when the answer's TTL is over, and hands it on.

Each name has a task of its own, so one that hangs delays nobody; how many questions are under way is the resolver's
business. A look that fails is repeated soon, then less and less often. Must not know: pools, what an answer means, what
holds on meanwhile.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rrdns.log import logger
from rrdns.resolution import Resolution
from rrdns.resolver import NoAnswer, Resolver

LEAST = 5.0  # seconds between two looks at a name, however short its TTL
MOST = 3600.0
RETRY = 1.0  # seconds after the first look that fails; doubled for each that follows
LONGEST_RETRY = 60.0
JITTER = 0.1
INTERNAL = "internal error: see the log"

OnName = Callable[[str, Resolution], None]


@dataclass(slots=True)
class Stats:
    """How looks at one name went. `ttl`: of its last answer, None: it had none; `next`: when it is looked at again,
    monotonic."""

    looks: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    took: float = 0.0
    ttl: int | None = None
    next: float = 0.0


def pace(ttl: int | None, failures: int) -> float:
    """Seconds to the next look, without jitter. `failures`: looks in a row that gave nothing, for a family at least.

    | the last look        | the next comes after                                          |
    |----------------------|---------------------------------------------------------------|
    | good                 | its TTL, at least LEAST, at most MOST                         |
    | failed, in part      | RETRY, 2 * RETRY, 4 * RETRY ..., at most LONGEST_RETRY; where |
    |                      | a family was answered with a lower TTL, after that one        |
    """
    by_ttl = MOST if ttl is None else min(max(float(ttl), LEAST), MOST)
    if not failures:
        return by_ttl
    return min(by_ttl, LONGEST_RETRY, RETRY * 2.0 ** min(failures - 1, 10))


class Resolving:
    def __init__(self, on_name: OnName, resolver: Resolver) -> None:
        self._on_name = on_name
        self._resolver = resolver
        self._tasks: dict[str, asyncio.Task[None] | None] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._running = False
        self._told = False
        self.stats: dict[str, Stats] = {}

    def set_names(self, names: Iterable[str]) -> None:
        """One that stays goes on undisturbed."""
        wanted = dict.fromkeys(names)
        for name in [name for name in self._tasks if name not in wanted]:
            self._end(self._tasks.pop(name))
            del self.stats[name]
        for name in wanted:
            if name not in self._tasks:
                self.stats[name] = Stats()
                self._tasks[name] = self._begin(name) if self._running else None

    def start(self) -> None:
        """All names are looked at at once."""
        if not self._running:
            self._running = True
            self._tasks = {name: self._begin(name) for name in self._tasks}

    async def stop(self) -> None:
        self._running = False
        for task in self._tasks.values():
            self._end(task)
        self._tasks.clear()
        if self._ending:
            await asyncio.wait(self._ending)

    def _begin(self, name: str) -> asyncio.Task[None]:
        return asyncio.create_task(self._follow(name, self.stats[name]), name=f"name {name}")

    def _end(self, task: asyncio.Task[None] | None) -> None:
        if task is not None and not task.done():
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            task.cancel()

    # ---------------------------------------------------------------- one name

    async def _follow(self, name: str, stats: Stats) -> None:
        while True:
            begun = time.monotonic()
            said, stats.ttl = await self._look(name)
            stats.looks += 1
            stats.took = time.monotonic() - begun
            failed = isinstance(said.v4, str) or isinstance(said.v6, str) or not (said.v4 or said.v6)
            stats.failures += failed
            stats.failures_in_a_row = stats.failures_in_a_row + 1 if failed else 0
            try:
                self._on_name(name, said)
            except Exception:
                self._complain(f"passing on {name}")
            wait = pace(stats.ttl, stats.failures_in_a_row) * random.uniform(1, 1 + JITTER)
            stats.next = time.monotonic() + wait
            await asyncio.sleep(wait)

    async def _look(self, name: str) -> tuple[Resolution, int | None]:
        """Both families, and the lower TTL of the two."""
        (v4, short4), (v6, short6) = await asyncio.gather(self._ask(name, "A"), self._ask(name, "AAAA"))
        return Resolution(v4, v6), min((one for one in (short4, short6) if one is not None), default=None)

    async def _ask(self, name: str, rtype: str) -> tuple[tuple[str, ...] | str, int | None]:
        try:
            answer = await self._resolver.ask(name, rtype)
        except NoAnswer as error:
            return str(error), None
        except Exception:
            self._complain(f"resolving {name}")
            return INTERNAL, None
        return answer.values, answer.ttl

    def _complain(self, doing: str) -> None:
        """What should not happen ends no following, and is logged once."""
        if not self._told:
            self._told = True
            logger.exception("internal error %s; it goes on", doing)


def shown(stats: Mapping[str, Stats], name: str) -> dict[str, float | int | None]:
    """For status: the TTL of the last answer, and when it is asked again."""
    one = stats.get(name)
    if one is None or not one.looks:
        return {"ttl": None, "next": None}
    return {"ttl": one.ttl, "next": max(0.0, one.next - time.monotonic())}
