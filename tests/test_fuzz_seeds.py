"""The fuzz targets as ordinary tests: every seed, and every input that was once found to break a rule."""

from __future__ import annotations

from pathlib import Path

import dns.exception
import pytest
from fuzz import fuzz_question, fuzz_stream, rules
from fuzz.tables import POLICIES, client, table
from small_zone import question

from rrdns.server.tcp import TcpServer

HERE = Path(__file__).parent / "fuzz"
TARGETS = {"question": fuzz_question.one_input, "stream": fuzz_stream.one_input}
KNOWN = [
    (target, file)
    for target in TARGETS
    for folder in ("seeds", "findings")
    for file in sorted((HERE / folder / target).iterdir())
    if file.suffix != ".md"
]


@pytest.mark.parametrize(("target", "file"), KNOWN, ids=[f"{file.parent.name}-{file.name}" for _, file in KNOWN])
def test_known_input(target: str, file: Path) -> None:
    TARGETS[target](file.read_bytes())


def test_there_are_seeds_of_both() -> None:
    assert {target: sum(one == target for one, _ in KNOWN) > 15 for target in TARGETS} == dict.fromkeys(TARGETS, True)


GOOD = question("www.lb.example.com.", edns=1232)
BIG = question("big.lb.example.com.", edns=512)


@pytest.mark.parametrize(
    ("packet", "at", "xor"),
    [
        (GOOD, 0, 1),  # id
        (GOOD, 2, 0x80),  # QR
        (GOOD, 2, 0x08),  # opcode
        (GOOD, 2, 0x01),  # RD
        (GOOD, 3, 0x80),  # RA
        (GOOD, 3, 0x20),  # AD
        (GOOD, 3, 0x05),  # REFUSED with AA
        (GOOD, 5, 0x01),  # no question
        (GOOD, 7, 0x03),  # more answers than there are
        (GOOD, 13, 0x20),  # a letter of the question
        (GOOD, 2, 0x02),  # cut off, and yet records
        (GOOD, -1, 0x01),  # an option's length that runs past the end
        (GOOD[:12], 11, 1),  # FORMERR and a record
    ],
)
def test_the_rules_can_fail(packet: bytes, at: int, xor: int) -> None:
    reply = table(POLICIES[0]).reply(packet, True, client)
    assert reply is not None
    rules.judge(packet, reply, udp=True)
    bad = bytearray(reply)
    bad[at] ^= xor
    with pytest.raises((AssertionError, dns.exception.DNSException)):
        rules.judge(packet, bytes(bad), udp=True)


def test_the_rules_on_length_and_silence() -> None:
    whole = table(POLICIES[0]).reply(BIG, asker=client)
    rules.judge(BIG, whole, udp=False)
    with pytest.raises(AssertionError, match="more than 512"):
        rules.judge(BIG, whole, udp=True)
    for packet, reply in ((GOOD, None), (GOOD[:11], GOOD), (b"\0\0\x80" + GOOD[3:], GOOD)):
        with pytest.raises(AssertionError):
            rules.judge(packet, reply, udp=True)


def test_a_table_that_does_not_forget_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for pair in fuzz_question.PAIRS:
        monkeypatch.setattr(pair.remembering, "forget", lambda: None)
    with pytest.raises(AssertionError, match="not what it says"):
        fuzz_question.one_input((HERE / "seeds" / "question" / "changed-as-a-whole").read_bytes())


def test_replies_lost_at_the_end_of_a_connection_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(self: TcpServer, fd: int, *_: object) -> None:
        self.close(fd)

    monkeypatch.setattr(TcpServer, "_break_off", hasty)
    with pytest.raises(AssertionError, match="bytes of replies"):
        fuzz_stream.one_input((HERE / "seeds" / "stream" / "response-between").read_bytes())
