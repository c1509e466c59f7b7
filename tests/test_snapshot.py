"""snapshot and explanation: plain data of the promised shape, and the same as the workers answer."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from small_roster import APEX, BOTH, WWW, WWW_A, WWW_AAAA, dataset, fail, members, name, override, started, zone

from rrdns import wire
from rrdns.answers import Body, Changes, key
from rrdns.model import DataSet, Member, RRset, Service
from rrdns.server.respond import AnswerTable


def addresses(body: Body) -> list[str]:
    size = 16 if body.data[2:4] == b"\0\1" else 28
    return [".".join(map(str, body.data[at + 12 : at + size])) for at in body.owners]


# -------------------------------------------------------------------- pictures


def test_snapshot_is_plain_data_of_the_promised_shape() -> None:
    one = started(dataset(members=(*BOTH, Member("web3", ("192.0.2.3",), 2))))
    fail(one, 3, 10.0)
    one.override(override("drain", 2, until=100.0), 20.0)
    picture = one.snapshot(30.0, wall=1.7e9 + 60)
    assert json.loads(json.dumps(picture)) == picture
    pool = picture["pools"]["web"]
    assert pool["serving"] == ["web1"] and pool["state"] == "ok" and pool["queue"] == []
    assert pool["members"]["web1"]["share"] == 1.0 and pool["members"]["web3"]["effective_weight"] == 0.0
    down = pool["members"]["web3"]["addresses"][0]
    assert down["state"] == "down" and down["reason"] == "HTTP 503" and down["since"] == 18.0
    assert down["checks"][0]["seen_age"] == 18.0 and down["checks"][0]["check"] == "web"
    assert pool["members"]["web2"]["override"]["since"] == 60.0 and picture["overrides"][0]["left"] == 70.0
    assert picture["services"]["www.lb.example.com."]["slots"] == {"A": 1, "AAAA": 1}
    assert picture["zones"] == {"lb.example.com.": {"serial": 7, "names": 2}}


EXPLAINED = DataSet(
    {
        APEX: zone(
            Service(WWW, APEX, "web"),
            Service(name("*.wild.lb.example.com."), APEX, "web", answers=1),
            rrsets=(
                RRset(name("a.b.lb.example.com."), wire.TXT, 300, (b"\1x",)),
                RRset(name("alias.lb.example.com."), wire.CNAME, 300, (WWW,)),
                RRset(name("out.lb.example.com."), wire.CNAME, 300, (name("www.example.net."),)),
                RRset(name("loop.lb.example.com."), wire.CNAME, 300, (name("loop.lb.example.com."),)),
                RRset(name("cut.lb.example.com."), wire.NS, 300, (name("ns.cut.lb.example.com."),)),
                RRset(name("ns.cut.lb.example.com."), wire.A, 300, (bytes((192, 0, 2, 53)),)),
                RRset(name("old.lb.example.com."), wire.DNAME, 300, (name("wild.lb.example.com."),)),
                RRset(name("*.txt.lb.example.com."), wire.TXT, 300, (b"\1y",)),
                RRset(name("odd.lb.example.com."), 65400, 300, (b"\0\1\2",)),
            ),
        )
    },
    dataset().pools,
    dataset().checks,
)


@pytest.mark.parametrize(
    ("owner", "rtype", "found", "at"),
    [
        ("www", "A", "pool", "www"),
        ("www", "AAAA", "pool", "www"),
        ("www", "MX", "nodata", "www"),
        ("x.wild", "A", "pool", "*.wild"),
        ("a.b", "TXT", "static", "a.b"),
        ("odd", "TYPE65400", "static", "odd"),
        ("b", "TXT", "nodata", "b"),
        ("b", "ANY", "nodata", "b"),
        ("a.b", "ANY", "any", "a.b"),
        ("z.txt", "TXT", "static", "*.txt"),
        ("z.txt", "A", "nodata", "*.txt"),
        ("no.such", "A", "nxdomain", ""),
        ("x.a.b", "A", "nxdomain", "a.b"),
        ("alias", "A", "alias", "alias"),
        ("alias", "CNAME", "static", "alias"),
        ("out", "A", "alias", "out"),
        ("loop", "A", "alias", "loop"),
        ("cut", "A", "referral", "cut"),
        ("ns.cut", "A", "referral", "cut"),
        ("cut", "DS", "nodata", "cut"),
        ("y.old", "A", "rewrite", "old"),
        ("old", "DNAME", "static", "old"),
    ],
)
def test_explain_says_what_the_workers_answer(owner: str, rtype: str, found: str, at: str) -> None:
    one = started(EXPLAINED)
    asked, number = name(f"{owner}.lb.example.com."), wire.type_number(rtype)
    told_ = one.explain(asked, number, 5.0)
    assert json.loads(json.dumps(told_)) == told_
    assert (told_["found"], told_["at"]) == (found, f"{at}.lb.example.com." if at else "lb.example.com.")
    assert told_["why"] and told_["zone"] == "lb.example.com."
    table = AnswerTable()
    table.stage(Changes(one.answers, one.nodes, one.zones))
    table.commit(1)
    body = table.find(asked, number.to_bytes(2, "big") + b"\0\1").bodies[0]
    if told_["reply"] is not None:
        reply = told_["reply"]
        assert tuple(len(reply[part]) for part in ("answer", "authority", "additional")) == body.counts
        assert reply["aa"] is bool(body.flags & wire.AA)
        assert (reply["rcode"] == "NXDOMAIN") is (body.flags & 15 == wire.NXDOMAIN)


def test_explain_of_a_pool_tells_the_whole_chain() -> None:
    one = started(EXPLAINED)
    fail(one, 2, 10.0)
    one.override(override("drain", 3), 20.0)
    found = one.explain(name("x.wild.lb.example.com."), wire.A, 30.0)
    members_ = found["pool"]["members"]
    assert members_["web2"]["serves"] is False and members_["web2"]["serves_why"] == "down"
    assert members_["web3"]["serves_why"].startswith("drained")
    assert members_["web1"]["serves_why"] == "available"
    assert found["ring"]["members"]["web1"] == {"due": 1.0, "inside": 1.0, "first": 1.0, "addresses": 1}
    assert found["ring"]["first"] == [["web1"]]
    assert found["service"]["ttl"] == 20 and found["service"]["name"] == "*.wild.lb.example.com."
    assert found["reply"]["answer"] == ["x.wild.lb.example.com. 20 IN A 192.0.2.1"]
    chain = one.explain(name("alias.lb.example.com."), wire.A, 30.0)
    assert chain["then"]["found"] == "pool" and chain["then"]["name"] == "www.lb.example.com."
    assert one.explain(name("out.lb.example.com."), wire.A, 30.0)["then"] is None
    assert one.explain(name("y.old.lb.example.com."), wire.A, 30.0)["then"]["found"] == "pool"
    assert one.explain(name("example.net."), wire.A, 30.0)["found"] == "refused"


def test_ring_members_are_who_the_slots_answer() -> None:
    data = dataset(members=members(4, (1, 2, 3, 4)))
    one = started(replace(data, zones={APEX: zone(Service(WWW, APEX, "web", answers=2))}))
    ring, slots = one.answers[WWW_A], one.ring_members(WWW_A)
    assert len(slots) == len(ring.slots)
    for slot, who in zip(ring.slots, slots, strict=True):
        assert [f"web{address.rsplit('.', 1)[1]}" for address in addresses(ring.bodies[slot])] == list(who)
    assert one.ring_members(key(APEX, wire.SOA)) == () == one.ring_members(WWW_AAAA)
