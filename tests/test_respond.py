"""The workers' half without sockets: every reply is read back by dnspython, which shares no code with us."""

from __future__ import annotations

import collections

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_zone import ZONE, addresses, name, own, question, small_zone, soa

from rrdns import wire
from rrdns.answers import AUTHORITATIVE, NXDOMAIN, AnswerSet, Changes, ZoneAnswers, key
from rrdns.server.respond import AnswerTable


def table() -> AnswerTable:
    one = AnswerTable()
    one.stage(small_zone())
    one.commit(1, fresh=True)
    return one


def ask(one: AnswerTable, text: str, rtype: str | int = "A", **more: object) -> dns.message.Message:
    number = wire.type_number(rtype) if isinstance(rtype, str) else rtype
    udp = bool(more.pop("udp", True))
    packet = question(text, number, **more)  # type: ignore[arg-type]
    reply = one.reply(packet, udp=udp)
    assert reply is not None
    message = dns.message.from_wire(reply)
    assert message.id == 0x1234
    assert message.flags & dns.flags.QR and not message.flags & (dns.flags.RA | dns.flags.AD | dns.flags.CD)
    return message


CASES = {
    # question: rcode, AA, the types of answer, authority, additional
    ("www", "A"): ("NOERROR", True, ["A"], [], []),
    ("www", "AAAA"): ("NOERROR", True, [], ["SOA"], []),
    ("www", "HTTPS"): ("NOERROR", True, [], ["SOA"], []),
    ("www", "ANY"): ("NOERROR", True, ["HINFO"], [], []),
    ("nothing", "A"): ("NXDOMAIN", True, [], ["SOA"], []),
    ("below.www", "A"): ("NXDOMAIN", True, [], ["SOA"], []),
    ("alias", "A"): ("NOERROR", True, ["CNAME", "A"], [], []),
    ("alias", "CNAME"): ("NOERROR", True, ["CNAME"], [], []),
    ("alias2", "A"): ("NOERROR", True, ["CNAME", "CNAME", "A"], [], []),
    ("alias", "AAAA"): ("NOERROR", True, ["CNAME"], ["SOA"], []),
    ("out", "A"): ("NOERROR", True, ["CNAME"], [], []),
    ("loop", "A"): ("NOERROR", True, ["CNAME"], [], []),
    ("dangling", "A"): ("NXDOMAIN", True, ["CNAME"], ["SOA"], []),
    ("x.wild", "A"): ("NOERROR", True, ["CNAME", "A"], [], []),
    ("x.y.wild", "A"): ("NOERROR", True, ["CNAME", "A"], [], []),
    ("wild", "A"): ("NOERROR", True, [], ["SOA"], []),
    ("wild", "ANY"): ("NOERROR", True, [], ["SOA"], []),
    ("cut", "A"): ("NOERROR", False, [], ["NS"], ["A"]),
    ("deep.in.cut", "A"): ("NOERROR", False, [], ["NS"], ["A"]),
    ("cut", "DS"): ("NOERROR", True, [], ["SOA"], []),
    ("cut", "ANY"): ("NOERROR", False, [], ["NS"], ["A"]),
    ("moved", "DNAME"): ("NOERROR", True, ["DNAME"], [], []),
    ("www.moved", "A"): ("NOERROR", True, ["DNAME", "CNAME", "A"], [], []),
    ("alias.moved", "A"): ("NOERROR", True, ["DNAME", "CNAME", "CNAME", "A"], [], []),
    ("nothing.moved", "A"): ("NXDOMAIN", True, ["DNAME", "CNAME"], ["SOA"], []),
    ("www.moved", "CNAME"): ("NOERROR", True, ["DNAME", "CNAME"], [], []),
    ("www.moved", "ANY"): ("NOERROR", True, ["DNAME", "CNAME", "HINFO"], [], []),
    ("nothing.moved", "ANY"): ("NXDOMAIN", True, ["DNAME", "CNAME"], ["SOA"], []),
    ("mail", "MX"): ("NOERROR", True, ["MX"], [], ["A"]),
}


