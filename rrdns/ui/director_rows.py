"""What /status says of directors, and what they say of members, as rows and phrases for people. Pure.

Tolerant as `present.py`, which draws on it. Must not know: terminals, HTTP, how a director is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rrdns.texts import clean, duration, plural

Json = Mapping[str, Any]
SHOWN = 8


@dataclass(frozen=True, slots=True)
class DirectorRow:
    """One director: `age` of its last table in seconds, `took` its last question. `instances`: of a keepalived the
    state of each VRRP instance, in words."""

    name: str
    type: str
    state: str
    age: float | None
    took: float | None
    servers: int
    reason: str
    instances: str = ""

    @property
    def phrase(self) -> str:
        """`lvs1 (ipvs): 12 servers, read 1s ago in 3ms`, or why it can't be read."""
        seen = f"read {duration(self.age)} ago" if self.age is not None else "never read"
        if self.took is not None and self.state == "up":
            seen += f" in {duration(self.took)}"
        told = self.instances or plural(self.servers, "server")
        words = [told if self.age is not None else "", seen, self.reason]
        return f"{self.name} ({self.type}): " + ", ".join(word for word in words if word)


def directors(status: Json) -> list[DirectorRow]:
    return [
        DirectorRow(
            clean(name),
            clean(one.get("type", "")),
            str(one.get("state", "unknown")),
            one.get("age"),
            one.get("took"),
            one.get("servers") or 0,
            clean(one.get("reason", "")),
            _instances(one.get("instances")),
        )
        for name, one in status.get("directors", {}).items()
    ]


def _instances(told: Mapping[str, str] | None) -> str:
    """`VI_1 MASTER, VI_2 BACKUP`; of very many only the first."""
    words = [f"{clean(name)} {clean(state)}".strip() for name, state in sorted((told or {}).items())]
    return ", ".join(words[:SHOWN]) + (f" and {len(words) - SHOWN} more" if len(words) > SHOWN else "")


def voice_phrase(voice: Json) -> str:
    """`lvs1: up (up at lvs1), weight 10, 4 active, 1 inactive`."""
    words = [
        f"{clean(voice.get('name') or 'director')}: {clean(voice.get('word', '?'))} ({clean(voice.get('why', ''))})"
    ]
    if voice.get("weight") is not None:
        words.append(f"weight {voice['weight']}")
    words += [f"{voice[kind]} {kind}" for kind in ("active", "inactive") if voice.get(kind) is not None]
    return ", ".join(words)
