"""Extended errors with answers that are not as good as they look: which, and that they never cost an answer."""

from __future__ import annotations

from dataclasses import replace

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from small_roster import BAD, BOTH, GOOD, WWW, WWW_A, WWW_AAAA, dataset, fail, name, override, started, target, zone

from rrdns import wire
from rrdns.answers import AnswerSet, Changes
from rrdns.model import DataSet, Member, RRset, Service, WhenDown, Zone
from rrdns.roster.roster import Roster
from rrdns.server.edns import Policy
from rrdns.server.respond import AnswerTable

STALE, OTHER = 3, 0


def down(data: DataSet, tells: bool = True) -> Roster:
    roster = started(data, tells=tells)
    for key in sorted(roster.targets()):
        for _ in range(3):
            roster.note(key, BAD, 2.0)
    roster.flush(2.0)
    return roster


def told(ring: AnswerSet) -> tuple[int, str] | None:
    return (int.from_bytes(ring.ede[:2], "big"), ring.ede[2:].decode()) if ring.ede else None


# ---------------------------------------------------------------- which


@pytest.mark.parametrize(
    ("when", "code"),
    [
        (WhenDown("all"), STALE),
        (WhenDown("last"), STALE),
        (WhenDown("addresses", ("203.0.113.1",)), OTHER),
        (WhenDown("empty"), OTHER),
        (WhenDown("servfail"), OTHER),
    ],
)
def test_nobody_is_up(when: WhenDown, code: int) -> None:
    roster = down(dataset(when_down=when))
    assert told(roster.answers[WWW_A]) == (code, "0 of 3 hosts known good")
    silent = down(dataset(when_down=when), tells=False)
    assert all(not ring.ede for ring in silent.answers.values())
    assert WWW_A in silent.answers or when.word == "empty"


def test_good_answers_tell_nothing() -> None:
    roster = started(tells=True)
    assert told(roster.answers[WWW_A]) is None
    fail(roster, 1, 2.0)
    assert told(roster.answers[WWW_A]) is None, "fewer, but good"
    for number in (2, 3):
        roster.override(override("drain", number), 9.0)
    assert told(roster.answers[WWW_A]) is None, "drained, but good"
    short = started(dataset(quorum=3), tells=True)
    fail(short, 1, 2.0)
    assert short.duties["web"].selection.state == "degraded" and told(short.answers[WWW_A]) is None


def test_nobody_is_known_yet() -> None:
    roster = Roster(tells=True)
    roster.load(dataset(), 1.0)
    assert told(roster.answers[WWW_A]) == (STALE, "0 of 3 hosts known good")
    roster.observe(target(1), GOOD, 2.0)
    assert told(roster.answers[WWW_A]) is None


def test_panic_counts_the_good_ones() -> None:
    roster = started(dataset(panic=0.6), tells=True)
    fail(roster, 1, 2.0)
    fail(roster, 2, 9.0)
    assert roster.duties["web"].selection.state == "panic"
    assert told(roster.answers[WWW_A]) == (STALE, "1 of 3 hosts known good")


def test_it_goes_when_a_member_is_back() -> None:
    roster = down(dataset())
    for now in range(3, 9):
        roster.observe(target(1), GOOD, float(now))
    assert told(roster.answers[WWW_A]) is None


def test_the_same_bytes_with_another_word_are_a_change() -> None:
    """One member, `all`: the addresses stay what they were, and only the word changes."""
    roster = started(dataset(1), tells=True)
    before = roster.answers[WWW_A]
    for turn in range(3):
        decision = roster.observe(target(1), BAD, 2.0 + turn)
    after = decision.changes.sets[WWW_A]
    assert after is not None and told(after) == (STALE, "0 of 1 hosts known good")
    assert [body.data[12:] for body in after.bodies] == [body.data[12:] for body in before.bodies]


def test_a_family_that_nobody_has_is_plain_nodata() -> None:
    roster = down(dataset(when_down=WhenDown("empty")))
    assert WWW_AAAA not in roster.answers
    both = down(dataset(members=BOTH, when_down=WhenDown("empty")))
    assert told(both.answers[WWW_AAAA]) == (OTHER, "0 of 2 hosts known good")
    assert both.answers[WWW_AAAA].bodies[0].counts == (0, 1, 0)
    both.override(replace(override("drain", 1), reason="x"), 9.0)
    both.load(dataset(members=BOTH), 10.0)
    assert told(both.answers[WWW_A]) == (STALE, "0 of 2 hosts known good")


def test_no_member_is_known_yet() -> None:
    roster = Roster(tells=True)
    roster.load(dataset(0), 1.0)
    assert roster.answers[WWW_A].bodies[0].flags & 15 == dns.rcode.SERVFAIL
    assert told(roster.answers[WWW_A]) == (14, "no host known yet")


# ---------------------------------------------------------------- on the wire

NSID = dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")


