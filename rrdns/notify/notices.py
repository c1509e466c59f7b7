"""What there is to tell: a notice is one transition, or several of one subject told as one. Floor 1, pure.

Must not know: sinks, texts, when anything is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rrdns.model import ABSENT

Key = tuple[str, str]
"""Subject and name: what a notice is about."""

USUAL = ("member", "pool", "failover", "promotion", "balance", "director", "name", "reload", "server", "audit")
SUBJECTS = (*USUAL, "addresses", "override", "zone")
STATELESS = ("failover", "addresses", "override", "zone")
"""Subjects of which each change is news, whatever was told before."""

BEGINNINGS = ("no tier", "nobody")
"""Of a failover: before it nobody was on duty."""

CRITICAL, WARNING, FINE, ASIDE, INFO = "critical", "warning", "fine", "aside", "info"
BAD = (CRITICAL, WARNING)

_SEVERITIES = {
    "pool": {"down": CRITICAL, "panic": CRITICAL, "degraded": WARNING, "unknown": WARNING},
    "member": {"down": WARNING, "unknown": WARNING, "drained": ASIDE, "disabled": ASIDE},
    "director": {"stale": WARNING, "fault": WARNING, "degraded": WARNING, "unknown": ASIDE},
    "name": {"stale": WARNING, "fault": WARNING, "unknown": ASIDE},
    "reload": {"refused": WARNING, "kept": CRITICAL},
    "server": {"held": WARNING, "holding": WARNING, "spent": CRITICAL},
    "balance": {"degraded": WARNING, "suspect": WARNING, "refused": WARNING},
    "audit": {"found": WARNING},
    "promotion": {"blocked": CRITICAL},
}


_OF_POOLS = ("member", "failover", "promotion", "balance", "addresses", "override")


@dataclass(frozen=True, slots=True)
class Notice:
    """`time` is a wall clock's. `changes`: how many transitions it stands for; `before` is of the first of them."""

    time: float
    subject: str
    name: str
    before: str
    after: str
    why: str
    changes: int = 1

    @property
    def key(self) -> Key:
        if self.subject == "failover":  # of one pool several things may change in one step
            return self.subject, f"{self.name}: {_aspect(self.after)}"
        return self.subject, self.name

    @property
    def pool(self) -> str:
        """The pool it is about; "" where there is none."""
        if self.subject in ("pool", "failover", "promotion"):
            return self.name
        return self.name.partition("/")[0] if self.subject in _OF_POOLS else ""

    @property
    def member(self) -> str:
        return self.name.partition("/")[2] if self.subject in _OF_POOLS else ""

    @property
    def severity(self) -> str:
        return severity(self.subject, self.after)

    def shown(self) -> dict[str, Any]:
        """For JSON; `known` reads it back."""
        return {name: getattr(self, name) for name in self.__slots__}  # asdict takes ten times as long


def _aspect(word: str) -> str:
    """What of a pool's failover changed: whose hosts answer for it, whom it answers for, or who of its own does."""
    if word.startswith("served by"):
        return "source"
    return "shed" if word.startswith("serves ") or " shed to " in word else "holders"


def known(data: Mapping[str, Any]) -> Notice:
    """A notice as `shown` wrote it; ValueError, TypeError or LookupError if it is none."""
    texts = {name: str(data[name]) for name in ("subject", "name", "before", "after", "why")}
    return Notice(float(data["time"]), **texts, changes=int(data["changes"]))


def severity(subject: str, word: str) -> str:
    """critical | warning: someone should look. fine. aside: out by an operator's or a director's will, or gone.
    info: of a subject whose words are neither good nor bad."""
    if subject in STATELESS:
        return INFO
    if word == ABSENT:
        return ASIDE
    return _SEVERITIES.get(subject, {}).get(word, FINE)


def is_beginning(subject: str, before: str) -> bool:
    """Whether it is how things begin, and so no news at a start."""
    return subject == "failover" and before in BEGINNINGS


def is_news(told: str | None, notice: Notice) -> bool:
    """Whether `notice` says something that is not known from what was told last (None: nothing is amiss).

    | told last       | now         | news                       |
    |-----------------|-------------|----------------------------|
    | a word          | the same    | no                         |
    | fine or aside   | fine, aside | no: nobody has to look     |
    | bad             | fine, aside | yes: it is over            |
    | anything        | bad         | yes                        |
    | (stateless)     | changed     | yes                        |
    """
    if notice.subject in STATELESS:
        return notice.before != notice.after
    if told == notice.after:
        return False
    was_bad = told is not None and severity(notice.subject, told) in BAD
    return was_bad or notice.severity in BAD


def joined(older: Notice, newer: Notice) -> Notice:
    """Both as one: from where the older began to where the newer ended."""
    return replace(newer, before=older.before, changes=older.changes + newer.changes)


def collapsed(notices: Iterable[Notice]) -> tuple[Notice, ...]:
    """One notice a subject, in the order in which they came up."""
    found: dict[Key, Notice] = {}
    for one in notices:
        old = found.get(one.key)
        found[one.key] = joined(old, one) if old else one
    return tuple(found.values())


def worst(notices: Iterable[Notice]) -> str:
    """The severity of a message."""
    order = (CRITICAL, WARNING, FINE, ASIDE, INFO)
    return min((one.severity for one in notices), key=order.index, default=INFO)
