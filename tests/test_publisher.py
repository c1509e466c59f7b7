"""Rings to workers: real unix sockets, a fake worker at the other end, a real board."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from link_end import FakeWorker, until

from rrdns import board, link
from rrdns.answers import AUTHORITATIVE, NAME, AnswerSet, Body, Changes, Node, ZoneAnswers, key
from rrdns.board import Board
from rrdns.control import publisher
from rrdns.control.counters import Ring, Tally
from rrdns.control.publisher import Publisher
from rrdns.wire import name_from_text

LB = name_from_text("lb.")
WWW = name_from_text("www.lb.")
WWW_A = key(WWW, 1)


def ring(*data: bytes) -> AnswerSet:
    bodies = tuple(Body(AUTHORITATIVE, (1, 0, 0), one) for one in data)
    return AnswerSet(bodies, tuple(range(len(bodies))), counted=True)


ZONE = ZoneAnswers(ring(b"nodata"), ring(b"nxdomain"), ring(b"any"))


class Desk:
    """A publisher over `rows` workers that runs until the test ends."""

    def __init__(self, folder: Path, workers: int = 1) -> None:
        self.folder = folder
        self.board = Board(folder / board.NAME, board.FIRST_WORKER + workers)
        self.tally = Tally()
        self.killed: list[tuple[int, int]] = []
        self.publisher = Publisher(
            folder, self.board, self.tally, time.monotonic, {}, lambda pid, number: self.killed.append((pid, number))
        )
        self.task: asyncio.Task[None] | None = None
        self.workers: list[FakeWorker] = []

    def run(self) -> None:
        self.task = asyncio.create_task(self.publisher.run())

    async def worker(self, index: int = 0, **more: Any) -> FakeWorker:
        worker = await FakeWorker(self.folder / f"worker-{index}.sock", index, **more).start()
        self.workers.append(worker)
        return worker

    def put(self, *data: bytes, name: bytes = WWW) -> None:
        names = tuple((f"m{number}",) for number in range(len(data)))
        self.publisher.publish(Changes({key(name, 1): ring(*data)}, {}, {}), {key(name, 1): Ring(name, "web", names)})


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    one = Desk(tmp_path)
    one.publisher.publish(Changes({}, {LB: Node(LB), WWW: Node(LB, NAME)}, {LB: ZONE}), {})
    one.put(b"a", b"b")
    yield one
    if one.task is not None:
        one.task.cancel()
        await asyncio.gather(one.task, return_exceptions=True)
    for worker in one.workers:
        await worker.stop()


async def test_a_worker_gets_everything_first_and_differences_then(desk: Desk) -> None:
    worker = await desk.worker()
    desk.run()
    await until(lambda: worker.commits)
    assert worker.holds() == {WWW_A: (b"a", b"b")}
    assert worker.table.zone_of(WWW) is not None
    assert worker.commits[0][1] is True
    parts = worker.frames.count("part")
    desk.put(b"b")
    await until(lambda: len(worker.commits) == 2)
    assert worker.holds() == {WWW_A: (b"b",)}
    assert worker.commits[1][1] is False
    assert worker.frames.count("part") == parts + 1
    desk.publisher.publish(Changes({WWW_A: None}, {WWW: None}, {}), {})
    await until(lambda: len(worker.commits) == 3)
    assert worker.holds() == {}
    assert desk.publisher.rings == {}


async def test_a_worker_may_come_late_and_come_again(desk: Desk) -> None:
    desk.run()
    await asyncio.sleep(0.05)
    worker = await desk.worker()
    await until(lambda: worker.commits)
    await worker.stop()
    desk.put(b"c")
    again = await desk.worker()
    await until(lambda: again.commits)
    assert again.commits[0][1] is True
    assert again.holds() == {WWW_A: (b"c",)}
    again.hang_up()
    await until(lambda: len(again.commits) == 2)
    assert again.commits[1][1] is True


async def test_while_a_commit_is_on_its_way_only_the_latest_is_kept(desk: Desk) -> None:
    worker = await desk.worker()
    desk.run()
    await until(lambda: worker.commits)
    worker.answering.clear()
    desk.put(b"0")
    await until(lambda: worker.frames.count("commit") == 2)
    for number in range(1, 100):
        desk.put(b"%d" % number)
        desk.put(b"%d" % number, name=LB)
        if number % 10 == 0:
            await asyncio.sleep(0)
    worker.answering.set()
    await until(lambda: worker.holds() == {WWW_A: (b"99",), key(LB, 1): (b"99",)})
    assert len(worker.commits) == 3  # what piled up came as one


async def test_two_rings_change_together_or_not_at_all(desk: Desk) -> None:
    worker = await desk.worker()
    desk.run()
    await until(lambda: worker.commits)
    seen: set[tuple[bytes, ...]] = set()
    commit = worker.table.commit

    def watched(number: int, fresh: bool = False) -> Any:
        retired = commit(number, fresh)
        seen.add(tuple(sorted(data[0] for data in worker.holds().values())))
        return retired

    worker.table.commit = watched  # type: ignore[method-assign]
    rng = random.Random(1)
    for number in range(200):
        data = b"%d" % number
        both = {key(WWW, 1): ring(data), key(WWW, 28): ring(data)}
        desk.publisher.publish(Changes(both, {}, {}), {})
        if rng.random() < 0.5:
            await asyncio.sleep(0.001)
    await until(lambda: worker.holds().get(WWW_A) == (b"199",))
    assert all(len(set(pair)) == 1 for pair in seen) and len(seen) > 1


async def test_a_large_table_arrives_whole_while_it_changes(desk: Desk) -> None:
    names = [name_from_text(f"n{number}.lb.") for number in range(20_000)]
    desk.publisher.publish(
        Changes({key(name, 1): ring(b"x" * 100) for name in names}, {name: Node(LB) for name in names}, {}), {}
    )
    worker = await desk.worker()
    desk.run()
    await until(lambda: worker.frames.count("part") > 3)
    for number in range(0, len(names), 7):
        desk.put(b"new", name=names[number])
    await until(lambda: len(worker.commits) >= 2)
    held = worker.holds()
    assert held == {place: tuple(b.data for b in one.bodies) for place, one in desk.publisher.sets.items()}
    assert len(worker.table.nodes) == len(names) + 2


async def test_answers_are_counted_over_changes_and_reconnections(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "TICK", 0.05)
    worker = await desk.worker()
    desk.run()
    await until(lambda: worker.commits)

    def answer(times: int) -> None:
        for _ in range(times):
            worker.table.find(WWW, b"\0\1\0\1").take()

    answer(10)
    await until(lambda: desk.tally.members == {("web", "m0"): 5, ("web", "m1"): 5})
    answer(3)
    desk.put(b"a")  # only m0 is left; what the old ring answered is told with the acknowledgement
    await until(lambda: len(worker.commits) == 2)
    answer(4)
    await until(lambda: sum(desk.tally.members.values()) == 17)
    assert desk.tally.services == {WWW: 17}
    assert desk.tally.members[("web", "m1")] in (6, 7)
    worker.hang_up()
    await until(lambda: len(worker.commits) == 3)
    answer(5)
    await until(lambda: sum(desk.tally.members.values()) == 22)


async def test_two_workers_go_each_at_their_own_pace(tmp_path: Path) -> None:
    desk = Desk(tmp_path, 2)
    desk.put(b"a")
    slow, quick = await desk.worker(0), await desk.worker(1)
    slow.answering.clear()
    desk.run()
    try:
        for number in range(5):
            desk.put(b"%d" % number)
            await until(lambda number=number: quick.holds() == {WWW_A: (b"%d" % number,)})  # type: ignore[misc]
        assert not slow.commits
        slow.answering.set()
        await until(lambda: slow.holds() == {WWW_A: (b"4",)})
    finally:
        assert desk.task is not None
        desk.task.cancel()
        await asyncio.gather(desk.task, return_exceptions=True)
        await slow.stop()
        await quick.stop()


async def test_a_worker_that_does_not_acknowledge_is_killed_if_it_is_the_one_on_the_board(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "ACK_WAIT", 0.6)
    monkeypatch.setattr(publisher, "STEP", 0.05)
    desk.board.sign_in(board.FIRST_WORKER)
    worker = await desk.worker()
    worker.answering.clear()
    desk.run()
    await until(lambda: desk.killed)
    assert desk.killed[0] == (os.getpid(), signal.SIGKILL)
    worker.answering.set()
    await until(lambda: worker.commits)  # and it is spoken to again
    desk.killed.clear()
    desk.board.set(board.FIRST_WORKER, "born", 1)  # this pid is another process by now
    worker.answering.clear()
    connections = worker.connections
    desk.put(b"z")
    await until(lambda: worker.connections > connections)
    assert not desk.killed


async def test_a_pause_of_control_itself_kills_nobody(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "ACK_WAIT", 1.0)
    monkeypatch.setattr(publisher, "STEP", 0.25)
    desk.board.sign_in(board.FIRST_WORKER)
    worker = await desk.worker()
    desk.run()
    await until(lambda: worker.commits)
    worker.answering.clear()
    desk.put(b"b")
    await until(lambda: worker.frames.count("commit") == 2)
    time.sleep(2.0)  # noqa: ASYNC251 - the loop stands still: as after SIGSTOP and SIGCONT
    worker.answering.set()
    await until(lambda: len(worker.commits) == 2)
    assert not desk.killed


async def test_a_new_process_in_the_row_is_looked_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "STEP", 0.1)
    desk.board.sign_in(board.FIRST_WORKER)
    worker = await desk.worker()
    desk.run()
    await until(lambda: worker.commits)
    desk.board.set(board.FIRST_WORKER, "pid", os.getpid() + 1)
    worker.pid = os.getpid() + 1
    await until(lambda: worker.connections == 2 and len(worker.commits) == 2)


async def test_a_worker_of_another_version_gets_nothing(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    worker = await desk.worker(version="0.0.0")
    desk.run()
    await until(lambda: worker.connections >= 3)
    assert not worker.commits
    assert sum("of version 0.0.0" in record.message for record in caplog.records) == 1


async def test_garbage_from_a_worker_ends_the_connection_only(tmp_path: Path) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read(10)
        writer.write(
            [b"\xff\xff\xff\xff", b"\0\0\0\1\xff", link.encode(("ack",)), link.encode(("ready",))][connections % 4]
        )
        try:
            while await reader.read(1 << 16):
                pass
        except ConnectionError:
            pass
        writer.close()

    desk = Desk(tmp_path)
    desk.put(b"a")
    server = await asyncio.start_unix_server(serve, str(tmp_path / "worker-0.sock"))
    desk.run()
    await until(lambda: connections >= 9)
    server.close()
    assert desk.task is not None and not desk.task.done()
    (tmp_path / "worker-0.sock").unlink(missing_ok=True)
    worker = await desk.worker()
    await until(lambda: worker.commits)
    desk.task.cancel()
    await asyncio.gather(desk.task, return_exceptions=True)
    await worker.stop()


async def test_numbers_go_on_where_a_control_before_us_left_off(tmp_path: Path) -> None:
    desk = Desk(tmp_path, 2)
    desk.board.set(board.FIRST_WORKER + 1, "table", 41)
    assert next(Publisher(tmp_path, desk.board, Tally(), time.monotonic).numbers) == 42


@pytest.mark.parametrize("steps", range(6))
async def test_told_to_end_while_a_connection_ends_it_ends(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """As when all processes of a server are told to end at once: the worker hangs up in the same moment."""
    over = asyncio.Event()

    async def hear(line: publisher.Line, reader: asyncio.StreamReader) -> None:
        await over.wait()
        raise publisher._Over("it hung up")

    monkeypatch.setattr(publisher.Line, "_hear", hear)
    await desk.worker()
    desk.run()
    await until(lambda: desk.workers[0].frames)
    assert desk.task is not None
    over.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    desk.task.cancel()
    done, _ = await asyncio.wait([desk.task], timeout=10)
    assert done and desk.task.cancelled()
