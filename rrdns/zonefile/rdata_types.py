"""Which fields each structured record type has, under octoDNS's names. Floor 1, pure.

    MX     {preference, exchange}                     priority, value: octoDNS's older names for the two
    SRV    {priority, weight, port, target}
    SOA    {mname, contact, serial, refresh, retry, expire, minimum}      rname: another name for contact
    NAPTR  {order, preference, flags, service, regexp, replacement}
    CAA    {flags: 0, tag, value}
    DS     {key_tag, algorithm, digest_type, digest}  flags, protocol, algorithm, public_key: older octoDNS
    SSHFP  {algorithm, fingerprint_type, fingerprint}
    TLSA   {certificate_usage, selector, matching_type, certificate_association_data}

dnslib packs the records; this is the only module that imports it. Two of its traps shape the use:
it compresses names inside rdata, so two names never share a buffer and SOA is joined here; and it knows text only
as UTF-8, so CAA is joined here, names go in as labels of bytes, and nothing is read back through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dnslib import DS, MX, NAPTR, RD, SRV, SSHFP, TLSA, TXT
from dnslib import HTTPS as SVCB
from dnslib.label import DNSBuffer, DNSLabel

from rrdns import wire
from rrdns.zonefile.complaints import unknown_key
from rrdns.zonefile.rdata_fields import (
    MAILBOX,
    NAME,
    REST_HEX,
    REST_TEXT,
    SECONDS,
    STRING,
    U8,
    U16,
    U32,
    WORD,
    Kind,
    RdataError,
    Value,
    raise_all,
)
from rrdns.zonefile.scalars import show


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name, its kind, the value it has when left out (None: it must be there), its older name."""

    name: str
    kind: Kind
    default: int | None = None
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """A structured type: its fields in wire order, how they are packed, an example for messages.

    `lengths`: (name of the number that says the hash, name of the hex field, {number: bytes it must have}).
    `older`: a whole set of names that octoDNS still takes, new name -> old one; `older_sign` tells them by.
    """

    fields: tuple[Field, ...]
    pack: Callable[..., bytes]
    example: str
    lengths: tuple[str, str, Mapping[int, int]] | None = None
    older: Mapping[str, str] = field(default_factory=dict)
    older_sign: tuple[str, ...] = ()


def packed(record: RD) -> bytes:
    """A dnslib record's rdata, from a buffer of its own so that there is nothing to compress against."""
    buffer = DNSBuffer()
    record.pack(buffer)
    return bytes(buffer.data)


def _label(name: bytes) -> DNSLabel:
    return DNSLabel(wire.labels_of(name))


def _soa(mname: bytes, contact: bytes, *numbers: int) -> bytes:
    return mname + contact + b"".join(number.to_bytes(4, "big") for number in numbers)


def _caa(flags: int, tag: bytes, value: bytes) -> bytes:
    return bytes((flags, len(tag))) + tag + value


def pack_text(strings: Sequence[bytes]) -> bytes:
    """TXT rdata from its character-strings, each at most 255 bytes."""
    return packed(TXT(list(strings)))


def pack_svcb(priority: int, target: bytes, params: Sequence[tuple[int, bytes]]) -> bytes:
    """SVCB or HTTPS rdata; the parameters are sorted already."""
    return packed(SVCB(priority, wire.labels_of(target), list(params)))


