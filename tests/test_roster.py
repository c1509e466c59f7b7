"""roster: results, operators, families, when nobody is up, and what time does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_roster import (
    APEX,
    BAD,
    BOTH,
    CHECK,
    GOOD,
    VOID,
    WWW,
    WWW_A,
    WWW_AAAA,
    dataset,
    fail,
    members,
    name,
    override,
    served,
    started,
    target,
    told,
    ttl,
    zone,
)

from rrdns import health, wire
from rrdns.model import Check, DataSet, Event, HttpProbe, Override, Pool, RRset, Service, State, WhenDown
from rrdns.roster import roster as roster_module
from rrdns.roster.roster import NOTHING, Roster, UnknownMember

# -------------------------------------------------------------------- the first round


def test_first_round() -> None:
    one = Roster()
    assert not one.settled(0.0)
    first = one.load(dataset(), 1.0)
    assert first.events == () and first.changes.sets.keys() >= {WWW_A}
    assert not one.settled(1.0)
    assert one.snapshot(1.0)["pools"]["web"]["state"] == "unknown"
    assert ttl(one) == 5  # they are being judged
    assert told(one.observe(target(1), GOOD, 2.0).events) == [
        "target web@192.0.2.1: unknown -> up: HTTP 200",
        "member web/web1: unknown -> up: HTTP 200",
        "pool web: unknown -> ok: 1 of 3 members up, 2 unknown",
    ]
    assert served(one) == {"web1"}
    fail(one, 2, 2.0)
    assert not one.settled(4.0)
    one.observe(target(3), GOOD, 4.0)
    assert one.settled(4.0) and served(one) == {"web1", "web3"} and ttl(one) == 20


def test_start_wait_ends_the_waiting() -> None:
    one = Roster(start_wait=5.0)
    one.load(dataset(), 10.0)
    assert not one.settled(14.9) and one.settled(15.0)


def test_a_pool_without_checks_is_up_and_settled() -> None:
    one = Roster()
    one.load(dataset(checks=()), 1.0)
    assert one.settled(1.0) and not one.targets() and served(one) == {"web1", "web2", "web3"}
    assert one.snapshot(1.0)["pools"]["web"]["members"]["web1"]["why"] == "no check"


# -------------------------------------------------------------------- results


def test_a_dead_host_leaves_and_comes_back() -> None:
    one = started()
    assert ttl(one) == 20
    first = one.observe(target(2), BAD, 10.0)
    assert not first.events and first.changes.sets.keys() == {WWW_A} and ttl(one) == 5
    assert one.observe(target(2), BAD, 11.0) is NOTHING
    assert one.snapshot(11.5)["services"]["www.lb.example.com."]["ttl_why"] == (
        "web2 may go down (2 of 3 failures: HTTP 503)"
    )
    gone = one.observe(target(2), BAD, 12.0)
    assert told(gone.events) == [
        "target web@192.0.2.2: up -> down: HTTP 503",
        "member web/web2: up -> down: HTTP 503",
    ]
    assert served(one) == {"web1", "web3"} and ttl(one) == 20
    assert one.observe(target(2), GOOD, 17.0) is NOTHING
    one.observe(target(2), GOOD, 22.0)
    assert ttl(one) == 5  # it is about to enter
    assert "about to return (2 of 3" in one.snapshot(22.0)["services"]["www.lb.example.com."]["ttl_why"]
    back = one.observe(target(2), GOOD, 27.0)
    assert [event.after for event in back.events] == ["up", "up"]
    assert served(one) == {"web1", "web2", "web3"} and ttl(one) == 20


def test_void_and_strange_results_change_nothing() -> None:
    one = started()
    before = one.health(target(1))
    assert one.observe(target(1), VOID, 50.0) is NOTHING and one.health(target(1)) is before
    assert one.observe("nobody@192.0.2.99", BAD, 50.0) is NOTHING


def test_why_nothing_is_known_of_a_target_is_told() -> None:
    one = Roster()
    one.load(dataset(), 0.0)
    assert one.observe(target(1), VOID, 1.0) is NOTHING and not one.settled(1.0)
    assert one.health(target(1)) == replace(health.start(CHECK), reason=VOID.reason)
    one.observe(target(1), GOOD, 2.0)
    assert one.health(target(1)).state is State.UP and one.health(target(1)).reason == GOOD.reason


def test_counters_of_members_outside_the_answer_do_not_shorten_the_ttl() -> None:
    one = started()
    one.override(override("drain", 2), 5.0)
    assert one.observe(target(2), BAD, 10.0) is NOTHING and ttl(one) == 20
    one.override(override("disable", 1), 11.0)
    one.override(override("disable", 3), 11.0)
    assert served(one) == {"web2"} and ttl(one) == 5  # now it is all there is


def test_several_checks_and_shared_targets() -> None:
    tcp = Check("tcp", "tcp", 80, HttpProbe())
    same = replace(CHECK, name="same")  # another name, the same question
    data = dataset()
    pools = {
        "web": replace(data.pools["web"], checks=("web", "tcp")),
        "other": Pool("other", members(2), ("same",)),
    }
    data = DataSet(data.zones, pools, {"web": CHECK, "tcp": tcp, "same": same})
    one = started(data)
    assert len(one.targets()) == 6
    events: list[Event] = []
    for turn in range(3):
        events += one.observe(target(1), BAD, 10.0 + turn).events
    assert [event.name for event in events if event.subject == "member"] == ["other/web1", "web/web1"]
    assert served(one) == {"web2", "web3"}
    for turn in range(3):
        one.observe(target(2, tcp), BAD, 20.0 + turn)
    assert served(one) == {"web3"}
    assert one.snapshot(30.0)["pools"]["other"]["serving"] == ["web2"]


def test_many_results_one_decision() -> None:
    one = started()
    for turn in range(3):
        for number in (1, 2):
            one.note(target(number), BAD, 10.0 + turn)
    decision = one.flush(13.0)
    assert decision.changes.sets.keys() == {WWW_A} and served(one) == {"web3"}
    assert [event.subject for event in decision.events] == ["target", "target", "member", "member"]
    assert one.flush(13.0) is NOTHING


def test_a_big_pool_takes_results_together() -> None:
    size = roster_module.BIG + 1
    one = started(dataset(size))
    one.advance(2.0)
    first = one.observe(target(1), BAD, 10.0)
    second = one.observe(target(2), BAD, 10.01)
    for turn in range(2):
        second = one.observe(target(2), BAD, 10.02 + turn / 100)
    assert first.changes and not second.changes  # the target's event is told at once, its consequence soon
    assert [event.subject for event in second.events] == ["target"]
    due = one.next_deadline()
    assert due == 10.0 + roster_module.GAP
    decision = one.advance(due)
    assert [event.name for event in decision.events] == ["web/web2"] and "web2" not in served(one)
    assert one.next_deadline() is None


# -------------------------------------------------------------------- two families


def test_a_family_with_nothing_up_is_nodata() -> None:
    one = started(dataset(members=BOTH))
    assert served(one, WWW_AAAA) == {"web1", "web2"}
    for number in (1, 2):
        for turn in range(3):
            one.observe(CHECK.key(f"2001:db8::{number}"), BAD, 10.0 + turn)
    assert WWW_AAAA not in one.answers and served(one) == {"web1", "web2"}
    picture = one.snapshot(20.0)
    assert picture["pools"]["web"]["state"] == "degraded"
    assert picture["services"]["www.lb.example.com."]["types"] == ["A"]
    assert picture["pools"]["web"]["members"]["web1"]["why"] == "2001:db8::1 HTTP 503"
    found = one.explain(WWW, wire.AAAA, 20.0)
    assert found["found"] == "pool" and found["reply"]["authority"][0].startswith("lb.example.com. 20 IN SOA")


def test_a_pool_beside_a_dname_keeps_its_short_nodata() -> None:
    data = dataset()
    rewrite = RRset(WWW, wire.DNAME, 300, (name("new.example.com."),))
    zones = {APEX: zone(Service(WWW, APEX, "web", ttl=20), rrsets=(rewrite,))}
    one = started(replace(data, zones=zones))
    nodata = one.answers[WWW_AAAA]
    assert nodata.bodies[0].counts == (0, 1, 0) and not nodata.counted
    assert one.explain(name("x.www.lb.example.com."), wire.A, 2.0)["found"] == "rewrite"


# -------------------------------------------------------------------- when nobody is up


@pytest.mark.parametrize("word", ["all", "last", "empty", "servfail", "addresses"])
def test_when_down(word: str) -> None:
    when_down = WhenDown(word, ("198.51.100.9",) if word == "addresses" else ())
    one = started(dataset(when_down=when_down))
    fail(one, 3, 10.0)
    events = fail(one, 1, 20.0) + fail(one, 2, 30.0)
    assert told(events)[-1].startswith("pool web: ok -> down: nobody is up: 0 of 3 members up, 3 down")
    expected = {
        "all": {"web1", "web2", "web3"},
        "last": {"web2"},
        "empty": set(),
        "servfail": set(),
        "addresses": {"198.51.100.9"},
    }
    assert served(one) == expected[word]
    if word == "servfail":
        assert one.answers[WWW_A].bodies[0].flags & 15 == wire.SERVFAIL
        assert WWW_AAAA not in one.answers  # nobody ever had such an address: NODATA is the truth
    if word == "empty":
        assert WWW_A not in one.answers
    back = [one.observe(target(1), GOOD, 40.0 + 5 * turn) for turn in range(3)][-1]
    assert told(back.events)[-1] == "pool web: down -> ok: 1 of 3 members up, 2 down"
    assert served(one) == {"web1"}


# -------------------------------------------------------------------- operators


def test_drain_disable_enable() -> None:
    one = started()
    assert told(one.override(override("drain", 1), 10.0).events) == [
        "override web/web1: none -> drain: by root: kernel update",
        "member web/web1: up -> drained: drain by root: kernel update",
    ]
    assert served(one) == {"web2", "web3"} and ttl(one) == 20
    assert one.override(override("drain", 1), 11.0) is NOTHING
    fail(one, 2, 20.0)
    fail(one, 3, 30.0)
    assert served(one) == {"web1"}  # drained, but nothing else is up
    one.override(override("disable", 1), 40.0)
    assert served(one) == {"web2", "web3"}  # when_down: all, but never the disabled one
    assert told(one.clear("web", "web1", 50.0, "root", "done").events) == [
        "override web/web1: disable -> none: by root: done",
        "member web/web1: disabled -> up: HTTP 200",
        "pool web: down -> ok: 1 of 3 members up, 2 down",
    ]
    assert one.clear("web", "web1", 51.0) is NOTHING and one.overrides == ()


@pytest.mark.parametrize(("pool", "member"), [("web", "web9"), ("nope", "web1")])
def test_unknown_members_are_named(pool: str, member: str) -> None:
    one = started()
    with pytest.raises(UnknownMember, match="web9" if pool == "web" else "nope"):
        one.override(Override(pool, member, "drain", "root", "", 0.0), 1.0)
    with pytest.raises(UnknownMember):
        one.clear(pool, member, 1.0)


def test_overrides_end_by_themselves_and_the_ttl_shrinks_before() -> None:
    one = started()
    one.override(override("drain", 1, until=100.3), 10.0)
    assert ttl(one) == 20 and one.next_deadline() == 100.3 - 20
    near = one.advance(100.3 - 20)
    assert not near.events and ttl(one) == 5
    picture = one.snapshot(90.0)
    assert picture["services"]["www.lb.example.com."]["ttl_why"] == "drain of web1 ends within 20 s"
    assert picture["overrides"][0]["left"] == pytest.approx(10.3)
    assert one.next_deadline() == 100.3
    over = one.advance(100.3)
    assert told(over.events) == [
        "override web/web1: drain -> none: its time is over",
        "member web/web1: drained -> up: HTTP 200",
    ]
    assert served(one) == {"web1", "web2", "web3"} and ttl(one) == 20
    assert one.next_deadline() is None and one.advance(200.0) is NOTHING


def test_an_end_that_changes_nothing_leaves_the_ttl_alone() -> None:
    one = started()
    fail(one, 1, 10.0)
    one.override(override("drain", 1, until=100.0), 20.0)
    one.advance(90.0)
    assert ttl(one) == 20


def emptied(one: Roster, *members: tuple[str, str]) -> tuple[str, ...]:
    ops = [Override(pool, member, "drain", "root", "", 0.0) for pool, member in members]
    return tuple(look.pool for look in one.outlook(ops) if look.had and not look.has)


def test_who_would_be_the_last_to_go() -> None:
    one = started()
    fail(one, 1, 10.0)
    assert emptied(one, *[("web", "web2")]) == ()
    assert emptied(one, *[("web", "web2"), ("web", "web3")]) == ("web",)
    one.override(override("disable", 3), 20.0)
    assert emptied(one, *[("web", "web2")]) == ("web",)
    fail(one, 2, 30.0)
    assert emptied(one, *[("web", "web2")]) == ()  # there is nobody to lose any more


# -------------------------------------------------------------------- rings of several pages


def test_pages_turn_in_time() -> None:
    heavy = dataset(members=members(3, (65535, 65521, 65519)))
    one = started(heavy)
    assert one.next_deadline() == 1.0 + roster_module.PAGE_EVERY
    first = one.answers[WWW_A]
    turned = one.advance(6.0)
    assert turned.changes.sets.keys() == {WWW_A} and not turned.events
    assert one.answers[WWW_A] != first and one.next_deadline() == 11.0
    one.load(dataset(), 12.0)
    assert one.next_deadline() is None
