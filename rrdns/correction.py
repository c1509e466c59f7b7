"""Weights that follow what really arrived: the closed loop of `correct: true`. Floor 1, pure.

A member's share of the *answers* is exact; its share of the *connections* is not, since resolvers cache, differ in
size, and clients sort addresses. A director counts connections. Once a window each member's share of the new ones is
compared with the share that was wanted, and its weight gets a factor:

    factor <- factor * (wanted / measured) ** 0.3           clamped to 1/4 .. 1.5

| in a window                                             | the member's factor                               |
|---------------------------------------------------------|---------------------------------------------------|
| too few new connections, or a counter that went back    | goes a step back towards 1: nothing was learned   |
| just after a change of the members                      | stays: caches still hold what was before          |
| within 10 % of what was wanted                          | stays                                             |
| under a quarter of what was wanted, twice running       | 1, and *suspect*: never raised. A host that       |
|                                                         | refuses what it is sent looks like one that has   |
|                                                         | room; more weight would feed a black hole         |
| else                                                    | the rule above                                    |

Must not know: directors, rings, where wanted shares come from; members in slow start or drain are not handed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

EXPONENT = 0.3
LEAST, MOST = 0.25, 1.5
DEAD_BAND = 0.1
LOST = 0.25  # of the wanted share: less, and something is wrong with the member
LOST_WINDOWS = 2
ENOUGH = 100  # new connections that the smallest wanted share should have brought, or chance is larger than the fault
BACK = 0.5  # of the way back to 1, for each window that taught nothing


def window(ttl: float) -> float:
    """Seconds between two comparisons: long enough that what was answered before has left the caches."""
    return max(60.0, 3 * ttl)


@dataclass(frozen=True, slots=True)
class Correction:
    """The state of one pool's loop.

    factors    by member; who is missing has 1
    lost       windows running in which a member got under LOST of its share
    totals     each member's counter of connections when the window began
    begun      when it began; None: with the next counters
    frozen     until when changes of the members still work in caches
    members    who took part: a change of them freezes
    """

    factors: Mapping[str, float] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)
    totals: Mapping[str, int] = field(default_factory=dict)
    begun: float | None = None
    frozen: float = 0.0
    members: frozenset[str] = frozenset()
    shares: Mapping[str, float] = field(default_factory=dict)
    """What each member got in the last window that could be judged, as a share of all new connections."""

    def factor(self, member: str) -> float:
        return self.factors.get(member, 1.0)

    @property
    def suspects(self) -> frozenset[str]:
        return frozenset(name for name, count in self.lost.items() if count >= LOST_WINDOWS)


def due(one: Correction, ttl: float) -> float | None:
    """When the window that runs now ends; None: none runs."""
    return None if one.begun is None else one.begun + window(ttl)


def observe(
    one: Correction, wanted: Mapping[str, float], totals: Mapping[str, int], ttl: float, now: float
) -> Correction:
    """Counters came in. `wanted`: shares by the operator's weights, without factors, of those who take part (they
    need not add up to 1); `totals`: connections each had since its director's start. Until a window is over only
    its begin and the members are looked at."""
    members = frozenset(wanted)
    if members != one.members:
        kept = {name: value for name, value in one.factors.items() if name in members}
        lost = {name: value for name, value in one.lost.items() if name in members}
        started = bool(one.members)  # the very first members are no change of any
        frozen = now + ttl + window(ttl) if started else one.frozen
        return replace(one, factors=kept, lost=lost, members=members, frozen=frozen, totals=dict(totals), begun=now)
    if one.begun is None:
        return replace(one, totals=dict(totals), begun=now)
    if now < one.begun + window(ttl):
        return one
    begun_anew = replace(one, totals=dict(totals), begun=now)
    if now < one.frozen:
        return begun_anew
    return _judge(begun_anew, wanted, _new(one.totals, totals, members))


def _new(before: Mapping[str, int], after: Mapping[str, int], members: frozenset[str]) -> dict[str, int] | None:
    """New connections of each member; None where a counter is missing or went back (its director began anew)."""
    new = {name: after.get(name, -1) - before.get(name, 0) for name in members if name in before}
    return None if len(new) < len(members) or any(count < 0 for count in new.values()) else new


def _judge(one: Correction, wanted: Mapping[str, float], new: Mapping[str, int] | None) -> Correction:
    """The end of a window in which nobody came or went."""
    total = sum(new.values()) if new else 0
    whole = sum(wanted.values())
    least = min((share for share in wanted.values() if share > 0), default=0.0)
    if not new or not whole or len(wanted) < 2 or total * least / whole < ENOUGH:
        return replace(one, factors=_settled({name: 1 + (f - 1) * BACK for name, f in one.factors.items()}), lost={})
    factors, lost = {}, {}
    shares = {name: count / total for name, count in new.items()}
    for name, share in wanted.items():
        relative = shares[name] * whole / share if share else 1.0
        count = one.lost.get(name, 0) + 1 if relative < LOST else 0
        if count:
            lost[name] = count
        factors[name] = _next(one.factor(name), relative, count)
    return replace(one, factors=_settled(factors), lost=lost, shares=shares)


def _next(factor: float, relative: float, lost: int) -> float:
    """`relative`: the share it got over the share wanted for it."""
    if lost >= LOST_WINDOWS:
        return 1.0
    if abs(relative - 1) <= DEAD_BAND:
        return factor
    step = relative**-EXPONENT if relative > 0 else MOST
    return min(MOST, max(LEAST, factor * step))


def _settled(factors: Mapping[str, float]) -> dict[str, float]:
    """Without those that are 1 as far as anybody can see."""
    return {name: value for name, value in factors.items() if abs(value - 1) > 0.005}
