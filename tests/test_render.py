"""render: what zones answer, looked at through the workers' own table and dnspython's parser."""

from __future__ import annotations

from itertools import pairwise

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns import answers, render, wire
from rrdns.answers import DEFAULT, NO_CHANGES, Changes, Node, key
from rrdns.model import RRset, Service, Zone
from rrdns.server.respond import AnswerTable


def name(text: str) -> bytes:
    return wire.name_from_text(text, b"\0").lower()


APEX = name("example.com.")
SUB = name("sub.example.com.")


def rdata(rtype: str, text: str) -> bytes:
    return dns.rdata.from_text("IN", rtype, text).to_wire() or b""


def rrset(owner: str, rtype: str, *values: str, ttl: int = 300) -> RRset:
    return RRset(name(owner), wire.type_number(rtype), ttl, tuple(rdata(rtype, value) for value in values))


def soa(apex: str, minimum: int = 60, ttl: int = 3600) -> RRset:
    return rrset(apex, "SOA", f"ns1.{apex} hostmaster.{apex} 7 3600 600 1209600 {minimum}", ttl=ttl)


def zone(apex: str, *rrsets: RRset, services: tuple[Service, ...] = (), minimum: int = 60, soa_ttl: int = 3600) -> Zone:
    first = (soa(apex, minimum, soa_ttl), rrset(apex, "NS", f"ns1.{apex}"))
    return Zone(name(apex), 7, (*first, *rrsets), services)


def table(*zones: Zone) -> AnswerTable:
    return loaded(render.zone_table({one.name: one for one in zones}))


def loaded(changes: Changes) -> AnswerTable:
    result = AnswerTable()
    result.stage(changes)
    result.commit(1, fresh=True)
    return result


def ask(server: AnswerTable, owner: str, rtype: str) -> dns.message.Message:
    query = dns.message.make_query(owner, rtype, use_edns=0, payload=1232)
    reply = server.reply(query.to_wire())
    assert reply is not None
    message = dns.message.from_wire(reply)
    assert query.is_response(message)
    return message


def lines(section: list[dns.rrset.RRset]) -> list[str]:
    return [line for one in section for line in one.to_text().split("\n")]


def outcome(message: dns.message.Message) -> str:
    """One word for what kind of reply it is."""
    if message.rcode() != dns.rcode.NOERROR:
        return dns.rcode.to_text(message.rcode())
    if message.answer:
        return "ANSWER"
    return "NODATA" if message.flags & dns.flags.AA else "REFERRAL"


# -------------------------------------------------------------------- plain records


def test_an_address_record_is_sixteen_bytes_behind_the_question() -> None:
    sets = render.zone_table({APEX: zone("example.com.", rrset("www.example.com.", "A", "192.0.2.1"))}).sets
    one = sets[key(name("www.example.com."), wire.A)]
    assert one is not None
    (body,) = one.bodies
    assert body.data == b"\xc0\x0c\0\1\0\1" + (300).to_bytes(4, "big") + b"\0\4\xc0\0\2\1"
    assert (body.flags, body.counts, body.owners, body.alias) == (answers.AUTHORITATIVE, (1, 0, 0), (0,), -1)
    assert not one.counted


def test_types_keep_their_data() -> None:
    server = table(
        zone(
            "example.com.",
            rrset("example.com.", "MX", "10 mail.Example.com.", "20 mx.other.test."),
            rrset("mail.example.com.", "A", "192.0.2.25"),
            rrset("mail.example.com.", "AAAA", "2001:db8::25"),
            rrset("example.com.", "TXT", '"hello world"'),
            rrset("_sip._tcp.example.com.", "SRV", "1 2 5060 mail.example.com."),
            rrset("svc.example.com.", "HTTPS", "1 mail.example.com. alpn=h2"),
        )
    )
    assert lines(ask(server, "example.com.", "TXT").answer) == ['example.com. 300 IN TXT "hello world"']
    mx = ask(server, "example.com.", "MX")
    assert sorted(lines(mx.answer)) == [
        "example.com. 300 IN MX 10 mail.Example.com.",
        "example.com. 300 IN MX 20 mx.other.test.",
    ]
    both = ["mail.example.com. 300 IN A 192.0.2.25", "mail.example.com. 300 IN AAAA 2001:db8::25"]
    assert [line.lower() for line in lines(mx.additional)] == [line.lower() for line in both]
    assert lines(ask(server, "_sip._tcp.example.com.", "SRV").additional) == both
    assert lines(ask(server, "svc.example.com.", "HTTPS").additional) == both


