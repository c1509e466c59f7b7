r"""Record data between its three forms: the YAML value, the wire, master-file text. Floor 1, pure.

The doors are `encode`, `decode` and `to_text`. Values have octoDNS's shape: text for addresses, names and TXT, a
mapping of fields for structured types (`rdata_types`, `rdata_svcb`, `rdata_loc`). Rdata is always uncompressed,
because it is spliced behind questions of any length. Any type may be given as RFC 3597 says, `\# 4 0a000001`; for a
type known here the bytes must then make sense as that type.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import NamedTuple

from rrdns import wire
from rrdns.zonefile.rdata_fields import MAX_RDATA, RdataError, Value, read_name, target, text_of
from rrdns.zonefile.rdata_loc import decode_loc, encode_loc, loc_text
from rrdns.zonefile.rdata_svcb import decode_svcb, encode_svcb, svcb_text
from rrdns.zonefile.rdata_text import decode_text, encode_text, text_text
from rrdns.zonefile.rdata_types import SHAPES, decode_shape, encode_shape, shape_text
from rrdns.zonefile.scalars import show

__all__ = ["WORDS", "RdataError", "Value", "decode", "encode", "record_type", "to_text"]


class _Codec(NamedTuple):
    encode: Callable[[object, bytes], bytes]
    decode: Callable[[bytes], Value]
    text: Callable[[bytes], str]


# ---------------------------------------------------------------- addresses and single names


def _encode_v4(value: object, origin: bytes) -> bytes:
    text = text_of(value, "an IPv4 address")
    try:
        return ipaddress.IPv4Address(text).packed
    except ipaddress.AddressValueError:
        hint = ": use type AAAA" if _is_address(text, ipaddress.IPv6Address) else ""
        raise RdataError((), f"{show(text)} is not an IPv4 address{hint}") from None


def _encode_v6(value: object, origin: bytes) -> bytes:
    text = text_of(value, "an IPv6 address")
    try:
        address = ipaddress.IPv6Address(text)
    except ipaddress.AddressValueError:
        hint = ": use type A" if _is_address(text, ipaddress.IPv4Address) else ""
        raise RdataError((), f"{show(text)} is not an IPv6 address{hint}") from None
    if address.scope_id:
        raise RdataError((), f"{show(value)} has a zone index (%), which means nothing to others")
    return address.packed


def _is_address(text: str, family: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]) -> bool:
    try:
        family(text)
    except ValueError:
        return False
    return True


def _show_v4(rdata: bytes) -> str:
    if len(rdata) != 4:
        raise RdataError((), f"its data has {len(rdata)} bytes, an IPv4 address has 4")
    return str(ipaddress.IPv4Address(rdata))


def _show_v6(rdata: bytes) -> str:
    if len(rdata) != 16:
        raise RdataError((), f"its data has {len(rdata)} bytes, an IPv6 address has 16")
    return str(ipaddress.IPv6Address(rdata))


def _show_name(rdata: bytes) -> str:
    name, end = read_name(rdata, 0)
    if end != len(rdata):
        raise RdataError((), f"its data has {len(rdata) - end} bytes behind the name")
    return wire.name_to_text(name)


# ---------------------------------------------------------------- any type, RFC 3597


_GENERIC = re.compile(r"\\#(\s|$)")


def _encode_generic(value: object, rtype: int) -> bytes:
    if not isinstance(value, str) or not _GENERIC.match(value):
        name = wire.type_name(rtype)
        raise RdataError((), rf"is {show(value)}, but {name} is written as RFC 3597 says, such as \# 4 0a000001")
    match = re.fullmatch(r"\\#\s+([0-9]{1,5})((?:\s+[0-9A-Fa-f]+)*)\s*", value)
    if match is None:
        raise RdataError((), rf"{show(value)} is not \#, a length and hex digits, such as \# 4 0a000001")
    digits = "".join(match[2].split())
    if len(digits) != 2 * int(match[1]):
        raise RdataError((), f"says {match[1]} bytes, but has {len(digits)} hex digits, and two make a byte")
    return bytes.fromhex(digits)


def _show_generic(rdata: bytes) -> str:
    return rf"\# {len(rdata)} {rdata.hex()}".rstrip()


# ---------------------------------------------------------------- the doors


_NAME = _Codec(target, _show_name, _show_name)
_TEXT = _Codec(lambda value, _: encode_text(value), decode_text, text_text)
_SVCB = _Codec(encode_svcb, decode_svcb, svcb_text)

_CODECS: dict[int, _Codec] = {
    wire.A: _Codec(_encode_v4, _show_v4, _show_v4),
    wire.AAAA: _Codec(_encode_v6, _show_v6, _show_v6),
    wire.NS: _NAME,
    wire.CNAME: _NAME,
    wire.DNAME: _NAME,
    wire.TYPES["PTR"]: _NAME,
    wire.TXT: _TEXT,
    wire.TYPES["LOC"]: _Codec(lambda value, _: encode_loc(value), decode_loc, loc_text),
    wire.SVCB: _SVCB,
    wire.HTTPS: _SVCB,
}


def _shape_codec(rtype: int) -> _Codec:
    shape = SHAPES[rtype]
    return _Codec(
        lambda value, origin: encode_shape(shape, value, origin),
        lambda rdata: decode_shape(shape, rdata),
        lambda rdata: shape_text(shape, rdata),
    )


_CODECS |= {rtype: _shape_codec(rtype) for rtype in SHAPES}

WORDS: dict[str, int] = {wire.TYPE_NAMES[rtype]: rtype for rtype in sorted(_CODECS)} | {"SPF": wire.TXT}
"""The `type:` words with a value form of their own. SPF is TXT: RFC 7208 section 3.1 withdrew type 99."""


def record_type(word: str) -> int:
    """The number of a `type:` word of a zone file: a word of WORDS or `TYPEnnn`; ValueError for anything else."""
    if word in WORDS:
        return WORDS[word]
    if re.fullmatch("TYPE(0|[1-9][0-9]{0,4})", word) and 0 < int(word[4:]) < 65536:
        return int(word[4:])
    raise ValueError(f"{word!r} is not a record type")


def encode(rtype: int, value: object, origin: bytes) -> bytes:
    r"""Uncompressed wire rdata of a YAML value. `origin` serves only the advice for names without a final dot.

    Raises RdataError; its `others` hold further faults of the same value.
    """
    codec = _CODECS.get(rtype)
    if codec is None or (isinstance(value, str) and _GENERIC.match(value)):
        rdata = _encode_generic(value, rtype)
        if codec is not None:
            codec.decode(rdata)
    else:
        rdata = codec.encode(value, origin)
    if len(rdata) > MAX_RDATA:
        raise RdataError((), f"has {len(rdata)} bytes, at most {MAX_RDATA} are possible")
    return rdata


def decode(rtype: int, rdata: bytes) -> Value:
    """The YAML value that `encode` turns into `rdata`; RdataError if the bytes make no sense as that type."""
    codec = _CODECS.get(rtype)
    return codec.decode(rdata) if codec else _show_generic(rdata)


def to_text(rtype: int, rdata: bytes) -> str:
    r"""Master-file text (RFC 1035 section 5), absolute names; `\# ...` for types without a form of their own."""
    codec = _CODECS.get(rtype)
    return codec.text(rdata) if codec else _show_generic(rdata)
