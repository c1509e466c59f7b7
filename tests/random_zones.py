"""Zones by hypothesis, as odd as the loader lets them be, and questions that try every corner of them.

A *family* is one zone, sometimes with a second one inside it. Names are drawn from few labels, so that they meet:
wildcards beside and below names, empty non-terminals, data at and below zone cuts, chains of CNAME and DNAME.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers

from rrdns import wire
from rrdns.model import RRset, Zone
from rrdns.zonefile import load, writer

NAMES = [b"a", b"b", b"c", b"*", b"www", b"ns", b"d", b"_tcp", b"cut", b"moved"]
ODD = [b"\0", b"a b", b".", b"\\", b"\xff", b'"', b"@", b"$", b";(", b"x" * 63, b"-", b"'", b"1", b"\xc0\x0c", b"**"]
OUTSIDE = [wire.name_from_text(text) for text in ("www.example.org.", "test.", ".", "z.example.")]
T = wire.TYPES
_TTLS = (0, 20, 300, 3600, 86400)


def name(labels: tuple[bytes, ...], origin: bytes) -> bytes:
    return b"".join(bytes((len(one),)) + one for one in labels) + origin


LABEL = st.one_of(*[st.sampled_from(NAMES)] * 6, st.sampled_from(ODD))
OWNER = st.lists(LABEL, min_size=1, max_size=4).map(tuple)


@st.composite
def target(draw: st.DrawFn, apex: bytes, owners: list[bytes]) -> bytes:
    """A name to point at: of the zone, beside or below one, of the next zone, outside; its case now and then mixed."""
    kind = draw(st.integers(0, 11))
    if kind == 0:
        return draw(st.sampled_from(OUTSIDE))
    if kind == 1:
        return name(draw(OWNER), apex)
    if kind == 2:
        return name((b"a",), wire.name_from_text("z0.test."))
    found = draw(st.sampled_from(owners))
    if kind == 3:
        found = name((draw(LABEL),), found)
    if kind == 4:
        found = found.upper()
    return found if len(found) <= 200 else apex


@st.composite
def rdatas(draw: st.DrawFn, rtype: int, apex: bytes, owners: list[bytes]) -> tuple[bytes, ...]:
    """One to many rdatas of a type, each another."""
    to = target(apex, owners)
    u16 = st.integers(0, 65535).map(lambda number: number.to_bytes(2, "big"))
    few = 3 if draw(st.integers(0, 9)) else 45
    one: st.SearchStrategy[bytes]
    if rtype in (wire.CNAME, wire.DNAME):
        return (draw(to).lower() if rtype == wire.DNAME else draw(to),)
    if rtype == wire.A:
        one = st.integers(1, 250).map(lambda last: bytes((192, 0, 2, last)))
    elif rtype == wire.AAAA:
        one = st.integers(1, 65000).map(lambda last: bytes.fromhex("20010db8") + last.to_bytes(12, "big"))
    elif rtype in (wire.NS, T["PTR"]):
        one, few = to, 3
    elif rtype == wire.MX:
        one = st.tuples(u16, to).map(b"".join)
    elif rtype == wire.SRV:
        one = st.tuples(u16, u16, u16, to).map(b"".join)
    elif rtype in (wire.SVCB, wire.HTTPS):
        one = st.tuples(st.just(b"\0\1"), to, st.sampled_from([b"", b"\0\1\0\3\2h2", b"\0\3\0\2\1\xbb"])).map(b"".join)
    elif rtype == wire.DS:
        one = u16.map(lambda tag: tag + b"\x0d\x02" + bytes(range(32)))
    elif rtype == T["CAA"]:
        one = st.sampled_from([b"\0\5issueca.example", b"\x80\5iodef", b"\0\x09issuewild;"])
    elif rtype == T["TXT"]:
        text = st.sampled_from([b"", b"v=spf1 -all", b'"\\\0\xff', b"t" * 255, b"u" * 120])
        one = st.lists(text, min_size=1, max_size=4).map(lambda parts: b"".join(bytes((len(p),)) + p for p in parts))
    elif rtype == T["NAPTR"]:
        one = st.tuples(u16, u16, st.just(b"\1S\7SIP+D2T\0"), to).map(b"".join)
    elif rtype == T["SSHFP"]:
        one = st.sampled_from([bytes((4, 2)) + bytes(32), bytes((1, 1)) + bytes(range(20))])
    elif rtype == T["TLSA"]:
        one = st.sampled_from([bytes((3, 1, 1)) + bytes(32), bytes((2, 0, 2)) + bytes(64)])
    elif rtype == 13:
        one = st.just(b"\3VAX\4UNIX")
    elif rtype == 17:
        one = st.tuples(to, to).map(b"".join)
    elif rtype == 18:
        one = st.tuples(u16, to).map(b"".join)
    else:
        one = st.binary(min_size=1, max_size=20)
    found = draw(st.lists(one, min_size=1, max_size=few, unique_by=bytes.lower))
    return tuple(found)


_COMMON = [wire.A, wire.A, wire.AAAA, wire.CNAME, wire.CNAME, T["TXT"], wire.MX, wire.SRV, wire.NS, wire.NS, wire.DNAME]
_RARE = [T["PTR"], T["CAA"], wire.HTTPS, wire.SVCB, T["NAPTR"], T["SSHFP"], T["TLSA"], 13, 17, 18, 0xFF01, 0x0200]
TYPES = st.one_of(*[st.sampled_from(_COMMON)] * 4, st.sampled_from(_RARE))


@st.composite
def rrsets(draw: st.DrawFn, apex: bytes, inner: bytes | None) -> list[RRset]:
    """The records of one zone, the SOA and the apex's NS first; not all of them may stand together yet."""
    owners = [name(labels, apex) for labels in draw(st.lists(OWNER, min_size=5, max_size=16, unique=True))]
    if inner is not None:
        owners += [inner, name((b"ns",), inner), name((b"a", b"*"), inner)]
    owners = [owner.lower() for owner in owners if len(owner) <= 220]
    known = [apex, *owners]
    minimum, ttl = draw(st.sampled_from(_TTLS)), draw(st.sampled_from(_TTLS[1:]))
    soa = (
        name((b"ns",), apex)
        + name((b"host.master",), apex)
        + b"".join(number.to_bytes(4, "big") for number in (7, 3600, 600, 1209600, minimum))
    )
    sets = {
        (apex, wire.SOA): RRset(apex, wire.SOA, ttl, (soa,)),
        (apex, wire.NS): RRset(apex, wire.NS, 300, draw(rdatas(wire.NS, apex, known))),
    }
    for owner in draw(st.lists(st.sampled_from(known), min_size=10, max_size=40)):
        rtype = draw(TYPES)
        if (rtype == wire.CNAME and owner == apex) or (owner, rtype) in sets:
            continue
        sets[owner, rtype] = RRset(owner, rtype, draw(st.sampled_from(_TTLS)), draw(rdatas(rtype, apex, known)))
        if rtype == wire.NS and owner != apex:
            if draw(st.booleans()):
                sets[owner, wire.DS] = RRset(owner, wire.DS, 300, draw(rdatas(wire.DS, apex, known)))
            for data in sets[owner, rtype].rdatas:  # glue, now and then
                host = data.lower()
                if wire.is_within(host, apex) and draw(st.integers(0, 2)):
                    for kind in (wire.A, wire.AAAA):
                        if draw(st.booleans()):
                            sets.setdefault((host, kind), RRset(host, kind, 600, draw(rdatas(kind, apex, known))))
    return list(sets.values())


