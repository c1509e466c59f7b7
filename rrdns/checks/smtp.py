"""The smtp check: greeting 220, EHLO answered by 250, QUIT; where asked, STARTTLS among what is offered.

RFC 5321. No mail is begun. The session inside STARTTLS is not looked at; with `tls: true` it is TLS from the first
byte (port 465), and the certificate counts.
"""

from __future__ import annotations

import os
import re

from rrdns.checks import tls
from rrdns.checks.conversation import Conversation
from rrdns.checks.dialer import Dialer
from rrdns.checks.stream import in_tls
from rrdns.checks.words import plain, shown
from rrdns.model import Result, SmtpProbe, Target

REPLY_LIMIT = 16384  # bytes of one reply
_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?")
_QUIT = b"QUIT\r\n"


class Session(Conversation):
    def __init__(self, asked: SmtpProbe) -> None:
        super().__init__(asked.tls)
        self._asked = asked
        self._left = b""  # what came and is not a whole line yet
        self._reply: list[str] = []  # the lines of a reply that goes on
        self._code = b""
        self._size = 0
        self._greeted = False

    def begin(self) -> bytes:
        return b""  # the server speaks first

    def heard(self, data: bytes) -> None:
        self._left += data
        self._size += len(data)
        while b"\n" in self._left and self.verdict is None:
            line, _, self._left = self._left.partition(b"\n")
            self._line(line.removesuffix(b"\r"))
        if self._size > REPLY_LIMIT:
            self.judge(False, f"bad SMTP: the {self._what} is over {REPLY_LIMIT} bytes")

    def ended(self, how: str) -> None:
        self.judge(False, f"{how} before the {self._what}{' was whole' if self._size else ''}")

    def waiting(self) -> str:
        return f"waiting for the {self._what}"

    @property
    def _what(self) -> str:
        return "answer to EHLO" if self._greeted else "greeting"

    def _line(self, line: bytes) -> None:
        found = _LINE.fullmatch(line)
        if not found or (self._code and found[1] != self._code):
            return self.judge(False, f"not SMTP: {shown(line)}")
        self._code = found[1]
        self._reply.append((found[3] or b"").decode("utf-8", "replace"))
        if found[2] != b"-":
            self._judge(int(self._code), self._reply)
            self._code, self._reply, self._size = b"", [], len(self._left)

    def _judge(self, code: int, lines: list[str]) -> None:
        wanted = 250 if self._greeted else 220
        if code != wanted:
            return self.judge(False, f"SMTP {code} {plain(lines[0].strip(), 80)} ({self._what})", _QUIT)
        if not self._greeted:
            self._greeted = True
            if self.transport:
                self.transport.write(f"EHLO {self._asked.helo or os.uname().nodename}\r\n".encode("ascii", "replace"))
            return
        offers = {line.partition(" ")[0].upper() for line in lines[1:]}
        if self._asked.starttls and "STARTTLS" not in offers:
            return self.judge(False, "SMTP 250, but STARTTLS is not offered", _QUIT)
        self.judge(True, "SMTP 250, STARTTLS offered" if self._asked.starttls else "SMTP 250", _QUIT)


async def probe(target: Target, asked: SmtpProbe, dialer: Dialer) -> Result:
    if not asked.tls:
        return await dialer.ask(Session(asked), target)
    name = asked.host.rstrip(".") or target.address
    try:
        name.encode("idna")
    except UnicodeError as error:
        return Result(False, f"cannot ask this: {plain(str(error))}")
    return await in_tls(Session(asked), target, tls.context(asked.verify), name)
