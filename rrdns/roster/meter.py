"""What a pool's director counts, beside what the pool answered: for the fairness meter, for the connections to come,
and for the correction of weights. Floor 3, pure.

`heard` takes one reading. Counters are since the director's start; one that went back, or another director's, begins
all anew. Must not know: rings, how weights are put in force.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from rrdns import connections, correction
from rrdns.correction import Correction
from rrdns.model import Event, Pool
from rrdns.roster.entries import Voice

LOOK_BACK = 300.0  # seconds of the fairness meter
EVERY = 10.0  # seconds between the readings it keeps
SMOOTH = 0.5  # of the new, in the rate of answers
LIFE = 30.0  # seconds a connection is taken to last where a director tells how many there are, but not how many came
FOREIGN = 10_000
"""Connections that an answer brings at most in a window: a resolver of a hundred thousand clients keeps within it.
More, and what the director counts plainly does not come by this name."""
OUTSIDERS = 0.5
"""Of its even part: a member that has long been out of the answers and still gets so much is sent clients by others."""

Totals = dict[str, int]
Kept = Mapping[str, Mapping[str, Mapping[str, float]]]
"""By pool and kind (factors, lost, shares), by member: what `Meter.kept` gave."""


class Meter:
    """One pool's. `refused`: why the files keep `correct: true` out of force; `foreign`: why what the director counts
    does; `version` counts changes of what `kept` gives."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.refused = ""
        self.foreign = ""
        self.version = 0
        self.correction = Correction()
        self._growth = 1.0
        self._rate: float | None = None
        self._interval = 0.0
        self._answers: tuple[float, int] | None = None
        self._learned: tuple[int, Totals] | None = None
        """Answers and connections up to which growth has been learned."""
        self._window_answers: tuple[int, int] | None = None
        """Answers given when this window began, and the one before."""
        self._outside: dict[str, float] = {}
        """Since when members that are counted have not been answered."""
        self._source: frozenset[str] = frozenset()
        self._history: deque[tuple[float, Totals]] = deque()
        self._newest: tuple[float, Totals] = (0.0, {})
        self._active: Totals = {}
        self._events: list[Event] = []

    def follow(self, before: Meter) -> None:
        """Takes over from the same pool before a reload."""
        for name in vars(before).keys() - {"pool", "refused"}:
            setattr(self, name, getattr(before, name))

    # ------------------------------------------------------------------ readings

    def heard(
        self,
        voices: Mapping[str, Voice],
        answers: int,
        serving: Collection[str],
        wanted: Mapping[str, float],
        ttl: float,
        interval: float,
        now: float,
    ) -> None:
        """One reading of the director. `answers`: given by the pool's names so far; `serving`: who is in them;
        `wanted`: the shares of those who take part in the correction, {} for no correction now."""
        totals = {name: one.total for name, one in voices.items() if one.total is not None}
        self._active = {name: one.active for name, one in voices.items() if one.active is not None}
        source = frozenset(one.director for one in voices.values() if one.director)
        if source != self._source or any(totals.get(name, old) < old for name, old in self._newest[1].items()):
            self._begin_anew(source)
        self._interval = interval
        self._count(answers, interval, now)
        self._learn(answers, totals)
        self._keep(totals, now)
        self._outside = {name: self._outside.get(name, now) for name in totals if name not in serving}
        self._correct(totals, answers, wanted, ttl, now)

    def _begin_anew(self, source: frozenset[str]) -> None:
        same = source == self._source
        self._source, self._learned = source, None
        self._history.clear()
        if not same:  # where counters of the same one went back the loop sees it by itself
            self.correction = replace(self.correction, begun=None, totals={})

    def _count(self, answers: int, interval: float, now: float) -> None:
        if self._answers is not None and now - self._answers[0] < interval / 2:
            return  # another director's reading just now: there is nothing to divide by
        if self._answers is not None and answers >= self._answers[1]:
            rate = (answers - self._answers[1]) / (now - self._answers[0])
            self._rate = rate if self._rate is None else self._rate + SMOOTH * (rate - self._rate)
        self._answers = now, answers

    def _learn(self, answers: int, totals: Totals) -> None:
        """How many connections an answer brings; from as many readings as it takes to have enough answers."""
        if not totals:
            return
        if self._learned is None or answers < self._learned[0]:
            self._learned = answers, totals
        elif answers - self._learned[0] >= connections.ENOUGH:
            given, before = answers - self._learned[0], self._learned[1]
            came = sum(count - before.get(name, count) for name, count in totals.items())
            self._growth = connections.growth(self._growth, given, came)
            self._learned = answers, totals

    def _keep(self, totals: Totals, now: float) -> None:
        self._newest = now, totals
        if not totals:
            return
        if not self._history or now - self._history[-1][0] >= EVERY:
            self._history.append((now, totals))
        while len(self._history) > 1 and self._history[1][0] <= now - LOOK_BACK:
            self._history.popleft()

    def coming(self, active: int) -> float:
        """Connections that the answers given until the next reading will bring. That caches go on
        bringing some for a TTL is left out: with it the loads were less even (`scripts/simulate`)."""
        by_answers = (self._rate or 0.0) * self._growth * self._interval
        return by_answers if self._learned is not None else max(by_answers, active * self._interval / LIFE)

    # ------------------------------------------------------------------ correction

    def factor(self, member: str) -> float:
        return self.correction.factor(member) if self.pool.correct and not self.why_not else 1.0

    @property
    def why_not(self) -> str:
        """Why `correct: true` is not in force."""
        return self.refused or self.foreign

    def due(self, ttl: float) -> float | None:
        return correction.due(self.correction, ttl)

    def _correct(self, totals: Totals, answers: int, wanted: Mapping[str, float], ttl: float, now: float) -> None:
        if not self.pool.correct or self.refused:
            if self.correction != Correction():
                self.correction = Correction()
                self.version += 1
            return
        before = self.correction
        wanted = {name: share for name, share in wanted.items() if name in totals}
        mine = {name: totals[name] for name in wanted}
        after = self.correction = correction.observe(before, wanted, mine, ttl, now)
        if after.begun != before.begun:
            came = sum(mine.values()) - sum(before.totals.values()) if before.totals.keys() == mine.keys() else 0
            self._judge_road(came, answers, now)
            self._window_answers = answers, self._window_answers[0] if self._window_answers else answers
        self.version += (after.factors, after.lost) != (before.factors, before.lost)
        self._tell(before, after, now)

    def _judge_road(self, came: int, answers: int, now: float) -> None:
        """Whether what is counted plainly comes by another road than this pool's answers."""
        foreign = self._by_outsiders(now)
        if not foreign and self._window_answers is not None:
            given = answers - self._window_answers[1]  # in this window and the one before, whose answers live in caches
            if came > correction.ENOUGH and came > FOREIGN * given >= 0:
                foreign = f"{came} connections came in a window of {given} answers: they do not come by this name"
        if foreign != self.foreign:
            words = ("ok", "refused") if foreign else ("refused", "ok")
            if bool(foreign) != bool(self.foreign):
                self._events.append(Event(now, "balance", self.pool.name, *words, foreign or "correction goes on"))
            if foreign:
                self.correction = replace(self.correction, factors={}, lost={})
            self.foreign = foreign

    def _by_outsiders(self, now: float) -> str:
        """Members out of the answers for the whole look back, and what they got in its younger half."""
        if not self._history or len(self._newest[1]) < 2:
            return ""
        middle = next((one for one in self._history if one[0] >= now - LOOK_BACK / 2), self._history[-1])
        new = {name: count - middle[1].get(name, count) for name, count in self._newest[1].items()}
        whole = sum(new.values())
        if whole < correction.ENOUGH * len(new):
            return ""
        for name, since in self._outside.items():
            if now - since >= LOOK_BACK and new.get(name, 0) >= OUTSIDERS * whole / len(new):
                return f"{name} gets {new[name] / whole:.0%} of the connections though it has long not been answered"
        return ""

    def _tell(self, before: Correction, after: Correction, now: float) -> None:
        for name in sorted(before.suspects ^ after.suspects):
            place = f"{self.pool.name}/{name}"
            if name in after.suspects:
                why = f"it got {after.shares.get(name, 0.0):.1%} of the connections, less than a quarter of its share, "
                why += f"in {correction.LOST_WINDOWS} windows running: does it refuse clients? It is not given more"
                self._events.append(Event(now, "balance", place, "ok", "suspect", why))
            elif name in after.members:
                self._events.append(Event(now, "balance", place, "suspect", "ok", "connections reach it again"))

    def take_events(self) -> Iterable[Event]:
        events, self._events = self._events, []
        return events

    # ------------------------------------------------------------------ the fairness meter

    @property
    def counted(self) -> str:
        """What `connected` counts: connections that are new | those that are active | "" for nothing."""
        return "new" if self._newest[1] else "active" if self._active else ""

    def connected(self, members: Iterable[str]) -> dict[str, float]:
        """Each member's share of the connections of the last minutes; of those there are where new ones are not told.
        {} where nothing can be said."""
        names = set(members)
        if self._newest[1]:
            new = {name: count for name, count in self._since()[1].items() if name in names}
        else:
            new = {name: count for name, count in self._active.items() if name in names}
        whole = sum(new.values())
        return {name: count / whole for name, count in new.items()} if whole else {}

    def rates(self) -> dict[str, float]:
        """New connections a second of each member, over the last minutes."""
        passed, new = self._since()
        return {name: count / passed for name, count in new.items()} if passed > 0 else {}

    def _since(self) -> tuple[float, Totals]:
        if not self._history:
            return 0.0, {}
        (then, before), (now, after) = self._history[0], self._newest
        return now - then, {name: count - before[name] for name, count in after.items() if name in before}

    def snapshot(self, now: float, ttl: float) -> dict[str, Any] | None:
        """`correction` of a pool in `status --json`; None where the files do not ask for it."""
        if not self.pool.correct:
            return None
        one, due = self.correction, self.due(ttl)
        waits = "caches still hold what was before a change of members" if one.frozen > now else ""
        return {
            "state": "refused" if self.why_not else "frozen" if waits else "on",
            "why": self.why_not or waits,
            "next": max(0.0, due - now) if due is not None and not self.why_not else None,
            "suspects": sorted(one.suspects),
        }

    # ------------------------------------------------------------------ restarts

    def kept(self) -> dict[str, dict[str, float]]:
        one = self.correction
        lost = {name: float(count) for name, count in one.lost.items()}
        found = {"factors": dict(one.factors), "lost": lost, "shares": dict(one.shares)}
        return found if one.factors or one.lost else {}

    def restore(self, kept: Mapping[str, Mapping[str, float]]) -> None:
        """What `kept` gave; what can't be a factor is left out."""
        factors = {name: float(value) for name, value in kept.get("factors", {}).items()
                   if correction.LEAST <= value <= correction.MOST}  # fmt: skip
        lost = {name: int(value) for name, value in kept.get("lost", {}).items() if 0 < value < 1000}
        self.correction = replace(self.correction, factors=factors, lost=lost, shares=dict(kept.get("shares", {})))
