"""Who serves: hosts and what is known of them -> the hosts a pool answers with, and why. Floor 2, pure.

`decide_all` judges all pools it is given in one step; nothing is remembered here: whom a pool answered with
when it last had someone, and what its scheme remembers, are arguments. The parts: `hosts` (facts), `schemes` (whom a
pool picks), `substitutes` (what pools do for one another), the ladder below. Must not know: DNS records, rings,
probes and counters, clocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import lcm

from rrdns.hosts import Address as Address
from rrdns.hosts import Host as Host
from rrdns.hosts import address_state as address_state
from rrdns.hosts import host as host
from rrdns.hosts import packed as packed
from rrdns.model import Pool, Standing, State
from rrdns.schemes import Moment, Pick, pick
from rrdns.substitutes import Outcome, Party, lenders, substitute

NEW = Standing()

# ------------------------------------------------------------------ the decision


@dataclass(frozen=True, slots=True)
class Serving:
    """One host that serves: its effective weight, the addresses to be answered, and why it serves."""

    name: str
    weight: int
    addresses: tuple[bytes, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What one pool answers with.

    state      ok | degraded | unknown | down | panic
    rung       what found the hosts: available | drained | unknown | when_down | panic
    standing   what its scheme remembers from now on
    due        when hosts return if nothing else happens; look: when to decide again for another reason
    closed     hosts outside do not come in by being well
    from_pool  who lends it hosts, which are called `pool/member`; how: backup | partner | fallback
    shed       its own hosts that serve `to_pools` instead
    coming     who serves as soon as `before_promote` has done its work
    """

    state: str
    why: str
    serving: tuple[Serving, ...]
    rung: str
    servfail: bool = False
    standing: Standing = NEW
    due: float | None = None
    look: float | None = None
    closed: bool = False
    from_pool: str = ""
    how: str = ""
    to_pools: tuple[str, ...] = ()
    shed: frozenset[str] = frozenset()
    coming: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Asked:
    """A pool to be decided: its hosts in file order, who served when last somebody was available, what its scheme
    remembers, and by pool the hosts it may borrow, as its own checks judge them. `recalled`: an operator says that
    what waits to return shall; `held`: nothing returns by time alone (he says so, or we may be cut off)."""

    pool: Pool
    hosts: Sequence[Host]
    last: Sequence[str] = ()
    standing: Standing = NEW
    lent: Mapping[str, Sequence[Host]] = field(default_factory=dict)
    recalled: bool = False
    held: bool = False


def decide(pool: Pool, hosts: Sequence[Host], last: Sequence[str] = ()) -> Selection:
    """One pool by itself, that remembers nothing."""
    return decide_all({pool.name: Asked(pool, hosts, last)}, 0.0)[pool.name]


def decide_all(pools: Mapping[str, Asked], now: float = 0.0) -> dict[str, Selection]:
    """All pools in one step, so that there is no moment in which two of them both miss a host. Pools that have to do
    with one another must come together.

    1. Each pool by itself finds its own: all that are available, or, with a scheme, those it picks (`schemes.pick`).
    2. Pools below quorum look for substitutes among what step 1 found elsewhere.   } both are
    3. Hosts lent away by `simple-failover` leave their own pool's answers.         } `substitutes.substitute`
    4. The rest is the ladder, `_settle`.
    """
    picks = {name: pick(one.pool, one.hosts, one.standing, _moment(one, now)) for name, one in pools.items()}
    models = {name: one.pool for name, one in pools.items()}
    tied = {other for name, pool in models.items() for _, lender in lenders(pool, models) for other in (name, lender)}
    parties = {
        name: Party(one.pool, picks[name], one.lent, _moment(one, now)) for name, one in pools.items() if name in tied
    }
    found = substitute(parties)
    return {name: _settle(asked, found.get(name) or _alone(asked.pool, picks[name])) for name, asked in pools.items()}


def _moment(asked: Asked, now: float) -> Moment:
    return Moment(now, asked.recalled, asked.held)


def _alone(pool: Pool, one: Pick) -> Outcome:
    """Of a pool that neither helps nor is helped."""
    if pool.failover is None:
        return Outcome(one.chosen, NEW, one.quorate)
    return Outcome(one.chosen, one.standing, one.quorate, one.due, one.look, one.why, one.closed)


def _settle(asked: Asked, outcome: Outcome) -> Selection:
    """Step 4, and what goes with the selection whichever rung found it."""
    hosts = [one for one in asked.hosts if one.name not in outcome.shed] if outcome.shed else asked.hosts
    found = _ladder(asked, hosts, outcome)
    return replace(
        found,
        standing=outcome.standing,
        due=outcome.due,
        look=outcome.look,
        closed=outcome.closed,
        from_pool=outcome.from_pool,
        how=outcome.how,
        to_pools=outcome.to_pools,
        shed=outcome.shed,
    )


