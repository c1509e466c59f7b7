"""The poller: each director in its own time, never two questions at once, whatever a reader does."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import misbehaving
import pytest
from misbehaving import Misbehaving, answer, says

from rrdns.directors import Fault, ipvs_metrics, poller
from rrdns.directors.poller import Poller
from rrdns.directors.reach import Reach, parsed
from rrdns.directors.readers import READERS, Reader
from rrdns.model import Director, DirectorTable

EMPTY = DirectorTable()
PAGE = "".join(
    f'node_ipvs_backend_{kind}{{local_address="10.9.{i >> 12}.1",local_mark="",local_port="80",proto="TCP",'
    f'remote_address="10.{i >> 16}.{i >> 8 & 255}.{i & 255}",remote_port="8080"}} {i % 50}\n'
    for kind in ("connections_active", "connections_inactive", "weight")
    for i in range(10_000)
).encode()


class Heard:
    """What a poller handed on."""

    def __init__(self) -> None:
        self.all: list[tuple[str, DirectorTable | str]] = []

    def __call__(self, name: str, table: DirectorTable | str) -> None:
        self.all.append((name, table))

    def of(self, name: str) -> list[DirectorTable | str]:
        return [table for its, table in self.all if its == name]


async def until(condition: Callable[[], object], what: str = "") -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.005)


def director(name: str, type: str = "fake", interval: float = 0.02, timeout: float = 5) -> Director:
    return Director(name, type, interval=interval, timeout=timeout)


@contextlib.asynccontextmanager
async def polling(heard: Heard, read: Reader, *directors: Director) -> AsyncIterator[Poller]:
    doors = Reach()
    it = Poller(heard, doors, {"fake": read, **READERS})
    it.set_directors({one.name: one for one in directors})
    it.start()
    try:
        yield it
    finally:
        await it.stop()
        await doors.close()


async def fine(director: Director, reach: Reach) -> DirectorTable:
    return EMPTY


async def test_asks_again_and_again() -> None:
    heard = Heard()
    async with polling(heard, fine, director("a"), director("b")) as it:
        await until(lambda: len(heard.of("a")) > 3 and len(heard.of("b")) > 3)
        stats = it.stats["a"]
        assert stats.questions > 3 and stats.failures == 0 and stats.reason == ""
        assert stats.last_ok is not None and time.monotonic() - stats.last_ok < 30
        assert it.settled()
    asked = len(heard.all)
    await asyncio.sleep(0.1)
    assert len(heard.all) == asked  # stopped


async def test_the_interval_is_kept_with_jitter() -> None:
    times: list[float] = []

    async def read(director: Director, reach: Reach) -> DirectorTable:
        times.append(time.monotonic())
        return EMPTY

    async with polling(Heard(), read, director("a", interval=0.2)):
        await until(lambda: len(times) > 5)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert min(gaps) >= 0.2 * (1 - poller.JITTER) - 0.01
    assert len({round(gap, 4) for gap in gaps}) > 1


async def test_one_that_hangs_delays_nobody_and_is_asked_one_thing_at_a_time() -> None:
    heard, asking, most = Heard(), 0, 0

    async def read(director: Director, reach: Reach) -> DirectorTable:
        nonlocal asking, most
        if director.name != "hung":
            return EMPTY
        asking += 1
        most = max(most, asking)
        try:
            await asyncio.sleep(3600)
        finally:
            asking -= 1
        return EMPTY

    async with polling(heard, read, director("hung", timeout=60), *(director(f"d{n}") for n in range(50))) as it:
        await until(lambda: all(len(heard.of(f"d{n}")) > 2 for n in range(50)))
        assert most == 1 and not heard.of("hung")
        assert not it.settled()
        # Another definition of it: the old question ends first.
        for interval in (1.0, 2.0, 3.0):
            it.set_directors({"hung": director("hung", interval=interval, timeout=60)})
        await until(lambda: asking == 1)
        assert most == 1


async def test_a_reader_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "PARSING", 0.05)
    heard = Heard()

    async def read(director: Director, reach: Reach) -> DirectorTable:
        await asyncio.sleep(3600)
        return EMPTY

    async with polling(heard, read, director("a", timeout=0.05)) as it:
        await until(lambda: len(heard.all) > 1)
        assert it.stats["a"].failures_in_a_row > 1
    assert "could not be read in 100ms" in str(heard.all[0][1])


async def test_faults_are_told() -> None:
    heard, down = Heard(), True

    async def read(director: Director, reach: Reach) -> DirectorTable:
        if down:
            raise Fault("no answer from lb1")
        return EMPTY

    async with polling(heard, read, director("a"), director("b", type="odd")) as it:
        await until(lambda: len(heard.of("a")) > 1 and heard.of("b"))
        assert heard.of("a")[0] == "no answer from lb1"
        assert "no type of director 'odd'" in str(heard.of("b")[0])
        assert it.settled()
        assert (it.stats["a"].reason, it.stats["a"].last_ok) == ("no answer from lb1", None)
        down = False
        await until(lambda: heard.of("a")[-1] == EMPTY)
        assert it.stats["a"].failures_in_a_row == 0 and it.stats["a"].failures > 0


async def test_an_internal_error_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()

    async def read(director: Director, reach: Reach) -> DirectorTable:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR, "rrdns"):
        async with polling(heard, read, director("a")):
            await until(lambda: len(heard.all) > 3)
    assert all("internal error" in str(table) for _, table in heard.all)
    (record,) = [one for one in caplog.records if "internal error" in one.getMessage()]
    assert record.exc_info and record.exc_info[0] is ZeroDivisionError


async def test_who_is_told_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    told = 0

    def on_table(name: str, table: DirectorTable | str) -> None:
        nonlocal told
        told += 1
        raise KeyError(name)

    it = Poller(on_table, Reach(), {"fake": fine})
    it.set_directors({"a": director("a")})
    it.start()
    await until(lambda: told > 3)
    await it.stop()
    assert len([one for one in caplog.records if "passing on" in one.getMessage()]) == 1


async def test_changes_of_the_set() -> None:
    heard = Heard()
    async with polling(heard, fine, director("a"), director("b", interval=3600)) as it:
        await until(lambda: heard.of("b"))
        unchanged = it.stats["b"]
        it.set_directors({"b": director("b", interval=3600), "c": director("c")})
        assert it.stats["b"] is unchanged and not it.settled()
        await until(lambda: heard.of("c"))
        assert it.settled()
        before = len(heard.of("a"))
        it.set_directors({"b": replace(director("b"), timeout=6)})
        await until(lambda: len(heard.of("b")) > 2)
        assert len(heard.of("a")) == before
        it.set_directors({})
        assert it.settled() and not it.stats


async def test_one_time_for_all_doors_of_a_question() -> None:
    """A reader that asks twice has no more time than one that asks once; what came is counted."""
    heard = Heard()
    with Misbehaving(misbehaving.silent) as silent, Misbehaving(says(answer("200 OK", b"x" * 300))) as quick:

        async def read(director: Director, reach: Reach) -> DirectorTable:
            await reach.http(director, f"http://127.0.0.1:{quick.port}/")
            for _ in range(20):
                with contextlib.suppress(Fault):
                    await reach.http(director, f"http://127.0.0.1:{silent.port}/")
            return EMPTY

        async with polling(heard, read, director("a", timeout=0.5, interval=60)) as it:
            await until(lambda: heard.all)
            assert 0.5 <= it.stats["a"].took < 5
            assert it.stats["a"].bytes == 300


async def test_a_large_table_does_not_hold_up_the_loop() -> None:
    """10,000 servers under node_exporter: while they are parsed, what else the loop has to do goes on."""
    heard, late = Heard(), []

    async def read(director: Director, reach: Reach) -> DirectorTable:
        return await parsed(ipvs_metrics.parse, PAGE)

    async def pulse() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.001)
            late.append(time.monotonic() - before)

    beating = asyncio.create_task(pulse())
    async with polling(heard, read, director("a", interval=0.01)):
        await until(lambda: len(heard.all) > 2)
    beating.cancel()
    tables = [table for _, table in heard.all if isinstance(table, DirectorTable)]
    assert sum(len(reports) for reports in tables[0].parts.values()) == 10_000
    # Parsed in the loop itself, each beat in it would be a quarter of a second late or more, and few.
    assert len(late) > 10 * len(tables)
