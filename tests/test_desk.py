"""Where inputs meet the roster: real roster, store and publisher; nothing is probed and no worker listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from link_end import until

from rrdns import board, zonefile
from rrdns.answers import key
from rrdns.board import Board
from rrdns.control import desk
from rrdns.control.clock import Clock
from rrdns.control.counters import Tally
from rrdns.control.desk import Desk
from rrdns.control.publisher import Publisher
from rrdns.control.store import NAME, Store
from rrdns.model import DataSet, Result, State, Target
from rrdns.roster.roster import Roster
from rrdns.wire import name_from_text

WWW = name_from_text("www.lb.")
OK, BAD = Result(True, "connected"), Result(False, "connection refused")


def dataset(members: int = 3) -> DataSet:
    hosts = ", ".join(f"web{number}: 192.0.2.{number}" for number in range(1, members + 1))
    zone = "'': {type: NS, value: ns.lb.}\nns: {type: A, value: 192.0.2.53}\nwww: {type: POOL, pool: web}\n"
    loaded = zonefile.load(
        {
            "lb.yaml": zone.encode(),
            "pools.yaml": (
                "checks:\n  web: {type: tcp, port: 80, interval: 9s, timeout: 1s, fall: 1, rise: 1, fast: 500ms}\n"
                f"pools:\n  web:\n    check: web\n    members: {{{hosts}}}\n"
            ).encode(),
        },
        {},
    )
    assert loaded.dataset is not None, loaded.problems
    return loaded.dataset


class Office:
    """A desk with everything around it."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / NAME, Clock())
        self.tally = Tally()
        self.publisher = Publisher(
            folder, Board(folder / board.NAME, board.FIRST_WORKER + 1), self.tally, time.monotonic
        )
        self.desk = Desk(Roster(None), self.store, self.publisher, self.tally, Clock())
        self.targets: dict[str, Target] = {}

    async def load(self, data: DataSet) -> None:
        targets = await self.desk.load(data)
        self.targets = {target.address: target for target in targets.values()}

    def result(self, number: int, result: Result) -> float:
        return self.desk.on_result(self.targets[f"192.0.2.{number}"], result)

    def served(self) -> int:
        """How many addresses the ring holds that goes to the workers."""
        ring = self.publisher.sets.get(key(WWW, 1))
        return len(ring.bodies[0].owners) if ring else 0

    def said(self) -> list[str]:
        return [f"{event['name']} {event['before']} -> {event['after']}" for event in self.store.events(1000)]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    one = Office(tmp_path)
    await one.store.open()
    yield one
    await one.store.close()


async def test_results_of_one_moment_are_decided_together(office: Office) -> None:
    await office.load(dataset())
    published = 0
    publish = office.publisher.publish

    def counted(*args: object) -> None:
        nonlocal published
        published += 1
        publish(*args)  # type: ignore[arg-type]

    office.publisher.publish = counted  # type: ignore[method-assign,assignment]
    for number in (1, 2, 3):
        assert office.result(number, OK) == 9.0
    await until(lambda: office.said()[-1:] == ["web unknown -> ok"])
    assert published == 1
    assert office.result(2, BAD) > 0
    await until(lambda: office.served() == 2)
    assert "web/web2 up -> down" in office.said()
    assert [members for members in office.publisher.rings[key(WWW, 1)].slots if "web2" in members] == []


async def test_a_void_result_is_asked_again_soon_and_says_nothing(office: Office) -> None:
    await office.load(dataset())
    assert office.result(1, Result(False, "lagged", void=True)) == 0.5
    await asyncio.sleep(0.05)
    assert not office.said()
    assert not office.store._pending.journal


async def test_results_wait_while_a_thread_is_at_the_roster(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "LARGE", 0)
    await office.load(dataset())
    ready: list[bool] = []

    def draw(roster: Roster) -> str:
        before = dict(roster.verdicts.health)
        while not ready:
            time.sleep(0.01)
        assert dict(roster.verdicts.health) == before
        return "picture"

    looking = asyncio.create_task(office.desk.look(draw))
    await asyncio.sleep(0.1)
    for number in (1, 2):
        office.result(number, OK)
    await asyncio.sleep(0.05)
    assert office.desk.roster.verdicts.unknown == 3
    ready.append(True)
    assert await looking == "picture"
    assert office.desk.roster.verdicts.unknown == 1
    assert "web/web1 unknown -> up" in office.said()


async def test_results_of_targets_that_are_gone_are_let_pass(office: Office) -> None:
    await office.load(dataset())
    gone = office.targets["192.0.2.3"]
    for number in (1, 2, 3):
        office.result(number, OK)
    await office.load(dataset(2))
    office.desk.on_result(gone, BAD)
    await asyncio.sleep(0.05)
    assert office.served() == 2
    assert gone.key not in office.store.health(600.0)


async def test_what_was_learned_is_kept_and_journaled(office: Office) -> None:
    await office.load(dataset())
    for number, result in ((1, OK), (2, BAD)):
        office.result(number, result)
    await office.desk.override([("web", "web1")], "drain", 60.0, "ann", "disk")
    kept = office.store.health(600.0)
    assert [kept[office.targets[f"192.0.2.{number}"].key].state for number in (1, 2)] == [State.UP, State.DOWN]
    assert office.store._file is not None
    rows = list(office.store._file.journal())
    assert [(row[3], row[4]) for row in rows][-1] == ("override", "web/web1")
    assert {row[3] for row in rows} == {"result", "override"}
    (override,) = office.store.overrides()
    assert (override.word, override.owner, override.reason) == ("drain", "ann", "disk")


async def test_an_override_that_is_over_is_forgotten_by_the_store_too(office: Office) -> None:
    await office.load(dataset())
    timer = asyncio.create_task(office.desk.keep_time())
    changed, saved = await office.desk.override([("web", "web1")], "disable", 0.2, "ann", "")
    assert changed == ["web/web1"] and saved
    await until(lambda: not office.store.overrides())
    assert "web/web1 disable -> none" in office.said()
    timer.cancel()


async def test_what_an_override_would_do_is_told(office: Office) -> None:
    await office.load(dataset(2))
    for number in (1, 2):
        office.result(number, OK)
    await until(lambda: office.served() == 2)
    assert office.desk.emptied([("web", "web1")], "drain") == ""
    words = office.desk.emptied([("web", "web1"), ("web", "web2")], "drain")
    assert words.startswith("pool web would have no available member left; it would answer web1, web2 (")
    assert "no address" in office.desk.emptied([("web", "web1"), ("web", "web2")], "disable")


async def test_a_follower_that_reads_nothing_is_let_go(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    await office.load(dataset())
    queue: asyncio.Queue[dict[str, object] | None] = asyncio.Queue(2)
    office.desk.followers.add(queue)
    for _ in range(3):
        office.desk.tell("server", "x", "a", "b", "")
    assert not office.desk.followers and queue.qsize() == 2


async def test_the_first_round_ends_when_all_have_a_verdict_or_time_is_up(office: Office) -> None:
    await office.load(dataset(2))
    assert not await office.desk.settled(0.1)
    office.result(1, OK)
    waiting = asyncio.create_task(office.desk.settled(60.0))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    office.result(2, BAD)
    assert await asyncio.wait_for(waiting, 30)
