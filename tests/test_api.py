"""The control API: a real unix socket, our own client and raw bytes, fake doors behind it."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rrdns.control.api import MAX_BODY, Api, InUse, Refused, listen
from rrdns.ui import client

Json = dict[str, Any]


class FakeDoors:
    """Remembers what it was asked; answers what it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.fault: Exception | None = None
        self.queues: set[asyncio.Queue[Json | None]] = set()
        self.reloaded: Json = {"ok": True, "problems": [], "changed": {}}

    def _note(self, *what: Any) -> None:
        self.asked.append(what)
        if self.fault is not None:
            raise self.fault

    async def status(self) -> bytes:
        self._note("status")
        return b'{"version": "x"}'

    async def explain(self, name: str, rtype: str) -> Json:
        self._note("explain", name, rtype)
        return {"name": name}

    async def events(self, limit: int, since: float | None, pool: str) -> bytes:
        self._note("events", limit, since, pool)
        return b'{"events": [{"name": "web"}]}'

    async def export(self) -> bytes:
        self._note("export")
        return b'{"zones": {"lb.": {"rrsets": []}}}'

    async def reload(self, force: bool) -> Json:
        self._note("reload", force)
        return self.reloaded

    async def failback(self, pool: str, owner: str, reason: str, force: bool) -> Json:
        if pool != "web":
            raise Refused(404, f"there is no pool {pool!r}")
        return {"ok": True, "pool": pool, "now": f"ok: by {owner}: {reason}", "saved": True}

    async def override(
        self, members: list[str], word: str, seconds: float | None, owner: str, reason: str, force: bool
    ) -> Json:
        self._note("override", members, word, seconds, owner, reason, force)
        return {"ok": True, "changed": members, "saved": True}

    async def audit(self, asking: bool) -> Json:
        self._note("audit", asking)
        return {"zones": {}}

    async def audited(self, found: dict[str, str]) -> int:
        self._note("audited", found)
        return len(found)

    def follow(self) -> asyncio.Queue[Json | None]:
        queue: asyncio.Queue[Json | None] = asyncio.Queue(10)
        self.queues.add(queue)
        return queue

    def unfollow(self, queue: asyncio.Queue[Json | None]) -> None:
        self.queues.discard(queue)

    def is_followed(self, queue: asyncio.Queue[Json | None]) -> bool:
        return queue in self.queues


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[FakeDoors]:
    """Doors with an Api before them at tmp_path/run/c.sock."""
    fake = FakeDoors()
    api = Api(fake, tmp_path / "run" / "c.sock")
    await api.start()
    yield fake
    await api.stop()


@pytest.fixture
def path(tmp_path: Path, doors: FakeDoors) -> str:
    return str(tmp_path / "run" / "c.sock")


async def get(path: str, where: str, **query: object) -> Json:
    return await asyncio.to_thread(client.Client(path, 30.0).get, where, **query)


async def post(path: str, where: str, body: Any) -> Json:
    return await asyncio.to_thread(client.Client(path, 30.0).post, where, body)


async def refused(path: str, where: str, body: Any) -> client.Refused:
    with pytest.raises(client.Refused) as info:
        await post(path, where, body)
    return info.value


