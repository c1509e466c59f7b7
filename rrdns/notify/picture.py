"""What state everything is in right now, as far as anyone is told of it: for the start, when nothing was heard yet.

Must not know: what is news, whom it concerns.
"""

from __future__ import annotations

from rrdns import isolation
from rrdns.notify.notices import Key
from rrdns.roster import directors, telling
from rrdns.roster.roster import Roster


def picture(roster: Roster, now: float) -> dict[Key, tuple[str, str]]:
    """Of every pool, member, director, host name and the guard its state and why, in the words of their events; and
    in their order: the members of a pool before it."""
    found: dict[Key, tuple[str, str]] = {}
    for name, duty in roster.duties.items():
        for index, host in enumerate(duty.hosts):
            why = telling.of_member(duty, index, roster.verdicts) if host.word != "up" else ""
            found["member", f"{name}/{host.name}"] = host.word, why
        found["pool", name] = duty.selection.state, duty.selection.why
    for name, feed in roster.directors.feeds.items():
        state = feed.state(now)
        found["director", name] = state, directors.reason(feed, state)
    for name, one in roster.names.found.items():
        found["name", name] = one.state, one.reason
    guard = roster.verdicts.guard
    word = "held" if isolation.holding(guard) else "ok" if guard.armed else "spent"
    found["server", "isolation"] = word, isolation.why(guard)
    return found
