"""What, besides the operator's weights, decides how often each member of a pool is answered. Floor 3, pure.

    weight in the ring = weight (as decided: the operator's, the director's, the agent's; `rr`, `lc`: 1)
                         * slow start: the part of its way it has gone          `slow_start.py`
                         * correction: from connections that really came        `meter.py`, `correction.py`
    and with lc, wlc:      these, as vessels for the answers to come            `connections.py`

`weigh` is asked at each decision, and whenever one of these may have changed; it says whether the ring is another
one. Must not know: other pools, rings, records, who serves and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rrdns import connections, slow_start
from rrdns.failover import Host, Serving
from rrdns.model import Event, Pool, State
from rrdns.roster.directors import UNREAD
from rrdns.roster.entries import Voice
from rrdns.roster.meter import Meter

LOADED = {"lc": "rr", "wlc": "wrr"}
"""Schedulers that go by connections, and what they are without."""
WHOLE = 960
"""About what the weights of a ring add up to that is not the files' own: it fits one page with room for rounding."""
CLOSE = 0.05
LITTLE = 5
"""Weights by connections are left as they are while none differs by more than this part of it, or this much."""


class Balance:
    """One pool's. `ttl`: the longest of its names; `used`: the schedulers of its names; `deaf`: why
    connections are not known, "" where they are. `parts`: what of its weight each member has, of those who have not 1;
    `loads`: by scheduler the weights by connections; both as they are in force."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.ttl = 20.0
        self.used: frozenset[str] = frozenset()
        self.parts: dict[str, float] = {}
        self.loads: dict[str, dict[str, int]] = {}
        self.deaf = UNREAD if pool.following else "the pool has no director"
        self.meter = Meter(pool)
        self._joined: dict[str, float] = {}
        self._there: set[str] | None = None
        self._unjudged: set[str] = set()
        self._told: str | None = None

    def follow(self, before: Balance) -> None:
        """Takes over from the same pool before a reload."""
        self.parts, self.loads = before.parts, before.loads
        if self.pool.following:
            self.deaf = before.deaf
        self._joined, self._there, self._unjudged = before._joined, before._there, before._unjudged
        self._told = before._told
        self.meter.follow(before.meter)

    # ------------------------------------------------------------------ who is new

    def look(self, hosts: Sequence[Host], now: float) -> None:
        """Notes who came back or appeared. Whom the first look finds, and whom a first verdict finds up that nobody
        had judged at the first look, was there before us: a start of ours is no start of theirs."""
        able = {one.name for one in hosts if one.available}
        new = {one.name for one in hosts if one.state is State.UNKNOWN}
        if self._there is None:
            if hosts:
                self._there, self._unjudged = able, new
            return
        came = able - self._there - self._unjudged
        self._joined = {name: when for name, when in self._joined.items() if name in able}
        self._joined |= dict.fromkeys(came, now)
        self._there = able
        self._unjudged &= new

    def climbing(self, member: str, now: float) -> float | None:
        """The part of its weight that a member in slow start has; None: it is in none."""
        joined = self._joined.get(member)
        if joined is None or now >= joined + self.pool.slow_start:
            return None
        return slow_start.share(joined, now, self.pool.slow_start, self.ttl)

    def next_step(self, now: float) -> float | None:
        """When somebody's weight climbs next."""
        if not self.pool.slow_start:
            return None
        steps = (slow_start.next_step(when, now, self.pool.slow_start, self.ttl) for when in self._joined.values())
        return min((step for step in steps if step is not None), default=None)

    # ------------------------------------------------------------------ weights

    def part(self, member: str, now: float) -> float:
        """What of its weight a member has now."""
        climbed = self.climbing(member, now)
        return (1.0 if climbed is None else climbed) * self.meter.factor(member)

    def weigh(self, serving: Sequence[Serving], voices: Mapping[str, Voice], now: float) -> bool:
        """Works out the weights of this moment; whether they are others than those in force."""
        parts = {one.name: part for one in serving if (part := self.part(one.name, now)) != 1.0}
        moved, self.parts = parts != self.parts, parts
        for scheduler in LOADED.keys() & (self.used | self.loads.keys()):
            old, new = self.loads.get(scheduler), self._by_load(serving, voices, scheduler)
            if scheduler not in self.used or new is None:
                moved |= self.loads.pop(scheduler, None) is not None
            elif old is None or not _close(old, new):
                self.loads[scheduler] = new
                moved = True
        return moved

    def weights(self, serving: Sequence[Serving], scheduler: str) -> list[int]:
        """The weights in force, for the ring of one scheduler."""
        loads = self.loads.get(scheduler)
        if loads is not None:
            return [loads.get(one.name, 1) for one in serving]
        alike = self.now(scheduler) == "rr"
        base = [1 if alike else one.weight for one in serving]
        return _scaled(base, [self.parts.get(one.name, 1.0) for one in serving])

    def now(self, scheduler: str) -> str:
        """What a scheduler is at this moment: without connections lc is rr, and wlc is wrr."""
        return scheduler if scheduler in self.loads else LOADED.get(scheduler, scheduler)

    def _by_load(
        self, serving: Sequence[Serving], voices: Mapping[str, Voice], scheduler: str
    ) -> dict[str, int] | None:
        if self.deaf or not serving or self.unheard(serving, voices):
            return None
        told = [voices[one.name] for one in serving]
        carried = [connections.overhead(one.active or 0, one.inactive or 0) for one in told]
        base = [1 if scheduler == "lc" else one.weight for one in serving]
        wide = [max(1, round(100 * weight * self.parts.get(one.name, 1.0)))
                for weight, one in zip(base, serving, strict=True)]  # fmt: skip
        coming = self.meter.coming(sum(one.active or 0 for one in told))
        found = connections.weights_for(wide, carried, coming)
        return dict(zip((one.name for one in serving), found, strict=True))

    def unheard(self, serving: Iterable[Serving], voices: Mapping[str, Voice]) -> str:
        """Why connections are not known though the director is read; "" where they are."""
        for one in serving:
            voice = voices.get(one.name)
            if voice is None or voice.active is None:
                if voice is None or not voice.director:
                    return f"no director tells connections of {one.name}"
                return f"{voice.director} tells no connections of {one.name}"
        return ""

    # ------------------------------------------------------------------ what there is to tell

    def degraded(self, serving: Sequence[Serving], voices: Mapping[str, Voice]) -> str:
        """Why a scheduler that goes by connections is not at work; "" where it is, or nobody wants it."""
        if not LOADED.keys() & self.used or self.loads:
            return ""
        return self.deaf or self.unheard(serving, voices) or "nobody serves"

    def events(self, serving: Sequence[Serving], voices: Mapping[str, Voice], now: float) -> Iterable[Event]:
        """Once each time: a scheduler that degrades or is back; a member that is suspect."""
        if not LOADED.keys() & self.used:
            self._told = None
        elif serving:
            why = self.degraded(serving, voices)
            state = "degraded" if why else "ok"
            if state != (self._told or "ok") and why != UNREAD:  # a start is no transition
                names = ", ".join(f"{one} as {LOADED[one]}" for one in sorted(LOADED.keys() & self.used))
                text = f"{names}: {why}" if why else "it goes by connections again"
                yield Event(now, "balance", self.pool.name, self._told or "ok", state, text)
            if why != UNREAD:
                self._told = state
        yield from self.meter.take_events()


def _scaled(base: list[int], parts: list[float]) -> list[int]:
    """Whole weights in the proportion base * part; whoever has a weight keeps some."""
    if all(part == 1.0 for part in parts) or not base:
        return base
    exact = [weight * part for weight, part in zip(base, parts, strict=True)]
    whole = max(WHOLE, 20 * len(base)) / sum(exact)
    return [max(1, round(one * whole)) for one in exact]


def _close(old: Mapping[str, int], new: Mapping[str, int]) -> bool:
    """Whether nobody would notice the difference."""
    return old.keys() == new.keys() and all(
        abs(weight - old[name]) <= max(LITTLE, CLOSE * max(weight, old[name])) for name, weight in new.items()
    )
