"""The self-isolation guard: when everyone falls silent at once, the fault is probably ours. Floor 2, pure.

Must not know: how to probe, who serves, answers, what time it is (`now` is an argument).

Only *silence* counts (a timeout, an unreachable network): a refusal, a 503 or a TLS alert proves the path.
While the guard holds, targets that were up when they fell silent are believed up still, for at most `hold`
seconds; meanwhile health goes on counting, so that true verdicts are ready when the hold runs out.

    calm ---- over half of what was up is silent, or every witness ----> holding
    holding - no longer so --> mending: one more interval, for the rest to be heard ----> calm
    holding - `hold` seconds are over ----> spent: silence counts; no new hold until results recover ----> calm

Directors that are read over the network bear witness too, without being asked to: one that is heard after the others
fell silent proves a path, and where all of them fall silent with the targets, that is the more reason to hold. With
`witness:` they have no say: who has a director on the near side of the link that fails names a witness on the far one.

How the roster uses it, for each result of a target (void ones excepted):

    base   = health if result.silent else believed(guard, key, health)    heard again during a hold, a target
    after  = rules.observe(base, check, result, now)                      goes on as before its silence
    seen   = observe(guard, target, pools, health, result, now)
    guard  = judge(seen, (keys whose counted health is up), now)          only if `seen` is not `guard`

It decides by `believed(guard, key, after)` and keeps that over a restart, calls `judge` also after `hear` and
at `deadline(guard)`, `keep` after a load, and answers with `ttl_min` and promotes nothing while `holding(guard)`.
When `holding` changes, so may what is believed of all targets in `guard.silent`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from types import MappingProxyType

from rrdns.hearing import Hearings, fell_silent, heard_after
from rrdns.model import Health, Result, State, Target

MIN_TARGETS = 4
"""Of fewer targets than these that were up, a majority proves nothing."""


@dataclass(frozen=True, slots=True)
class Silence:
    """One target that was up and then said nothing: since when, what was believed of it, where it stands."""

    since: float
    health: Health
    pools: frozenset[str]
    subnet: str
    span: float
    """The longest an outage can go unseen by this target's check: one interval with jitter, and the timeout."""


_PARTS = 512


class Silences(Mapping[str, Silence]):
    """The silent targets by key. A value like a frozen mapping, in many small parts: with one more or one less it
    shares all parts but one with what it came from, or ten thousand falling silent, and then being heard again,
    would mean as many copies of all."""

    __slots__ = ("_count", "_parts", "_spans")

    def __init__(
        self,
        parts: tuple[dict[str, Silence], ...] = ({},) * _PARTS,
        count: int = 0,
        spans: Mapping[float, int] = {},
    ) -> None:
        self._parts = parts
        self._count = count
        self._spans = spans  # how many have which

    def __getitem__(self, key: str) -> Silence:
        return self._parts[hash(key) % _PARTS][key]

    def __contains__(self, key: object) -> bool:
        return key in self._parts[hash(key) % _PARTS]

    def __iter__(self) -> Iterator[str]:
        for part in self._parts:
            yield from part

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"Silences({dict(self)!r})"

    @property
    def span(self) -> float:
        """The longest of their spans."""
        return max(self._spans, default=0.0)

    def outside(self, keys: AbstractSet[str]) -> int:
        """How many are not among `keys`."""
        return sum(len(part.keys() - keys) for part in self._parts if part)

    def with_one(self, key: str, one: Silence) -> Silences:
        """`key` must be new."""
        parts = list(self._parts)
        at = hash(key) % _PARTS
        parts[at] = {**parts[at], key: one}
        return Silences(tuple(parts), self._count + 1, {**self._spans, one.span: self._spans.get(one.span, 0) + 1})

    def without(self, keys: Collection[str]) -> Silences:
        """`keys` must be there."""
        parts = list(self._parts)
        for at in {hash(key) % _PARTS for key in keys}:
            parts[at] = {key: one for key, one in parts[at].items() if key not in keys}
        spans = dict(self._spans)
        for key in keys:
            span = self[key].span
            spans[span] -= 1
            if not spans[span]:
                del spans[span]
        return Silences(tuple(parts), self._count - len(keys), spans)


