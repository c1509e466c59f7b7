"""Envoy's clusters: `/clusters?format=json` of its admin listener.

A part is a cluster. protobuf's JSON leaves out what is zero or false, and writes 64-bit numbers as texts.

| Envoy says of a host                                              | here                            |
|-------------------------------------------------------------------|---------------------------------|
| `failed_active_health_check`, `failed_outlier_check`,             | down, whatever else it says     |
| `excluded_via_immediate_hc_fail`, `active_hc_timeout`,            |                                 |
| eds_health_status UNHEALTHY or TIMEOUT                            |                                 |
| eds_health_status DRAINING, `pending_dynamic_removal`             | drain                           |
| `pending_active_hc`                                               | unknown: not checked yet        |
| eds_health_status HEALTHY, UNKNOWN or none                        | up                              |
| eds_health_status DEGRADED, `failed_active_degraded_check`,       | up, and backup: used when the   |
| a `priority` above the lowest                                     | better ones are too few         |
| `rq_active`; `cx_active` beyond that; `rq_total`                  | active; inactive; total         |
| address: `socket_address`; a pipe or an internal listener         | address and port; none          |
| `hostname`                                                        | server                          |

Must not know: HTTP, pools.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rrdns.directors import Fault
from rrdns.directors.reach import Reach, parsed
from rrdns.directors.words import address, count, from_json, name, page, shown
from rrdns.model import Director, DirectorTable, Report

_WHAT = "Envoy's /clusters"
_DOWN = ("failed_active_health_check", "failed_outlier_check", "excluded_via_immediate_hc_fail", "active_hc_timeout")
_EDS = {"UNHEALTHY": "down", "TIMEOUT": "down", "DRAINING": "drain", "HEALTHY": "up", "UNKNOWN": "up", "DEGRADED": "up"}
_EDS_NUMBERS = ("UNKNOWN", "HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED")


async def read(director: Director, reach: Reach) -> DirectorTable:
    answer = await reach.http(director, _url(director.url))
    return await parsed(parse, answer.whole())


def _url(url: str) -> str:
    """`http://127.0.0.1:9901` is enough: the page and its format are ours to know."""
    base, _, query = page(url, "/clusters").partition("?")
    if "format=" not in query:
        query = f"{query}&format=json" if query else "format=json"
    return f"{base}?{query}"


def parse(data: bytes) -> DirectorTable:
    if b"::observability_name::" in data[:65536] or b"::default_priority::" in data[:65536]:
        raise Fault(f"{_WHAT}: this is the text form; `url:` needs ?format=json at its end")
    root = _mapping(from_json(data, _WHAT), "the answer")
    if root and "cluster_statuses" not in root:
        raise Fault(f"{_WHAT}: no cluster_statuses in it; `url:` should end in /clusters?format=json")
    parts: dict[str, tuple[Report, ...]] = {}
    for item in _list(root.get("cluster_statuses", []), "cluster_statuses"):
        cluster = _mapping(item, "a cluster")
        title = cluster.get("name")
        if not isinstance(title, str) or not title:
            raise Fault(f"{_WHAT}: a cluster without a name")
        if name(title) in parts:
            raise Fault(f"{_WHAT}: the cluster {shown(title)} stands twice in it")
        parts[name(title)] = _hosts(_list(cluster.get("host_statuses", []), title), title)
    if not parts:
        raise Fault(f"{_WHAT}: this Envoy has no cluster")
    return DirectorTable(parts)


def _hosts(items: list[Any], cluster: str) -> tuple[Report, ...]:
    hosts = [_mapping(item, f"a host of {shown(cluster)}") for item in items]
    priorities = [_number(host, "priority", cluster) for host in hosts]
    best = min(priorities, default=0)
    return tuple(_host(host, cluster, priority > best) for host, priority in zip(hosts, priorities, strict=True))


def _host(host: Mapping[str, Any], cluster: str, later: bool) -> Report:
    where = _mapping(host.get("address", {}), "an address")
    inet = _mapping(where.get("socket_address", {}), "a socket_address")
    pipe = _mapping(where.get("pipe", {}), "a pipe")
    inner = _mapping(where.get("envoy_internal_address", {}), "an envoy_internal_address")
    own = address(str(inet.get("address", "")))
    names = (host.get("hostname"), pipe.get("path"), inner.get("server_listener_name"), inet.get("address"))
    title = next((one for one in (names[:3] if own else names) if one and isinstance(one, str)), "")
    if not title and not own:
        raise Fault(f"{_WHAT}: {shown(cluster)} has a host without name and address")
    word, why, degraded = _health(_mapping(host.get("health_status", {}), "a health_status"), cluster)
    requests, connections = _stat(host, "rq_active", cluster), _stat(host, "cx_active", cluster)
    port = _number(inet, "port_value", cluster)
    if port > 65535:
        raise Fault(f"{_WHAT}: {shown(cluster)} has a host with the port {port}")
    return Report(
        server=name(title),
        address=own,
        port=port,
        word=word,
        why=why,
        weight=_number(host, "weight", cluster) if "weight" in host else None,
        active=requests,
        inactive=max(connections - requests, 0),
        total=_stat(host, "rq_total", cluster),
        backup=later or degraded,
    )


def _health(health: Mapping[str, Any], cluster: str) -> tuple[str, str, bool]:
    """The word, Envoy's own words, and whether it is degraded."""
    eds = health.get("eds_health_status", "UNKNOWN")
    if isinstance(eds, int) and 0 <= eds < len(_EDS_NUMBERS):  # as protobuf may write an enum
        eds = _EDS_NUMBERS[eds]
    if not isinstance(eds, str) or eds not in _EDS:
        raise Fault(f"{_WHAT}: {shown(cluster)} has a host with the unknown eds_health_status {shown(eds)}")
    flags = [flag for flag, value in health.items() if value is True]
    why = ", ".join([eds, *(shown(flag) for flag in flags)])
    degraded = eds == "DEGRADED" or "failed_active_degraded_check" in flags
    if _EDS[eds] == "down" or any(flag in flags for flag in _DOWN):
        return "down", why, degraded
    if eds == "DRAINING" or "pending_dynamic_removal" in flags:
        return "drain", why, degraded
    if "pending_active_hc" in flags:
        return "unknown", why, degraded
    return "up", why, degraded


# ---------------------------------------------------------------- values with proto3's habits


def _stat(host: Mapping[str, Any], name: str, cluster: str) -> int:
    for item in _list(host.get("stats", []), "stats"):
        stat = _mapping(item, "a stat")
        if stat.get("name") == name:
            return _number(stat, "value", cluster)
    return 0


def _number(where: Mapping[str, Any], key: str, cluster: str) -> int:
    """A number, or a text of digits; left out means 0."""
    value = count(where.get(key, 0))
    if value is None:
        raise Fault(f"{_WHAT}: {shown(cluster)} has {key} {shown(where[key])}, which is no number")
    return value


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Fault(f"{_WHAT}: {what} is not an object")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise Fault(f"{_WHAT}: {shown(what)} is not a list")
    return value
