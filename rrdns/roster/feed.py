"""What is known of one director: its last table, when it came, why it can't be read. Floor 3, pure.

Must not know: pools, what the table says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rrdns.model import Director, DirectorTable


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
        return replace(feed, asked=True, fault=said or "it could not be read")
    return replace(feed, asked=True, table=said, at=now, fault="")


def mastery(feed: Feed, feeds: Mapping[str, Feed], now: float) -> bool | None:
    """Whether it is the master: by the herald it names, else by its own table; None: nobody says."""
    herald = feeds.get(feed.director.master) if feed.director.master else feed
    if herald is None or herald.table is None or herald.state(now) == "stale":
        return None
    return herald.table.master
