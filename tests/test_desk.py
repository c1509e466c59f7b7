"""Where inputs meet the roster: real roster, store and publisher; nothing is probed and no worker listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
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
from rrdns.control.journal import NAME as JOURNAL
from rrdns.control.journal import Journal
from rrdns.control.publisher import Publisher
from rrdns.control.standings import STANDINGS, standings_of
from rrdns.control.store import NAME, Store
from rrdns.model import DataSet, Failover, Result, State, Target
from rrdns.roster.company import UnknownPool
from rrdns.roster.roster import Roster
from rrdns.wire import name_from_text

WWW = name_from_text("www.lb.")
OK, BAD = Result(True, "connected"), Result(False, "connection refused")


def dataset(members: int = 3, fall: int = 1) -> DataSet:
    hosts = ", ".join(f"web{number}: 192.0.2.{number}" for number in range(1, members + 1))
    zone = "'': {type: NS, value: ns.lb.}\nns: {type: A, value: 192.0.2.53}\nwww: {type: POOL, pool: web}\n"
    loaded = zonefile.load(
        {
            "lb.yaml": zone.encode(),
            "pools.yaml": (
                f"checks:\n  web: {{type: tcp, port: 80, interval: 9s, timeout: 1s, fast: 500ms, "
                f"fall: {fall}, rise: 1}}\n"
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
        self.journal = Journal(folder / JOURNAL, Clock())
        self.desk = Desk(Roster(None), self.store, self.publisher, self.tally, Clock(), self.journal)
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
    await one.journal.open()
    yield one
    await one.journal.close()
    await one.store.close()


async def test_who_looks_sees_what_is_answered(office: Office) -> None:
    """Between a result and its decision there may be a rest; status shows nothing the events do not tell yet."""
    await office.load(dataset())
    for number in (1, 2, 3):
        office.result(number, OK)
    state = await office.desk.look(lambda roster: roster.snapshot(0.0)["pools"]["web"]["state"])
    assert state == "ok" and office.served() == 3
    office.result(1, BAD)
    down = await office.desk.look(lambda roster: roster.snapshot(0.0)["pools"]["web"]["members"]["web1"]["state"])
    assert down == "down" and "web/web1 up -> down" in office.said() and office.served() == 2


async def test_silence_takes_the_time_of_a_timeout_however_soon_it_is_told(office: Office) -> None:
    """Or whose turn comes first is down before the others are asked at all, and the guard can know."""
    await office.load(dataset(fall=3))
    office.result(1, OK)
    assert office.result(1, BAD) == 0.5, "refused: the host is there, and asked again soon"
    assert office.result(1, Result(False, "network unreachable", silent=True)) == 1.0


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
    assert not office.journal._pending.runs
    health = office.desk.roster.health(office.targets["192.0.2.1"].key)
    assert health.reason == "lagged"  # `status` says why nothing is known


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
    await office.desk.override([("web", "web1")], "drain", 60.0, "ann", "disk", True)
    kept = office.store.health(600.0)
    assert [kept[office.targets[f"192.0.2.{number}"].key].state for number in (1, 2)] == [State.UP, State.DOWN]
    pending = office.journal._pending
    assert [row[6] for row in pending.runs.values()] == [True, False]  # ok
    (row,) = pending.inputs
    assert row[2] == "override" and '"member": "web1"' in row[4]
    assert {event[3] for event in pending.events} >= {"web/web1", "web/web2"}
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


async def test_what_an_override_would_do_is_told_and_needs_force(office: Office) -> None:
    await office.load(dataset(2))
    for number in (1, 2):
        office.result(number, OK)
    await until(lambda: office.served() == 2)
    both = [("web", "web1"), ("web", "web2")]
    with pytest.raises(desk.Objection) as info:
        await office.desk.override(both, "drain", None, "ann", "")
    words = "pool web would have no available member left; it would answer web1, web2 ("
    assert str(info.value).startswith(words)
    with pytest.raises(desk.Objection, match="no address"):
        await office.desk.override(both, "disable", None, "ann", "")
    with pytest.raises(desk.Objection, match="pool web would have no available"):
        await office.desk.override(both, "weight 0", None, "ann", "")
    assert office.desk.roster.overrides == () and not office.store.overrides()  # nothing of it, not even web1
    assert await office.desk.override([("web", "web1")], "drain", None, "ann", "") == (["web/web1"], True)
    with pytest.raises(desk.Objection):
        await office.desk.override([("web", "web2")], "drill", 60.0, "ann", "")
    assert (await office.desk.override([("web", "web2")], "disable", None, "ann", "", True))[0] == ["web/web2"]


async def test_several_members_are_one_decision(office: Office) -> None:
    await office.load(dataset(4))
    for number in (1, 2, 3, 4):
        office.result(number, OK)
    await until(lambda: office.served() == 4)
    published: list[int] = []
    publish = office.publisher.publish

    def counted(*args: object) -> None:
        publish(*args)  # type: ignore[arg-type]
        published.append(office.served())

    office.publisher.publish = counted  # type: ignore[method-assign,assignment]
    await office.desk.override([("web", "web1"), ("web", "web2"), ("web", "web3")], "drain", None, "ann", "")
    assert published == [1]


async def test_words_of_all_kinds_outlive_the_process(office: Office) -> None:
    await office.load(dataset(3))
    words = {("web", "web1"): "weight 50%", ("web", "web2"): "force-up", ("web", ""): "hold", ("", ""): "hold"}
    for whom, word in words.items():
        assert (await office.desk.override([whom], word, 600.0, "ann", "why"))[1]
    await office.desk.override([("web", "web1")], "drain", 600.0, "ann", "why")
    again = Store(office.store.path, Clock())
    await office.store.close()
    await again.open()
    kept = {(one.pool, one.member, one.word) for one in again.overrides()}
    assert kept == {(*whom, word) for whom, word in words.items()} | {("web", "web1", "drain")}
    assert all(one.until is not None for one in again.overrides())
    roster = Roster(None)
    roster.restore({}, again.overrides())
    roster.load(dataset(3), 1.0)
    assert {(one.pool, one.member, one.word) for one in roster.overrides} == kept
    await again.close()


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


async def test_what_schemes_remember_is_kept(office: Office) -> None:
    data = dataset()
    web = replace(data.pools["web"], failover=Failover("rotating-standby"))
    await office.load(replace(data, pools={"web": web}))
    for number, result in ((1, OK), (2, OK), (3, OK), (1, BAD)):
        office.result(number, result)
    await until(lambda: office.desk.roster.duties["web"].selection.standing.holders == ("web2",))
    kept, wrong = standings_of(office.store.meta(STANDINGS))
    assert (kept["web"].holders, kept["web"].queue, wrong) == (("web2",), ("web3",), "")
    with pytest.raises(UnknownPool, match="nothing waits"):
        await office.desk.failback("web", "ann", "")


async def test_a_failback_is_journaled_and_told(office: Office) -> None:
    data = dataset()
    members = tuple(replace(one, priority=at) for at, one in enumerate(data.pools["web"].members, start=1))
    web = replace(data.pools["web"], members=members, failover=Failover("idle-standby", None))
    await office.load(replace(data, pools={"web": web}))
    duties = office.desk.roster.duties
    for number, result, tier in ((2, OK, None), (1, OK, 1), (1, BAD, 2), (1, OK, 2)):
        office.result(number, result)
        await until(lambda tier=tier: duties["web"].selection.standing.tier == tier)  # type: ignore[misc]
    await until(lambda: bool(duties["web"].selection.standing.ripening))
    now, saved = await office.desk.failback("web", "ann", "new disk")
    assert now.startswith("ok: ") and saved and office.desk.roster.standings["web"].tier == 1
    (event,) = [one for one in office.store.events() if one["after"] == "tier 1" and one["before"] == "tier 2"]
    assert (event["subject"], event["name"]) == ("failover", "web") and "called back by ann: new disk" in event["why"]
