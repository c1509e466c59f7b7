"""roster: pools that follow a director, from its table to the ring."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from small_following import LVS, PART, listed, server, table
from small_roster import APEX, BAD, CHECK, GOOD, WWW, WWW_A, WWW_AAAA, members, served, told, zone

from rrdns import wire
from rrdns.directors.vrrp import table as vrrp_table
from rrdns.model import (
    DataSet,
    Director,
    DirectorTable,
    Following,
    Member,
    Override,
    Pool,
    Report,
    Result,
    Service,
    WhenDown,
)
from rrdns.roster.roster import NOTHING, Roster

FOLLOWS = (Following("lvs1", PART),)
ALONE = Pool("web", (), following=FOLLOWS, weight_from="director")
JUDGED = Pool("web", members(3), ("web",), following=FOLLOWS)


def data(pool: Pool = ALONE, *directors: Director, ttl: int = 20) -> DataSet:
    service = Service(WWW, APEX, "web", ttl=ttl, ttl_min=5, answers=1)
    checks = {"web": CHECK} if pool.checks else {}
    return DataSet({APEX: zone(service)}, {"web": pool}, checks, {each.name: each for each in directors or (LVS,)})


def started(pool: Pool = ALONE, said: DirectorTable | str | None = None, **kept: Any) -> Roster:
    one = Roster()
    if kept:
        one.restore({}, kept.get("overrides", ()), kept.get("members"))
    one.load(data(pool), 1.0)
    if said is not None:
        one.report("lvs1", said, 2.0)
    for key in sorted(one.targets()):
        one.observe(key, GOOD, 2.0)
    one.advance(2.5)
    return one


def state(one: Roster, now: float = 3.0) -> dict[str, Any]:
    found: dict[str, Any] = one.snapshot(now)["pools"]["web"]
    return found


def words(one: Roster) -> dict[str, str]:
    return {name: member["state"] for name, member in state(one)["members"].items()}


def rcode(one: Roster, place: bytes = WWW_A) -> int:
    return one.answers[place].bodies[0].flags & 15


# -------------------------------------------------------------------- a pool that lives from its director


def test_members_weights_and_state_are_the_director_s() -> None:
    one = started()
    assert rcode(one) == rcode(one, WWW_AAAA) == wire.SERVFAIL  # it never had any
    assert not one.settled(1.0)
    first = one.report("lvs1", table(server(1, 1, name="a"), server(2, 3, name="b")), 2.0)
    assert one.settled(2.0) and served(one) == {"a", "b"} and one.moves == 1
    assert told(first.events) == [
        "director lvs1: unknown -> up: it can be read",
        "pool web: unknown -> ok: 2 of 2 members up",
    ]
    ring = [slot[0] for slot in one.ring_members(WWW_A)]
    assert ring.count("b") == 3 * ring.count("a")
    assert WWW_AAAA not in one.answers  # NODATA: the members have no such address
    more = one.report("lvs1", table(server(1, 1, name="a"), server(2, 3, name="b"), server(3, 1, name="c")), 4.0)
    assert told(more.events) == ["member web/c: absent -> up: up at lvs1"] and served(one) == {"a", "b", "c"}
    less = one.report("lvs1", table(server(1, 1, name="a"), server(3, 1, name="c")), 6.0)
    assert told(less.events) == ["member web/b: up -> absent: its director lists it no more"]
    assert served(one) == {"a", "c"}
    assert one.report("lvs1", table(server(1, 1, name="a"), server(3, 1, name="c")), 8.0) is NOTHING


def test_drained_there_is_drained_here() -> None:
    one = started(said=listed(1, 2, 3))
    gone = one.report("lvs1", table(server(1, 0), server(2), server(3)), 4.0)
    assert told(gone.events) == ["member web/192.0.2.1: up -> drained: weight 0 at lvs1"]
    assert served(one) == {"192.0.2.2", "192.0.2.3"} and state(one)["state"] == "ok"
    idle = table(server(1, 0), server(2, 0), server(3, 0))
    one.report("lvs1", idle, 6.0)
    assert served(one) == {"192.0.2.2", "192.0.2.3"}
    events = told(one.report("lvs1", idle, 8.0).events)
    assert "director web/lvs1: ok -> degraded: every member is drained there, or has weight 0" in events
    assert events[-1] == "pool web: ok -> degraded: only drained members are up: 0 of 3 members up, 3 drained"
    assert served(one) == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}  # nothing else is up


def test_stale_members_stay_as_unknown_with_their_weights() -> None:
    one = started(said=table(server(1, 1), server(2, 3)))
    for turn in range(15):
        one.report("lvs1", "timed out", 4.0 + 2 * turn)
    assert state(one)["state"] == "unknown" and len(served(one)) == 2  # the last reading fell on the deadline
    ring = [slot[0] for slot in one.ring_members(WWW_A)]
    assert ring.count("192.0.2.2") == 3 * ring.count("192.0.2.1")
    assert one.snapshot(33.0)["directors"]["lvs1"] | {"took": 0} == {
        **{"state": "stale", "age": 31.0, "since": 1.0, "reason": "timed out", "type": "ipvs"},
        **{"master": None, "servers": 2, "pools": ["web"], "took": 0},
    }


def test_a_deadline_makes_it_stale_without_input() -> None:
    one = started(said=listed(1, 2))
    assert one.next_deadline() == 32.0
    decision = one.advance(32.0)
    assert told(decision.events)[0] == "director lvs1: up -> stale: it was not read for 30s"
    assert state(one)["state"] == "unknown" and len(served(one)) == 2 and one.next_deadline() is None


def test_over_a_restart() -> None:
    one = started(said=table(server(1, 1), server(2, 3)))
    kept = json.loads(json.dumps(one.directors.kept()))
    again = started(members=kept)
    assert words(again) == {"192.0.2.1": "unknown", "192.0.2.2": "unknown"} and len(served(again)) == 2
    ring = [slot[0] for slot in again.ring_members(WWW_A)]
    assert ring.count("192.0.2.2") == 3 * ring.count("192.0.2.1")
    again.report("lvs1", listed(2), 3.0)
    assert served(again) == {"192.0.2.2"}


def test_only_the_sorry_server_left_is_down() -> None:
    pool = replace(ALONE, following=(replace(FOLLOWS[0], sorry="192.0.2.99"),), when_down=WhenDown("empty"))
    one = started(pool, listed(1, 2))
    one.report("lvs1", listed(99), 4.0)
    assert len(served(one)) == 2
    one.report("lvs1", listed(99), 6.0)
    assert state(one)["state"] == "down" and WWW_A not in one.answers
    assert state(one)["members"]["192.0.2.1"]["why"] == "only the sorry server is left at lvs1"
    one.report("lvs1", listed(1, 2), 8.0)
    assert state(one)["state"] == "ok" and len(served(one)) == 2


def test_sorry_addresses_stand_in_for_members_nobody_knows() -> None:
    one = started(replace(ALONE, when_down=WhenDown("addresses", ("198.51.100.9",))))
    assert rcode(one) == 0 and served(one) == {"198.51.100.9"}


def test_a_quorum_is_counted_over_what_it_lists() -> None:
    one = started(replace(ALONE, quorum=3), listed(1, 2))
    assert state(one)["state"] == "degraded" and len(served(one)) == 2


def test_an_override_waits_for_a_member_that_is_away() -> None:
    one = started(said=listed(1, 2, 3))
    one.override(Override("web", "192.0.2.2", "disable", "root", "disk", 1.7e9, until=50.0), 3.0)
    one.report("lvs1", listed(1, 3), 4.0)
    assert [op.member for op in one.overrides] == ["192.0.2.2"]
    one.report("lvs1", listed(1, 2, 3), 6.0)
    assert words(one)["192.0.2.2"] == "disabled" and served(one) == {"192.0.2.1", "192.0.2.3"}
    one.report("lvs1", listed(1, 3), 8.0)
    one.report("lvs1", listed(1, 3), 49.0)
    assert "override web/192.0.2.2: disable -> none: its time is over" in told(one.advance(50.0).events)
    assert one.overrides == () and one.next_deadline() == 49.0 + 30.0


def test_the_director_s_members_are_checked_too() -> None:
    one = started(replace(ALONE, checks=("web",)))
    assert not one.targets()
    one.report("lvs1", listed(1, 2), 3.0)
    assert {target.address for target in one.targets().values()} == {"192.0.2.1", "192.0.2.2"}
    assert len(served(one)) == 2  # the director says up, the checks nothing yet
    for turn in range(3):
        one.observe(CHECK.key("192.0.2.1"), BAD, 4.0 + turn)
    assert served(one) == {"192.0.2.2"} and not one.settled(7.0)
    health = one.health(CHECK.key("192.0.2.1"))
    one.report("lvs1", listed(1, 2, 3), 8.0)
    assert one.health(CHECK.key("192.0.2.1")) == health  # others' coming costs nobody what is known of it
    assert words(one) == {"192.0.2.1": "down", "192.0.2.2": "up", "192.0.2.3": "up"}


# -------------------------------------------------------------------- checks and a director


def test_down_beats_drained_beats_up() -> None:
    one = started(JUDGED, listed(1, 2, 3))
    assert words(one) == {"web1": "up", "web2": "up", "web3": "up"}
    gone = one.report("lvs1", table(server(1), server(2, 0), server(3)), 4.0)
    assert told(gone.events) == ["member web/web2: up -> drained: weight 0 at lvs1"]
    for turn in range(3):
        one.observe(CHECK.key("192.0.2.2"), BAD, 5.0 + turn)
    assert words(one)["web2"] == "down" and state(one)["members"]["web2"]["why"] == "HTTP 503"
    one.report("lvs1", table(server(1, 1, "down", why="L4CON"), server(2, 0), server(3)), 8.0)
    assert words(one)["web1"] == "down" and state(one)["members"]["web1"]["why"] == "L4CON at lvs1"
    assert served(one) == {"web3"}


def test_a_stale_director_leaves_the_checks_to_decide() -> None:
    one = started(JUDGED, listed(1, 2))
    assert words(one) == {"web1": "up", "web2": "up", "web3": "down"}
    one.advance(40.0)
    assert words(one) == {"web1": "up", "web2": "up", "web3": "up"} and state(one)["state"] == "ok"


def test_without_checks_a_silent_director_leaves_everybody_unknown() -> None:
    one = started(replace(JUDGED, checks=()))
    assert state(one)["state"] == "unknown" and len(served(one)) == 3
    one.report("lvs1", listed(1, 2), 3.0)
    assert served(one) == {"web1", "web2"}


def test_whose_weights_count() -> None:
    weighted = members(2, (1, 3))
    told_weights = table(server(1, 30), server(2, 10))
    for weight_from, heavy in (("zone", "web2"), ("director", "web1")):
        pool = Pool("web", weighted, following=FOLLOWS, weight_from=weight_from)
        one = started(pool, told_weights)
        ring = [slot[0] for slot in one.ring_members(WWW_A)]
        light = {"web1": "web2", "web2": "web1"}[heavy]
        assert ring.count(heavy) == 3 * ring.count(light)


def test_an_override_beside_a_director() -> None:
    one = started(JUDGED, table(server(1, 0), server(2), server(3)))
    one.override(Override("web", "web1", "drain", "root", "", 1.7e9, until=100.0), 3.0)
    assert one.duties["web"].without(one.duties["web"].overrides["web1"]).serving == one.duties["web"].selection.serving
    one.report("lvs1", table(server(1, 0), server(2), server(3)), 89.0)
    one.advance(90.0)
    assert one.ttls[WWW][0] == 20  # its end changes nothing: the director drains it as well


# -------------------------------------------------------------------- loads


def test_a_reload_keeps_what_the_director_said() -> None:
    one = started(said=listed(1, 2))
    assert one.load(data(ttl=20), 3.0) is NOTHING
    again = one.load(data(replace(ALONE, quorum=2), ttl=30), 4.0)
    assert again.changes and not again.events and len(served(one)) == 2
    one.load(data(replace(ALONE, following=(Following("lvs1", "other"),))), 5.0)
    assert len(served(one)) == 2 and words(one) == {"192.0.2.1": "unknown", "192.0.2.2": "unknown"}
    one.report("lvs1", table(server(3), part="other"), 6.0)
    assert served(one) == {"192.0.2.3"}
    gone = one.load(DataSet({APEX: zone()}), 7.0)
    assert "pool web: ok -> absent: reload" in told(gone.events) and not one.snapshot(7.0)["directors"]
    assert one.report("lvs1", listed(1), 8.0) is NOTHING


def test_another_door_is_another_director() -> None:
    one = started(said=listed(1, 2))
    one.load(data(ALONE, replace(LVS, interval=1.0)), 3.0)
    assert one.settled(3.0) and state(one)["state"] == "ok"
    one.load(data(ALONE, replace(LVS, url="http://192.0.2.5/metrics")), 4.0)
    assert not one.settled(4.0) and len(served(one)) == 2  # the old one's last word holds


def test_who_follows_is_shown() -> None:
    one = started(JUDGED, table(server(1, 5, active=7, inactive=2, total=99), server(2), server(3)))
    following = state(one, 4.0)["following"]
    assert following["director"] == "lvs1" and following["members_from"] == "zone"
    assert following["follows"] == [{"director": "lvs1", "part": PART, "age": 2.0}]
    voice = {
        **{"name": "lvs1", "word": "up", "why": "up at lvs1", "since": 2.0, "weight": 5},
        **{"active": 7, "inactive": 2, "total": 99},
    }
    assert state(one, 4.0)["members"]["web1"]["director"] == voice
    found = one.explain(WWW, wire.A, 4.0)
    assert found["pool"]["members"]["web1"]["director"] == voice
    json.dumps(one.snapshot(4.0))
    one.report("lvs1", table(server(1, 5, active=9), server(2), server(3)), 5.0)
    assert state(one, 5.0)["members"]["web1"]["director"]["active"] == 9


# -------------------------------------------------------------------- pools of VIPs

VIPS = Pool(
    "web",
    (Member("lvs1", ("203.0.113.10",)), Member("lvs2", ("203.0.113.20",))),
    following=(
        Following("lvs1", "203.0.113.10:80", "virtual", "lvs1", quorum=2, master="ka1/VI_1"),
        Following("lvs1", "203.0.113.20:80", "virtual", "lvs2", quorum=1, master="ka1/VI_2"),
    ),
    weight_from="director",
)


def test_vips_go_by_capacity_quorum_and_mastery() -> None:
    one = Roster()
    one.load(data(VIPS, LVS, Director("ka1", "keepalived", fifo="/run/vrrp")), 1.0)
    behind = {"203.0.113.10:80": (server(1, 3), server(2, 1)), "203.0.113.20:80": (server(3, 2),)}
    one.report("ka1", vrrp_table({"VI_1": "MASTER", "VI_2": "MASTER"}), 2.0)
    one.report("lvs1", DirectorTable(behind), 2.0)
    assert served(one) == {"lvs1", "lvs2"}
    ring = [slot[0] for slot in one.ring_members(WWW_A)]
    assert ring.count("lvs1") == 2 * ring.count("lvs2")  # 4 and 2
    one.report("ka1", vrrp_table({"VI_1": "BACKUP", "VI_2": "MASTER"}), 3.0)
    assert served(one) == {"lvs2"} and words(one) == {"lvs1": "drained", "lvs2": "up"}
    one.report("ka1", vrrp_table({"VI_1": "MASTER", "VI_2": "MASTER"}), 4.0)
    assert served(one) == {"lvs1", "lvs2"}
    less = DirectorTable(behind | {"203.0.113.10:80": (server(1, 3),)})
    gone = one.report("lvs1", less, 5.0)
    assert served(one) == {"lvs2"} and words(one)["lvs1"] == "down"
    assert "1 of 1 servers up in 203.0.113.10:80 at lvs1, quorum 2" in told(gone.events)[0]
    follows = state(one, 6.0)["following"]["follows"]
    assert [(each["herald"], each["master"]) for each in follows] == [("ka1/VI_1", True), ("ka1/VI_2", True)]
    assert one.snapshot(6.0)["directors"]["ka1"]["instances"] == {"VI_1": "MASTER", "VI_2": "MASTER"}
    json.dumps(one.snapshot(6.0))


# -------------------------------------------------------------------- whatever comes

ROWS = st.lists(
    st.builds(
        Report,
        st.just(""),
        st.sampled_from([f"192.0.2.{number}" for number in range(1, 6)] + ["0.0.0.0", "fe80::1", "", "x"]),
        st.just(80),
        st.sampled_from(["up", "down", "drain", "maint", "?"]),
        weight=st.none() | st.integers(-1, 70000),
    ),
    max_size=6,
)


@given(
    st.lists(st.tuples(ROWS.map(lambda rows: DirectorTable({PART: tuple(rows)})) | st.text(max_size=3), st.booleans())),
    st.sampled_from([ALONE, replace(ALONE, checks=("web",)), JUDGED, replace(JUDGED, checks=())]),
)
def test_lies_never_empty_a_pool(said: list[tuple[DirectorTable | str, bool]], pool: Pool) -> None:
    one = started(pool, listed(1, 2, 3))
    now = 3.0
    for table_, late in said:
        now += 31.0 if late else 2.0
        if late:
            one.advance(now)
        one.report("lvs1", table_, now)
        assert served(one) and rcode(one) == 0
        assert set(one.targets()) == ({CHECK.key(each) for each in addresses(one)} if pool.checks else set())


def addresses(one: Roster) -> set[str]:
    return {address for member in one.duties["web"].pool.members for address in member.addresses}


# -------------------------------------------------------------------- agents on the members themselves


def test_an_agent_s_words_and_per_cent() -> None:
    one = started(replace(JUDGED, following=()))
    half = one.observe(CHECK.key("192.0.2.1"), Result(True, "up 50%", weight=50), 3.0)
    assert half.changes and not half.events
    ring = [slot[0] for slot in one.ring_members(WWW_A)]
    assert 2 * ring.count("web1") == ring.count("web2") == ring.count("web3")
    assert state(one)["members"]["web1"]["effective_weight"] == 0.5
    assert one.observe(CHECK.key("192.0.2.1"), GOOD, 4.0) is NOTHING  # what it does not repeat stays
    gone = one.observe(CHECK.key("192.0.2.1"), Result(True, "drain", word="drain"), 5.0)
    assert told(gone.events) == ["member web/web1: up -> drained: its agent says drain"]
    assert served(one) == {"web2", "web3"}
    one.load(data(replace(JUDGED, following=(), quorum=2)), 6.0)
    assert served(one) == {"web2", "web3"}
    back = one.observe(CHECK.key("192.0.2.1"), Result(True, "ready 100%", weight=100, word="ready"), 7.0)
    assert [event.after for event in back.events] == ["up"] and len(served(one)) == 3
    zero = one.observe(CHECK.key("192.0.2.2"), Result(True, "0%", weight=0), 8.0)
    assert told(zero.events) == ["member web/web2: up -> drained: its agent says 0%"]
