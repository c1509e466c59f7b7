"""Failover schemes in the roster: pools decided together, what is probed, kept, told, and how long answers live."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_roster import APEX, BAD, GOOD, name, started, told, ttl, zone

from rrdns import wire
from rrdns.answers import key
from rrdns.control.standings import standings_of, standings_text
from rrdns.model import Check, DataSet, Failover, HttpProbe, Member, Override, Pool, Result, Service, Standing, WhenDown
from rrdns.roster.roster import Roster, UnknownPool

OTHER = Check("other", "http", 8080, HttpProbe(), interval=5.0, fall=1, rise=1)
ONE = Check("one", "http", 80, HttpProbe(), interval=5.0, fall=1, rise=1)
WWW, REP = name("www.lb.example.com."), name("rep.lb.example.com.")
WWW_A, REP_A = key(WWW, wire.A), key(REP, wire.A)


def pool(called: str, letter: str, count: int, base: int, **more: object) -> Pool:
    members = tuple(Member(f"{letter}{at}", (f"192.0.2.{base + at}",)) for at in range(1, count + 1))
    return Pool(called, members, **{"checks": ("one",), **more})  # type: ignore[arg-type]


def data(web: Pool, reports: Pool | None = None) -> DataSet:
    services = [Service(WWW, APEX, "web", 20, 5)]
    pools = {"web": web}
    if reports is not None:
        services.append(Service(REP, APEX, "reports", 20, 5))
        pools["reports"] = reports
    return DataSet({APEX: zone(*services)}, pools, {"one": ONE, "other": OTHER})


def served(one: Roster, place: bytes = WWW_A) -> set[str]:
    return {member for slot in one.ring_members(place) for member in slot}


def result(one: Roster, number: int, good: bool, now: float, check: Check = ONE) -> list[str]:
    return told(one.observe(check.key(f"192.0.2.{number}"), GOOD if good else BAD, now).events)


SIMPLE = data(
    pool("web", "w", 2, 0, failover=Failover("simple-failover", 30.0, backup="reports")),
    pool("reports", "r", 2, 10, checks=("other",), when_down=WhenDown("empty")),
)


def test_borrowed_hosts_are_probed_all_the_time_with_the_borrowers_check() -> None:
    one = started(SIMPLE)
    assert {ONE.key(f"192.0.2.{at}") for at in (1, 2, 11, 12)} | {OTHER.key(f"192.0.2.{at}") for at in (11, 12)} == set(
        one.targets()
    )
    result(one, 11, False, 2.0)  # it has no web server
    assert served(one, REP_A) == {"r1", "r2"}, "its own check goes on well"
    result(one, 1, False, 3.0)
    result(one, 2, False, 3.0)
    assert served(one) == {"reports/r2"} and served(one, REP_A) == {"r1"}, "only who passes is lent"


def test_the_step_is_told_with_its_cause() -> None:
    one = started(SIMPLE)
    result(one, 1, False, 2.0)
    events = result(one, 2, False, 3.0)
    assert [line.partition(": ")[0] for line in events] == [
        "target one@192.0.2.2",
        "pool reports",
        "member web/w2",
        "pool web",
        "failover reports",
        "failover web",
    ]
    assert events[-2].startswith("failover reports: serves its own -> r1, r2 shed to web: web/w2 down: HTTP 503")
    assert events[-1].startswith(
        "failover web: served by its own -> served by reports: w2 down: HTTP 503; backup reports serves"
    )


def test_failback_shortens_the_ttl_and_comes_by_a_deadline() -> None:
    one = started(SIMPLE)
    for at in (1, 2):
        result(one, at, False, 2.0)
    result(one, 1, True, 10.0)
    assert served(one) == {"reports/r1", "reports/r2"} and ttl(one) == 20
    assert one.next_deadline() == 20.0, "20 s before the return"
    one.advance(20.0)
    assert ttl(one) == 5 and "return in 20 s" in one.ttls[WWW][1]
    assert one.next_deadline() == 40.0
    events = told(one.advance(40.0).events)
    assert served(one) == {"w1"} and served(one, REP_A) == {"r1", "r2"} and ttl(one) == 20
    back = next(line for line in events if line.startswith("failover"))
    assert back.startswith("failover reports: r1, r2 shed to web -> serves its own")
    assert one.next_deadline() is None


def test_by_hand_and_who_says_so() -> None:
    web = replace(SIMPLE.pools["web"], failover=Failover("simple-failover", None, backup="reports"))
    one = started(replace(SIMPLE, pools={**SIMPLE.pools, "web": web}))
    with pytest.raises(UnknownPool, match="nothing waits to return to pool web"):
        one.failback("web", 1.5, "ann")
    for at in (1, 2):
        result(one, at, False, 2.0)
    result(one, 1, True, 10.0)
    one.advance(1e6)
    assert served(one) == {"reports/r1", "reports/r2"}
    events = told(one.failback("web", 1e6 + 1, "ann", "disk replaced").events)
    assert served(one) == {"w1"}
    assert "failover web: served by reports -> served by its own: called back by ann: disk replaced" in events[-1]
    with pytest.raises(UnknownPool, match="no pool 'wbe'"):
        one.failback("wbe", 1.0)


ROTATING = data(pool("web", "w", 3, 0, failover=Failover("rotating-standby")))


def test_holder_and_queue_outlive_reload_and_restart() -> None:
    one = started(ROTATING)
    assert served(one) == {"w1"}
    assert any("holder w1 -> holder w2" in line for line in result(one, 1, False, 2.0))
    result(one, 1, True, 3.0)
    four = pool("web", "w", 4, 0, failover=Failover("rotating-standby"))
    one.load(data(four), 4.0)
    result(one, 4, True, 4.5)
    assert one.standings["web"] == Standing(holders=("w2",), queue=("w3", "w1", "w4"), former=("w2",))
    kept, wrong = standings_of(standings_text(one.standings))
    assert kept == one.standings and not wrong
    again = Roster()
    again.restore({}, (), standings=kept)
    again.load(data(four), 1.0)
    assert served(again) == {"w2"}, "nothing is known, and it keeps its place"
    for at in (1, 3, 4, 2):
        result(again, at, True, 2.0)
    assert again.standings == one.standings


@pytest.mark.parametrize(
    "text", ["[", "[1]", '{"web": 1}', '{"web": {"tier": -1}}', '{"web": {"tier": null, "holders": "w"}}']
)
def test_standings_that_make_no_sense_are_told_and_left(text: str) -> None:
    assert standings_of(text)[0] == {} and "begin anew" in standings_of(text)[1]


def test_another_scheme_begins_anew() -> None:
    one = started(ROTATING)
    result(one, 1, False, 2.0)
    result(one, 1, True, 3.0)
    one.load(data(pool("web", "w", 3, 0, failover=Failover("idle-standby"))), 4.0)
    assert served(one) == {"w1", "w2", "w3"}
    one.load(ROTATING, 5.0)
    assert served(one) == {"w1"}


def test_the_start_chooses_nobody_by_chance() -> None:
    """The standby's probe comes back first: the primary serves all the same, without waiting for failback."""
    tiers = tuple(Member(f"w{at}", (f"192.0.2.{at}",), priority=at) for at in (1, 2))
    for scheme in ("idle-standby", "rotating-standby"):
        one = Roster()
        one.load(data(Pool("web", tiers, ("one",), failover=Failover(scheme))), 1.0)
        result(one, 2, True, 1.1)
        result(one, 1, True, 1.2)
        assert served(one) == {"w1"}, scheme


