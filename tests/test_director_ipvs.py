"""Directors of type ipvs: what LVS says in /proc, through node_exporter and by netlink, and what is no such thing."""

from __future__ import annotations

import ast
import time
from pathlib import Path
from typing import Any

import misbehaving
import pytest
import real_directors
from director_input import HTML, cut, refused, sample, tried
from hypothesis import given
from hypothesis import strategies as st

from rrdns.directors import ipvs, ipvs_metrics, ipvs_netlink
from rrdns.model import Director, DirectorTable

PROC = sample("ipvs/proc.txt")
METRICS = sample("ipvs/node_exporter.txt")
HEADER = sample("ipvs/proc-empty.txt")


def netlink() -> Any:
    """The sample's dump: each service's attributes with its servers'."""
    dump: list[tuple[list[Any], list[Any]]] = []
    for line in sample("ipvs/netlink.txt").decode().splitlines():
        kind, _, text = line.partition(" ")
        if kind == "SERVICE":
            dump.append((ast.literal_eval(text), []))
        else:
            dump[-1][1].append(ast.literal_eval(text))
    return dump


def brief(table: DirectorTable) -> dict[str, list[tuple[Any, ...]]]:
    return {
        name: [(one.address, one.port, one.weight, one.active, one.inactive) for one in reports]
        for name, reports in table.parts.items()
    }


EXPECTED = {
    "[fd00::100]:443": [("fd00::21", 443, 5, 0, 0), ("fd00::22", 443, 7, 0, 0)],
    "10.0.0.100:53/udp": [("10.0.0.21", 53, 1, 0, 0)],
    "10.0.0.100:80": [("10.0.0.12", 80, 20, 8, 0), ("10.0.0.13", 80, 0, 0, 0), ("127.0.0.1", 28081, 10, 4, 0)],
    "fwm:7": [("10.0.0.31", 0, 1, 0, 0)],
    "fwm:9": [("fd00::31", 0, 1, 0, 0)],
}


def test_three_ways_into_one_table() -> None:
    """All samples are of the same kernel. node_exporter's collector has no way to tell less than /proc does."""
    assert brief(ipvs.parse(PROC)) == EXPECTED
    by_metrics = brief(ipvs_metrics.parse(METRICS))
    swapped = {**EXPECTED, "10.0.0.100:80": [("10.0.0.12", 80, 20, 8, 0), ("10.0.0.13", 80, 0, 0, 0)]}
    swapped["10.0.0.100:80"].append(("127.0.0.1", 28081, 10, 0, 4))  # four had been closed by then
    assert by_metrics == swapped
    assert brief(ipvs_netlink.parse(netlink())).keys() == EXPECTED.keys()


def test_words_and_forwarding() -> None:
    servers = {one.address: one for one in ipvs.parse(PROC).parts["10.0.0.100:80"]}
    assert [servers[one].why for one in servers] == ["Route, weight 20", "Tunnel, weight 0", "Masq, weight 10"]
    assert {one.word for one in servers.values()} == {"up"}  # what weight 0 means is for the pool to say
    assert ipvs.parse(PROC).master is None


def test_totals_come_by_netlink() -> None:
    table = ipvs_netlink.parse(netlink())
    assert {one.address: one.total for one in table.parts["10.0.0.100:80"]} == {
        "10.0.0.12": 8,
        "10.0.0.13": 0,
        "127.0.0.1": 4,
    }
    assert [one.weight for one in table.parts["10.0.0.100:80"]] == [20, 0, 10]


def test_an_empty_table_and_an_empty_service() -> None:
    assert brief(ipvs.parse(HEADER)) == {}
    assert brief(ipvs.parse(HEADER + b"TCP  0A000064:0050 wrr  \n")) == {"10.0.0.100:80": []}
    none = b'node_ipvs_connections_total 0\nnode_scrape_collector_success{collector="ipvs"} 1\n'
    assert brief(ipvs_metrics.parse(none)) == {}
    named = b'node_ipvs_service_weight{local_address="10.0.0.9",local_mark="",local_port="80",proto="TCP"} 0\n'
    assert brief(ipvs_metrics.parse(named)) == {"10.0.0.9:80": []}


def test_order_is_by_address_not_by_age() -> None:
    lines = [f"  -> 0A0000{n:02X}:0050      Route   1      0          0         \n" for n in (9, 2, 200, 30)]
    table = ipvs.parse(HEADER + b"TCP  0A000064:0050 wrr  \n" + "".join(lines).encode())
    assert [one.address for one in table.parts["10.0.0.100:80"]] == ["10.0.0.2", "10.0.0.9", "10.0.0.30", "10.0.0.200"]


