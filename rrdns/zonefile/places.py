"""Where what a load has read stands in its files, for whoever looks at a data set and has something to say of it.

Filled by `load` for those who ask; the server does not. Plain data, floor 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from rrdns.model import Place, Problem
from rrdns.zonefile.drafts import ZoneDraft
from rrdns.zonefile.pools import Shelf


@dataclass(frozen=True, slots=True)
class Spotted:
    """A place, and the words that lead to it (`pools.web`, `www.POOL`)."""

    place: Place
    path: str

    def warning(self, message: str) -> Problem:
        return Problem(self.place, self.path, message, warning=True)

    def problem(self, message: str) -> Problem:
        return Problem(self.place, self.path, message)


@dataclass(slots=True)
class Places:
    """`services` and `budgets` by owner name, `sets` by owner name and type, `pools` and `capacities` by name, `links`
    by pool and how it names another: backup | partner | fallback."""

    services: dict[bytes, Spotted] = field(default_factory=dict)
    budgets: dict[bytes, Spotted] = field(default_factory=dict)
    sets: dict[tuple[bytes, int], Spotted] = field(default_factory=dict)
    pools: dict[str, Spotted] = field(default_factory=dict)
    zones: dict[bytes, Spotted] = field(default_factory=dict)
    capacities: dict[str, Spotted] = field(default_factory=dict)
    links: dict[tuple[str, str], Spotted] = field(default_factory=dict)

    def fill(self, drafts: Iterable[ZoneDraft], shelf: Shelf) -> None:
        for draft in drafts:
            self.zones[draft.name] = Spotted(draft.place, "")
            for name, one in draft.services.items():
                self.services[name] = Spotted(draft.out.place(one.spot), one.path)
                self.budgets[name] = Spotted(draft.out.place(one.budget_spot), f"{one.path}.budget")
            for owner, sets in draft.sets.items():
                for rtype, each in sets.items():
                    self.sets[owner, rtype] = Spotted(draft.out.place(each.spot), each.path)
        for pool, entry in shelf.pools.items():
            self.pools[pool] = Spotted(entry.place, f"pools.{pool}")
            self.capacities[pool] = Spotted(entry.out.place(entry.capacity_spot), f"pools.{pool}.capacity")
            for ref in entry.pool_refs:
                self.links[pool, ref.how] = Spotted(entry.out.place(ref.spot), ref.path)
