"""Whatever a director says, cut, mangled, of another program or none at all: a table or a Fault, for every reader.

What only one reader has to bear stands in its own file.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from director_input import DEEP, JUNK, Parse, cut, foreign, mangled, refused, sample, tried
from hypothesis import given
from hypothesis import strategies as st
from test_director_file import EXTFILE, JSON, YAML
from test_director_lbcd import VERSION_2, VERSION_3

from rrdns.directors import apache, envoy, file, haproxy, ipvs, ipvs_metrics, keepalived, lbcd, mod_jk, squid

STAT, STATE = sample("haproxy/show-stat.csv"), sample("haproxy/show-servers-state.txt")
LBCD = (VERSION_2, VERSION_3)


@dataclass(frozen=True)
class Reader:
    """`samples`: what it reads. `own`: folders of what it may take. `heads`: what junk is put behind, to get further
    in. `strict`: whole answers of others are refused, else they may be anything but an error."""

    parse: Parse
    samples: tuple[bytes, ...]
    own: tuple[str, ...] = ()
    heads: tuple[bytes, ...] = field(default=(b"",))
    strict: bool = True


READERS = {
    "apache": Reader(apache.parse, (sample("apache/balancer-manager.xml"),), ("apache",)),
    "envoy": Reader(envoy.parse, (sample("envoy/clusters.json"),), ("envoy",)),
    "file": Reader(file.parse, (YAML, JSON, EXTFILE), strict=False),
    "haproxy socket": Reader(
        haproxy.parse_socket,
        (STAT + STATE,),
        ("haproxy",),
        (b"", STAT.split(b"\n")[0] + b"\n", STAT + b"1\n# be_name srv_name srv_addr srv_port\n"),
    ),
    "haproxy page": Reader(
        haproxy.parse,
        (sample("haproxy/http-stats.csv"),),
        ("haproxy",),
        (b"", STAT.split(b"\n")[0] + b"\n", STAT + b"1\n# be_name srv_name srv_addr srv_port\n"),
    ),
    "ipvs": Reader(ipvs.parse, (sample("ipvs/proc.txt"),), ("ipvs",), (b"", sample("ipvs/proc-empty.txt"))),
    "ipvs metrics": Reader(
        ipvs_metrics.parse, (sample("ipvs/node_exporter.txt"),), ("ipvs",), (b"", b"node_ipvs_backend_weight{")
    ),
    "keepalived": Reader(
        keepalived.parse,
        (sample("keepalived/dump.json"), sample("keepalived/notify.log")),
        ("keepalived",),
        (b"", b"[", b"INSTANCE ", b'INSTANCE "VI_1" MASTER 1\n'),
    ),
    "lbcd": Reader(lambda data: lbcd.parse(data, 42, "192.0.2.11"), LBCD, (), (b"", LBCD[0][:8], LBCD[1][:8])),
    "mod_jk": Reader(mod_jk.parse, (sample("mod_jk/status.xml"), sample("mod_jk/status.prop")), ("mod_jk",)),
    "squid": Reader(squid.parse, (sample("squid/server_list.txt"),), ("squid",)),
}
EVERY = pytest.mark.parametrize("name", READERS)


@EVERY
def test_its_own_is_taken(name: str) -> None:
    """Or the rest would show nothing."""
    one = READERS[name]
    assert all(tried(one.parse, whole) is not None for whole in one.samples)


@EVERY
@given(number=st.integers(0, 2**32), which=st.integers(0, 10))
def test_mangled(name: str, number: int, which: int) -> None:
    one = READERS[name]
    tried(one.parse, mangled(one.samples[which % len(one.samples)], number))


@EVERY
def test_cut_off(name: str) -> None:
    one = READERS[name]
    for whole in one.samples:
        for data in cut(whole):
            tried(one.parse, data)


@EVERY
@given(data=JUNK, which=st.integers(0, 10))
def test_junk(name: str, data: bytes, which: int) -> None:
    one = READERS[name]
    head = one.heads[which % len(one.heads)]
    for end in (b"", b"\n", b"} 1\n"):
        tried(one.parse, head + data + end)


@EVERY
@pytest.mark.parametrize("data", DEEP, ids=range(len(DEEP)))
def test_deep_nesting(name: str, data: bytes) -> None:
    tried(READERS[name].parse, data)


@EVERY
def test_other_programs_are_refused(name: str) -> None:
    one = READERS[name]
    for data in foreign(*one.own):
        if one.strict:
            refused(one.parse, data)
        else:
            tried(one.parse, data)