async def raw(path: str, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    answer = await reader.read()
    writer.close()
    return answer


async def test_the_questions(doors: FakeDoors, path: str) -> None:
    assert await get(path, "/status") == {"version": "x"}
    assert await get(path, "/explain", name="www.lb.", type="AAAA") == {"name": "www.lb."}
    assert await get(path, "/explain", name="www.lb.") == {"name": "www.lb."}
    assert await get(path, "/events") == {"events": [{"name": "web"}]}
    assert await get(path, "/events", limit=3, since=7.5, pool="web")
    assert await get(path, "/export") == {"zones": {"lb.": {"rrsets": []}}}
    assert doors.asked == [
        ("status",),
        ("explain", "www.lb.", "AAAA"),
        ("explain", "www.lb.", "A"),
        ("events", 50, None, ""),
        ("events", 3, 7.5, "web"),
        ("export",),
    ]


async def test_the_orders_and_who_gives_them(doors: FakeDoors, path: str) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    assert await post(path, "/reload", {}) == doors.reloaded
    await post(path, "/reload", {"force": True})
    answer = await post(path, "/override", {"members": ["web1"], "word": "drain", "for": 60, "reason": "new disk"})
    assert answer == {"ok": True, "changed": ["web1"], "saved": True}
    await post(path, "/override", {"members": ["a", "b/c"], "word": "enable", "for": None, "force": True})
    assert doors.asked == [
        ("reload", False),
        ("reload", True),
        ("override", ["web1"], "drain", 60.0, me, "new disk", False),
        ("override", ["a", "b/c"], "enable", None, me, "", True),
    ]


async def test_a_refused_reload_is_a_conflict_with_its_problems(doors: FakeDoors, path: str) -> None:
    doors.reloaded = {"ok": False, "problems": ["zones/x.yaml:1:2: no"], "changed": {}}
    error = await refused(path, "/reload", {})
    assert error.status == 409 and error.body["problems"] == ["zones/x.yaml:1:2: no"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "members:"),
        ({"members": [], "word": "drain"}, "members:"),
        ({"members": "web1", "word": "drain"}, "members:"),
        ({"members": [1], "word": "drain"}, "members:"),
        ({"members": ["web1"]}, "word:"),
        ({"members": ["web1"], "word": "kill"}, "'kill' is none of drain, disable, force-up"),
        ({"members": ["web1"], "word": "drain", "for": "2h"}, "for:"),
        ({"members": ["web1"], "word": "drain", "for": -1}, "for:"),
        ({"members": ["web1"], "word": "drain", "for": True}, "for:"),
        ({"members": ["web1"], "word": "drain", "for": 1e300}, "for:"),
        ({"members": ["web1"], "word": "drain", "reason": 5}, "reason:"),
        ({"members": ["web1"], "word": "drain", "reason": "x" * 2000}, "reason:"),
        ({"members": ["web1"], "word": "drain", "force": "yes"}, "force:"),
        ([1, 2], "must be a JSON object"),
    ],
)
async def test_wrong_orders_are_told_in_words(doors: FakeDoors, path: str, body: Any, words: str) -> None:
    error = await refused(path, "/override", body)
    assert error.status == 400 and words in str(error)
    assert not doors.asked


async def test_errors_are_json_with_words(doors: FakeDoors, path: str, caplog: pytest.LogCaptureFixture) -> None:
    for where, words in (("/nothing", "there is no /nothing"), ("/explain", "which name?"), ("/events?limit=x", "'x'")):
        with pytest.raises(client.Refused, match=words.replace("?", r"\?")):
            await get(path, where)
    assert (await refused(path, "/status", {})).status == 405
    doors.fault = Refused(409, "it would take the last one")
    error = await refused(path, "/override", {"members": ["a"], "word": "drain"})
    assert (error.status, str(error)) == (409, "it would take the last one")
    doors.fault = RuntimeError("a bug")
    with pytest.raises(client.Refused, match="internal error") as info:
        await get(path, "/status")
    assert info.value.status == 500 and "a bug" in caplog.text


async def test_bodies_are_bounded_and_need_to_be_json(doors: FakeDoors, path: str) -> None:
    for body, status in ((b"{", b"400"), (b"[" * 100_000, b"400"), (b" " * (MAX_BODY + 1), b"413"), (b"\xff", b"400")):
        head = f"POST /reload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        answer = await raw(path, head.encode() + body)
        assert answer.split(b" ", 2)[1] == status, answer
        assert b'"error"' in answer
    assert not doors.asked
    assert b" 400 " in (await raw(path, b"\x16\x03\x01\x02\0\1\0\r\n\r\n")).split(b"\r\n")[0]
    assert await get(path, "/status")


async def test_events_are_followed_one_a_line(doors: FakeDoors, path: str) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"GET /events?follow=1&pool=web HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"application/x-ndjson" in head
    (queue,) = doors.queues
    for name in ("web", "webmail", "web/web1"):
        queue.put_nowait({"name": name})
    seen = b""
    while seen.count(b"\n{") + seen.count(b"}\n") < 2 or b"web/web1" not in seen:
        seen += await asyncio.wait_for(reader.read(4096), 30)
    events = [json.loads(line) for line in seen.split(b"\r\n") if line.startswith(b"{")]
    assert [event["name"] for event in events] == ["web", "web/web1"]
    writer.close()
    queue.put_nowait({"name": "web"})
    async with asyncio.timeout(30):
        while doors.queues:
            queue.put_nowait({"name": "web"}) if not queue.full() else None
            await asyncio.sleep(0.05)