def test_a_standby_that_fails_is_no_reason_for_a_short_ttl() -> None:
    slow = replace(ONE, fall=3)
    tiers = tuple(Member(f"w{at}", (f"192.0.2.{at}",), priority=at) for at in (1, 2))
    one = started(replace(data(Pool("web", tiers, ("one",), failover=Failover("idle-standby"))), checks={"one": slow}))
    one.observe(slow.key("192.0.2.2"), BAD, 2.0)
    assert ttl(one) == 20
    one.observe(slow.key("192.0.2.1"), BAD, 2.0)
    assert ttl(one) == 5


def test_a_borrowed_host_that_fails_shortens_the_ttl_of_who_borrows() -> None:
    slow = replace(ONE, fall=3)
    one = started(replace(SIMPLE, checks={"one": slow, "other": OTHER}))
    for at in (1, 2):
        for _ in range(3):
            one.observe(slow.key(f"192.0.2.{at}"), BAD, 2.0)
    assert served(one) == {"reports/r1", "reports/r2"} and ttl(one) == 20
    one.observe(slow.key("192.0.2.11"), BAD, 3.0)
    assert ttl(one) == 5 and one.ttls[WWW][1] == "reports/r1 may go down (1 of 3 failures: HTTP 503)"


def test_an_agent_of_the_borrowers_check_can_refuse() -> None:
    one = started(SIMPLE)
    for at in (1, 2):
        result(one, at, False, 2.0)
    one.observe(ONE.key("192.0.2.11"), Result(True, "agent", word="drain"), 3.0)
    assert served(one) == {"reports/r2"} and served(one, REP_A) == {"r1"}


