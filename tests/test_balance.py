"""roster: weights that follow load, slow start, correction; from a director's table to the ring, in pretend time."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from small_following import LVS, PART, server, table
from small_roster import APEX, BAD, CHECK, GOOD, WWW, WWW_A, WWW_AAAA, fail, members, served, target, told, zone

from rrdns.model import DataSet, Director, DirectorTable, Following, Member, Override, Pool, Report, Service
from rrdns.roster.roster import Decision, Roster

FOLLOWS = (Following("lvs1", PART),)
POOL = Pool("web", members(3), following=FOLLOWS)
JUDGED = Pool("web", members(3), ("web",))
OTHER = APEX[:0] + b"\3img" + APEX


def data(pool: Pool, scheduler: str = "wrr", *more: Service, pools: tuple[Pool, ...] = (), answers: int = 1,
         directors: tuple[Director, ...] = (LVS,)) -> DataSet:  # fmt: skip
    service = Service(WWW, APEX, pool.name, ttl=20, ttl_min=5, answers=answers, scheduler=scheduler)
    checks = {"web": CHECK} if any(one.checks for one in (pool, *pools)) else {}
    named = {one.name: one for one in directors}
    return DataSet({APEX: zone(service, *more)}, {one.name: one for one in (pool, *pools)}, checks, named)


def shares(one: Roster, place: bytes = WWW_A) -> dict[str, float]:
    firsts = [slot[0] for slot in one.ring_members(place)]
    return {name: firsts.count(name) / len(firsts) for name in sorted(set(firsts))}


def carried(*loads: int, word: str = "up", weight: int = 1, totals: tuple[int, ...] = ()) -> DirectorTable:
    rows = []
    for number, active in enumerate(loads, 1):
        total = totals[number - 1] if totals else None
        rows.append(server(number, weight, word, active=active, inactive=0, total=total))
    return table(*rows)


class Scene:
    """A roster with one director, polled every two seconds, and answers that are counted."""

    def __init__(self, dataset: DataSet, **kept: Any) -> None:
        self.one = Roster()
        if kept:
            self.one.balancing.restore(kept)
        self.now = 1.0
        self.answers = 0
        self.events: list[str] = []
        self.commits = 0
        self.take(self.one.load(dataset, self.now))
        for key in sorted(self.one.targets()):
            self.take(self.one.observe(key, GOOD, self.now))

    def take(self, decision: Decision) -> Decision:
        self.events += told(decision.events)
        self.commits += bool(decision.changes.sets)
        return decision

    def poll(self, said: DirectorTable | str, answers: int = 100, after: float = 2.0) -> Decision:
        self.wait(after)
        self.answers += answers
        self.one.answered("web", self.answers)
        return self.take(self.one.report("lvs1", said, self.now))

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.one.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.take(self.one.advance(self.now))
            after = self.one.next_deadline()
            assert after is None or after > self.now, "a deadline that is never done with"
        self.now = end

    def pool(self) -> dict[str, Any]:
        found: dict[str, Any] = self.one.snapshot(self.now)["pools"]["web"]
        return found

    def member(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.pool()["members"][name]
        return found


# -------------------------------------------------------------------- lc, wlc


def test_wlc_gives_the_coming_answers_to_those_with_room() -> None:
    scene = Scene(data(POOL, "wlc"))
    for _ in range(4):
        scene.poll(carried(500, 500, 0))
    found = shares(scene.one)
    assert found["web3"] > 0.4 > 0.3 > found["web1"] > 0, found
    assert found["web1"] == pytest.approx(found["web2"], abs=0.02)
    for _ in range(4):
        scene.poll(carried(50, 50, 50))
    assert shares(scene.one) == pytest.approx({"web1": 1 / 3, "web2": 1 / 3, "web3": 1 / 3}, abs=0.02)


def test_wlc_respects_weights_and_lc_does_not() -> None:
    heavy = replace(POOL, members=members(2, (3, 1)))
    for scheduler, expected in (("wlc", 0.75), ("lc", 0.5)):
        scene = Scene(data(heavy, scheduler))
        for _ in range(3):
            scene.poll(carried(0, 0), answers=1000)
        assert shares(scene.one)["web1"] == pytest.approx(expected, abs=0.01)


def test_a_ring_changes_at_a_poll_at_most_and_not_for_a_trifle() -> None:
    scene = Scene(data(POOL, "wlc"))
    for _ in range(6):
        scene.poll(carried(100, 100, 100), answers=1000)
    before = scene.commits
    for shift in (1, -1, 2, 0):
        scene.poll(carried(100 + shift, 100, 100 - shift), answers=1000)
    assert scene.commits == before
    scene.poll(carried(900, 100, 100), answers=1000)
    assert scene.commits == before + 1


def test_without_a_fresh_feed_wlc_is_wrr_and_says_so_once() -> None:
    heavy = replace(POOL, members=members(3, (2, 1, 1)))
    scene = Scene(data(heavy, "wlc"))
    assert shares(scene.one)["web1"] == 0.5 and not scene.events, "before the first reading it is wrr, and no news"
    for _ in range(3):
        scene.poll(carried(900, 0, 0))
    assert shares(scene.one)["web1"] < 0.45
    service = scene.one.snapshot(scene.now)["services"]["www.lb.example.com."]
    assert service["scheduler"] == service["scheduler_now"] == "wlc"
    scene.events.clear()
    scene.poll("connection refused")
    assert shares(scene.one)["web1"] < 0.45, "one failed poll is none"
    scene.wait(10)
    assert shares(scene.one)["web1"] == 0.5
    balance = [event for event in scene.events if event.startswith("balance")]
    assert balance == ["balance web: ok -> degraded: wlc as wrr: lvs1 tells no connections: connection refused"]
    assert scene.pool()["schedulers"]["wlc"]["now"] == "wrr" and "refused" in scene.pool()["schedulers"]["wlc"]["why"]
    explained = scene.one.explain(WWW, 1, scene.now)
    assert explained["service"]["scheduler_now"] == "wrr" and explained["ring"]["members"]["web1"]["due"] == 0.5
    scene.poll("connection refused")
    scene.poll(carried(900, 0, 0))
    scene.poll(carried(900, 0, 0))
    balance = [event for event in scene.events if event.startswith("balance")]
    assert balance[1:] == ["balance web: degraded -> ok: it goes by connections again"]
    assert shares(scene.one)["web1"] < 0.45


def test_under_a_hold_the_weights_stay_and_no_deadline_is_left_behind() -> None:
    scene = Scene(data(POOL, "wlc"))
    for _ in range(3):
        scene.poll(carried(900, 0, 0))
    before = shares(scene.one)
    scene.take(scene.one.override(Override("web", "", "hold", "root", "", 1.7e9), scene.now))
    scene.poll(carried(0, 900, 900))
    scene.poll("timed out")
    scene.wait(40)  # fails where a deadline is never done with
    assert shares(scene.one) == before
    scene.take(scene.one.override(Override("web", "", "release", "root", "", 1.7e9), scene.now))
    assert shares(scene.one)["web1"] == pytest.approx(1 / 3)


def test_a_director_that_tells_no_connections() -> None:
    scene = Scene(data(POOL, "lc"))
    scene.poll(table(server(1), server(2), server(3)))
    assert "lvs1 tells no connections of web1" in scene.pool()["schedulers"]["lc"]["why"]
    assert [event for event in scene.events if event.startswith("balance")] == [
        "balance web: ok -> degraded: lc as rr: lvs1 tells no connections of web1"
    ]


def test_a_pool_without_a_director_degrades() -> None:
    scene = Scene(data(JUDGED, "lc", directors=()))
    assert shares(scene.one) == pytest.approx(dict.fromkeys(("web1", "web2", "web3"), 1 / 3))
    assert scene.pool()["schedulers"]["lc"] == {"now": "rr", "why": "the pool has no director"}


def test_who_fails_between_two_polls_leaves_at_once() -> None:
    scene = Scene(data(replace(JUDGED, following=FOLLOWS), "wlc"))
    for _ in range(3):
        scene.poll(carried(500, 0, 0))
    for turn in range(3):
        scene.take(scene.one.observe(target(2), BAD, scene.now + turn / 10))
    assert served(scene.one) == {"web1", "web3"} and shares(scene.one)["web3"] > 0.5


# -------------------------------------------------------------------- sh


def test_sh_is_hashed_and_both_families_meet_the_same_member() -> None:
    both = tuple(Member(f"web{n}", (f"192.0.2.{n}", f"2001:db8::{n}"), weight=n) for n in (1, 2, 3))
    one = Roster()
    one.load(data(Pool("web", both), "sh", directors=()), 1.0)
    four, six = one.ring_members(WWW_A), one.ring_members(WWW_AAAA)
    assert one.answers[WWW_A].hashed and one.answers[WWW_AAAA].hashed and len(four) == 1024 and four == six
    assert shares(one) == pytest.approx({"web1": 1 / 6, "web2": 2 / 6, "web3": 3 / 6}, abs=0.05)
    explained = one.explain(WWW, 1, 2.0)
    assert explained["ring"]["members"]["web3"]["due"] == pytest.approx(0.5)


def test_sh_moves_only_the_clients_of_who_goes() -> None:
    one = Roster()
    one.load(data(JUDGED, "sh", directors=()), 1.0)
    for key in sorted(one.targets()):
        one.observe(key, GOOD, 1.0)
    before = [slot[0] for slot in one.ring_members(WWW_A)]
    fail(one, 2, 2.0)
    after = [slot[0] for slot in one.ring_members(WWW_A)]
    assert all(new == old for old, new in zip(before, after, strict=True) if old != "web2") and "web2" not in after


# -------------------------------------------------------------------- slow start


def slow(scene: Scene) -> list[tuple[float, float]]:
    """From now on: when the share of web1 changed, and to what."""
    found = []
    start, last = scene.now, -1.0
    for _ in range(90):
        share = round(shares(scene.one).get("web1", 0.0), 3)
        if share != last:
            found.append((scene.now - start, share))
            last = share
        scene.wait(1.0)
    return found


def test_who_comes_back_climbs_in_steps_no_shorter_than_the_ttl() -> None:
    scene = Scene(data(replace(JUDGED, slow_start=60.0), directors=()))
    assert shares(scene.one)["web1"] == pytest.approx(1 / 3), "a start of ours is none of theirs"
    for turn in range(3):
        scene.take(scene.one.observe(target(1), BAD, scene.now + turn))
    scene.now += 3
    assert served(scene.one) == {"web2", "web3"}
    for _ in range(3):
        scene.now += 5
        scene.take(scene.one.observe(target(1), GOOD, scene.now))
    steps = slow(scene)
    assert [when for when, _ in steps] == [0, 20, 40, 60], steps
    assert steps[0][1] == pytest.approx(0.1 / 2.1, abs=0.005) and steps[-1][1] == pytest.approx(1 / 3, abs=0.001)
    assert all(one < other for (_, one), (_, other) in pairwise(steps))
    assert scene.member("web1")["slow_start"] is None


def test_slow_start_is_seen_and_a_weight_counts_as_well() -> None:
    heavy = replace(JUDGED, members=members(3, (4, 1, 1)), slow_start=100.0)
    scene = Scene(data(heavy, directors=()))
    scene.take(scene.one.override(Override("web", "web1", "drain", "root", "", 1.7e9), 2.0))
    scene.take(scene.one.clear("web", "web1", 3.0))
    member = scene.one.snapshot(3.0)["pools"]["web"]["members"]["web1"]
    assert member["slow_start"] == pytest.approx(0.1) and member["effective_weight"] == pytest.approx(0.4)
    assert member["wanted"] == pytest.approx(4 / 6) and member["share"] == pytest.approx(0.4 / 2.4, abs=0.01)
    assert shares(scene.one)["web1"] == pytest.approx(0.4 / 2.4, abs=0.01)


def test_a_new_member_climbs_and_with_rr_too() -> None:
    pool = replace(JUDGED, slow_start=60.0)
    scene = Scene(data(pool, "rr", directors=()))
    scene.take(scene.one.load(data(replace(pool, members=members(4)), "rr", directors=()), 2.0))
    scene.take(scene.one.observe(target(4), GOOD, 3.0))
    assert shares(scene.one)["web4"] == pytest.approx(0.1 / 3.1, abs=0.005)
    scene.now = 3.0
    scene.wait(100)
    assert shares(scene.one)["web4"] == pytest.approx(0.25)


def test_a_pool_that_all_comes_at_once_is_whole() -> None:
    pool = Pool("web", (), following=FOLLOWS, weight_from="director", slow_start=60.0)
    scene = Scene(data(pool))
    scene.poll(table(server(1), server(2)))
    assert all(one["slow_start"] is None for one in scene.pool()["members"].values())
    scene.poll(table(server(1), server(2), server(3)))
    assert scene.member("192.0.2.3")["slow_start"] == pytest.approx(0.1)


# -------------------------------------------------------------------- correction


CORRECTED = replace(POOL, correct=True)


class Arrivals:
    """Connections that follow the ring, each member with an inclination of its own."""

    def __init__(self, scene: Scene, **inclined: float) -> None:
        self.scene, self.inclined = scene, inclined
        self.totals = {"web1": 0, "web2": 0, "web3": 0}
        self.last: dict[str, float] = {}

    def run(self, seconds: float, per_poll: int = 2000, answers: int = 100) -> None:
        for _ in range(round(seconds / 2)):
            pull = {name: share * self.inclined.get(name, 1.0) for name, share in shares(self.scene.one).items()}
            whole = sum(pull.values())
            self.last = {name: part / whole for name, part in pull.items()}
            for name, part in self.last.items():
                self.totals[name] += round(per_poll * part)
            self.scene.poll(carried(1, 1, 1, totals=tuple(self.totals.values())), answers)


def test_a_crooked_share_is_bent_back_and_shown() -> None:
    scene = Scene(data(CORRECTED))
    arrivals = Arrivals(scene, web1=1.5, web2=0.8)
    arrivals.run(60)
    assert arrivals.last["web1"] > 0.43
    arrivals.run(60 * 12)
    assert all(abs(share * 3 - 1) < 0.1 for share in arrivals.last.values()), arrivals.last
    member = scene.member("web1")
    assert 0.6 < member["correction"] < 0.9 and member["wanted"] == pytest.approx(1 / 3)
    assert member["connected"] == pytest.approx(1 / 3, abs=0.04) and member["share"] < 0.3
    assert scene.pool()["correction"]["state"] == "on" and scene.pool()["connected_by"] == "new"
    assert scene.one.balancing.version(scene.one.duties) > 0


def test_it_survives_a_reload_and_a_restart() -> None:
    scene = Scene(data(CORRECTED))
    Arrivals(scene, web1=1.5, web2=0.8).run(60 * 12)
    factor, share = scene.member("web1")["correction"], shares(scene.one)["web1"]
    scene.take(scene.one.load(data(replace(CORRECTED, quorum=2)), scene.now))
    assert scene.member("web1")["correction"] == factor and shares(scene.one)["web1"] == share
    kept = json.loads(json.dumps(scene.one.balancing.kept(scene.one.duties)))
    again = Scene(data(CORRECTED), **kept)
    assert again.member("web1")["correction"] == factor
    again.poll(carried(1, 1, 1, totals=(0, 0, 0)))
    assert shares(again.one)["web1"] == pytest.approx(share, abs=0.005)


def test_a_black_hole_is_told_and_not_fed() -> None:
    scene = Scene(data(CORRECTED))
    arrivals = Arrivals(scene, web3=0.05)
    arrivals.run(60 * 4)
    assert scene.pool()["correction"]["suspects"] == ["web3"] and scene.member("web3")["correction"] == 1.0
    told_of = [event for event in scene.events if event.startswith("balance web/web3")]
    assert len(told_of) == 1 and "ok -> suspect" in told_of[0] and "does it refuse clients?" in told_of[0]
    arrivals.inclined = {}
    arrivals.run(60 * 4)
    assert not scene.pool()["correction"]["suspects"]
    assert [event for event in scene.events if "suspect -> ok" in event]


def test_who_is_drained_or_climbing_does_not_take_part() -> None:
    scene = Scene(data(replace(CORRECTED, slow_start=60.0)))
    arrivals = Arrivals(scene, web1=1.5)
    arrivals.run(60 * 6)
    assert scene.member("web1")["correction"] < 0.9
    scene.take(scene.one.override(Override("web", "web1", "drain", "root", "", 1.7e9), scene.now))
    arrivals.run(10)
    assert scene.pool()["correction"]["state"] == "frozen" and scene.member("web1")["correction"] == 1.0
    scene.take(scene.one.clear("web", "web1", scene.now))
    arrivals.run(30)
    assert scene.member("web1")["slow_start"] is not None and scene.member("web1")["correction"] == 1.0


IMG = Service(OTHER, APEX, "img", ttl=20, ttl_min=5, answers=1)


@pytest.mark.parametrize(
    ("dataset", "why"),
    [
        (data(CORRECTED, "wrr", Service(OTHER, APEX, "web", scheduler="wrr", answers=1)), ""),
        (data(CORRECTED, "wrr", Service(OTHER, APEX, "web", scheduler="rr", answers=1)), "share its members"),
        (data(CORRECTED, "wlc"), "wlc goes by connections already"),
        (
            data(CORRECTED, "wrr", IMG, pools=(Pool("img", (Member("a", ("192.0.2.2",)),)),)),
            "img.lb.example.com. (pool img) answers with web2, 192.0.2.2, too",
        ),
        (data(CORRECTED, "wrr", pools=(Pool("img", (Member("a", ("192.0.2.2",)),)),)), ""),
        (
            data(CORRECTED, "wrr", IMG, pools=(Pool("img", (Member("a", ("192.0.2.9",)),), following=FOLLOWS),)),
            "pool img follows 203.0.113.10:80 at lvs1 too",
        ),
    ],
)
def test_where_the_files_keep_it_out_of_force(dataset: DataSet, why: str) -> None:
    scene = Scene(dataset)
    scene.poll(carried(1, 1, 1, totals=(0, 0, 0)))
    found = scene.pool()["correction"]
    assert found["state"] == ("refused" if why else "on") and why in found["why"]


def test_connections_that_no_answer_can_have_brought() -> None:
    scene = Scene(data(CORRECTED))
    arrivals = Arrivals(scene, web1=1.5)
    arrivals.run(60 * 5, per_poll=30_000, answers=0)
    found = scene.pool()["correction"]
    assert found["state"] == "refused" and "do not come by this name" in found["why"]
    assert scene.member("web1")["correction"] == 1.0
    assert [event for event in scene.events if event.startswith("balance web: ok -> refused")]
    arrivals.run(60 * 5)
    assert scene.pool()["correction"]["state"] == "on"


def test_who_is_not_answered_and_still_gets_connections_gets_them_from_others() -> None:
    scene = Scene(data(CORRECTED))
    scene.take(scene.one.override(Override("web", "web3", "drain", "root", "", 1.7e9), scene.now))
    totals = [0, 0, 0]
    for _ in range(330):
        totals = [count + 500 for count in totals]
        scene.poll(carried(1, 1, 1, totals=tuple(totals)))
    found = scene.pool()["correction"]
    assert found["state"] == "refused" and "web3 gets 33% of the connections though" in found["why"]


# -------------------------------------------------------------------- the fairness meter


def test_the_meter_counts_new_connections_and_else_those_there_are() -> None:
    scene = Scene(data(POOL))
    scene.poll(carried(30, 10, 0))
    assert scene.pool()["connected_by"] == "active" and scene.member("web1")["connected"] == 0.75
    other = Scene(data(POOL))
    for turn in range(20):
        other.poll(carried(1, 1, 1, totals=(100 * turn, 300 * turn, 0)))
    assert other.pool()["connected_by"] == "new" and other.member("web2")["connected"] == 0.75
    assert other.member("web2")["connecting"] == pytest.approx(150, rel=0.1)
    other.poll(carried(1, 1, 1, totals=(1, 1, 1)), after=10.0)
    assert other.member("web2")["connected"] is None, "its counters began anew"


def test_an_agent_s_word_is_here_too() -> None:
    """What an agent check brings is in force beside all this: scaled, drained, kept while it says nothing."""
    one = Roster()
    one.load(data(JUDGED, directors=()), 1.0)
    for number in (1, 2, 3):
        one.observe(target(number), GOOD, 1.0)
    one.observe(target(1), replace(GOOD, weight=50), 2.0)
    assert shares(one)["web1"] == pytest.approx(0.2)
    one.observe(target(1), GOOD, 3.0)
    assert shares(one)["web1"] == pytest.approx(0.2), "a weight not repeated stays"
    one.observe(target(1), replace(GOOD, word="drain"), 4.0)
    assert served(one) == {"web2", "web3"}
    explained = one.explain(WWW, 1, 4.0)["pool"]["members"]["web1"]
    assert explained["state"] == "drained" and "drain" in explained["why"] + explained["serves_why"]
    one.observe(target(1), replace(GOOD, word="ready"), 5.0)
    assert shares(one)["web1"] == pytest.approx(0.2)
    one.observe(target(1), replace(GOOD, weight=0), 6.0)
    assert served(one) == {"web2", "web3"}
    one.observe(target(1), replace(GOOD, weight=100), 7.0)
    assert shares(one)["web1"] == pytest.approx(1 / 3)


def test_reports_of_nothing_change_nothing() -> None:
    scene = Scene(data(POOL, "wlc"))
    scene.poll(DirectorTable({PART: (Report("", "192.0.2.1", 80, "up", active=-5, total=-7),)}))
    scene.poll(carried(0, 0, 0, totals=(0, 0, 0)), answers=0)
    assert served(scene.one) == {"web1", "web2", "web3"}


def test_check_says_where_it_would_not_be_in_force() -> None:
    from rrdns import zonefile
    from rrdns.ui.doubts import doubts
    from rrdns.zonefile.places import Places

    pools = """
directors: {d1: {type: haproxy, socket: /run/h.sock}}
pools:
  web:
    {check: [], correct: true, slow_start: 1m, director: {name: d1, backend: web},
     members: {a: 192.0.2.1, b: 192.0.2.2}}
  img: {check: [], members: {a: 192.0.2.2}}
"""
    names = "'': {type: NS, value: ns.example.net.}\nwww: {type: POOL, pool: web}\nimg: {type: POOL, pool: img}\n"
    places = Places()
    loaded = zonefile.load({"example.com.yaml": names.encode(), "pools.yaml": pools.encode()}, None, places)
    assert loaded.dataset is not None
    assert loaded.dataset.pools["web"].correct and loaded.dataset.pools["web"].slow_start == 60.0
    said = [str(one) for one in doubts(loaded.dataset, places)]
    why = "img.example.com. (pool img) answers with b, 192.0.2.2, too"
    assert f"pools.yaml:4:3: warning: pools.web: correct: would not be in force: {why}" in said
