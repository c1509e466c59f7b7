"""What a request asks for, read from its JSON and its parameters; what can't be meant is refused with a sentence.

Must not know: HTTP's own words, how anything is done.
"""

from __future__ import annotations

import math
from typing import Any

from rrdns.overrides import read_amount

LONGEST = 10 * 365 * 86400.0
WORDS = ("drain", "disable", "force-up", "drill", "weight", "enable", "return", "hold", "release")

Json = dict[str, Any]


class Refused(Exception):
    """A request that is answered with an error: status, and a sentence for people."""

    def __init__(self, status: int, text: str, **more: Any) -> None:
        super().__init__(text)
        self.status = status
        self.body = {"error": text, **more}


def typed(body: Json, name: str, kind: type[Any], default: Any) -> Any:
    """A field of the body, which must be of that kind where it is there."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise Refused(400, f"{name}: {value!r} is not a {kind.__name__}")
    return value


def word_of(body: Json) -> str:
    """The word of an override; a weight's with its amount."""
    word = body.get("word")
    if word not in WORDS:
        raise Refused(400, f"word: {word!r} is none of {', '.join(WORDS)}")
    if word != "weight":
        return str(word)
    try:
        return f"weight {read_amount(str(body.get('weight', '')))}"
    except ValueError as error:
        raise Refused(400, f"weight: {error}") from error


def seconds_of(value: object) -> float | None:
    """How long an override shall hold; None: until it is ended."""
    if value is None:
        return None
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not 0 < float(value) <= LONGEST:  # type: ignore[arg-type]
        raise Refused(400, f"for: {value!r} is not a number of seconds, more than 0 and at most ten years")
    return float(value)  # type: ignore[arg-type]


def number(text: str | None, name: str, default: float | None) -> float | None:
    """A parameter of the address, such as `limit=50`."""
    if text is None or text == "":
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise Refused(400, f"{name}: {text!r} is not a number")
    return value