def _ladder(asked: Asked, hosts: Sequence[Host], outcome: Outcome) -> Selection:
    """available = an address up, not drained, weight > 0. `disabled` never serves on any rung, nor do the shed, who
    are not among `hosts`, nor who has no address (yet).

    | the first that has somebody       | answered with                                        | state    |
    |-----------------------------------|------------------------------------------------------|----------|
    | chosen in steps 1 to 3, enough    | them, their addresses that are up                    | ok       |
    | chosen, too few, or lent          | the same: quorum discards nobody                     | degraded |
    | available, though not chosen      | them: those chosen were shed                         | degraded |
    | chosen, none of them known up     | them, addresses not known down: they keep a place    | unknown  |
    | drained or weight 0, but up       | them, addresses that are up                          | degraded |
    | unknown                           | them, addresses not known down                       | unknown  |
    | nobody                            | `when_down`: see `_when_down`                        | down     |
    | judged last, not after when_down  |                                                      |          |
    | nor where hosts are lent:         |                                                      |          |
    | `panic`, see `_panics`            | everybody, all addresses                             | panic    |
    """
    pool, able = asked.pool, [one for one in outcome.chosen if one.addresses]
    chosen = tuple(able or [one for one in hosts if one.available])
    if any(one.state is State.UP for one in chosen):
        state = "ok" if outcome.quorate and outcome.chosen and not outcome.from_pool else "degraded"
        found = Selection(state, _why(pool, hosts, outcome, chosen), _with_up(chosen, "available"), "available")
    elif chosen:
        why = f"{', '.join(one.name for one in chosen)} not judged yet, and keeps its place: {census(hosts)}"
        found = Selection("unknown", why, _not_down(chosen, "keeps its place until it is known down"), "unknown")
    elif idle := [one for one in hosts if one.state is State.UP and not one.disabled]:
        serving = _with_up(idle, "nothing else is up")
        found = Selection("degraded", f"only drained members are up: {census(hosts)}", serving, "drained")
    elif new := [one for one in hosts if one.state is State.UNKNOWN and one.addresses and not one.disabled]:
        serving = _not_down(new, "not judged yet, and nobody is known up")
        found = Selection("unknown", f"nothing is known up: {census(hosts)}", serving, "unknown")
    else:
        return _when_down(asked, hosts, outcome)
    panic = _panics(pool, hosts)
    if panic is None or outcome.from_pool:
        return found
    there = [one for one in hosts if one.addresses and not one.disabled]
    everybody = [one for one in there if not chosen or (one.weight > 0 and not one.drained)]
    return Selection("panic", panic, _with_all(everybody, "panic: everybody serves"), "panic")


def _why(pool: Pool, hosts: Sequence[Host], outcome: Outcome, chosen: Sequence[Host]) -> str:
    """Why the pool is as it is, where somebody was chosen."""
    told = census(hosts)
    if outcome.from_pool:
        return f"{outcome.why}: {told}"
    whole = [one for one in chosen if one.whole]
    words = [outcome.why] if outcome.why else []
    if len(whole) < pool.quorum:
        words.append(f"{len(whole)} of quorum {pool.quorum}")
    if (weight := sum(one.weight for one in whole)) < pool.quorum_weight:
        words.append(f"weight {weight} of quorum {pool.quorum_weight}")
    return f"{'; '.join(words)}: {told}" if words else told


def _panics(pool: Pool, hosts: Sequence[Host]) -> str | None:
    """Why the pool panics, or None. The share is of the weight that was judged and that no operator took away:
    unknown has no vote, and draining half a pool by hand is no emergency."""
    if pool.panic is None:
        return None
    judged = sum(one.weight for one in hosts if not (one.disabled or one.drained or one.state is State.UNKNOWN))
    available = sum(one.weight for one in hosts if one.available)
    if not judged or available >= pool.panic * judged:
        return None
    return f"{available / judged:.0%} of the weight is available, below panic {pool.panic:.0%}: {census(hosts)}"


