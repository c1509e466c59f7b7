"""One question to one name server over UDP, and what it says in all sections: referrals, for whom c-ares has no room
(it gives nothing where the answer section is empty). Reads with the dns check's careful reader. Floor 4.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import cast

from rrdns import wire
from rrdns.checks import dns
from rrdns.model import DnsProbe


@dataclass(frozen=True, slots=True)
class Said:
    """`records`: (name, type, rdata) of all sections, names in wire form and lower case."""

    rcode: int
    aa: bool
    records: tuple[tuple[bytes, int, bytes], ...]


class _Talk(asyncio.DatagramProtocol):
    def __init__(self, query: bytes) -> None:
        self._query = query
        self.reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.DatagramTransport, transport).sendto(self._query)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.reply.done() and dns.is_reply(data, self._query):
            self.reply.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(exc)


async def ask(address: str, port: int, name: bytes, qtype: int, patience: float = 2.0) -> Said:
    """Without recursion. Raises OSError (TimeoutError too) and dns.BadReply."""
    query = dns.question(secrets.randbits(16), DnsProbe(name, qtype))
    talk = _Talk(query)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(patience):
        transport, _ = await loop.create_datagram_endpoint(lambda: talk, remote_addr=(address, port))
        try:
            reply = await talk.reply
        finally:
            transport.close()
    records = tuple(dns.records(reply, query))
    return Said(reply[3] & 15, bool(reply[2] & wire.AA >> 8), records)
