"""Fuzz target: the input is packets, one or several with `BETWEEN` between them, each as by UDP and as by TCP.

Every packet goes to two tables of each policy. One remembers packets (`server/recall.py`) and settles a commit bit by
bit between them (`server/settling.py`); its twin forgets all before each packet, and settles at once. Both must say
the same, octet for octet, and keep the rules.

A packet that is one of these words is none, but a change of the zone: `!part` to its other state by what differs,
`!whole` to it as a whole, `!same` the same state as a whole.
"""

from __future__ import annotations

from fuzz import rules
from fuzz.tables import POLICIES, STATES, client, difference, table

BETWEEN = b"\xff|\xff|"
PART, WHOLE, SAME = b"!part", b"!whole", b"!same"
MOST = 16  # packets and changes that are taken from one input


class Pair:
    """A table and its twin, and which state they are in."""

    def __init__(self, policy: int) -> None:
        self.remembering, self.forgetful = table(POLICIES[policy]), table(POLICIES[policy])
        self.state = 0
        self.number = 1

    def change(self, word: bytes) -> None:
        before = STATES[self.state]
        if word != SAME:
            self.state = 1 - self.state
        after = STATES[self.state]
        self.number += 1
        for one in (self.remembering, self.forgetful):
            one.stage(difference(before, after) if word == PART else after)
        self.remembering.begin(self.number, fresh=word != PART)
        self.forgetful.commit(self.number, fresh=word != PART)

    def begin(self) -> None:
        """What an input finds can be found again."""
        if self.state:
            self.change(WHOLE)
        for one in (self.remembering, self.forgetful):
            one.settle()
            one.forget()

    def ask(self, packet: bytes, udp: bool) -> bytes | None:
        self.remembering.settle(1)
        self.forgetful.forget()
        replies = [one.reply(packet, udp, client) for one in (self.remembering, self.forgetful)]
        assert replies[0] == replies[1], "not what it says without memory, or with the change in force"
        return replies[0]


PAIRS = [Pair(policy) for policy in range(len(POLICIES))]


def one_input(data: bytes) -> None:
    said = set()
    for pair in PAIRS:
        pair.begin()
        for packet in data.split(BETWEEN)[:MOST]:
            if packet in (PART, WHOLE, SAME):
                pair.change(packet)
                continue
            for udp in (True, True, False):
                said.add((packet, pair.ask(packet, udp), udp))
    for packet, reply, udp in said:
        rules.judge(packet, reply, udp)
