"""What resolvers said of members' host names, until the roster takes it: of each name the newest, journaled then.

Must not know: how the roster decides, who asks.
"""

from __future__ import annotations

from collections.abc import Mapping

from rrdns.control.journal import Journal
from rrdns.control.names_said import NameJournal, pictured
from rrdns.resolution import Resolution
from rrdns.roster.roster import Roster


class Looks:
    def __init__(self, roster: Roster, journal: Journal) -> None:
        self._roster = roster
        self._journal = journal
        self._said = NameJournal()
        self._waiting: dict[str, Resolution] = {}
        journal.names = lambda now: pictured(roster.names.found, now)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, name: str, said: Resolution) -> None:
        self._waiting[name] = said

    def taken(self, now: float) -> Mapping[str, Resolution]:
        """All of them, for the roster; they are in the journal then."""
        waiting, self._waiting = self._waiting, {}
        for name, said in waiting.items():
            if name in self._roster.names.found:
                for at, row in self._said.news(name, said, now):
                    self._journal.note_input("name", name, row, at)
        return waiting
