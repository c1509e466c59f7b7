"""`rrdns check`'s second look: what is allowed, loads, and is probably not meant. Pure.

Each doubt is a warning at the place in the file that it is about. What a single record or pool is doubtful for by
itself is said where it is read (`zonefile`); here stands what needs the whole data set: budgets and TTLs against
checks, members that would fail together, answers that are large. Must not know: files, YAML, how it is printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from rrdns import wire
from rrdns.model import DataSet, Member, Pool, Problem, Service, Zone
from rrdns.render import MAX_ADDRESSES
from rrdns.texts import plural
from rrdns.ui import budget, capacity
from rrdns.wire import name_to_text
from rrdns.zonefile.correcting import refusals
from rrdns.zonefile.places import Places

PLAIN_UDP = 512  # RFC 1035 section 4.2.1
LONG = 4  # a TTL that is so many times as long as a failure takes to be noticed makes checks pointless
SHORT = 60.0  # below that no TTL is long
PREFIXES = {4: 24, 6: 56}
_DOCUMENTATION = tuple(
    ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)
"""Addresses of examples (RFC 5737, RFC 3849) say nothing of where hosts stand."""


def doubts(dataset: DataSet, places: Places, udp_limit: int = 1232, hold: float = 60.0) -> Iterator[Problem]:
    """Everything, in no order."""
    for zone in dataset.zones.values():
        for service in zone.services:
            pool = dataset.pools[service.pool]
            yield from _budget(service, pool, dataset, places, hold)
            yield from _ttl(service, pool, dataset, places)
            yield from _negative(service, pool, zone, places)
        yield from _sizes(zone, dataset, places, udp_limit)
    used = {service.pool for zone in dataset.zones.values() for service in zone.services}
    for name in sorted(used):
        yield from _fate(dataset.pools[name], places)
    yield from capacity.overloads(dataset, places)
    for name, why in refusals(dataset).items():
        if why and dataset.pools[name].scheduler not in ("lc", "wlc"):  # of which it is said where they are read
            yield places.pools[name].warning(f"correct: would not be in force: {why}")


# ---------------------------------------------------------------- times


def _budget(service: Service, pool: Pool, dataset: DataSet, places: Places, hold: float) -> Iterator[Problem]:
    promise = budget.promise(service, pool, dataset, hold)
    if promise is None:
        return
    at = places.budgets[service.name]
    if promise.worst is None:
        yield at.problem(f"can't be kept: nothing takes a dead host out: {promise.remedy}")
    elif not promise.kept:
        text = f"is exceeded: a dead host can be answered for {promise.worst:.1f} s, {promise.wanted:g} s are allowed"
        yield at.problem(f"{text}; {promise.remedy}")
    elif promise.held is not None and promise.held > promise.wanted:
        text = f"is kept for one host that dies ({promise.worst:.1f} s); where many fall silent at once they are held "
        yield at.warning(f"{text}for up to {hold:g} s more (isolation_hold), for then the fault is probably our own")


def _ttl(service: Service, pool: Pool, dataset: DataSet, places: Places) -> Iterator[Problem]:
    found = budget.of(service, pool, dataset.checks)
    if found is None or len(pool.members) < 2 or service.budget is not None:
        return
    if service.ttl > max(SHORT, LONG * found.detect):
        text = f"a dead host is noticed within {found.detect:.1f} s, but caches keep it for up to {service.ttl} s"
        yield places.services[service.name].warning(f"{text}: a lower ttl is what makes the check worth it")


def _negative(service: Service, pool: Pool, zone: Zone, places: Places) -> Iterator[Problem]:
    """What "no address" costs: our SOA there has the service's TTL, but some caches go by its minimum alone."""
    if pool.when_down.word != "empty":
        return
    soa = next(one for one in zone.rrsets if one.type == wire.SOA)
    minimum = int.from_bytes(soa.rdatas[0][-4:], "big")
    if minimum > max(SHORT, service.ttl):
        text = f"when_down: empty answers 'no address', and caches that go by the SOA's minimum keep it for {minimum} s"
        text += f", longer than the ttl of {service.ttl} s: lower the minimum"
        yield places.services[service.name].warning(text)


# ---------------------------------------------------------------- who fails together


