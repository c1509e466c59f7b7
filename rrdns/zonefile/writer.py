"""Records -> the text of a zone file: the loader's inverse, made to be read and edited by people. Floor 1, pure.

A record stands on one line where it fits. Every text that YAML 1.2, or the YAML 1.1 of other tools, might take for
something else is in quotes. A value that its type's own form cannot say exactly is written as `TYPEnnn: \\# ...`
(RFC 3597), so nothing is lost. Must not know: where records come from, files, dnspython.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rrdns import wire
from rrdns.model import RRset
from rrdns.zonefile import rdata

WIDTH = 110

_Node = str | int | float | bool | None | Sequence["_Node"] | Mapping[str, "_Node"]


def zone_yaml(
    zone: bytes,
    rrsets: Iterable[RRset],
    head: str = "",
    say_zone: bool = False,
    more: Mapping[bytes, Sequence[Mapping[str, str | int]]] | None = None,
) -> str:
    """The whole file. `head` becomes a comment; `say_zone`: the file's name does not say which zone it is. `more`:
    records that are written as they are, by owner."""
    sets = list(rrsets)
    more = more or {}
    lines = [f"# {line}".rstrip() for line in head.splitlines()]
    if say_zone:
        lines.append(f"$zone: {scalar(wire.name_to_text(zone))}")
    ttl = Counter(one.ttl for one in sets).most_common(1)[0][0] if sets else 0
    if sets:
        lines.append(f"$defaults: {{ttl: {ttl}}}")
    names: dict[bytes, list[RRset]] = {name: [] for name in more}
    for one in sets:
        names.setdefault(one.name, []).append(one)
    for name in sorted(names, key=lambda name: _natural(_relative(name, zone))):
        records = [_record(one, zone, ttl) for one in sorted(names[name], key=_type_order)]
        records += [dict(one) for one in more.get(name, ())]
        lines += _entry(scalar(_relative(name, zone)), records[0] if len(records) == 1 else records, 0)
    return "\n".join(lines) + "\n"


def plain_yaml(content: Mapping[str, _Node], head: str = "") -> str:
    """Any mapping, such as a pools file; `head` becomes a comment."""
    lines = [f"# {line}".rstrip() for line in head.splitlines()]
    return "\n".join([*lines, *_block(content, 0)]) + "\n"


def _relative(name: bytes, zone: bytes) -> str:
    """The key of a name. One that begins with `x-` would be taken for an anchor; the letter's case means nothing."""
    inner = name[: len(name) - len(zone)]
    text = wire.name_to_text(inner + b"\0")[:-1] if inner else ""
    return f"X{text[1:]}" if text.startswith("x-") else text


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """octoDNS's order of keys: digits by their number (`host2` before `host10`), the rest by letters."""
    parts = re.split("([0-9]+)", text)
    return tuple((0, int(part), "") if at % 2 else (1, 0, part) for at, part in enumerate(parts) if part)


def _type_order(one: RRset) -> tuple[int, int]:
    return (wire.SOA, wire.NS).index(one.type) if one.type in (wire.SOA, wire.NS) else 2, one.type


# ---------------------------------------------------------------- one record


_OWN_WORDS = {number: word for word, number in rdata.WORDS.items() if wire.TYPES.get(word) == number}


def _record(one: RRset, zone: bytes, default_ttl: int) -> dict[str, _Node]:
    record: dict[str, _Node] = {"type": _OWN_WORDS.get(one.type, f"TYPE{one.type}")}
    if one.ttl != default_ttl:
        record["ttl"] = one.ttl
    values = _values(one, zone)
    if values is None:
        record["type"] = f"TYPE{one.type}"
        values = [rf"\# {len(data)} {data.hex()}".rstrip() for data in one.rdatas]
    elif one.type == wire.SOA and isinstance(values[0], Mapping):
        return record | dict(values[0])
    return record | ({"value": values[0]} if len(values) == 1 else {"values": values})


def _values(one: RRset, zone: bytes) -> list[_Node] | None:
    """The values in their type's own form, or None where one of them would not come back as the same bytes."""
    values: list[_Node] = []
    for data in one.rdatas:
        try:
            value = rdata.decode(one.type, data)
            if rdata.encode(one.type, value, zone) != data:
                return None
        except rdata.RdataError:
            return None
        values.append(value)
    return values


# ---------------------------------------------------------------- YAML


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*|(?:[0-9]{1,3}\.){3}[0-9]{1,3}")
_WORDS = frozenset(["y", "yes", "n", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"])


def scalar(value: str | int | float | bool | None) -> str:
    """One value on one line, right in block and in flow style."""
    if not isinstance(value, str):
        return "null" if value is None else json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    if value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return json.dumps(value)


def _flow(node: _Node) -> str:
    if isinstance(node, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {_flow(one)}" for key, one in node.items()) + "}"
    if isinstance(node, str) or not isinstance(node, Sequence):
        return scalar(node)
    return "[" + ", ".join(map(_flow, node)) + "]"


def _entry(key: str, node: _Node, indent: int) -> list[str]:
    """`key: value`, on one line if it fits; a list of records always has a line for each."""
    head = f"{' ' * indent}{key}:"
    several = isinstance(node, list) and bool(node) and isinstance(node[0], Mapping) and "type" in node[0]
    line = f"{head} {_flow(node)}"
    if not several and (len(line) <= WIDTH or isinstance(node, str) or not isinstance(node, Sequence | Mapping)):
        return [line]
    return [head, *_block(node, indent + 2)]


def _block(node: _Node, indent: int) -> list[str]:
    if isinstance(node, Mapping):
        return [line for key, one in node.items() for line in _entry(scalar(key), one, indent)]
    lines = []
    for one in node if isinstance(node, Sequence) else ():
        item = f"{' ' * indent}- {_flow(one)}"
        if len(item) > WIDTH and isinstance(one, Mapping):
            inner = _block(one, indent + 2)
            lines += [f"{' ' * indent}- {inner[0].lstrip()}", *inner[1:]]
        else:
            lines.append(item)
    return lines
