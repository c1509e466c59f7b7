"""`before_promote`: who is answered before and after its command has succeeded, each line of the truth table of
`fencing.py`, through the roster and in pretend time: one pool, and several as one step."""

from __future__ import annotations

from dataclasses import replace

import pytest
from promotion_story import DB, DB_A, FENCE, REP_A, TIERS, TURNS, Story, both, data, members
from small_roster import APEX, ttl

from rrdns import fencing, wire
from rrdns.model import Failover, Fence, Pool, Service, WhenDown
from rrdns.roster.promoting import PAUSES
from rrdns.ui import budget

# ------------------------------------------------------------------ one pool


def test_nobody_takes_over_before_the_command_has_succeeded() -> None:
    one = Story(TIERS)
    assert one.serves() == "d1" and not one.runs(), "the first holder has nobody to be fenced"
    assert one.down(1) == ["db: none -> pending: /sbin/fence runs first (failover: d1 -> d2)"]
    assert one.serves() == "d1" and one.runs() == [("failover", "d1", "d2")]
    (promotion,) = one.one.promotions
    assert (promotion.leaving_addresses, promotion.coming_addresses) == (("192.0.2.1",), ("192.0.2.2",))
    assert ttl(one.one, DB_A) == 5, "it may change at any moment"
    assert one.ends() == ["db: pending -> done: /sbin/fence exited 0"]
    assert one.serves() == "d2" and not one.runs() and ttl(one.one, DB_A) == 20


def test_a_failure_blocks_it_and_is_tried_again_with_pauses() -> None:
    one = Story(TIERS)
    one.down(1)
    blocked = "promotion of d2 blocked: /sbin/fence exited 1: no route"
    assert one.ends(ok=False) == [f"db: pending -> blocked: {blocked}; trying again in 10 s"]
    assert one.serves() == "d1" and not one.runs() and one.one.next_deadline() == pytest.approx(one.now + 10)
    selection = one.one.duties["db"].selection
    assert selection.state == "down" and selection.why == f"{blocked}: 1 of 2 members up, 1 down"
    seen = []
    for _ in range(6):
        begun = one.now
        while not one.runs():
            assert one.passes(1.0) == []
        seen.append(round(one.now - begun))
        assert one.serves() == "d1"
        assert one.ends(ok=False) == [], "the same failure is told once"
    assert seen == [10, 20, 40, 60, 60, 60] and seen[:4] == list(PAUSES)
    one.passes(60.0)
    assert one.ends(ok=False, said="another") == [
        "db: blocked -> blocked: promotion of d2 blocked: another; trying again in 60 s"
    ]
    one.passes(60.0)
    assert one.ends() == ["db: blocked -> done: /sbin/fence exited 0"]
    assert one.serves() == "d2"


def test_what_is_not_wanted_any_more_is_abandoned_and_a_late_word_of_it_is_let_pass() -> None:
    one = Story(TIERS)
    one.down(1)
    (late,) = one.one.promotions
    assert one.up(1) == ["db: pending -> abandoned: 2 of 2 members up"]
    assert one.serves() == "d1" and not one.runs()
    assert not one.one.promoted("db", late.ident, True, "exit 0", one.now) and one.serves() == "d1"
    one.down(1)
    (again,) = one.one.promotions
    assert again.ident != late.ident
    assert not one.one.promoted("db", late.ident, True, "exit 0", one.now)
    assert one.serves() == "d1", "what was fenced then may be at work again"
    one.ends()
    assert one.serves() == "d2"


def test_failback_is_a_promotion_as_well() -> None:
    one = Story(TIERS)
    one.down(1)
    one.ends()
    one.up(1)
    assert one.serves() == "d2" and not one.runs()
    assert one.passes(30.0) == ["db: none -> pending: /sbin/fence runs first (failback: d2 -> d1)"]
    assert one.serves() == "d2" and one.one.duties["db"].selection.state == "ok"
    one.ends(ok=False)
    assert one.serves() == "d2"
    one.down(1)
    assert one.serves() == "d2" and "db" not in one.one.company.promotions.waits
    one.up(1)
    one.passes(30.0)
    assert one.runs() == [("failback", "d2", "d1")] and one.serves() == "d2"
    one.ends()
    assert one.serves() == "d1"


