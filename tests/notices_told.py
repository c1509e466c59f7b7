"""What a sink was told, read out of a webhook's JSON and out of the text of a mail as a person would."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

_LINE = re.compile(r"\d\d:\d\d:\d\d  (\w+) (\S+)  (.*?) -> (.*?)(?: \((\d+) changes\))?(?:: (.*))?")


@dataclass(frozen=True)
class Told:
    """One line of a message."""

    subject: str
    name: str
    before: str
    after: str
    why: str
    changes: int

    @property
    def about(self) -> tuple[str, str, str]:
        return about(self.subject, self.name, self.after)


def about(subject: str, name: str, after: str) -> tuple[str, str, str]:
    """What is told as one if it changes again before it was told. Of a pool's failover that is each of these: whose
    hosts serve it, which of them, whom its own hosts serve, who of them is on duty."""
    if subject != "failover":
        return subject, name, ""
    for words, what in ((("served by ",), "source"), (("borrows ",), "loan"), (("serves ", " shed to "), "shed")):
        if any(after.startswith(word) or (word[0] == " " and word in after) for word in words):
            return subject, name, what
    return subject, name, "duty"


def of_json(event: dict[str, Any]) -> Told:
    return Told(*(event[key] for key in ("subject", "name", "before", "after", "why", "changes")))


def of_mail(message: EmailMessage) -> list[Told]:
    """Every line must be understood."""
    title, _, *lines = message.get_content().strip().splitlines()
    assert title.strip() == str(message["Subject"]).strip() or len(title) > 190, (title, message["Subject"])
    found = []
    for line in lines:
        match = _LINE.fullmatch(line)
        assert match, f"what is this: {line!r}"
        subject, name, before, after, changes, why = match.groups()
        found.append(Told(subject, name, before, after, why or "", int(changes or 1)))
    return found
