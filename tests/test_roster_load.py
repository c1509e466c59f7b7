"""roster.load: what survives a reload, what is told of it, and that only differences are given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from small_roster import (
    APEX,
    BAD,
    CHECK,
    GOOD,
    WWW,
    WWW_A,
    apply,
    dataset,
    fail,
    members,
    name,
    override,
    served,
    started,
    target,
    told,
    zone,
)

from rrdns import wire
from rrdns.answers import NO_CHANGES, key
from rrdns.model import DataSet, Health, HttpProbe, Pool, RRset, Service, State
from rrdns.roster.roster import Roster

# -------------------------------------------------------------------- reloads


def test_the_same_files_again_change_nothing() -> None:
    one = started()
    assert one.load(dataset(), 10.0) is not None
    assert not one.load(dataset(), 11.0)
    assert one.load(dataset(), 12.0).changes is NO_CHANGES


def test_health_and_overrides_survive_a_reload() -> None:
    one = started()
    fail(one, 2, 10.0)
    one.observe(target(1), BAD, 20.0)
    one.override(override("drain", 3), 20.0)
    health = {each: one.health(each) for each in one.targets()}
    decision = one.load(dataset(4, scheduler="rr"), 30.0)
    assert {each: one.health(each) for each in health} == health
    assert served(one) == {"web1"} and one.overrides == (override("drain", 3),)
    assert told(decision.events) == ["member web/web4: absent -> unknown: not probed yet"]
    assert not one.settled(30.0)


def test_edited_thresholds_keep_the_verdict_another_question_does_not() -> None:
    one = started()
    fail(one, 2, 10.0)
    slower = replace(CHECK, interval=30.0, fall=5)
    assert not one.load(dataset(check=slower), 20.0).events
    assert served(one) == {"web1", "web3"}
    assert one.health(target(2, slower)).state is State.DOWN and one.health(target(2, slower)).since == 12.0
    assert target(2) not in one.targets()
    other = replace(slower, probe=HttpProbe(path="/other"))
    one.load(dataset(check=other), 30.0)
    assert one.health(target(2, other)).state is State.UNKNOWN


def test_what_comes_and_goes_is_told() -> None:
    one = started()
    one.override(override("drain", 3), 5.0)
    data = dataset(2)
    other = zone(apex=name("example.net."))
    more = DataSet({**data.zones, other.name: other}, {**data.pools, "new": Pool("new", members(1))}, data.checks)
    assert told(one.load(more, 10.0).events) == [
        "zone example.net.: absent -> served: reload",
        "override web/web3: drain -> none: its member is in no file any more",
        "member web/web3: drained -> absent: reload",
        "pool new: absent -> ok: 1 of 1 members up",
    ]
    assert target(3) not in one.targets() and one.overrides == ()
    gone = one.load(DataSet({APEX: zone()}, {}, {}), 20.0)
    assert told(gone.events) == [
        "zone example.net.: served -> absent: reload",
        "pool new: ok -> absent: reload",
        "pool web: ok -> absent: reload",
    ]
    assert WWW_A not in one.answers and not one.services and not one.targets()


def test_a_reload_gives_only_the_difference() -> None:
    def data(*texts: str) -> DataSet:
        rrsets = tuple(
            RRset(name(f"t{i}.lb.example.com."), wire.TXT, 300, (bytes((len(one),)) + one.encode(),))
            for i, one in enumerate(texts)
        )
        base = dataset()
        return replace(base, zones={APEX: zone(Service(WWW, APEX, "web"), rrsets=rrsets)})

    one = started(data("a", "b", "c"))
    changes = one.load(data("a", "B"), 10.0).changes
    assert changes.sets.keys() == {key(name(f"t{i}.lb.example.com."), wire.TXT) for i in (1, 2)}
    assert changes.nodes == {name("t2.lb.example.com."): None} and not changes.zones


def test_a_name_may_turn_from_static_to_pool_and_back() -> None:
    static = RRset(WWW, wire.A, 300, (bytes((192, 0, 2, 77)),))
    fixed = DataSet({APEX: zone(rrsets=(static,))}, dataset().pools, dataset().checks)
    one = started(fixed)
    mirror = dict(one.answers)
    for data, counted in ((dataset(), True), (fixed, False), (dataset(), True)):
        apply(mirror, one.load(data, 10.0))
        assert mirror == dict(one.answers) and one.answers[WWW_A].counted is counted


def test_an_inner_zone_may_come_and_go() -> None:
    inner = zone(Service(WWW, WWW, "web"), apex=WWW)
    cut = RRset(WWW, wire.NS, 300, (b"\3ns1" + WWW,))
    base = dataset()
    alone = DataSet({APEX: zone(rrsets=(cut,))}, base.pools, base.checks)
    both = DataSet({APEX: zone(rrsets=(cut,)), WWW: inner}, base.pools, base.checks)
    one = started(alone)
    mirror: dict[Any, Any] = {**one.answers, **one.nodes}
    for data in (both, alone, both):
        decision = one.load(data, 10.0)
        apply(mirror, decision)
        for place, node in decision.changes.nodes.items():
            mirror.pop(place, None)
            if node is not None:
                mirror[place] = node
        assert mirror == {**one.answers, **one.nodes}
        fresh = started(data)
        assert dict(fresh.nodes) == dict(one.nodes) and dict(fresh.answers) == dict(one.answers)


def test_restored_health_and_overrides() -> None:
    kept = {target(1): Health(State.DOWN, since=-90.0, failures=3, need=3, reason="HTTP 500", seen=-3.0)}
    lost = replace(override("drain", 9), pool="gone")
    one = Roster()
    one.restore(kept, [override("disable", 2), lost])
    assert told(one.load(dataset(), 1.0).events) == [
        "override gone/web9: drain -> none: its member is in no file any more"
    ]
    picture = one.snapshot(1.0)["pools"]["web"]["members"]
    assert [picture[f"web{i}"]["state"] for i in (1, 2, 3)] == ["down", "disabled", "unknown"]
    assert picture["web1"]["addresses"][0]["since"] == 91.0
    assert one.observe(target(1), GOOD, 2.0).events == ()  # not judged anew from one probe
    assert served(one) == {"web3"}
