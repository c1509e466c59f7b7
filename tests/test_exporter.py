"""`rrdns export`: master files that dnspython and a real checker load, with the addresses of this moment."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
from pathlib import Path

import dns.zone
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from needs import needs

from rrdns import wire
from rrdns.answers import AUTHORITATIVE, SERVFAIL, AnswerSet, Body, key
from rrdns.model import RRset, Service, Zone
from rrdns.ui.exporter import master_file
from rrdns.ui.masterfile import read_file
from rrdns.zonefile import rdata

ORIGIN = wire.name_from_text("lb.example.com.")
HERE = Path(__file__).parent / "zones" / "import"
CHECKERS = {
    "named-checkzone": ["named-checkzone", "-q", "-i", "local", "-k", "ignore", "ZONE", "FILE"],
    "kzonecheck": ["kzonecheck", "-o", "ZONE", "FILE"],
    "nsd-checkzone": ["nsd-checkzone", "ZONE", "FILE"],
}


def name(text: str) -> bytes:
    return wire.name_from_text(text, ORIGIN).lower()


def rrset(owner: str, word: str, *values: object, ttl: int = 300) -> RRset:
    rtype = rdata.record_type(word)
    return RRset(name(owner), rtype, ttl, tuple(rdata.encode(rtype, one, ORIGIN) for one in values))


def body(rtype: int, ttl: int, *addresses: str) -> Body:
    """An answer as the workers have it: owners are pointers to the question."""
    head = b"\xc0\x0c" + rtype.to_bytes(2, "big") + b"\0\1" + ttl.to_bytes(4, "big")
    parts = [ipaddress.ip_address(one).packed for one in addresses]
    records = [head + len(one).to_bytes(2, "big") + one for one in parts]
    starts = [sum(map(len, records[:at])) for at in range(len(records))]
    return Body(AUTHORITATIVE, (len(records), 0, 0), b"".join(records), tuple(starts))


SOA = rrset(
    "",
    "SOA",
    {"mname": "ns1.lb.example.com.", "contact": "hostmaster.example.com.", "serial": 42}
    | {"refresh": 3600, "retry": 600, "expire": 1209600, "minimum": 60},
)
BASE = (rrset("ns1", "A", "192.0.2.53"), rrset("", "NS", "ns1.lb.example.com."), SOA)


def by_dnspython(text: str, origin: str = "lb.example.com.") -> dict[tuple[bytes, int], tuple[int, frozenset[bytes]]]:
    zone = dns.zone.from_text(text, origin, relativize=False)
    return {
        ((owner.to_wire() or b"").lower(), int(found.rdtype)): (
            found.ttl,
            frozenset(one.to_wire() or b"" for one in found),
        )
        for owner, found in zone.iterate_rdatasets()
    }


def test_a_pool_is_written_with_the_addresses_of_its_rings() -> None:
    zone = Zone(ORIGIN, 42, BASE, (Service(name("www"), ORIGIN, "web"), Service(name("*.dev"), ORIGIN, "web")))
    sets = {
        key(name("www"), wire.A): AnswerSet(
            (body(wire.A, 5, "192.0.2.2", "192.0.2.1"), body(wire.A, 5, "192.0.2.3", "192.0.2.2")), (1, 0, 1)
        ),
        key(name("www"), wire.AAAA): AnswerSet((body(wire.AAAA, 20, "2001:db8::1"),)),
        key(name("*.dev"), wire.A): AnswerSet((body(wire.A, 20, "192.0.2.9"),)),
    }
    text = master_file(zone, sets, "made at noon\nby the test")
    assert text == (
        "; made at noon\n"
        "; by the test\n"
        "$ORIGIN lb.example.com.\n"
        "@        300 IN SOA   ns1.lb.example.com. hostmaster.example.com. 42 3600 600 1209600 60\n"
        "@        300 IN NS    ns1.lb.example.com.\n"
        "; *.dev: POOL web\n"
        "*.dev     20 IN A     192.0.2.9\n"
        "ns1      300 IN A     192.0.2.53\n"
        "; www: POOL web\n"
        "www        5 IN A     192.0.2.3\n"
        "www        5 IN A     192.0.2.2\n"
        "www        5 IN A     192.0.2.1\n"
        "www       20 IN AAAA  2001:db8::1\n"
    )
    found = by_dnspython(text)
    assert found[name("www"), wire.A][0] == 5
    assert len(found) == 6


@pytest.mark.parametrize(
    "ring",
    [
        None,
        AnswerSet((Body(SERVFAIL, (0, 0, 0), b""),)),
        AnswerSet((Body(AUTHORITATIVE, (0, 1, 0), ORIGIN + b"\0\6\0\1\0\0\0\x3c\0\4soa!"),)),
    ],
)
def test_a_pool_that_answers_nothing_is_said(ring: AnswerSet | None) -> None:
    zone = Zone(ORIGIN, 42, BASE, (Service(name("www"), ORIGIN, "web"),))
    text = master_file(zone, {key(name("www"), wire.A): ring})
    assert "; www: POOL web: no address is answered now\n" in text
    assert (name("www"), wire.A) not in by_dnspython(text)


def test_the_ring_stands_for_static_addresses_at_a_pool() -> None:
    zone = Zone(
        ORIGIN, 42, (*BASE, rrset("", "A", "192.0.2.99"), rrset("", "TXT", "x")), (Service(ORIGIN, ORIGIN, "p"),)
    )
    text = master_file(zone, {key(ORIGIN, wire.A): AnswerSet((body(wire.A, 20, "192.0.2.1"),))})
    found = by_dnspython(text)
    assert found[ORIGIN, wire.A] == (20, frozenset({b"\xc0\0\2\1"}))
    assert (ORIGIN, wire.TXT) in found


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.binary(min_size=1, max_size=10), min_size=1, max_size=3),
            st.sampled_from([wire.TXT, 65400]),
            st.binary(max_size=40),
        ),
        max_size=5,
        unique_by=lambda one: b".".join(one[0]).lower(),
    )
)
def test_any_name_and_any_bytes(records: list[tuple[list[bytes], int, bytes]]) -> None:
    sets = [
        RRset(
            b"".join(bytes((len(one),)) + one for one in labels).lower() + ORIGIN,
            rtype,
            60,
            (bytes((len(data),)) + data if rtype == wire.TXT else data,),
        )
        for labels, rtype, data in records
    ]
    text = master_file(Zone(ORIGIN, 1, (*BASE, *sets)), {})
    found = by_dnspython(text)
    for one in sets:
        assert found[one.name, one.type] == (60, frozenset(one.rdatas))


def test_the_root_zone() -> None:
    root = (RRset(b"\0", wire.SOA, 60, SOA.rdatas), RRset(b"\0", wire.NS, 60, (name("ns1"),)))
    text = master_file(Zone(b"\0", 1, (*root, RRset(name("ns1"), wire.A, 60, (b"\1\2\3\4",)))), {})
    assert by_dnspython(text, ".")[name("ns1"), wire.A] == (60, frozenset({b"\1\2\3\4"}))


# ---------------------------------------------------------------- real checkers


def check_zone(path: Path, zone: str) -> None:
    """Load the file with a checker that is installed; none of them here is a reason to skip."""
    search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    installed = [one for one in CHECKERS if shutil.which(one, path=search)]
    if not installed:
        needs("nsd-checkzone")
    for one in installed:
        argv = [{"ZONE": zone, "FILE": str(path)}.get(part, part) for part in CHECKERS[one]]
        argv[0] = shutil.which(one, path=search) or one
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{one}: {done.stdout}{done.stderr}"


def test_a_real_checker_loads_pools(tmp_path: Path) -> None:
    zone = Zone(ORIGIN, 42, BASE, (Service(name("www"), ORIGIN, "web"),))
    ring = AnswerSet((body(wire.A, 5, "192.0.2.2", "192.0.2.1"),))
    (tmp_path / "zone").write_text(master_file(zone, {key(name("www"), wire.A): ring}, "now"))
    check_zone(tmp_path / "zone", "lb.example.com")


def test_a_real_checker_loads_every_type(tmp_path: Path) -> None:
    """The zone of the import test has all types; out again it is the same to dnspython and fine for the checker."""
    source = read_file(HERE / "db.example.com")
    zone = Zone(source.zone, 1, tuple(source.rrsets))
    text = master_file(zone, {})
    assert by_dnspython(text, "example.com.") == {
        (one.name, one.type): (one.ttl, frozenset(one.rdatas)) for one in source.rrsets
    }
    (tmp_path / "zone").write_text(text)
    check_zone(tmp_path / "zone", "example.com")
