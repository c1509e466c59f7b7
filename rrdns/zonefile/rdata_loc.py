"""LOC records (RFC 1876) under octoDNS's field names. Floor 1, pure.

Angles are counted in thousandths of a second from 2^31, altitude in centimetres from 100 km below the ellipsoid,
sizes as one digit and a power of ten. All arithmetic is decimal or whole: dnslib's LOC goes through binary floats, cuts
off where it should round, and takes sizes under a metre for none, so it is not used here.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from rrdns.zonefile.rdata_fields import RdataError, Value, number_of, raise_all
from rrdns.zonefile.rdata_types import fields_of
from rrdns.zonefile.scalars import show

_LAYOUT = struct.Struct("!BBBBIII")
_EQUATOR = 1 << 31
_SEA_LEVEL = 100_000_00
_SIZES = {"size": 100, "precision_horz": 1_000_000, "precision_vert": 1_000}  # RFC 1876's defaults, in centimetres
_ANGLES = {"lat": ("N", "S", 90), "long": ("E", "W", 180)}
FIELDS = (
    *(f"lat_{part}" for part in ("degrees", "minutes", "seconds", "direction")),
    *(f"long_{part}" for part in ("degrees", "minutes", "seconds", "direction")),
    "altitude",
    *_SIZES,
)
_REQUIRED = ("lat_degrees", "lat_direction", "long_degrees", "long_direction", "altitude")
_EXAMPLE = "{lat_degrees: 52, lat_direction: N, long_degrees: 13, long_direction: E, altitude: 34}"


def encode_loc(value: object) -> bytes:
    """LOC rdata. Minutes, seconds, sizes and precisions may be left out, as in a master file."""
    faults: list[RdataError] = []
    given = fields_of(value, _EXAMPLE, FIELDS, _REQUIRED, faults)
    angles = [_angle(given, name, faults) for name in _ANGLES]
    altitude = _scaled(given, "altitude", 100, Decimal(-100_000), Decimal("42849672.95"), 0, faults)
    sizes = [
        _scaled(given, name, 100, Decimal(0), Decimal(90_000_000), default, faults) for name, default in _SIZES.items()
    ]
    raise_all(faults)
    return _LAYOUT.pack(0, *[_digit_and_power(one) for one in sizes], *angles, altitude + _SEA_LEVEL)


def _angle(given: Mapping[str, object], name: str, faults: list[RdataError]) -> int:
    plus, minus, limit = _ANGLES[name]
    parts = []
    for part, high in (("degrees", limit), ("minutes", 59)):
        key = f"{name}_{part}"
        try:
            parts.append(number_of(given.get(key, 0), 0, high))
        except RdataError as fault:
            faults.append(fault.below(key))
            parts.append(0)
    thousandths = _scaled(given, f"{name}_seconds", 1000, Decimal(0), Decimal("59.999"), 0, faults)
    direction = given.get(f"{name}_direction", plus)
    if str(direction).upper() not in (plus, minus):
        faults.append(RdataError((f"{name}_direction",), f"{show(direction)} is neither {plus} nor {minus}"))
    total = parts[0] * 3_600_000 + parts[1] * 60_000 + thousandths
    if total > limit * 3_600_000:
        faults.append(RdataError((f"{name}_degrees",), f"is more than {limit} degrees, with minutes and seconds"))
    return _EQUATOR + (total if str(direction).upper() == plus else -total)


def _scaled(
    given: Mapping[str, object],
    key: str,
    scale: int,
    low: Decimal,
    high: Decimal,
    default: int,
    faults: list[RdataError],
) -> int:
    """A decimal field times `scale`, rounded to a whole number; `default` is scaled already."""
    if key not in given:
        return default
    value = given[key]
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InvalidOperation
        number = Decimal(str(value))
        if not number.is_finite():
            raise InvalidOperation
    except InvalidOperation:
        faults.append(RdataError((key,), f"{show(value)} is not a number"))
        return 0
    if not low <= number <= high:
        faults.append(RdataError((key,), f"{value} is not between {low} and {high}"))
        return 0
    return int((number * scale).to_integral_value())


def _digit_and_power(centimetres: int) -> int:
    """RFC 1876 section 2: the first digit and how many follow; the rest is cut off, as BIND does."""
    power = 0
    while centimetres > 9:
        centimetres //= 10
        power += 1
    return centimetres << 4 | power


def _centimetres(byte: int) -> int:
    digit, power = byte >> 4, byte & 15
    if digit > 9 or power > 9 or (power and not digit):
        raise RdataError((), f"its size byte {byte:#04x} is not one digit and a power of ten")
    return digit * int(10**power)


def _read(rdata: bytes) -> tuple[list[int], list[int], int]:
    """Sizes in centimetres, angles in thousandths of a second, altitude in centimetres."""
    if len(rdata) != _LAYOUT.size or rdata[0]:
        raise RdataError((), "its data is not a LOC of version 0")
    _, size, horizontal, vertical, latitude, longitude, altitude = _LAYOUT.unpack(rdata)
    angles = [latitude - _EQUATOR, longitude - _EQUATOR]
    if abs(angles[0]) > 90 * 3_600_000 or abs(angles[1]) > 180 * 3_600_000:
        raise RdataError((), "its data names no place on earth")
    return [_centimetres(one) for one in (size, horizontal, vertical)], angles, altitude - _SEA_LEVEL


def _shortest(number: int, scale: int) -> int | float:
    return number // scale if number % scale == 0 else number / scale


def decode_loc(rdata: bytes) -> dict[str, Value]:
    """Back to the YAML value, every field said."""
    sizes, angles, altitude = _read(rdata)
    value: dict[str, Value] = {}
    for (name, (plus, minus, _)), angle in zip(_ANGLES.items(), angles, strict=True):
        value[f"{name}_degrees"] = abs(angle) // 3_600_000
        value[f"{name}_minutes"] = abs(angle) // 60_000 % 60
        value[f"{name}_seconds"] = _shortest(abs(angle) % 60_000, 1000)
        value[f"{name}_direction"] = plus if angle >= 0 else minus
    value["altitude"] = _shortest(altitude, 100)
    return value | {name: _shortest(size, 100) for name, size in zip(_SIZES, sizes, strict=True)}


def loc_text(rdata: bytes) -> str:
    """Master-file text (RFC 1876 section 3)."""
    sizes, angles, altitude = _read(rdata)
    out = []
    for (plus, minus, _), angle in zip(_ANGLES.values(), angles, strict=True):
        rest = abs(angle)
        seconds = f"{rest % 60_000 // 1000}.{rest % 1000:03d}"
        out.append(f"{rest // 3_600_000} {rest // 60_000 % 60} {seconds} {plus if angle >= 0 else minus}")
    for number in (altitude, *sizes):
        sign = "-" if number < 0 else ""
        out.append(f"{sign}{abs(number) // 100}.{abs(number) % 100:02d}m")
    return " ".join(out)