@dataclass(frozen=True, slots=True)
class Guard:
    """What the guard has seen. `witnesses`: has it ever answered (None: no), did it at its last probe."""

    hold: float = 60.0
    witnesses: Mapping[str, bool | None] = field(default_factory=dict)
    silent: Silences = field(default_factory=Silences)
    held_since: float | None = None
    mending_since: float | None = None
    armed: bool = True
    size: int = 0
    """How many targets were up when the last hold began."""
    cause: str = ""
    holds: int = 0


def start(hold: float = 60.0, witnesses: Iterable[str] = ()) -> Guard:
    """A guard that has seen nothing yet. `hold` 0 switches it off; `witnesses` are addresses to be probed too."""
    return Guard(hold=hold, witnesses=dict.fromkeys(witnesses))


# ---------------------------------------------------------------- what it sees


def observe(guard: Guard, target: Target, pools: Collection[str], before: Health, result: Result, now: float) -> Guard:
    """Notes one result. `before` is the target's counted health before it. The same guard if it says nothing."""
    known = target.key in guard.silent
    if result.void or guard.hold <= 0:
        return guard
    if result.ok or not result.silent:
        return _without(guard, {target.key}) if known else guard
    if known or before.state is not State.UP:
        return guard
    check = target.check
    silence = Silence(now, before, frozenset(pools), _stands_in(target), 1.1 * check.interval + check.timeout)
    return replace(guard, silent=guard.silent.with_one(target.key, silence))


def hear(guard: Guard, witness: str, result: Result) -> Guard:
    """Notes a probe of a witness. Any answer will do, a refusal too; one that never answered has no say."""
    if result.void or witness not in guard.witnesses:
        return guard
    answered = result.ok or not result.silent
    known = guard.witnesses[witness]
    if known is answered or (known is None and not answered):
        return guard
    return replace(guard, witnesses={**guard.witnesses, witness: answered})


def keep(guard: Guard, keys: Collection[str]) -> Guard:
    """Forgets targets that are no longer probed."""
    return _without(guard, guard.silent.keys() - set(keys))


def _without(guard: Guard, keys: Collection[str]) -> Guard:
    return replace(guard, silent=guard.silent.without(keys)) if keys else guard


# ---------------------------------------------------------------- what it decides


def judge(guard: Guard, up: Iterable[str], now: float, directors: Hearings = MappingProxyType({})) -> Guard:
    """Begins, mends or ends a hold. `up`: keys of the targets whose counted health is up; read only if needed.
    `directors`: those far from here."""
    if not guard.silent and guard.held_since is None and guard.armed:
        return guard
    if guard.held_since is None and not guard.armed:
        return replace(guard, armed=True, cause="") if _recovered(guard) else guard
    living = up if isinstance(up, AbstractSet) else set(up)
    if guard.held_since is not None:
        return _while_held(guard, living, now, directors)
    # What went down and has been silent for longer than an interval is an old story, not a sign of today's.
    longest = _span(guard)
    guard = _without(
        guard, {key for key, one in guard.silent.items() if now - one.since > longest and key not in living}
    )
    fresh = {key: one for key, one in guard.silent.items() if now - one.since <= longest}
    cause = _isolated(guard, fresh, living, directors, now)
    if not cause:
        return guard
    size = len(living) + guard.silent.outside(living)
    return replace(guard, held_since=now, mending_since=None, cause=cause, size=size, holds=guard.holds + 1)


def _while_held(guard: Guard, living: AbstractSet[str], now: float, directors: Hearings) -> Guard:
    assert guard.held_since is not None
    if now >= guard.held_since + guard.hold:
        spent = not _recovered(guard)
        cause = f"nothing changed in {guard.hold:g}s: silence counts again until results recover" if spent else ""
        return replace(guard, held_since=None, mending_since=None, armed=not spent, cause=cause)
    if _still(guard, living, directors):
        return guard if guard.mending_since is None else replace(guard, mending_since=None)
    if guard.mending_since is None:
        return replace(guard, mending_since=now)
    if now >= guard.mending_since + _span(guard):
        return replace(guard, held_since=None, mending_since=None, cause="")
    return guard


