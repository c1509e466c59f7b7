"""Staging: a change on its way into a table, collected piece by piece. Needs only floor 0. Pure.

All that can be made before the commit is made here. Must not know: when a commit comes, how a question finds its ring.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rrdns.answers import AnswerSet, Changes, Node, ZoneAnswers
from rrdns.server.rings import Ring, Views
from rrdns.server.settling import Late


class ZoneRings:
    """A zone at work: what is answered for names and types that are not there, and to ANY."""

    __slots__ = ("any", "apex", "nodata", "nxdomain")

    def __init__(self, apex: bytes, answers: ZoneAnswers) -> None:
        self.apex = apex
        self.nodata, self.nxdomain, self.any = Ring(answers.nodata), Ring(answers.nxdomain), Ring(answers.any)

    def replace(self, answers: ZoneAnswers, number: int) -> bool:
        """New content in place; as `Ring.replace`."""
        stale = False
        for ring, one in (
            (self.nodata, answers.nodata),
            (self.nxdomain, answers.nxdomain),
            (self.any, answers.any),
        ):
            if not ring.holds(one):
                stale |= ring.replace(one, number)
        return stale


Place = tuple[ZoneRings, int]
"""Where a node belongs, and its kind; all nodes of one kind in a zone share it."""


class Staged:
    """A change so far; None removes. `views`: those in use of rings that will be replaced."""

    def __init__(self) -> None:
        self.zones: dict[bytes, ZoneAnswers | None] = {}
        self.nodes: dict[bytes, Place | None] = {}
        self.sets: dict[bytes, AnswerSet | None] = {}
        self.views: dict[bytes, Views] = {}
        self.new_zones: dict[bytes, ZoneRings] = {}
        self._places: dict[tuple[bytes, int], Place] = {}

    def __len__(self) -> int:
        return len(self.zones) + len(self.nodes) + len(self.sets)

    def take(self, changes: Changes, zones: Mapping[bytes, ZoneRings], sets: Mapping[bytes, Ring]) -> None:
        """One piece; `zones` and `sets` are those in force. A zone comes no later than its nodes."""
        self.zones.update(changes.zones)
        for apex, answers in changes.zones.items():
            if answers is not None and apex not in zones and apex not in self.new_zones:
                self.new_zones[apex] = ZoneRings(apex, answers)
        for name, node in changes.nodes.items():
            self.nodes[name] = None if node is None else self._place(node, zones)
        self.sets.update(changes.sets)
        for key, one in changes.sets.items():
            ring = sets.get(key)
            if ring is not None and one is not None and not ring.holds(one):
                views = ring.prepare(one)
                if views:
                    self.views[key] = views

    def _place(self, node: Node, zones: Mapping[bytes, ZoneRings]) -> Place:
        place = (node.zone, node.kind)
        found = self._places.get(place)
        if found is None:
            found = self._places[place] = (self.new_zones.get(node.zone) or zones[node.zone], node.kind)
        return found


class LateNodes(Late[Place]):
    """Whoever finds a node goes on to its zone's answers: they are settled with it."""

    zones: Late[ZoneRings]

    def get(self, key: bytes, default: Any = None) -> Any:
        place = super().get(key, default)
        if place is not None and place is not default:
            self.zones.get(place[0].apex)
        return place
