"""SOA serials never go back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns import zonefile
from rrdns.control import serials
from rrdns.model import DataSet
from rrdns.wire import SOA, name_from_text

LB = name_from_text("lb.")
TEXT = "lb."


def dataset(extra: str = "", mtime: int = 1000, soa: str = "", pools: str = "") -> DataSet:
    zone = f"'':\n  - {{type: NS, value: ns.lb.}}\n{soa}ns: {{type: A, value: 192.0.2.1}}\n{extra}"
    files = {"lb.yaml": zone.encode()} | ({"pools.yaml": pools.encode()} if pools else {})
    loaded = zonefile.load(files, dict.fromkeys(files, mtime))
    assert loaded.dataset is not None, loaded.problems
    return loaded.dataset


def settled(data: DataSet, kept: dict[str, serials.Kept], mtime: int = 1000) -> tuple[int, list[tuple[str, str]]]:
    """The serial in force, and warnings; `kept` is brought up to date."""
    out, keep, warnings = serials.settle(data, serials.digests(data), {mtime}, kept.get)
    kept.update(keep)
    zone = out.zones[LB]
    (soa,) = (rrset for rrset in zone.rrsets if rrset.type == SOA)
    assert int.from_bytes(soa.rdatas[0][-20:-16], "big") == zone.serial  # both places say the same
    return zone.serial, warnings


def test_the_first_serial_is_the_loaders() -> None:
    assert settled(dataset(), {}) == (1000, [])


def test_unchanged_content_keeps_its_serial_whatever_the_time() -> None:
    kept: dict[str, serials.Kept] = {}
    settled(dataset(), kept)
    for mtime in (999, 1000, 5000):
        assert settled(dataset(mtime=mtime), kept, mtime) == (1000, [])


def test_changed_content_always_steps_forward() -> None:
    kept: dict[str, serials.Kept] = {}
    seen = [settled(dataset(), kept)[0]]
    for number, mtime in enumerate((2000, 2000, 500, 3000)):
        seen.append(settled(dataset(f"n{number}: {{type: A, value: 192.0.2.1}}\n", mtime), kept, mtime)[0])
    assert seen == [1000, 2000, 2001, 2002, 3000]


def test_the_pools_a_zone_answers_from_are_its_content() -> None:
    kept: dict[str, serials.Kept] = {}
    www = "www: {type: POOL, pool: web}\n"
    one = "pools:\n  web:\n    members: {a: 192.0.2.1}\n"
    assert settled(dataset(www, pools=one), kept)[0] == 1000
    assert settled(dataset(www, 2000, pools=one), kept, 2000)[0] == 1000
    assert settled(dataset(www, 2000, pools=one.replace("192.0.2.1", "192.0.2.2")), kept, 2000)[0] == 2000


def test_a_serial_in_the_file_holds_and_warns_when_it_goes_back() -> None:
    kept: dict[str, serials.Kept] = {}
    soa = "  - {type: SOA, contact: h.lb., serial: %d}\n"
    assert settled(dataset(soa=soa % 7000), kept) == (7000, [])
    assert settled(dataset(soa=soa % 7001), kept) == (7001, [])
    serial, ((zone, words),) = settled(dataset(soa=soa % 6000), kept)
    assert (serial, zone) == (6000, TEXT) and "6000 is behind 7001" in words
    # and back to times of files: not behind what was served last
    assert settled(dataset(), kept)[0] == 6001


@pytest.mark.parametrize(
    ("new", "old", "later"),
    [(1, 0, True), (0, 1, False), (5, 5, False), (0, 2**32 - 1, True), (2**31 - 1, 0, True), (2**31 + 1, 0, False)],
)
def test_serials_go_round(new: int, old: int, later: bool) -> None:
    assert serials.is_later(new, old) is later


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**32 - 1)), min_size=1, max_size=12))
def test_no_step_is_backwards_and_no_change_without_a_step(steps: list[tuple[int, int]]) -> None:
    base = dataset()
    kept: dict[str, serials.Kept] = {}
    before: tuple[int, int] | None = None
    for content, mtime in steps:
        zone = zonefile.with_serial(base.zones[LB], mtime)
        rrsets = (*zone.rrsets, replace(zone.rrsets[-1], name=name_from_text(f"c{content}.lb.")))
        serial, _ = settled(replace(base, zones={LB: replace(zone, rrsets=rrsets)}), kept, mtime)
        if before is not None:
            same = before[0] == content
            assert serial == before[1] if same else serials.is_later(serial, before[1])
        before = content, serial