def test_extra_names_only_targets_this_zone_has_addresses_for() -> None:
    service = Service(name("pool.example.com."), APEX, "web")
    sets = render.render_zone(
        zone(
            "example.com.",
            rrset("in.example.com.", "A", "192.0.2.1"),
            rrset("text.example.com.", "TXT", "x"),
            rrset("cut.example.com.", "NS", "ns.cut.example.com."),
            rrset("ns.cut.example.com.", "A", "192.0.2.2"),
            rrset("m.example.com.", "MX", "1 in.example.com."),
            rrset("m2.example.com.", "MX", "1 pool.example.com."),
            *(
                rrset(f"n{i}.example.com.", "MX", f"1 {target}")
                for i, target in enumerate(
                    ["text.example.com.", "ns.cut.example.com.", "absent.example.com.", "in.example.net.", "."]
                )
            ),
            services=(service,),
        )
    ).sets

    def extra(owner: str) -> tuple[int, ...]:
        return sets[key(name(owner), wire.MX)].bodies[0].extra

    assert extra("m.example.com.") == extra("m2.example.com.") == (14,)
    assert [extra(f"n{i}.example.com.") for i in range(5)] == [()] * 5


@given(st.integers(1, 40))
def test_static_sets_rotate(size: int) -> None:
    values = [f"192.0.2.{i}" for i in range(size)]
    ring = render.render_zone(zone("example.com.", rrset("www.example.com.", "A", *values))).sets[
        key(name("www.example.com."), wire.A)
    ]
    assert len(ring.bodies) == len(ring.slots) == min(size, render.MAX_ROTATIONS)
    firsts = []
    for body in ring.bodies:
        given_values = [tuple(body.data[at + 12 : at + 16]) for at in body.owners]
        at = given_values[0][3]
        assert given_values == [(192, 0, 2, (at + i) % size) for i in range(size)]
        firsts.append(at)
    assert firsts[0] == 0
    steps = [b - a for a, b in pairwise([*firsts, size])]
    assert max(steps) - min(steps) <= 1  # evenly apart


# -------------------------------------------------------------------- names that exist


def test_negative_answers_and_empty_names() -> None:
    server = table(zone("example.com.", rrset("a.b.c.example.com.", "A", "192.0.2.1"), minimum=60, soa_ttl=30))
    assert outcome(ask(server, "a.b.c.example.com.", "AAAA")) == "NODATA"
    assert outcome(ask(server, "b.c.example.com.", "A")) == "NODATA"
    assert outcome(ask(server, "c.example.com.", "ANY")) == "NODATA"
    assert outcome(ask(server, "x.c.example.com.", "A")) == "NXDOMAIN"
    assert outcome(ask(server, "x.a.b.c.example.com.", "A")) == "NXDOMAIN"
    assert outcome(ask(server, "example.net.", "A")) == "REFUSED"
    for message in (ask(server, "b.c.example.com.", "A"), ask(server, "no.example.com.", "A")):
        assert message.flags & dns.flags.AA
        assert lines(message.authority) == [
            "example.com. 30 IN SOA ns1.example.com. hostmaster.example.com. 7 3600 600 1209600 60"
        ]


