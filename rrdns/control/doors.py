"""Doors: what the control API asks, answered from the desk and the overview. Names as people write them end here.

Must not know: HTTP, sockets.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from rrdns import knowledge, wire
from rrdns.audit import facts
from rrdns.audit.asking import ask_all
from rrdns.control import overview
from rrdns.control.clock import Clock
from rrdns.control.desk import Desk, Objection
from rrdns.control.events import Events
from rrdns.control.outward import Outward
from rrdns.control.overview import Overview
from rrdns.control.requests import Refused
from rrdns.control.store import Store
from rrdns.control.telling import FOLLOWED
from rrdns.roster import whom
from rrdns.roster.company import UnknownPool
from rrdns.roster.overriding import UnknownMember
from rrdns.supervise import upgrade

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
        self._events = Events(store, desk.journal, clock)
        self._clock = clock
        self._reload = reload
        self._outward = outward
        self._audited: dict[str, str] = {}
        """What the last audit found, as it was told."""

    async def status(self) -> bytes:
        return await self._desk.look(lambda roster: json.dumps(self._overview.status(roster)).encode())

    async def explain(self, name: str, rtype: str) -> Json:
        try:
            wanted, number = wire.name_from_text(name).lower(), wire.type_number(rtype)
        except wire.BadName as error:
            raise Refused(400, f"{name!r} {error}") from error
        except ValueError as error:
            raise Refused(400, str(error)) from error
        found = await self._desk.look(lambda roster: roster.explain(wanted, number, self._clock.now()))
        self._overview.with_answers(found)
        return found

    async def events(self, limit: int, since: float | None, pool: str) -> bytes:
        return await self._events.told(limit, since, pool)

    async def known(self) -> bytes:
        journal = self._desk.journal
        found = await asyncio.to_thread(journal.contents)
        if found is None:
            raise Refused(503, "the files in force can't be read back; `rrdns whatif ZONES` works on a directory")
        about, files = journal.about, found
        return await self._desk.look(
            lambda roster: json.dumps(knowledge.told(roster, files, about, self._clock.now())).encode()
        )

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

    async def audit(self, asking: bool) -> Json:
        found = await self._desk.look(facts.facts)
        targets = await self._desk.look(facts.up_targets) if asking else []
        return {**found, "asked": await ask_all(targets) if asking else None}

    async def audited(self, found: dict[str, str]) -> int:
        """Findings of an audit become events where they are news, and so does their end; how many."""
        before, self._audited = self._audited, found
        for name in sorted(found.keys() - before.keys()):
            self._desk.tell("audit", name, "fine", "found", found[name])
        for name in sorted(before.keys() - found.keys()):
            self._desk.tell("audit", name, "found", "fine", "it is found no more")
        return len(found.keys() ^ before.keys())

    async def reload(self, force: bool) -> Json:
        return await self._reload(force)

    async def override(
        self, members: list[str], word: str, seconds: float | None, owner: str, reason: str, force: bool
    ) -> Json:
        try:
            async with self._desk.turn:
                roster = self._desk.roster
                if word in ("hold", "release"):
                    found = [(one, "") for one in whom.pools(members, roster.dataset.pools)] or [("", "")]
                else:
                    found = whom.members(members, roster.dataset.pools, roster.overrides)
            changed, saved = await self._desk.override(found, word, seconds, owner, reason, force)
        except UnknownMember as error:
            raise Refused(404, str(error)) from error
        except Objection as error:
            raise Refused(409, f"{error}. To do it all the same: --force") from error
        return {"ok": True, "changed": changed, "saved": saved}

    async def failback(self, pool: str, owner: str, reason: str, force: bool) -> Json:
        try:
            why, saved = await self._desk.failback(pool, owner, reason, force)
        except UnknownPool as error:
            raise Refused(409 if pool in self._desk.roster.duties else 404, str(error)) from error
        return {"ok": True, "pool": pool, "now": why, "saved": saved}

    async def upgrade(self, owner: str) -> Json:
        try:
            return await asyncio.to_thread(upgrade.ask, *self._overview.place, owner)
        except upgrade.NotNow as error:
            raise Refused(409, str(error)) from error

    async def upgraded(self) -> Json:
        return await asyncio.to_thread(upgrade.found, self._overview.place[0])

    def follow(self) -> asyncio.Queue[Json | None]:
        queue: asyncio.Queue[Json | None] = asyncio.Queue(FOLLOWED)
        self._desk.followers.add(queue)
        return queue

    def unfollow(self, queue: asyncio.Queue[Json | None]) -> None:
        self._desk.followers.discard(queue)

    def is_followed(self, queue: asyncio.Queue[Json | None]) -> bool:
        return queue in self._desk.followers
