"""Where directors' words meet the roster, and what is kept of them: desk and reports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from link_end import until
from small_following import listed, server, table
from small_roster import served
from test_desk import OK, Office
from test_roster_directors import ALONE, data

from rrdns.control import desk as desk_module
from rrdns.control import reports
from rrdns.control.clock import Clock
from rrdns.control.reports import ReportJournal, members_of, members_text
from rrdns.control.store import NAME, Store
from rrdns.model import Target


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    one = Office(tmp_path)
    await one.store.open()
    yield one
    await one.store.close()


def members(office: Office) -> set[str]:
    return {member.name for member in office.desk.roster.dataset.pools["web"].members}


async def test_members_that_come_are_probed_counted_and_kept(office: Office, tmp_path: Path) -> None:
    seen: list[dict[str, Target]] = []
    office.desk.on_targets = lambda targets: seen.append(dict(targets))
    await office.load(data(replace(ALONE, checks=("web",))))
    office.desk.on_table("lvs1", listed(1, 2))
    await until(lambda: seen)
    assert {target.address for target in seen[-1].values()} == {"192.0.2.1", "192.0.2.2"}
    office.targets = {target.address: target for target in seen[-1].values()}
    assert office.result(1, OK) == 5.0
    await until(lambda: "web/192.0.2.1 absent -> up" in office.said() or members(office) == {"192.0.2.1", "192.0.2.2"})
    assert office.desk.roster.settled(1e9) is False  # 192.0.2.2 has no verdict yet
    office.desk.on_table("lvs1", listed(1, 2, 3))
    await until(lambda: len(seen) == 2)
    assert "web/192.0.2.3 absent -> up" in office.said()
    assert await office.store.flush()
    again = Store(tmp_path / NAME, Clock())
    await again.open()
    kept, wrong = members_of(again.meta(reports.MEMBERS))
    await again.close()
    assert not wrong and [name for name, _, _ in kept["web"]] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


async def test_words_that_come_while_a_thread_is_at_the_roster_wait(office: Office) -> None:
    loading = asyncio.create_task(office.load(data()))
    await asyncio.sleep(0)
    while not office.desk._apart and not loading.done():  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0)
    office.desk.on_table("lvs1", "timed out")
    office.desk.on_table("lvs1", listed(1, 2))  # the newest counts
    await loading
    await until(lambda: members(office) == {"192.0.2.1", "192.0.2.2"})
    assert office.desk.roster.snapshot(0.0)["directors"]["lvs1"]["reason"] == ""


async def test_large_tables_are_worked_out_beside_the_loop(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "LARGE", 0)
    apart: list[object] = []
    in_thread = office.desk._in_thread

    async def noted(work, about):  # type: ignore[no-untyped-def]
        apart.append(about)
        return await in_thread(work, about)

    await office.load(data())
    monkeypatch.setattr(office.desk, "_in_thread", noted)
    for number in (1, 2, 3):
        office.desk.on_table("lvs1", listed(*range(1, number + 2)))
    await until(lambda: len(members(office)) == 4)
    assert len(apart) == 1  # those before were outdated when their turn came
    office.desk.on_table("lvs1", "timed out")
    await until(lambda: office.desk.roster.snapshot(0.0)["directors"]["lvs1"]["state"] == "fault")
    assert len(apart) == 2 and len(served(office.desk.roster)) == 4


# -------------------------------------------------------------------- the journal, and what a restart reads


def test_the_journal_has_what_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "WEIGHTS_AT_ONCE", 1)
    one = ReportJournal()
    assert one.news("lvs1", "timed out", 0.0) == {"fault": "timed out"}
    assert one.news("lvs1", "timed out", 2.0) is None
    first = one.news("lvs1", table(server(1, 5), server(2, 5)), 4.0)
    assert first is not None and len(first["rows"]) == 2 and not first["gone"]
    assert one.news("lvs1", table(server(1, 5, active=9), server(2, 5)), 6.0) is None  # connections alone
    assert one.news("lvs1", table(server(1, 4), server(2, 5)), 7.0)  # a weight alone: at once as long as they are few
    assert one.news("lvs1", table(server(1, 6), server(2, 5)), 8.0) is None  # too early
    later = one.news("lvs1", table(server(1, 7), server(2, 5)), 37.2)
    assert later is not None and [row[4:] for row in later["rows"]] == [["up", 7, False]]
    idle = one.news("lvs1", table(server(1, 0), server(2, 5)), 37.4)
    assert idle is not None and len(idle["rows"]) == 1  # weight 0 is a word
    gone = one.news("lvs1", table(server(2, 5)), 38.0)
    assert gone is not None and gone["gone"] == [["203.0.113.10:80", "", "192.0.2.1", 80]] and not gone["rows"]
    assert one.news("lvs1", "timed out", 40.0) and one.news("lvs1", table(server(2, 5)), 42.0)  # it can be read again
    turned = one.news("lvs1", table(server(2, 5), master=True), 44.0)
    assert turned is not None and turned["master"] is True


def test_what_a_restart_reads() -> None:
    kept = {"web": [("a", ("192.0.2.1",), 5), ("b", ("2001:db8::1",), None)]}
    assert members_of(members_text(kept)) == (kept, "") and members_of(None) == ({}, "")


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"web": 7}', '{"web": [[1]]}', '{"web": [["a", ["x"], 1]]}', '{"web": [["a", 7, 1]]}']
)
def test_what_can_t_be_understood_is_said(text: str) -> None:
    found, wrong = members_of(text)
    assert found == {} and "could not be understood" in wrong


def test_odd_weights_are_no_weights() -> None:
    assert members_of('{"web": [["a", ["192.0.2.1"], -5], ["b", [], 1], ["c", ["192.0.2.2"], "x"]]}') == (
        {"web": [("a", ("192.0.2.1",), None), ("c", ("192.0.2.2",), None)]},
        "",
    )
