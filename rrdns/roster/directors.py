"""All directors and all pools that follow one: what they said, what follows from it, what there is to tell. Floor 3.

Owned by the roster, which brings tables and time and takes what changed. What a table means for a pool is worked
out by `following.py`. Must not know: checks, overrides, who serves, how a director is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rrdns.model import DataSet, DirectorTable, Event, Member, Pool, herald
from rrdns.roster.entries import UNKNOWN, Voice
from rrdns.roster.feed import Feed, hear, mastery, named
from rrdns.roster.followed import NOBODY, Followed
from rrdns.roster.following import follow
from rrdns.zonefile.readers import duration_text

Json = dict[str, Any]
FRESH = 3  # polls
UNREAD = "its director has not been read yet"
Kept = Mapping[str, Iterable[tuple[str, tuple[str, ...], int | None]]]
"""By pool: name, addresses and weight of its members as directors told them last."""


class Directors:
    """`changed`: by pool the members on whom there is another word or weight; `moved`: whether some pool has other
    members; `events`: the transitions. The roster takes all three. `version` counts changes of what `kept` gives."""

    def __init__(self) -> None:
        self.feeds: dict[str, Feed] = {}
        self.pools: dict[str, Pool] = {}
        self.followed: dict[str, Followed] = {}
        self.changed: dict[str, set[str]] = {}
        self.moved = False
        self.events: list[Event] = []
        self.version = 0
        self._users: dict[str, list[str]] = {}
        self._told: dict[str, tuple[str, float]] = {}
        self._restored: dict[str, Followed] = {}

    # ------------------------------------------------------------------ files and disk

    def restore(self, kept: Kept) -> None:
        """Members and weights from the disk, for the pools of the first load."""
        for pool, rows in kept.items():
            members, voices = [], {}
            for name, addresses, weight in rows:
                members.append(Member(name, tuple(addresses)))
                voices[name] = Voice("", UNKNOWN, "kept from the last run", weight=weight)
            self._restored[pool] = Followed(tuple(members), voices)

    def load(self, dataset: DataSet, now: float) -> DataSet:
        """Other files; gives the data set as it is to be served, with the members that directors told."""
        feeds = {}
        for name, director in dataset.directors.items():
            old = self.feeds.get(name)
            same = old is not None and _door(old) == _door(Feed(director))
            feeds[name] = replace(old, director=director) if old is not None and same else Feed(director)
        self.feeds = feeds
        self._told = {name: told for name, told in self._told.items() if name in feeds}
        self.pools = {
            name: pool
            for name, pool in dataset.pools.items()
            if pool.following and all(one.director in feeds for one in pool.following)
        }
        before, self.followed = {**self._restored, **self.followed}, {}
        self._restored = {}
        self._users = {name: [] for name in feeds}
        for name, pool in self.pools.items():
            heralds = [herald(named(one, feeds))[0] for one in pool.following]
            for used in dict.fromkeys([*(one.director for one in pool.following), *heralds]):
                if used in self._users:
                    self._users[used].append(name)
            old_one = before.get(name, NOBODY)
            made = () if pool.members else old_one.members
            self.followed[name] = replace(old_one, members=made, basis=())
            self._look_again(name, now)
        self._tell(now)
        self.moved = False
        return self.applied(dataset)

    def applied(self, dataset: DataSet) -> DataSet:
        """The data set with the members that directors told."""
        pools = dict(dataset.pools)
        for name, pool in self.pools.items():
            if not pool.members:
                pools[name] = replace(pool, members=self.followed[name].members)
        return replace(dataset, pools=pools)

    def renew(self, pools: Mapping[str, Pool], now: float) -> None:
        """The members of these pools have other addresses: what is listed on those counts."""
        for name in pools.keys() & self.pools.keys():
            self.pools[name] = pools[name]
            self.followed[name] = replace(self.followed[name], basis=())
            self._look_again(name, now)

    def kept(self) -> dict[str, list[tuple[str, tuple[str, ...], int | None]]]:
        """What a restart needs, as `restore` takes it."""
        found = {}
        for name, pool in self.pools.items():
            if pool.members and pool.weight_from != "director":
                continue
            one = self.followed[name]
            rows = [
                (member.name, member.addresses, one.voices[member.name].weight)
                for member in (pool.members or one.members)
                if member.name in one.voices
            ]
            if rows:
                found[name] = rows
        return found

    # ------------------------------------------------------------------ words and time

    def hear(self, name: str, said: DirectorTable | str, now: float) -> None:
        """One reading of a director, or why there is none. One that nobody follows any more is let pass."""
        if name not in self.feeds:
            return
        self.feeds[name] = hear(self.feeds[name], said, now)
        for pool in self._users[name]:
            self._look_again(pool, now)
        self._tell(now)

    def advance(self, now: float) -> None:
        """Words that get stale."""
        turned = [name for name, feed in self.feeds.items() if self._state(name) != feed.state(now)]
        pools = {pool for name in turned for pool in self._users[name]}
        pools |= {name for name, one in self.followed.items() if one.expires is not None and one.expires <= now}
        for pool in sorted(pools):
            self._look_again(pool, now)
        self._tell(now)

    def next_deadline(self) -> float | None:
        found = [one.expires for one in self.followed.values() if one.expires is not None]
        for name, feed in self.feeds.items():
            if feed.table is not None and self._state(name) != "stale":
                found.append(feed.at + feed.director.stale_after)
        return min(found, default=None)

    def is_followed_by(self, name: str) -> int:
        """How many pools a reading of this director concerns."""
        return len(self._users.get(name, ()))

    def followers(self, name: str) -> Sequence[str]:
        """The pools that a reading of this director concerns."""
        return self._users.get(name, ())

    def deaf(self, pool: str, now: float) -> str:
        """Why nothing is known of what the pool's members carry at this moment; "" where it is known."""
        for name in self._heard_by(pool):
            feed = self.feeds[name]
            if feed.table is None:
                return f"{name} can't be read: {feed.fault}" if feed.fault else UNREAD
            if now >= _fresh_until(feed):
                why = feed.fault or f"it was not read for {duration_text(round(now - feed.at, 1))}"
                return f"{name} tells no connections: {why}"
        return "" if pool in self.pools else "the pool has no director"

    def fresh_until(self, pool: str) -> float | None:
        """When `deaf` will have a reason, unless its directors are read again."""
        feeds = [self.feeds[name] for name in self._heard_by(pool)]
        return min((_fresh_until(feed) for feed in feeds if feed.table is not None), default=None)

    def _heard_by(self, pool: str) -> list[str]:
        """Whose words count for the pool's members now."""
        if pool not in self.pools:
            return []
        names = {one.director for one in self.followed[pool].voices.values() if one.director in self.feeds}
        return sorted(names or {one.director for one in self.pools[pool].following})

    @property
    def unheard(self) -> int:
        """How many have not been read even once, with or without success."""
        return sum(not feed.asked for feed in self.feeds.values())

    def voices(self, pool: str) -> Mapping[str, Voice]:
        return self.followed[pool].voices if pool in self.followed else {}

    def makes(self, pool: str) -> bool:
        """Whether the pool's members are told by a director."""
        return pool in self.pools and not self.pools[pool].members

    # ------------------------------------------------------------------ inside

    def _look_again(self, name: str, now: float) -> None:
        pool, before = self.pools[name], self.followed[name]
        after = self.followed[name] = follow(pool, before, self.feeds, now)
        if after.voices is before.voices:
            return
        if after.members != before.members:
            self.moved = True
            self.version += 1
        news = self.changed.setdefault(name, set())
        weighs = pool.weight_from == "director"
        for member, voice in after.voices.items():
            old = before.voices.get(member)
            reweighed = weighs and (old is None or old.weight != voice.weight)
            self.version += reweighed
            if old is None or reweighed or old.word != voice.word:
                news.add(member)
        if after.idle != before.idle and after.voices:
            words = ("ok", "degraded") if after.idle else ("degraded", "ok")
            why = "every member is drained there, or has weight 0" if after.idle else "members are in service again"
            self.events.append(Event(now, "director", f"{name}/{after.director or 'vips'}", *words, why))

    def _state(self, name: str) -> str:
        return self._told[name][0] if name in self._told else UNKNOWN

    def _tell(self, now: float) -> None:
        for name, feed in self.feeds.items():
            before, after = self._state(name), feed.state(now)
            if before != after:
                self._told[name] = after, now
                why = reason(feed, after) or "it can be read"
                self.events.append(Event(now, "director", name, before, after, why))

    # ------------------------------------------------------------------ pictures

    def snapshot(self, now: float) -> Json:
        """`directors` of `status --json`."""
        return {
            name: {
                "state": feed.state(now),
                "age": now - feed.at if feed.table is not None else None,
                "since": now - self._told[name][1] if name in self._told else None,
                "reason": reason(feed, feed.state(now)),
                "type": feed.director.type,
                "master": feed.table.master if feed.table is not None else None,
                "servers": sum(map(len, feed.table.parts.values())) if feed.table and not _tells_vrrp(feed) else 0,
                "pools": list(self._users[name]),
                **({"instances": _instances(feed)} if _tells_vrrp(feed) else {}),
            }
            for name, feed in sorted(self.feeds.items())
        }

    def of_pool(self, name: str, now: float) -> Json | None:
        """What a pool follows, and whose word counts; None where it follows nobody."""
        pool = self.pools.get(name)
        if pool is None:
            return None
        one = self.followed[name]
        listed = {key: now - listing.at for key, listing in one.listings.items()}
        return {
            "director": one.director or None,
            "use": pool.following[0].use,
            "follows": [
                {"director": each.director, "part": each.part, "age": listed.get((each.director, each.part))}
                | ({"herald": by, "master": mastery(each, self.feeds, now)} if (by := named(each, self.feeds)) else {})
                for each in pool.following
            ],
            "members_from": "zone" if pool.members else "director",
            "weight_from": pool.weight_from,
            "waiting": sorted(one.waiting),
            "notes": list(one.notes),
        }


