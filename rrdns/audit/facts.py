"""What an audit needs to know of a server's files, as JSON-ready data. Floor 3, pure. Must not know: findings."""

from __future__ import annotations

from typing import Any

from rrdns import wire
from rrdns.model import DataSet, HttpProbe, RRset, State, Target, TlsProbe, Zone
from rrdns.roster.roster import Roster
from rrdns.zonefile import rdata

Json = dict[str, Any]


def facts(roster: Roster) -> Json:
    """The kinds of the checks, what pools lean on, and each zone's name servers as its own records name them."""
    data = roster.dataset
    return {
        "checks": {name: {"type": one.type} for name, one in sorted(data.checks.items())},
        "pools": {
            name: {
                "checks": list(pool.checks),
                "helpers": helpers(data, name),
                "priority": {one.name: one.priority for one in pool.members},
            }
            for name, pool in sorted(data.pools.items())
        },
        "zones": {wire.name_to_text(name): name_servers(zone) for name, zone in sorted(data.zones.items())},
    }


def helpers(data: DataSet, name: str) -> list[str]:
    """The pools that may serve instead of this one."""
    pool = data.pools[name]
    rule = pool.failover
    found = [rule.backup, rule.partner] if rule else []
    return [one for one in (*found, pool.fallback) if one]


def name_servers(zone: Zone) -> Json:
    """`ns` by name, with the addresses that the zone itself has for them; and the serial."""
    sets: dict[tuple[bytes, int], RRset] = {(one.name, one.type): one for one in zone.rrsets}
    found: Json = {}
    for data in sets[zone.name, wire.NS].rdatas:
        name = data.lower()
        own = [sets[name, rtype] for rtype in (wire.A, wire.AAAA) if (name, rtype) in sets]
        found[wire.name_to_text(name)] = [rdata.to_text(one.type, each) for one in own for each in one.rdatas]
    return {"ns": found, "serial": zone.serial}


def up_targets(roster: Roster) -> list[Target]:
    """Those that pass now: of others there is nothing to ask."""
    return [one for key, one in sorted(roster.targets().items()) if roster.health(key).state is State.UP]


def speaks_http(target: Target) -> bool:
    return isinstance(target.check.probe, HttpProbe)


def shows_certificate(target: Target) -> bool:
    return isinstance(target.check.probe, TlsProbe) or bool(getattr(target.check.probe, "tls", False))
