"""Zones and the names of their files: what a master file's name says, what a zone's YAML file is called. Floor 1, pure.

| file                                             | zone                        |
|--------------------------------------------------|-----------------------------|
| `db.example.com`, `example.com.zone`, `example.com` | `example.com.`           |
| `db.192.0.2`, `192.0.2.rev`                      | `2.0.192.in-addr.arpa.`     |
| `example.zone`                                   | `example.zone.` (a domain)  |
"""

from __future__ import annotations

import re

from rrdns import wire

_PREFIX = re.compile(r"(db|named|pri|primary|master|zone)\.(?=.)", re.IGNORECASE)
_SUFFIX = re.compile(r"(?<=.)\.(zone|db|hosts|dns|bind|txt|signed|fwd|rev|master|primary)$", re.IGNORECASE)
_OCTETS = re.compile(r"\d{1,3}(\.\d{1,3}){0,3}")
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


def zone_of_master(name: str) -> bytes:
    """The zone that a master file of this name usually holds; empty where the name says none."""
    stem = _PREFIX.sub("", name, count=1)
    while (shorter := _SUFFIX.sub("", stem)) != stem:
        if "." not in shorter and stem == name and not shorter.isdigit():
            break  # one label and no prefix: the suffix is more likely the top-level domain
        stem = shorter
    if _OCTETS.fullmatch(stem):
        stem = ".".join(reversed(stem.split("."))) + ".in-addr.arpa"
    if not _NAME.fullmatch(stem):
        return b""
    try:
        return wire.name_from_text(stem.removesuffix(".") + ".").lower()
    except wire.BadName:
        return b""


def yaml_stem(zone: bytes) -> tuple[str, bool]:
    """The name of a zone's YAML file without `.yaml`, and whether the file must say the zone itself (`$zone`):
    the root, a slash as in RFC 2317, or `pools`, which would be taken for a pools file."""
    text = wire.name_to_text(zone)[:-1]
    stem = re.sub("[^A-Za-z0-9_.-]", "-", text).lstrip(".-") or "root"
    if stem == "pools" or stem.endswith(".pools"):
        stem += "-zone"
    return stem, stem != text
