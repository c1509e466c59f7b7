"""The tcp check: connect; optionally say something and wait for words that must come."""

from __future__ import annotations

from rrdns.checks.conversation import Conversation
from rrdns.checks.words import size, wanted
from rrdns.model import TcpProbe

EXPECT_LIMIT = 65536  # what is expected must come within so many bytes


class TcpConversation(Conversation):
    def __init__(self, asked: TcpProbe) -> None:
        super().__init__()
        self._asked = asked
        self._tail = b""  # enough of what came to find the words across two reads

    def begin(self) -> bytes:
        if not self._asked.expect:
            self.judge(True, "connected", last_words=self._asked.send)
        return self._asked.send

    def heard(self, data: bytes) -> None:
        expect = self._asked.expect
        allowed = EXPECT_LIMIT - (self.received - len(data))
        window = self._tail + data[:allowed]
        if expect in window:
            self.judge(True, f"connected, got {wanted(expect)}")
        elif len(data) >= allowed:
            self.judge(False, f"no {wanted(expect)} in the first {EXPECT_LIMIT} bytes")
        else:
            self._tail = window[-(len(expect) - 1) :] if len(expect) > 1 else b""

    def ended(self, how: str) -> None:
        self.judge(False, f"{how} after {size(self.received)} without {wanted(self._asked.expect)}")

    def waiting(self) -> str:
        so_far = f" ({size(self.received)} so far)" if self.received else ""
        return f"waiting for {wanted(self._asked.expect)}{so_far}"
