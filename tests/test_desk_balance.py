"""Where counted answers meet the roster, and how learned corrections outlive the process: desk, store, reports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from link_end import until
from small_roster import WWW
from test_balance import CORRECTED, carried, data
from test_desk import Office

from rrdns.control import reports
from rrdns.control.clock import Clock
from rrdns.control.reports import CORRECTIONS, corrections_of
from rrdns.control.store import NAME, Store
from rrdns.roster.roster import Roster


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    one = Office(tmp_path)
    await one.store.open()
    yield one
    await one.store.close()


async def test_answers_are_told_before_a_reading(office: Office) -> None:
    await office.load(data(CORRECTED))
    office.desk._tally.services[WWW] = 4711
    office.desk.on_table("lvs1", carried(1, 1, 1, totals=(0, 0, 0)))
    meter = office.desk.roster.duties["web"].balance.meter
    await until(lambda: meter.counted == "new")
    assert office.desk.roster.balancing._answers == {"web": 4711}


async def test_corrections_outlive_the_process(office: Office, tmp_path: Path) -> None:
    await office.load(data(CORRECTED))
    meter = office.desk.roster.duties["web"].balance.meter
    meter.correction = replace(meter.correction, factors={"web1": 0.75, "web2": 1.2}, lost={"web3": 1})
    meter.version += 1
    office.desk.on_table("lvs1", carried(1, 1, 1))
    await until(lambda: office.store.meta(CORRECTIONS) is not None)
    assert await office.store.flush(durable=True)
    again = Store(tmp_path / NAME, Clock())
    await again.open()
    kept, wrong = corrections_of(again.meta(reports.CORRECTIONS))
    await again.close()
    assert not wrong
    roster = Roster()
    roster.balancing.restore(kept)
    roster.load(data(CORRECTED), 1.0)
    restored = roster.duties["web"].balance.meter
    assert restored.factor("web1") == 0.75 and restored.factor("web2") == 1.2
    assert restored.correction.lost == {"web3": 1}
    firsts = [slot[0] for slot in roster.ring_members(WWW + b"\0\1")]
    assert firsts.count("web1") / len(firsts) == pytest.approx(0.75 / 2.95, abs=0.01)


@pytest.mark.parametrize("text", ["{", "[]", '{"web": 3}', '{"web": {"factors": {"a": "x"}}}', "null", '{"web": [1]}'])
def test_a_damaged_row_is_told_and_left_out(text: str) -> None:
    kept, wrong = corrections_of(text)
    assert kept == {} and "could not be understood" in wrong


@pytest.mark.parametrize("factor", [0.0, -1.0, 7.0, 1e300, float("nan"), float("inf")])
def test_a_factor_that_can_t_be_is_left_out(factor: float) -> None:
    roster = Roster()
    roster.balancing.restore({"web": {"factors": {"web1": factor}, "lost": {"web2": factor}}, "gone": {}})
    roster.load(data(CORRECTED), 1.0)
    assert roster.duties["web"].balance.meter.factor("web1") == 1.0
