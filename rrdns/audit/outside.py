"""Looks at our zones from outside: the parent's referral, its glue, and what each listed name server answers. Floor 4.

c-ares, behind `resolver`, hides referrals (an answer without records is an error to it), so those, and the name
servers themselves, are asked by `referral`. Must not know: what is wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from rrdns import wire
from rrdns.audit import referral
from rrdns.audit.delegation import Seen
from rrdns.checks.dns import BadReply, rcode_text
from rrdns.resolver import NoAnswer, Resolver
from rrdns.wire import name_from_text, name_to_text
from rrdns.zonefile import rdata

TOGETHER = 20  # questions under way
PORT = 53


async def look(zones: Iterable[str], resolver: str = "", port: int = PORT) -> dict[str, Seen]:
    """`resolver`: ADDR or ADDR:PORT, empty for the machine's own. `port`: where name servers are asked."""
    outside = _Outside(resolver, port)
    names = list(zones)
    return dict(zip(names, await asyncio.gather(*(outside.zone(one) for one in names)), strict=True))


class _Outside:
    def __init__(self, resolver: str, port: int) -> None:
        self._resolver = Resolver((resolver,) if resolver else (), TOGETHER)
        self._port = port
        self._turn = asyncio.Semaphore(TOGETHER)

    async def zone(self, zone: str) -> Seen:
        name = name_from_text(zone)
        if len(name) == 1:
            return Seen(fault="the root has no parent: nothing was looked at")
        try:
            parent, addresses = await self._parent(name)
            if not addresses:
                return Seen(fault=f"no name server of its parent {parent} could be found")
            listed = await self._referral(name, parent, addresses)
        except (NoAnswer, OSError) as error:
            return Seen(fault=f"its parent can't be found: {_words(error)}")
        if isinstance(listed, str):
            return Seen(parent, fault=listed)
        return Seen(parent, listed, await self._servers(name, listed))

    async def _parent(self, name: bytes) -> tuple[str, list[str]]:
        """The zone above, and its name servers' addresses."""
        upper = name
        while True:
            upper = wire.parent(upper)
            try:
                servers = await self._ask(name_to_text(upper), "NS")
            except NoAnswer:
                if len(upper) == 1:
                    raise
                continue
            if servers:
                found = await asyncio.gather(*(self._addresses(one) for one in servers))
                return name_to_text(upper), [address for each in found for address in each]
            if len(upper) == 1:
                return ".", []

    async def _referral(self, name: bytes, parent: str, addresses: list[str]) -> dict[str, list[str]] | str:
        """NS and glue in the parent's own words, from the first of its servers that answers; or what is wrong."""
        faults = []
        for address in addresses:
            try:
                async with self._turn:
                    said = await referral.ask(address, self._port, name, wire.NS)
            except (OSError, BadReply) as error:
                faults.append(f"{address}: {_words(error)}")
                continue
            if said.rcode:
                return f"its parent {parent} says {rcode_text(said.rcode)}: it is not delegated"
            listed: dict[str, list[str]] = {
                name_to_text(data): [] for owner, rtype, data in said.records if rtype == wire.NS and owner == name
            }
            for owner, rtype, data in said.records:
                if rtype in (wire.A, wire.AAAA) and name_to_text(owner) in listed:
                    listed[name_to_text(owner)].append(rdata.to_text(rtype, data))
            return listed or f"its parent {parent} has no NS for it: it is not delegated"
        return f"no name server of its parent {parent} answers ({'; '.join(faults[:3])})"

    async def _servers(self, name: bytes, listed: dict[str, list[str]]) -> dict[tuple[str, str], int | str]:
        """Each listed server by each of its addresses: glue, else what the world finds for its name."""
        found: dict[tuple[str, str], int | str] = {}
        for server, glue in listed.items():
            addresses = glue or await self._addresses(server)
            if not addresses:
                found[server, ""] = "its name has no address"
            for address in addresses:
                found[server, address] = await self._serial(name, address)
        return found

    async def _serial(self, name: bytes, address: str) -> int | str:
        try:
            async with self._turn:
                said = await referral.ask(address, self._port, name, wire.SOA)
        except (OSError, BadReply) as error:
            return f"does not answer for the zone: {_words(error)}"
        if said.rcode:
            return f"does not serve the zone: {rcode_text(said.rcode)}"
        soa = next((data for owner, rtype, data in said.records if rtype == wire.SOA and owner == name), None)
        if soa is None or not said.aa:
            return "does not serve the zone: its answer is not authoritative"
        return int.from_bytes(soa[-20:-16], "big")

    async def _addresses(self, name: str) -> list[str]:
        found: list[str] = []
        for rtype in ("A", "AAAA"):
            try:
                found += await self._ask(name, rtype)
            except NoAnswer:
                continue  # no address of that family; none at all is what the caller reports
        return found

    async def _ask(self, name: str, rtype: str) -> tuple[str, ...]:
        """The records of that type, as text. Raises NoAnswer."""
        return (await self._resolver.ask(name, rtype)).values


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
