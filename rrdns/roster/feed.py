"""What is known of one director: its last table, when it came, why it can't be read. Floor 3, pure.

Must not know: pools, what the table says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address

from rrdns.isolation import subnet
from rrdns.model import Director, DirectorTable, Following, herald


@dataclass(frozen=True, slots=True)
class Feed:
    """What is known of one director: its last table and when it came; `fault`: why its last reading failed."""

    director: Director
    asked: bool = False
    table: DirectorTable | None = None
    at: float = 0.0
    fault: str = ""

    def state(self, now: float) -> str:
        """
        | it gave a table | that is as old as stale_after | its last reading failed | state   |
        |-----------------|-------------------------------|-------------------------|---------|
        | no              |                               | (nothing yet) / yes     | unknown / fault |
        | yes             | yes                           | any                     | stale: no vote  |
        | yes             | no                            | yes                     | fault: its last word holds |
        | yes             | no                            | no                      | up      |
        """
        if self.table is None:
            return "fault" if self.asked else "unknown"
        if now - self.at >= self.director.stale_after:
            return "stale"
        return "fault" if self.fault else "up"


def hear(feed: Feed, said: DirectorTable | str, now: float) -> Feed:
    """After a reading; an empty table is a fault, not a removal."""
    if isinstance(said, DirectorTable) and not said.parts and said.master is None:
        said = "its table is empty: no part of it lists a server"
    elif isinstance(said, DirectorTable) and not any(said.parts.values()) and set(said.parts) == {""}:
        said = "its list is empty"
    if isinstance(said, str):
        return replace(feed, asked=True, fault=str(said) or "it could not be read")
    return replace(feed, asked=True, table=said, at=now, fault="")


def mastery(one: Following, feeds: Mapping[str, Feed], now: float) -> bool | None:
    """Whether the director is the master for this part; None: nobody says.

    | `master:` at the pool's reference, else at the director | who says                                          |
    |---------------------------------------------------------|---------------------------------------------------|
    | ka1/VI_2                                                | ka1, of that instance alone; None if it has none  |
    | ka1                                                     | ka1, of all its instances; None if it has some    |
    | none                                                    | the director's own table                          |
    """
    text = named(one, feeds)
    name, instance = herald(text) if text else (one.director, "")
    teller = feeds.get(name)
    if teller is None or teller.table is None or (not instance and teller.table.master is None):
        return None
    if teller.state(now) == "stale":
        return None
    if not instance:
        return teller.table.master
    return next((report.word == "up" for report in teller.table.parts.get(instance, ())), None)


def named(one: Following, feeds: Mapping[str, Feed]) -> str:
    """Who is to say whether the director is the master, as the files name him; "": it tells itself, if at all."""
    return one.master or feeds[one.director].director.master


def lacking(one: Following, feeds: Mapping[str, Feed], now: float) -> str:
    """Why an instance that is named tells nothing though its keepalived can be read; "" if it does."""
    name, instance = herald(named(one, feeds))
    teller = feeds.get(name)
    if not instance or teller is None or teller.table is None or teller.state(now) == "stale":
        return ""
    if instance in teller.table.parts:
        return ""
    there = ", ".join(sorted(teller.table.parts)[:5])
    return f"{name} tells of no VRRP instance {instance}, so nobody says who is the master; it has {there}"


def far(director: Director) -> str:
    """Where a director is that is read over the network: its subnet, or its host's name. "" where nothing but this
    machine itself is asked."""
    text = director.url.partition("://")[2].partition("/")[0] or director.socket
    if not text or text.startswith("/") or text == "netlink":
        return ""
    text = text.rpartition("@")[2]
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") < 2:
        text = text.partition(":")[0]
    try:
        host = ip_address(text)
    except ValueError:
        return "" if text == "localhost" else text
    return "" if host.is_loopback else subnet(text)
