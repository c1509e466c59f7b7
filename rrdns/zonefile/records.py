"""One zone file -> a ZoneDraft: names, types, TTLs, values. Written out by hand, because here the bulk goes through.

Consume and complain: each key of a record is read by someone or is a problem. Rules between records are
`zone_rules.py`'s business; SOA and POOL records have `special_records.py`. Must not know: pools files, other zones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rrdns import wire
from rrdns.zonefile import hints, later, octodns, owners, rdata, readers
from rrdns.zonefile.complaints import Complaints, Spot, did_you_mean, nearest, unknown_key
from rrdns.zonefile.drafts import DEFAULT_TTL, SetDraft, ZoneDraft
from rrdns.zonefile.owners import POOL_TYPE
from rrdns.zonefile.pools import Shelf
from rrdns.zonefile.scalars import show
from rrdns.zonefile.special_records import SOA_KEYS, pool_ttl, read_pool_record, read_soa
from rrdns.zonefile.yaml_nodes import Map, Seq

MAX_SET = 65000  # a DNS message has 65,535 bytes, and the question needs some

Cache = dict[tuple[int, str], bytes]
"""Rdata by type and text: the values that many records share, over all files of a load."""

_KEYS = frozenset({"type", "ttl", "value", "values", "octodns"})
_HINTED_KEYS = _KEYS | {"pool"}
_SETTINGS = ("$zone", "$defaults")
_POOLS_FILE_SECTIONS = ("pools", "checks", "directors")
_EXAMPLE = "write {type: A, value: 192.0.2.1}"


def read_zone(file: str, root: Map, out: Complaints, shelf: Shelf, cache: Cache) -> ZoneDraft | None:
    """Everything a zone file says; None if it can't be told which zone it is. Pools in place go to `shelf`."""
    for section in _POOLS_FILE_SECTIONS:
        entries = root.get(section)
        if isinstance(entries, Map) and any(isinstance(one, Map) for one in entries.values()):
            message = "belongs into a pools file: name this file pools.yaml or SOMETHING.pools.yaml"
            out.problem(root.at_key(section), section, message)
            shelf.unread = True
            return None
    try:
        name = owners.zone_of_text(root["$zone"]) if "$zone" in root else owners.zone_of_file(file)
    except ValueError as error:
        out.problem(*((root.at("$zone"), "$zone") if "$zone" in root else ((0, 0), "")), str(error))
        return None
    reader = _ZoneReader(ZoneDraft(name, out, root.spot), root, out, shelf, cache)
    reader.read()
    return reader.draft


