"""Names and queries as bytes: by example, by rule, and against dnspython."""

from __future__ import annotations

import string

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrdns import wire
from rrdns.wire import BadName, Edns, Query

settings.register_profile("patient", deadline=None)  # the machine may be busy
settings.load_profile("patient")

WWW = b"\3www\2lb\7example\3com\0"
LB = b"\2lb\7example\3com\0"


# ---------------------------------------------------------------- names by example


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", LB),
        ("@", LB),
        (".", b"\0"),
        ("www", WWW),
        ("www.lb.example.com.", WWW),
        ("a.b", b"\1a\1b" + LB),
        ("com.", b"\3com\0"),
        ("*.dev", b"\1*\3dev" + LB),
        (r"a\.b", b"\3a.b" + LB),
        (r"a\.", b"\2a." + LB),
        (r"a\..", b"\2a.\0"),
        (r"\065\255\000.", b"\3A\xff\0\0"),
        (r"\@", b"\1@" + LB),
        (r"a\\b", b"\3a\\b" + LB),
        ("WWW.Example.", b"\3WWW\7Example\0"),
        ("_dns-sd._udp", b"\7_dns-sd\4_udp" + LB),
        ("no", b"\2no" + LB),
        ("010", b"\x03010" + LB),
    ],
)
def test_name_from_text(text: str, name: bytes) -> None:
    assert wire.name_from_text(text, LB) == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a..b", "has an empty label (two dots, or a dot in front)"),
        (".a", "has an empty label (two dots, or a dot in front)"),
        ("..", "has an empty label (two dots, or a dot in front)"),
        ("a\\", "ends in a backslash"),
        (r"a\1", r"has \1: a byte by its number takes three digits, as in \007"),
        (r"a\1xb", r"has \1xb: a byte by its number takes three digits, as in \007"),
        (r"a\300", r"has \300: a byte is at most 255"),
        ("bücher", "has 'ü': write international names in their xn-- form"),
        ("a\\ü", "has 'ü': write international names in their xn-- form"),
        ("\\1٣٣", "has \\1٣٣: a byte by its number takes three digits, as in \\007"),
        ("x" * 64, "label xxxxxxxxxxxxxxxxxxxx... has 64 bytes, at most 63 are possible"),
        (".".join(["x" * 63] * 4), "has 272 bytes, at most 255 are possible"),
    ],
)
def test_bad_names_say_why(text: str, message: str) -> None:
    with pytest.raises(BadName) as caught:
        wire.name_from_text(text, LB)
    assert str(caught.value) == message


def test_the_longest_name() -> None:
    text = ".".join(["x" * 63] * 3 + ["y" * 61]) + "."
    assert len(wire.name_from_text(text)) == 255
    with pytest.raises(BadName):
        wire.name_from_text("z." + text)


def test_name_to_text() -> None:
    assert wire.name_to_text(b"\0") == "."
    assert wire.name_to_text(WWW) == "www.lb.example.com."
    assert wire.name_to_text(b"\3a.b\2\0\xff\1@\0") == r"a\.b.\000\255.\@."
    assert wire.name_to_text(b"\3a b\0") == r"a\032b."
    # A master file with these in plain is refused by Knot, or read as another name by NSD (a backslash before a dot).
    assert wire.name_to_text(b"\3x'y\2a\\\2/*\0") == r"x\'y.a\092./*."


def test_parts_of_names() -> None:
    assert wire.labels_of(WWW) == [b"www", b"lb", b"example", b"com"]
    assert wire.labels_of(b"\0") == []
    assert wire.parent(WWW) == LB
    assert wire.parent(b"\0") == b"\0"
    assert wire.is_within(WWW, LB) and wire.is_within(LB, LB) and wire.is_within(LB, b"\0")
    assert not wire.is_within(LB, WWW)
    assert not wire.is_within(b"\2xx" + b"\4xxlb\7example\3com\0", LB)
    assert not wire.is_within(b"\3a\2l\1b\0", b"\1b\1a\0")