def _isolated(
    guard: Guard, fresh: Mapping[str, Silence], living: AbstractSet[str], directors: Hearings, now: float
) -> str:
    """Why the silence looks like our own fault, or "".

    | witnesses that | directors far from here that  | hold if                                                      |
    | ever answered  | were heard before             |                                                              |
    |----------------|-------------------------------|--------------------------------------------------------------|
    | some           | any                           | all witnesses are silent, and a target that was up is        |
    | none           | one was heard since           | never                                                        |
    | none           | all fell silent with them     | of at least 4 targets and directors over half of the targets |
    |                |                               | fell silent within the longest of their intervals, and these |
    |                |                               | stand in two pools, or with the directors in two subnets     |
    | none           | none, or some are yet to be   | of at least 4 targets that were up over half fell silent so, |
    |                | read                          | and these stand in two pools or two subnets                  |

    "Since" is since the middle one of the silences: the earliest may be of somebody else's making.
    """
    if not fresh:
        return ""
    heard = _witnesses(guard)
    if heard:
        silent = _count(len(fresh), "target")
        return "" if any(heard.values()) else f"no answer from {', '.join(sorted(heard))}, nor from {silent}"
    were_up = len(living) + guard.silent.outside(living)
    if 2 * len(fresh) <= were_up or heard_after(directors, _onset(fresh)):
        return ""
    mute = fell_silent(directors, _span(guard), now)
    pools = len(frozenset[str]().union(*(one.pools for one in fresh.values())))
    subnets = len({one.subnet for one in fresh.values()} | {one.place for one in mute})
    if were_up + len(mute) < MIN_TARGETS or max(pools, subnets) < 2:
        return ""
    spread = f"{_count(pools, 'pool')}, {_count(subnets, 'subnet')}"
    also = f", and so did {_count(len(mute), 'director')}" if mute else ""
    return f"{len(fresh)} of {were_up} targets that were up fell silent within {_span(guard):.3g}s ({spread}){also}"


def _onset(fresh: Mapping[str, Silence]) -> float:
    return sorted(one.since for one in fresh.values())[len(fresh) // 2]


def excused(guard: Guard, directors: Hearings) -> bool:
    """Whether it does not hold since a director was heard after the targets fell silent."""
    return bool(guard.silent) and not _witnesses(guard) and heard_after(directors, _onset(guard.silent))


def _still(guard: Guard, living: AbstractSet[str], directors: Hearings) -> bool:
    """Whether the reason for the hold goes on."""
    assert guard.held_since is not None
    heard = _witnesses(guard)
    if heard:
        return bool(guard.silent) and not any(heard.values())
    most = 2 * len(guard.silent) > len(living) + guard.silent.outside(living)
    return most and not heard_after(directors, guard.held_since)


def _recovered(guard: Guard) -> bool:
    """Whether results have come back, by the number of targets there were: those heard need not be up yet."""
    heard = _witnesses(guard)
    return not guard.silent or (any(heard.values()) if heard else 2 * len(guard.silent) <= guard.size)


def _witnesses(guard: Guard) -> dict[str, bool]:
    return {address: answered for address, answered in guard.witnesses.items() if answered is not None}


def _span(guard: Guard) -> float:
    return guard.silent.span


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


# ---------------------------------------------------------------- what the roster asks


def holding(guard: Guard) -> bool:
    return guard.held_since is not None


def believed(guard: Guard, key: str, health: Health) -> Health:
    """What to go by for this target: while held, what was believed before its silence; else what is counted."""
    if guard.held_since is None:
        return health
    silence = guard.silent.get(key)
    return silence.health if silence else health


def deadline(guard: Guard) -> float | None:
    """When `judge` must look again though nothing was heard; None: not before the next result."""
    if guard.held_since is None:
        return None
    end = guard.held_since + guard.hold
    return end if guard.mending_since is None else min(end, guard.mending_since + _span(guard))


def why(guard: Guard) -> str:
    """For people: why it holds, or why it will not hold again yet; "" when all is calm."""
    if guard.held_since is None:
        return guard.cause
    if guard.mending_since is not None:
        return f"{guard.cause}; answers come again: the last state is held until the others are heard"
    return f"{guard.cause}: the last state is held for up to {guard.hold:g}s"


def _stands_in(target: Target) -> str:
    """Where it is really asked, which `at:` of its check may move from the address in the answer."""
    try:
        return subnet(target.check.asked(target.address))
    except ValueError:
        return subnet(target.address)


def subnet(address: str) -> str:
    """The /24 or /64 an address stands in."""
    host = ip_address(address.partition("%")[0])
    return str(ip_network((host, 24 if host.version == 4 else 64), strict=False))
