"""SVCB and HTTPS records (RFC 9460) under octoDNS's field names. Floor 1, pure.

    {svcpriority: 1, targetname: ., svcparams: {alpn: [h2, h3], port: 443, no-default-alpn: null, key7: /dns-query}}

`alpn`, `mandatory` and the hints are lists, `port` a number, `ech` base64, `no-default-alpn` has no value; any other
parameter is `keyNNN` with escaped text. `dohpath` and `ohttp` (RFC 9461, RFC 9540) are taken too and shown as octoDNS
and older name servers know them, `key7` and `key8`. (`pool`, which may stand beside these, is `hints.py`'s.)
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from typing import NamedTuple

from rrdns import wire
from rrdns.zonefile.complaints import did_you_mean
from rrdns.zonefile.rdata_fields import (
    MAX_RDATA,
    MAX_STRING,
    RdataError,
    Value,
    escape,
    number_of,
    quote,
    raise_all,
    read_name,
    target,
    text_of,
    unescape,
)
from rrdns.zonefile.rdata_types import fields_of, pack_svcb
from rrdns.zonefile.scalars import show

MANDATORY, ALPN, NO_DEFAULT_ALPN, PORT, IPV4HINT, ECH, IPV6HINT, DOHPATH, OHTTP = range(9)
NAMES = {
    "mandatory": MANDATORY,
    "alpn": ALPN,
    "no-default-alpn": NO_DEFAULT_ALPN,
    "port": PORT,
    "ipv4hint": IPV4HINT,
    "ech": ECH,
    "ipv6hint": IPV6HINT,
}
_LATER = {"dohpath": DOHPATH, "ohttp": OHTTP}
_SHOWN = {number: name for name, number in NAMES.items()}
_EXAMPLE = "{svcpriority: 1, targetname: ., svcparams: {alpn: [h2, h3]}}"
_EMPTY = (NO_DEFAULT_ALPN, OHTTP)
HINTS = (IPV4HINT, IPV6HINT)


class Svcb(NamedTuple):
    """The record as it stands on the wire."""

    priority: int
    target: bytes
    params: dict[int, bytes]


# ---------------------------------------------------------------- YAML -> wire


def encode_svcb(value: object, origin: bytes) -> bytes:
    """SVCB or HTTPS rdata of one YAML value."""
    faults: list[RdataError] = []
    required = ("svcpriority", "targetname")
    given = fields_of(value, _EXAMPLE, (*required, "svcparams"), required, faults)
    priority = 1
    name = b"\0"
    params: dict[int, bytes] = {}
    for key in required:
        if key not in given:
            continue
        try:
            if key == "svcpriority":
                priority = number_of(given[key], 0, 65535)
            else:
                name = target(given[key], origin)
        except RdataError as fault:
            faults.append(fault.below(key))
    try:
        params = _params(given.get("svcparams"), priority)
    except RdataError as fault:
        faults.append(fault.below("svcparams"))
    raise_all(faults)
    return pack_svcb(priority, name, sorted(params.items()))


def _params(value: object, priority: int) -> dict[int, bytes]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise RdataError((), f"is {show(value)}, but parameters belong here, such as {{alpn: [h2, h3]}}")
    if value and priority == 0:
        raise RdataError((), "svcpriority 0 makes this an alias (RFC 9460 section 2.4.2): it takes no parameters")
    params: dict[int, bytes] = {}
    faults: list[RdataError] = []
    for key, one in value.items():
        try:
            number = _number(str(key))
            if number in params:
                raise RdataError((), "is there twice, under two names")
            params[number] = _param(number, one)
        except RdataError as fault:
            faults.append(fault.below(key))
    if not faults:
        faults += _together(params)
    raise_all(faults)
    return params


def _number(key: str) -> int:
    if key in NAMES or key in _LATER:
        return (NAMES | _LATER)[key]
    if re.fullmatch("key(0|[1-9][0-9]{0,4})", key) and int(key[3:]) < 65535:
        number = int(key[3:])
        if number in _SHOWN:
            raise RdataError((), f"write {_SHOWN[number]}")
        return number
    raise RdataError((), f"there is no parameter {key}{did_you_mean(key, NAMES) or '; others are written keyNNN'}")


def _param(number: int, value: object) -> bytes:
    if number in _EMPTY:
        if value not in (None, ""):
            raise RdataError((), "takes no value: write null")
        return b""
    if number == PORT:
        return number_of(value, 0, 65535).to_bytes(2, "big")
    if number == ECH:
        try:
            return base64.b64decode(text_of(value, "base64"), validate=True)
        except (binascii.Error, ValueError) as fault:
            if isinstance(fault, RdataError):
                raise
            raise RdataError((), "is not base64") from None
    if number in _LISTS:
        return b"".join(_items(value, number))
    data = b"" if value is None else unescape(text_of(value))
    if len(data) > MAX_RDATA:
        raise RdataError((), f"has {len(data)} bytes, at most {MAX_RDATA} are possible")
    return data


def _items(value: object, number: int) -> list[bytes]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if not isinstance(value, list | tuple) or not value:
        raise RdataError((), f"is {show(value)}, but a list belongs here")
    items = []
    for at, one in enumerate(value):
        try:
            items.append(_LISTS[number](one))
        except RdataError as fault:
            raise fault.below(at) from None
    if number == MANDATORY:
        if len(set(items)) != len(items):
            raise RdataError((), "names a parameter twice")
        items.sort()
    return items


def _protocol(value: object) -> bytes:
    data = unescape(text_of(value, "a protocol's name"))
    if not 1 <= len(data) <= MAX_STRING:
        raise RdataError((), f"has {len(data)} bytes, 1 to {MAX_STRING} are possible")
    return bytes((len(data),)) + data


def _v4(value: object) -> bytes:
    try:
        return ipaddress.IPv4Address(text_of(value, "an IPv4 address")).packed
    except ipaddress.AddressValueError:
        raise RdataError((), f"{show(value)} is not an IPv4 address") from None


def _v6(value: object) -> bytes:
    try:
        address = ipaddress.IPv6Address(text_of(value, "an IPv6 address"))
    except ipaddress.AddressValueError:
        raise RdataError((), f"{show(value)} is not an IPv6 address") from None
    if address.scope_id:
        raise RdataError((), f"{show(value)} has a zone index, which means nothing to others")
    return address.packed


def _wanted(value: object) -> bytes:
    number = _number(text_of(value, "a parameter's name"))
    if number == MANDATORY:
        raise RdataError((), "mandatory cannot name itself")
    return number.to_bytes(2, "big")


_LISTS = {MANDATORY: _wanted, ALPN: _protocol, IPV4HINT: _v4, IPV6HINT: _v6}


def _together(params: dict[int, bytes]) -> list[RdataError]:
    """RFC 9460 section 8 and 7.1.1: what is called mandatory is there, and no-default-alpn has an alpn beside it."""
    faults = []
    wanted = params.get(MANDATORY, b"")
    for at in range(0, len(wanted), 2):
        number = int.from_bytes(wanted[at : at + 2], "big")
        if number not in params:
            hint = ": a pool gives it only while it has such members" if number in HINTS else ""
            faults.append(RdataError(("mandatory",), f"names {key_of(number)}, which is not there{hint}"))
    if NO_DEFAULT_ALPN in params and ALPN not in params:
        faults.append(RdataError(("no-default-alpn",), "needs alpn beside it"))
    return faults


# ---------------------------------------------------------------- wire -> YAML, master file


def read_svcb(rdata: bytes) -> Svcb:
    """The record's parts; RdataError where they do not fit."""
    name, at = read_name(rdata, 2)
    params: dict[int, bytes] = {}
    last = -1
    while at < len(rdata):
        number = int.from_bytes(rdata[at : at + 2], "big")
        end = at + 4 + int.from_bytes(rdata[at + 2 : at + 4], "big")
        if at + 4 > len(rdata) or end > len(rdata):
            raise RdataError((), "its parameters are cut off")
        if number <= last:
            raise RdataError((), "its parameters are not in order (RFC 9460 section 2.2)")
        params[number] = rdata[at + 4 : end]
        last, at = number, end
    return Svcb(int.from_bytes(rdata[:2], "big"), name, params)


