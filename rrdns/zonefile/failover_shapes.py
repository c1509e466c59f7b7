"""The shape of `failover:`, `before_promote:` and `quorum:` of a pool. Must not know: YAML positions, other pools."""

from __future__ import annotations

from typing import Annotated, Any

from rrdns.promotions import Fence
from rrdns.zonefile import readers
from rrdns.zonefile.complaints import unknown_key
from rrdns.zonefile.scalars import show
from rrdns.zonefile.shape_values import Field, Model, Name, Reads, whole, words

SCHEMES = ("idle-standby", "rotating-standby", "simple-failover", "mutual-takeover")
DAY = 86400.0


def _failback(value: object) -> float | None:
    """Seconds, None for `manual`."""
    if value == "manual":
        return None
    try:
        return readers.seconds(value, 0.0, 7 * DAY)
    except ValueError as error:
        raise ValueError(f"{error}, nor the word manual") from None


class FailoverModel(Model):
    """failover: {scheme: ...}"""

    scheme: Annotated[str | None, words(*SCHEMES)] = Field(None, description="who serves, and who stands by")
    failback: Annotated[float | None, Reads(_failback, type=["number", "string"])] = Field(
        30.0, description="unbroken health before service returns, or manual (rrdns failback POOL)"
    )
    active: Annotated[int | None, whole(1, 65535)] = Field(None, description="rotating-standby: how many hold a place")
    backup: Name | None = Field(None, description="simple-failover: the pool whose hosts serve us instead of their own")
    partner: Name | None = Field(None, description="mutual-takeover: the pool that takes over, and we from it")


def _quorum(value: object) -> tuple[int, int]:
    """(members, weight) of `2`, `{members: 2}`, `{weight: 40}` or both."""
    if not isinstance(value, dict):
        try:
            return readers.whole(value, 1, 65535), 0
        except ValueError as error:
            raise ValueError(f"{error}, nor {{weight: 40}}") from None
    for key in value:
        if key not in ("members", "weight"):
            raise ValueError(f"{key}: {unknown_key(str(key), ('members', 'weight'))}")
    if not value:
        raise ValueError(f"{show(value)} says nothing: write 2, or {{weight: 40}}")
    members = readers.whole(value.get("members", 1), 1, 65535)
    return members, readers.whole(value["weight"], 1, 1 << 31) if "weight" in value else 0


Quorum = Annotated[
    tuple[int, int],
    Reads(
        _quorum,
        anyOf=[
            {"type": "integer", "minimum": 1, "maximum": 65535},
            {
                "type": "object",
                "properties": {
                    "members": {"type": "integer", "minimum": 1},
                    "weight": {"type": "integer", "minimum": 1},
                },
                "minProperties": 1,
                "additionalProperties": False,
            },
        ],
    ),
]


def _fence(value: object) -> Fence:
    """`/usr/local/sbin/fence db`, `[/usr/local/sbin/fence, db]`, or `{command: ..., timeout: 30s}`."""
    if not isinstance(value, dict):
        return Fence(readers.command(value))
    for key in value:
        if key not in ("command", "timeout"):
            raise ValueError(f"{key}: {unknown_key(str(key), ('command', 'timeout'))}")
    if "command" not in value:
        raise ValueError("has no command: write {command: [program, argument], timeout: 30s}")
    command = readers.command(value["command"])
    if "timeout" not in value:
        return Fence(command)
    try:
        return Fence(command, readers.seconds(value["timeout"], 0.1, 600.0))
    except ValueError as error:
        raise ValueError(f"timeout: {error}") from None


_COMMAND: list[dict[str, object]] = [{"type": "string"}, {"type": "array", "items": {}, "minItems": 1}]
BeforePromote = Annotated[
    Fence | None,
    Reads(
        _fence,
        anyOf=[
            *_COMMAND,
            {
                "type": "object",
                "properties": {"command": {"anyOf": _COMMAND}, "timeout": {"type": ["number", "string"]}},
                "required": ["command"],
                "additionalProperties": False,
            },
        ],
    ),
]


def _as_it_is(value: object) -> object:
    """Read by `failover.py`, which knows the places of its keys."""
    return value


def _shape() -> dict[str, Any]:
    whole_shape = FailoverModel.model_json_schema()
    whole_shape.pop("title", None)
    return whole_shape


AnyFailover = Annotated[Any, Reads(_as_it_is, **_shape())]
