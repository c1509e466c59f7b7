"""`rrdns check` on `capacity:`: who could not carry what the files make him carry. Pure.

The real decision code with all hosts well, and then for each pool that others stand in for with all of its own dead,
and for each tier of an idle-standby with the better ones dead; what the hosts carry then is reckoned as `whatif` does
(`carrying.py`). Nothing is said where no capacity is told, or where weights are a director's. Must not know: files,
YAML, how it is printed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from ipaddress import IPv6Address
from itertools import pairwise

from rrdns import hosts
from rrdns.carrying import Load, loads
from rrdns.failover import Asked, Selection, decide_all
from rrdns.hosts import Host
from rrdns.model import DataSet, Member, Pool, Problem, State
from rrdns.substitutes import lenders, links
from rrdns.zonefile.places import Places


def overloads(dataset: DataSet, places: Places) -> Iterator[Problem]:
    """Everything, in no order."""
    files = _Files(dataset)
    for name, pool in dataset.pools.items():
        if pool.capacity and not files.untold(files.near(name)):
            yield from _own(files, pool, places)
            yield from _tiers(files, pool, places)
            yield from _substitutes(files, pool, places)


def _own(files: _Files, pool: Pool, places: Places) -> Iterator[Problem]:
    load = files.load(pool.name, {})
    if not load.suffices:
        text = f"{_who(pool)} {load.has}, and the load takes {_takes(load, files.pools)} at its busiest: even with all "
        text += f"well {load.lacks} is lacking; it needs more hosts or weight"
        yield places.capacities[pool.name].warning(text)


def _tiers(files: _Files, pool: Pool, places: Places) -> Iterator[Problem]:
    if not (pool.failover and pool.failover.scheme == "idle-standby"):
        return
    for better, tier in pairwise(sorted({one.priority for one in pool.members})):
        dead = {pool.name: {one.name for one in pool.members if one.priority <= better}}
        load = files.load(pool.name, dead)
        if files.decided(pool.name, dead)[pool.name].standing.tier == tier and not load.suffices:
            text = f"when tier {tier} serves alone its hosts have weight {load.has}, and the load takes "
            text += f"{_takes(load, files.pools)}: {load.lacks} is lacking; it needs more weight, or the pool "
            text += f"quorum: {{weight: {pool.capacity}}}, with which all tiers that are left serve together"
            yield places.capacities[pool.name].warning(text)


def _substitutes(files: _Files, pool: Pool, places: Places) -> Iterator[Problem]:
    dead = {pool.name: {one.name for one in pool.members}}
    found = files.decided(pool.name, dead)[pool.name]
    for how, _ in links(pool):
        load = files.load(pool.name, dead)
        if found.how == how and not load.suffices:
            text = f"{found.from_pool} could not carry this: when all of {pool.name} is down its hosts have weight "
            text += f"{load.has}, and the load takes {_takes(load, files.pools)}: {load.lacks} is lacking; it needs "
            text += "more hosts or weight"
            yield places.links[pool.name, how].warning(text)


def _who(pool: Pool) -> str:
    scheme = pool.failover.scheme if pool.failover else ""
    if scheme == "idle-standby" and len({one.priority for one in pool.members}) > 1:
        return f"tier {min(one.priority for one in pool.members)} has weight"
    if pool.failover and scheme == "rotating-standby":
        return f"those who hold a place (active: {pool.failover.active}) have weight"
    return "its hosts have weight"


def _takes(load: Load, pools: Mapping[str, Pool]) -> str:
    """`5`, or `5 (left 3, right 2)` where several pools are carried together."""
    its = [f"{name} {pools[name].capacity}" for name in load.pools if pools[name].capacity]
    return f"{load.needs} ({', '.join(its)})" if len(its) > 1 else str(load.needs)


# ---------------------------------------------------------------- imagined

Ties = Mapping[str, set[str]]
Dead = Mapping[str, Collection[str]]
"""By pool the members whose addresses none of its checks reaches; another pool's may ask something else there."""


