"""Hosts: one member as far as decisions go, from the verdicts on its addresses. Floor 2, pure.

Must not know: who serves, schemes, rings, probes and counters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_address

from rrdns.model import Member, State


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
    def unsure(self) -> bool:
        """Nothing is known of it, and nobody has taken it out: it may yet turn out to be up."""
        return self.state is State.UNKNOWN and self.weight > 0 and not self.drained and not self.disabled

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

    | override      | makes of the addresses                              | and of the host |
    |---------------|-----------------------------------------------------|-----------------|
    | drain, drill  |                                                     | drained         |
    | disable       |                                                     | disabled        |
    | force-up      | all up, whatever checks and the director's down say | not drained     |

    | addresses up | down | unknown | state   | whole, `families: all` | whole, `families: any` |
    |--------------|------|---------|---------|------------------------|------------------------|
    | some         | none | any     | up      | yes                    | yes                    |
    | some         | some | any     | up      | no                     | yes                    |
    | none         | any  | some    | unknown | no                     | no                     |
    | none         | all  | none    | down    | no                     | no                     |

    Without any address (its name is not resolved yet) it is unknown, or down where its director says so: never up, and
    never answered, whatever an override says.
    """
    if override == "force-up":
        states = [State.UP] * len(states)
    elif told == "down":
        states = [State.DOWN] * len(states)
    elif told in ("up", "drain"):
        states = [State.UP if one is State.UNKNOWN else one for one in states]
    state = _state(states, told)
    whole = state is State.UP and (families == "any" or State.DOWN not in states)
    addresses = tuple([Address(text, packed(text), at) for text, at in zip(member.addresses, states, strict=True)])
    drained = override in ("drain", "drill") or (told == "drain" and override != "force-up")
    disabled = override == "disable"
    weight = member.weight if weight is None else weight
    available = state is State.UP and weight > 0 and not drained and not disabled
    return Host(member.name, weight, member.priority, addresses, drained, disabled, state, whole, available, told)


def _state(states: Sequence[State], told: str) -> State:
    if not states:
        return State.DOWN if told == "down" else State.UNKNOWN
    return next((one for one in (State.UP, State.UNKNOWN) if one in states), State.DOWN)


def lent(one: Host, pool: str, states: Sequence[State], families: str = "all", drained: bool = False) -> Host:
    """A host of another pool, called `pool/member`, as who may borrow it sees its addresses."""
    state = _state(states, one.told)
    whole = state is State.UP and (families == "any" or State.DOWN not in states)
    addresses = tuple([replace(address, state=at) for address, at in zip(one.addresses, states, strict=True)])
    drained = one.drained or drained
    available = state is State.UP and one.weight > 0 and not drained and not one.disabled
    return replace(
        one,
        name=f"{pool}/{one.name}",
        addresses=addresses,
        drained=drained,
        state=state,
        whole=whole,
        available=available,
    )
