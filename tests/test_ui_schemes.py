"""What people read of failover schemes: from a roster's snapshot to the words of `status` and `explain`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_roster import started
from test_roster_schemes import ROTATING, SIMPLE, WWW, data, pool, result

from rrdns import wire
from rrdns.model import Failover
from rrdns.ui import explain, present, schemes
from rrdns.ui.console import Line


def text(lines: list[Line]) -> str:
    return "\n".join(str(line) for line in lines)


def test_who_holds_and_who_waits() -> None:
    one = started(ROTATING)
    result(one, 1, False, 2.0)
    result(one, 1, True, 3.0)
    assert schemes.phrase(one.snapshot(4.0)["pools"]["web"]) == "rotating-standby: holder w2; queue w3, w1"


def test_who_helps_out_and_until_when() -> None:
    one = started(SIMPLE)
    assert schemes.phrase(one.snapshot(2.0)["pools"]["web"]) == "simple-failover: backup reports"
    for at in (1, 2):
        result(one, at, False, 2.0)
    result(one, 1, True, 10.0)
    pools = one.snapshot(15.0)["pools"]
    assert schemes.phrase(pools["web"]) == "simple-failover: served by reports (backup); hosts return in 25s"
    assert schemes.phrase(pools["reports"]) == "r1, r2 shed to web"
    rows = {row.pool: row for row in present.services({"pools": pools, "services": one.snapshot(15.0)["services"]})}
    assert rows["web"].serving == (("reports/r1", 0.5), ("reports/r2", 0.5))
    told = text(list(explain.page(one.explain(WWW, wire.A, 15.0), 100)))
    assert "served by reports (backup)" in told and "reports/r1  serves: lent, 50% of the pool: 192.0.2.11" in told


@pytest.mark.parametrize("failback, words", [(None, "wait for rrdns failback"), (30.0, "hosts return in")])
def test_tiers(failback: float | None, words: str) -> None:
    web = pool("web", "w", 2, 0, failover=Failover("idle-standby", failback))
    members = tuple(replace(one, priority=at) for at, one in enumerate(web.members, start=1))
    one = started(data(replace(web, members=members)))
    assert schemes.phrase(one.snapshot(2.0)["pools"]["web"]) == "idle-standby: tier 1 serves"
    result(one, 1, False, 2.0)
    result(one, 1, True, 3.0)
    told = schemes.phrase(one.snapshot(4.0)["pools"]["web"])
    assert told.startswith("idle-standby: tier 2 serves; ") and words in told


def test_a_pool_without_any_of_it_says_nothing() -> None:
    assert schemes.phrase(started().snapshot(2.0)["pools"]["web"]) == "" and schemes.phrase({}) == ""
