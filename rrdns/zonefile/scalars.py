"""What a plain YAML scalar means: the YAML 1.2 core schema (YAML 1.2.2 section 10.3.2), and nothing of 1.1.

| written                  | is            | YAML 1.1 made it |
|--------------------------|---------------|------------------|
| `no`, `on`, `y`          | text          | true, false      |
| `010`                    | 10            | 8                |
| `12:30`, `2001:db8::1`   | text          | 750 (base 60)    |
| `1_000`, `2024-01-01`    | text          | 1000, a date     |
| `true`, `null`, `~`, ``  | true and null | the same         |

A number whose text is not how Python would print it (`010`, `1.10`, `0x1F`) remembers its text, so that a
name or a TXT value comes out as it was written. Must not know: YAML nodes, files, what a value is for.
"""

from __future__ import annotations

import re


class IntText(int):
    """A whole number written in an unusual way; `text` is how."""

    text: str


class FloatText(float):
    """A number with a fraction; `text` is how it was written."""

    text: str


Scalar = str | int | float | bool | None

_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_NUMBER_STARTS = frozenset("0123456789+-.")
_NUMBER = re.compile(
    r"(?P<int>[-+]?[0-9]+)"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<special>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
    r"|0o(?P<octal>[0-7]+)"
    r"|0x(?P<hex>[0-9a-fA-F]+)"
)
_BASES = {"int": 10, "octal": 8, "hex": 16}
_MAX_DIGITS = 40  # more is no number anyone means; int() itself gives up at 4300


def resolve(text: str) -> Scalar:
    """The value of a plain scalar."""
    if text[:1] not in _NUMBER_STARTS:
        return _WORDS.get(text, text) if len(text) <= 5 else text
    if len(text) > _MAX_DIGITS:
        return text
    found = _NUMBER.fullmatch(text)
    if found is None:
        return text
    kind = str(found.lastgroup)
    if kind in _BASES:
        return _whole(text, found[kind], _BASES[kind])
    fraction = FloatText(text.replace(".", "") if kind == "special" else text)
    fraction.text = text
    return fraction


def _whole(text: str, digits: str, base: int) -> int:
    value = int(digits, base)
    if str(value) == text:
        return value
    unusual = IntText(value)
    unusual.text = text
    return unusual


def written(value: Scalar) -> str:
    """The text of a scalar as it stood in the file (true, false and null in their usual spelling)."""
    if isinstance(value, IntText | FloatText):
        return value.text
    if value is None or isinstance(value, bool):
        return str({None: "null", True: "true", False: "false"}[value])
    return str(value)


def show(value: object) -> str:
    """A value as messages show it: texts in quotes and shortened, collections by their kind."""
    if isinstance(value, str):
        text = value if len(value) <= 60 else value[:57] + "..."
        return repr(text)
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool | int | float):
        text = written(value)
        return text if len(text) <= 60 else text[:57] + "..."
    return repr(value)