def test_one_mark_for_both_families() -> None:
    both = (
        b"FWM  00000007 sh \n  -> 0A00001F:0000      Route   1      0          0         \n"
        b"FWM  00000007 sh \n  -> [fd00:0000:0000:0000:0000:0000:0000:0031]:0000      Route   1      0          0    \n"
    )
    assert [one.address for one in ipvs.parse(HEADER + both).parts["fwm:7"]] == ["10.0.0.31", "fd00::31"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is empty"),
        (b"\n", "no table of IPVS"),
        (HTML, "no table of IPVS"),
        (HEADER.replace(b"version", b"vers"), "no table of IPVS"),
        (HEADER + b"  -> 0A00000D:0050      Tunnel  0      0          0         \n", "line 4"),
        (PROC[:-30], "cut off"),
        (PROC.replace(b"0A00000C", b"0A00000"), "line 11"),
        (PROC.replace(b"Route   20", b"Route  -20"), "line 11"),
        (PROC.replace(b"TCP ", b"TPC "), "line 4"),
    ],
)
def test_what_is_no_table(text: bytes, said: str) -> None:
    assert said in refused(ipvs.parse, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "no metrics of a node_exporter"),
        (HTML, "no metrics of a node_exporter"),
        (b'node_exporter_build_info{version="1.5"} 1\n', "--collector.ipvs"),
        (b'node_scrape_collector_success{collector="cpu"} 1\n', "--collector.ipvs"),
        (b'node_scrape_collector_success{collector="ipvs"} 0\n', "ip_vs is not loaded"),
        (METRICS.replace(b"remote_address", b"gone"), "backend-labels"),
        (METRICS.replace(b"local_address", b"gone"), "backend-labels"),
        (METRICS.replace(b"} 20", b"} -20"), "no weight"),
        (METRICS.replace(b"} 20", b"} NaN"), "no line of node_exporter"),
        (METRICS.replace(b"} 20", b"} 1e99"), "no weight"),
        (METRICS.replace(b'remote_port="80"', b'remote_port="99999"'), "name no service"),
        (METRICS.rstrip(b"\n"), "cut off"),
    ],
)
def test_what_is_no_page(text: bytes, said: str) -> None:
    assert said in refused(ipvs_metrics.parse, text)


def test_labels_that_may_be_left_out() -> None:
    page = b'node_ipvs_backend_weight{local_address="10.0.0.9",local_port="80",remote_address="10.0.0.1"} 5\n'
    assert brief(ipvs_metrics.parse(page)) == {"10.0.0.9:80": [("10.0.0.1", 0, 5, None, None)]}


def test_cut_within_a_line_is_refused() -> None:
    assert all(tried(ipvs.parse, data) is None for data in cut(PROC) if not data.endswith(b"\n"))


VALUES = st.none() | st.integers() | st.text() | st.sampled_from(["10.0.0.1", "fd00::1"])


@given(st.sampled_from(range(5)), st.integers(0, 14), VALUES)
def test_netlink_that_makes_no_sense(service: int, place: int, value: object) -> None:
    dump = netlink()
    for attributes in (dump[service][0], *dump[service][1]):
        name, _ = attributes[place % len(attributes)]
        attributes[place % len(attributes)] = (name, value)
    tried(lambda _: ipvs_netlink.parse(dump), b"")


async def test_a_path_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "ip_vs").write_bytes(PROC)
    table = await real_directors.table(Director("lvs", "ipvs", path=str(tmp_path / "ip_vs")))
    assert brief(table) == EXPECTED


def ipvs_here() -> bool:
    return Path(ipvs.PROC).exists()


async def test_a_kernel_without_ipvs() -> None:
    if ipvs_here():
        assert isinstance(await real_directors.table(Director("lvs", "ipvs")), DirectorTable)
    else:
        assert "modprobe ip_vs" in await real_directors.reason(Director("lvs", "ipvs"))
        netlink = await real_directors.reason(Director("lvs", "ipvs", socket="netlink"))
        assert "modprobe ip_vs" in netlink or "CAP_NET_ADMIN" in netlink or "pyroute2" in netlink
    assert "socket: netlink" in await real_directors.reason(Director("lvs", "ipvs", socket="/run/x"))


async def test_by_http() -> None:
    with misbehaving.Misbehaving(misbehaving.says(misbehaving.answer("200 OK", METRICS))) as server:
        table = await real_directors.table(Director("lvs", "ipvs", url=f"http://127.0.0.1:{server.port}/metrics"))
    assert table == ipvs_metrics.parse(METRICS)


def test_ten_thousand_servers_in_a_moment() -> None:
    """0.25 s on a core of 2020; the bound is for a slow and busy one."""
    page = "".join(
        f'node_ipvs_backend_{kind}{{local_address="10.9.{i >> 12}.1",local_mark="",local_port="80",proto="TCP",'
        f'remote_address="10.{i >> 16}.{i >> 8 & 255}.{i & 255}",remote_port="8080"}} {i % 50}\n'
        for kind in ("connections_active", "connections_inactive", "weight")
        for i in range(10_000)
    ).encode()
    begun = time.process_time()
    table = ipvs_metrics.parse(page)
    assert time.process_time() - begun < 3
    assert sum(len(reports) for reports in table.parts.values()) == 10_000
