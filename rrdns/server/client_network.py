"""The network a question comes from, for rings in which a client always finds the same slot (`sh`). Needs only floor 0.

Pure. It is the Client Subnet option's (RFC 7871) where a resolver sends one, else the sender's own address; of both
no more than a /24 or a /56 counts, so that a household or an office is one client. Nothing is worked out before a
ring wants it. Must not know: names, sockets.
"""

from __future__ import annotations

from zlib import crc32

from rrdns.answers import Body
from rrdns.server.edns import Asker
from rrdns.server.rings import Ring

GOLDEN = 0x9E3779B1
"""Checksums of neighbours differ in few bits; multiplied by this they are spread over the upper ones."""

BITS = {1: 24, 2: 56}  # by address family, as RFC 7871 numbers them


class ClientNetwork:
    """One question's. `scope`: how many bits of its Client Subnet the answer depended on."""

    __slots__ = ("_asker", "_number", "_subnet", "scope")

    def __init__(self, asker: Asker, subnet: bytes | None = None) -> None:
        self._asker = asker
        self._subnet = subnet
        self._number = -1
        self.scope = 0

    def take(self, ring: Ring) -> Body:
        """The next body of the ring, or the one that is this network's."""
        if not ring.hashed:
            return ring.take()
        if self._number < 0:
            self._number = (crc32(self._bytes()) * GOLDEN & 0xFFFFFFFF) >> 10
        return ring.take_at(self._number % len(ring.slots))

    def _bytes(self) -> bytes:
        """
        | Client Subnet                 | what counts                           | scope     |
        |-------------------------------|---------------------------------------|-----------|
        | none                          | the sender's address, 24 or 56 bits   | 0         |
        | SOURCE 0: "do not look at me" | the sender's address                  | 0         |
        | longer than 24 or 56 bits     | that many bits of it                  | 24 or 56  |
        | shorter                       | what there is of it                   | as SOURCE |
        """
        option = self._subnet
        if option is not None and option[2]:
            family, source = option[1], option[2]
            self.scope = min(source, BITS[family])
            return _prefix(option[4:], self.scope)
        address = self._asker()[0]
        return _prefix(address, BITS[1 if len(address) == 4 else 2])


def _prefix(address: bytes, bits: int) -> bytes:
    """The first `bits` of an address, the rest of the last byte zero."""
    whole, rest = divmod(bits, 8)
    if not rest:
        return address[:whole]
    return address[:whole] + bytes((address[whole] & 0xFF00 >> rest & 0xFF,))