def key_of(number: int) -> str:
    return _SHOWN.get(number) or f"key{number}"


def parts_of(number: int, data: bytes) -> list[bytes]:
    """The items of a list parameter; RdataError where the lengths do not fit."""
    parts = []
    at = 0
    size = {MANDATORY: 2, IPV4HINT: 4, IPV6HINT: 16}.get(number, 0)
    while at < len(data):
        start, end = (at, at + size) if size else (at + 1, at + 1 + data[at])
        parts.append(data[start:end])
        at = end
    if at != len(data) or not parts:
        raise RdataError((), f"the data of {key_of(number)} does not fit")
    return parts


def _shown_item(number: int, part: bytes) -> str:
    if number == MANDATORY:
        return key_of(int.from_bytes(part, "big"))
    if number == ALPN:
        return escape(part)
    return str(ipaddress.IPv4Address(part) if number == IPV4HINT else ipaddress.IPv6Address(part))


def _shown(number: int, data: bytes) -> Value:
    if number in _LISTS:
        return [_shown_item(number, part) for part in parts_of(number, data)]
    if number == PORT and len(data) == 2:
        return int.from_bytes(data, "big")
    if number == ECH:
        return base64.b64encode(data).decode()
    if not data and number != PORT:
        return None
    if number in (PORT, NO_DEFAULT_ALPN):
        raise RdataError((), f"the data of {key_of(number)} does not fit")
    return escape(data)


def decode_svcb(rdata: bytes) -> dict[str, Value]:
    """Back to the YAML value."""
    record = read_svcb(rdata)
    value: dict[str, Value] = {"svcpriority": record.priority, "targetname": wire.name_to_text(record.target)}
    if record.params:
        value["svcparams"] = {key_of(number): _shown(number, data) for number, data in record.params.items()}
    return value


def svcb_text(rdata: bytes) -> str:
    """Master-file text; in a list the comma inside an item is escaped first (RFC 9460 appendix A.1)."""
    record = read_svcb(rdata)
    out = [str(record.priority), wire.name_to_text(record.target)]
    for number, data in record.params.items():
        shown = _shown(number, data)
        if number == ALPN:
            items = [part.replace(b"\\", b"\\\\").replace(b",", b"\\,") for part in parts_of(number, data)]
            out.append(f"{key_of(number)}={quote(b','.join(items))}")
        elif shown is None:
            out.append(key_of(number))
        elif isinstance(shown, list):
            out.append(f'{key_of(number)}="{",".join(str(item) for item in shown)}"')
        else:
            out.append(f'{key_of(number)}="{shown}"')
    return " ".join(out)
