"""What exists in zones that are served together: the ground on which `differences.py` judges."""

from __future__ import annotations

from collections.abc import Mapping

from replies import Record

from rrdns import wire
from rrdns.model import Zone


class World:
    """All zones that are served together, and which names exist in each."""

    def __init__(self, zones: Mapping[bytes, Zone]) -> None:
        self.zones = zones
        self.records: set[Record] = set()
        self.names: dict[bytes, set[bytes]] = {}
        self.types: dict[tuple[bytes, bytes], set[int]] = {}
        for apex, zone in zones.items():
            exist = self.names[apex] = {apex}
            for one in zone.rrsets:
                self.types.setdefault((apex, one.name), set()).add(one.type)
                self.records.update((one.name, one.type, 1, one.ttl, data) for data in one.rdatas)
                above = one.name
                while above not in exist:
                    exist.add(above)
                    above = wire.parent(above)

    def apex_of(self, name: bytes) -> bytes | None:
        """The innermost zone the name lies in."""
        while name not in self.zones:
            if name == b"\0":
                return None
            name = wire.parent(name)
        return name

    def outer_of(self, apex: bytes) -> bytes | None:
        return self.apex_of(wire.parent(apex))

    def foreign(self, name: bytes) -> bool:
        """Whether the name, one above it below its zone's apex, or a wildcard for them is in the zone around only."""
        apex = self.apex_of(name)
        outer = self.outer_of(apex) if apex is not None else None
        if apex is None or outer is None:
            return False
        here, there = self.names[apex], self.names[outer]
        while name != apex:
            above = wire.parent(name)
            if any(one in there and one not in here for one in (name, b"\x01*" + above)):
                return True
            name = above
        return False
