"""Reading single values: numbers in a range, durations, names, addresses, status ranges. Pure functions that
give the value or raise ValueError with a sentence for the operator. Must not know: YAML nodes, pydantic, DNS zones.
"""

from __future__ import annotations

import ipaddress
import math
import re
import shlex
from collections.abc import Sequence
from typing import Any

from rrdns.zonefile.complaints import did_you_mean
from rrdns.zonefile.scalars import show, written

MAX_TTL = 2**31 - 1  # RFC 2181 section 8

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d|w)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def whole(value: object, low: int, high: int) -> int:
    """A whole number within bounds."""
    if isinstance(value, str) and value.isdecimal():
        raise ValueError(f"{show(value)} is a text: leave out the quotes")
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{show(value)} is not a whole number ({low} to {high})")
    if not low <= value <= high:
        raise ValueError(f"{show(value)} is not between {low} and {high}")
    return int(value)


def seconds(value: object, low: float, high: float) -> float:
    """A duration: `5s`, `500ms`, `2m`, `1h`, or seconds as a number."""
    number = _as_seconds(value)
    if number is None:
        raise ValueError(f"{show(value)} is not a duration: write 5s, 500ms, 2m or seconds as a number")
    if not low <= number <= high:
        raise ValueError(f"{show(value)} is not between {duration_text(low)} and {duration_text(high)}")
    return number


def _as_seconds(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, str) and len(value) < 32:
        found = _DURATION.fullmatch(value.strip())
        if found:
            return float(found[1]) * _UNITS[found[2] or "s"]
    return None


def duration_text(value: float) -> str:
    """`5s`, `500ms`, `2m`: a number of seconds as people write it."""
    if 0 < value < 1:
        return f"{value * 1000:g}ms"
    for unit in ("d", "h", "m"):
        if value >= _UNITS[unit] and value % _UNITS[unit] == 0:
            return f"{value / _UNITS[unit]:g}{unit}"
    return f"{value:g}s"


def ttl(value: object) -> int:
    """A TTL: whole seconds, or a duration that is whole seconds."""
    number = _as_seconds(value)
    if number is None or number != int(number):
        raise ValueError(f"{show(value)} is not a TTL: write whole seconds, or 5m, 1h")
    if not 0 <= number <= MAX_TTL:
        raise ValueError(f"{show(value)} is not between 0 and {MAX_TTL}")
    return int(number)


def text(value: object) -> str:
    """A text; a number counts as the text it was written as."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return written(value)
    raise ValueError(f"{show(value)} is not a text{_quote_hint(value)}")


def name(value: object) -> str:
    """The name of a pool, member or check: it must fit into a command line and into `pool/member`."""
    found = text(value)
    if not found or len(found) > 255:
        raise ValueError("a name has 1 to 255 characters")
    if found[0] == "-" or not found.isprintable() or any(char in " /," for char in found):
        raise ValueError(f"{show(found)} is no name: no blanks, commas or slashes, and no - in front")
    return found


def _quote_hint(value: object) -> str:
    return f": put it in quotes ('{written(value)}') if it is one" if isinstance(value, bool) else ""


def truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"{show(value)} is not true or false")


def choice(value: object, words: Sequence[str]) -> str:
    """One of a few words."""
    if isinstance(value, str) and value in words:
        return value
    near = did_you_mean(value, words) if isinstance(value, str) else ""
    raise ValueError(f"{show(value)} is none of {', '.join(words)}{near}")


SCHEDULERS = ("wrr", "rr", "wlc", "lc", "sh")


def scheduler(value: object) -> str:
    return choice(value, SCHEDULERS)


def address(value: object) -> str:
    """An IP address a host can have, in canonical text."""
    if isinstance(value, dict) and len(value) == 1 and ":" in str(*value) and None in value.values():
        raise ValueError(f"an IPv6 address that ends in a colon needs quotes: '{next(iter(value))}:'")
    if not isinstance(value, str):
        raise ValueError(f"{show(value)} is not an IPv4 or IPv6 address")
    try:
        found = ipaddress.ip_address(value)
    except ValueError:
        raise ValueError(f"{show(value)} is not an IPv4 or IPv6 address") from None
    if isinstance(found, ipaddress.IPv6Address):
        if found.scope_id:
            raise ValueError(f"{value} has a zone (%{found.scope_id}); DNS can't carry one")
        if found.ipv4_mapped:
            raise ValueError(f"{value} is an IPv4 address in IPv6 clothes: write {found.ipv4_mapped}")
    if found.is_multicast or found.is_unspecified or str(found) == "255.255.255.255":
        raise ValueError(f"{value} is not the address of one host")
    return str(found)


def ratio(value: object) -> float | None:
    """A share: 0.5, `50%`; `off` or 0 is None."""
    if value == "off" or (value is False):
        return None
    number: object = value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?%", value):
        number = float(value[:-1]) / 100
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1:
        raise ValueError(f"{show(value)} is not a share: write 0.5, 50% or off")
    return float(number) or None


def statuses(value: object) -> tuple[int, int]:
    """One HTTP status or an inclusive range of them: 200, `200-399`, `2xx`."""
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        return value, value
    if isinstance(value, str):
        found = re.fullmatch(r"([1-5][0-9][0-9])(?:\s*-\s*([1-5][0-9][0-9]))?", value.strip())
        if found and found[1] <= (found[2] or found[1]):
            return int(found[1]), int(found[2] or found[1])
        if re.fullmatch(r"[1-5]xx", value):
            return int(value[0]) * 100, int(value[0]) * 100 + 99
    raise ValueError(f"{show(value)} is not an HTTP status (100 to 599) or a range such as 200-399")


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2


def token(value: object) -> str:
    """An HTTP method or header name."""
    found = text(value)
    if not _TOKEN.fullmatch(found):
        raise ValueError(f"{show(found)} can't be sent: only letters, digits and - here")
    return found


def header_value(value: object) -> str:
    """A header's value or a host: printable, in one line (a line break would begin another header)."""
    found = text(value)
    if any((ord(char) < 32 and char != "\t") or not 0 < ord(char) < 256 or char == "\x7f" for char in found):
        raise ValueError(f"{show(found)} can't be sent in a header: one line of plain characters")
    return found.strip()


def host(value: object) -> str:
    found = header_value(value)
    if not found or not found.isascii() or any(char in " \t/?#@" for char in found):
        raise ValueError(f"{show(found)} is not a host: write its name, such as www.example.com")
    return found


def url_path(value: object) -> str:
    found = text(value)
    if not found.startswith("/"):
        raise ValueError(f"{show(found)} must begin with /")
    if not found.isascii() or not found.isprintable() or " " in found or "#" in found:
        raise ValueError(f"{show(found)} can't be sent: write other characters than plain ones as %20 and the like")
    return found


def command(value: object) -> tuple[str, ...]:
    """A program and its arguments: a list, or a text split as a shell would split it (no shell is run)."""
    if isinstance(value, str):
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise ValueError(f"{show(value)} can't be split into words: {str(error).lower()}") from None
    elif isinstance(value, list):
        words = [text(word) for word in value]
    else:
        raise ValueError(f"{show(value)} is no command: write [program, argument, ...]")
    if not words or not words[0]:
        raise ValueError("has no program")
    if any("\0" in word for word in words):
        raise ValueError("a NUL character can't stand in an argument")
    return tuple(words)


def as_list(value: Any) -> Any:
    """One or many: a single value counts as a list of it."""
    return value if isinstance(value, list) else [value]