def settle(apex: bytes, wanted: list[RRset]) -> Zone:
    """The zone as the loader gives it, with those of the records that it takes together."""
    zone = _loaded(apex, wanted)
    if zone is not None:
        return zone
    order = {wire.SOA: 0, wire.NS: 1}
    kept: list[RRset] = []
    for one in sorted(wanted, key=lambda one: (one.name != apex, order.get(one.type, 2))):
        if one.type != wire.SOA and one.name == apex and one.type == wire.NS:
            zone = _loaded(apex, [*kept, one])
            if zone is None:  # its own name servers must not be aliases; outside is always right
                one = RRset(apex, wire.NS, one.ttl, (wire.name_from_text("ns.example.org."),))
        found = _loaded(apex, [*kept, one]) if one.type != wire.SOA else None
        if found is not None or one.type == wire.SOA:
            kept.append(one)
            zone = found
    result = _loaded(apex, kept)
    assert result is not None
    return result


def _loaded(apex: bytes, sets: list[RRset]) -> Zone | None:
    text = writer.zone_yaml(apex, sets, say_zone=True)
    loaded = load({"zones/one.yaml": text.encode()})
    return loaded.dataset.zones[apex] if loaded.dataset is not None else None


@st.composite
def family(draw: st.DrawFn, number: int) -> list[Zone]:
    """One zone, or one and another one inside it."""
    apex = wire.name_from_text(f"z{number}.test.")
    inner = (
        name(draw(st.sampled_from([(b"cut",), (b"a", b"b"), (b"a",)])), apex) if not draw(st.integers(0, 3)) else None
    )
    wanted = draw(rrsets(apex, inner))
    if inner is None:
        return [settle(apex, wanted)]
    # NSD keeps all zones' names in one tree and takes no DNAME of one zone above names of the other.
    around = [one for one in wanted if one.type != wire.DNAME or not _related(one.name, inner)]
    zones = [settle(apex, around)]
    outer = b"".join(one.name + b"".join(one.rdatas).lower() for one in around)
    wanted = [one for one in draw(rrsets(inner, None)) if one.type != wire.DNAME or one.name not in outer]
    return [*zones, settle(inner, wanted)]