@pytest.mark.parametrize("udp", [True, False])
@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_each_kind_of_name(case: tuple[str, str], udp: bool) -> None:
    one = table()
    for edns in (None, 1232):
        message = ask(one, case[0] + ".lb.example.com.", case[1], edns=edns, udp=udp)
        rcode, authoritative, *sections = CASES[case]
        assert dns.rcode.to_text(message.rcode()) == rcode
        assert bool(message.flags & dns.flags.AA) == authoritative
        got = [
            [dns.rdatatype.to_text(rrset.rdtype) for rrset in section]
            for section in (message.answer, message.authority, message.additional)
        ]
        assert got == sections
        assert (message.edns >= 0) == (edns is not None)


def test_alias_owners_point_to_the_targets() -> None:
    message = ask(table(), "www.moved.lb.example.com.", "A")
    assert [str(rrset.name) for rrset in message.answer] == [
        "moved.lb.example.com.",
        "www.moved.lb.example.com.",
        "www.lb.example.com.",
    ]


def test_a_name_that_grows_too_long_by_a_dname_is_yxdomain() -> None:
    one = table()
    short, long = name("m.lb.example.com."), name(".".join(["x" * 60] * 3) + ".lb.example.com.")
    changes = small_zone()
    sets = {**changes.sets}
    nodes = {**changes.nodes}
    nodes[short] = nodes[name("moved.lb.example.com.")]
    sets[key(short, wire.DNAME)] = AnswerSet((own(wire.DNAME, 300, long),))
    one.stage(Changes(sets, nodes, changes.zones))
    one.commit(2, fresh=True)
    message = ask(one, "y" * 60 + ".m.lb.example.com.")
    assert dns.rcode.to_text(message.rcode()) == "YXDOMAIN"
    assert [str(rrset.name) for rrset in message.answer] == ["m.lb.example.com."]


@pytest.mark.parametrize(("target", "rcode"), [("in.m", "NOERROR"), ("in" + "g" * 60 + ".m", "YXDOMAIN")])
def test_a_dname_used_more_than_once_stands_in_the_reply_once(target: str, rcode: str) -> None:
    """RFC 2181 section 5: an RRset holds no record twice. The aliases it makes are all there, each at its name."""
    one = table()
    changes = small_zone()
    owner = name("m.lb.example.com.")
    nodes = {**changes.nodes, owner: changes.nodes[name("moved.lb.example.com.")]}
    dname = AnswerSet((own(wire.DNAME, 300, name(f"{target}.lb.example.com.")),))
    one.stage(Changes({**changes.sets, key(owner, wire.DNAME): dname}, nodes, changes.zones))
    one.commit(2, fresh=True)
    message = ask(one, "a.m.lb.example.com.", udp=False)
    assert dns.rcode.to_text(message.rcode()) == rcode
    header = int.from_bytes(one.reply(question("a.m.lb.example.com."))[6:8], "big")  # type: ignore[index]
    assert header == sum(len(rrset) for rrset in message.answer)
    aliases = [rrset for rrset in message.answer if rrset.rdtype == dns.rdatatype.CNAME]
    assert [rrset.rdtype for rrset in message.answer].count(dns.rdatatype.DNAME) == 1
    assert [str(first[0]) for first in aliases][:-1] == [str(second.name) for second in aliases][1:]
    assert len(aliases) > 1


def test_a_dname_that_led_to_itself_stands_in_the_reply_once() -> None:
    reply = table().reply(question("moved.moved.lb.example.com.", wire.DNAME))  # moved is a DNAME to the apex
    assert reply is not None and reply[6:8] == b"\0\2"
    message = dns.message.from_wire(reply)
    assert [rrset.rdtype for rrset in message.answer] == [dns.rdatatype.DNAME, dns.rdatatype.CNAME]


