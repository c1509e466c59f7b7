"""Who serves: hosts and what is known of them -> the hosts a pool answers with, and why. Floor 2, pure.

`decide_all` judges all pools it is given in one step; nothing is remembered here: whom a pool answered with
when it last had someone is an argument. Must not know: DNS records, rings, probes and counters, clocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from math import lcm

from rrdns.model import Member, Pool, State

# ------------------------------------------------------------------ facts about hosts


@dataclass(frozen=True, slots=True)
class Address:
    """One published address and the verdict of its checks. `packed`: 4 or 16 bytes."""

    text: str
    packed: bytes
    state: State


@dataclass(frozen=True, slots=True)
class Host:
    """One member as far as the decision goes; `state`, `whole` and `available` follow from the rest: see `host`."""

    name: str
    weight: int
    tier: int
    addresses: tuple[Address, ...]
    drained: bool
    disabled: bool
    state: State
    whole: bool
    available: bool
    told: str = ""
    """Its director's word: up | down | drain | unknown, "" for none."""

    @property
    def word(self) -> str:
        """What people see: down > drained > up, and disabled above all."""
        if self.disabled:
            return "disabled"
        if self.drained and self.state is not State.DOWN:
            return "drained"
        return self.state.value


@lru_cache(maxsize=1 << 16)
def packed(text: str) -> bytes:
    """An address as it stands in a record: 4 or 16 bytes."""
    return ip_address(text).packed


def address_state(checks: Iterable[State]) -> State:
    """The verdict on one address.

    | a check says down | one says up | verdict                                    |
    |-------------------|-------------|--------------------------------------------|
    | yes               | any         | down: all must pass                        |
    | no                | yes         | up: the checks still unknown have no vote  |
    | no                | no          | unknown; but with no checks at all: up     |
    """
    states = set(checks)
    if State.DOWN in states:
        return State.DOWN
    return State.UNKNOWN if states == {State.UNKNOWN} else State.UP


