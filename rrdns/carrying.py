"""Carrying: the weight that is needed, and the weight there is, of pools that end up on the same hosts. Floor 2, pure.

`capacity:` of a pool is the weight it takes to carry its load at its busiest. Pools that are served by the same hosts
are added up, and each host counts once: what `whatif` says of an outage and `check` of the files. Must not know: how
it is decided who serves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rrdns.failover import Selection
from rrdns.model import Pool

NOBODY_GOOD = frozenset({"drained", "unknown", "when_down"})
"""Rungs that answer with hosts of which nobody can say that they carry anything."""


@dataclass(frozen=True, slots=True)
class Load:
    """`pools`: all that are carried together, this one among them; `needs` and `has` in weight."""

    pools: tuple[str, ...]
    needs: int
    has: int

    @property
    def lacks(self) -> int:
        return max(0, self.needs - self.has)

    @property
    def suffices(self) -> bool:
        return self.has >= self.needs


def loads(
    selections: Mapping[str, Selection], pools: Mapping[str, Pool], scales: Mapping[str, int] | None = None
) -> dict[str, Load]:
    """By pool. `scales`: what the weights of a pool's selection are multiplied by, where that is not 1."""
    of_host: dict[bytes, set[str]] = {}
    weights: dict[bytes, float] = {}
    for name, selection in selections.items():
        if selection.rung in NOBODY_GOOD:
            continue
        scale = scales.get(name, 1) if scales else 1
        for one in selection.serving:
            for address in one.addresses[:1]:
                of_host.setdefault(address, set()).add(name)
                weights[address] = max(one.weight / scale, weights.get(address, 0))
    found: dict[str, Load] = {}
    for group in _groups(selections, of_host.values()):
        needs = sum(pools[name].capacity for name in group)
        has = int(sum(weight for address, weight in weights.items() if of_host[address] & group))
        found |= dict.fromkeys(group, Load(tuple(sorted(group)), needs, has))
    return found


def _groups(names: Iterable[str], sharing: Iterable[set[str]]) -> list[set[str]]:
    """The names, those together that share something, over others too."""
    groups = {name: {name} for name in names}
    for some in sharing:
        whole = set[str]().union(*(groups[name] for name in some))
        if any(groups[name] is not groups[next(iter(some))] for name in some):
            for name in whole:
                groups[name] = whole
    return list({id(group): group for group in groups.values()}.values())
