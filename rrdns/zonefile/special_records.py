"""The two record types with a shape of their own: SOA, which may say as little as `contact`, and POOL.

Must not know: pools files, other zones; a POOL's pool is looked up later, in `references.py`.
"""

from __future__ import annotations

import math
from typing import Any

from rrdns import wire
from rrdns.zonefile import rdata, readers, shapes
from rrdns.zonefile.complaints import Complaints
from rrdns.zonefile.drafts import ServiceDraft, ZoneDraft
from rrdns.zonefile.fitting import read_model
from rrdns.zonefile.owners import POOL_TYPE
from rrdns.zonefile.pools import Shelf, pool_entry
from rrdns.zonefile.yaml_nodes import Map

SOA_DEFAULTS = {"refresh": 3600, "retry": 600, "expire": 1209600, "minimum": 60}
SOA_KEYS = frozenset({"mname", "contact", "rname", "serial", *SOA_DEFAULTS})
POOL_TTL = 20
SLOW_TTL = 300  # a POOL that inherits more than this from $defaults was probably not meant to

# ---------------------------------------------------------------- SOA


def read_soa(draft: ZoneDraft, value: Any) -> bytes:
    """SOA rdata; what is left out gets its default. An mname of `.` stands for the first NS (see `finish_soa`)."""
    if not isinstance(value, Map):
        data = rdata.encode(wire.SOA, value, draft.name)
        draft.serial = int.from_bytes(data[-20:-16], "big")
        return data
    given = {key: one for key, one in value.items() if key not in ("type", "ttl", "octodns", "value", "values")}
    fields: dict[str, Any] = {"mname": ".", "serial": 0, **SOA_DEFAULTS}
    anonymous = "contact" not in given and "rname" not in given
    if anonymous:
        fields["contact"] = "."
    data = rdata.encode(wire.SOA, {**fields, **given}, draft.name)
    if anonymous:
        data = data[:-21] + default_contact(draft.name) + data[-20:]
    if "serial" in given:
        draft.serial = int.from_bytes(data[-20:-16], "big")
    return data


def default_contact(zone: bytes) -> bytes:
    """hostmaster in the zone, or at the root if the zone's name leaves no room."""
    return b"\x0ahostmaster" + (zone if len(zone) <= wire.MAX_NAME - 11 else b"\0")


def finish_soa(data: bytes | None, zone: bytes, first_ns: bytes, serial: int) -> bytes:
    """SOA rdata complete with its default mname and with the serial; None is a zone without a SOA record."""
    tail = b"".join(number.to_bytes(4, "big") for number in (serial, *SOA_DEFAULTS.values()))
    if data is None:
        return first_ns + default_contact(zone) + tail
    mname, rest = (first_ns, data[1:]) if data[0] == 0 else (b"", data)
    return mname + rest[:-20] + tail[:4] + data[-16:]


# ---------------------------------------------------------------- POOL


def read_pool_record(
    draft: ZoneDraft, owner: bytes, record: Map, path: str, default_ttl: int | None, shelf: Shelf
) -> None:
    """A POOL record into `draft.services`; its pool in place, if it has one, into `shelf`."""
    out = draft.out
    model = read_model(shapes.PoolRecord, record, "POOL", path, out)
    if owner in draft.services:
        first = out.place(draft.services[owner].spot)
        out.problem(record.spot, path, f"a name has one POOL, this one has another at {first}")
        return
    name = _pool_name(draft, owner, record, model, path, shelf)
    if model is None or name is None:
        draft.broken.add((owner, POOL_TYPE))
        return
    ttl = model.ttl if model.ttl is not None else pool_ttl(out, record, path, default_ttl)
    ttl_min = model.ttl_min if model.ttl_min is not None else math.ceil(ttl / 4)
    if ttl_min > ttl:
        out.problem(record.at("ttl_min"), f"{path}.ttl_min", f"{ttl_min} is more than the ttl, {ttl}")
    draft.services[owner] = ServiceDraft(
        name=owner,
        pool=name,
        ttl=ttl,
        ttl_min=ttl_min,
        answers=model.answers,
        scheduler=model.scheduler,
        spot=record.spot,
        path=path,
        answers_spot=record.at("answers"),
        budget=model.budget,
        budget_spot=record.at("budget"),
    )


def pool_ttl(out: Complaints, record: Map, path: str, default_ttl: int | None) -> int:
    """The TTL of a record that follows a pool and says none itself; `default_ttl` is the file's."""
    ttl = default_ttl if default_ttl is not None else POOL_TTL
    if ttl > SLOW_TTL:
        long = readers.duration_text(ttl)
        message = f"has {long} from $defaults, and caches keep a dead host that long: give it its own ttl"
        out.warning(record.spot, f"{path}.ttl", message)
    return ttl


def _pool_name(
    draft: ZoneDraft, owner: bytes, record: Map, model: shapes.PoolRecord | None, path: str, shelf: Shelf
) -> str | None:
    """The pool a POOL record means: the one it names, or its own, which is called like the record."""
    out = draft.out
    own_keys = [key for key in record if key == "members" or key in shapes.POOL_ONLY]
    if "pool" in record:
        if not isinstance(record["pool"], bool) and isinstance(record["pool"], str | int | float):
            draft.pool_refs.append((readers.text(record["pool"]), record.at("pool"), f"{path}.pool"))
        for key in own_keys:
            message = "belongs to the pool: write it there, or leave pool: out to have a pool in place"
            out.problem(record.at_key(key), f"{path}.{key}", message)
        return model.pool if model is not None and not own_keys else None
    if "members" not in record and "director" not in record:
        if model is not None:
            message = "has neither pool: (the name of one) nor members: or director: (a pool in place)"
            out.problem(record.spot, path, message)
        return None
    name = wire.name_to_text(owner)[:-1]
    if name in shelf.pools:
        out.problem(record.spot, path, f"its pool is called {name}, but so is the one at {shelf.pools[name].place}")
        return None
    shelf.pools[name] = pool_entry(name, model, record, record.spot, path, out)
    return name
