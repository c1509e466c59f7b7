"""Directors far from here, as witnesses of our own path: who was heard when, and who fell silent. Floor 2, pure.

A director that answers, whatever it answers (a refusal, a 503, a table that can't be understood), proves a path. One
that was never heard has no say, and neither has one that has been silent for long: that is an old story.

Must not know: targets, tables, pools, why it matters (`isolation.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(slots=True)
class Hearing:
    """One director: where it is (a subnet, or its host's name), when it last said something, since when it says
    nothing. `span`: the longest an outage can go unseen by its readings. Changed in place: there are many readings."""

    place: str
    span: float = 0.0
    heard: float | None = None
    silent: float | None = None

    def note(self, silent: bool, now: float) -> bool:
        """One reading. Whether it fell silent by it, or was heard again."""
        turned = silent is (self.silent is None)
        if not silent:
            self.heard, self.silent = now, None
        elif self.silent is None:
            self.silent = now
        return turned


Hearings = Mapping[str, Hearing]


def heard_after(directors: Hearings, then: float) -> bool:
    return any(one.heard is not None and one.heard > then for one in directors.values())


def fell_silent(directors: Hearings, span: float, now: float) -> list[Hearing]:
    """All that were heard till lately, if each of them fell silent within the span."""
    lately = [
        one
        for one in directors.values()
        if one.heard is not None and (one.silent is None or now - one.silent <= max(span, one.span))
    ]
    return lately if all(one.silent is not None for one in lately) else []


def next_word(directors: Hearings) -> float:
    """By when those that are heard will have been heard again, or have fallen silent."""
    return max((one.heard + one.span for one in directors.values() if one.heard and one.silent is None), default=0.0)
