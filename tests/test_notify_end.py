"""What is told around a start and an end: nothing twice because a sink was just taking it, nothing missed that was
decided before anybody listened."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from notify_sinks import HttpSink
from test_notify_office import CLOCK, down, office, sink, until

from rrdns.control.store import Store
from rrdns.model import Event
from rrdns.notify.office import Office
from rrdns.notify.outbox import Outbox


class Slow(HttpSink):
    """Takes its time for the answer, when it has the message already."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.begun = 0
        handler: Any = self._server.RequestHandlerClass
        quick, slow = handler.do_POST, self

        def do_POST(request: Any) -> None:
            slow.begun += 1
            asyncio.run(asyncio.sleep(slow.seconds))
            quick(request)

        handler.do_POST = do_POST


async def test_what_a_sink_is_just_taking_at_an_end_is_not_told_again(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with Slow(0.6) as web:
        async with office(sink(web.url), path=path) as one:
            one.tell(down("web/web1"))
            await until(lambda: web.begun)
        async with office(sink(web.url), path=path) as one:
            assert not one.posts["chat"].queue.entries
            one.tell(down("web/web2"))
            await until(lambda: len(web.taken) == 2)
        assert [[event["name"] for event in taken["events"]] for taken in web.taken] == [["web/web1"], ["web/web2"]]


async def test_a_sink_that_is_too_slow_does_not_hold_up_the_end(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with HttpSink("hang") as web:
        async with office(sink(web.url, timeout=60.0), path=path) as one:
            one.tell(down("web/web1"))
            await until(lambda: web.asked)
            begun = CLOCK.now()
        assert CLOCK.now() - begun < 20
        web.mood = "ok"
        async with office(sink(web.url), path=path):
            await until(lambda: web.taken)


async def test_a_promotion_before_anybody_listened_is_told(tmp_path: Path) -> None:
    """A host died while the server was away, so its standby serves from the start."""

    def failover(pool: str, before: str, after: str) -> Event:
        return Event(CLOCK.now(), "failover", pool, before, after, "")

    path = tmp_path / "state.db"
    store = Store(path, CLOCK)  # it makes the file
    await store.open()
    await store.close()
    with HttpSink() as web:
        one = Office([sink(web.url)], Outbox(path, CLOCK), CLOCK, "ns1")
        await one.open()
        one.tell(down("web/web1"))  # the picture tells it
        one.tell(failover("web", "tier 1", "tier 2"))
        one.tell(failover("api", "no tier", "tier 1"))  # no news: this is how all begins
        one.tell(failover("mail", "nobody", "holder web1"))
        one.begin({("member", "web/web1"): ("down", "connection refused"), ("pool", "web"): ("ok", "")})
        task = asyncio.create_task(one.run())
        await until(lambda: web.taken)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await one.close()
        told = [(event["name"], event["after"]) for taken in web.taken for event in taken["events"]]
        assert told == [("web/web1", "down"), ("web", "tier 2")]