@dataclass(slots=True)
class _ZoneReader:
    draft: ZoneDraft
    root: Map
    out: Complaints
    shelf: Shelf
    cache: Cache
    ttl: int | None = None
    seen: dict[bytes, str] = field(default_factory=dict)

    def read(self) -> None:
        if "$defaults" in self.root:
            self.read_defaults(self.root["$defaults"], self.root.at("$defaults"))
        for key, value in self.root.items():
            if key[:1] == "$":
                if key not in _SETTINGS:
                    near = did_you_mean(key, _SETTINGS) or f"; possible are {', '.join(_SETTINGS)}"
                    self.out.problem(self.root.at_key(key), key, f"unknown setting{near}")
            elif key[:2] == "x-":
                self.question_anchor(key, value)
            else:
                owner = self.owner(key)
                if owner is not None:
                    self.read_node(key, owner, value)

    def read_defaults(self, value: object, spot: Spot) -> None:
        if not isinstance(value, Map):
            self.out.problem(spot, "$defaults", f"{show(value)} is not a mapping: write {{ttl: 60}}")
            return
        for key in value:
            if key != "ttl":
                self.out.problem(value.at_key(key), f"$defaults.{key}", unknown_key(key, ("ttl",)))
        if "ttl" in value:
            self.ttl = self.read_ttl(value, "$defaults")
            self.draft.default_ttl = self.ttl if self.ttl is not None else DEFAULT_TTL

    def question_anchor(self, key: str, value: object) -> None:
        """`x-` keys are for anchors. One that holds a record and that nothing refers to was meant as a name."""
        if isinstance(value, Map) and not value.shared and "type" in value and len(value) > 1:
            message = "is not served: keys that begin with x- are free for anchors; write a name as X-..."
            self.out.warning(self.root.at_key(key), key, message)

    def owner(self, key: str) -> bytes | None:
        """The wire name of a key, or None with the reason given."""
        spot = self.root.at_key(key)
        try:
            owner = owners.owner_of_key(key, self.draft.name)
        except ValueError as error:
            self.out.problem(spot, key, str(error))
            meant = owners.meant_owner(key, self.draft.name)
            if meant is not None:
                self.draft.broken.add((meant, POOL_TYPE))
            return None
        if owner in self.seen:
            first = self.out.place(self.root.at_key(self.seen[owner]))
            self.out.problem(spot, key, f"is the same name as {self.seen[owner]!r} at {first}")
            return None
        self.seen[owner] = key
        doubt = owners.doubt(owner, self.draft.name)
        if doubt:
            self.out.warning(spot, key, doubt)
        return owner

    # ------------------------------------------------------------ records

    def read_node(self, key: str, owner: bytes, value: object) -> None:
        path = key if key else "''"
        if isinstance(value, Map):
            self.read_record(owner, value, path)
        elif isinstance(value, Seq) and value:
            for record, spot in zip(value, value.spots, strict=True):
                if isinstance(record, Map):
                    self.read_record(owner, record, path)
                else:
                    self.out.problem(spot, path, f"{show(record)} is not a record: {_EXAMPLE}")
                    self.draft.broken.add((owner, POOL_TYPE))
        else:
            found = "an empty list" if isinstance(value, Seq) else show(value)
            self.out.problem(self.root.at(key), path, f"{found} is not a record: {_EXAMPLE} or a list of such")
            self.draft.broken.add((owner, POOL_TYPE))

    def read_record(self, owner: bytes, record: Map, path: str) -> None:
        word = record.get("type")
        rtype = rdata.WORDS.get(word) if isinstance(word, str) else None
        if rtype is None:
            rtype = self.unusual_type(word, record, path)
            if rtype is None:
                self.draft.broken.add((owner, POOL_TYPE))
                return
        path = f"{path} {word}"
        if rtype == POOL_TYPE:
            self.question_octodns(record, path)
            read_pool_record(self.draft, owner, record, path, self.ttl, self.shelf)
            return
        if octodns.is_dynamic(rtype, record):
            octodns.read_dynamic(self.draft, owner, rtype, record, path, self.ttl, self.shelf)
            return
        sound = self.check_keys(record, rtype, path)
        ttl: int | None = self.draft.default_ttl
        if "ttl" in record:
            ttl = self.read_ttl(record, path)
        if rtype == wire.SOA and not {"value", "values"} & record.keys():
            values: list[tuple[Spot, Any, str]] = [(record.spot, record, path)]
        else:
            values = self.values(record, path, _HINTED_KEYS if rtype in hints.TYPES else _KEYS)
        draft = SetDraft(ttl or 0, record.spot, path)
        if rtype in hints.TYPES:
            pools = hints.read_pools(self.draft, record, values, path)
            sound &= pools is not None
            if pools and "ttl" not in record:
                ttl = draft.ttl = pool_ttl(self.out, record, path, self.ttl)
            draft.pools = pools or {}
        for spot, value, where in values:
            data = self.encode(rtype, value, spot, where, spot in draft.pools)
            if data is not None:
                draft.rdatas.append(data)
                draft.spots.append(spot)
        if sound and ttl is not None and values and len(draft.rdatas) == len(values):
            self.add(owner, rtype, draft)
        else:
            self.draft.broken.add((owner, rtype))

    def unusual_type(self, word: object, record: Map, path: str) -> int | None:
        """The number of a type that is none of the usual words, or None with the reason given."""
        if "type" not in record:
            near = next((key for key in record if nearest(key, ("type",))), None)
            said = f": {near!r} should read 'type'" if near else ": write type: A, type: POOL ..."
            self.out.problem(record.at_key(near) if near else record.spot, path, f"has no type{said}")
            return None
        try:
            return owners.type_of_word(word)
        except ValueError as error:
            self.out.problem(record.at("type"), f"{path}.type", str(error))
            return None

    def check_keys(self, record: Map, rtype: int, path: str) -> bool:
        """Complains about keys nobody reads; whether there were none."""
        own_fields = rtype == wire.SOA and not {"value", "values"} & record.keys()
        known = _KEYS | SOA_KEYS if own_fields else _HINTED_KEYS if rtype in hints.TYPES else _KEYS
        self.question_octodns(record, path)
        if record.keys() <= known:
            return True
        for key in record.keys() - known:
            spot, where = record.at_key(key), f"{path}.{key}"
            if key in later.FOREIGN_KEYS:
                self.out.problem(spot, where, later.FOREIGN_KEYS[key])
            elif key in later.KEYS.get(wire.type_name(rtype), ()):
                self.out.problem(spot, where, later.comes_later(key))
            else:
                self.out.problem(spot, where, unknown_key(key, known - {"octodns"}))
        return False

    def question_octodns(self, record: Map, path: str) -> None:
        block = record.get("octodns")
        if isinstance(block, Map) and "healthcheck" in block:
            message = "is read beside dynamic only, whose values it is about: use that, or a POOL with a check"
            self.out.warning(block.at_key("healthcheck"), f"{path}.octodns.healthcheck", message)

    # ------------------------------------------------------------ values

    def values(self, record: Map, path: str, known: frozenset[str]) -> list[tuple[Spot, Any, str]]:
        """Each value with its place; `value` and `values` both take one or many (octoDNS does so too)."""
        if "value" in record and "values" in record:
            self.out.problem(record.at_key("values"), path, "has value: and values:, so put all into values:")
            return []
        key = "values" if "values" in record else "value"
        if key not in record:
            if record.keys() <= known:  # else a mistyped key has been reported already
                self.out.problem(record.spot, path, "has neither value: nor values:")
            return []
        found = record[key]
        if not isinstance(found, Seq):
            return [(record.at(key), found, f"{path}.{key}")]
        if not found:
            self.out.problem(record.at(key), f"{path}.{key}", "is empty: there would be nothing to answer")
        return [(found.spots[index], value, f"{path}.{key}.{index}") for index, value in enumerate(found)]

    def encode(self, rtype: int, value: Any, spot: Spot, path: str, hinted: bool = False) -> bytes | None:
        """The wire form of one value, or None with every fault of it reported at its own place."""
        known = self.cache.get((rtype, value)) if value.__class__ is str and not hinted else None
        if known is not None:
            return known
        try:
            if rtype == wire.SOA:
                return read_soa(self.draft, value)
            data = rdata.encode(rtype, hints.without_pool(value) if rtype in hints.TYPES else value, self.draft.name)
            if hinted:
                hints.judge(data)
        except rdata.RdataError as error:
            self.rdata_problems(error, rtype, value, spot, path)
            return None
        if value.__class__ is str:
            self.cache[rtype, value] = data
        return data

    def rdata_problems(self, error: rdata.RdataError, rtype: int, value: Any, spot: Spot, path: str) -> None:
        if rtype == wire.AAAA and isinstance(value, Map) and None in value.values():
            message = f"an IPv6 address that ends in a colon needs quotes: '{next(iter(value))}:'"
            self.out.problem(spot, path, message)
            return
        coming = later.KEYS.get(wire.type_name(rtype), frozenset())
        for one in (error, *error.others):
            at, where = _below(value, spot, one)
            message = later.comes_later(str(one.path[-1])) if one.path and one.path[-1] in coming else one.message
            self.out.problem(at, f"{path}.{where}" if where else path, message)

    def add(self, owner: bytes, rtype: int, draft: SetDraft) -> None:
        """Joins the draft to what is there of the same name and type."""
        sets = self.draft.sets.setdefault(owner, {})
        first = sets.setdefault(rtype, draft)
        if first is not draft:
            if first.ttl != draft.ttl:  # RFC 2181 section 5.2: one TTL for all of a set
                least = min(first.ttl, draft.ttl)
                place = self.out.place(first.spot)
                message = f"ttl {draft.ttl}, but {first.ttl} at {place}: both are served with {least}"
                self.out.warning(draft.spot, draft.path, message)
                first.ttl = least
            first.rdatas += draft.rdatas
            first.spots += draft.spots
            first.pools |= draft.pools
        if first.pools:
            self.draft.hinted.add((owner, rtype))
            if len(first.pools) > hints.MOST_RECORDS:
                self.out.problem(draft.spot, draft.path, f"a name has at most {hints.MOST_RECORDS} records with a pool")
        if len(first.rdatas) > 1:
            self.drop_duplicates(rtype, first)
            if sum(map(len, first.rdatas)) + 12 * len(first.rdatas) > MAX_SET:
                self.out.problem(draft.spot, draft.path, "has more values than fit into a DNS message (65,535 bytes)")

    def drop_duplicates(self, rtype: int, draft: SetDraft) -> None:
        fold = _FOLD.get(rtype, bytes)
        unique: dict[tuple[bytes, str | None], tuple[bytes, Spot]] = {}
        for data, spot in zip(draft.rdatas, draft.spots, strict=True):
            first = unique.setdefault((fold(data), draft.pools.get(spot)), (data, spot))
            if first[1] != spot:
                self.out.warning(spot, draft.path, f"the same value stands at {self.out.place(first[1])} already")
        if len(unique) < len(draft.rdatas):
            draft.rdatas = [data for data, _ in unique.values()]
            draft.spots = [spot for _, spot in unique.values()]

    def read_ttl(self, holder: Map, path: str) -> int | None:
        try:
            return readers.ttl(holder["ttl"])
        except ValueError as error:
            self.out.problem(holder.at("ttl"), f"{path}.ttl", str(error))
            return None


# What makes two values the same: names are compared without case (RFC 4034 section 6.2 lists where they stand).
_FOLD: dict[int, Callable[[bytes], bytes]] = {
    **dict.fromkeys((wire.NS, wire.CNAME, wire.DNAME, wire.TYPES["PTR"]), bytes.lower),
    wire.MX: lambda data: data[:2] + data[2:].lower(),
    wire.SRV: lambda data: data[:6] + data[6:].lower(),
}


def _below(value: Any, spot: Spot, error: rdata.RdataError) -> tuple[Spot, str]:
    """The place of a fault inside a value, and the path to it."""
    steps = []
    for index, step in enumerate(error.path):
        steps.append(str(step))
        if isinstance(value, Map) and step in value:
            last = index == len(error.path) - 1
            spot = value.at_key(str(step)) if last and "unknown key" in error.message else value.at(str(step))
            value = value[str(step)]
        elif isinstance(value, Seq) and isinstance(step, int) and step < len(value):
            spot = value.spots[step]
            value = value[step]
    return spot, ".".join(steps)