def _when_down(asked: Asked, hosts: Sequence[Host], outcome: Outcome) -> Selection:
    """Nobody is up or unknown. `hosts`: without the shed.

    | when_down   | answered with                                                                     |
    |-------------|-----------------------------------------------------------------------------------|
    | all         | all hosts that are not disabled, all addresses                                    |
    | last        | those who served when last somebody was available; none of them left: as `all`    |
    | empty       | nothing: NODATA                                                                   |
    | servfail    | SERVFAIL                                                                          |
    | addresses   | those, in turn                                                                    |
    """
    word = asked.pool.when_down.word
    if not any(one.addresses for one in asked.hosts) and word != "addresses":
        # Its director has never told who they are, or no name was ever resolved.
        why = f"no member has an address yet: {census(asked.hosts)}" if asked.hosts else "no member is known yet"
        return Selection("unknown", why, (), "when_down", servfail=True)
    why = f"nobody is up: {census(hosts)}; when_down: {word}"
    if outcome.shed:
        why = f"{outcome.why}; when_down: {word}"
    left = [one for one in hosts if one.addresses and not one.disabled]
    because = f"nobody is up, when_down: {word}"
    if word == "last":
        names = set(asked.last)
        left = [one for one in left if one.name in names] or left
    if word in ("all", "last"):
        return Selection("down", why, _with_all(left, because), "when_down")
    if word == "addresses":
        sorry = asked.pool.when_down.addresses
        serving = tuple(Serving(text, 1, (packed(text),), because) for text in sorry)
        return Selection("down", why, serving, "when_down")
    return Selection("down", why, (), "when_down", servfail=word == "servfail")


def _with_up(hosts: Iterable[Host], why: str) -> tuple[Serving, ...]:
    """With the addresses that are up; of a host of which none is known to be, which keeps its place, those not known
    to be down."""
    return tuple([_one(one, UP if one.state is State.UP else NOT_DOWN, why) for one in hosts])


def _not_down(hosts: Iterable[Host], why: str) -> tuple[Serving, ...]:
    return tuple([_one(one, NOT_DOWN, why) for one in hosts])


def _with_all(hosts: Iterable[Host], why: str) -> tuple[Serving, ...]:
    return tuple([_one(one, ANY, why) for one in hosts])


def _one(one: Host, states: tuple[State, ...], why: str) -> Serving:
    """Weight 0 serves only where nothing better is left, and there it counts as 1."""
    return Serving(one.name, one.weight or 1, tuple([a.packed for a in one.addresses if a.state in states]), why)


UP, NOT_DOWN, ANY = (State.UP,), (State.UP, State.UNKNOWN), (State.UP, State.UNKNOWN, State.DOWN)


def census(hosts: Sequence[Host]) -> str:
    """`3 of 5 members up, 1 drained, 1 down`."""
    words = [one.word for one in hosts]
    others = [f"{words.count(word)} {word}" for word in ("unknown", "drained", "down", "disabled") if word in words]
    return ", ".join([f"{words.count('up')} of {len(hosts)} members up", *others])


def why_not(host: Host, selection: Selection) -> str:
    """Why a host does not serve, in words; for hosts outside `selection.serving`."""
    if host.disabled:
        return "disabled: never answered"
    if host.name in selection.shed:
        return f"shed: it serves {' and '.join(selection.to_pools)} instead"
    if host.state is State.DOWN:
        return "down"
    if not host.addresses:
        return "has no address yet"
    if host.drained:
        return "drained: answered only when nothing else is up"
    if host.state is State.UNKNOWN:
        return "not judged yet, and others are known up"
    if host.weight == 0:
        return "weight 0: answered only when nothing else is up"
    if host.name in selection.coming:
        return f"is not promoted yet: {selection.why}"
    standing = selection.standing
    if host.name in standing.queue:
        return f"waits for a place: number {standing.queue.index(host.name) + 1} of the queue"
    if standing.tier is not None and host.tier != standing.tier:
        return f"of tier {host.tier}: {selection.why}"
    return f"not chosen: {selection.why}"


# ------------------------------------------------------------------ what a ring is made of


@dataclass(frozen=True, slots=True)
class Entries:
    """One address family of a selection, ready for a scheduler: three lists of equal length."""

    names: tuple[str, ...]
    weights: tuple[int, ...]
    packed: tuple[bytes, ...]


def entries(serving: Sequence[Serving], size: int) -> Entries:
    """The addresses of `size` bytes that serve. A host's weight is shared by its addresses of the family, so that
    its part of the answers does not grow with their number; all weights are scaled to stay whole numbers."""
    found = [(one, [packed for packed in one.addresses if len(packed) == size]) for one in serving]
    scale = lcm(*{len(packed) for _, packed in found if packed})
    rows = [(one.name, one.weight * scale // len(packed), each) for one, packed in found for each in packed]
    if not rows:
        return NO_ENTRIES
    names, weights, addresses = zip(*rows, strict=True)
    return Entries(names, weights, addresses)


NO_ENTRIES = Entries((), (), ())