def _fate(pool: Pool, places: Places) -> Iterator[Problem]:
    at = places.pools[pool.name]
    loaded = [one for one in pool.members if one.weight] or list(pool.members)
    if helped(pool) or not loaded or (pool.following and not pool.members):
        return
    if len(loaded) == 1 and not loaded[0].hosts and all(one.use != "virtual" for one in pool.following):
        yield at.warning(f"{loaded[0].name} is the only member: when it fails there is nobody to take over")
        return
    network = common_network(loaded)
    if network is not None and len(loaded) > 1:
        yield at.warning(f"all {len(loaded)} members are in {network}: one switch or route takes them all down")
    shared = set.intersection(*(set(one.labels) for one in loaded))
    if shared and len(loaded) > 1:
        label = min(shared)
        yield at.warning(f"all {len(loaded)} members carry the label {label}: what takes {label} down takes them all")


def helped(pool: Pool) -> bool:
    """Whether another pool serves when this one can't."""
    return bool(pool.fallback or (pool.failover and (pool.failover.backup or pool.failover.partner)))


def common_network(members: list[Member]) -> IPv4Network | IPv6Network | None:
    """The /24 or /56 that all addresses of one family lie in, when there is no other family to fall back to; where
    a host name says them at run time, nobody knows."""
    found = set()
    if any(one.hosts for one in members):
        return None
    for one in members:
        for text in one.addresses:
            address = ip_address(text)
            if address.is_loopback or any(address in net for net in _DOCUMENTATION if net.version == address.version):
                return None
            found.add(ip_network(f"{text}/{PREFIXES[address.version]}", strict=False))
    families = {one.version for one in found}
    return min(found, key=str) if found and len(found) == len(families) else None


# ---------------------------------------------------------------- sizes


def largest(zone: Zone, dataset: DataSet) -> tuple[int, bytes, int]:
    """(bytes, name, type) of the largest answer of a zone: without EDNS, which adds 11."""
    return max(_answers(zone, dataset))


def _answers(zone: Zone, dataset: DataSet) -> Iterator[tuple[int, bytes, int]]:
    for rrset in zone.rrsets:
        records = sum(12 + len(data) for data in rrset.rdatas)
        yield 12 + len(rrset.name) + 4 + records, rrset.name, rrset.type
    for service in zone.services:
        addresses = [text for one in dataset.pools[service.pool].members for text in one.addresses]
        for rtype, size in ((wire.A, 4), (wire.AAAA, 16)):
            count = sum((":" in text) == (size == 16) for text in addresses)
            shown = min(count, service.answers or count, MAX_ADDRESSES)
            yield 12 + len(service.name) + 4 + shown * (12 + size), service.name, rtype


def _sizes(zone: Zone, dataset: DataSet, places: Places, udp_limit: int) -> Iterator[Problem]:
    """Answers that do not fit a packet. A pool's has as many of its addresses as fit, the others come in turn; any
    other comes truncated, and the client asks again over TCP, if it may."""
    for size, name, rtype in sorted(set(_answers(zone, dataset))):
        at = places.services.get(name) if rtype in (wire.A, wire.AAAA) else None
        at = at or places.sets.get((name, rtype))
        if at is None:
            continue
        what = f"the {wire.type_name(rtype)} answer has {size} bytes"
        of_pool = places.services.get(name) is at
        if size + 11 > udp_limit:
            then = "it has fewer addresses there" if of_pool else "it is cut off, and every client needs TCP"
            yield at.warning(f"{what}: over UDP, beyond udp_limit ({udp_limit}), {then}")
        elif size > PLAIN_UDP and of_pool:
            yield at.warning(f"{what}: clients without EDNS take {PLAIN_UDP}, and get fewer addresses")


def size_line(dataset: DataSet) -> str:
    """`largest answer: 312 bytes, mail.lb.example.com. MX`."""
    found = max((largest(zone, dataset) for zone in dataset.zones.values()), default=None)
    if found is None:
        return ""
    size, name, rtype = found
    over = "" if size <= PLAIN_UDP else f" (over {PLAIN_UDP}: not all of it by UDP without EDNS)"
    return f"largest answer: {plural(size, 'byte')}, {name_to_text(name)} {wire.type_name(rtype)}{over}"