def test_types() -> None:
    assert wire.type_number("aaaa") == 28
    assert wire.type_number("TYPE65535") == 65535
    assert wire.type_number("type1") == wire.A
    assert wire.type_name(64) == "SVCB"
    assert wire.type_name(65280) == "TYPE65280"
    for bad in ("", "AAAAA", "TYPE65536", "TYPE", "TYPE-1", "TYPE١", "ſRV", "TYPE" + "9" * 5000):
        with pytest.raises(ValueError):
            wire.type_number(bad)


@pytest.mark.parametrize("name", sorted(wire.TYPES))
def test_type_numbers_agree_with_dnspython(name: str) -> None:
    assert int(dns.rdatatype.from_text(name)) == wire.TYPES[name]


# ---------------------------------------------------------------- names by rule

labels = st.binary(min_size=1, max_size=63)
plain = st.text(string.ascii_letters + string.digits + "-_*", min_size=1, max_size=20).map(str.encode)


def _joined(parts: list[bytes]) -> bytes:
    return b"".join(bytes((len(part),)) + part for part in parts) + b"\0"


names = st.lists(st.one_of(labels, plain), max_size=8).map(_joined).filter(lambda name: len(name) <= 255)


@given(names)
def test_text_and_back(name: bytes) -> None:
    assert wire.name_from_text(wire.name_to_text(name), LB) == name


@given(names)
def test_dnspython_reads_our_text_and_we_read_theirs(name: bytes) -> None:
    theirs = dns.name.from_text(wire.name_to_text(name))
    assert theirs.to_wire() == name
    assert wire.name_from_text(theirs.to_text()) == name


@given(st.text(string.ascii_letters + string.digits + '-._*\\ @"ü', max_size=30))
def test_any_text_agrees_with_dnspython(text: str) -> None:
    try:
        ours = wire.name_from_text(text, LB)
    except BadName:
        if text.isascii():
            with pytest.raises(dns.exception.DNSException):
                dns.name.from_text(text, dns.name.from_text("lb.example.com.")).to_wire()
        return
    assert dns.name.from_text(text, dns.name.from_text("lb.example.com.")).to_wire() == ours


@given(names, names)
def test_is_within_is_what_labels_say(name: bytes, zone: bytes) -> None:
    for below in (name, _joined(wire.labels_of(name) + wire.labels_of(zone))[:255]):
        if len(below) == 255 and below[-1]:
            continue
        mine, its = wire.labels_of(below), wire.labels_of(zone)
        assert wire.is_within(below, zone) == (mine[len(mine) - len(its) :] == its and len(mine) >= len(its))


# ---------------------------------------------------------------- queries by example

HEADER = b"\x12\x34\1\0\0\1\0\0\0\0\0\0"
QUESTION = WWW + b"\0\1\0\1"
OPT = b"\0\0\x29\x04\xd0\0\0\x80\0\0\0"


def counted(additional: int, answers: int = 0, authority: int = 0) -> bytes:
    return HEADER[:6] + bytes((0, answers, 0, authority, 0, additional))


def test_a_plain_query() -> None:
    packet = HEADER + b"\3wWw\2lb\7EXAMPLE\3com\0\0\1\0\1"
    assert wire.parse_query(packet) == Query(WWW, len(packet), b"\0\1\0\1", None)


def test_a_query_with_edns() -> None:
    packet = counted(1) + QUESTION + OPT
    assert wire.parse_query(packet) == Query(WWW, 12 + len(QUESTION), b"\0\1\0\1", Edns(1232, 0, True, b""))
    options = b"\0\x0a\0\x08abcdefgh"
    packet = counted(1) + QUESTION + OPT[:-2] + bytes((0, len(options))) + options
    parsed = wire.parse_query(packet)
    assert isinstance(parsed, Query) and parsed.edns == Edns(1232, 0, True, options)


def test_the_root_is_a_name() -> None:
    parsed = wire.parse_query(HEADER + b"\0\0\2\0\1")
    assert parsed == Query(b"\0", 17, b"\0\2\0\1", None)


TSIG = b"\3key\0\0\xfa\0\xff\0\0\0\0\0\3abc"
SOA_BY_POINTER = b"\xc0\x0c\0\6\0\1\0\0\0\0\0\0"


