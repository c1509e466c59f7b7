"""Counting: what of the roster the tally must know, and what the roster must know of the tally.

Must not know: how a cursor becomes a count (counters.py), how weights follow from it.
"""

from __future__ import annotations

from rrdns.answers import Changes, Key
from rrdns.control.counters import Ring, Tally
from rrdns.roster.roster import Roster


def rings(roster: Roster, changes: Changes) -> dict[Key, Ring]:
    """Who stands in the counted rings among the changes."""
    found = {}
    for key, ring in changes.sets.items():
        if ring is not None and ring.counted:
            name = key[:-2]
            found[key] = Ring(name, roster.services[name].pool, roster.ring_members(key))
    return found


def keep_only_those_there(roster: Roster, tally: Tally) -> None:
    data = roster.dataset
    tally.keep_only(
        [(pool.name, member.name) for pool in data.pools.values() for member in pool.members],
        [service.name for zone in data.zones.values() for service in zone.services],
    )


def tell_answers(roster: Roster, tally: Tally, director: str) -> dict[str, int]:
    """How much the pools that follow a director have answered, as far as their weights go by it; tells the roster."""
    keen, found = roster.balancing.keen, {}
    for pool in roster.directors.followers(director):
        if pool in keen:
            found[pool] = sum(tally.services[one.name] for one in roster.duties[pool].services)
            roster.answered(pool, found[pool])
    return found
