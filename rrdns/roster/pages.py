"""Rings whose sequence is longer than one page: which pools have them, and when the page turns. Floor 3, pure.

Owned by the roster. Must not know: what a sequence is, who serves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from rrdns.roster.duty import Duty

PAGE_EVERY = 5.0  # seconds a page of a ring stands, where the sequence has several


class Pages:
    """`due`: when the pages turn, those of all pools at once; None: no ring has more than one."""

    def __init__(self) -> None:
        self.due: float | None = None
        self._pools: set[str] = set()

    def keep_only(self, duties: Collection[str]) -> None:
        """Other pools: each that is new is noted when it is decided."""
        self._pools.intersection_update(duties)

    def note(self, duties: Mapping[str, Duty], names: Iterable[str], now: float) -> None:
        """These pools were decided and rendered."""
        for name in names:
            (self._pools.add if duties[name].pages() > 1 else self._pools.discard)(name)
        if not self._pools:
            self.due = None
        elif self.due is None:
            self.due = now + PAGE_EVERY

    def turn(self, duties: Mapping[str, Duty], now: float) -> frozenset[str]:
        """The next page, if its time has come; gives the pools to be rendered anew."""
        if self.due is None or now < self.due:
            return frozenset()
        for name in self._pools:
            duties[name].turn()
        self.due = now + PAGE_EVERY
        return frozenset(self._pools)
