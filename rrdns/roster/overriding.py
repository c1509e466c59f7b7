"""Operators' words on members and pools: whom they mean, when they end, what they would do.

Floor 3, pure; the roster calls it with its pools. What each word means: `rrdns.overrides`. Must not know: checks,
directors, who serves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rrdns.failover import Host, Selection
from rrdns.model import Event, Override
from rrdns.overrides import DRILL, ENABLE, ENDING, HOLD, RELEASE, RETURN, slot
from rrdns.roster import telling
from rrdns.roster.duty import Duty
from rrdns.roster.frozen import Frozen

Duties = Mapping[str, Duty]
WORST_FIRST = ("absent", "down", "panic", "unknown", "degraded", "ok")
Touched = tuple[Duty, int | None]
"""A pool, and the place of the member to be judged anew; None: the pool as a whole, or a member that is away."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a word has done: whom it touches, and what there is to tell."""

    touched: Sequence[Touched] = ()
    events: Sequence[Event] = ()


class UnknownMember(LookupError):
    """No such member in that pool, or no such pool; the message says so."""


class Holds:
    """Operators' holds by pool; "" is all of them."""

    def __init__(self) -> None:
        self.words: dict[str, Override] = {}
        self.kept: Frozen = {}
        """What they had frozen before a restart, for the first load."""

    def frozen(self, duties: Duties) -> Frozen:
        """What a restart needs."""
        return {name: duty.frozen for name, duty in duties.items() if duty.hold is not None}

    def of(self, pool: str) -> Override | None:
        """The hold that a pool feels: of its own and that of all pools the one that lasts longer."""
        found = [self.words[name] for name in (pool, "") if name in self.words]
        return max(found, key=lambda one: float("inf") if one.until is None else one.until, default=None)

    def lost(self, duties: Duties, now: float) -> Iterator[Event]:
        """Forgets the holds of pools that are gone."""
        for pool in [pool for pool in self.words if pool and pool not in duties]:
            yield telling.overridden(
                pool, "", self.words.pop(pool).word, "none", "its pool is in no file any more", now
            )

    def deadlines(self) -> Iterator[float]:
        yield from (one.until for one in self.words.values() if one.until is not None)

    def impose(self, duties: Duties) -> Iterator[Duty]:
        """Pools begin to be held, or end to be; gives those that do."""
        for duty in duties.values():
            hold = self.of(duty.pool.name)
            if hold is not None:
                if duty.hold is None:
                    yield duty
                duty.freeze(hold, self.kept.get(duty.pool.name, {}))
            elif duty.hold is not None:
                duty.thaw()
                yield duty
        self.kept = {}


def find(duties: Duties, pool: str, member: str) -> tuple[Duty, int | None]:
    """The pool and the member's place in it; no place: it is away, and its override waits for it. Raises
    UnknownMember."""
    duty = duties.get(pool)
    if duty is None:
        raise UnknownMember(f"there is no pool {pool!r}")
    index = duty.index(member)
    if index is None and member not in duty.overrides and member not in duty.weights:
        raise UnknownMember(f"pool {pool!r} has no member {member!r}")
    return duty, index


def judge(duties: Duties, ops: Iterable[Override]) -> None:
    """Raises UnknownMember, or ValueError for what is no word, before anything is done."""
    for op in ops:
        if op.word in (HOLD, RELEASE):
            if op.pool and op.pool not in duties:
                raise UnknownMember(f"there is no pool {op.pool!r}")
            continue
        find(duties, op.pool, op.member)
        if op.word not in ENDING:
            slot(op.word)


def says_nothing_new(its: Sequence[Override], op: Override) -> bool:
    """Whether it leaves everything as it is. `its`: the words that stand on the same member, or pool."""
    if op.word == RETURN:
        return not any(one.word == DRILL for one in its)
    if op.word in (ENABLE, RELEASE):
        return not its
    return any((one.word, one.reason, one.until, op.until) == (op.word, op.reason, None, None) for one in its)


def say_all(duties: Duties, holds: Holds, ops: Iterable[Override], now: float) -> Said:
    """Several words, as one."""
    every = [say(duties, holds, op, now) for op in ops]
    return Said([who for one in every for who in one.touched], [event for one in every for event in one.events])