@pytest.mark.parametrize(
    ("packet", "gives"),
    [
        (b"", None),
        (HEADER[:11], None),
        (HEADER[:2] + b"\x81\0" + HEADER[4:] + QUESTION, None),
        (HEADER[:2] + b"\xff\xff" + HEADER[4:] + QUESTION, None),
        (HEADER[:2] + b"\x28\0" + HEADER[4:], wire.NOTIMP),
        (HEADER[:2] + b"\x78\0" + HEADER[4:] + QUESTION, wire.NOTIMP),
        (HEADER[:2] + b"\3\0" + HEADER[4:] + QUESTION, wire.FORMERR),
        (HEADER[:4] + b"\0\0" + HEADER[6:], wire.FORMERR),
        (HEADER[:4] + b"\0\2" + HEADER[6:] + QUESTION * 2, wire.FORMERR),
        (HEADER, wire.FORMERR),
        (HEADER + QUESTION[:-1], wire.FORMERR),
        (HEADER + WWW[:-1], wire.FORMERR),
        (HEADER + b"\xc0\x0c\0\1\0\1", wire.FORMERR),
        (HEADER + b"\3www\xc0\x0c\0\1\0\1", wire.FORMERR),
        (HEADER + b"\x40" + b"x" * 64 + b"\0\0\1\0\1", wire.FORMERR),
        (HEADER + _joined([b"x" * 63] * 3 + [b"y" * 62]) + b"\0\1\0\1", wire.FORMERR),
        (HEADER + QUESTION + b"x", wire.FORMERR),
        (counted(1) + QUESTION, wire.FORMERR),
        (counted(1) + QUESTION + OPT + b"x", wire.FORMERR),
        (counted(1) + QUESTION + OPT[:-1], wire.FORMERR),
        (counted(1) + QUESTION + OPT[:-1] + b"\1", wire.FORMERR),
        (counted(2) + QUESTION + OPT, wire.FORMERR),
        (counted(2) + QUESTION + OPT + OPT, wire.FORMERR),
        (counted(1) + QUESTION + b"\1x" + OPT, wire.FORMERR),
        (counted(1) + QUESTION + b"\xc0\x20" + OPT[1:], wire.FORMERR),
        (counted(0, answers=1) + QUESTION + OPT, wire.FORMERR),
        (counted(0, authority=1) + QUESTION + OPT, wire.FORMERR),
        (counted(17) + QUESTION + TSIG * 17, wire.FORMERR),
        (HEADER[:6] + b"\xff\xff" * 3 + QUESTION + TSIG, wire.FORMERR),
        (counted(1) + QUESTION + b"\x40" + OPT, wire.FORMERR),
        (counted(1) + QUESTION + b"\xc0", wire.FORMERR),
    ],
)
def test_the_table(packet: bytes, gives: int | None) -> None:
    assert wire.parse_query(packet) == gives


def test_the_longest_question() -> None:
    name = _joined([b"x" * 63] * 3 + [b"y" * 61])
    parsed = wire.parse_query(HEADER + name + b"\0\1\0\1")
    assert isinstance(parsed, Query) and parsed.name == name


def test_a_query_for_a_cookie_alone_has_no_question() -> None:
    cookie = b"\0\x0a\0\x08" + bytes(8)
    packet = HEADER[:4] + b"\0\0\0\0\0\0\0\1" + OPT[:-2] + b"\0\x0c" + cookie
    parsed = wire.parse_query(packet)
    assert isinstance(parsed, Query) and parsed.edns is not None and parsed.edns.options == cookie
    assert parsed[:3] == (b"", 12, b"")
    assert wire.parse_query(packet[:7] + b"\1" + packet[8:]) == wire.FORMERR
    assert wire.parse_query(HEADER[:4] + b"\0\0\0\0\0\0\0\1" + OPT) == wire.FORMERR, "nothing is asked at all"


def test_other_records_are_stepped_over() -> None:
    packet = counted(2, authority=1) + QUESTION + SOA_BY_POINTER + OPT + TSIG
    parsed = wire.parse_query(packet)
    assert isinstance(parsed, Query) and parsed.edns == Edns(1232, 0, True, b"")