async def test_a_follower_that_was_dropped_sees_its_stream_end(doors: FakeDoors, path: str) -> None:
    task = asyncio.create_task(asyncio.to_thread(lambda: list(client.Client(path, 30.0).stream("/events", follow=1))))
    async with asyncio.timeout(30):
        while not doors.queues:  # noqa: ASYNC110 - a set, changed by another task
            await asyncio.sleep(0.01)
    (queue,) = doors.queues
    queue.put_nowait({"name": "web"})
    doors.queues.clear()
    assert await asyncio.wait_for(task, 30) == [{"name": "web"}]


# ---------------------------------------------------------------------- the socket


async def test_the_socket_is_for_owner_and_group_only(doors: FakeDoors, path: str) -> None:
    found = os.stat(path)  # noqa: PTH116
    assert stat.S_IMODE(found.st_mode) == 0o660


async def test_a_leftover_is_replaced_and_a_living_one_named(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    first = listen(path)
    with pytest.raises(InUse, match=f"pid {os.getpid()} listens there"):
        listen(path)
    first.close()
    listen(path).close()


async def test_what_is_no_socket_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    path.write_text("precious")
    with pytest.raises(OSError, match="no socket"):
        listen(path)
    assert path.read_text() == "precious"
    with pytest.raises(OSError, match="control socket"):
        listen(tmp_path / ("x" * 120))


async def test_the_end_removes_the_socket_only_if_it_is_ours(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    api = Api(FakeDoors(), path)
    await api.start()
    await api.stop()
    assert not path.exists()
    await api.start()
    path.unlink()
    other = socket.socket(socket.AF_UNIX)
    other.bind(str(path))
    await api.stop()
    assert path.exists()
    other.close()


async def test_the_words_of_the_hand(doors: FakeDoors, path: str) -> None:
    user = pwd.getpwuid(os.getuid()).pw_name
    await post(path, "/override", {"members": ["web1"], "word": "weight", "weight": " 50% "})
    await post(path, "/override", {"members": ["web1"], "word": "force-up", "for": 60, "owner": "somebody else"})
    await post(path, "/override", {"word": "hold", "reason": "net"})
    await post(path, "/override", {"members": ["web"], "word": "release"})
    assert doors.asked == [
        ("override", ["web1"], "weight 50%", None, user, "", False),
        ("override", ["web1"], "force-up", 60.0, user, "", False),
        ("override", [], "hold", None, user, "net", False),
        ("override", ["web"], "release", None, user, "", False),
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"members": ["a"], "word": "force-up"}, "for: force-up needs an end"),
        ({"members": ["a"], "word": "drill"}, "for: drill needs an end"),
        ({"members": ["a"], "word": "weight"}, "weight: '' is no weight"),
        ({"members": ["a"], "word": "weight", "weight": "70000"}, "is no weight"),
        ({"members": ["a"], "word": "weight 5"}, "is none of"),
        ({"word": "hold", "members": "web"}, "members: a list"),
        ({"word": "drain", "members": []}, "members: a list"),
        ({"word": "release", "for": 5}, "release has no end"),
    ],
)
async def test_wrong_words_of_the_hand(doors: FakeDoors, path: str, body: Json, words: str) -> None:
    error = await refused(path, "/override", body)
    assert error.status == 400 and words in str(error) and doors.asked == []


async def test_an_audit_s_facts_and_findings(doors: FakeDoors, path: str) -> None:
    assert await post(path, "/audit", {"asking": True}) == {"zones": {}}
    told = await post(path, "/audit/found", {"found": [{"name": "override web/web1", "text": "no end"}]})
    assert told == {"ok": True, "told": 1}
    assert doors.asked == [("audit", True), ("audited", {"override web/web1": "no end"})]
    assert (await refused(path, "/audit/found", {"found": ["x"]})).status == 400


async def test_failback(doors: FakeDoors, path: str) -> None:
    me = pwd.getpwuid(os.getuid()).pw_name
    answer = await post(path, "/failback", {"pool": "web", "reason": "new disk"})
    assert answer == {"ok": True, "pool": "web", "now": f"ok: by {me}: new disk", "saved": True}
    for body, status in (
        ({}, 400),
        ({"pool": "wbe"}, 404),
        ({"pool": 7}, 400),
        ({"pool": "web", "reason": "x" * 2000}, 400),
    ):
        assert (await refused(path, "/failback", body)).status == status
