"""Address hints from pools: what a zone file says of them, and how they get into a record (SVCB, HTTPS). Floor 1.

    www: {type: HTTPS, pool: web, value: {svcpriority: 1, targetname: ., svcparams: {alpn: [h2]}}}

`pool:` beside the values holds for all of them, in a value for that one. Such a record is kept without hints;
`with_hints` puts in those of the moment (RFC 9460 section 7.3). A hint only saves a client the question for A and
AAAA, so what a pool without members says of those (`when_down: servfail`) is not said here: the record stays, and
has no hints. Must not know: who serves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from rrdns import wire
from rrdns.zonefile import readers
from rrdns.zonefile.complaints import Spot
from rrdns.zonefile.drafts import ZoneDraft
from rrdns.zonefile.rdata_fields import RdataError, raise_all, read_name
from rrdns.zonefile.rdata_svcb import HINTS, IPV4HINT, IPV6HINT, key_of, parts_of, read_svcb
from rrdns.zonefile.rdata_types import pack_svcb
from rrdns.zonefile.yaml_nodes import Map

TYPES = frozenset({wire.SVCB, wire.HTTPS})
MOST = 16  # addresses of one family in a record: more than a client tries
MOST_RECORDS = 16  # of one name with a pool, so that they fit into a message whatever the pools hold

Values = list[tuple[Spot, Any, str]]
"""Each value of a record with its place and path."""


# ---------------------------------------------------------------- reading


def read_pools(draft: ZoneDraft, record: Map, values: Values, path: str) -> dict[Spot, str] | None:
    """The pool of each value that has one, by the value's spot; None with the reasons given."""
    beside = _pool(draft, record, path)
    found = {} if beside is None else {spot: beside for spot, _, _ in values}
    sound = beside is not None or "pool" not in record
    for spot, value, where in values:
        if not isinstance(value, Map) or "pool" not in value:
            continue
        pool = _pool(draft, value, where)
        if "pool" in record:
            place = draft.out.place(record.at_key("pool"))
            draft.out.problem(value.at_key("pool"), f"{where}.pool", f"is given for all values at {place} already")
            pool = None
        sound &= pool is not None
        if pool is not None:
            found[spot] = pool
    return found if sound else None


def _pool(draft: ZoneDraft, holder: Map, path: str) -> str | None:
    """The pool's name, noted as a reference."""
    if "pool" not in holder:
        return None
    try:
        name = readers.name(holder["pool"])
    except ValueError as error:
        draft.out.problem(holder.at("pool"), f"{path}.pool", str(error))
        return None
    draft.pool_refs.append((name, holder.at("pool"), f"{path}.pool"))
    return name


def without_pool(value: Any) -> Any:
    """A value as the record type knows it."""
    if isinstance(value, Map) and "pool" in value:
        return {key: one for key, one in value.items() if key != "pool"}
    return value


def target_of(rdata: bytes, owner: bytes) -> bytes:
    """The lower-case name whose addresses the hints stand for: `.` is the owner itself (RFC 9460 section 2.5.2)."""
    target = read_svcb(rdata).target.lower()
    return owner if target == b"\0" else target


def judge(rdata: bytes) -> None:
    """What keeps a record from having its hints from a pool, as RdataError."""
    record = read_svcb(rdata)
    if record.priority == 0:
        message = "0 makes this an alias (RFC 9460 section 2.4.2), which takes no hints: leave pool: out"
        raise RdataError(("svcpriority",), message)
    by_hand = [number for number in HINTS if number in record.params]
    message = "the pool gives the address hints: leave this out, or pool:"
    raise_all([RdataError(("svcparams", key_of(number)), message) for number in by_hand])


# ---------------------------------------------------------------- the bytes


@lru_cache(maxsize=1 << 14)
def _seams(rdata: bytes) -> tuple[bytes, bytes, bytes]:
    """A record without hints, cut where they belong: parameters stand in the order of their numbers."""
    cuts = []
    _, at = read_name(rdata, 2)
    for hint in HINTS:
        while at < len(rdata) and int.from_bytes(rdata[at : at + 2], "big") < hint:
            at += 4 + int.from_bytes(rdata[at + 2 : at + 4], "big")
        cuts.append(at)
    return rdata[: cuts[0]], rdata[cuts[0] : cuts[1]], rdata[cuts[1] :]


def with_hints(rdata: bytes, v4: bytes, v6: bytes) -> bytes:
    """A record without hints, with these; a family without addresses has none, as an empty list is malformed."""
    head, middle, tail = _seams(rdata)
    return head + _hint(IPV4HINT, v4) + middle + _hint(IPV6HINT, v6) + tail


def _hint(number: int, addresses: bytes) -> bytes:
    return number.to_bytes(2, "big") + len(addresses).to_bytes(2, "big") + addresses if addresses else b""


def joined(turns: Iterable[Sequence[bytes]]) -> list[bytes]:
    """The turns of a ring of such records as one: each record with every hint it has in any turn, each once."""
    found: list[tuple[bytes, dict[bytes, None], dict[bytes, None]]] = []
    for rdatas in turns:
        for place, rdata in enumerate(rdatas):
            record = read_svcb(rdata)
            if place == len(found):
                params = sorted((number, one) for number, one in record.params.items() if number not in HINTS)
                found.append((pack_svcb(record.priority, record.target, params), {}, {}))
            for hint, known in zip(HINTS, found[place][1:], strict=True):
                if hint in record.params:
                    known.update(dict.fromkeys(parts_of(hint, record.params[hint])))
    return [with_hints(bare, b"".join(v4), b"".join(v6)) for bare, v4, v6 in found]
