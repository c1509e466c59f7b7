"""zonefile: directors, and pools that follow them, as they come out of the files."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_zonefile_schema import fits

from rrdns.model import DataSet, Director, Following, Member
from rrdns.zonefile import load

FOLDER = Path(__file__).parent / "zones" / "directors"
FILES = {one.name: one.read_bytes() for one in sorted(FOLDER.glob("*.yaml"))}


@pytest.fixture(scope="module")
def data() -> DataSet:
    result = load(FILES)
    assert [str(problem) for problem in result.problems] == []
    assert result.dataset is not None
    return result.dataset


def follows(data: DataSet, pool: str) -> tuple[Following, ...]:
    return data.pools[pool].following


def test_directors(data: DataSet) -> None:
    assert data.directors["lvs1"] == Director(
        "lvs1",
        "ipvs",
        url="http://10.0.0.5:9100/metrics",
        user="rrdns",
        password_from="file:/etc/rrdns/lvs1",
        master="ka1",
    )
    second = data.directors["lvs2"]
    assert (second.interval, second.timeout, second.stale_after, second.verify) == (1.0, 2.0, 60.0, False)
    assert data.directors["local"].socket == "netlink"
    assert data.directors["hatcp"].timeout == 0.5
    assert data.directors["tool"].command == ("/usr/local/bin/list", "--all")
    assert data.directors["load1"].socket == "192.0.2.11"
    assert data.directors.keys() == {
        *("lvs1", "lvs2", "local", "ka1", "ka2", "ha", "hatcp", "apache", "jk", "envoy", "squid"),
        *("load1", "list", "page", "tool"),
    }


def test_pools_that_follow(data: DataSet) -> None:
    assert follows(data, "dir-live") == (Following("local", "203.0.113.10:80", sorry="10.0.0.99"),)
    assert not data.pools["dir-live"].members and data.pools["dir-live"].weight_from == "director"
    longest_first = (("10.0.0.9/32", "198.51.100.9/32"), ("10.0.0.0/24", "203.0.113.0/24"))
    assert follows(data, "dir-nat") == (Following("lvs1", "fwm:7", map=longest_first),)
    assert [one.part for one in follows(data, "dir-pair")] == ["[2001:db8::1]:80"] * 2
    assert follows(data, "dir-haproxy") == (Following("ha", "web", weight_zero="down"),)
    assert follows(data, "dir-squid") == (Following("squid"),)
    assert [(one.director, one.part) for one in follows(data, "dir-lists")] == [
        ("list", "web"),
        ("page", "web"),
        ("tool", ""),
    ]
    assert data.pools["place.example.org"].following == (Following("list", "place"),)


def test_whose_weights_count(data: DataSet) -> None:
    assert {name: pool.weight_from for name, pool in data.pools.items() if pool.weight_from == "zone"} == {
        "dir-tcp": "zone",  # a member has one
        "dir-apache": "zone",  # it says so
        "dir-vips-met": "zone",
    }


def test_members_that_are_vips(data: DataSet) -> None:
    assert follows(data, "dir-vips") == (
        Following("lvs1", "203.0.113.10:80", "virtual", "vip1", quorum=2),
        Following("lvs2", "203.0.113.10:80", "virtual", "vip1", quorum=2),
        Following("lvs2", "203.0.113.11:80/udp", "virtual", "vip2"),
    )
    assert follows(data, "dir-load") == (Following("load1", "", "virtual", "a"),)


def test_vips_of_a_pool_without_members_are_its_members(data: DataSet) -> None:
    made = data.pools["dir-vips-made"]
    assert made.members == (Member("lvs1", ("203.0.113.10",)), Member("lvs2", ("203.0.113.20",)))
    assert made.following == (
        Following("lvs1", "203.0.113.10:80", "virtual", "lvs1", quorum=2, master="ka2/VI_1"),
        Following("lvs1", "203.0.113.10:443", "virtual", "lvs1", quorum=2, master="ka2/VI_1"),
        Following("lvs2", "203.0.113.20:80", "virtual", "lvs2", master="ka2"),
    )
    assert made.weight_from == "director"
    shared = data.pools["dir-vips-shared"]
    assert shared.members == (
        Member("203.0.113.10", ("203.0.113.10",)),
        Member("2001:db8::10", ("2001:db8::10",)),
        Member("local", ("203.0.113.30",)),
    )
    assert [one.member for one in shared.following] == ["203.0.113.10", "203.0.113.10", "2001:db8::10", "local"]


def test_vips_are_met_among_members_by_address(data: DataSet) -> None:
    pool = data.pools["dir-vips-met"]
    assert [one.name for one in pool.members] == ["first", "second", "third"] and pool.weight_from == "zone"
    assert [one.member for one in pool.following] == ["first", "second"]


def test_a_fifo_may_stand_beside_a_path(data: DataSet) -> None:
    assert data.directors["ka2"].fifo == "/run/keepalived/notify.fifo"
    assert data.directors["ka2"].path == "/tmp/keepalived.json"


def test_a_director_nobody_follows_is_told_and_not_asked() -> None:
    files = {"pools.yaml": b"directors: {a: {type: ipvs}, b: {type: file, path: /x}}\npools: {p: {director: b}}\n"}
    result = load(files)
    assert "directors.a: no pool follows this director: it is not asked" in str(result.problems[0])
    assert result.dataset is not None and result.dataset.directors.keys() == {"b"}


def test_a_faulty_director_blames_nobody_who_follows_it() -> None:
    files = {"pools.yaml": b"directors: {a: {type: ipvz}, b: 7}\npools: {p: {director: a}, q: {director: b}}\n"}
    assert [problem.path for problem in load(files).problems] == ["directors.a.type", "directors.b"]


def test_editors_know_the_shape() -> None:
    assert fits("pools", FILES["directors.pools.yaml"]) and fits("zone", FILES["example.org.yaml"])


@pytest.mark.parametrize(
    "text",
    [
        "directors: {a: {type: ipvz}}",
        "directors: {a: {type: file}}",
        "directors: {a: {type: http, url: 'ftp://x'}}",
        "directors: {a: {type: ipvs, password: secret}}",
        "pools: {p: {director: {virtual: 192.0.2.1:80}}}",
        "pools: {p: {director: {name: a, virtuell: 192.0.2.1:80}}}",
        "pools: {p: {director: {name: a, weight_zero: up}}}",
        "pools: {p: {director: [7]}}",
        "pools: {p: {quorum: 1}}",
    ],
)
def test_editors_mark_mistakes(text: str) -> None:
    assert not fits("pools", text)