def test_both_down_and_the_other_one_back_first() -> None:
    one = Story(TIERS)
    one.down(1, 2)
    assert one.serves() == "d1" and not one.runs(), "when_down: all, among who is entitled; nobody is up to promote"
    one.up(2)
    assert one.serves() == "d1" and one.runs() == [("failover", "d1", "d2")]
    one.down(2)
    assert one.serves() == "d1" and not one.runs()
    one.up(1)
    assert one.serves() == "d1" and not one.runs()


def test_when_down_has_no_say_while_it_waits() -> None:
    empty = data(1, 2, failover=Failover("idle-standby", 30.0), when_down=WhenDown("empty"))
    one = Story(empty)
    one.down(1)
    assert one.serves() == "d1"
    one.down(2)
    assert one.serves() == "", "nobody waits: it is for when_down to say"
    one.up(2)
    assert one.serves() == "", "who was answered last stays, and that was nobody"
    one.ends()
    assert one.serves() == "d2"


def test_within_the_tier_on_duty_nobody_is_promoted() -> None:
    one = Story(data(1, 1, 2, failover=Failover("idle-standby", 30.0), quorum=1))
    one.down(1)
    assert one.serves() == "d2"
    one.up(1)
    assert one.serves() == "d1 d2" and not one.runs()
    one.down(1, 2)
    assert one.serves() == "d2" and one.runs() == [("failover", "d1 d2", "d3")]
    one.up(1)
    assert one.serves() == "d1" and not one.runs()


def test_several_on_duty_one_of_whom_is_well() -> None:
    files = data(1, 1, 2, 2, failover=Failover("idle-standby", 30.0), quorum=2)
    one = Story(files)
    one.down(1)
    assert one.runs() == [("failover", "d1 d2", "d3 d4")] and one.serves() == "d2", "who is well goes on"
    one.down(2)
    assert one.serves() == "d2" and one.runs() == [("failover", "d1 d2", "d3 d4")]
    one.ends()
    assert one.serves() == "d3 d4"


def test_a_place_in_the_rotation() -> None:
    one = Story(TURNS)
    one.down(1)
    assert one.serves() == "d1" and one.runs() == [("failover", "d1", "d2")]
    assert one.one.standings["db"].holders == ("d1",), "it has its place until another one is given it"
    (first,) = one.one.promotions
    assert one.down(2) == ["db: pending -> pending: /sbin/fence runs first (failover: d1 -> d3)"]
    assert one.one.promotions[0].ident != first.ident, "another promotion: it is run anew"
    one.ends()
    assert one.serves() == "d3"
    one.up(1, 2)
    assert one.serves() == "d3" and not one.runs()


def test_two_hold_and_only_who_leaves_is_named() -> None:
    one = Story(data(1, 1, 1, failover=Failover("rotating-standby", active=2)))
    assert one.serves() == "d1 d2"
    one.down(1)
    assert one.serves() == "d2" and one.runs() == [("failover", "d1", "d3")]
    one.ends()
    assert one.serves() == "d2 d3"


# ------------------------------------------------------------------ several pools


def test_a_backup_sheds_nobody_before_it_serves() -> None:
    one = Story(both(Failover("simple-failover", 30.0, backup="rep"), when_down=WhenDown("empty")))
    one.down(1, 2)
    assert one.runs() == [("failover", "d1 d2", "rep/r1 rep/r2")]
    assert one.serves() == "d2" and one.serves(REP_A) == "r1 r2"
    one.ends(ok=False)
    one.down(11)
    assert one.serves() == "d2" and one.serves(REP_A) == "r2", "the other pool has its own life"
    one.up(11)
    one.passes(60.0)
    one.ends()
    assert one.serves() == "rep/r1 rep/r2" and one.serves(REP_A) == ""
    one.up(1, 2)
    one.passes(31.0)
    assert one.runs() == [("failback", "rep/r1 rep/r2", "d1 d2")] and one.serves(REP_A) == ""
    one.down(11)
    assert one.serves() == "rep/r2", "who is entitled comes and goes as ever"
    one.ends()
    assert one.serves() == "d1 d2" and one.serves(REP_A) == "r2"


def test_a_partner_joins_after_it() -> None:
    partner = Failover("mutual-takeover", 30.0, partner="db")
    one = Story(both(Failover("mutual-takeover", 30.0, partner="rep"), failover=partner))
    one.down(1, 2)
    assert one.serves() == "d2" and one.runs() == [("failover", "d1 d2", "rep/r1 rep/r2")]
    one.ends()
    assert one.serves() == "rep/r1 rep/r2" and one.serves(REP_A) == "r1 r2"
    one.down(11, 12)
    assert not one.runs()


