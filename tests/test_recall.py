"""What is remembered of packets never changes a reply: every packet gets what a table without memory gives."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_zone import ZONE, addresses, key, name, question, small_zone

from rrdns.answers import OWN, AnswerSet, Changes, Node
from rrdns.server import recall
from rrdns.server.edns import Policy
from rrdns.server.respond import AnswerTable

COOKIE = b"\0\x0a\0\x08"
NAMES = (
    *("www", "alias", "cut", "host.cut", "moved", "x.moved", "mail", "big", "nothing", "a.nothing", "wild", "w.wild"),
    *("w.w.wild", "a\\000b", "\\000", "www\\000", "x.www"),
)


def table(ratio: float = 0.0) -> AnswerTable:
    one = AnswerTable(policy=Policy(secrets=(bytes(16),), ratio=ratio, ratio_all=True))
    one.stage(small_zone())
    one.commit(1, True)
    return one


def who() -> tuple[bytes, int]:
    return b"\x7f\0\0\1", 1_700_000_000


@st.composite
def packets(draw: st.DrawFn) -> bytes:
    text = draw(st.sampled_from(NAMES)) + draw(st.sampled_from((".lb.example.com.", ".LB.example.com.", ".")))
    options = draw(st.sampled_from((b"", COOKIE + b"12345678", COOKIE + b"abcdefgh", b"\0\x03\0\0", b"\xfd\xe9\0\0")))
    packet = question(
        text,
        draw(st.sampled_from((1, 28, 5, 6, 15, 39, 43, 252, 255, 0, 65535))),
        edns=draw(st.sampled_from((None, 512, 1232, 4096))),
        do=draw(st.booleans()),
        rd=draw(st.booleans()),
        options=options,
    )
    how = draw(st.integers(0, 9))
    if how == 0:
        at = draw(st.integers(2, len(packet) - 1))
        return packet[:at] + bytes((draw(st.integers(0, 255)),)) + packet[at + 1 :]
    if how == 1:
        return packet[: draw(st.integers(0, len(packet)))]
    return packet + b"\0" if how == 2 else packet


@given(st.lists(packets(), min_size=1, max_size=40), st.sampled_from((0.0, 3.0)))
def test_memory_never_changes_a_reply(asked: list[bytes], ratio: float) -> None:
    remembering, forgetful = table(ratio), table(ratio)
    for packet in (*asked, *asked):
        forgetful.forget()
        assert remembering.reply(packet, True, who) == forgetful.reply(packet, True, who)


CONTENTS: tuple[AnswerSet | None, ...] = (
    AnswerSet((addresses("192.0.2.1"),)),
    AnswerSet((addresses("192.0.2.2", "192.0.2.3"),)),
    AnswerSet((addresses("192.0.2.4"), addresses("192.0.2.5")), (0, 1)),
    AnswerSet((addresses("192.0.2.6"),), counted=True),
    AnswerSet((addresses("192.0.2.7"),), ede=b"\0\3old"),
    AnswerSet((addresses("192.0.2.8"),), (0, 0), hashed=True),
    AnswerSet((addresses(*(f"192.0.2.{at}" for at in range(9, 49))),)),
    None,
)


@given(st.lists(st.sampled_from(CONTENTS), min_size=2, max_size=12), st.sampled_from((0.0, 3.0)))
def test_memory_follows_every_change(contents: list[AnswerSet | None], ratio: float) -> None:
    remembering, forgetful = table(ratio), table(ratio)
    queries = [
        question("www.lb.example.com.", edns=edns, options=options)
        for edns, options in ((None, b""), (1232, b""), (1232, COOKIE + b"12345678"))
    ]
    for number, content in enumerate(contents, 2):
        for one in (remembering, forgetful):
            one.stage(Changes({key(name("www.lb.example.com."), 1): content}, {}, {}))
            one.commit(number)
        for packet in (*queries, *queries, *queries):
            forgetful.forget()
            assert remembering.reply(packet, True, who) == forgetful.reply(packet, True, who)


def test_new_names_of_a_known_kind_need_no_parser() -> None:
    one = table()
    one.reply(question("one.lb.example.com.", edns=1232), True)
    assert one.recall.quick(question("two.lb.example.com.", edns=1232)[2:])
    assert one.recall.quick(question("tWo.lb.example.com.", edns=1232)[2:])
    assert one.recall.quick(question("www.lb.example.com.", edns=1232)[2:])
    assert not one.recall.quick(question("two.lb.example.com.", 28, edns=1232)[2:]), "a type that was not asked there"
    assert not one.recall.quick(question("two.lb.example.com.", edns=512)[2:]), "another shell"
    assert not one.recall.quick(question("a.b.lb.example.com.", edns=1232)[2:]), "a grandchild"
    assert not one.recall.quick(question("mail.lb.example.com.", 15, edns=1232)[2:]), "its addresses are to be added"


def test_a_zero_byte_inside_a_label_is_left_to_the_parser() -> None:
    one = table()
    one.reply(question("one.lb.example.com.", edns=1232), True)
    assert not one.recall.quick(question("a\\000b.lb.example.com.", edns=1232)[2:])


def test_a_pointer_or_a_name_too_long_is_left_to_the_parser() -> None:
    one = table()
    one.reply(question("one.lb.example.com.", edns=1232), True)
    whole = question("one.lb.example.com.", edns=1232)
    behind = whole[12 + 4 :]  # lb.example.com. and what follows
    for first in (64, 191, 192, 255):
        packet = whole[:12] + bytes((first,)) + b"x" * first + behind
        assert not one.recall.quick(packet[2:])
        assert one.reply(packet, True) == packet[:2] + b"\x81\x01" + bytes(8)


def test_a_name_that_appears_below_is_found() -> None:
    one = table()
    asked = question("new.lb.example.com.", edns=1232)
    for _ in range(2):
        assert (one.reply(asked, True) or b"")[3] & 15 == 3
    new = name("new.lb.example.com.")
    one.stage(Changes({key(new, 1): AnswerSet((addresses("192.0.2.77"),))}, {new: Node(ZONE, OWN)}, {}))
    one.commit(2)
    assert bytes((192, 0, 2, 77)) in (one.reply(asked, True) or b"")


def test_nothing_is_remembered_of_the_answers_while_all_fail() -> None:
    one = table()
    asked = question("www.lb.example.com.", edns=1232)
    one.reply(asked, True)
    one.fail(True)
    for text in ("www", "WWW", "www", "x1", "x2"):
        assert (one.reply(question(f"{text}.lb.example.com.", edns=1232), True) or b"")[3] & 15 == 2
    one.fail(False)
    for text in ("www", "WWW"):
        assert (one.reply(question(f"{text}.lb.example.com.", edns=1232), True) or b"")[3] & 15 == 0


def test_a_flood_of_names_cannot_fill_the_memory() -> None:
    one = table()
    for at in range(3 * recall.SMALL):
        one.reply(question(f"x{at}.lb.example.com.", edns=1232), True)
    assert len(one.recall.memo) <= recall.SMALL + 2 * recall.SMALL // recall.SPARING + 1
    for at in range(recall.SHELLS + 10):
        one.reply(question("www.lb.example.com.", edns=1232 + at), True)
    for at in range(recall.BELOW + 10):
        one.reply(question("nothing.lb.example.com.", 1000 + at, edns=1232), True)
    assert len(one.recall._shells) <= recall.SHELLS and len(one.recall._below) <= recall.BELOW


def test_what_is_forgotten_goes_bit_by_bit_and_never_adds_up() -> None:
    one = table()
    for turn in range(20):
        for at in range(50):
            one.reply(question(f"n{turn}x{at}.lb.example.com.", edns=1232), True)
        one.forget()
        assert not one.recall.memo and sum(map(len, one.recall._old)) <= 50 + 13
    for at in range(30):
        one.reply(question(f"last{at}.lb.example.com.", edns=1232), True)
    assert not one.recall._old


def test_a_full_memory_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "MEMO_SIZE", 10)
    one = table()
    for at in range(25):
        one.reply(question(f"n{at}.lb.example.com.", edns=1232), True)
    assert len(one.recall.memo) == 5 and len(one.recall._old) <= 1


def test_a_long_packet_is_not_remembered() -> None:
    one = table()
    for at in range(100):
        one.reply(question("www.lb.example.com.", edns=1232, options=b"\xfd\xe9\2\0" + bytes(511) + bytes((at,))), True)
    assert not one.recall.memo and not one.recall._shells


def test_the_ratio_holds_for_those_who_proved_nothing() -> None:
    one = table(ratio=2.0)
    plain = question("big.lb.example.com.", edns=4096)
    half = question("big.lb.example.com.", edns=4096, options=COOKIE + b"12345678")
    for packet in (plain, plain, half, half):
        reply = one.reply(packet, True, who) or b""
        assert len(reply) <= 2 * len(packet) and reply[2] & 2, "cut off"
    cookie = (one.reply(half, True, lambda: (b"\x7f\0\0\1", int(time.time()))) or b"")[-24:]
    proved = question("www.lb.example.com.", edns=4096, options=b"\0\x0a\0\x18" + cookie)
    for _ in range(2):
        reply = one.reply(proved, True, lambda: (b"\x7f\0\0\1", int(time.time()))) or b""
        assert not reply[2] & 2
