"""following: which VRRP instance says whether a director is the master, for which part of its table."""

from __future__ import annotations

from dataclasses import replace

from small_following import LVS, PART, Scene, pool, server, table, web
from test_following import LVS2, VIPS

from rrdns.directors.vrrp import table as keepalived_table
from rrdns.model import Director, DirectorTable, Following


def vrrp(**states: str) -> DirectorTable:
    return keepalived_table(states)


HERALD = Director("ka1", "keepalived")


def test_a_vip_goes_by_the_instance_that_is_named_for_it() -> None:
    """One director, master of one of its VIPs and backup of the other."""
    other = "203.0.113.20:80"
    vips = (
        Following("lvs1", PART, "virtual", "web1", master="ka1/VI_1"),
        Following("lvs1", other, "virtual", "web2", master="ka1/VI_2"),
    )
    one = Scene(pool(*web(2), following=vips), LVS, HERALD)
    one.hear(DirectorTable({PART: (server("10.0.0.1"),), other: (server("10.0.0.1"),)}))
    assert one.words == {"web1": "up", "web2": "up"}  # nobody says
    one.hear(vrrp(VI_1="MASTER", VI_2="BACKUP"), "ka1")
    assert one.words == {"web1": "up", "web2": "drain"} and one.why("web2").startswith("lvs1 is not the master")
    one.hear(vrrp(VI_1="FAULT", VI_2="MASTER"), "ka1")
    one.hear(vrrp(VI_1="FAULT", VI_2="MASTER"), "ka1")
    assert one.words == {"web1": "drain", "web2": "up"} and not one.state.notes
    follows = one.all.of_pool("web", one.now)["follows"]  # type: ignore[index]
    assert [(each["herald"], each["master"]) for each in follows] == [("ka1/VI_1", False), ("ka1/VI_2", True)]
    one.hear(vrrp(VI_2="MASTER"), "ka1")
    assert one.words["web1"] == "up"
    assert one.state.notes == ("ka1 tells of no VRRP instance VI_1, so nobody says who is the master; it has VI_2",)
    told = one.all.snapshot(one.now)["ka1"]
    assert told["instances"] == {"VI_2": "MASTER"} and told["servers"] == 0 and told["pools"] == ["web"]


def test_of_one_vip_on_two_directors_only_the_master_s_counts() -> None:
    vips = (
        Following("lvs1", PART, "virtual", "web1", master="ka1/VI_1"),
        Following("lvs2", PART, "virtual", "web1", master="ka2/VI_1"),
    )
    one = Scene(pool(*web(1), following=vips), LVS, LVS2, HERALD, replace(HERALD, name="ka2"))
    one.hear(table(server("10.0.0.1", 10)))
    one.hear(table(server("10.0.0.1", 10), server("10.0.0.2", 20)), "lvs2")
    one.hear(vrrp(VI_1="BACKUP", VI_2="MASTER"), "ka1")
    one.hear(vrrp(VI_1="MASTER", VI_2="BACKUP"), "ka2")
    assert one.words == {"web1": "up"} and one.weights == {"web1": 30}
    one.hear(vrrp(VI_1="MASTER", VI_2="MASTER"), "ka1")
    one.hear(vrrp(VI_1="BACKUP", VI_2="BACKUP"), "ka2")
    assert one.weights == {"web1": 10}
    one.hear(vrrp(VI_1="BACKUP"), "ka1")
    assert one.words == {"web1": "up"}  # the pool would lose all: it must stand for two readings
    one.hear(table(server("10.0.0.1", 10)))
    one.hear(table(server("10.0.0.1", 10), server("10.0.0.2", 20)), "lvs2")
    assert one.words == {"web1": "drain"}


def test_a_reference_s_herald_outdoes_the_director_s() -> None:
    """Real servers too: whose table counts is a question of this part."""
    other = "203.0.113.20:80"
    pair = (Following("lvs1", other, master="ka1/VI_2"), Following("lvs2", other))
    one = Scene(pool(following=pair), replace(LVS, master="ka1/VI_1"), replace(LVS2, master="ka1"), HERALD)
    one.hear(table(server(1), part=other))
    one.hear(table(server(2), part=other), "lvs2")
    assert set(one.members) == {"192.0.2.1"}
    one.hear(vrrp(VI_1="MASTER", VI_2="BACKUP"), "ka1")  # lvs2: some of its instances, so nobody says
    assert one.state.director == "lvs2"
    one.hear(vrrp(VI_1="BACKUP", VI_2="MASTER"), "ka1")
    assert one.state.director == "lvs1"


def test_a_note_of_a_reading_is_shown() -> None:
    one = Scene(pool(*web(1), following=Following("lvs1", PART, master="ka1")), LVS, HERALD)
    one.hear(replace(vrrp(VI_1="MASTER"), note="odd"), "ka1")
    assert one.all.snapshot(one.now)["ka1"]["reason"] == "odd" and one.all.snapshot(one.now)["ka1"]["state"] == "up"


def test_the_unnamed_instance_of_a_host_with_one() -> None:
    one = Scene(pool(*web(1), following=VIPS[:1]), replace(LVS, master="ka1"), HERALD)
    one.hear(table(server("10.0.0.1"), server("10.0.0.2")))
    one.hear(keepalived_table({"": "BACKUP"}), "ka1")
    one.hear(keepalived_table({"": "BACKUP"}), "ka1")
    assert one.all.snapshot(one.now)["ka1"]["state"] == "up" and one.words["web1"] == "up"  # said once by the table
    one.hear(table(server("10.0.0.1"), server("10.0.0.2")))
    assert one.words["web1"] == "drain"
