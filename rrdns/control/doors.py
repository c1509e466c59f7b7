"""Doors: what the control API asks, answered from the desk and the overview. Names as people write them end here.

Must not know: HTTP, sockets.
"""

from __future__ import annotations

import asyncio
import difflib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from rrdns import wire
from rrdns.control import overview
from rrdns.control.api import Refused
from rrdns.control.clock import Clock
from rrdns.control.desk import FOLLOWED, Desk
from rrdns.control.outward import Outward
from rrdns.control.overview import Overview
from rrdns.control.store import Store
from rrdns.model import Pool
from rrdns.roster.roster import UnknownMember

Json = dict[str, Any]


class OpenDoors:
    """`api.Doors` over the real thing; `reload` comes from control."""

    def __init__(
        self,
        desk: Desk,
        view: Overview,
        store: Store,
        clock: Clock,
        reload: Callable[[bool], Awaitable[Json]],
        outward: Outward,
    ) -> None:
        self._desk = desk
        self._overview = view
        self._store = store
        self._clock = clock
        self._reload = reload
        self._outward = outward

    async def status(self) -> bytes:
        return await self._desk.look(lambda roster: json.dumps(self._overview.status(roster)).encode())

    async def explain(self, name: str, rtype: str) -> Json:
        try:
            wanted, number = wire.name_from_text(name).lower(), wire.type_number(rtype)
        except wire.BadName as error:
            raise Refused(400, f"{name!r} {error}") from error
        except ValueError as error:
            raise Refused(400, str(error)) from error
        return await self._desk.look(lambda roster: roster.explain(wanted, number, self._clock.now()))

    async def events(self, limit: int, since: float | None, pool: str) -> list[Json]:
        return self._store.events(limit, since, pool)

    async def export(self) -> bytes:
        return await self._desk.look(lambda roster: json.dumps({"zones": overview.export(roster)}).encode())

    async def metrics(self) -> tuple[int, str, bytes]:
        return await self._outward.page()

    async def healthz(self) -> tuple[int, str, bytes]:
        return await self._outward.health()

    async def test_notify(self, sink: str) -> list[Json]:
        sinks = self._outward.office.posts
        if not sinks:
            raise Refused(409, "nobody is told of anything: there is no `notify:` in the settings (docs/notify.md)")
        if sink and sink not in sinks:
            raise Refused(404, f"there is no sink {sink!r}; there are {', '.join(sinks)}")
        return await self._outward.test(sink)

    async def reload(self, force: bool) -> Json:
        return await self._reload(force)

    async def override(
        self, members: list[str], word: str, seconds: float | None, owner: str, reason: str, force: bool
    ) -> Json:
        if word == "enable" and seconds is not None:
            raise Refused(400, "enable has no end, so `for` says nothing")
        async with self._desk.turn:
            found = self._resolve(members)
            if word != "enable" and not force and (why := self._desk.emptied(found, word)):
                raise Refused(409, f"{why}. To do it all the same: --force")
        try:
            changed, saved = await self._desk.override(found, word, seconds, owner, reason)
        except UnknownMember as error:
            raise Refused(404, str(error)) from error
        return {"ok": True, "changed": changed, "saved": saved}

    def follow(self) -> asyncio.Queue[Json | None]:
        queue: asyncio.Queue[Json | None] = asyncio.Queue(FOLLOWED)
        self._desk.followers.add(queue)
        return queue

    def unfollow(self, queue: asyncio.Queue[Json | None]) -> None:
        self._desk.followers.discard(queue)

    def is_followed(self, queue: asyncio.Queue[Json | None]) -> bool:
        return queue in self._desk.followers

    def _resolve(self, names: list[str]) -> list[tuple[str, str]]:
        """(pool, member)s of names as people write them: `web1` in every pool that has one, `web/web1` in that."""
        found: dict[tuple[str, str], None] = {}
        pools = self._desk.roster.dataset.pools
        for name in names:
            in_pool, slash, member = name.rpartition("/")
            wanted = [in_pool] if slash else list(pools)
            hits = [
                (pool, one.name)
                for pool in wanted
                if pool in pools
                for one in pools[pool].members
                if one.name == (member if slash else name)
            ]
            hits += [
                (one.pool, one.member)  # away at its director, and its override waits for it
                for one in self._desk.roster.overrides
                if one.pool in wanted and one.member == (member if slash else name)
            ]
            if not hits:
                raise Refused(404, _unknown(name, pools))
            found.update(dict.fromkeys(hits))
        return list(found)


def _unknown(name: str, pools: Mapping[str, Pool]) -> str:
    known = {one.name for pool in pools.values() for one in pool.members}
    known |= {f"{pool.name}/{one.name}" for pool in pools.values() for one in pool.members}
    near = difflib.get_close_matches(name, sorted(known)[:10_000], 1)
    hint = f"; did you mean {near[0]}?" if near else "; see `rrdns status` for those there are"
    return f"there is no member {name!r} in any pool{hint}"