class _Files:
    """The pools of the files with all hosts well, and outages of them."""

    def __init__(self, dataset: DataSet) -> None:
        self.pools = {name: replace(pool, before_promote=None) for name, pool in dataset.pools.items()}
        self._well: dict[str, Selection] = {}
        self._loads: dict[str, Load] = {}
        self._alike: dict[str, frozenset[str]] = {}

    @cached_property
    def _helpers(self) -> Ties:
        """By pool those that may help it out."""
        return {name: {other for _, other in lenders(pool, self.pools)} for name, pool in self.pools.items()}

    @cached_property
    def _tied(self) -> Ties:
        """And those that it may help out."""
        found = {name: set(others) for name, others in self._helpers.items()}
        for name, others in self._helpers.items():
            for other in others:
                found[other].add(name)
        return found

    @cached_property
    def _sharing(self) -> Ties:
        """By pool others with the same hosts."""
        found: dict[str, set[str]] = {name: set() for name in self.pools}
        first: dict[str, str] = {}
        for name, pool in self.pools.items():
            for one in pool.members:
                for text in _addresses(one):
                    other = first.setdefault(text, name)
                    found[name].add(other)
                    found[other].add(name)
        return found

    def near(self, name: str) -> frozenset[str]:
        """All pools that could be carried by hosts that this one could be carried by."""
        helping = _reached(name, self._helpers)
        for one in helping:
            if one not in self._alike:
                same = _reached(one, self._sharing)
                self._alike |= dict.fromkeys(same, same)
        return frozenset().union(*(self._alike[one] for one in helping))

    def untold(self, names: Collection[str]) -> bool:
        """Whether weights are not in the files."""
        pools = [self.pools[name] for name in names]
        return any(not pool.members or (pool.following and pool.weight_from == "director") for pool in pools)

    def decided(self, name: str, dead: Dead) -> Mapping[str, Selection]:
        """Who serves which of the pools near `name`. Of those who are well only its helpers do other than before."""
        found = {}
        for one in self.near(name):
            if one not in self._well:
                self._well |= self._decide(_reached(one, self._tied), {})
            found[one] = self._well[one]
        return found | self._decide(_reached(name, self._helpers), dead) if dead else found

    def _decide(self, names: Collection[str], dead: Dead) -> dict[str, Selection]:
        gone = {
            name: {text for one in self.pools[name].members if one.name in members for text in _addresses(one)}
            for name, members in dead.items()
        }
        pools = {name: self.pools[name] for name in sorted(names)}
        its = {name: _hosts(pool, gone.get(name, ())) for name, pool in pools.items()}

        def lent(pool: Pool, other: str) -> list[Host]:
            without = gone.get(pool.name, ())
            return [hosts.lent(one, other, _states(one, without), pool.families) for one in its[other]]

        asked = {
            name: Asked(pool, its[name], lent={other: lent(pool, other) for _, other in lenders(pool, self.pools)})
            for name, pool in pools.items()
        }
        return decide_all(asked)

    def load(self, name: str, dead: Dead) -> Load:
        if dead:
            return loads(self.decided(name, dead), self.pools)[name]
        if name not in self._loads:
            found = loads(self.decided(name, {}), self.pools)
            self._loads |= {one: found[one] for one in self._alike[name]}
        return self._loads[name]


def _reached(name: str, ties: Ties) -> frozenset[str]:
    """`name`, and all that its ties lead to."""
    seen, ahead = {name}, [name]
    while ahead:
        new = ties[ahead.pop()] - seen
        seen |= new
        ahead += new
    return frozenset(seen)


def _hosts(pool: Pool, gone: Collection[str]) -> tuple[Host, ...]:
    found = []
    for member in pool.members:
        member = replace(member, addresses=_addresses(member))
        states = [State.DOWN if text in gone else State.UP for text in member.addresses]
        found.append(hosts.host(member, states, pool.families))
    return tuple(found)


def _states(one: Host, gone: Collection[str]) -> list[State]:
    return [State.DOWN if address.text in gone else address.state for address in one.addresses]


def _addresses(member: Member) -> tuple[str, ...]:
    """Its own; of a member that is known by a name only one that stands for the name."""
    if member.addresses:
        return member.addresses
    digest = hashlib.sha256(" ".join(member.hosts or (member.name,)).encode()).digest()
    return (str(IPv6Address(digest[:16])),)
