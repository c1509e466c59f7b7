"""The table in force, and its static half: zones rendered, kept, and compared with the load before. Floor 3.

A zone that is equal to what was rendered last costs one comparison; of a zone that changed only the names and
sets that differ are given on. Must not know: pools, health, rings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from rrdns import render
from rrdns.answers import AnswerSet, Key, Node, ZoneAnswers
from rrdns.model import Hinted, Service, Zone
from rrdns.render import ZoneTable

K = TypeVar("K")
V = TypeVar("V")


class Table:
    """Everything that is answered now. Every change goes through `put`, which also notes it."""

    def __init__(self) -> None:
        self.answers: dict[Key, AnswerSet] = {}
        self.nodes: dict[bytes, Node] = {}
        self.zones: dict[bytes, ZoneAnswers] = {}

    def enforce(self, wanted: Difference) -> Difference:
        """Puts a load's difference in force; gives what of it really changed something."""
        changed = Difference()
        for place, one in wanted.sets.items():
            put(self.answers, place, one, changed.sets)
        for name, node in wanted.nodes.items():
            put(self.nodes, name, node, changed.nodes)
        for apex, zone in wanted.zones.items():
            put(self.zones, apex, zone, changed.zones)
        return changed


def put(table: dict[K, V], place: K, new: V | None, changed: dict[K, V | None]) -> None:
    """Puts one value in force, None for its removal, and notes it among the changes if it is one."""
    old = table.get(place)
    if old is new or old == new:
        return
    changed[place] = new
    if new is None:
        del table[place]
    else:
        table[place] = new


class Statics:
    """The zones in force: each with the inner apexes it was rendered with, and its table."""

    def __init__(self) -> None:
        self._zones: dict[bytes, tuple[Zone, tuple[bytes, ...], ZoneTable]] = {}

    def load(self, zones: Mapping[bytes, Zone]) -> Difference:
        """Renders what is new or changed, and gives what must go and what must come."""
        inner = render.children(zones)
        old, new = self._zones, {}
        found = Difference()
        for apex in sorted(zones):
            zone = zones[apex]
            before = old.get(apex)
            if before is not None and before[1] == inner[apex] and (before[0] is zone or before[0] == zone):
                new[apex] = before
                continue
            table = render.render_zone(zone, inner[apex])
            new[apex] = (zone, inner[apex], table)
            found.between(before[2] if before else None, table, apex)
        for apex in sorted(old.keys() - new.keys()):
            found.between(old[apex][2], None, apex)
        self._zones = new
        return found

    def services(self) -> dict[bytes, Service]:
        """All POOL names that can be reached, in the order of zones and files."""
        return {one.name: one for _, _, table in self._zones.values() for one in table.services}

    def hinted(self) -> tuple[Hinted, ...]:
        """All records with hints from pools that can be reached."""
        return tuple(one for _, _, table in self._zones.values() for one in table.hinted)

    def zone(self, apex: bytes) -> ZoneTable:
        return self._zones[apex][2]


class Difference:
    """What a load changes. A key can go from one zone and come in another: what comes then counts."""

    def __init__(self) -> None:
        self.sets: dict[Key, AnswerSet | None] = {}
        self.nodes: dict[bytes, Node | None] = {}
        self.zones: dict[bytes, ZoneAnswers | None] = {}

    def between(self, old: ZoneTable | None, new: ZoneTable | None, apex: bytes) -> None:
        _compare(self.sets, old.sets if old else {}, new.sets if new else {})
        _compare(self.nodes, old.nodes if old else {}, new.nodes if new else {})
        was, now = old.answers if old else None, new.answers if new else None
        if was != now:
            self.zones[apex] = now


def _compare(into: dict[K, V | None], old: Mapping[K, V], new: Mapping[K, V]) -> None:
    for key in old:
        if key not in new and into.get(key) is None:
            into[key] = None
    for key, value in new.items():
        if old.get(key) != value:
            into[key] = value
