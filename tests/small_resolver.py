"""A name server of a few lines, by UDP on loopback, that says what the test wants, late or never; it counts."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

SILENT = "silent"


class Says(asyncio.DatagramProtocol):
    """`zone`: by name, a space and type its records as master-file lines, or an rcode's word, or SILENT; what is not
    there is NXDOMAIN. `late`: seconds each answer takes."""

    def __init__(self, zone: Mapping[str, str]) -> None:
        self.zone = dict(zone)
        self.late = 0.0
        self.asked: Counter[str] = Counter()
        self.under_way = self.most = 0
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        what = f"{str(question.name).lower()} {dns.rdatatype.to_text(question.rdtype)}"
        self.asked[what] += 1
        said = self.zone.get(what, "NXDOMAIN")
        if said == SILENT:
            return
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        asyncio.get_running_loop().call_later(self.late, self._answer, query, said, addr)

    def _answer(self, query: dns.message.Message, said: str, addr: tuple[str, int]) -> None:
        self.under_way -= 1
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        if said and "\n" not in said and " " not in said:
            reply.set_rcode(dns.rcode.from_text(said))
        else:
            for line in said.splitlines():
                owner, ttl, rtype, value = line.split()
                reply.answer.append(dns.rrset.from_text(owner, int(ttl), "IN", rtype, value))
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(reply.to_wire(), addr)


@contextlib.asynccontextmanager
async def resolver_that(zone: Mapping[str, str]) -> AsyncIterator[Says]:
    loop = asyncio.get_running_loop()
    transport, says = await loop.create_datagram_endpoint(lambda: Says(zone), local_addr=("127.0.0.1", 0))
    try:
        yield says
    finally:
        transport.close()