def test_negative_ttl_is_the_smaller_of_soa_ttl_and_minimum() -> None:
    for minimum, ttl in ((60, 3600), (3600, 60)):
        message = ask(table(zone("example.com.", minimum=minimum, soa_ttl=ttl)), "no.example.com.", "A")
        assert message.authority[0].ttl == 60


def test_any_is_one_hinfo() -> None:
    server = table(zone("example.com.", rrset("www.example.com.", "A", "192.0.2.1")))
    assert lines(ask(server, "www.example.com.", "ANY").answer) == ['www.example.com. 3600 IN HINFO "RFC8482" ""']


def test_wildcards() -> None:
    server = table(
        zone(
            "example.com.",
            rrset("*.dev.example.com.", "A", "192.0.2.1"),
            rrset("is.there.dev.example.com.", "TXT", "x"),
        )
    )
    assert lines(ask(server, "a.b.dev.example.com.", "A").answer) == ["a.b.dev.example.com. 300 IN A 192.0.2.1"]
    assert outcome(ask(server, "a.dev.example.com.", "AAAA")) == "NODATA"
    assert outcome(ask(server, "there.dev.example.com.", "A")) == "NODATA"  # an empty non-terminal stops the wildcard
    assert outcome(ask(server, "x.there.dev.example.com.", "A")) == "NXDOMAIN"


# -------------------------------------------------------------------- aliases


def test_cname_is_followed_inside_the_zone() -> None:
    server = table(
        zone(
            "example.com.",
            rrset("a.example.com.", "CNAME", "B.example.com."),
            rrset("b.example.com.", "A", "192.0.2.1", ttl=20),
            rrset("out.example.com.", "CNAME", "www.example.net."),
        )
    )
    chain = ["a.example.com. 300 IN CNAME b.example.com.", "b.example.com. 20 IN A 192.0.2.1"]
    assert [line.lower() for line in lines(ask(server, "a.example.com.", "A").answer)] == [one.lower() for one in chain]
    assert outcome(ask(server, "a.example.com.", "AAAA")) == "ANSWER"
    assert len(lines(ask(server, "a.example.com.", "CNAME").answer)) == 1
    assert lines(ask(server, "a.example.com.", "ANY").answer) == ["a.example.com. 300 IN CNAME B.example.com."]
    assert lines(ask(server, "out.example.com.", "A").answer) == ["out.example.com. 300 IN CNAME www.example.net."]


def test_dname_rewrites_what_is_below_and_hides_it() -> None:
    server = table(
        zone(
            "example.com.",
            rrset("old.example.com.", "DNAME", "new.example.com."),
            rrset("old.example.com.", "TXT", "still here"),
            rrset("www.old.example.com.", "A", "192.0.2.9"),
            rrset("www.new.example.com.", "A", "192.0.2.1"),
        )
    )
    assert lines(ask(server, "www.old.example.com.", "A").answer) == [
        "old.example.com. 300 IN DNAME new.example.com.",
        "www.old.example.com. 300 IN CNAME www.new.example.com.",
        "www.new.example.com. 300 IN A 192.0.2.1",
    ]
    assert outcome(ask(server, "old.example.com.", "TXT")) == "ANSWER"
    assert outcome(ask(server, "old.example.com.", "A")) == "NODATA"


# -------------------------------------------------------------------- delegations


CUT_ZONE = zone(
    "example.com.",
    rrset("sub.example.com.", "NS", "ns1.sub.example.com.", "ns.example.net.", "side.example.com."),
    rrset("sub.example.com.", "A", "192.0.2.66"),
    rrset("ns1.sub.example.com.", "A", "192.0.2.53"),
    rrset("ns1.sub.example.com.", "AAAA", "2001:db8::53"),
    rrset("side.example.com.", "A", "192.0.2.54"),
    rrset("deep.sub.example.com.", "NS", "ns1.sub.example.com."),
    rrset("signed.example.com.", "NS", "ns.example.net."),
    rrset("signed.example.com.", "DS", "1 13 2 " + "00" * 32),
)


