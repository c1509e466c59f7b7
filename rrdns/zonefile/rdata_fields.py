"""The kinds of field that structured record data is made of: numbers, names, text, hex. Floor 1, pure.

A kind knows four things about its field: how to check what a person wrote in YAML, how to read it from the
wire, how to show it in YAML again, and how to write it in a master file. Must not know: which type has which
fields (that is `rdata_types`), files, YAML syntax.

A YAML scalar arrives as str, int, float, bool or None; a number remembers how it was written (`scalars`), so a
fingerprint of digits only keeps its leading zeros.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Union

from rrdns import wire
from rrdns.zonefile.scalars import show, written

Key = Union[str, int]  # noqa: UP007 - a plain alias, also used inside tuples at run time
Value = Union[str, int, float, bool, None, "list[Value]", "Mapping[str, Value]"]

MAX_RDATA = 65535
MAX_STRING = 255


class RdataError(ValueError):
    """What is wrong in one record value. `path` leads from the value to the field; `others` are further faults."""

    def __init__(self, path: tuple[Key, ...], message: str, others: tuple[RdataError, ...] = ()) -> None:
        super().__init__(message)
        self.path = path
        self.message = message
        self.others = others

    def below(self, *keys: Key) -> RdataError:
        """The same fault as seen from further up."""
        return RdataError((*keys, *self.path), self.message, tuple(one.below(*keys) for one in self.others))

    def __str__(self) -> str:
        where = ".".join(str(key) for key in self.path)
        return f"{where}: {self.message}" if where else self.message


def raise_all(faults: Iterable[RdataError]) -> None:
    """Raise the first fault with the rest in its `others`; nothing if there is none."""
    found = list(faults)
    if found:
        raise RdataError(found[0].path, found[0].message, tuple(found[1:]))


def text_of(value: object, what: str = "text") -> str:
    """A YAML string; a number counts as the text it was written as, and `true` is told to get quotes."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        raise RdataError((), f"is {show(value)} to YAML, but {what} belongs here: put it in quotes")
    if isinstance(value, int | float):
        return written(value)
    raise RdataError((), f"is {show(value)}, but {what} belongs here")


def number_of(value: object, low: int, high: int) -> int:
    """A whole number between `low` and `high`, also written as a string of digits (octoDNS takes both)."""
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,12}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise RdataError((), f"{show(value)} is not a whole number")
    if not low <= value <= high:
        raise RdataError((), f"{value} is not between {low} and {high}")
    return value


# ---------------------------------------------------------------- text with escapes, as in a master file


_PLAIN = frozenset((string.ascii_letters + string.digits + string.punctuation + " ").encode()) - frozenset(b'"\\')
_ESCAPED = [
    chr(byte) if byte in _PLAIN else f"\\{chr(byte)}" if byte in b'"\\' else f"\\{byte:03d}" for byte in range(256)
]


def escape(data: bytes) -> str:
    r"""Bytes as they stand between quotes in a master file (RFC 1035 section 5.1): `\"`, `\\`, `\DDD`."""
    return "".join([_ESCAPED[byte] for byte in data])


def quote(data: bytes) -> str:
    """A <character-string> in quotes."""
    return f'"{escape(data)}"'


def unescape(text: str) -> bytes:
    r"""The bytes of an escaped text: `\DDD` is a byte, `\` in front of anything else takes its meaning away."""
    if "\\" not in text:
        _refuse_control(text)
        return text.encode()
    out = bytearray()
    at = 0
    while at < len(text):
        char = text[at]
        if char != "\\":
            _refuse_control(char)
            out += char.encode()
            at += 1
            continue
        escaped = text[at + 1 : at + 2]
        if not escaped:
            raise RdataError((), "ends in a single backslash: write two for a backslash")
        if not (escaped.isascii() and escaped.isdigit()):
            out += escaped.encode()
            at += 2
            continue
        digits = text[at + 1 : at + 4]
        if not re.fullmatch("[0-9]{3}", digits):
            raise RdataError((), f"\\{escaped} is no escape: write \\\\{escaped} for a backslash and a {escaped}")
        if int(digits) > 255:
            raise RdataError((), f"\\{digits} is no byte, at most \\255 is possible")
        out.append(int(digits))
        at += 4
    return bytes(out)


def _refuse_control(text: str) -> None:
    """A line break got in by YAML's `|` far more often than by intent; who means it writes `\\010` in quotes."""
    for char in text:
        if char < " " or char == "\x7f":
            what = "a line break" if char in "\r\n" else "a control character"
            raise RdataError((), f"has {what} in it: fold long text with >- , or write \\{ord(char):03d} in quotes")
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise RdataError((), "has half a character (a lone surrogate) in it")


# ---------------------------------------------------------------- names


def target(value: object, origin: bytes) -> bytes:
    """The wire name of a target. octoDNS's rule: it ends in a dot, so that nothing is appended by accident."""
    text = text_of(value, "a name")
    if not text:
        raise RdataError((), "is empty, but a name belongs here, such as www.example.com.")
    backslashes = len(text) - 1 - len(text[:-1].rstrip("\\"))
    if not text.endswith(".") or backslashes % 2:
        raise RdataError((), f"{text} has no final dot: did you mean {_absolute(text, origin)}?")
    if re.fullmatch(r"(\d{1,3}\.){4}", text):
        raise RdataError((), f"{text[:-1]} is an address, but a name belongs here")
    if re.search(r"(?<!\\)[\s]", text):
        raise RdataError((), f"{text!r} is no name: it has a space in it")
    try:
        return wire.name_from_text(text)
    except wire.BadName as fault:
        raise RdataError((), f"{text} is no name: it {fault}") from None


