"""All host names that members are given by: what was resolved, what follows from it, what there is to tell. Floor 3.

Owned by the roster, which brings answers and time and takes what changed. The members' addresses in force are those
of the files, then those of their names; an address belongs to one member of a pool: the one whose file names it, else
the first in the file's order. What an answer means for a name is worked out by `resolved.py`. Must not know: checks,
directors, who serves, how a name is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from rrdns.model import DataSet, Event, Member, Pool
from rrdns.resolution import Resolution
from rrdns.roster.resolved import UNKNOWN, Found, hear, ordered

Json = dict[str, Any]
NOBODY = "none"
SHOWN = 8

KeptNames = Mapping[str, tuple[tuple[str, ...], tuple[str, ...], float]]
"""By name its last good addresses, IPv4 and IPv6, and when it had them last."""


class Names:
    """`moved`: the pools some member of which has other addresses; `events`: the transitions. The roster takes both.
    `version` counts changes of addresses."""

    def __init__(self) -> None:
        self.found: dict[str, Found] = {}
        self.moved: dict[str, Pool] = {}
        self.events: list[Event] = []
        self.version = 0
        self._pools: dict[str, Pool] = {}
        """Of the pools that have names: as the files have them,"""
        self._placed: dict[str, Pool] = {}
        """and with the addresses in force."""
        self._lacks: dict[str, dict[str, str]] = {}
        self._users: dict[str, list[str]] = {}
        self._since: dict[str, float] = {}
        self._restored: KeptNames = {}

    # ------------------------------------------------------------------ files and disk

    def restore(self, kept: KeptNames) -> None:
        """Last good sets from the disk, for the names of the first load."""
        self._restored = kept

    def load(self, dataset: DataSet, now: float) -> DataSet:
        """Other files; gives the data set with the addresses in force."""
        self._pools = {name: pool for name, pool in dataset.pools.items() if any(one.hosts for one in pool.members)}
        self._users = {}
        for name, pool in self._pools.items():
            for host in dict.fromkeys(host for member in pool.members for host in member.hosts):
                self._users.setdefault(host, []).append(name)
        before, self.found = self.found, {}
        for host in self._users:
            self.found[host] = before.get(host) or self._kept(host)
            self._since.setdefault(host, now)
        self._since = {host: since for host, since in self._since.items() if host in self._users}
        self._restored = {}
        self.version += before.keys() != self.found.keys()
        self._lacks = {name: self._lacks.get(name, {}) for name in self._pools}
        self._placed = {name: self._place(pool) for name, pool in self._pools.items()}
        self.moved = {}
        return self.applied(dataset)

    def _kept(self, host: str) -> Found:
        if host not in self._restored:
            return UNKNOWN
        v4, v6, at = self._restored[host]
        return Found((ordered(v4), ordered(v6)), at, faults=("", ""))

    def applied(self, dataset: DataSet) -> DataSet:
        """The data set with the addresses in force."""
        return replace(dataset, pools={**dataset.pools, **self._placed}) if self._placed else dataset

    def kept(self) -> dict[str, tuple[tuple[str, ...], tuple[str, ...], float]]:
        """What a restart needs, as `restore` takes it."""
        return {host: (*one.sets, one.at) for host, one in self.found.items() if one.addresses}

    # ------------------------------------------------------------------ answers

    def hear(self, said: Mapping[str, Resolution], now: float) -> None:
        """Looks at names. One that no member has any more is let pass."""
        pools: dict[str, list[str]] = {}
        for host, one in said.items():
            if host not in self.found:
                continue
            before, after = self.found[host], hear(self.found[host], one, now)
            self.found[host] = after
            self._tell(host, before, after, now)
            if before.sets != after.sets:
                self.version += 1
            if (before.sets, before.reason, before.asked) != (after.sets, after.reason, after.asked):
                for name in self._users[host]:
                    pools.setdefault(name, []).append(host)
        for name, hosts in pools.items():
            self._look_again(name, hosts, now)

    def _look_again(self, name: str, hosts: Collection[str], now: float) -> None:
        before, after = self._placed[name], self._place(self._pools[name])
        if after == before:
            return
        self._placed[name] = self.moved[name] = after
        for old, new in zip(before.members, after.members, strict=True):
            if old.addresses != new.addresses:
                its = [host for host in new.hosts if host in hosts] or list(hosts)
                why = f"{', '.join(its[:SHOWN])} {'changed' if old.addresses else 'was resolved'}"
                words = _listed(old.addresses) or "unknown", _listed(new.addresses) or NOBODY
                self.events.append(Event(now, "addresses", f"{name}/{new.name}", *words, why))

    def _place(self, pool: Pool) -> Pool:
        """The pool with its members' addresses in force. What a member lacks, and why, goes to `lacks`."""
        lacks = self._lacks[pool.name]
        lacks.clear()
        owners = {text: member.name for member in pool.members for text in member.addresses}
        members = []
        for member in pool.members:
            found: dict[str, None] = dict.fromkeys(member.addresses)
            taken = []
            for text in [text for host in member.hosts for text in self.found[host].addresses]:
                owner = owners.setdefault(text, member.name)
                if owner == member.name:
                    found[text] = None
                else:
                    taken.append(f"{text} is {owner}'s too, and counts there")
            if member.hosts:
                lacks[member.name] = self._why(member, taken, bool(found))
            members.append(replace(member, addresses=tuple(found)) if member.hosts else member)
        return replace(pool, members=tuple(members))

    def _why(self, member: Member, taken: list[str], some: bool) -> str:
        """Why the member has no address, or not all."""
        words = [] if some else [
            f"{host} is not resolved yet{': ' + one.reason if one.reason else ''}"
            for host, one in ((host, self.found[host]) for host in member.hosts)
            if not one.addresses
        ]  # fmt: skip
        return "; ".join([*words, *taken])

    def _tell(self, host: str, before: Found, after: Found, now: float) -> None:
        if before.state == after.state:
            return
        self._since[host] = now
        why = after.reason or f"it has {_listed(after.addresses)}"
        if after.state == "stale":
            why += f"; its last good addresses hold: {_listed(after.addresses)}"
        self.events.append(Event(now, "name", host, before.state, after.state, why))

    # ------------------------------------------------------------------ questions

    @property
    def wanted(self) -> Collection[str]:
        """The names to be followed."""
        return self.found.keys()

    @property
    def unheard(self) -> int:
        """How many have neither addresses nor been asked even once."""
        return sum(one.state == "unknown" for one in self.found.values())

    def lacks(self, pool: str) -> Mapping[str, str]:
        """By member why it lacks addresses, "" where it does not; kept up to date."""
        return self._lacks.get(pool, {})

    def snapshot(self, now: float) -> Json:
        """`names` of `status --json`."""
        return {host: {**self.of_name(host, now), "pools": list(self._users[host])} for host in sorted(self.found)}

    def of_member(self, member: Member, now: float) -> Json:
        return {host: self.of_name(host, now) for host in member.hosts if host in self.found}

    def of_name(self, host: str, now: float) -> Json:
        """`age`: of the last good answer; `since`: how long it has been in its state."""
        one = self.found[host]
        return {
            "state": one.state,
            "reason": one.reason,
            "since": now - self._since[host],
            "age": now - one.at if one.addresses else None,
            "addresses": list(one.addresses),
            "notes": list(one.notes),
        }


def _listed(addresses: Iterable[str]) -> str:
    every = list(addresses)
    return " ".join(every[:SHOWN]) + (f" and {len(every) - SHOWN} more" if len(every) > SHOWN else "")
