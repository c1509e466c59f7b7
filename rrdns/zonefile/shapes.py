"""The shape of checks, pools and POOL records, as pydantic models; what they are made of is in `shape_values.py`.

`validate` turns pydantic's errors into (loc, message) pairs in our own words; the models also give editors
their JSON schema (`schema_parts`). Single values are read by `readers.py`. Must not know: YAML positions,
other files, what a pool refers to.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from rrdns.zonefile import readers
from rrdns.zonefile.check_shapes import AnyCheck
from rrdns.zonefile.complaints import unknown_key
from rrdns.zonefile.director_shapes import FOLLOW_SHAPE, AnyDirector
from rrdns.zonefile.failover_shapes import AnyFailover, BeforePromote, Quorum
from rrdns.zonefile.scalars import show
from rrdns.zonefile.shape_values import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    ErrorDetails,
    Field,
    HostOrAddress,
    Model,
    Name,
    Reads,
    Tag,
    Ttl,
    TypeAdapter,
    ValidationError,
)
from rrdns.zonefile.shape_values import seconds as _seconds
from rrdns.zonefile.shape_values import whole as _whole
from rrdns.zonefile.shape_values import words as _words

# ---------------------------------------------------------------- single values


def _answers(value: object) -> int:
    if value == "all":
        return 0
    try:
        return readers.whole(value, 1, 1000)
    except ValueError as error:
        raise ValueError(f"{error}, nor the word all") from None


def _as_it_is(value: object) -> object:
    """Judged elsewhere: `directors.py` knows the word's place."""
    return value


_NAMES = BeforeValidator(readers.as_list, json_schema_input_type=str | list[str])
_ADDRESSES = BeforeValidator(readers.as_list, json_schema_input_type=HostOrAddress | list[HostOrAddress])

# ---------------------------------------------------------------- members, pools, POOL records


_Follow = Annotated[Any, Reads(_as_it_is, **FOLLOW_SHAPE)]


class NamedMember(Model):
    """A member written as `name: address` or `name: {address: ..., weight: ...}`."""

    address: Annotated[list[HostOrAddress], Field(min_length=1), _ADDRESSES] = Field(
        description="an IP address, or a host name with its final dot, which is then followed in DNS; or a list"
    )
    weight: Annotated[int, _whole(0, 65535)] = Field(1, description="share of the answers; 0 is drained")
    priority: Annotated[int, _whole(1, 65535)] = Field(1, description="tier for failover, lowest first")
    labels: Annotated[list[Name] | None, _NAMES] = Field(
        None, description="what it shares a fate with, such as a rack: rrdns whatif --all-down LABEL"
    )
    director: _Follow = Field(None, description="the director behind this member, which is a VIP (use: virtual)")


class ListedMember(NamedMember):
    """A member written as an item of a list; without a name its address is the name."""

    name: Name | None = None


def _member(value: Any) -> Any:
    return value if isinstance(value, dict) else {"address": value}


def _members_kind(value: Any) -> str | None:
    return "<map>" if isinstance(value, dict) else "<list>" if isinstance(value, list) else None


_Named = Annotated[
    NamedMember, BeforeValidator(_member, json_schema_input_type=NamedMember | HostOrAddress | list[HostOrAddress])
]
_Listed = Annotated[ListedMember, BeforeValidator(_member, json_schema_input_type=ListedMember | HostOrAddress)]
Members = Annotated[
    Annotated[dict[Name, _Named], Tag("<map>")] | Annotated[list[_Listed], Tag("<list>")],
    Discriminator(
        _members_kind,
        custom_error_type="rrdns",
        custom_error_message="members are `name: address` lines or a list of addresses",
    ),
]
WHEN_DOWN = ("all", "empty", "servfail", "last")


def _when_down(value: object) -> str | tuple[str, ...]:
    if isinstance(value, list) and value:
        return tuple(dict.fromkeys(readers.address(one) for one in value))
    if isinstance(value, str) and ("." in value or ":" in value):
        return (readers.address(value),)
    try:
        return readers.choice(value, WHEN_DOWN)
    except ValueError as error:
        raise ValueError(f"{error}, nor a list of addresses") from None


_WHEN_DOWN_SHAPE: dict[str, object] = {
    "anyOf": [{"enum": list(WHEN_DOWN)}, {"type": "array", "items": {"type": "string"}}, {"type": "string"}]
}