def test_what_a_dname_makes_is_never_sent_from_where_it_lies() -> None:
    """The batched loop sends an Entry's bytes by their address, after the batch, and remembers them: bytes made for one
    question would be gone by then, or stay the same after a change of the DNAME."""
    one = table()
    for text in ("x.moved.lb.example.com.", "x.MOVED.lb.example.com."):
        assert isinstance(one.lookup(question(text, wire.CNAME)), bytes)
    assert not one.recall.memo


def test_refused_outside_and_for_other_classes_and_transfers() -> None:
    one = table()
    assert ask(one, "www.example.org.").rcode() == dns.rcode.REFUSED
    assert ask(one, ".").rcode() == dns.rcode.REFUSED
    assert ask(one, "lb.example.com.", wire.AXFR, udp=False).rcode() == dns.rcode.REFUSED
    chaos = bytearray(question("version.bind.", 16))
    chaos[-1] = 3
    reply = one.reply(bytes(chaos), udp=True)
    assert reply is not None and reply[3] & 15 == 5
    assert one.refusals() >= 3


def test_weights_over_a_whole_ring() -> None:
    one = table()
    count: collections.Counter[str] = collections.Counter()
    for _ in range(1000):
        reply = one.reply(question("www.lb.example.com."), udp=True)
        assert reply is not None
        count[str(dns.message.from_wire(reply).answer[0][0])] += 1
    assert count == {"192.0.2.11": 100, "192.0.2.12": 200, "192.0.2.13": 300, "192.0.2.14": 400}


def test_case_of_the_question_is_kept() -> None:
    one = table()
    for text in ("wWw.Lb.eXample.com.", "aLias.LB.example.com.", "NoThing.lb.example.com."):
        packet = question(text, edns=1232)
        for udp in (True, False):
            reply = one.reply(packet, udp=udp)
            assert reply is not None and reply[12 : 12 + len(name(text))] == name(text)


def test_type_65_is_not_taken_for_type_97() -> None:
    # Both differ by the ASCII case bit: a key folded as a whole would mix them up.
    one = table()
    one.stage(Changes({key(name("mail.lb.example.com."), 97): AnswerSet((addresses("192.0.2.1"),))}, {}, {}))
    one.commit(2)
    assert not ask(one, "mail.lb.example.com.", 65).answer
    reply = one.reply(question("mail.lb.example.com.", 97), udp=True)
    assert reply is not None and reply[7] == 1


def test_truncation_keeps_question_and_opt() -> None:
    one = table()
    for edns, limit in ((None, 512), (100, 512), (800, 800), (4096, 1232)):
        packet = question("big.lb.example.com.", edns=edns)
        reply = one.reply(packet, udp=True)
        assert reply is not None and len(reply) <= limit
        message = dns.message.from_wire(reply)
        assert message.flags & dns.flags.TC and not message.answer and message.question
        assert (message.edns >= 0) == (edns is not None)
    whole = ask(one, "big.lb.example.com.", udp=False)
    assert len(whole.answer[0]) == 100 and not whole.flags & dns.flags.TC


def test_badvers_notimp_formerr_and_silence() -> None:
    one = table()
    message = ask(one, "www.lb.example.com.", edns=1232, version=1)
    assert message.rcode() == dns.rcode.BADVERS and message.edns == 0 and not message.answer
    packet = bytearray(question("www.lb.example.com."))
    packet[2] = 0x28  # UPDATE
    assert one.reply(bytes(packet), udp=True) == bytes(packet[:2]) + b"\xa8\4" + bytes(8)
    packet[2] = 0x80
    assert one.reply(bytes(packet), udp=True) is None
    assert one.reply(b"\0" * 11, udp=True) is None
    assert one.reply(question("www.lb.example.com.")[:-3], udp=True) == b"\x12\x34\x81\1" + bytes(8)


def test_do_bit_is_copied() -> None:
    one = table()
    assert ask(one, "www.lb.example.com.", edns=1232, do=True).ednsflags & dns.flags.DO
    assert not ask(one, "www.lb.example.com.", edns=1232).ednsflags & dns.flags.DO


