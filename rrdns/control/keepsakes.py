"""Keepsakes: what a restart needs of the roster; written to the store as it changes, given back at the start.

That is health and overrides, members that directors told, addresses of host names, what failover schemes remember,
what holds keep as it is, and weights learned from connections. What can't be understood any more is logged and left
out: it begins anew.
Must not know: sqlite, how the roster decides, when there is something to keep.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

from rrdns import log
from rrdns.control.clock import Clock
from rrdns.control.names_said import NAMES, names_of, names_text
from rrdns.control.reports import CORRECTIONS, MEMBERS, corrections_of, members_of, members_text
from rrdns.control.standings import STANDINGS, standings_of, standings_text
from rrdns.control.store import Store
from rrdns.roster import frozen
from rrdns.roster.roster import Roster

KEEP_MEMBERS = 10.0  # seconds; weights that directors tell are written no oftener
KEEP_NAMES = 60.0  # seconds; addresses of names that stay as they are are written no oftener, for their age

T = TypeVar("T")


def restore(roster: Roster, store: Store, clock: Clock, health_max_age: float) -> None:
    """Before the first load."""
    health = store.health(health_max_age)
    members = _read(store, MEMBERS, members_of)
    standings = _read(store, STANDINGS, standings_of)
    held = _read(store, frozen.FROZEN, frozen.read)
    now = clock.moment()
    names = _read(store, NAMES, lambda text: names_of(text, now.mono, now.wall))
    roster.restore(health, store.overrides(), members, standings, held, names)
    roster.balancing.restore(_read(store, CORRECTIONS, corrections_of))


def _read(store: Store, key: str, read: Callable[[str | None], tuple[T, str]]) -> T:
    found, wrong = read(store.meta(key))
    if wrong:
        log.logger.error("%s: %s", store.path, wrong)
    return found


class Keepsakes:
    """Knows what is written, so that only what is something else is written again."""

    def __init__(self, roster: Roster, store: Store, clock: Clock) -> None:
        self._roster = roster
        self._store = store
        self._clock = clock
        self._members = (0, float("-inf"))
        self._names = (0, float("-inf"))
        self._standings = 0
        self._corrections = 0

    def keep_members(self, at_once: bool) -> None:
        """What directors told; who is a member at once, weights now and then."""
        version, when = self._members
        directors, now = self._roster.directors, self._clock.now()
        if directors.version != version and (at_once or now - when >= KEEP_MEMBERS):
            self._members = directors.version, now
            self._store.keep_meta(MEMBERS, members_text(directors.kept()))
        balancing, duties = self._roster.balancing, self._roster.duties
        version = balancing.version(duties)
        if version != self._corrections:
            self._corrections = version
            self._store.keep_meta(CORRECTIONS, json.dumps(balancing.kept(duties)))

    def keep_names(self) -> None:
        """The last good addresses of host names; others at once."""
        names, (version, when) = self._roster.names, self._names
        if not names.found and not version:
            return
        now = self._clock.moment()
        if names.version != version or now.mono - when >= KEEP_NAMES:
            self._names = names.version, now.mono
            self._store.keep_meta(NAMES, names_text(names.kept(), now.mono, now.wall))

    def keep_standings(self) -> None:
        """What failover schemes remember."""
        version = self._roster.company.version
        if version != self._standings:
            self._standings = version
            self._store.keep_meta(STANDINGS, standings_text(self._roster.standings))
            self._store.urge()

    def keep_frozen(self) -> None:
        """What holds keep as it is."""
        told = frozen.text(self._roster.holds.frozen(self._roster.duties))
        if told != (self._store.meta(frozen.FROZEN) or "{}"):
            self._store.keep_meta(frozen.FROZEN, told)
