"""The agent check: one line of a program beside the service, in the words of HAProxy's agent-check.

Words are separated by blanks, tabs or commas, in any order and any case; the line ends with the first CR or LF:

    word                              means
    up                                the check passes
    down, fail, stopped [#why]        it does not
    N%                                weight, in per cent of the member's own; 0% is drained
    ready, drain, maint               the administrative state
    maxconn:N, and unknown words      nothing here, but a line of unknown words alone fails

A line without up or down passes: an agent may speak of the weight alone. Unlike HAProxy, an agent that can't be
reached fails the check, as every check does. Must not know: what weight and words lead to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from rrdns.checks.conversation import Conversation
from rrdns.checks.dialer import Dialer
from rrdns.checks.words import plain, shown
from rrdns.model import AgentProbe, Result, Target

LINE_LIMIT = 1024
MOST_PERCENT = 1000
_END = re.compile(rb"[\r\n]")
_DOWN = frozenset({"down", "fail", "stopped"})
_STATES = frozenset({"ready", "drain", "maint"})


@dataclass(frozen=True, slots=True)
class Said:
    """What a line says; `ok` and `reason` are the verdict."""

    ok: bool
    reason: str
    weight: int | None = None
    word: str = ""


def read(line: bytes) -> Said:
    """What an agent's line means."""
    text, sharp, why = line.decode("utf-8", "replace").partition("#")
    ok, known, word = True, False, ""
    weight: int | None = None
    for one in re.split(r"[ \t,]+", text.lower()):
        if one in _STATES:
            word = one
        elif one in _DOWN:
            ok = False
        elif (percent := re.fullmatch(r"([0-9]{1,4})%", one, re.A)) and int(percent[1]) <= MOST_PERCENT:
            weight = int(percent[1])
        elif not re.fullmatch(r"up|maxconn:[0-9]+", one, re.A):
            continue  # later versions may have more words
        known = True
    if not known:
        return Said(False, f"not a line of an agent: {shown(line, 40)}")
    reason = f"agent: {plain(' '.join(text.split()), 80)}"
    if sharp and why.strip():
        reason += f" ({plain(why.strip(), 100)})"
    return Said(ok, reason, weight, word)


class Talk(Conversation):
    def __init__(self, asked: AgentProbe) -> None:
        super().__init__()
        self._send = asked.send
        self._line = b""
        self.said = Said(False, "")

    def begin(self) -> bytes:
        return self._send

    def heard(self, data: bytes) -> None:
        self._line += data[: LINE_LIMIT + 1 - len(self._line)]
        line, *rest = _END.split(self._line, maxsplit=1)
        if rest:
            self._judge(line)
        elif len(self._line) > LINE_LIMIT:
            self.judge(False, f"no end of the line in the first {LINE_LIMIT} bytes: {shown(line)}")

    def ended(self, how: str) -> None:
        if how == "closed" and self._line:
            self._judge(self._line)  # many an agent leaves out the end of the line
        else:
            self.judge(False, f"{how} before the end of the line")

    def waiting(self) -> str:
        return "waiting for the agent's line"

    def _judge(self, line: bytes) -> None:
        self.said = read(line)
        self.judge(self.said.ok, self.said.reason)


async def probe(target: Target, asked: AgentProbe, dialer: Dialer) -> Result:
    talk = Talk(asked)
    result = await dialer.ask(talk, target)
    return replace(result, weight=talk.said.weight, word=talk.said.word)
