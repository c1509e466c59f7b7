"""The shape of directors and of a pool's word that it follows one, as pydantic models. See `directors.py` for the use.

Which keys a type of director takes, and by which key a pool names the part of its table. Must not know: YAML
positions, pools, how a director is asked.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from rrdns.zonefile import readers
from rrdns.zonefile.scalars import show
from rrdns.zonefile.shape_values import Address, Field, Model, Name, Reads, seconds, text, whole, words

# ---------------------------------------------------------------- single values


def _url(value: object) -> str:
    found = readers.text(value)
    try:
        parts = urlsplit(found)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"{show(found)} is no URL: write http://10.0.0.5:9100/metrics") from None
    if parts.scheme not in ("http", "https") or not host or not found.isascii() or not found.isprintable():
        raise ValueError(f"{show(found)} is no URL: write http://10.0.0.5:9100/metrics")
    if " " in found or "#" in found:
        raise ValueError("a blank or # can't stand in a URL here: write %20, %23")
    if parts.username is not None or parts.password is not None:
        raise ValueError("no credentials in a URL: use user: and password_file: (or password_env:)")
    return found


def _host(value: object) -> str:
    """A host, or host:port."""
    found = readers.text(value)
    try:
        address = ip_address(found)
    except ValueError:
        return readers.host(found) if ":" not in found else _endpoint(found)
    return f"[{address}]" if isinstance(address, IPv6Address) else str(address)


def _endpoint(value: object) -> str:
    """`host:port`."""
    found = readers.text(value)
    host, colon, port = found.rpartition(":")
    bare = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host
    good = bool(colon) and port.isascii() and port.isdecimal() and 0 < int(port) < 65536 and len(port) < 6
    if ":" in bare and bare is host:
        raise ValueError(f"{show(found)}: an IPv6 address needs brackets here: '[2001:db8::1]:4330'")
    if not good or not bare or not re.fullmatch(r"[0-9A-Za-z_.:-]+", bare):
        raise ValueError(f"{show(found)} is not host:port, such as 10.0.0.5:4330")
    return found


def _socket(value: object) -> str:
    """A unix socket's path, or host:port."""
    found = readers.text(value)
    if found.startswith("/"):
        return _path(found)
    try:
        return _endpoint(found)
    except ValueError as error:
        raise ValueError(f"{error}, nor the path of a unix socket (/run/haproxy/admin.sock)") from None


def _path(value: object) -> str:
    found = readers.text(value)
    if not found.startswith("/") or not found.isprintable():
        raise ValueError(f"{show(found)} is no absolute path: it must begin with /")
    return found


def _variable(value: object) -> str:
    found = readers.text(value)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", found):
        raise ValueError(f"{show(found)} is not the name of an environment variable")
    return found


def virtual_service(value: object) -> str:
    """A virtual service as directors' tables name it: `203.0.113.10:80`, with `/udp`; `[2001:db8::1]:80`; `fwm:7`."""
    found = readers.text(value)
    example = "write 203.0.113.10:80, 203.0.113.10:53/udp, '[2001:db8::1]:80' or fwm:7"
    if mark := re.fullmatch(r"fwm:([0-9]{1,10})", found):
        return f"fwm:{int(mark[1])}"
    parts = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})(?:/(tcp|udp|sctp))?", found)
    if parts is None or not 0 < int(parts[3]) < 65536:
        raise ValueError(f"{show(found)} is no virtual service: {example}")
    try:
        address = ip_address(parts[1] or parts[2])
    except ValueError:
        raise ValueError(f"{show(found)} is no virtual service: {example}") from None
    host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    return f"{host}:{int(parts[3])}" + (f"/{parts[4]}" if parts[4] in ("udp", "sctp") else "")


def _map(value: object) -> tuple[tuple[str, str], ...]:
    """`{network or address there: the same here}`; the longer prefixes first, so that the first that fits counts."""
    if not isinstance(value, dict) or not value:
        raise ValueError("is no mapping `network there: network here`, such as {10.0.0.0/24: 203.0.113.0/24}")
    found = []
    for there, here in value.items():
        pair = []
        for one in (there, here):
            try:
                pair.append(ip_network(one if isinstance(one, str) else readers.text(one)))
            except ValueError as error:
                why = "has bits set behind its prefix" if "host bits" in str(error) else "is no address or network"
                raise ValueError(f"{show(one)} {why}") from None
        if (pair[0].version, pair[0].prefixlen) != (pair[1].version, pair[1].prefixlen):
            raise ValueError(f"{pair[0]} and {pair[1]} are not of one size: give both the same prefix length")
        found.append((pair[0].prefixlen, str(pair[0]), str(pair[1])))
    return tuple((there, here) for _, there, here in sorted(found, key=lambda one: (-one[0], one[1])))


def _herald(value: object) -> str:
    """`ka1`, a director of type keepalived, or `ka1/VI_2`, one VRRP instance of it."""
    found = readers.text(value)
    name, slash, instance = found.partition("/")
    readers.name(name)
    if slash and (not instance.strip() or not instance.isprintable() or len(instance) > 255):
        raise ValueError(f"{show(found)} names no VRRP instance behind the slash: write {name}, or {name}/VI_1")
    return found


_Herald = Annotated[str, text(_herald)]
_Url = Annotated[str, Reads(_url, type="string", pattern="^https?://")]
_File = Annotated[str, Reads(_path, type="string", pattern="^/")]
_TEXTS: dict[str, object] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {}}]}

# ---------------------------------------------------------------- directors