def _related(one: bytes, other: bytes) -> bool:
    return wire.is_within(one, other) or wire.is_within(other, one)


def families(count: int, number: int) -> list[list[Zone]]:
    """`count` families, the same for the same seed `number`."""
    found: list[list[Zone]] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def collect(data: st.DataObject) -> None:
        found.append(data.draw(family(len(found))))

    # Hypothesis also draws constants it finds in our own source, so that any edit would give other zones for a seed.
    with patch.object(providers.HypothesisProvider, "_maybe_draw_constant", lambda *_, **__: None):
        collect()
    return found[:count]


# -------------------------------------------------------------------- questions

ASKED = [1, 1, 2, 5, 6, 12, 15, 16, 28, 33, 39, 43, 64, 65, 255, 257, 48, 46, 47, 13, 0xFF01, 0xFF02, 0x0200, 65535, 99]


def questions(zones: list[Zone], count: int, rng: random.Random) -> Iterator[tuple[bytes, bool]]:
    """Packets, and whether to send them over TCP."""
    sets = [one for zone in zones for one in zone.rrsets]
    apexes = [zone.name for zone in zones]
    known: dict[bytes, list[int]] = {}
    for one in sets:
        known.setdefault(one.name, []).append(one.type)
    names = list(known)
    for owner in list(known):
        while owner not in apexes and len(owner) > 1:
            owner = wire.parent(owner)
            names.append(owner)
    names = list(dict.fromkeys(names))
    dnames = [one.name for one in sets if one.type == wire.DNAME]
    for _ in range(count):
        asked = rng.choice(names)
        how = rng.randrange(10)
        if how == 0:
            asked = name((rng.choice(NAMES + ODD),), asked)
        elif how == 1:
            asked = name((rng.choice(NAMES), rng.choice(NAMES + ODD)), asked)
        elif how == 2 and asked not in apexes:
            asked = name((rng.choice(NAMES + ODD),), wire.parent(asked))
        elif how == 3:
            asked = asked.replace(b"\1*", b"\5never", 1)
        elif how == 4 and dnames:
            asked = name((rng.choice(NAMES),) + (b"y" * 63,) * rng.randrange(3), rng.choice(dnames))
        elif how == 5:
            asked = name((rng.choice(NAMES), rng.choice(NAMES)), rng.choice(apexes))
        if len(asked) > wire.MAX_NAME:
            asked = apexes[0]
        rtype = rng.choice(known[asked]) if asked in known and rng.random() < 0.45 else rng.choice(ASKED)
        yield packet(asked, rtype, rng), rng.random() < 0.15


def packet(asked: bytes, rtype: int, rng: random.Random) -> bytes:
    """A question with some letters in upper case, with or without EDNS of some size and DO."""
    if rng.random() < 0.4:
        letters = {byte: byte - 32 for byte in range(0x61, 0x7B) if rng.random() < 0.5}
        asked = asked.translate(bytes(letters.get(byte, byte) for byte in range(256)))
    opt = b""
    if rng.random() < 0.7:
        size = rng.choice([512, 600, 1232, 1232, 1232, 4096, 0])
        opt = b"\0\0\x29" + size.to_bytes(2, "big") + b"\0\0" + rng.choice([b"\0\0", b"\0\0", b"\x80\0"]) + b"\0\0"
    head = rng.randbytes(2) + bytes((rng.randrange(2), 0)) + b"\0\1\0\0\0\0" + bytes((0, bool(opt)))
    return head + asked + rtype.to_bytes(2, "big") + b"\0\1" + opt