def worker(roster: Roster) -> AnswerTable:
    table = AnswerTable(policy=Policy(nsid=b"s"))
    change(table, roster, 1)
    return table


def change(table: AnswerTable, roster: Roster, number: int) -> None:
    table.stage(Changes(dict(roster.answers), dict(roster.nodes), dict(roster.zones)))
    table.commit(number, fresh=True)


def ask(
    table: AnswerTable, rtype: str = "A", size: int = 1232, edns: int = 0, udp: bool = True
) -> tuple[dns.message.Message, list[tuple[int, str]]]:
    options = [NSID] if edns == 0 else None
    query = dns.message.make_query("www.lb.example.com.", rtype, use_edns=edns, payload=size, options=options)
    reply = table.reply(query.to_wire(), udp=udp)
    assert reply is not None
    message = dns.message.from_wire(reply)
    return message, [(int(one.code), one.text or "") for one in message.options if isinstance(one, dns.edns.EDEOption)]


@pytest.mark.parametrize("udp", [True, False])
def test_clients_with_edns_are_told(udp: bool) -> None:
    table = worker(down(dataset()))
    message, found = ask(table, udp=udp)
    assert message.answer and found == [(STALE, "0 of 3 hosts known good")]
    message, found = ask(table, edns=-1, udp=udp)
    assert message.answer and message.edns == -1 and not found
    message, found = ask(worker(down(dataset(when_down=WhenDown("servfail")))), udp=udp)
    assert message.rcode() == dns.rcode.SERVFAIL and found == [(OTHER, "0 of 3 hosts known good")]


def test_what_is_told_changes_under_what_is_remembered() -> None:
    roster = started(tells=True)
    table = worker(roster)
    for edns in (0, -1, 0, -1):
        assert ask(table, edns=edns)[1] == []
    for number in (1, 2, 3):
        fail(roster, number, 10.0 * number)
    change(table, roster, 2)
    assert ask(table)[1] == [(STALE, "0 of 3 hosts known good")]
    for number in (1, 2, 3):
        for turn in range(6):
            roster.observe(target(number), GOOD, 100.0 + turn)
    change(table, roster, 3)
    for edns in (0, -1, 0, -1):
        assert ask(table, edns=edns)[1] == []


def test_no_answer_goes_for_it() -> None:
    """At every size that holds the answer it is whole; what is told is there exactly where there is room for it too. At
    a smaller one the answer has fewer addresses, and nobody is sent to TCP."""
    members = tuple(Member(f"m{n}", (f"2001:db8::{n:x}",)) for n in range(1, 41))
    data = replace(dataset(members=members), zones={name("lb.example.com."): big()})
    table = worker(down(data))
    whole = len(table.reply(dns.message.make_query("www.lb.example.com.", "AAAA", use_edns=0).to_wire()) or b"")
    seen = set()
    for size in range(whole - 60, whole + 80):
        message, found = ask(table, "AAAA", size)
        count = len(message.answer[0])
        full = count == 40
        assert not message.flags & dns.flags.TC and count >= 36 and len(message.to_wire()) <= size
        assert full or size < whole + 5 + 40
        if full:
            seen.add(bool(found))
    assert seen == {True, False}


def big() -> Zone:
    return zone(Service(WWW, name("lb.example.com."), "web", ttl=20, ttl_min=5, answers=0))


@pytest.mark.parametrize("udp", [True, False])
def test_a_client_without_options_is_told_too_and_one_without_edns_is_not(udp: bool) -> None:
    table = worker(down(dataset()))
    for _ in range(2):
        reply = dns.message.from_wire(raw(table, "www.lb.example.com.", "A", 0, udp))
        assert [option.otype for option in reply.options] == [dns.edns.OptionType.EDE] and reply.answer
        reply = dns.message.from_wire(raw(table, "www.lb.example.com.", "A", -1, udp))
        assert reply.edns == -1 and reply.answer


@pytest.mark.parametrize("udp", [True, False])
def test_an_alias_tells_what_its_target_would_and_an_mx_keeps_its_addresses(udp: bool) -> None:
    alias = RRset(name("al.lb.example.com."), wire.CNAME, 300, (WWW,))
    mail = RRset(name("mx.lb.example.com."), wire.MX, 300, (b"\0\1" + WWW,))
    apex = name("lb.example.com.")
    zones = {apex: zone(Service(WWW, apex, "web", ttl=20), rrsets=(alias, mail))}
    table = worker(down(replace(dataset(), zones=zones)))
    reply = dns.message.from_wire(raw(table, "al.lb.example.com.", "A", 0, udp))
    assert reply.options and len(reply.answer) == 2
    reply = dns.message.from_wire(raw(table, "mx.lb.example.com.", "MX", 0, udp))
    assert reply.answer and reply.additional


def raw(table: AnswerTable, text: str, rtype: str, edns: int, udp: bool) -> bytes:
    reply = table.reply(dns.message.make_query(text, rtype, use_edns=edns).to_wire(), udp=udp)
    assert reply
    return reply
