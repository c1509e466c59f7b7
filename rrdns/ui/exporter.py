"""`rrdns export`: the answers of this moment as BIND master files. Floor 5, but pure: text out of data.

A POOL name is written with every address that stands in its rings now, each once; a record whose hints follow a pool
with all of those. Weights, health and the number of
addresses in one answer have no words in a master file. Must not know: how the rings came to be, files, sockets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rrdns import hinting, wire
from rrdns.answers import AnswerSet, Key, key
from rrdns.model import Service, Zone
from rrdns.zonefile import rdata

_POINTER = 0xC0  # the two high bits of a compression pointer (RFC 1035 section 4.1.4)
_WORDS = {number: word for word, number in rdata.WORDS.items() if wire.TYPES.get(word) == number}

Line = tuple[int, int, str]  # type, TTL, rdata text


def master_file(zone: Zone, sets: Mapping[Key, AnswerSet | None], head: str = "") -> str:
    """One zone. `sets` is the table the workers answer from; `head` becomes comments at the top."""
    services = {one.name: one for one in zone.services}
    hinted = {(one.rrset.name, one.rrset.type) for one in zone.hinted}
    lines: dict[bytes, list[Line]] = {name: [] for name in services}
    notes: dict[bytes, str] = {}
    for one in zone.rrsets:
        if one.name in services and one.type in (wire.A, wire.AAAA):
            continue  # never answered: the ring is
        ring = sets.get(key(one.name, one.type)) if (one.name, one.type) in hinted else None
        rdatas, ttl = (hinting.hinted_rdatas(ring), hinting.ttl_of(ring)) if ring else (one.rdatas, one.ttl)
        texts = [(one.type, ttl, rdata.to_text(one.type, data)) for data in rdatas]
        lines.setdefault(one.name, []).extend(texts)
    for service in services.values():
        found = list(_ring_lines(service, sets))
        lines[service.name] += found
        notes[service.name] = f"POOL {service.pool}" if found else f"POOL {service.pool}: no address is answered now"
    out = [f"; {line}".rstrip() for line in head.splitlines()]
    out.append(f"$ORIGIN {wire.name_to_text(zone.name)}")
    width = max((len(_relative(name, zone.name)) for name in lines), default=1)
    for name in sorted(lines, key=_canonical):
        owner = _relative(name, zone.name)
        if name in notes:
            out.append(f"; {owner}: {notes[name]}")
        for rtype, ttl, text in sorted(lines[name], key=lambda line: _type_order(line[0])):
            word = _WORDS.get(rtype, f"TYPE{rtype}")
            out.append(f"{owner:<{width}} {ttl:>6} IN {word:<5} {text}")
    return "\n".join(out) + "\n"


def _ring_lines(service: Service, sets: Mapping[Key, AnswerSet | None]) -> Iterator[Line]:
    """Every address of both families in the order the rings come to it, with the TTL it is answered with."""
    for rtype in (wire.A, wire.AAAA):
        ring = sets.get(key(service.name, rtype))
        seen: set[bytes] = set()
        for index in dict.fromkeys(ring.slots) if ring else ():
            assert ring is not None
            body = ring.bodies[index]
            for found, ttl, data in _records(body.data, body.counts[0]):
                if found == rtype and data not in seen:
                    seen.add(data)
                    yield rtype, ttl, rdata.to_text(rtype, data)


def _records(data: bytes, count: int) -> Iterator[tuple[int, int, bytes]]:
    """Type, TTL and rdata of the first `count` records of a body; their owners are pointers or written out."""
    at = 0
    for _ in range(count):
        while 0 < data[at] < _POINTER:
            at += 1 + data[at]
        at += 2 if data[at] else 1
        end = at + 10 + int.from_bytes(data[at + 8 : at + 10], "big")
        yield (
            int.from_bytes(data[at : at + 2], "big"),
            int.from_bytes(data[at + 4 : at + 8], "big"),
            data[at + 10 : end],
        )
        at = end


def _relative(name: bytes, zone: bytes) -> str:
    inner = name[: len(name) - len(zone)]
    return wire.name_to_text(inner + b"\0")[:-1] if inner else "@"


def _canonical(name: bytes) -> list[bytes]:
    """Parents before children (RFC 4034 section 6.1)."""
    return wire.labels_of(name)[::-1]


def _type_order(rtype: int) -> tuple[int, int]:
    """A zone begins with its SOA."""
    return (0 if rtype == wire.SOA else 1 if rtype == wire.NS else 2), rtype
