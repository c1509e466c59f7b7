"""The journal: what it keeps and gives back, its bounds, and that nothing that befalls its file stands in the way."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cancelled import cancelled_before_it_began
from hypothesis import given
from hypothesis import strategies as st
from pretend_server import BAD, GOOD, SILENT, WALL, Pretend, files

from rrdns.control import journal as module
from rrdns.control import journal_reading
from rrdns.control.journal import Journal
from rrdns.control.journal_reading import Unreadable
from rrdns.model import Check, Event, Override, Result, Target, TcpProbe
from rrdns.recorded import Recording, Run, Tables

CHECK = Check("web", "tcp", 80, TcpProbe())


def target(number: int = 1) -> Target:
    address = f"192.0.2.{number}" if number < 256 else f"10.0.{number >> 8}.{number & 255}"
    return Target(CHECK.key(address), CHECK, address)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    found = Journal(tmp_path / "journal.db", Pretend())
    await found.open()
    yield found
    await found.close()


def clock(journal: Journal) -> Pretend:
    assert isinstance(journal._clock, Pretend)
    return journal._clock


async def load(journal: Journal, contents: dict[str, bytes] | None = None) -> None:
    contents = contents or files()
    await journal.note_load("zones", "ok", (contents, dict.fromkeys(contents, 1)), clock(journal).mono)


def probe(journal: Journal, result: Result, number: int = 1, after: float = 5.0) -> None:
    clock(journal).mono += after
    journal.note_result(target(number), result, clock(journal).mono)


async def reread(journal: Journal, since: float = WALL - 1e6) -> Recording:
    assert await journal.flush(), journal.why
    journal._put_grown()
    assert await journal.flush(), journal.why
    assert journal.path is not None
    return await asyncio.to_thread(journal_reading.read, journal.path, since)


# -------------------------------------------------------------------- what it keeps


async def test_equal_results_in_a_row_are_one_row(journal: Journal) -> None:
    for result in [GOOD] * 100 + [BAD] * 3 + [SILENT] + [GOOD] * 2:
        probe(journal, result)
    found = await reread(journal)
    runs = found.runs[target().key]
    assert [(run.count, run.result.ok, run.result.silent) for run in runs] == [
        (100, True, False), (3, False, False), (1, False, True), (2, True, False),
    ]  # fmt: skip
    assert [round(at - runs[1].first, 3) for at in runs[1].moments()] == [0, 5, 10]
    assert len(list(runs[0].moments())) == 100
    assert found.abouts[target().key]["type"] == "tcp"


async def test_what_an_agent_says_is_part_of_the_outcome(journal: Journal) -> None:
    for weight in (100, 100, 50, 0):
        probe(journal, Result(True, "agent", weight=weight, word="ready"))
    runs = (await reread(journal)).runs[target().key]
    assert [(run.count, run.result.weight, run.result.word) for run in runs] == [
        (2, 100, "ready"), (1, 50, "ready"), (1, 0, "ready"),
    ]  # fmt: skip


async def test_a_void_result_is_none(journal: Journal) -> None:
    probe(journal, Result(False, "the loop lagged", void=True))
    assert not (await reread(journal)).runs


async def test_words_events_and_files_come_back(journal: Journal) -> None:
    await load(journal)
    word = Override("web", "web1", "drain", "me", "why", 0.0, clock(journal).mono + 60, WALL)
    journal.note_words([word], clock(journal).mono)
    journal.note_event(Event(clock(journal).mono, "member", "web/web1", "up", "down", "refused"))
    found = await reread(journal)
    assert [one.kind for one in found.inputs] == ["load", "picture", "override"]
    assert found.inputs[2].data["words"][0] | {"for": 60.0} == found.inputs[2].data["words"][0]
    assert [(one["name"], one["after"]) for one in found.events] == [("web/web1", "down")]
    (dataset,) = found.datasets.values()
    assert set(dataset.pools) == {"web", "api"}


async def test_files_that_stay_are_kept_once(journal: Journal) -> None:
    await load(journal)
    await load(journal, files(fall=2))
    await load(journal)
    await reread(journal)
    with sqlite3.connect(journal.path or "") as db:
        (count,) = db.execute("SELECT count(*) FROM files").fetchone()
    db.close()
    assert count == 5  # the zone once, pools twice, and two lists


async def test_a_picture_now_and_then_lets_a_reader_begin_there(journal: Journal) -> None:
    await load(journal)
    for _ in range(4):
        await journal.flush()
        clock(journal).mono += module.PICTURE
    found = await reread(journal, WALL + 2.5 * module.PICTURE)
    assert found.start(WALL + 2.5 * module.PICTURE) is found.inputs[0]
    assert abs(found.inputs[0].at - (WALL + 2 * module.PICTURE)) < 5 and found.datasets


async def test_a_step_of_the_wall_clock_moves_nothing(journal: Journal) -> None:
    await load(journal)
    for number in range(20):
        if number == 10:
            clock(journal).ahead -= 3600
            await journal.flush()
        probe(journal, GOOD if number % 3 else BAD)
    found = await reread(journal)
    assert [one.kind for one in found.sessions] == ["start", "clock"]
    at = [moment for run in found.runs[target().key] for moment in run.moments()]
    assert len(at) == 20 and at == sorted(at)
    assert at[-1] - at[0] < 200 and abs(found.wall(at[-1]) - clock(journal).moment().wall) < 10


async def test_a_restart_begins_another_session_with_the_same_targets(journal: Journal) -> None:
    await load(journal)
    probe(journal, GOOD)
    await journal.close()
    again = Journal(journal.path, clock(journal))
    clock(journal).mono += 100
    await again.open()
    await load(again)
    probe(again, GOOD)
    found = await reread(again)
    await again.close()
    assert [one.kind for one in found.sessions] == ["start", "start"]
    assert len(found.runs[target().key]) == 2


async def test_nothing_is_kept_without_a_path() -> None:
    journal = Journal(None, Pretend())
    await journal.open()
    await load(journal)
    probe(journal, GOOD)
    assert not journal._pending and await journal.flush()
    await journal.close()


# -------------------------------------------------------------------- what can befall it


def asides(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if ".corrupt-" in one.name and not one.name.endswith(("-wal", "-shm"))]


async def test_a_damaged_file_is_moved_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"SQLite format 3\0" + b"rubbish" * 1000)
    journal = Journal(path, Pretend())
    await journal.open()
    await load(journal)
    assert (await reread(journal)).datasets
    await journal.close()
    assert "moved to journal.db.corrupt-" in caplog.text
    assert len(asides(tmp_path)) == 1


async def test_a_file_of_another_version_is_moved_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    journal = Journal(path, Pretend())
    await journal.open()
    assert journal.state == "ok" and "version 99" in caplog.text
    await journal.close()


async def test_a_file_that_has_gone_is_begun_anew_with_what_is_in_force(journal: Journal) -> None:
    journal.contents = lambda: (files(), dict.fromkeys(files(), 1))
    await load(journal)
    probe(journal, GOOD)
    assert await journal.flush()
    assert journal.path is not None
    for name in journal.path.parent.glob("journal.db*"):
        name.unlink()
    probe(journal, BAD)
    assert journal.shown(clock(journal).mono) == {"state": "ok", "why": "", "since": None, "holes": 0}
    assert not await journal.flush() and journal.state == "failing"
    probe(journal, BAD, after=7.0)
    shown = journal.shown(clock(journal).mono)
    assert shown == {"state": "failing", "why": journal.why, "since": 7.0, "holes": 1} and "had gone" in journal.why
    found = await reread(journal)
    assert journal.state == "ok"
    assert journal.shown(clock(journal).mono) == {"state": "ok", "why": "", "since": None, "holes": 1}
    assert Journal(None, Pretend()).shown(0.0)["state"] == "off"
    assert [one.kind for one in found.sessions] == ["hole"] and len(found.datasets) == 1
    assert [run.count for run in found.runs[target().key]] == [1]


async def test_a_disk_that_takes_nothing_costs_rows_and_no_more(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "BACKLOG", 200)
    journal.contents = lambda: (files(), dict.fromkeys(files(), 1))
    await load(journal)
    await journal.flush()
    whole = journal._file.write  # type: ignore[union-attr]

    def full(*args: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    journal._file.write = full  # type: ignore[union-attr, method-assign]
    probe(journal, BAD)
    for number in range(1000):
        probe(journal, GOOD, number, 0.01)
        if number % 300 == 0:
            assert not await journal.flush()
    assert len(journal._pending) <= 201
    assert caplog.text.count("NOT journaled") == 1
    journal._file.write = whole  # type: ignore[union-attr, method-assign]
    assert await journal.flush()
    probe(journal, GOOD, 7)
    found = await reread(journal)
    assert journal.state == "ok" and found.sessions[-1].kind == "hole" and target(7).key in found.runs


async def test_size_is_bounded_and_the_oldest_go_first(tmp_path: Path) -> None:
    size = 1 << 20
    journal = Journal(tmp_path / "journal.db", Pretend(), size=size)
    journal.contents = lambda: (files(), dict.fromkeys(files(), 1))
    await journal.open()
    await load(journal)
    chance = random.Random(1)
    for _ in range(60):
        for _ in range(400):
            probe(journal, Result(chance.random() < 0.5, f"reason {chance.random()}"), chance.randrange(50), 0.5)
        clock(journal).mono += module.PRUNE
        assert await journal.flush(), journal.why
    found = await reread(journal)
    await journal.close()
    newest = max(run.last for runs in found.runs.values() for run in runs)
    oldest = min(run.first for runs in found.runs.values() for run in runs)
    assert (tmp_path / "journal.db").stat().st_size <= size
    assert newest >= clock(journal).moment().wall - module.PRUNE - 300
    assert WALL + 3600 < oldest < newest - 1800
    assert found.start(oldest) is not None and found.datasets, "what is left leans on a picture that is there"


async def test_age_is_bounded(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", Pretend(), age=86400.0)
    journal.contents = lambda: (files(), dict.fromkeys(files(), 1))
    await journal.open()
    await load(journal)
    for _ in range(48):
        probe(journal, BAD, after=0.0)
        probe(journal, GOOD, after=3600.0)
        await journal.flush()
    found = await reread(journal)
    await journal.close()
    oldest = min(run.first for runs in found.runs.values() for run in runs)
    assert 20 * 3600 < clock(journal).moment().wall - oldest < 27 * 3600


async def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / "journal.db").symlink_to(tmp_path / "elsewhere")
    journal = Journal(tmp_path / "journal.db", Pretend())
    await journal.open()
    probe(journal, GOOD)
    assert journal.state == "failing" and not await journal.flush()
    await journal.close()
    assert not (tmp_path / "elsewhere").read_bytes()


def test_what_is_no_journal_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="no journal here"):
        journal_reading.read(tmp_path / "journal.db", 0)
    (tmp_path / "other").write_bytes(b"no database" * 100)
    with pytest.raises(Unreadable, match="not a database"):
        journal_reading.read(tmp_path / "other", 0)


# -------------------------------------------------------------------- facts


@given(st.integers(1, 100), st.floats(0.5, 60), st.data())
def test_moments_of_a_run_are_found_from_both_sides(count: int, step: float, data: st.DataObject) -> None:
    heads = tuple(number * step for number in range(min(count, 7)))
    run = Run(1000.0, 1000.0 + (count - 1) * step, count, GOOD, heads)
    moments = list(run.moments())
    assert len(moments) == count and moments == sorted(moments) and moments[-1] == pytest.approx(run.last)
    asked = data.draw(st.floats(990.0, run.last + 10))
    later = [at for at in moments if at >= asked - 1e-6]
    found = run.at_or_after(asked)
    assert (found is None) == (not [at for at in moments if at >= asked]) or later[:1] == pytest.approx([asked])
    if found is not None:
        assert min(abs(found - at) for at in moments) < 1e-3 and found >= asked - 1e-6
    earlier = run.at_or_before(asked)
    assert (earlier is None) == (asked < run.first)
    if earlier is not None:
        assert (earlier <= asked + 1e-6 and earlier > asked - step - 1e-3) or earlier == run.last


def test_tables_are_put_together_again() -> None:
    tables = Tables()
    row = ["v", "rs1", "10.0.0.1", 80, "up", 10, False]
    tables.take("lvs", {"rows": [row, ["v", "rs2", "10.0.0.2", 80, "up", 10, False]], "gone": [], "parts": ["v"]})
    tables.take("lvs", {"rows": [], "gone": [["v", "rs2", "10.0.0.2", 80]], "parts": ["v"], "master": True})
    table = tables.table("lvs")
    assert [one.server for one in table.parts["v"]] == ["rs1"] and table.master is True
    assert tables.take("lvs", {"fault": "gone"}) == "gone"


async def test_it_gives_way_to_the_state_on_a_full_disk(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.contents = lambda: (files(), dict.fromkeys(files(), 1))
    await load(journal)
    probe(journal, GOOD)
    assert await journal.flush() and journal.path is not None
    journal.give_way()
    assert journal.path.exists(), "so small a file makes no room"
    monkeypatch.setattr(module, "WORTH", 1)
    journal.give_way()
    assert not journal.path.exists()
    assert not await journal.flush() or not journal.path.exists()
    probe(journal, BAD)
    await journal.flush()
    probe(journal, GOOD)
    found = await reread(journal)
    assert found.sessions[-1].kind == "hole" and found.datasets


async def test_a_cancelled_flush_loses_nothing(journal: Journal) -> None:
    await load(journal)
    probe(journal, GOOD)
    await cancelled_before_it_began(journal._thread, journal.flush())
    assert (await reread(journal)).runs
