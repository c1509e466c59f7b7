"""What is told of failover: the why of each move names who failed or recovered, also where only time had to go by."""

from __future__ import annotations

from small_roster import APEX, BAD, CHECK, GOOD, name, zone

from rrdns.model import DataSet, Event, Failover, Member, Pool, Service
from rrdns.roster.roster import Roster


def roster(**pools: Pool) -> Roster:
    services = [Service(name(f"{pool}.lb.example.com."), APEX, pool, 20, 5) for pool in pools]
    one = Roster()
    one.load(DataSet({APEX: zone(*services)}, pools, {"web": CHECK}), 1.0)
    for target in sorted(one.targets()):
        one.observe(target, GOOD, 1.0)
    return one


def judged(one: Roster, address: str, good: bool, now: float) -> list[Event]:
    """Probes until the verdict stands."""
    events = list[Event]()
    for _ in range(3):
        events += one.observe(CHECK.key(address), GOOD if good else BAD, now).events
    return events


def moves(events: list[Event]) -> dict[str, str]:
    return {f"{one.name}: {one.before} -> {one.after}": one.why for one in events if one.subject == "failover"}


def idle(failback: float | None) -> Roster:
    members = (Member("w1", ("192.0.2.1",)), Member("w2", ("192.0.2.2",), priority=2))
    return roster(web=Pool("web", members, ("web",), failover=Failover("idle-standby", failback)))


def lent(failback: float | None) -> Roster:
    web = Pool("web", (Member("w1", ("192.0.2.1",)),), ("web",))
    rep = Pool("rep", (Member("r1", ("192.0.2.2",)),), ("web",))
    rule = Failover("simple-failover", failback, backup="rep")
    return roster(web=Pool(web.name, web.members, web.checks, failover=rule), rep=rep)


def test_a_better_tier_returns_because_its_host_was_well_for_so_long() -> None:
    one = idle(30.0)
    told = moves(judged(one, "192.0.2.1", False, 10.0))
    assert told == {"web: tier 1 -> tier 2": "w1 down: HTTP 503; tier 2 serves: 1 of 2 members up, 1 down"}
    assert moves(judged(one, "192.0.2.1", True, 20.0)) == {}
    told = moves(list(one.advance(50.0).events))
    assert told == {"web: tier 2 -> tier 1": "w1 well for 30 s (failback); 2 of 2 members up"}


def test_a_dead_standby_is_the_cause_and_not_the_time_that_was_not_over() -> None:
    one = idle(30.0)
    judged(one, "192.0.2.1", False, 10.0)
    judged(one, "192.0.2.1", True, 20.0)
    told = moves(judged(one, "192.0.2.2", False, 25.0))
    assert told == {"web: tier 2 -> tier 1": "w2 down: HTTP 503; 1 of 2 members up, 1 down"}


def test_who_lent_hears_whose_return_it_was() -> None:
    one = lent(30.0)
    judged(one, "192.0.2.1", False, 10.0)
    judged(one, "192.0.2.1", True, 20.0)
    assert moves(list(one.advance(50.0).events)) == {
        "web: served by rep -> served by its own": "w1 well for 30 s (failback); 1 of 1 members up",
        "rep: r1 shed to web -> serves its own": "web/w1 well for 30 s (failback); 1 of 1 members up",
    }


def test_who_lent_hears_who_called_back() -> None:
    one = lent(None)
    judged(one, "192.0.2.1", False, 10.0)
    judged(one, "192.0.2.1", True, 20.0)
    assert moves(list(one.failback("web", 60.0, "root", "disk replaced").events)) == {
        "web: served by rep -> served by its own": "called back by root: disk replaced; 1 of 1 members up",
        "rep: r1 shed to web -> serves its own": "web called back by root: disk replaced; 1 of 1 members up",
    }


def test_a_partner_that_is_mended_is_why_it_helps_again() -> None:
    """Who broke must be well for a while before it carries both."""
    web = (Member("w1", ("192.0.2.1",)), Member("w2", ("192.0.2.2",)))
    rule = Failover("mutual-takeover", 30.0, partner="rep")
    one = roster(
        web=Pool("web", web, ("web",), quorum=2, failover=rule),
        rep=Pool("rep", (Member("r1", ("192.0.2.3",)),), ("web",), failover=Failover(rule.scheme, 30.0, partner="web")),
    )
    judged(one, "192.0.2.3", False, 10.0)
    judged(one, "192.0.2.1", False, 20.0)
    judged(one, "192.0.2.3", True, 30.0)
    assert moves(list(one.advance(61.0).events)) == {
        "web: served by its own -> served by rep": "rep/r1 well for 31 s (failback); partner rep serves too: "
        "1 of 2 members up, 1 down",
    }
