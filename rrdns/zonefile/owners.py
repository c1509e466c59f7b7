"""The words a record begins with: a zone's name, a key as an owner name, a `type:` word. Pure functions that
raise ValueError with a sentence for the operator. Must not know: YAML, places in files, values of records.
"""

from __future__ import annotations

import re

from rrdns import wire
from rrdns.zonefile import later, rdata
from rrdns.zonefile.complaints import nearest
from rrdns.zonefile.scalars import show

POOL_TYPE = 0  # stands for POOL where a type's number is wanted
TYPE_WORDS = (*rdata.WORDS, "POOL")
_PLAIN_LABEL = re.compile(r"[a-z0-9_-]{1,63}")


def zone_of_text(text: object) -> bytes:
    """The wire name of a zone; its final dot may be left out."""
    if not isinstance(text, str):
        raise ValueError(f"{show(text)} is not a zone's name: write it in quotes")
    try:
        return wire.name_from_text(text if ends_in_dot(text) else f"{text}.").lower()
    except wire.BadName as error:
        raise ValueError(f"{show(text)} is no zone name: {error}") from None


def zone_of_file(file: str) -> bytes:
    """The zone a file is named for: `zones/lb.example.com.yaml` has lb.example.com."""
    folder, _, name = file.rpartition("/")
    name = name.removesuffix(".yaml")
    if name.startswith("$") or folder.endswith("."):
        raise ValueError("octoDNS's layout with a directory per zone is not read: join its files to one ZONE.yaml")
    if name == "rrdns":
        raise ValueError("rrdns.yaml holds the server's settings: keep it outside of the zones and see --config")
    return zone_of_text(name)


def ends_in_dot(text: str) -> bool:
    """Whether there is a final dot that no backslash takes the meaning from."""
    return text.endswith(".") and (len(text) - 1 - len(text[:-1].rstrip("\\"))) % 2 == 0


def owner_of_key(key: str, zone: bytes) -> bytes:
    """The lower-case wire name of a key: relative to the zone, '' the zone itself."""
    if _PLAIN_LABEL.fullmatch(key) and len(key) + 1 + len(zone) <= wire.MAX_NAME:
        return bytes((len(key),)) + key.encode() + zone
    if key == "@":
        raise ValueError("the zone's own name (its apex) is the key ''")
    try:
        owner = wire.name_from_text(key, zone).lower()
    except wire.BadName as error:
        raise ValueError(f"is no name: {error}") from None
    if ends_in_dot(key):
        zone_text = wire.name_to_text(zone)
        if not wire.is_within(owner, zone):
            raise ValueError(f"lies outside the zone {zone_text}: its place is the file of its own zone")
        raise ValueError(f"names are relative to the zone {zone_text}: write {relative(owner, zone)!r}")
    return owner


def meant_owner(key: str, zone: bytes) -> bytes | None:
    """The name that a refused key probably stands for, so that nobody is blamed for its absence."""
    try:
        owner = wire.name_from_text(key, zone).lower()
    except wire.BadName:
        return None
    return owner if wire.is_within(owner, zone) else None


def relative(owner: bytes, zone: bytes) -> str:
    """The key of an owner name in its zone."""
    inner = owner[: len(owner) - len(zone)]
    return wire.name_to_text(inner + b"\0")[:-1] if inner else ""


def doubt(owner: bytes, zone: bytes) -> str:
    """What is odd about an owner name; empty if nothing is."""
    inner = owner[: len(owner) - len(zone)] + b"\0"
    if wire.is_within(inner, zone) and len(wire.labels_of(zone)) > 1:
        short = relative(inner, zone)
        return f"means {wire.name_to_text(owner)} because names are relative to the zone: did you mean {short!r}?"
    if b"*" in inner:
        labels = wire.labels_of(inner)
        if b"*" in labels[1:] or any(label[0] == 0x2A and label != b"*" for label in labels):
            return "is no wildcard: only a whole first label * is one (RFC 4592)"
    return ""


def type_of_word(word: object) -> int:
    """The number of a `type:` word; POOL is POOL_TYPE."""
    if not isinstance(word, str):
        raise ValueError(f"{show(word)} is not a record type: write type: A, type: POOL ...")
    if word == "POOL":
        return POOL_TYPE
    if word in later.FOREIGN_TYPES:
        raise ValueError(later.FOREIGN_TYPES[word])
    try:
        number = rdata.record_type(word)
    except ValueError:
        raise ValueError(f"{show(word)} is not a record type rrdns knows{_advice(word)}") from None
    if number in later.SIGNATURES:
        raise ValueError(later.comes_later(f"DNSSEC (here {wire.type_name(number)})"))
    if number == wire.OPT or 128 <= number <= 255:  # RFC 6895 section 3.1: meta types and question types
        raise ValueError(f"{word} is for questions, not for data")
    return number


def _advice(word: str) -> str:
    upper = word.upper()
    if upper in wire.TYPES and upper not in rdata.WORDS and wire.TYPES[upper] < 128:
        return f"; write it as TYPE{wire.TYPES[upper]} with values such as \\# 4 0a000001"
    near = nearest(word, TYPE_WORDS)
    return f", did you mean {near!r}?" if near else f"; possible are {', '.join(TYPE_WORDS)} and TYPEnnn"