def host(
    member: Member,
    states: Sequence[State],
    families: str = "all",
    override: str | None = None,
    told: str = "",
    weight: int | None = None,
) -> Host:
    """The facts of one member. `states`: of its addresses by their checks, in their order; `told`: its director's
    word; `weight`: what counts instead of the member's own. A host serves with the addresses that are up; `whole`
    says whether it counts for quorum and schemes.

    | told        | makes of the addresses                      | and of the host |
    |-------------|---------------------------------------------|-----------------|
    | down        | all down: down > drained > up               |                 |
    | drain       | unknown ones up: unknown has no vote        | drained         |
    | up          | the same                                    |                 |
    | unknown, "" | nothing: no vote                            |                 |

    | addresses up | down | unknown | state   | whole, `families: all` | whole, `families: any` |
    |--------------|------|---------|---------|------------------------|------------------------|
    | some         | none | any     | up      | yes                    | yes                    |
    | some         | some | any     | up      | no                     | yes                    |
    | none         | any  | some    | unknown | no                     | no                     |
    | none         | all  | none    | down    | no                     | no                     |
    """
    if told == "down":
        states = [State.DOWN] * len(states)
    elif told in ("up", "drain"):
        states = [State.UP if one is State.UNKNOWN else one for one in states]
    state = next((one for one in (State.UP, State.UNKNOWN) if one in states), State.DOWN)
    whole = state is State.UP and (families == "any" or State.DOWN not in states)
    addresses = tuple([Address(text, packed(text), at) for text, at in zip(member.addresses, states, strict=True)])
    drained, disabled = override == "drain" or told == "drain", override == "disable"
    weight = member.weight if weight is None else weight
    available = state is State.UP and weight > 0 and not drained and not disabled
    return Host(member.name, weight, member.priority, addresses, drained, disabled, state, whole, available, told)


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
    """What one pool answers with. `state`: ok | degraded | unknown | down | panic. `rung`: which step of
    `decide_all` found the hosts: available | drained | unknown | when_down | panic."""

    state: str
    why: str
    serving: tuple[Serving, ...]
    rung: str
    servfail: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A pool to be decided: its hosts in file order, and who served when last somebody was available."""

    pool: Pool
    hosts: Sequence[Host]
    last: Sequence[str] = ()


def decide(pool: Pool, hosts: Sequence[Host], last: Sequence[str] = ()) -> Selection:
    """One pool by itself."""
    return decide_all({pool.name: Asked(pool, hosts, last)})[pool.name]


def decide_all(pools: Mapping[str, Asked]) -> dict[str, Selection]:
    """All pools in one step, so that there is no moment in which two of them both miss a host.

    1. Each pool by itself finds its own: all that are available, or, with a scheme, those it picks.
    2. Pools below quorum look for substitutes among what step 1 found elsewhere.   } these two will stand
    3. Hosts lent away by `simple-failover` leave their own pool's answers.         } between the two lines
    4. The rest is the ladder, `_settle`.
    """
    own = {name: _own(asked) for name, asked in pools.items()}
    return {name: _settle(asked, own[name]) for name, asked in pools.items()}


def _own(asked: Asked) -> list[Host]:
    """Step 1: whom the pool would answer with by itself. A scheme picks from `available` here."""
    return [one for one in asked.hosts if one.available]


def _settle(asked: Asked, chosen: list[Host]) -> Selection:
    """Step 4. available = an address up, not drained, weight > 0. `disabled` never serves on any rung.

    | the first that has somebody       | answered with                    | state    |
    |-----------------------------------|----------------------------------|----------|
    | available, whole ones >= quorum   | them, their addresses that are up| ok       |
    | available                         | the same: quorum discards nobody | degraded |
    | drained or weight 0, but up       | them, addresses that are up      | degraded |
    | unknown                           | them, addresses not known down   | unknown  |
    | nobody                            | `when_down`: see `_when_down`    | down     |
    | judged last, not after when_down: |                                  |          |
    | `panic`, see `_panics`            | everybody, all addresses         | panic    |
    """
    pool, hosts = asked.pool, asked.hosts
    quorum_met = sum(one.whole for one in chosen) >= pool.quorum
    if chosen:
        found = Selection("ok", "", _with_up(chosen, "available"), "available")
        if not quorum_met:
            why = f"{sum(one.whole for one in chosen)} of quorum {pool.quorum}: {_census(hosts)}"
            found = Selection("degraded", why, found.serving, "available")
    elif idle := [one for one in hosts if one.state is State.UP and not one.disabled]:
        serving = _with_up(idle, "nothing else is up")
        found = Selection("degraded", f"only drained members are up: {_census(hosts)}", serving, "drained")
    elif new := [one for one in hosts if one.state is State.UNKNOWN and not one.disabled]:
        found = Selection("unknown", f"nothing is known up: {_census(hosts)}", _not_down(new), "unknown")
    else:
        return _when_down(asked)
    panic = _panics(pool, hosts)
    if panic is None:
        return found if found.why else Selection(found.state, _census(hosts), found.serving, found.rung)
    everybody = [one for one in hosts if not one.disabled and (not chosen or (one.weight > 0 and not one.drained))]
    return Selection("panic", panic, _with_all(everybody, "panic: everybody serves"), "panic")


def _panics(pool: Pool, hosts: Sequence[Host]) -> str | None:
    """Why the pool panics, or None. The share is of the weight that was judged and that no operator took away:
    unknown has no vote, and draining half a pool by hand is no emergency."""
    if pool.panic is None:
        return None
    judged = sum(one.weight for one in hosts if not (one.disabled or one.drained or one.state is State.UNKNOWN))
    available = sum(one.weight for one in hosts if one.available)
    if not judged or available >= pool.panic * judged:
        return None
    return f"{available / judged:.0%} of the weight is available, below panic {pool.panic:.0%}: {_census(hosts)}"


def _when_down(asked: Asked) -> Selection:
    """Nobody is up or unknown.

    | when_down   | answered with                                                                     |
    |-------------|-----------------------------------------------------------------------------------|
    | all         | all hosts that are not disabled, all addresses                                    |
    | last        | those who served when last somebody was available; none of them left: as `all`    |
    | empty       | nothing: NODATA                                                                   |
    | servfail    | SERVFAIL                                                                          |
    | addresses   | those, in turn                                                                    |
    """
    hosts, word = asked.hosts, asked.pool.when_down.word
    if not hosts and word != "addresses":  # its director has never told who they are
        return Selection("unknown", "no member is known yet", (), "when_down", servfail=True)
    why = f"nobody is up: {_census(hosts)}; when_down: {word}"
    left = [one for one in hosts if not one.disabled]
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
    return _serving(hosts, (State.UP,), why)


def _not_down(hosts: Iterable[Host]) -> tuple[Serving, ...]:
    return _serving(hosts, (State.UP, State.UNKNOWN), "not judged yet, and nobody is known up")


def _with_all(hosts: Iterable[Host], why: str) -> tuple[Serving, ...]:
    return _serving(hosts, (State.UP, State.UNKNOWN, State.DOWN), why)


def _serving(hosts: Iterable[Host], states: tuple[State, ...], why: str) -> tuple[Serving, ...]:
    """Weight 0 serves only where nothing better is left, and there it counts as 1."""
    return tuple(
        [
            Serving(one.name, one.weight or 1, tuple([a.packed for a in one.addresses if a.state in states]), why)
            for one in hosts
        ]
    )


def _census(hosts: Sequence[Host]) -> str:
    """`3 of 5 members up, 1 drained, 1 down`."""
    words = [one.word for one in hosts]
    others = [f"{words.count(word)} {word}" for word in ("unknown", "drained", "down", "disabled") if word in words]
    return ", ".join([f"{words.count('up')} of {len(hosts)} members up", *others])


def why_not(host: Host, selection: Selection) -> str:
    """Why a host does not serve, in words; for hosts outside `selection.serving`."""
    if host.disabled:
        return "disabled: never answered"
    if host.state is State.DOWN:
        return "down"
    if host.drained:
        return "drained: answered only when nothing else is up"
    if host.state is State.UNKNOWN:
        return "not judged yet, and others are known up"
    if host.weight == 0:
        return "weight 0: answered only when nothing else is up"
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