SHAPES: dict[int, Shape] = {
    wire.MX: Shape(
        (Field("preference", U16, alias="priority"), Field("exchange", NAME, alias="value")),
        lambda preference, exchange: packed(MX(_label(exchange), preference)),
        "{preference: 10, exchange: mail.example.com.}",
    ),
    wire.SRV: Shape(
        (Field("priority", U16), Field("weight", U16), Field("port", U16), Field("target", NAME)),
        lambda priority, weight, port, target: packed(SRV(priority, weight, port, _label(target))),
        "{priority: 10, weight: 20, port: 443, target: www.example.com.}",
    ),
    wire.SOA: Shape(
        (
            Field("mname", NAME),
            Field("contact", MAILBOX, alias="rname"),
            Field("serial", U32),
            Field("refresh", SECONDS),
            Field("retry", SECONDS),
            Field("expire", SECONDS),
            Field("minimum", SECONDS),
        ),
        _soa,
        "{mname: ns1.example.com., contact: hostmaster.example.com., serial: 1, refresh: 3600, retry: 600, "
        "expire: 1209600, minimum: 60}",
    ),
    wire.TYPES["NAPTR"]: Shape(
        (
            Field("order", U16),
            Field("preference", U16),
            Field("flags", STRING),
            Field("service", STRING),
            Field("regexp", STRING),
            Field("replacement", NAME),
        ),
        lambda order, preference, flags, service, regexp, replacement: packed(
            NAPTR(order, preference, flags, service, regexp, _label(replacement))
        ),
        "{order: 10, preference: 10, flags: S, service: SIP+D2T, regexp: '', replacement: _sip._tcp.example.com.}",
    ),
    wire.TYPES["CAA"]: Shape(
        (Field("flags", U8, default=0), Field("tag", WORD), Field("value", REST_TEXT)),
        _caa,
        "{flags: 0, tag: issue, value: letsencrypt.org}",
    ),
    wire.DS: Shape(
        (Field("key_tag", U16), Field("algorithm", U8), Field("digest_type", U8), Field("digest", REST_HEX)),
        lambda *fields: packed(DS(*fields)),
        "{key_tag: 60485, algorithm: 13, digest_type: 2, digest: '...'}",
        lengths=("digest_type", "digest", {1: 20, 2: 32, 4: 48}),
        older={"key_tag": "flags", "algorithm": "protocol", "digest_type": "algorithm", "digest": "public_key"},
        older_sign=("flags", "public_key"),
    ),
    wire.TYPES["SSHFP"]: Shape(
        (Field("algorithm", U8), Field("fingerprint_type", U8), Field("fingerprint", REST_HEX)),
        lambda *fields: packed(SSHFP(*fields)),
        "{algorithm: 4, fingerprint_type: 2, fingerprint: '...'}",
        lengths=("fingerprint_type", "fingerprint", {1: 20, 2: 32}),
    ),
    wire.TYPES["TLSA"]: Shape(
        (
            Field("certificate_usage", U8),
            Field("selector", U8),
            Field("matching_type", U8),
            Field("certificate_association_data", REST_HEX),
        ),
        lambda *fields: packed(TLSA(*fields)),
        "{certificate_usage: 3, selector: 1, matching_type: 1, certificate_association_data: '...'}",
        lengths=("matching_type", "certificate_association_data", {1: 32, 2: 64}),
    ),
}


def fields_of(
    value: object, example: str, known: Sequence[str], required: Sequence[str], faults: list[RdataError]
) -> Mapping[str, object]:
    """The value as a mapping; keys that are not known or missing go to `faults`, and something else is told what it
    should look like. A missing field is not mentioned beside an unknown one: it is likely the same, mistyped."""
    if not isinstance(value, Mapping):
        raise RdataError((), f"is {show(value)}, but fields belong here, such as {example}")
    for key in value:
        if key not in known:
            faults.append(RdataError((key,), unknown_key(str(key), known)))
    if not faults:
        faults += [RdataError((), f"the field {key} is missing") for key in required if key not in value]
    return value


def encode_shape(shape: Shape, value: object, origin: bytes) -> bytes:
    """Uncompressed rdata of a structured value; RdataError with every fault of it."""
    names = [one.name for one in shape.fields]
    spelled: Mapping[str, str] = {one.name: one.name for one in shape.fields}
    if isinstance(value, Mapping):
        if any(sign in value for sign in shape.older_sign):
            spelled = shape.older
        else:
            spelled = {
                one.name: one.alias if one.alias in value and one.name not in value else one.name
                for one in shape.fields
            }
    required = [spelled[one.name] for one in shape.fields if one.default is None]
    faults: list[RdataError] = []
    given = fields_of(value, shape.example, list(spelled.values()), required, faults)
    found: dict[str, Any] = {}
    for one in shape.fields:
        key = spelled[one.name]
        if key not in given:
            found[one.name] = one.default
            continue
        try:
            found[one.name] = one.kind.check(given[key], origin)
        except RdataError as fault:
            faults.append(fault.below(key))
    if not faults and shape.lengths:
        number, data, wanted = shape.lengths
        size = wanted.get(found[number])
        if size is not None and len(found[data]) != size:
            message = f"has {len(found[data])} bytes, but {spelled[number]} {found[number]} means {size}"
            faults.append(RdataError((spelled[data],), message))
    raise_all(faults)
    return shape.pack(*[found[name] for name in names])


def read_shape(shape: Shape, rdata: bytes) -> list[Any]:
    """The fields' values as they stand on the wire; RdataError where they do not fit it."""
    values = []
    at = 0
    for one in shape.fields:
        value, at = one.kind.read(rdata, at)
        values.append(value)
    if at != len(rdata):
        raise RdataError((), f"its data has {len(rdata) - at} bytes too many")
    return values


def decode_shape(shape: Shape, rdata: bytes) -> dict[str, Value]:
    """Back to the YAML value."""
    return {one.name: one.kind.show(value) for one, value in zip(shape.fields, read_shape(shape, rdata), strict=True)}


def shape_text(shape: Shape, rdata: bytes) -> str:
    """Master-file text: the fields, one after the other."""
    values = zip(shape.fields, read_shape(shape, rdata), strict=True)
    return " ".join([one.kind.text(value) for one, value in values])
