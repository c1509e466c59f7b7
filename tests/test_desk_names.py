"""Where looks at host names meet the roster, and what a restart and a replay have of them: desk, journal, store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest
from link_end import until
from test_desk import OK, Office
from test_names import A1, A2, A3, APP1, APP2, data, v4

from rrdns.control import desk as desk_module
from rrdns.control import keepsakes
from rrdns.control.clock import Clock
from rrdns.control.names_said import NAMES, names_of
from rrdns.control.store import NAME, Store
from rrdns.model import Target
from rrdns.resolution import Resolution
from rrdns.roster.roster import Roster


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    one = Office(tmp_path)
    await one.store.open()
    yield one
    await one.store.close()


def addresses(office: Office) -> list[str]:
    members = office.desk.roster.dataset.pools["web"].members
    return [text for member in members for text in member.addresses]


async def test_a_load_says_which_names_to_follow_and_an_answer_which_targets_to_probe(
    office: Office, tmp_path: Path
) -> None:
    wanted: list[Collection[str]] = []
    seen: list[dict[str, Target]] = []
    office.desk.on_names = lambda names: wanted.append(set(names))
    office.desk.on_targets = lambda targets: seen.append(dict(targets))
    await office.load(data())
    assert wanted == [{APP1, APP2}]
    office.desk.on_name(APP1, v4(A1))
    office.desk.on_name(APP2, Resolution.failed("NXDOMAIN"))
    await until(lambda: seen)
    assert {target.address for target in seen[-1].values()} == {A1}
    office.targets = {target.address: target for target in seen[-1].values()}
    assert office.result(1, OK) == 5.0
    await until(lambda: "web/web1 unknown -> up" in office.said())
    assert await office.store.flush()
    again = Store(tmp_path / NAME, Clock())
    await again.open()
    assert list(names_of(again.meta(NAMES), 0.0, 0.0)[0]) == [APP1], "a name without addresses is not kept"
    roster, clock = Roster(), Clock()
    keepsakes.restore(roster, again, clock, 600.0)
    roster.load(data(), clock.now())
    await again.close()
    assert [member.addresses for member in roster.dataset.pools["web"].members] == [(A1,), ()]
    assert 0.0 <= roster.snapshot(clock.now())["names"][APP1]["age"] < 60.0


async def test_looks_that_come_while_a_thread_is_at_the_roster_wait(office: Office) -> None:
    loading = asyncio.create_task(office.load(data()))
    await asyncio.sleep(0)
    while not office.desk._apart and not loading.done():  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0)
    office.desk.on_name(APP1, Resolution.failed("timed out"))
    office.desk.on_name(APP1, v4(A1))  # the newest counts
    await loading
    await until(lambda: addresses(office) == [A1])
    assert office.desk.roster.names.found[APP1].reason == ""


async def test_names_of_a_large_roster_are_taken_together_beside_the_loop(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "LARGE", 0)
    apart: list[object] = []
    in_thread = office.desk._in_thread

    async def noted(work, about):  # type: ignore[no-untyped-def]
        apart.append(about)
        return await in_thread(work, about)

    await office.load(data())
    office.desk.on_name(APP1, v4(A3))
    await until(lambda: addresses(office) == [A3])
    monkeypatch.setattr(office.desk, "_in_thread", noted)
    office.desk.on_name(APP1, v4(A1))
    office.desk.on_name(APP2, v4(A2))
    await until(lambda: addresses(office) == [A1, A2])
    assert len(apart) == 1