@pytest.mark.parametrize("rtype", [0, 1, 41, 252, 255, 65535])
def test_any_type_and_class_is_a_query(rtype: int) -> None:
    for rclass in (0, 1, 3, 254, 255, 65535):
        asked = rtype.to_bytes(2, "big") + rclass.to_bytes(2, "big")
        parsed = wire.parse_query(HEADER + WWW + asked)
        assert isinstance(parsed, Query) and parsed.type_class == asked


# ---------------------------------------------------------------- queries by rule, with dnspython for oracle

options = st.lists(st.tuples(st.integers(65001, 65534), st.binary(max_size=30)), max_size=3)


@st.composite
def messages(draw: st.DrawFn) -> dns.message.Message:
    """A well-formed query as dnspython builds it."""
    name = dns.name.from_wire(draw(names), 0)[0]
    rtype = dns.rdatatype.RdataType.make(draw(st.integers(1, 65535)))
    rclass = dns.rdataclass.RdataClass.make(draw(st.integers(1, 65535)))
    message = dns.message.make_query(name, rtype, rclass)
    message.id = draw(st.integers(0, 65535))
    message.flags = draw(st.sampled_from([0, dns.flags.RD, dns.flags.RD | dns.flags.AD, dns.flags.CD]))
    if draw(st.booleans()):
        message.use_edns(
            draw(st.integers(0, 255)),
            draw(st.sampled_from([0, dns.flags.DO])),
            draw(st.integers(512, 65535)),
            options=[dns.edns.GenericOption(dns.edns.OptionType.make(code), data) for code, data in draw(options)],
        )
    return message


def agree(parsed: Query, packet: bytes, theirs: dns.message.Message) -> None:
    (question,) = theirs.question
    assert dns.name.from_wire(parsed.name, 0)[0] == question.name
    assert parsed.type_class == question.rdtype.to_bytes(2, "big") + question.rdclass.to_bytes(2, "big")
    assert packet[parsed.question_end - 4 : parsed.question_end] == parsed.type_class
    if theirs.edns < 0:
        assert parsed.edns is None
        return
    edns = parsed.edns
    assert edns is not None
    assert (edns.version, edns.size, edns.do) == (theirs.edns, theirs.payload, bool(theirs.ednsflags & dns.flags.DO))


@given(messages())
def test_well_formed_queries_agree_with_dnspython(message: dns.message.Message) -> None:
    packet = message.to_wire()
    parsed = wire.parse_query(packet)
    assert isinstance(parsed, Query)
    agree(parsed, packet, message)
    if parsed.edns is not None:
        wanted = b"".join(
            int(option.otype).to_bytes(2, "big") + len(option.to_wire() or b"").to_bytes(2, "big") + option.to_wire()
            for option in message.options
        )
        assert parsed.edns.options == wanted


@given(messages(), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4), st.integers(-5, 5))
def test_mutated_queries_never_raise_and_what_both_accept_is_the_same(
    message: dns.message.Message, changes: list[tuple[int, int]], cut: int
) -> None:
    packet = bytearray(message.to_wire())
    for at, value in changes:
        packet[at % len(packet)] = value
    data = bytes(packet[:cut] if cut < 0 else packet + b"\0" * cut)
    parsed = wire.parse_query(data)
    check_shape(data, parsed)
    if not isinstance(parsed, Query):
        return
    try:
        theirs = dns.message.from_wire(data)
    except (dns.exception.DNSException, ValueError):
        return  # dnspython reads the insides of records, we step over them
    agree(parsed, data, theirs)


@settings(max_examples=300)
@given(st.binary(max_size=80), st.booleans())
def test_random_bytes_never_raise(data: bytes, with_header: bool) -> None:
    packet = HEADER[:6] + data if with_header else data
    check_shape(packet, wire.parse_query(packet))


def check_shape(packet: bytes, parsed: Query | int | None) -> None:
    """What holds for every result."""
    assert (parsed is None) == (len(packet) < 12 or packet[2] >= 0x80)
    if isinstance(parsed, Query):
        assert packet[4:6] == b"\0\1"
        assert packet[12 : parsed.question_end - 4].lower() == parsed.name
        assert _joined(wire.labels_of(parsed.name)) == parsed.name
        assert len(parsed.name) <= 255 and parsed.question_end <= len(packet)
    elif parsed is not None:
        assert parsed in (wire.FORMERR, wire.NOTIMP)