def voice(one: Voice, now: float) -> Json:
    """One director's word on one member."""
    return {
        "name": one.director,
        "word": one.word,
        "why": one.why,
        "since": now - one.since,
        "weight": one.weight,
        "active": one.active,
        "inactive": one.inactive,
        "total": one.total,
    }


def reason(feed: Feed, state: str) -> str:
    """Why its state is not `up`, or what is odd though it is."""
    if feed.fault or state == "unknown":
        return feed.fault or "not read yet"
    if state == "stale":
        return f"it was not read for {duration_text(feed.director.stale_after)}"
    return feed.table.note if feed.table is not None else ""


def _tells_vrrp(feed: Feed) -> bool:
    return feed.director.type == "keepalived"


def _instances(feed: Feed) -> dict[str, str]:
    """The state of each VRRP instance, in keepalived's words."""
    parts = feed.table.parts if feed.table is not None else {}
    return {name: report.why for name, reports in parts.items() for report in reports}


def _fresh_until(feed: Feed) -> float:
    """Connections are known for FRESH polls; older ones would send everybody to who was least loaded then."""
    one = feed.director
    return feed.at + min(one.stale_after, FRESH * one.interval + one.timeout)


def _door(feed: Feed) -> tuple[object, ...]:
    """What makes it another director, whose last word says nothing of the new one."""
    one = feed.director
    return one.type, one.url, one.socket, one.path, one.command, one.fifo
