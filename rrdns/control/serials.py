"""SOA serials that never go back. Pure.

A zone's file may say `serial:`; then that holds, and a warning if it went back (RFC 1982). Else the loader gives
the newest change time of the files, and this module sees to it that

| the zone's content is | its serial                                                     |
|-----------------------|----------------------------------------------------------------|
| as it was             | stays, whatever happened to the files' times                   |
| changed               | is that time, or one more than the last where that is no step  |

Content is what a transfer would carry: records, services, and the pools these answer from.
Must not know: where serials are kept, files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from rrdns import wire
from rrdns.model import DataSet, Zone
from rrdns.zonefile import with_serial

Kept = tuple[int, str]
"""The last serial of a zone and the digest of the content it stood for."""

_RANGE = 1 << 32


def is_later(new: int, old: int) -> bool:
    """RFC 1982 section 3.2: serial numbers go round."""
    return 0 < (new - old) % _RANGE < 1 << 31


def digests(dataset: DataSet, some: Collection[bytes] | None = None) -> dict[bytes, str]:
    """For each zone (of `some`) a digest of its content, the serial aside."""
    return {name: _digest(dataset.zones[name], dataset) for name in (dataset.zones if some is None else some)}


def _digest(zone: Zone, dataset: DataSet) -> str:
    found = hashlib.sha256()
    for rrset in zone.rrsets:
        found.update(b"%d %d %d %b" % (len(rrset.name), rrset.type, rrset.ttl, rrset.name))
        for rdata in rrset.rdatas:
            if rrset.type == wire.SOA:
                rdata = rdata[:-20] + rdata[-16:]
            found.update(b"%d " % len(rdata))
            found.update(rdata)
    for service in zone.services:
        found.update(repr(service).encode())
    hints = [hint for one in zone.hinted for hint in one.hints]
    found.update(repr(hints).encode() if hints else b"")
    for pool in sorted({one.pool for one in (*zone.services, *hints) if one is not None}):
        found.update(repr(dataset.pools.get(pool)).encode())
    return found.hexdigest()[:32]


def settle(
    dataset: DataSet,
    content: Mapping[bytes, str],
    times: Collection[int],
    kept: Callable[[str], Kept | None],
) -> tuple[DataSet, dict[str, Kept], list[tuple[str, str]]]:
    """The data set with the serials to serve, what to keep of them, and warnings as (zone, text).

    `content`: see `digests`; `times`: what the loader may have made a serial of, else the file says it.
    """
    times = set(times)
    zones, keep, warnings = dict(dataset.zones), {}, []
    for name, zone in dataset.zones.items():
        text = wire.name_to_text(name)
        serial, last = zone.serial, kept(text)
        if last is not None:
            if serial not in times:
                if serial != last[0] and not is_later(serial, last[0]):
                    warnings.append((text, f"serial {serial} is behind {last[0]}, which was served: others keep that"))
            elif content[name] == last[1]:
                serial = last[0]
            elif not is_later(serial, last[0]):
                serial = (last[0] + 1) % _RANGE
        if serial != zone.serial:
            zones[name] = with_serial(zone, serial)
        keep[text] = (serial, content[name])
    return replace(dataset, zones=zones), keep, warnings
