"""Where `correct: true` can't be in force, and why. Floor 1, pure.

The loop compares what a director counts of each member with what was wanted of the pool's answers. So what is counted
must come by these answers:

| in the files                                                         | in force                                     |
|----------------------------------------------------------------------|----------------------------------------------|
| names that answer from the pool all with one scheduler and `answers` | yes: the same shares are wanted of each      |
| such names with different ones                                       | no: the count says not which name brought it |
| a member's address stands in another pool that a name answers from   | no: likewise                                 |
| another pool that a name answers from follows the same part          | no: likewise                                 |
| lc or wlc                                                            | no: they go by connections themselves        |

What the files don't tell is seen at the director: `roster/balance.py`. Must not know: counters, YAML.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rrdns.model import DataSet, Pool, Service
from rrdns.wire import name_to_text


def refusals(dataset: DataSet) -> dict[str, str]:
    """By pool with `correct: true` why it is not in force, in words; "" where it is."""
    wanted = [pool for pool in dataset.pools.values() if pool.correct]
    if not wanted:
        return {}
    services: dict[str, list[Service]] = {}
    for zone in dataset.zones.values():
        for service in zone.services:
            services.setdefault(service.pool, []).append(service)
    serving = [dataset.pools[name] for name in services if name in dataset.pools]
    addresses, parts = _by_address(serving), _by_part(serving)
    return {pool.name: _refusal(pool, services, addresses, parts) for pool in wanted}


def _by_address(pools: Iterable[Pool]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pool in pools:
        for member in pool.members:
            for address in member.addresses:
                found.setdefault(address, []).append(pool.name)
    return found


def _by_part(pools: Iterable[Pool]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for pool in pools:
        for part in dict.fromkeys((one.director, one.part) for one in pool.following):
            found.setdefault(part, []).append(pool.name)
    return found


def _refusal(
    pool: Pool,
    services: Mapping[str, list[Service]],
    addresses: Mapping[str, list[str]],
    parts: Mapping[tuple[str, str], list[str]],
) -> str:
    if not pool.following:
        return "it follows no director that could count its connections"
    mine = services.get(pool.name, [])
    if not mine:
        return "no name is answered from it"
    loaded = next((one.scheduler for one in mine if one.scheduler in ("lc", "wlc")), "")
    if loaded:
        return f"{loaded} goes by connections already"
    first = mine[0]
    for other in mine[1:]:
        if (other.scheduler, other.answers) != (first.scheduler, first.answers):
            names = f"{name_to_text(first.name)} and {name_to_text(other.name)}"
            return f"{names} share its members in different ways (scheduler, answers)"
    for member in pool.members:
        for address in member.addresses:
            for other_pool in addresses.get(address, ()):
                if other_pool != pool.name:
                    name = name_to_text(services[other_pool][0].name)
                    return f"{name} (pool {other_pool}) answers with {member.name}, {address}, too"
    for one in pool.following:
        for other_pool in parts.get((one.director, one.part), ()):
            if other_pool != pool.name:
                part = one.part or "its list"
                return f"pool {other_pool} follows {part} at {one.director} too: its connections can't be told apart"
    return ""
