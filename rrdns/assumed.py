"""What `before_promote` comes to where its command is not run: in `whatif` and in a replay. Floor 3, pure.

    a replay under the files of then    as it was recorded
    other files, whatif                 it succeeds at once, and that is said

Must not know: what drives the roster.
"""

from __future__ import annotations

from collections.abc import Iterator

from rrdns.recorded import Input
from rrdns.roster.roster import Decision, Roster


def succeed(roster: Roster, now: float, notes: dict[str, None]) -> Iterator[Decision]:
    """All that wait are promoted."""
    for one in roster.promotions:
        notes[f"pool {one.pool}: {one.fence.argv[0]} (before_promote) is taken to succeed at once"] = None
        yield roster.promoted(one.pool, one.ident, True, "taken to succeed", now)


def recorded(roster: Roster, told: Input, now: float) -> Iterator[Decision]:
    """What a command came to then, of the same promotion now."""
    yield roster.advance(now)  # its next try may be due at this very moment
    for one in roster.promotions:
        if one.pool == told.name and list(one.coming) == told.data.get("coming"):
            yield roster.promoted(one.pool, one.ident, bool(told.data.get("ok")), str(told.data.get("said", "")), now)
