"""Events as the state file and the journal tell them together: each once, none lost, and what is missing is said."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pretend_server import WALL, Pretend

from rrdns import chronicle, cli
from rrdns.control import event_reading, events, store
from rrdns.control.events import Events
from rrdns.control.journal import Journal
from rrdns.control.store import Store
from rrdns.model import Event

DAY = 86400.0


def row(at: float, name: str = "web/web1", after: str = "down") -> dict[str, Any]:
    return {"time": at, "subject": "member", "name": name, "before": "up", "after": after, "why": ""}


# ---------------------------------------------------------------- one list of two


@given(
    st.lists(st.floats(1.1, 100.0), min_size=1, max_size=30),
    st.floats(-2.0, 2.0),
    st.data(),
)
def test_each_event_is_told_once(gaps: list[float], drift: float, data: st.DataObject) -> None:
    times = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    truth = [row(at, f"web/web{index % 5}") for index, at in enumerate(times)]  # the same again after 5 s at least
    first = data.draw(st.integers(0, len(truth)))
    last = data.draw(st.integers(first, len(truth)))
    kept = truth[first:]
    written = [{**one, "time": one["time"] + drift} for one in truth[:last]]
    found = chronicle.joined(kept, written)
    assert sorted(one["name"] for one in found) == sorted(one["name"] for one in truth)
    assert [one["time"] for one in found] == sorted(one["time"] for one in found)
    assert all(one in found for one in kept), "in the words of the first"


def test_the_same_again_is_another_event() -> None:
    flapping = [row(10.0), row(11.0), row(12.0)]
    assert chronicle.joined(flapping[1:], flapping) == flapping
    assert chronicle.joined([], flapping) == flapping and chronicle.joined(flapping, []) == flapping
    assert chronicle.unknown([row(10.0)], [row(10.0), row(11.0)]) == [row(11.0)], "the same time first"
    assert chronicle.unknown([row(10.0)], [row(12.6), row(7.4)]) == [row(7.4), row(12.6)]
    assert chronicle.unknown([row(10.0)], [row(10.0, after="up")]) == [row(10.0, after="up")]


# ---------------------------------------------------------------- a server


class Both:
    def __init__(self, folder: Path) -> None:
        self.clock = Pretend()
        self.store = Store(folder / "state.db", self.clock)
        self.journal = Journal(folder / "journal.db", self.clock)
        self.events = Events(self.store, self.journal, self.clock)

    def happen(self, count: int, every: float = 60.0, name: str = "web/web1") -> None:
        for index in range(count):
            self.clock.mono += every
            event = Event(self.clock.mono, "member", name, "up", "down", f"{name} {index}")
            self.store.keep_event(event)
            self.journal.note_event(event)

    async def told(self, limit: int = 1000, since: float | None = DAY, pool: str = "") -> dict[str, Any]:
        return json.loads(await self.events.told(limit, since, pool))  # type: ignore[no-any-return]


@pytest.fixture
async def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Both]:
    """The state file keeps five events."""
    monkeypatch.setattr(store, "EVENTS", 5)
    found = Both(tmp_path)
    await found.store.open()
    await found.journal.open()
    yield found
    await found.store.close()
    await found.journal.close()


def whys(told: dict[str, Any]) -> list[str]:
    return [one["why"] for one in told["events"]]


async def test_the_journal_reaches_further_back(both: Both) -> None:
    both.happen(12)
    await both.journal.flush()
    both.happen(2, name="mail/m1")  # not written yet
    told = await both.told()
    wanted = [*(f"web/web1 {index}" for index in range(12)), "mail/m1 0", "mail/m1 1"]
    assert whys(told) == wanted and told["notes"] == [] and told["cut"] is False
    assert told["kept_since"] == pytest.approx(WALL + 60.0)
    assert whys(await both.told(since=None)) == wanted
    assert whys(await both.told(since=3.5 * 60)) == wanted[-4:]
    assert whys(await both.told(pool="mail")) == wanted[-2:]
    told = await both.told(limit=7)
    assert whys(told) == wanted[-7:] and told["cut"] is True


async def test_a_clock_that_was_moved_makes_no_event_two(both: Both) -> None:
    both.happen(3)
    both.clock.ahead += 1.9  # less than what begins a new session
    both.happen(2)
    await both.journal.flush()
    both.clock.ahead -= 1.5
    both.happen(2)
    await both.journal.flush()
    told = await both.told()
    assert [one[-1] for one in whys(told)] == ["0", "1", "2", "0", "1", "0", "1"]


async def test_the_last_few_cost_no_disk(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    both.happen(12)
    monkeypatch.setattr(event_reading, "of_journal", None)
    assert len((await both.told(limit=4, since=None))["events"]) == 4


async def test_a_damaged_journal_costs_what_only_it_has(both: Both) -> None:
    both.happen(12)
    await both.journal.flush()
    await both.journal.close()
    (both.journal.path or Path()).write_bytes(b"not a database at all" * 1000)
    told = await both.told()
    assert whys(told) == [f"web/web1 {index}" for index in range(7, 12)]
    (note,) = told["notes"]
    assert "journal can't be read: file is not a database; only those that the state file keeps are told" in note
    assert told["kept_since"] == pytest.approx(WALL + 8 * 60.0)


async def test_no_journal_and_one_that_fails(both: Both, tmp_path: Path) -> None:
    both.happen(12)
    assert await both.journal.flush()
    both.journal.state, both.journal.why = "failing", "the disk is full"
    told = await both.told()
    (note,) = told["notes"]
    assert "failing (the disk is full)" in note and len(told["events"]) == 12
    none = Events(both.store, Journal(None, both.clock), both.clock)
    told = json.loads(await none.told(100, DAY, ""))
    assert told["notes"] == ["there is no journal; only those that the state file keeps are told"]
    assert len(told["events"]) == 5
    assert json.loads(await none.told(100, 200.0, ""))["notes"] == [], "the state file reaches that far"
    assert json.loads(await none.told(100, None, ""))["notes"] == []


async def test_a_disk_that_hangs_holds_nobody_up(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    both.happen(12)
    free = threading.Event()

    def hang(*args: object) -> event_reading.Part:
        free.wait(60)
        return event_reading.Part()

    monkeypatch.setattr(event_reading, "of_journal", hang)
    monkeypatch.setattr(events, "WAIT", 0.5)
    asked = asyncio.create_task(both.told())
    turns = 0
    while not asked.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert turns > 3 and len((await asked)["events"]) == 5
    assert "does not answer within 0.5 s" in (await asked)["notes"][0]
    free.set()


async def test_many_are_told_bit_by_bit(both: Both) -> None:
    both.happen(3000, every=1.0)
    await both.journal.flush()
    told = await both.told(limit=100_000)
    assert whys(told) == [f"web/web1 {index}" for index in range(3000)]


# ---------------------------------------------------------------- without a server


@pytest.fixture
def past(tmp_path: Path) -> Path:
    """A server's state folder: twelve events, of which the state file has the last five."""

    async def write() -> None:
        both = Both(tmp_path)
        both.clock.ahead = time.time() - 3600.0 - both.clock.mono
        await both.store.open()
        await both.journal.open()
        both.happen(7)
        both.store._pending.events.clear()
        both.happen(5, name="mail/m1")
        await both.store.close()
        await both.journal.close()

    asyncio.run(write())
    return tmp_path


