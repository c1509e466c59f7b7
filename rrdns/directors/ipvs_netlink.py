"""IPVS by netlink, which alone tells the connections a server has had in total. The one place that imports pyroute2.

pyroute2 is synchronous here and runs in a thread: it brings a loop of its own, a dump takes about a millisecond a
server, and the kernel answers only who has CAP_NET_ADMIN. The totals are up to 2 s older than the rest: the kernel
adds them up that often. pyroute2's helper classes mix a server's weight up with a default (0.9.7), so attributes are
read as they came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rrdns.checks.words import plain
from rrdns.directors import Fault
from rrdns.directors.bounds import aside
from rrdns.directors.ipvs_parts import canonical, mark, part, report, table
from rrdns.model import DirectorTable, Report

WHERE = "the kernel's IPVS (netlink)"
_PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}
_FORWARD = {0: "Masq", 1: "Local", 2: "Tunnel", 3: "Route", 4: "Bypass"}  # linux/ip_vs.h

Attributes = Iterable[tuple[str, Any]]
Dump = list[tuple[Attributes, list[Attributes]]]

_busy = False


async def read() -> DirectorTable:
    return parse(await _once(_dump))


async def _once(dump: Callable[[], Dump]) -> Dump:
    """Never two threads at it: one that hangs in the kernel stays alone."""
    global _busy
    if _busy:
        raise Fault(f"{WHERE} has not answered the question before this one")

    def call() -> Dump:
        global _busy
        try:
            return dump()
        finally:
            _busy = False

    _busy = True
    try:
        return await aside(call)
    except RuntimeError as error:  # no thread to be had: `call` has not run
        _busy = False
        raise Fault(f"{WHERE} can't be asked: {plain(str(error))}") from None


def _dump() -> Dump:
    """Each service's attributes, with those of its servers."""
    try:
        from pyroute2 import IPVS, IPVSService, NetlinkError
    except ImportError:
        raise Fault("`socket: netlink` needs the Python package pyroute2: pip install 'rrdns[ipvs]'") from None
    try:
        with IPVS() as ipvs:
            services = list(ipvs.service("dump"))
            return [
                (
                    _inside(one, "IPVS_CMD_ATTR_SERVICE"),
                    [
                        _inside(server, "IPVS_CMD_ATTR_DEST")
                        for server in ipvs.dest("dump", service=IPVSService.from_message(one))
                    ],
                )
                for one in services
            ]
    except NetlinkError as error:
        if error.code in (1, 13):
            raise Fault(
                f"{WHERE} answers only who has CAP_NET_ADMIN: leave `socket: netlink` out, and /proc/net/ip_vs is "
                "read, which needs no rights and lacks only the totals"
            ) from None
        if error.code == 2:
            raise Fault(f"{WHERE}: the kernel here has no IPVS (modprobe ip_vs)") from None
        raise Fault(f"{WHERE}: error {error.code}") from None
    except OSError as error:
        raise Fault(f"{WHERE}: {plain(str(error))}") from None


def _inside(message: Any, name: str) -> Attributes:
    found: Attributes = message.get_attr(name)["attrs"]
    return found


def parse(dump: Dump) -> DirectorTable:
    parts: dict[str, list[Report]] = {}
    for service, servers in dump:
        try:
            here = parts.setdefault(_part(dict(service)), [])
            here.extend(_server(dict(one)) for one in servers)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Fault(f"{WHERE} answered something that is no table: {plain(repr(error))}") from None
    return table(parts)


def _part(of: dict[str, Any]) -> str:
    if of.get("IPVS_SVC_ATTR_FWMARK"):
        return mark(_number(of["IPVS_SVC_ATTR_FWMARK"], 32))
    proto = _PROTOCOLS[of["IPVS_SVC_ATTR_PROTOCOL"]]
    return part(proto, _address(of["IPVS_SVC_ATTR_ADDR"]), _number(of["IPVS_SVC_ATTR_PORT"], 16))


def _server(of: dict[str, Any]) -> Report:
    counters = of.get("IPVS_DEST_ATTR_STATS64") or of.get("IPVS_DEST_ATTR_STATS")
    total = dict(counters["attrs"]).get("IPVS_STATS_ATTR_CONNS") if counters else None
    return report(
        _address(of["IPVS_DEST_ATTR_ADDR"]),
        _number(of["IPVS_DEST_ATTR_PORT"], 16),
        _number(of["IPVS_DEST_ATTR_WEIGHT"], 32),
        _number(of["IPVS_DEST_ATTR_ACTIVE_CONNS"], 32),
        _number(of["IPVS_DEST_ATTR_INACT_CONNS"], 32),
        _FORWARD.get(_number(of["IPVS_DEST_ATTR_FWD_METHOD"], 32) & 7, ""),
        None if total is None else _number(total, 64),
    )


def _address(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("an address that is none")
    return canonical(value)


def _number(value: object, bits: int) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << bits:
        raise ValueError("a number that is none")
    return value