def test_a_backup_with_a_command_of_its_own() -> None:
    files = both(
        Failover("simple-failover", 0.0, backup="rep"),
        failover=Failover("rotating-standby"),
        before_promote=FENCE,
        when_down=WhenDown("empty"),
    )
    one = Story(files)
    assert one.serves() == "d1 d2" and one.serves(REP_A) == "r1"
    one.down(11)
    assert one.serves(REP_A) == "r1" and one.runs() == [("failover", "r1", "r2")]
    one.down(1, 2)
    assert one.serves() == "d2" and one.serves(REP_A) == "r1"
    assert one.runs() == [("failover", "d1 d2", "rep/r2")], "who shall serve db takes no place at rep"
    one.ends()
    assert one.serves() == "rep/r2" and one.serves(REP_A) == ""


def test_a_chain_waits_link_by_link() -> None:
    """`db` falls back on `rep`, which promotes by itself: the one may be through and has to wait for the other."""
    files = data(
        1, fallback="rep",
        reports=Pool("rep", members("r", 1, 2, base=10), ("one",), failover=Failover("idle-standby"),
                     before_promote=FENCE),
    )  # fmt: skip
    one = Story(files)
    one.down(1, 11)
    runs = {each.pool: each for each in one.one.promotions}
    assert runs["db"].coming == ("rep/r2",) and runs["rep"].coming == ("r2",)
    assert one.serves() == "d1" and one.serves(REP_A) == "r1"
    assert not one.of_promotions(one.one.promoted("db", runs["db"].ident, True, "exit 0", one.now).events)
    assert one.serves() == "d1", "r2 does not serve there yet"
    assert one.one.snapshot(one.now)["pools"]["db"]["why"].startswith("promotion of rep/r2 pending: waits for another")
    one.one.promoted("rep", runs["rep"].ident, True, "exit 0", one.now)
    assert one.serves() == "rep/r2" and one.serves(REP_A) == "r2"


def test_roles() -> None:
    files = both(Failover("simple-failover", 0.0, backup="rep"), failover=Failover("idle-standby"))
    found = fencing.roles(files.pools["db"], files.pools)
    assert found == {"d1": "db", "d2": "db", "rep/r1": "rep tier 1", "rep/r2": "rep tier 1"}
    assert fencing.roles(TURNS.pools["db"], TURNS.pools) == {one: f"db/{one}" for one in ("d1", "d2", "d3")}


def test_status_tells_it() -> None:
    one = Story(TIERS)
    assert one.one.snapshot(one.now)["pools"]["db"]["promotion"] is None
    one.down(1)
    one.ends(ok=False)
    found = one.one.snapshot(one.now + 3)["pools"]["db"]["promotion"]
    assert found == {
        "state": "blocked", "reason": "failover", "leaving": ["d1"], "coming": ["d2"], "command": "/sbin/fence now",
        "why": "/sbin/fence exited 1: no route", "since": 4.0, "tries": 1, "again": 7.0,
    }  # fmt: skip
    told = one.one.explain(DB, wire.A, one.now)
    assert told["pool"]["members"]["d2"]["serves_why"].startswith("is not promoted yet: promotion of d2 blocked")
    assert told["pool"]["members"]["d1"]["serves_why"] == fencing.STAYS


def test_the_budget_counts_the_command_at_its_longest() -> None:
    plain = replace(TIERS, pools={"db": replace(TIERS.pools["db"], before_promote=None)})
    service = Service(DB, APEX, "db", 20, 5, budget=30.0)
    short, long = (budget.of(service, one.pools["db"], one.checks) for one in (plain, TIERS))
    assert short and long and long.gone == pytest.approx(short.gone + 10.0)
    promises = [budget.promise(service, one.pools["db"], one) for one in (plain, TIERS)]
    assert [one.kept for one in promises if one] == [True, True]
    slow = replace(TIERS.pools["db"], before_promote=Fence(("/sbin/fence",), 20.0))
    found = budget.promise(service, slow, replace(TIERS, pools={"db": slow}))
    assert found and not found.kept and "this would fit" in found.remedy
    hopeless = replace(slow, before_promote=Fence(("/sbin/fence",), 60.0))
    found = budget.promise(service, hopeless, replace(TIERS, pools={"db": hopeless}))
    assert found and "no numbers fit" in found.remedy