@pytest.mark.parametrize(
    "owner", ["sub.example.com.", "x.sub.example.com.", "ns1.sub.example.com.", "a.deep.sub.example.com."]
)
def test_referral_at_and_below_a_cut(owner: str) -> None:
    message = ask(table(CUT_ZONE), owner, "A")
    assert outcome(message) == "REFERRAL"
    assert sorted(lines(message.authority)) == [
        "sub.example.com. 300 IN NS ns.example.net.",
        "sub.example.com. 300 IN NS ns1.sub.example.com.",
        "sub.example.com. 300 IN NS side.example.com.",
    ]
    assert sorted(lines(message.additional)) == [
        "ns1.sub.example.com. 300 IN A 192.0.2.53",
        "ns1.sub.example.com. 300 IN AAAA 2001:db8::53",
        "side.example.com. 300 IN A 192.0.2.54",
    ]


def test_nothing_is_stored_below_a_cut() -> None:
    changes = render.zone_table({APEX: CUT_ZONE})
    below = [one for one in changes.nodes if wire.is_within(one, SUB)]
    assert below == [SUB]
    assert {one for one in changes.sets if one[: len(SUB)].endswith(SUB)} == {key(SUB, DEFAULT)}


def test_ds_at_a_cut_is_ours() -> None:
    server = table(CUT_ZONE)
    assert outcome(ask(server, "sub.example.com.", "DS")) == "NODATA"
    assert lines(ask(server, "signed.example.com.", "DS").answer) == [
        "signed.example.com. 300 IN DS 1 13 2 " + "00" * 32
    ]
    assert outcome(ask(server, "signed.example.com.", "DNSKEY")) == "REFERRAL"


def test_a_child_zone_served_too_wins_over_the_cut_but_for_ds() -> None:
    child = zone("sub.example.com.", rrset("x.sub.example.com.", "A", "192.0.2.7"), minimum=5)
    server = table(CUT_ZONE, child)
    assert lines(ask(server, "x.sub.example.com.", "A").answer) == ["x.sub.example.com. 300 IN A 192.0.2.7"]
    assert outcome(ask(server, "deep.sub.example.com.", "A")) == "NXDOMAIN"
    assert lines(ask(server, "sub.example.com.", "NS").answer) == ["sub.example.com. 300 IN NS ns1.sub.example.com."]
    ds = ask(server, "sub.example.com.", "DS")
    assert outcome(ds) == "NODATA" and ds.authority[0].name == dns.name.from_text("example.com.")
    soa_of_child = ask(server, "sub.example.com.", "MX").authority[0]
    assert soa_of_child.name == dns.name.from_text("sub.example.com.")


def test_a_child_zone_without_a_cut_or_far_below() -> None:
    far = zone("a.b.example.com.")
    server = table(zone("example.com.", rrset("a.b.example.com.", "DS", "1 13 2 " + "11" * 32)), far)
    assert outcome(ask(server, "b.example.com.", "A")) == "NODATA"
    assert outcome(ask(server, "a.b.example.com.", "DS")) == "ANSWER"
    below_cut = table(zone("example.com.", rrset("b.example.com.", "NS", "ns.example.net.")), far)
    assert outcome(ask(below_cut, "x.b.example.com.", "A")) == "REFERRAL"
    assert outcome(ask(below_cut, "a.b.example.com.", "SOA")) == "ANSWER"
    ds = ask(below_cut, "a.b.example.com.", "DS")  # our parent is not the one that delegates
    assert outcome(ds) == "NODATA" and ds.authority[0].name == dns.name.from_text("a.b.example.com.")


def test_children_are_the_next_ones_down() -> None:
    found = render.children(
        [name(one) for one in ("example.com.", "b.example.com.", "a.b.example.com.", "example.net.")]
    )
    assert found[APEX] == (name("b.example.com."),)
    assert found[name("b.example.com.")] == (name("a.b.example.com."),)
    assert found[name("example.net.")] == ()
    assert render.children([b"\0", APEX])[b"\0"] == (APEX,)