def test_what_people_see() -> None:
    one = started(SIMPLE)
    for at in (1, 2):
        result(one, at, False, 2.0)
    result(one, 1, True, 10.0)
    pools = one.snapshot(15.0)["pools"]
    web, reports = pools["web"], pools["reports"]
    assert (web["scheme"], web["from_pool"], web["how"], web["due"]) == ("simple-failover", "reports", "backup", 25.0)
    assert web["serving"] == ["reports/r1", "reports/r2"] and web["waits"]
    assert web["borrowed"]["reports/r1"] == {"addresses": ["192.0.2.11"], "share": 0.5}
    assert reports["shed"] == ["r1", "r2"] and reports["to_pools"] == ["web"]
    told_why = one.explain(REP, wire.A, 15.0)["pool"]["members"]["r1"]["serves_why"]
    assert told_why == "shed: it serves web instead"


def test_what_an_operator_would_do_is_judged_with_those_who_would_help() -> None:
    one = started(SIMPLE)
    ops = [Override("web", f"w{at}", "drain", "root", "", 0.0) for at in (1, 2)]
    (look,) = one.outlook(ops)
    assert {each.name for each in look.after.serving} == {"reports/r1", "reports/r2"}


def test_a_hold_stops_returns() -> None:
    one = started(SIMPLE)
    for at in (1, 2):
        result(one, at, False, 2.0)
    result(one, 1, True, 10.0)
    one.override(Override("web", "", "hold", "root", "", 0.0), 11.0)
    one.advance(100.0)
    assert served(one) == {"reports/r1", "reports/r2"} and served(one, REP_A) == set()
    one.override(Override("web", "", "release", "root", "", 0.0), 101.0)
    one.advance(102.0)
    assert served(one) == {"w1"} and served(one, REP_A) == {"r1", "r2"}


def test_failback_is_an_operators_word_that_a_hold_does_not_stop() -> None:
    one = started(SIMPLE)
    for at in (1, 2):
        result(one, at, False, 2.0)
    result(one, 1, True, 10.0)
    one.override(Override("", "", "hold", "root", "", 0.0), 11.0)
    one.failback("web", 12.0, "root")
    assert served(one) == {"w1"} and served(one, REP_A) == {"r1", "r2"}


def test_a_reload_that_takes_the_lender_away() -> None:
    one = started(SIMPLE)
    for at in (1, 2):
        result(one, at, False, 2.0)
    one.load(data(pool("web", "w", 2, 0)), 3.0)
    assert served(one) == {"w1", "w2"}  # when_down: all
    assert set(one.targets()) == {ONE.key(f"192.0.2.{at}") for at in (1, 2)}
