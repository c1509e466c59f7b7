"""YAML text -> plain values that know where they stand. The only module that imports yaml.

`read` gives a Map (a dict), Seqs (lists) and scalars. Keys are never resolved: `no`, `010` and `1.10` are names
as written. The composing is libyaml's where it is there; the meaning of nodes is ours, so that duplicate keys,
tags, bombs of aliases and deep nesting end in a message. Composing is recursive C: without the depth guard
200,000 open brackets would end the process, not the load. Must not know: zones, pools, schemas.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from rrdns.zonefile.complaints import Complaints, Spot
from rrdns.zonefile.scalars import Scalar, resolve
from rrdns.zonefile.syntax import explain

MAX_BYTES = 64 * 1024 * 1024
MAX_VALUES = 4_000_000  # in a file: about 450,000 records, and 1.5 GB while it is read
MAX_DEPTH = 48  # of nesting; the deepest sensible file has 8
MAX_ALIASED = 2_000_000  # values that aliases may add to those written out

TOP: Spot = (1, 1)


class Map(dict[str, Any]):
    """A mapping; `spots` has line and column of each key and of its value. `shared`: an alias points here."""

    __slots__ = ("shared", "spot", "spots")

    def __init__(self, spot: Spot) -> None:
        super().__init__()
        self.spot = spot
        self.spots: dict[str, tuple[int, int, int, int]] = {}
        self.shared = False

    def at(self, key: str) -> Spot:
        """Where the value of `key` stands; the mapping itself if it has no such key."""
        spots = self.spots.get(key)
        return spots[2:] if spots else self.spot

    def at_key(self, key: str) -> Spot:
        spots = self.spots.get(key)
        return spots[:2] if spots else self.spot


class Seq(list[Any]):
    """A list; `spots` has line and column of each item."""

    __slots__ = ("spot", "spots")

    def __init__(self, spot: Spot) -> None:
        super().__init__()
        self.spot = spot
        self.spots: list[Spot] = []


def read(data: bytes, out: Complaints) -> Map | None:
    """The one mapping a file holds, or None with the reason in `out`. Never raises for anything in `data`."""
    text = _text(data, out)
    if text is None:
        return None
    loader = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except _TooMuch as error:
        out.problem(error.spot, "", str(error))
        return None
    except yaml.MarkedYAMLError as error:
        spot, message = explain(
            error.problem or "", error.context or "", _mark(error.problem_mark), _mark(error.context_mark), text
        )
        out.problem(spot, "", message)
        return None
    except yaml.YAMLError as error:
        out.problem(TOP, "", f"is not YAML: {' '.join(str(error).split())}")
        return None
    finally:
        if loader is not None:
            loader.dispose()
    if root is None:
        out.problem(TOP, "", "is empty: there is nothing but blank lines and comments")
        return None
    builder = _Builder(out)
    try:
        value = builder.value(root)
    except _Bomb:
        return None
    if builder.broken:
        return None
    if not isinstance(value, Map):
        kind = "a list" if isinstance(value, Seq) else "a single value"
        out.problem(_spot(root), "", f"is {kind}, not a mapping (`name: ...` lines)")
        return None
    return value


# ---------------------------------------------------------------- bytes -> text

# What libyaml refuses in a file; found here because its own error has no line.
_FORBIDDEN = re.compile("[^\\t\\n\\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _text(data: bytes, out: Complaints) -> str | None:
    if len(data) > MAX_BYTES:
        out.problem((0, 0), "", f"has {len(data)} bytes, at most {MAX_BYTES} are read: split it into several files")
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        head = data[: error.start].decode("utf-8")
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            out.problem(TOP, "", "is UTF-16: save it as UTF-8")
        else:
            byte = data[error.start]
            out.problem(_spot_in(head, len(head)), "", f"byte 0x{byte:02x} is not UTF-8: save the file as UTF-8")
        return None
    if text.startswith("\ufeff"):  # a byte order mark says nothing and would shift the first column
        text = text[1:]
    found = _FORBIDDEN.search(text)
    if found:
        code = ord(found[0])
        what = "a NUL byte" if code == 0 else f"the control character U+{code:04X}"
        message = f"{what} can't stand in YAML; in double quotes write \\x{code:02x}"
        out.problem(_spot_in(text, found.start()), "", message)
        return None
    return text


def _spot_in(text: str, index: int) -> Spot:
    return text.count("\n", 0, index) + 1, index - (text.rfind("\n", 0, index) + 1) + 1


# ---------------------------------------------------------------- text -> nodes

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN, _QUOTED = "?", "!"


class _TooMuch(Exception):
    def __init__(self, message: str, parent: Any) -> None:
        super().__init__(message)
        self.spot = _spot(parent) if parent is not None else TOP


class _Loader(_Base):  # type: ignore[misc]
    """The composer with tags reduced to `?` (plain), `!` (quoted, or a collection) or what was written."""

    depth = 0
    count = 0

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        return _PLAIN if isinstance(implicit, tuple) and implicit[0] else _QUOTED

    def descend_resolver(self, parent: Any, index: Any) -> None:
        self.depth += 1
        self.count += 1
        if self.depth > MAX_DEPTH:
            raise _TooMuch(f"nested more than {MAX_DEPTH} deep", parent)
        if self.count > MAX_VALUES:
            raise _TooMuch(f"from here on are more than {MAX_VALUES} values: split it into several files", parent)

    def ascend_resolver(self) -> None:
        self.depth -= 1


def _spot(node: Any) -> Spot:
    mark = node.start_mark
    return mark.line + 1, mark.column + 1


def _mark(mark: Any) -> Spot | None:
    return (mark.line + 1, mark.column + 1) if mark is not None else None


# ---------------------------------------------------------------- nodes -> values


class _Bomb(Exception):
    """Stop building: it is reported already."""


class _Builder:
    def __init__(self, out: Complaints) -> None:
        self.out = out
        self.broken = False
        self._done: dict[int, Map | Seq | None] = {}  # by id of the node; None while it is open
        self._measured: dict[int, tuple[int, int]] = {}
        self._aliased = 0

    def value(self, node: Any) -> Any:
        kind = node.__class__
        if kind is yaml.ScalarNode:
            return self._scalar(node)
        if id(node) in self._done:
            return self._again(node)
        tag = node.tag
        if tag != _QUOTED and tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            self._bad_tag(node)
        self._done[id(node)] = None
        value = self._map(node) if kind is yaml.MappingNode else self._seq(node)
        self._done[id(node)] = value
        return value

    def _scalar(self, node: Any) -> Scalar:
        tag = node.tag
        if tag == _PLAIN:
            return resolve(node.value)
        if tag != _QUOTED and tag != "tag:yaml.org,2002:str":
            self._bad_tag(node)
        return str(node.value)

    def _seq(self, node: Any) -> Seq:
        result = Seq(_spot(node))
        for item in node.value:
            result.append(self.value(item))
            mark = item.start_mark
            result.spots.append((mark.line + 1, mark.column + 1))
        return result

    def _map(self, node: Any) -> Map:
        result = Map(_spot(node))
        spots = result.spots
        merges = []
        for key_node, value_node in node.value:
            if key_node.__class__ is not yaml.ScalarNode:
                self.out.problem(_spot(key_node), "", "a key must be a plain text, not a list or mapping")
                self.broken = True
                continue
            key = key_node.value
            if key_node.tag == _PLAIN:
                if key == "<<":
                    merges.append(value_node)
                    continue
                if not key:
                    self.out.problem(_spot(key_node), "", "a key is missing in front of the colon (the apex is '')")
                    self.broken = True
                    continue
            elif key_node.tag not in (_QUOTED, "tag:yaml.org,2002:str"):
                self._bad_tag(key_node)
            plain = value_node.tag == _PLAIN and value_node.__class__ is yaml.ScalarNode
            value = resolve(value_node.value) if plain else self.value(value_node)
            at, to = key_node.start_mark, value_node.start_mark
            if key in spots:
                first = self.out.place(result.at_key(key))
                self.out.problem((at.line + 1, at.column + 1), key, f"the same key stands at {first} already")
                continue
            result[key] = value
            spots[key] = (at.line + 1, at.column + 1, to.line + 1, to.column + 1)
        for merge in merges:
            self._merge(result, merge)
        return result

    def _merge(self, result: Map, node: Any) -> None:
        """`<<: *base` or `<<: [*a, *b]`: their keys where there is none yet (YAML 1.1's merge key)."""
        value = self.value(node)
        for source in value if isinstance(value, Seq) else [value]:
            if not isinstance(source, Map):
                self.out.problem(_spot(node), "<<", "merges a mapping or a list of mappings (`<<: *name`)")
                self.broken = True
                return
            source.shared = True
            for key, one in source.items():
                if key not in result:
                    result[key] = one
                    result.spots[key] = source.spots[key]

    def _again(self, node: Any) -> Map | Seq:
        """The value of an alias: the same object; what it adds is counted, as if written out."""
        value = self._done[id(node)]
        if value is None:
            self.out.problem(_spot(node), "", "an alias (*) inside its own anchor (&) would never end")
            raise _Bomb
        if isinstance(value, Map):
            value.shared = True
        size, depth = self._measure(value)
        self._aliased += size
        if self._aliased > MAX_ALIASED or depth > MAX_DEPTH:
            self.out.problem(value.spot, "", f"aliases of this repeat more than {MAX_ALIASED} values: write less")
            raise _Bomb
        return value

    def _measure(self, value: object) -> tuple[int, int]:
        """How many values there are in `value` and how deep. Bounded: aliases within were measured before."""
        if not isinstance(value, Map | Seq):
            return 1, 0
        known = self._measured.get(id(value))
        if known is None:
            size, depth = 1, 0
            for item in value.values() if isinstance(value, Map) else value:
                item_size, item_depth = self._measure(item)
                size, depth = size + item_size, max(depth, item_depth)
            known = self._measured[id(value)] = size, depth + 1
        return known

    def _bad_tag(self, node: Any) -> None:
        tag = str(node.tag).replace("tag:yaml.org,2002:", "!!")
        advice = "rrdns reads every *.yaml of the directory anyway" if tag == "!include" else "leave it out"
        self.out.problem(_spot(node), "", f"the tag {tag} is not read: {advice}")
        self.broken = True
