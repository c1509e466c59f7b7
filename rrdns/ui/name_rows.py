"""What /status says of members' host names, as rows and phrases for people. Pure.

Tolerant as `present.py`, which draws on it. Must not know: terminals, HTTP, how a name is resolved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rrdns.texts import clean, duration, plural

Json = Mapping[str, Any]
FEW = 3  # so many names in trouble are told one by one
SHOWN = 6
HOLDS = "its last good addresses hold"


@dataclass(frozen=True, slots=True)
class NameRow:
    """One host name. `age` of its last good answer, `since` how long it has been in its state, both in seconds;
    `next`: seconds until it is asked again."""

    name: str
    state: str
    reason: str
    age: float | None
    since: float | None
    ttl: int | None
    next: float | None
    addresses: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def phrase(self) -> str:
        """`app1.example.net.: 192.0.2.1, TTL 60`, or what is wrong and for how long."""
        return f"{self.name}: {'; '.join(word for word in (self._told(), *self.notes) if word)}"

    def _told(self) -> str:
        more = f" and {len(self.addresses) - SHOWN} more" if len(self.addresses) > SHOWN else ""
        listed = " ".join(self.addresses[:SHOWN]) + more
        if self.state == "up":
            return listed + (f", TTL {self.ttl}" if self.ttl is not None else "")
        words = [self.reason or "not asked yet"]
        if self.since is not None and self.reason:
            words.append(f"for {duration(self.since)}")
        if self.age is not None:
            words.append(f"{HOLDS}, of {duration(self.age)} ago: {listed}")
        if self.next is not None:
            words.append(f"asked again in {duration(self.next)}")
        return ", ".join(words)


def names(status: Json) -> list[NameRow]:
    return [row(name, one) for name, one in (status.get("names") or {}).items()]


def row(name: str, one: Json) -> NameRow:
    return NameRow(
        clean(name),
        str(one.get("state", "unknown")),
        clean(one.get("reason", "")),
        one.get("age"),
        one.get("since"),
        one.get("ttl"),
        one.get("next"),
        tuple(clean(text) for text in one.get("addresses", ())),
        tuple(clean(text) for text in one.get("notes", ())),
    )


def troubles(status: Json) -> Iterator[str]:
    """What someone must know of names that are not resolved now: a few one by one, many in a line."""
    found: dict[str, list[NameRow]] = {}
    for one in names(status):
        if one.state in ("stale", "fault"):
            found.setdefault(one.state, []).append(one)
    for state, rows in found.items():
        holds = HOLDS if state == "stale" else "it has never been resolved"
        if len(rows) <= FEW:
            yield from (f"host name {one.name} {state}: {one.reason}; {holds}" for one in rows)
        else:
            many = "their last good addresses hold" if state == "stale" else "they have never been resolved"
            reasons = "; ".join(list(dict.fromkeys(one.reason for one in rows))[:FEW])
            yield f"{plural(len(rows), 'host name')} {state}: {reasons}; {many}"