def test_replacing_a_ring_keeps_its_cursor_and_the_memo() -> None:
    one = table()
    www = key(name("www.lb.example.com."), 1)
    for _ in range(7):
        one.reply(question("www.lb.example.com."), udp=True)
    assert one.recall.memo
    assert one.counters() == {www: (1, 0, 7)}
    one.stage(Changes({www: AnswerSet((addresses("192.0.2.1"), addresses("192.0.2.2")), (0, 1), True)}, {}, {}))
    assert one.commit(2) == {www: (1, 0, 7)}
    assert one.recall.memo, "a mere replacement must not cost the memo"
    message = ask(one, "www.lb.example.com.")
    assert str(message.answer[0][0]) == "192.0.2.2"  # slot 7 modulo 2
    assert one.counters()[www][:2] == (2, 7)


def test_a_commit_is_all_or_nothing() -> None:
    one = table()
    www, mail = key(name("www.lb.example.com."), 1), key(name("mail.lb.example.com."), 1)
    one.stage(Changes({www: None}, {}, {}))
    one.stage(Changes({mail: AnswerSet((addresses("192.0.2.77"),))}, {}, {}))
    assert ask(one, "www.lb.example.com.").answer and not ask(one, "mail.lb.example.com.").answer
    one.commit(2)
    assert not ask(one, "www.lb.example.com.").answer and ask(one, "mail.lb.example.com.").answer
    one.stage(Changes({mail: None}, {}, {}))
    one.discard()
    one.commit(3)
    assert ask(one, "mail.lb.example.com.").answer


def test_a_fresh_commit_drops_what_was_not_sent() -> None:
    one = table()
    changes = small_zone()
    gone = name("mail.lb.example.com.")
    one.stage(
        Changes(
            {k: v for k, v in changes.sets.items() if not k.startswith(gone)},
            {n: v for n, v in changes.nodes.items() if n != gone},
            changes.zones,
        )
    )
    one.commit(2, fresh=True)
    assert ask(one, "mail.lb.example.com.", "MX").rcode() == dns.rcode.NXDOMAIN
    assert ask(one, "www.lb.example.com.").answer
    one.commit(3, fresh=True)
    assert ask(one, "www.lb.example.com.").rcode() == dns.rcode.REFUSED


def test_negative_answers_follow_a_new_serial() -> None:
    one = table()
    ask(one, "nothing.lb.example.com.")
    zone = small_zone().zones[ZONE]
    assert zone
    one.stage(Changes({}, {}, {ZONE: ZoneAnswers(zone.nodata, soa(NXDOMAIN, 5), zone.any)}))
    one.commit(2)
    assert ask(one, "nothing.lb.example.com.").authority[0].ttl == 5


def test_failing_answers_servfail_and_recovers() -> None:
    one = table()
    one.fail(True)
    assert ask(one, "www.lb.example.com.").rcode() == dns.rcode.SERVFAIL
    one.fail(False)
    assert ask(one, "www.lb.example.com.").answer


def test_a_cut_off_name_in_a_wildcard_zone_does_not_raise() -> None:
    one = table()
    for rtype in range(0, 300):
        for text in ("www", "alias", "cut", "moved", "x.moved", "wild", "x.wild", "mail", "nothing"):
            message = one.reply(question(text + ".lb.example.com.", rtype, edns=1232), udp=True)
            assert message is not None
            dns.message.from_wire(message)


@given(st.binary(max_size=80), st.integers(0, 65535))
def test_any_bytes_get_a_reply_by_rule(tail: bytes, rtype: int) -> None:
    one = table()
    for packet in (tail, question("www.lb.example.com.", rtype) + tail, b"\0\1\1\0\0\1" + tail):
        for udp in (True, False):
            reply = one.reply(packet, udp=udp)
            if len(packet) < 12 or packet[2] & 0x80:
                assert reply is None
            else:
                assert reply is not None and reply[:2] == packet[:2] and reply[2] & 0x80
                dns.message.from_wire(reply, ignore_trailing=False)


def test_authoritative_flag_is_the_header_word() -> None:
    assert AUTHORITATIVE == wire.QR | wire.AA
