"""JSON schema of the two kinds of files, for editors (`# yaml-language-server: $schema=...`).

Checks, pools and POOL records come from the pydantic models; the plain record types are described here by hand,
and a test holds them to the example zones. Looser than the loader: an editor helps, the loader decides.
"""

from __future__ import annotations

from typing import Any

from rrdns.zonefile import readers, shapes
from rrdns.zonefile.rdata import WORDS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT: dict[str, Any] = {"type": ["string", "number"]}
_TARGET: dict[str, Any] = {"type": "string", "pattern": r"\.$", "description": "a name with its final dot"}
_U8: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 255}
_U16: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 65535}
_U32: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 4294967295}
_TTL: dict[str, Any] = {"type": ["integer", "string"], "minimum": 0, "maximum": readers.MAX_TTL}
_GENERIC: dict[str, Any] = {"type": "string", "pattern": r"^\\#", "description": r"RFC 3597: \# LENGTH HEX"}


def _fields(optional: tuple[str, ...] = (), **fields: dict[str, Any]) -> dict[str, Any]:
    required = [name for name in fields if name not in optional]
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


_POOL: dict[str, Any] = {
    "type": ["string", "number"],
    "description": "name of the pool whose healthy members become ipv4hint and ipv6hint",
}
_SERVICE = _fields(
    ("svcparams", "pool"), svcpriority=_U16, targetname=_TARGET, svcparams={"type": "object"}, pool=_POOL
)

# LOC is left open: octoDNS gives it twelve fields, each with rules the loader knows.
_VALUES: dict[str, dict[str, Any]] = {
    "A": {"type": "string", "format": "ipv4"},
    "AAAA": {"type": "string", "format": "ipv6"},
    "NS": _TARGET,
    "CNAME": _TARGET,
    "DNAME": _TARGET,
    "PTR": _TARGET,
    "TXT": _TEXT,
    "SPF": _TEXT,
    "MX": _fields(preference=_U16, exchange=_TARGET),
    "SRV": _fields(priority=_U16, weight=_U16, port=_U16, target=_TARGET),
    "CAA": _fields(("flags",), flags=_U8, tag=_TEXT, value=_TEXT),
    "DS": _fields(key_tag=_U16, algorithm=_U8, digest_type=_U8, digest=_TEXT),
    "SSHFP": _fields(algorithm=_U8, fingerprint_type=_U8, fingerprint=_TEXT),
    "TLSA": _fields(certificate_usage=_U8, selector=_U8, matching_type=_U8, certificate_association_data=_TEXT),
    "NAPTR": _fields(order=_U16, preference=_U16, flags=_TEXT, service=_TEXT, regexp=_TEXT, replacement=_TARGET),
    "LOC": {"type": "object"},
    "SVCB": _SERVICE,
    "HTTPS": _SERVICE,
}
_SOA_FIELDS: dict[str, Any] = {
    "mname": _TARGET,
    "contact": {"type": "string", "description": "a mailbox as name (hostmaster.example.com.) or e-mail address"},
    "serial": _U32,
    "refresh": _TTL,
    "retry": _TTL,
    "expire": _TTL,
    "minimum": _TTL,
}


def schema() -> dict[str, Any]:
    """JSON schema of both kinds of files: `zone` and `pools`."""
    return {"zone": _zone_schema(), "pools": {"$schema": _DIALECT, **shapes.pools_file_schema()}}


def _zone_schema() -> dict[str, Any]:
    pool = shapes.pool_record_schema()
    definitions = {**pool.pop("$defs", {}), "PoolRecord": pool}
    for word in WORDS:
        definitions[f"{word}Record"] = _record(word)
    definitions["OtherRecord"] = {
        "type": "object",
        "properties": {"type": {"type": "string", "pattern": "^TYPE[0-9]+$"}, **_common(_GENERIC)},
        "required": ["type"],
        "additionalProperties": False,
    }
    definitions["record"] = {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"anyOf": [{"enum": [*WORDS, "POOL"]}, {"pattern": "^TYPE[0-9]+$"}]}},
        "allOf": [_when(word) for word in [*WORDS, "POOL"]]
        + [{"if": {"properties": {"type": {"pattern": "^TYPE[0-9]"}}}, "then": {"$ref": "#/$defs/OtherRecord"}}],
    }
    reference = {"$ref": "#/$defs/record"}
    return {
        "$schema": _DIALECT,
        "title": "rrdns zone file",
        "description": "Keys are names relative to the zone ('' is the zone itself), values one record or a list.",
        "type": "object",
        "properties": {
            "$zone": {"type": "string", "description": "the zone's name, where the file's name can't say it"},
            "$defaults": {"type": "object", "properties": {"ttl": _TTL}, "additionalProperties": False},
        },
        "patternProperties": {"^x-": {"description": "free for anchors"}},
        "additionalProperties": {"anyOf": [reference, {"type": "array", "items": reference, "minItems": 1}]},
        "$defs": definitions,
    }


def _when(word: str) -> dict[str, Any]:
    name = "PoolRecord" if word == "POOL" else f"{word}Record"
    return {"if": {"properties": {"type": {"const": word}}}, "then": {"$ref": f"#/$defs/{name}"}}


def _common(value: dict[str, Any]) -> dict[str, Any]:
    many = {"type": "array", "items": value, "minItems": 1}
    return {"ttl": _TTL, "value": {"anyOf": [value, many]}, "values": {"anyOf": [many, value]}, "octodns": {}}


def _record(word: str) -> dict[str, Any]:
    if word == "SOA":
        properties = {"type": {"const": word}, **_common({"type": "object"}), **_SOA_FIELDS}
        return {"type": "object", "properties": properties, "required": ["type"], "additionalProperties": False}
    pool = {"pool": _POOL} if word in ("SVCB", "HTTPS") else {"dynamic": {}} if word in ("A", "AAAA") else {}
    return {
        "type": "object",
        "properties": {"type": {"const": word}, **_common({"anyOf": [_VALUES[word], _GENERIC]}), **pool},
        "required": ["type"],
        "additionalProperties": False,
    }
