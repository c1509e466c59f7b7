"""The shape of checks, pools and POOL records, as pydantic models. The only module that imports pydantic.

`validate` turns pydantic's errors into (loc, message) pairs in our own words; the models also give editors
their JSON schema (`schema_parts`). Single values are read by `readers.py`. Must not know: YAML positions,
other files, what a pool refers to.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from rrdns.zonefile import readers
from rrdns.zonefile.complaints import unknown_key
from rrdns.zonefile.scalars import show

# ---------------------------------------------------------------- single values


class Reads:
    """A pydantic marker: the value is what `reader` makes of it; editors are shown `shape`."""

    def __init__(self, reader: Callable[[Any], object], **shape: object) -> None:
        self.reader = reader
        self.shape = shape

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.shape)

    def _read(self, value: object) -> object:
        try:
            return self.reader(value)
        except ValueError as error:
            raise PydanticCustomError("rrdns", "{text}", {"text": str(error)}) from None


def _whole(low: int, high: int) -> Reads:
    return Reads(partial(readers.whole, low=low, high=high), type="integer", minimum=low, maximum=high)


def _words(*words: str) -> Reads:
    return Reads(partial(readers.choice, words=words), enum=list(words))


def _seconds(low: float, high: float) -> Reads:
    shape = {"type": ["number", "string"], "pattern": r"^[0-9]+(\.[0-9]+)?\s*(ms|s|m|h|d|w)?$"}
    return Reads(partial(readers.seconds, low=low, high=high), **shape)


def _text(reader: Callable[[Any], object] = readers.text) -> Reads:
    return Reads(reader, type=["string", "number"])


def _answers(value: object) -> int:
    if value == "all":
        return 0
    try:
        return readers.whole(value, 1, 1000)
    except ValueError as error:
        raise ValueError(f"{error}, nor the word all") from None


Name = Annotated[str, _text(readers.name)]
Address = Annotated[str, Reads(readers.address, type="string")]
Status = Annotated[tuple[int, int], Reads(readers.statuses, type=["integer", "string"])]
Ttl = Annotated[int, Reads(readers.ttl, type=["integer", "string"], minimum=0, maximum=readers.MAX_TTL)]
_NAMES = BeforeValidator(readers.as_list, json_schema_input_type=str | list[str])
_ADDRESSES = BeforeValidator(readers.as_list, json_schema_input_type=Address | list[Address])
_STATUSES = BeforeValidator(readers.as_list, json_schema_input_type=int | str | list[int | str])
Port = Annotated[int, _whole(1, 65535)]
Count = Annotated[int, _whole(1, 100)]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# ---------------------------------------------------------------- checks


class _Check(Model):
    interval: Annotated[float, _seconds(0.1, 86400)] = Field(5.0, description="time between two probes")
    timeout: Annotated[float, _seconds(0.01, 600)] = Field(2.0, description="longest time one probe may take")
    fall: Count = Field(3, description="failures that mean down")
    rise: Count = Field(3, description="successes in a row that mean up again")
    ok: Count = Field(5, description="successes in a row that clear the failures counted while up")
    fast: Annotated[float, _seconds(0.1, 86400)] = Field(1.0, description="interval while failures are counted")


class TcpCheck(_Check):
    """Connect; optionally send something and wait for an answer."""

    type: Literal["tcp"]
    port: Port
    send: Annotated[str, _text()] = ""
    expect: Annotated[str, _text()] = Field("", description="text that must come back")


class HttpCheck(_Check):
    """One HTTP request per probe."""

    type: Literal["http", "https"]
    port: Port | None = Field(None, description="80 for http, 443 for https")
    method: Annotated[str, _text(readers.token)] = "GET"
    path: Annotated[str, _text(readers.url_path)] = "/"
    host: Annotated[str, _text(readers.host)] = Field("", description="Host header and TLS server name")
    headers: dict[Annotated[str, _text(readers.token)], Annotated[str, _text(readers.header_value)]] = {}
    status: Annotated[list[Status], _STATUSES] = Field([(200, 299)], description="200, 200-399, or a list")
    body: Annotated[str, _text()] = Field("", description="text that must be in the body")
    body_limit: Annotated[int, _whole(1, 16 * 1024 * 1024)] = 65536
    verify: Annotated[bool, Reads(readers.truth, type="boolean")] = Field(True, description="check the certificate")


class CommandCheck(_Check):
    """Run a program; exit code 0 is up. {address} and {port} in its arguments are replaced."""

    type: Literal["command"]
    command: Annotated[
        tuple[str, ...], Reads(readers.command, anyOf=[{"type": "string"}, {"type": "array", "items": {}}])
    ]
    port: Port | None = None


AnyCheck = TcpCheck | HttpCheck | CommandCheck
CHECKS: dict[str, type[TcpCheck] | type[HttpCheck] | type[CommandCheck]] = {
    "tcp": TcpCheck,
    "http": HttpCheck,
    "https": HttpCheck,
    "command": CommandCheck,
}

# ---------------------------------------------------------------- members, pools, POOL records


class NamedMember(Model):
    """A member written as `name: address` or `name: {address: ..., weight: ...}`."""

    address: Annotated[list[Address], Field(min_length=1), _ADDRESSES]
    weight: Annotated[int, _whole(0, 65535)] = Field(1, description="share of the answers; 0 is drained")
    priority: Annotated[int, _whole(1, 65535)] = Field(1, description="tier for failover, lowest first")


class ListedMember(NamedMember):
    """A member written as an item of a list; without a name its address is the name."""

    name: Name | None = None


def _member(value: Any) -> Any:
    return value if isinstance(value, dict) else {"address": value}


def _members_kind(value: Any) -> str | None:
    return "<map>" if isinstance(value, dict) else "<list>" if isinstance(value, list) else None


_Named = Annotated[NamedMember, BeforeValidator(_member, json_schema_input_type=NamedMember | Address | list[Address])]
_Listed = Annotated[ListedMember, BeforeValidator(_member, json_schema_input_type=ListedMember | Address)]
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
    scheduler: Annotated[str | None, Reads(readers.scheduler, enum=["wrr", "rr"])] = None
    quorum: Annotated[int, _whole(1, 65535)] = Field(1, description="hosts that must be there for the pool to be ok")
    panic: Annotated[float | None, Reads(readers.ratio, type=["number", "string"])] = Field(
        None, description="serve all when less than this share of the weight is available"
    )
    families: Annotated[str, _words("all", "any")] = Field(
        "all", description="all: a host counts when each of its addresses is up"
    )
    when_down: Annotated[str | tuple[str, ...], Reads(_when_down, **_WHEN_DOWN_SHAPE)] = "all"


class PoolModel(_PoolBody):
    """A pool of a pools file."""

    members: Members


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
    octodns: Any = None


POOL_ONLY = frozenset(_PoolBody.model_fields) - {"scheduler"}
"""Keys of a POOL record that belong to a pool in place."""


class PoolsFile(Model):
    """pools.yaml or *.pools.yaml"""

    model_config = ConfigDict(json_schema_extra={"patternProperties": {"^x-": {}}})

    checks: dict[str, Annotated[AnyCheck, Field(discriminator="type")]] | None = None
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
