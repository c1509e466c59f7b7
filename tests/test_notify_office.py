"""The office with real sinks and a real disk: one message for a rack, delivered once after all went wrong, kept over a
restart; and never in anybody's way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cancelled import cancelled_before_it_began
from notify_sinks import HttpSink, MailSink

from rrdns.control.clock import Clock
from rrdns.control.store import Store
from rrdns.model import Event
from rrdns.notify import queue
from rrdns.notify.notices import Notice
from rrdns.notify.office import Office, Picture
from rrdns.notify.outbox import Outbox
from rrdns.notify.sinks import Sink

CLOCK = Clock()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "FIRST_WAIT", 0.1)
    monkeypatch.setattr(queue, "LONGEST_WAIT", 0.4)


def sink(url: str, name: str = "chat", **more: Any) -> Sink:
    return Sink(name, "webhook", url=url, quiet=0.2, longest=2.0, timeout=more.pop("timeout", 2.0), **more)


def down(name: str, after: str = "down", subject: str = "member") -> Event:
    return Event(CLOCK.now(), subject, name, "up" if after == "down" else "down", after, "connection refused")


@contextlib.asynccontextmanager
async def office(*sinks: Sink, path: Path | None = None, picture: Picture | None = None) -> AsyncIterator[Office]:
    """An office at work, with everything as it was told last if nothing else is said; its end is an orderly one."""
    if path is not None:
        store = Store(path, CLOCK)  # it makes the file
        await store.open()
        await store.close()
    one = Office(sinks, Outbox(path, CLOCK), CLOCK, "ns1")
    await one.open()
    last = {key: (told.after, told.why) for post in one.posts.values() for key, told in post.collector.told.items()}
    one.begin(last if picture is None else picture)
    task = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await one.close()


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come so far"
        await asyncio.sleep(0.02)


def names(taken: list[Any]) -> list[str]:
    return sorted(event["name"] for one in taken for event in one["events"])


async def test_forty_hosts_in_a_second_are_one_message() -> None:
    with HttpSink() as web, MailSink() as post:
        mail = Sink(
            "ops", "mail", server=f"127.0.0.1:{post.port}", tls="none", sender="a@example.com", to=("b@example.com",),
            quiet=1.5, longest=10.0,
        )  # fmt: skip
        async with office(sink(web.url, "chat"), mail) as one:
            one.posts["chat"].collector._quiet = 1.5
            one.posts["chat"].collector._longest = 10.0
            for number in range(40):
                one.tell(down(f"web/web{number}"))
                await asyncio.sleep(0.02)
            await until(lambda: web.taken and post.mails)
            await asyncio.sleep(0.5)
        assert len(web.taken) == 1 and len(post.mails) == 1
        assert len(web.taken[0]["events"]) == 40
        assert "40 members down" in post.texts()[0]


@pytest.mark.parametrize("mood", ["500", "hang", "refuse"])
async def test_delivered_once_when_the_sink_is_well_again(mood: str, caplog: pytest.LogCaptureFixture) -> None:
    web = HttpSink(mood)
    port = web.port
    if mood == "refuse":
        web.stop()
    async with office(sink(f"http://127.0.0.1:{port}/x", timeout=0.3)) as one:
        begun = time.monotonic()
        one.tell(down("web/web1"))
        assert time.monotonic() - begun < 1.0  # whoever tells does not wait
        await until(lambda: one.snapshot(CLOCK.now())["chat"]["failures"] >= 2)
        shown = one.snapshot(CLOCK.now())["chat"]
        assert shown["state"] == "failing" and shown["waiting"] == 1 and shown["why"] and shown["since"] > 0
        one.tell(down("web/web2"))
        if mood == "refuse":
            web = HttpSink(port=port)
        web.mood = "ok"
        await until(lambda: names(web.taken) == ["web/web1", "web/web2"])
        await until(lambda: one.snapshot(CLOCK.now())["chat"]["state"] == "ok")
        await asyncio.sleep(0.6)
    assert names(web.taken) == ["web/web1", "web/web2"]
    web.stop()


@pytest.mark.parametrize("orderly", [True, False])
async def test_what_waits_outlives_a_restart(tmp_path: Path, orderly: bool) -> None:
    path = tmp_path / "state.db"
    with HttpSink("500") as web:
        async with office(sink(web.url), path=path) as one:
            one.tell(down("web/web1"))
            await until(lambda: one.snapshot(CLOCK.now())["chat"]["failures"])
            if orderly:
                one.tell(down("web/web2"))  # not even collected yet
            else:
                one.close = _nothing  # type: ignore[method-assign]
        web.mood = "ok"
        async with office(sink(web.url), path=path) as one:
            told = one.posts["chat"].collector.told
            assert {name for _, name in told} == ({"web/web1", "web/web2"} if orderly else {"web/web1"})
            await until(lambda: web.taken)
            await until(lambda: not one.posts["chat"].queue.entries)
        expected = ["web/web1", "web/web2"] if orderly else ["web/web1"]
        assert names(web.taken) == expected
        async with office(sink(web.url), path=path):
            await asyncio.sleep(0.5)
        assert names(web.taken) == expected  # and it is not told again


async def _nothing() -> None:
    pass


async def test_a_start_tells_what_changed_while_nobody_listened(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with HttpSink() as web:
        async with office(sink(web.url), path=path) as one:
            one.tell(down("web/web1"))
            one.tell(down("web/web2"))
            await until(lambda: names(web.taken) == ["web/web1", "web/web2"])
            await until(lambda: not one.posts["chat"].queue.entries)
        web.taken.clear()
        now = {
            ("member", "web/web1"): ("down", "still refused"),
            ("member", "web/web2"): ("up", ""),
            ("member", "web/web3"): ("down", "new"),
            ("pool", "web"): ("ok", ""),
        }
        async with office(sink(web.url), path=path, picture=now):
            await until(lambda: web.taken)
        told = {one["name"]: (one["before"], one["after"]) for one in web.taken[0]["events"]}
        assert told == {"web/web2": ("down", "up"), "web/web3": ("up", "down")}


async def test_a_start_tells_it_in_the_order_of_the_picture() -> None:
    words = ["web1", "db2", "a", "web10", "web9", "c", "zoo", "b"]
    now = {("pool", word): ("down", "nobody is up") for word in words}
    with HttpSink() as web:
        async with office(sink(web.url), picture=now):
            await until(lambda: web.taken)
        assert [event["name"] for event in web.taken[0]["events"]] == words


async def test_what_is_in_no_picture_is_forgotten_at_a_start_but_not_at_a_reload(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    picture = {("pool", "web"): ("ok", "")}
    with HttpSink() as web:
        async with office(sink(web.url), path=path, picture=picture) as one:
            one.tell(Event(CLOCK.now(), "balance", "web", "ok", "degraded", "no figures"))
            one.tell(Event(CLOCK.now(), "balance", "gone", "ok", "degraded", "no figures"))
            await until(lambda: names(web.taken) == ["gone", "web"])
            one.begin(picture)
            assert list(one.posts["chat"].collector.told) == [("balance", "web")]
            await until(lambda: not one.posts["chat"].queue.entries)
        async with office(sink(web.url), path=path, picture=picture) as one:
            assert not one.posts["chat"].collector.told
        assert names(web.taken) == ["gone", "web"]


async def test_what_is_too_old_is_dropped_for_all_to_see(caplog: pytest.LogCaptureFixture) -> None:
    with HttpSink("500") as web, caplog.at_level(logging.WARNING, "rrdns"):
        async with office(sink(web.url, keep=0.5)) as one:
            one.tell(down("web/web1"))
            await until(lambda: one.snapshot(CLOCK.now())["chat"]["dropped"] == 1)
            web.mood = "ok"
            one.tell(down("web/web2"))
            await until(lambda: web.taken)
        assert names(web.taken) == ["web/web2"] and web.taken[0]["dropped"] == 1
        assert "1 earlier message could not be delivered" in web.taken[0]["text"]
    assert "1 message dropped (undelivered for" in caplog.text


async def test_a_disk_that_takes_nothing_holds_nobody_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "state.db"
    with HttpSink() as web:
        async with office(sink(web.url), path=path) as one:
            _remove(path)
            one.tell(down("web/web1"))
            await until(lambda: web.taken)
            assert one.snapshot(CLOCK.now())["chat"]["saved"] is False
        assert "NOT saved" in caplog.text


async def test_a_state_file_made_anew_gets_everything(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with HttpSink("500") as web:
        async with office(sink(web.url), path=path) as one:
            one.tell(down("web/web1"))
            await until(lambda: one.snapshot(CLOCK.now())["chat"]["failures"])
            _remove(path)
            store = Store(path, CLOCK)
            await store.open()
            await store.close()
            one.tell(down("web/web2"))
            await until(lambda: _rows(path) == 2)


def _remove(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def _rows(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM notify_outbox").fetchone()[0])
    except sqlite3.OperationalError:
        return -1
    finally:
        connection.close()


async def test_alertmanager_hears_again_of_what_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rrdns.notify.office.REPEAT", 0.3)
    with HttpSink() as web:
        async with office(sink(web.url, format="alertmanager")) as one:
            one.tell(down("web/web1"))
            await until(lambda: len(web.taken) >= 3)
            assert all(alerts[0]["labels"]["name"] == "web/web1" for alerts in web.taken)
            one.tell(down("web/web1", "up"))
            await until(lambda: not one.posts["chat"].collector.told and not one.posts["chat"].queue.entries)
            ended = web.taken[-1][0]
            number = len(web.taken)
            await asyncio.sleep(1.0)
        assert ended["endsAt"] <= web.taken[-1][0]["endsAt"] and len(web.taken) == number
        assert web.asked[0][0] == "/secret-token/api/v2/alerts"


async def test_a_test_goes_out_at_once_and_says_what_came_of_it() -> None:
    with HttpSink() as web, HttpSink("500") as bad:
        async with office(sink(web.url, "good"), sink(bad.url, "bad")) as one:
            good, wrong = await one.test("")
            assert good["ok"] and good["said"] == "HTTP 200"
            assert not wrong["ok"] and "HTTP 500" in wrong["said"]
            assert [each["name"] for each in await one.test("good")] == ["good"]
        assert all(each["test"] for each in web.taken) and "secret-token" not in str([good, wrong])


async def test_a_fault_of_ours_neither_ends_the_office_nor_who_tells(caplog: pytest.LogCaptureFixture) -> None:
    with HttpSink() as web:
        async with office(sink(web.url)) as one:
            collector = one.posts["chat"].collector
            healthy, collector.hear = collector.hear, _raises  # type: ignore[method-assign]
            one.tell(down("web/web1"))
            collector.hear = healthy  # type: ignore[method-assign]
            one.tell(down("web/web2"))
            await until(lambda: names(web.taken) == ["web/web2"])
    assert "internal error at an event" in caplog.text


def _raises(*args: object) -> None:
    raise RuntimeError("made by a test")


async def test_what_was_delivered_is_not_told_again_after_an_end_in_the_middle_of_a_write(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db", CLOCK)  # it makes the file
    await store.open()
    await store.close()
    outbox = Outbox(tmp_path / "state.db", CLOCK)
    await outbox.open()
    entry = outbox.put("chat", [Notice(1.7e9, "member", "web/web1", "up", "down", "")])
    assert await outbox.flush()
    outbox.drop([entry.id])
    await cancelled_before_it_began(outbox._thread, outbox.flush())
    await outbox.close()
    again = Outbox(tmp_path / "state.db", CLOCK)
    await again.open()
    assert not list(again.entries())
    await again.close()
