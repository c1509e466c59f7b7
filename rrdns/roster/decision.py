"""What one call of the roster's doors gives: the changed part of the table, and what there is to tell. Floor 3."""

from __future__ import annotations

from dataclasses import dataclass

from rrdns.answers import NO_CHANGES, Changes
from rrdns.model import Event


@dataclass(frozen=True, slots=True)
class Decision:
    """What one call changed in the table, and the transitions it stands for."""

    changes: Changes
    events: tuple[Event, ...]

    def __bool__(self) -> bool:
        return bool(self.changes or self.events)


NOTHING = Decision(NO_CHANGES, ())