class _Director(Model):
    interval: Annotated[float, seconds(0.1, 86400)] = Field(2.0, description="time between two readings")
    timeout: Annotated[float, seconds(0.01, 600)] = Field(2.0, description="longest time one reading may take")
    stale_after: Annotated[float, seconds(0.1, 7 * 86400)] = Field(
        30.0, description="how long its last word holds while it can't be read"
    )
    master: _Herald | None = Field(
        None, description="who says whether it is the master: ka1, of type keepalived, or ka1/VI_1, one VRRP instance"
    )


class _Web(_Director):
    user: Annotated[str, text(readers.header_value)] = ""
    password_file: _File | None = Field(None, description="a file that holds the password and nothing else")
    password_env: Annotated[str | None, text(_variable)] = Field(None, description="the variable that holds it")
    verify: Annotated[bool, Reads(readers.truth, type="boolean")] = Field(True, description="check the certificate")


class IpvsDirector(_Web):
    """LVS: this machine's own table (socket: netlink for its counters), a copy of it by path, a node_exporter's page
    by url."""

    type: Literal["ipvs"]
    socket: Annotated[str | None, words("netlink")] = Field(None, description="netlink: ask the kernel, as root")
    url: _Url | None = None
    path: _File | None = None


class HaproxyDirector(_Web):
    """HAProxy: its stats socket, or its stats page by url."""

    type: Literal["haproxy"]
    socket: Annotated[str | None, text(_socket)] = Field(None, description="/run/haproxy/admin.sock, or host:port")
    url: _Url | None = None


class WebDirector(_Web):
    """A status page, or a JSON document of your own (http)."""

    type: Literal["squid", "apache", "mod_jk", "envoy", "http"]
    url: _Url


class KeepalivedDirector(_Director):
    """keepalived, by its notify_fifo, its notify log or JSON dump: whether it is the master. It lists no servers; name
    it as `master:` of another director."""

    type: Literal["keepalived"]
    fifo: _File | None = Field(None, description="its notify_fifo; may stand beside path: or command:")
    path: _File | None = None
    command: Annotated[tuple[str, ...], Reads(readers.command, **_TEXTS)] = ()


class LbcdDirector(_Director):
    """One host's lbcd."""

    type: Literal["lbcd"]
    socket: Annotated[str, text(_host)] = Field(description="the host, or host:port; 4330 if not said")


class FileDirector(_Director):
    """A file with a list of servers, read again when it changes."""

    type: Literal["file"]
    path: _File


class CommandDirector(_Director):
    """A program that prints a list of servers."""

    type: Literal["command"]
    command: Annotated[tuple[str, ...], Reads(readers.command, **_TEXTS)]


AnyDirector = (
    IpvsDirector | HaproxyDirector | WebDirector | KeepalivedDirector | LbcdDirector | FileDirector | CommandDirector
)
DIRECTORS: dict[str, type[_Director]] = {
    "ipvs": IpvsDirector,
    "haproxy": HaproxyDirector,
    "squid": WebDirector,
    "apache": WebDirector,
    "mod_jk": WebDirector,
    "envoy": WebDirector,
    "keepalived": KeepalivedDirector,
    "lbcd": LbcdDirector,
    "file": FileDirector,
    "http": WebDirector,
    "command": CommandDirector,
}

# ---------------------------------------------------------------- following

PARTS: dict[str, tuple[str, bool]] = {
    "ipvs": ("virtual", True),
    "haproxy": ("backend", True),
    "apache": ("balancer", True),
    "mod_jk": ("worker", True),
    "envoy": ("cluster", True),
    "squid": ("peers", False),
    "lbcd": ("", False),
    "file": ("part", False),
    "http": ("part", False),
    "command": ("part", False),
}
"""By type of director: the key by which a pool says which part of the table it follows, and whether it is needed."""
PART_KEYS = tuple(dict.fromkeys(key for key, _ in PARTS.values() if key))


class FollowModel(Model):
    """Which director, which part of its table, and what to make of it."""

    name: Name = Field(description="a director of the section directors")
    virtual: Annotated[str | None, text(virtual_service)] = Field(None, description="ipvs: 203.0.113.10:80, or fwm:7")
    backend: Annotated[str | None, text()] = Field(None, description="haproxy")
    balancer: Annotated[str | None, text()] = Field(None, description="apache, without balancer://")
    worker: Annotated[str | None, text()] = Field(None, description="mod_jk: the load balancing worker")
    cluster: Annotated[str | None, text()] = Field(None, description="envoy")
    peers: Annotated[str | None, text()] = Field(None, description="squid")
    part: Annotated[str | None, text()] = Field(None, description="file, http, command: the name of a list")
    use: Annotated[str | None, words("real-servers", "virtual")] = Field(
        None, description="virtual: the members are directors' VIPs"
    )
    map: Annotated[tuple[tuple[str, str], ...], Reads(_map, type="object")] = Field(
        (), description="where NAT hides the servers: {network there: network here}"
    )
    sorry: Address | None = Field(None, description="the sorry server's address there")
    weight_zero: Annotated[str, words("drain", "down")] = Field("drain", description="what weight 0 there means")
    quorum: Annotated[int, whole(1, 65535)] = Field(1, description="servers that must be up behind a VIP")
    master: _Herald | None = Field(
        None, description="who says whether it is the master for this part: ka1, or ka1/VI_1, one VRRP instance"
    )


def _follow_shape() -> dict[str, Any]:
    one = FollowModel.model_json_schema()
    items = {"anyOf": [{"type": "string"}, one]}
    return {"anyOf": [{"type": "string"}, one, {"type": "array", "items": items}]}


FOLLOW_SHAPE = _follow_shape()
"""What editors are shown for `director:`."""