def _absolute(text: str, origin: bytes) -> str:
    zone = wire.name_to_text(origin)
    if text == "@":
        return zone
    if "." in text or zone == ".":
        return f"{text}."
    return f"{text}.{zone}"


def read_name(rdata: bytes, at: int) -> tuple[bytes, int]:
    """The uncompressed name at `at` and the offset behind it; a pointer in stored rdata is a fault."""
    start = at
    while True:
        if at >= len(rdata):
            raise RdataError((), "the name in it runs past its end")
        length = rdata[at]
        if length > wire.MAX_LABEL:
            raise RdataError((), "the name in it is compressed or malformed")
        at += 1 + length
        if length == 0:
            break
    if at - start > wire.MAX_NAME:
        raise RdataError((), f"the name in it has over {wire.MAX_NAME} bytes")
    return rdata[start:at], at


def mailbox(value: object, origin: bytes) -> bytes:
    """A SOA's contact: a name, or an e-mail address (RFC 1035 section 8: its local part is the first label)."""
    if isinstance(value, str) and re.fullmatch(r"[^\\@\s]+@[^\\@\s]+", value):
        local, host = value.split("@")
        value = local.replace(".", "\\.") + "." + host.removesuffix(".") + "."
    return target(value, origin)


# ---------------------------------------------------------------- the kinds


class Kind(NamedTuple):
    """One kind of field; see the module's head. `read` takes rdata and an offset, and gives value and next offset."""

    check: Callable[[object, bytes], Any]
    read: Callable[[bytes, int], tuple[Any, int]]
    show: Callable[[Any], Value]
    text: Callable[[Any], str]


def _take(rdata: bytes, at: int, size: int) -> tuple[bytes, int]:
    if at + size > len(rdata):
        raise RdataError((), f"its data is cut off: {len(rdata)} bytes")
    return rdata[at : at + size], at + size


def number(bits: int) -> Kind:
    """An unsigned number of 8, 16 or 32 bits."""

    def read(rdata: bytes, at: int) -> tuple[int, int]:
        taken, end = _take(rdata, at, bits // 8)
        return int.from_bytes(taken, "big"), end

    return Kind(lambda value, _: number_of(value, 0, (1 << bits) - 1), read, int, str)


def _seconds(value: object, _: bytes) -> int:
    """Seconds, or a text such as `1h30m`, as SOA times are often written."""
    if isinstance(value, str) and re.fullmatch(r"([0-9]{1,9}[smhdw])+", value.lower()):
        parts = re.findall(r"([0-9]+)([smhdw])", value.lower())
        value = sum(int(count) * _UNITS[unit] for count, unit in parts)
    return number_of(value, 0, (1 << 32) - 1)


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def _read_string(rdata: bytes, at: int) -> tuple[bytes, int]:
    length, at = _take(rdata, at, 1)
    return _take(rdata, at, length[0])


def _check_string(value: object, _: bytes) -> bytes:
    data = unescape(text_of(value))
    if len(data) > MAX_STRING:
        raise RdataError((), f"has {len(data)} bytes, at most {MAX_STRING} are possible")
    return data


def _check_word(value: object, _: bytes) -> bytes:
    text = text_of(value, "a word")
    if not re.fullmatch("[A-Za-z0-9]{1,15}", text):
        raise RdataError((), f"{show(text)} is not a word of at most 15 letters and digits, such as issue")
    return text.encode()


def _read_word(rdata: bytes, at: int) -> tuple[bytes, int]:
    word, end = _read_string(rdata, at)
    if not re.fullmatch(b"[A-Za-z0-9]{1,255}", word):
        raise RdataError((), "its tag is not made of letters and digits")
    return word, end


def _check_hex(value: object, _: bytes) -> bytes:
    digits = "".join(text_of(value, "a string of hex digits").split())
    if not re.fullmatch("[0-9A-Fa-f]+", digits):
        raise RdataError((), f"{show(value)} is not made of hex digits")
    if len(digits) % 2:
        raise RdataError((), f"has {len(digits)} hex digits: two make a byte, one is missing or too many")
    return bytes.fromhex(digits)


def _rest(rdata: bytes, at: int) -> tuple[bytes, int]:
    return rdata[at:], len(rdata)


U8, U16, U32 = number(8), number(16), number(32)
SECONDS = Kind(_seconds, U32.read, int, str)
NAME = Kind(target, read_name, wire.name_to_text, wire.name_to_text)
MAILBOX = Kind(mailbox, read_name, wire.name_to_text, wire.name_to_text)
STRING = Kind(_check_string, _read_string, escape, quote)
WORD = Kind(_check_word, _read_word, bytes.decode, bytes.decode)
REST_TEXT = Kind(lambda value, _: unescape(text_of(value)), _rest, escape, quote)
REST_HEX = Kind(_check_hex, _rest, bytes.hex, bytes.hex)
