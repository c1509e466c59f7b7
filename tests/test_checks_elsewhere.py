"""Checks aimed elsewhere than at the address in the answer (`at:`): how they are read, named and asked."""

from __future__ import annotations

import asyncio

import pytest
from misbehaving import Misbehaving, says_first

from rrdns.checks import probe
from rrdns.model import Check, Elsewhere, Target, TcpProbe
from rrdns.zonefile import load

ZONE = b"'': {type: NS, value: ns1.a.example.}\nns1: {type: A, value: 192.0.2.1}\nw: {type: POOL, pool: p}\n"


def check(at: str) -> Check:
    pools = f"checks: {{x: {{type: tcp, port: 80, at: {at}}}}}\npools: {{p: {{check: x, members: [192.0.2.9]}}}}\n"
    loaded = load({"pools.yaml": pools.encode(), "a.example.yaml": ZONE})
    assert loaded.dataset, loaded.problems
    return loaded.dataset.checks["x"]


@pytest.mark.parametrize(
    ("at", "address", "asked"),
    [
        ("10.1.0.5", "192.0.2.7", "10.1.0.5"),
        ("'10.1.0.{last}'", "192.0.2.7", "10.1.0.7"),
        ("'2001:db8:1::{last}'", "2001:db8::a7", "2001:db8:1::a7"),
        ("'2001:db8:1::{last}'", "2001:db8::", "2001:db8:1::"),
        ("'64:ff9b::{address}'", "192.0.2.7", "64:ff9b::c000:207"),
        ("{192.0.2.0/24: 10.1.0.0/24}", "192.0.2.7", "10.1.0.7"),
        ("{192.0.2.7: 10.9.9.9, 192.0.2.0/24: 10.1.0.0/24}", "192.0.2.7", "10.9.9.9"),
        ("{192.0.2.7: 10.9.9.9, 192.0.2.0/24: 10.1.0.0/24}", "192.0.2.8", "10.1.0.8"),
        ("{192.0.2.0/24: 10.1.0.0/24}", "198.51.100.7", "198.51.100.7"),
        ("{192.0.2.0/24: 10.1.0.0/24}", "2001:db8::7", "2001:db8::7"),
        ("{'2001:db8::/64': 'fd00:1::/64'}", "2001:db8::7", "fd00:1::7"),
    ],
)
def test_where_is_asked(at: str, address: str, asked: str) -> None:
    assert check(at).asked(address) == asked


def test_it_belongs_to_the_key() -> None:
    plain = Check("x", "tcp", 80, TcpProbe())
    keys = {one.key("192.0.2.7") for one in (plain, check("10.1.0.5"), check("'10.1.0.{last}'"))}
    assert len(keys) == 3
    assert all(key.endswith("@192.0.2.7") for key in keys)
    assert plain.asked("192.0.2.7") == "192.0.2.7"


def test_the_probe_goes_there() -> None:
    with Misbehaving(says_first(b"hello"), host="127.0.0.9") as server:
        aimed = Check("x", "tcp", server.port, TcpProbe(expect=b"hello"), at=Elsewhere("127.0.0.{last}"))
        assert asyncio.run(probe(Target("k", aimed, "192.0.2.9"))).ok
        mapped = Check("x", "tcp", server.port, TcpProbe(), at=Elsewhere(map=(("192.0.2.0/24", "127.0.0.0/24"),)))
        assert asyncio.run(probe(Target("k", mapped, "192.0.2.9"))).ok
        nowhere = asyncio.run(probe(Target("k", aimed, "2001:db8::ffff")))
    assert not nowhere.ok
    assert nowhere.reason.startswith("not asked: at: gives no address for 2001:db8::ffff: ")
