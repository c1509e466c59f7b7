"""Runs `before_promote`: one command a pool at a time, RUNS over all, each in a clean environment and for a bounded
time, its process group killed when that is over or when nobody waits for it any more.

    RRDNS_POOL            the pool                            RRDNS_REASON  failover | failback | drill | operator
    RRDNS_FROM            members who shall not serve it any more, with blanks between them; what is to be fenced
    RRDNS_TO              members who shall, a borrowed one as pool/member
    RRDNS_FROM_ADDRESSES  } their addresses
    RRDNS_TO_ADDRESSES    }

A restart of control runs a command anew that had not ended: it must bear being run twice. Must not know: what is
promoted and when; when to try again (`roster/promoting.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from rrdns import log
from rrdns.checks import command
from rrdns.checks.words import seconds
from rrdns.control.desk import Desk
from rrdns.promotions import Promotion
from rrdns.roster.roster import NOTHING, Decision

RUNS = 8


@dataclass(slots=True)
class _Run:
    ident: int
    task: asyncio.Task[None]
    ended: bool = False
    """The command has; what it came to is being told."""


class Promoting:
    """Told by the desk which promotions wait, and tells it what became of them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._runs: dict[str, _Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(RUNS)

    def want(self, promotions: Sequence[Promotion]) -> None:
        """These and no others are to run; what runs goes on."""
        wanted = {one.pool: one for one in promotions}
        for pool, run in list(self._runs.items()):
            if pool not in wanted and not run.ended:
                run.task.cancel()
                del self._runs[pool]
        for pool, one in wanted.items():
            before = self._runs.get(pool)
            if before is not None and before.ident == one.ident:
                continue
            if before is not None and not before.ended:
                before.task.cancel()
            self._start(one)

    def _start(self, one: Promotion) -> None:
        others = [task for task in self._tasks if task.get_name() == one.pool]
        task = asyncio.create_task(self._run(one, others), name=one.pool)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._runs[one.pool] = _Run(one.ident, task)

    async def stop(self) -> None:
        """Kills what runs."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, one: Promotion, others: Sequence[asyncio.Task[None]]) -> None:
        if others:  # the one before, which is being killed
            await asyncio.wait(others)
        async with self._slots:
            log.logger.info("pool %s: %s begins (%s)", one.pool, one.fence.argv[0], one.reason)
            try:
                ok, said = await fence(one)
            except Exception as error:
                log.logger.exception("internal error at before_promote of pool %s", one.pool)
                ok, said = False, f"internal error: {error}"
        run = self._runs.get(one.pool)
        if run is None or run.ident != one.ident:
            return
        run.ended = True
        try:
            await self._desk.decide(lambda now: self._told(one, ok, said, now))
        finally:
            if self._runs.get(one.pool) is run:
                del self._runs[one.pool]

    def _told(self, one: Promotion, ok: bool, said: str, now: float) -> Decision:
        desk = self._desk
        if all(each.ident != one.ident for each in desk.roster.promotions):
            return NOTHING  # nobody waits for it any more
        desk.journal.note_input("promotion", one.pool, {"coming": list(one.coming), "ok": ok, "said": said}, now)
        return desk.roster.promoted(one.pool, one.ident, ok, said, now)


async def fence(one: Promotion) -> tuple[bool, str]:
    """Runs the command; whether it exited 0, and that in words with the first line it wrote."""
    argv = list(one.fence.argv)
    try:
        child = command.Child(argv, command.clean(**environment(one)), apart=True)
    except (OSError, ValueError) as error:
        return False, command.not_started(argv[0], error)[0]
    done = await child.wait(one.fence.timeout)
    said = command.first_line(child.errors) or command.first_line(child.output)
    if not done:
        return False, f"{argv[0]} ran longer than {seconds(one.fence.timeout)} and was killed{said}"
    code = child.ended.result()
    if code is not None and code >= 0:
        return code == 0, f"{argv[0]} exited {code}{said}"
    return False, f"{argv[0]}: {command.ending(code)}{said}"


def environment(one: Promotion) -> dict[str, str]:
    return {
        "RRDNS_POOL": one.pool,
        "RRDNS_REASON": one.reason,
        "RRDNS_FROM": " ".join(one.leaving),
        "RRDNS_TO": " ".join(one.coming),
        "RRDNS_FROM_ADDRESSES": " ".join(one.leaving_addresses),
        "RRDNS_TO_ADDRESSES": " ".join(one.coming_addresses),
    }
