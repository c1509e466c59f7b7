"""What outlives the process: real sqlite files, damaged, full, missing, linked; and clocks that jump."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cancelled import cancelled_before_it_began

from rrdns.control.clock import Clock, Moment
from rrdns.control.store import NAME, REFRESH, Store
from rrdns.model import Event, Health, Override, Result, State

UP = Health(State.UP, 900.0, 0, 7, 3, 0.0, 999.0, "HTTP 200", 0.01)
DOWN = Health(State.DOWN, 950.0, 3, 1, 6, 400.0, 998.0, "HTTP 503", 0.2)
OK, BAD = Result(True, "HTTP 200"), Result(False, "HTTP 503")


class Hand(Clock):
    """A clock moved by hand."""

    def __init__(self, mono: float = 1000.0, wall: float = 1.7e9, boot: str = "b1") -> None:
        self.mono, self.wall, self.boot = mono, wall, boot

    def now(self) -> float:
        return self.mono

    def moment(self) -> Moment:
        return Moment(self.boot, self.mono, self.wall)

    def advance(self, seconds: float) -> None:
        self.mono += seconds
        self.wall += seconds


async def opened(folder: Path, clock: Clock | None = None) -> Store:
    store = Store(folder / NAME, clock or Hand())
    await store.open()
    return store


def asides(folder: Path) -> list[Path]:
    """Files that were moved aside."""
    return sorted(folder.glob("state.db.corrupt-*"))


Opener = Callable[..., Awaitable[Store]]


@pytest.fixture
async def opener(tmp_path: Path) -> AsyncIterator[Opener]:
    """Opens stores in one folder, one after the other, and closes the last."""
    stores: list[Store] = []

    async def start(clock: Clock | None = None) -> Store:
        if stores:
            await stores.pop().close()
        stores.append(await opened(tmp_path, clock))
        return stores[-1]

    yield start
    for store in stores:
        await store.close()


async def test_everything_comes_back(opener: Opener) -> None:
    store = await opener()
    store.keep_health("t1@192.0.2.1", UP)
    store.keep_health("t2@192.0.2.2", DOWN)
    store.keep_overrides([Override("web", "web1", "drain", "ann", "new disk", 1.7e9, 1060.0, 1.7e9 + 60)])
    store.keep_serials({"lb.example.com.": (17, "abc")})
    store.keep_meta("acceptance", "yes")
    store.keep_event(Event(999.5, "member", "web/web1", "up", "drained", "ann: new disk"))
    assert await store.flush()
    clock = Hand()
    clock.advance(10)
    store = await opener(clock)
    assert store.health(600.0) == {"t1@192.0.2.1": UP, "t2@192.0.2.2": DOWN}
    assert store.overrides() == (Override("web", "web1", "drain", "ann", "new disk", 1.7e9, 1060.0, 1.7e9 + 60),)
    assert store.serial("lb.example.com.") == (17, "abc")
    assert store.meta("acceptance") == "yes"
    (event,) = store.events()
    assert event == {
        "time": 1.7e9 - 0.5,
        "subject": "member",
        "name": "web/web1",
        "before": "up",
        "after": "drained",
        "why": "ann: new disk",
    }


async def test_after_a_reboot_the_wall_clock_tells_how_long_it_took(opener: Opener) -> None:
    store = await opener()
    store.keep_health("t", DOWN)
    store.keep_overrides([Override("web", "web1", "drain", "ann", "", 1.7e9, 1060.0, 1.7e9 + 60)])
    store = await opener(Hand(mono=20.0, wall=1.7e9 + 45.0, boot="b2"))
    health = store.health(600.0)["t"]
    assert (health.seen, health.since, health.relapse_at) == (20.0 - 47.0, 20.0 - 95.0, 20.0 - 645.0)
    assert store.overrides()[0].until == 20.0 + 15.0


@pytest.mark.parametrize(
    ("clock", "believed"),
    [
        (Hand(mono=1590.0, wall=1.7e9 + 590), True),
        (Hand(mono=1700.0, wall=1.7e9 + 700), False),
        (Hand(mono=1010.0, wall=1.7e9 + 10 * 365 * 86400), True),  # the clock stepped, nothing grew old
        (Hand(mono=1010.0, wall=0.0), True),
        (Hand(mono=30.0, wall=1.7e9 + 100, boot="b2"), True),
        (Hand(mono=30.0, wall=1.7e9 + 10_000, boot="b2"), False),
        (Hand(mono=30.0, wall=0.0, boot="b2"), False),  # kept in the future
    ],
)
async def test_only_fresh_health_is_believed(opener: Opener, clock: Hand, believed: bool) -> None:
    store = await opener()
    store.keep_health("t", UP)
    store = await opener(clock)
    assert ("t" in store.health(600.0)) is believed


async def test_an_override_is_not_prolonged_by_a_clock_that_went_back(opener: Opener) -> None:
    store = await opener()
    store.keep_overrides([Override("web", "web1", "drain", "ann", "", 1.7e9, 1060.0, 1.7e9 + 60)])
    store = await opener(Hand(mono=5.0, wall=0.0, boot="b2"))
    assert store.overrides()[0].until == 65.0


async def test_health_is_written_when_it_says_something_new(opener: Opener) -> None:
    clock = Hand()
    store = await opener(clock)
    store.keep_health("t", UP)
    assert await store.flush()
    store.keep_health("t", replace(UP, successes=8, seen=1000.0))
    assert not store._pending.health
    store.keep_health("t", replace(UP, failures=1, seen=1000.0))
    assert store._pending.health.keys() == {"t"}
    assert await store.flush()
    clock.advance(REFRESH)
    store.keep_health("t", replace(UP, failures=1, seen=1029.0))
    assert store._pending.health.keys() == {"t"}


async def test_forgotten_targets_are_forgotten_on_disk(opener: Opener) -> None:
    store = await opener()
    store.keep_health("a", UP)
    store.keep_health("b", UP)
    await store.flush()
    store.keep_only_targets(["b"])
    store = await opener()
    assert store.health(600.0).keys() == {"b"}


async def test_events_are_found_by_pool_age_and_number(opener: Opener) -> None:
    store = await opener()
    for at, name in ((900.0, "web"), (950.0, "web/web1"), (990.0, "webmail/m1"), (995.0, "web/web2")):
        store.keep_event(Event(at, "member", name, "up", "down", ""))
    assert [event["name"] for event in store.events()] == ["web", "web/web1", "webmail/m1", "web/web2"]
    assert [event["name"] for event in store.events(limit=2)] == ["webmail/m1", "web/web2"]
    assert [event["name"] for event in store.events(pool="web")] == ["web", "web/web1", "web/web2"]
    assert [event["name"] for event in store.events(since=20.0)] == ["webmail/m1", "web/web2"]


@pytest.mark.parametrize(
    "damage", [b"not a database, but long enough to look at" * 100, b"SQLite format 3\0" + b"\xff" * 9000]
)
async def test_a_damaged_file_is_moved_aside(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / NAME).write_bytes(damage)
    store = await opened(tmp_path)
    assert store.state == "ok" and "moved to state.db.corrupt-" in store.notes[0]
    store.keep_health("t", UP)
    assert await store.flush()
    await store.close()
    (aside,) = asides(tmp_path)
    assert aside.read_bytes() == damage


@pytest.mark.parametrize(
    "statement", ["PRAGMA user_version=99", "DROP TABLE health", "ALTER TABLE meta DROP COLUMN value"]
)
async def test_a_file_of_another_shape_is_moved_aside_or_made_anew(
    opener: Opener, tmp_path: Path, statement: str
) -> None:
    store = await opener()
    store.keep_health("t", UP)
    await store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / NAME)) as db:
        db.execute(statement)
        db.commit()
    store = await opener()
    store.keep_health("t", UP)
    assert await store.flush()
    assert store.state == "ok" and store.notes
    assert len(asides(tmp_path)) == 1


async def test_an_empty_or_cut_file_is_no_obstacle(opener: Opener, tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    store = await opener()
    store.keep_health("t", UP)
    store = await opener()
    assert store.health(600.0) and not store.notes
    await store.close()
    data = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(data[: len(data) // 2])
    store = await opener()
    store.keep_health("t", UP)
    assert await store.flush()
    assert store.state == "ok"


async def test_rows_that_cannot_be_are_left_out(opener: Opener, tmp_path: Path) -> None:
    store = await opener()
    store.keep_health("good", UP)
    for column in (
        "state = 'sideways'",
        "failures = -1",
        "need = 1000000",
        "seen = NULL",
        "since = 9e999",
        "mono = 'x'",
    ):
        store.keep_health(column, UP)
    await store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / NAME)) as db:
        for (target,) in db.execute("SELECT target FROM health WHERE target != 'good'").fetchall():
            db.execute(f"UPDATE health SET {target} WHERE target = ?", (target,))
        db.commit()
    store = await opener()
    assert store.health(600.0).keys() == {"good"}
    assert "6 rows" in store.notes[0]


async def test_a_link_is_refused_and_nothing_written_through_it(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / NAME).symlink_to(victim)
    store = await opened(folder)
    store.keep_health("t", UP)
    assert not await store.flush()
    assert store.state == "failing" and "symbolic link" in store.why
    assert victim.read_text() == "precious"
    (folder / NAME).unlink()  # as the message says; the next try works
    assert await store.flush()
    assert store.state == "ok"
    await store.close()
    assert (await opened(folder)).health(600.0).keys() == {"t"}


async def test_of_a_full_disk_others_are_told(opener: Opener) -> None:
    store = await opener()
    assert store._file is not None
    told: list[str] = []
    store.on_full = lambda: told.append("full")
    pages = store._file._db.execute("PRAGMA page_count").fetchone()[0]
    store._file._db.execute(f"PRAGMA max_page_count={pages}")
    for number in range(2000):
        store.keep_health(f"t{number}", DOWN)
    assert not await store.flush()
    assert store.state == "failing" and told == ["full"]


async def test_a_disk_that_takes_nothing_is_said_and_made_up_for(
    opener: Opener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = await opener()
    assert store._file is not None
    store._file._db.execute("PRAGMA query_only=ON")
    store.keep_overrides([Override("web", "web1", "disable", "ann", "", 1.7e9)])
    assert not await store.flush()
    store.keep_event(Event(1000.0, "member", "web/web1", "up", "disabled", ""))
    store._file.close()
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).mkdir()
    for _ in range(3):
        assert not await store.flush()
    assert store.state == "failing"
    assert len([record for record in caplog.records if "NOT saved" in record.message]) == 2  # one for each cause
    (tmp_path / NAME).rmdir()
    assert await store.flush()
    assert (store.state, store.why) == ("ok", "")
    store = await opener()
    assert [override.word for override in store.overrides()] == ["disable"]
    assert [event["after"] for event in store.events()] == ["disabled"]


async def test_a_file_removed_while_running_is_made_anew_with_everything(opener: Opener, tmp_path: Path) -> None:
    store = await opener()
    store.keep_health("t", UP)
    store.keep_serials({"lb.": (5, "x")})
    assert await store.flush()
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / (NAME + suffix)).unlink(missing_ok=True)
    store.keep_health("u", UP)
    assert await store.flush()
    store = await opener()
    assert store.health(600.0).keys() == {"t", "u"}
    assert store.serial("lb.") == (5, "x")


async def test_damage_found_while_writing_begins_a_new_file(opener: Opener, tmp_path: Path) -> None:
    store = await opener()
    store.keep_health("t", UP)
    assert await store.flush()
    assert store._file is not None
    store._file._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store._file._db.execute("PRAGMA cache_size=0")
    with (tmp_path / NAME).open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 12)
    store._file._db.execute("PRAGMA shrink_memory")
    for number in range(100):
        store.keep_health(f"t{number}", UP)
    assert await store.flush()
    assert asides(tmp_path)
    store = await opener()
    assert len(store.health(600.0)) == 101


async def test_without_a_path_nothing_is_kept_and_that_is_fine() -> None:
    store = Store(None, Hand())
    await store.open()
    store.keep_health("t", UP)
    store.keep_event(Event(1000.0, "member", "web/web1", "up", "down", ""))
    assert await store.flush(durable=True)
    assert store.state == "ok" and len(store.events()) == 1
    await store.close()


async def test_the_writer_writes_by_itself(tmp_path: Path) -> None:
    store = await opened(tmp_path, Clock())
    writer = asyncio.create_task(store.run())
    store.keep_overrides([Override("web", "web1", "drain", "ann", "", 1.7e9)])
    store.urge()
    async with asyncio.timeout(20):
        while True:
            with contextlib.closing(sqlite3.connect(tmp_path / NAME)) as db:
                if db.execute("SELECT count(*) FROM overrides").fetchone()[0]:
                    break
            await asyncio.sleep(0.01)
    writer.cancel()
    await store.close()


async def test_a_cancelled_flush_loses_nothing(opener: Opener) -> None:
    store = await opener()
    store.keep_event(Event(1000.0, "member", "web/web1", "up", "down", ""))
    await cancelled_before_it_began(store._thread, store.flush())
    found = (await opener()).events()
    assert [one["name"] for one in found] == ["web/web1"]
