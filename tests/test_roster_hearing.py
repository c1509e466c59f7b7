"""roster: directors as witnesses of our own path, and how the guard against self-isolation goes by them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from small_following import LVS, server, table
from small_roster import CHECK, GOOD, served
from test_roster_directors import JUDGED, data, state

from rrdns import isolation
from rrdns.control.reports import ReportJournal
from rrdns.directors.vrrp import table as vrrp_table
from rrdns.model import Director, DirectorTable, Member, Result, Unheard
from rrdns.recorded import Tables
from rrdns.roster.feed import far
from rrdns.roster.roster import Roster

FAR = replace(LVS, url="http://10.9.0.1:9100/metrics")
RACKS = replace(JUDGED, members=tuple(Member(f"web{n}", (f"192.0.{n}.1",)) for n in range(1, 7)))
SILENT = Result(False, "timed out after 2s", 2.0, silent=True)


def in_racks(director: Director = FAR) -> Roster:
    one = Roster(isolation_hold=60.0)
    one.load(data(RACKS, director), 1.0)
    one.report("lvs1", table(*[server(f"192.0.{n}.1") for n in range(1, 7)]), 2.0)
    for key in sorted(one.targets()):
        one.observe(key, GOOD, 2.0)
    return one


def silence(one: Roster, now: float, count: int = 6) -> None:
    for number in range(1, count + 1):
        one.observe(CHECK.key(f"192.0.{number}.1"), SILENT, now)


def held(one: Roster, now: float) -> bool:
    return bool(one.snapshot(now)["isolation"]["held"])


def test_a_director_that_is_heard_says_it_is_not_us() -> None:
    one = in_racks()
    silence(one, 10.0, 3)
    one.report("lvs1", "HTTP 503", 10.5)  # any answer will do
    silence(one, 11.0, 4)
    assert not held(one, 11.0)
    one.report("lvs1", Unheard("no answer in 2s"), 12.0)
    assert not held(one, 12.0)  # most of the silent were so before it was heard
    silence(one, 12.5)
    assert held(one, 12.5)


def test_a_director_that_falls_silent_too_lets_it_hold_and_ends_it() -> None:
    one = in_racks()
    one.report("lvs1", Unheard("no answer in 2s"), 10.0)
    silence(one, 10.5)
    assert held(one, 10.5) and "and so did 1 director" in one.snapshot(10.5)["isolation"]["why"]
    for turn in range(3):
        silence(one, 11.0 + turn)
    assert served(one) == {f"web{n}" for n in range(1, 7)}
    one.report("lvs1", table(*[server(f"192.0.{n}.1") for n in range(1, 7)]), 20.0)
    end = one.next_deadline()
    assert end is not None and 20.0 < end < 30.0
    silence(one, 21.0)
    one.advance(end)
    assert not held(one, end) and state(one, end)["state"] == "down"


def test_only_those_far_from_here_have_a_say() -> None:
    for near in (LVS, replace(LVS, url="http://127.0.0.1:9100/metrics"), replace(LVS, socket="/run/x", type="haproxy")):
        one = in_racks(near)
        one.report("lvs1", table(*[server(f"192.0.{n}.1") for n in range(1, 7)]), 10.5)
        silence(one, 10.0)
        assert held(one, 10.5), near


def test_the_journal_keeps_that_it_was_silence() -> None:
    """Or a replay would not see what the guard went by. The instances of a keepalived are kept as rows."""
    journal, tables = ReportJournal(), Tables()
    row = journal.news("lvs1", Unheard("no answer in 2s"), 1.0)
    assert row is not None and isinstance(tables.take("lvs1", json.loads(json.dumps(row))), Unheard)
    row = journal.news("lvs1", "HTTP 503", 2.0)
    assert row is not None and not isinstance(tables.take("lvs1", row), Unheard)
    row = journal.news("ka1", vrrp_table({"VI_1": "MASTER", "VI_2": "BACKUP"}), 3.0)
    again = tables.take("ka1", json.loads(json.dumps(row)))
    assert isinstance(again, DirectorTable) and again.master is None
    assert [again.parts[name][0].word for name in ("VI_1", "VI_2")] == ["up", "down"]


@pytest.mark.parametrize(
    ("director", "place"),
    [
        (FAR, "10.9.0.0/24"),
        (replace(LVS, url="https://[2001:db8::5]:9100/metrics"), "2001:db8::/64"),
        (replace(LVS, url="http://lb1.example.net/metrics"), "lb1.example.net"),
        (replace(LVS, socket="10.0.0.5:9999"), "10.0.0.0/24"),
        (replace(LVS, socket="[2001:db8::5]:4330"), "2001:db8::/64"),
        (replace(LVS, socket="10.0.0.5"), "10.0.0.0/24"),
        (replace(LVS, socket="lb1"), "lb1"),
        (replace(LVS, socket="[::1]:4330"), ""),
        (replace(LVS, socket="localhost:4330"), ""),
        (replace(LVS, socket="netlink"), ""),
        (replace(LVS, socket="/run/haproxy.sock"), ""),
        (replace(LVS, path="/proc/net/ip_vs"), ""),
        (replace(LVS, command=("ssh", "lb1")), ""),
        (LVS, ""),
    ],
)
def test_where_a_director_is(director: Director, place: str) -> None:
    assert far(director) == place


def test_while_a_director_excuses_us_nobody_is_judged_at_each_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judging looks at all targets: it may not be done for each of thousands."""
    one, judged = in_racks(), []
    judge = isolation.judge
    monkeypatch.setattr(isolation, "judge", lambda *said: judged.append(said) or judge(*said))
    silence(one, 10.0, 3)
    one.report("lvs1", "HTTP 503", 10.5)
    silence(one, 11.0)
    silence(one, 11.5)
    assert len(judged) <= 3 and not held(one, 12.0)