class _PoolBody(Model):
    check: Annotated[list[Name] | None, _NAMES] = Field(None, description="name of a check, or a list: all must pass")
    checks: Annotated[list[Name] | None, _NAMES] = Field(None, description="the same as check")
    scheduler: Annotated[str | None, Reads(readers.scheduler, enum=list(readers.SCHEDULERS))] = Field(
        None, description="wrr, rr; by the director's connections wlc, lc; sh: a client always meets the same member"
    )
    quorum: Quorum = Field(
        (1, 0), description="what must be there for the pool to be ok: so many hosts, or {weight: 40}"
    )
    failover: AnyFailover = Field(None, description="who serves and who stands by, and who helps out")
    fallback: Name | None = Field(None, description="the pool whose hosts serve when these are below quorum")
    before_promote: BeforePromote = Field(
        None, description="a program that must exit 0 before others take over: [program, argument] (fencing)"
    )
    panic: Annotated[float | None, Reads(readers.ratio, type=["number", "string"])] = Field(
        None, description="serve all when less than this share of the weight is available"
    )
    capacity: Annotated[int, _whole(0, 1 << 31)] = Field(
        0, description="the weight it takes to carry the pool's load at its busiest (rrdns whatif, check); 0: not told"
    )
    families: Annotated[str, _words("all", "any")] = Field(
        "all", description="all: a host counts when each of its addresses is up"
    )
    when_down: Annotated[str | tuple[str, ...], Reads(_when_down, **_WHEN_DOWN_SHAPE)] = "all"
    director: _Follow = Field(None, description="what tells members, state and weights: a name, a mapping, or a list")
    weight_from: Annotated[str | None, _words("zone", "director")] = Field(
        None, description="whose weights count; default zone if a member has a weight, else director"
    )
    slow_start: Annotated[float, _seconds(0, 86400)] = Field(
        0.0, description="the weight of a member that came back climbs to the whole in this time"
    )
    correct: Annotated[bool, Reads(readers.truth, type="boolean")] = Field(
        False, description="correct the weights until the connections at the director have the wanted shares"
    )


class PoolModel(_PoolBody):
    """A pool of a pools file."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["members"]}, {"required": ["director"]}]}, extra="forbid"
    )

    members: Members | None = Field(None, description="without them the director says who they are")


class PoolRecord(_PoolBody):
    """A record of type POOL: with `pool:`, or with a pool of its own in place."""

    type: Literal["POOL"]
    pool: Name | None = Field(None, description="name of a pool of a pools file")
    members: Members | None = None
    ttl: Ttl | None = Field(None, description="TTL while nothing is about to change; default 20")
    ttl_min: Ttl | None = Field(None, description="TTL while something is; default a quarter of ttl")
    answers: Annotated[int, Reads(_answers, anyOf=[{"type": "integer", "minimum": 1}, {"const": "all"}])] = Field(
        8, description="addresses per answer, or all"
    )
    budget: Annotated[float | None, _seconds(0.1, 86400 * 7)] = Field(
        None, description="how long a dead host may go on being answered; rrdns check says whether that is kept"
    )
    octodns: Any = None


POOL_ONLY = frozenset(_PoolBody.model_fields) - {"scheduler"}
"""Keys of a POOL record that belong to a pool in place."""


class PoolsFile(Model):
    """pools.yaml or *.pools.yaml"""

    model_config = ConfigDict(json_schema_extra={"patternProperties": {"^x-": {}}})

    checks: dict[str, Annotated[AnyCheck, Field(discriminator="type")]] | None = None
    directors: dict[str, Annotated[AnyDirector, Field(discriminator="type")]] | None = None
    pools: dict[str, PoolModel] | None = None


# ---------------------------------------------------------------- validation in our own words

M = TypeVar("M", bound=Model)
Loc = tuple[str | int, ...]
Complaint = tuple[Loc, str]


def validate(model: type[M], data: dict[str, Any]) -> tuple[M | None, list[Complaint]]:
    """The model's instance, or None and every (loc, message); an unknown key's loc ends in that key."""
    try:
        return model.model_validate(data), []
    except ValidationError as failure:
        errors = failure.errors(include_url=False, include_context=False)
    unknown = {loc for error in errors if error["type"] == "extra_forbidden" for loc in [_loc(error)]}
    found = []
    for error in errors:
        loc = _loc(error)
        if error["type"] == "missing" and _meant(loc, unknown):
            continue  # `adress: ...` is one mistake, not two
        found.append((loc, _message(error, loc, model)))
    return None, found


def _loc(error: ErrorDetails) -> Loc:
    return tuple(step for step in error["loc"] if step not in ("<map>", "<list>", "[key]"))


def _meant(missing: Loc, unknown: set[Loc]) -> bool:
    """Whether an unknown key beside it was meant to be the missing one."""
    siblings = [str(loc[-1]) for loc in unknown if loc[:-1] == missing[:-1]]
    return any(unknown_key(word, [str(missing[-1])]).endswith("?") for word in siblings)


def _message(error: ErrorDetails, loc: Loc, model: type[BaseModel]) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        inner: type[BaseModel] = model
        if len(loc) > 1:
            inner = ListedMember if isinstance(loc[-2], int) else NamedMember
        return unknown_key(str(loc[-1]), inner.model_fields)
    if kind == "missing":
        return "is missing"
    if kind in ("dict_type", "model_type", "model_attributes_type"):
        return f"{show(error['input'])} is not a mapping (`key: value` lines)"
    if kind == "too_short":
        return "is empty"
    if kind == "list_type":
        return f"{show(error['input'])} is not a list"
    return error["msg"]


def pools_file_schema() -> dict[str, Any]:
    """JSON schema of a pools file."""
    return PoolsFile.model_json_schema()


def pool_record_schema() -> dict[str, Any]:
    """JSON schema of a POOL record, its definitions under `$defs`."""
    return TypeAdapter(PoolRecord).json_schema()