def say(duties: Duties, holds: Holds, op: Override, now: float) -> Said:
    """Puts one word in force; whom it touches and what there is to tell."""
    if op.word in (HOLD, RELEASE):
        return _hold(duties, holds, op, telling.by(op.owner, op.reason), now)
    duty, index = find(duties, op.pool, op.member)
    if op in (duty.overrides.get(op.member), duty.weights.get(op.member)):
        return Said()
    ended, why = duty.take(op), telling.by(op.owner, op.reason)
    if op.word in ENDING:
        told = [telling.overridden(op.pool, op.member, one.word, "none", why, now) for one in ended]
        return Said([(duty, index)] if ended else [], told)
    before = ended[0].word if ended else "none"
    return Said([(duty, index)], [telling.overridden(op.pool, op.member, before, op.word, why, now)])


def _hold(duties: Duties, holds: Holds, op: Override, why: str, now: float) -> Said:
    before = holds.words.get(op.pool)
    if op.word == RELEASE:
        if before is None:
            return Said()
        del holds.words[op.pool]
    elif before == op:
        return Said()
    else:
        holds.words[op.pool] = op
    words = before.word if before else "none", HOLD if op.word == HOLD else "none"
    touched: list[Touched] = [(duty, None) for duty in holds.impose(duties)]
    return Said(touched, [telling.overridden(op.pool, "", *words, why, now)])


def take_up(duties: Duties, holds: Holds, words: Iterable[Override], now: float) -> Iterator[Event]:
    """Overrides of the last process, once the pools are there; tells of those that are lost."""
    for override in words:
        duty = duties.get(override.pool)
        if not override.member and (duty is not None or not override.pool):
            holds.words[override.pool] = override
        elif duty is None or (duty.index(override.member) is None and not duty.made):
            yield telling.lost(override, now)
        else:
            duty.take(override)


# ------------------------------------------------------------------ what words would do


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one pool would answer with, after words that are not said yet."""

    pool: str
    before: Selection
    after: Selection
    had: bool
    has: bool
    """Whether somebody of its own is available, before and after."""


Imagine = Callable[[Mapping[str, list[Host]]], Mapping[str, Selection]]
"""Decides pools, and those that have to do with them, as if their hosts were so."""


def outlook(duties: Duties, ops: Iterable[Override], imagine: Imagine) -> list[Outlook]:
    """The decision on the imagined state, of each pool that the words name."""
    by_pool: dict[str, list[Override]] = {}
    for op in ops:
        if op.pool in duties and op.member:
            by_pool.setdefault(op.pool, []).append(op)
    instead = {pool: duties[pool].imagined(its) for pool, its in by_pool.items()}
    after = imagine(instead) if instead else {}
    found = []
    for pool, hosts in sorted(instead.items()):
        had, has = (any(one.available for one in some) for some in (duties[pool].acting(), hosts))
        found.append(Outlook(pool, duties[pool].selection, after[pool], had, has))
    return found


def objection(found: Iterable[Outlook], word: str) -> str:
    """In words, what speaks against it: pools that would lose the last member they have (a rehearsal: that would be
    worse off at all), and what they would answer; "" if nothing does."""
    texts = []
    for one in found:
        worse = WORST_FIRST.index(one.after.state) < WORST_FIRST.index(one.before.state)
        lost = one.had and not one.has
        helped = bool(one.after.from_pool) and one.after.state == "degraded"  # by whoever is there for that
        if not (worse and not helped if word == DRILL else lost):
            continue
        serving = ", ".join(each.name for each in one.after.serving)
        serving = serving or ("SERVFAIL" if one.after.servfail else "no address")
        would = "have no available member left" if lost else f"be {one.after.state}"
        texts.append(f"pool {one.pool} would {would}; it would answer {serving} ({one.after.why})")
    return "; ".join(texts)


# ------------------------------------------------------------------ time


def expire(duty: Duty, now: float) -> Said:
    """Takes the words on members away whose time is over."""
    over = [one for one in duty.words_in_force() if one.until is not None and one.until <= now]
    for word in over:
        duty.end(word)
    pool, why = duty.pool.name, "its time is over"
    told = [telling.overridden(pool, one.member, one.word, "none", why, now) for one in over]
    return Said([(duty, duty.index(one.member)) for one in over], told)


def released(duties: Duties, holds: Holds, now: float) -> Iterator[Said]:
    """The same for holds."""
    for word in list(holds.words.values()):
        if word.until is not None and word.until <= now:
            yield _hold(duties, holds, replace(word, word=RELEASE), "its time is over", now)


def deadlines(duty: Duty, now: float) -> Iterator[float]:
    """When words end, and when they come so near their end that a TTL must shrink."""
    ttls = [one.ttl for one in duty.services] + [one.ttl for one in duty.hinted]
    for override in duty.spoken_of():
        if override.until is not None:
            yield max(override.until, now)
            yield from (override.until - ttl for ttl in ttls if override.until - ttl > now)