Said = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def run(*arguments: str) -> tuple[int, list[str], str]:
        code = cli.main(["events", *arguments])
        found = capsys.readouterr()
        return code, [json.loads(line)["why"] for line in found.out.splitlines() if '"why"' in line], found.err

    return run


EVERY = [*(f"web/web1 {index}" for index in range(7)), *(f"mail/m1 {index}" for index in range(5))]


def test_without_a_server_the_files_tell(past: Path, said: Said) -> None:
    at = ("--control", str(past / "s"), "--state", str(past), "--json")
    code, found, error = said(*at)
    assert code == 3 and found == EVERY
    assert "no rrdns answers at" in error and f"these are from the files in {past}" in error
    assert "kept since" not in error
    code, found, error = said(*at, "--since", "7d")
    assert found == EVERY and "kept since" in error and "nothing is known of before" in error
    assert said(*at, "--pool", "mail", "--limit", "2")[1] == EVERY[-2:]
    code, found, error = said(*at, "--since", "7d", "--limit", "3")
    assert found == EVERY[-3:] and "there are more; these are the last 3" in error
    (past / "journal.db").write_bytes(b"x" * 5000)
    code, found, error = said(*at, "--since", "7d")
    assert code == 3 and found == EVERY[-5:] and "file is not a database" in error


def test_a_journal_that_is_named_is_read_and_nobody_asked(past: Path, said: Said, tmp_path: Path) -> None:
    journal = ("--journal", str(past / "journal.db"), "--control", "/nowhere", "--json")
    assert said(*journal)[:2] == (0, EVERY)
    assert said("--journal", str(past / "none"), "--control", "/nowhere")[0] == 2
    code, _, error = said(*journal, "--follow")
    assert code == 2 and "nothing to follow" in error


def test_no_server_and_no_files(tmp_path: Path, said: Said) -> None:
    code, found, error = said("--control", str(tmp_path / "s"))
    assert (code, found) == (3, []) and "no rrdns answers" in error
    code, found, error = said("--control", str(tmp_path / "s"), "--state", str(tmp_path))
    assert (code, found) == (3, []) and "these are from" not in error
