"""Single values of the files as pydantic knows them, and the base of all models. The only module that imports pydantic.

`shapes.py` and `director_shapes.py` build their models from what stands here. Values are read by `readers.py`.
Must not know: YAML positions, what a value belongs to.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

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

from rrdns.zonefile import member_names, readers

__all__ = [
    "Address",
    "BaseModel",
    "BeforeValidator",
    "ConfigDict",
    "Count",
    "Discriminator",
    "ErrorDetails",
    "Field",
    "HostOrAddress",
    "Model",
    "Name",
    "Port",
    "Reads",
    "Status",
    "Tag",
    "Ttl",
    "TypeAdapter",
    "ValidationError",
    "many",
    "seconds",
    "text",
    "whole",
    "words",
]


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


def whole(low: int, high: int) -> Reads:
    return Reads(partial(readers.whole, low=low, high=high), type="integer", minimum=low, maximum=high)


def words(*words: str) -> Reads:
    return Reads(partial(readers.choice, words=words), enum=list(words))


def seconds(low: float, high: float) -> Reads:
    shape = {"type": ["number", "string"], "pattern": r"^[0-9]+(\.[0-9]+)?\s*(ms|s|m|h|d|w)?$"}
    return Reads(partial(readers.seconds, low=low, high=high), **shape)


def text(reader: Callable[[Any], object] = readers.text) -> Reads:
    return Reads(reader, type=["string", "number"])


def many(kind: Any) -> BeforeValidator:
    """One or a list of it."""
    return BeforeValidator(readers.as_list, json_schema_input_type=kind | list[kind])


Name = Annotated[str, text(readers.name)]
Address = Annotated[str, Reads(readers.address, type="string")]
HostOrAddress = Annotated[str, Reads(member_names.read, type="string")]
Status = Annotated[tuple[int, int], Reads(readers.statuses, type=["integer", "string"])]
Ttl = Annotated[int, Reads(readers.ttl, type=["integer", "string"], minimum=0, maximum=readers.MAX_TTL)]
Port = Annotated[int, whole(1, 65535)]
Count = Annotated[int, whole(1, 100)]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
