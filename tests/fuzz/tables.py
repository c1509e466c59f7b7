"""Tables to ask, and a clock and client that never change, so that two tables asked the same say the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from small_zone import ZONE, addresses, name, small_zone, soa

from rrdns.answers import AUTHORITATIVE, NAME, AnswerSet, Changes, Node, ZoneAnswers, key
from rrdns.server.edns import Policy
from rrdns.server.respond import AnswerTable

SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
POLICIES = (
    Policy(),
    Policy(
        nsid=b"server-1", secrets=(SECRET,), ede=True, keepalive=100, version_text=b"rrdns", hostname_text=b"x" * 255
    ),
    Policy(nsid=b"n" * 128, secrets=(SECRET, bytes(16)), cookie_required_udp=True),
)


def client() -> tuple[bytes, int]:
    """Who asks: 192.0.2.1, always in the same second."""
    return bytes((192, 0, 2, 1)), 1_800_000_000


def table(policy: Policy) -> AnswerTable:
    made = AnswerTable(policy=policy)
    made.stage(small_zone())
    made.commit(1, fresh=True)
    return made


def other_zone() -> Changes:
    """small_zone() after a busy day: names came, went and became something else."""
    now = small_zone()
    sets, nodes = dict(now.sets), dict(now.nodes)
    for gone in ("mail", "*.wild", "wild", "cut", "moved", "alias2"):
        nodes.pop(name(f"{gone}.lb.example.com."))
        sets = {one: ring for one, ring in sets.items() if one[:-2] != name(f"{gone}.lb.example.com.")}
    for new, address in (("nothing", "192.0.2.70"), ("moved", "192.0.2.71"), ("x.cut", "192.0.2.72")):
        nodes[name(f"{new}.lb.example.com.")] = Node(ZONE, NAME)
        sets[key(name(f"{new}.lb.example.com."), 1)] = AnswerSet((addresses(address),))
    nodes[name("cut.lb.example.com.")] = Node(ZONE, NAME)
    www = (addresses("192.0.2.80", "192.0.2.81"), addresses("192.0.2.82"))
    sets[key(name("www.lb.example.com."), 1)] = AnswerSet(www, (0, 1, 1), True)
    before = now.zones[ZONE]
    zones = {ZONE: ZoneAnswers(soa(AUTHORITATIVE, 30), before.nxdomain, before.any)}
    return Changes(sets, nodes, zones)


STATES = (small_zone(), other_zone())


def difference(old: Changes, new: Changes) -> Changes:
    def part(before: Mapping[bytes, Any], after: Mapping[bytes, Any]) -> dict[bytes, Any]:
        found = {one: None for one in before if one not in after}
        return found | {one: what for one, what in after.items() if before.get(one) != what}

    return Changes(part(old.sets, new.sets), part(old.nodes, new.nodes), part(old.zones, new.zones))