# -------------------------------------------------------------------- POOL names

WWW = name("www.example.com.")
SERVICE = Service(WWW, APEX, "web", ttl=20, ttl_min=5)


def packed(*hosts: int) -> tuple[bytes, ...]:
    return tuple(bytes((192, 0, 2, one)) for one in hosts)


def test_a_pool_name_has_a_short_nodata_and_keeps_its_other_types() -> None:
    changes = render.zone_table(
        {APEX: zone("example.com.", rrset("www.example.com.", "TXT", "x"), services=(SERVICE,), minimum=300)}
    )
    assert changes.nodes[WWW] == Node(APEX, answers.OWN)
    server = loaded(changes)
    assert outcome(ask(server, "www.example.com.", "TXT")) == "ANSWER"
    for rtype in ("A", "AAAA", "MX", "DS"):
        message = ask(server, "www.example.com.", rtype)
        assert outcome(message) == "NODATA" and message.authority[0].ttl == 20
    assert outcome(ask(server, "www.example.com.", "ANY")) == "ANSWER"
    assert ask(server, "no.example.com.", "A").authority[0].ttl == 300


@pytest.mark.parametrize("owner", ["example.com.", "*.example.com.", "deep.down.example.com."])
def test_a_pool_may_stand_anywhere(owner: str) -> None:
    service = Service(name(owner), APEX, "web")
    sets = render.service_sets(service, [packed(1), packed(2)], [], 20)
    changes = render.zone_table({APEX: zone("example.com.", services=(service,))})
    server = loaded(Changes({**changes.sets, **sets}, changes.nodes, changes.zones))
    asked = owner.replace("*", "x")
    given_lines = [lines(ask(server, asked, "A").answer)[0] for _ in range(4)]
    assert given_lines == [f"{asked} 20 IN A 192.0.2.{i}" for i in (1, 2, 1, 2)]
    assert outcome(ask(server, asked, "AAAA")) == "NODATA"
    assert outcome(ask(server, "example.com.", "SOA")) == "ANSWER"


def test_pools_out_of_reach_are_no_services() -> None:
    hidden = Service(name("www.sub.example.com."), APEX, "web")
    rendered = render.render_zone(
        zone("example.com.", rrset("sub.example.com.", "NS", "ns.example.net."), services=(hidden,))
    )
    assert rendered.services == ()
    assert render.render_zone(zone("example.com.", services=(hidden,)), (SUB,)).services == ()


def test_service_sets_store_equal_slots_once_and_are_counted() -> None:
    sets = render.service_sets(SERVICE, [packed(1, 2), packed(2, 1), packed(1, 2)], [(bytes(16),)], 7)
    v4, v6 = sets[key(WWW, wire.A)], sets[key(WWW, wire.AAAA)]
    assert v4 is not None and v6 is not None
    assert v4.slots == (0, 1, 0) and len(v4.bodies) == 2 and v4.counted
    assert v4.bodies[0].counts == (2, 0, 0) and v4.bodies[0].owners == (0, 16)
    assert v6.bodies[0].data[-18:] == b"\0\x10" + bytes(16)
    assert v6.bodies[0].data[6:10] == (7).to_bytes(4, "big")
    nothing = render.service_sets(SERVICE, [], [], 7)
    assert nothing == {key(WWW, wire.A): None, key(WWW, wire.AAAA): None}
    failing = render.service_sets(SERVICE, [], [], 7, render.SERVFAIL_SET)
    assert set(failing.values()) == {render.SERVFAIL_SET}


def test_the_same_zones_give_the_same_table() -> None:
    child = zone("sub.example.com.")
    one = render.zone_table({APEX: CUT_ZONE, child.name: child})
    other = render.zone_table({child.name: child, APEX: CUT_ZONE})
    assert one == other and list(one.sets) == list(other.sets) and list(one.nodes) == list(other.nodes)
    assert not NO_CHANGES and one
