"""Server cookies (RFC 7873) in the form all servers share (RFC 9018). Needs only floor 0.

A client that shows a cookie we made for it has received a packet at its address: its queries are not forged. The
cookie holds no state of ours, so any server with the same secret knows it.

  client cookie 8 | version 1, 0, 0, 0 | Unix time 4 | SipHash-2-4(secret, all before it | client's address) 8

Pure: `now` is Unix seconds. Hashes are remembered, because a resolver shows the same cookie for half an hour and a
hash costs as much as several answers. Must not know: options around the cookie, sockets.
"""

from __future__ import annotations

import struct

OLDEST = 3600  # RFC 9018 section 4.3: an older cookie is not valid
NEWEST = -300  # nor one from further in the future than clocks differ
RENEW = 1800  # an older one is valid, but a fresh one goes back
REUSE = 60  # a client that shows none gets the one made for it at most this long ago
REMEMBERED = 8192

_VERSION = b"\1\0\0\0"
_MASK = 0xFFFFFFFFFFFFFFFF
_WORD = struct.Struct("<Q")


class Cookies:
    """Makes and knows cookies. `secrets`: 16 bytes each; the first makes, all are known (RFC 9018 section 5)."""

    def __init__(self, secrets: tuple[bytes, ...]) -> None:
        self.proofs = 0
        """How many cookies were valid so far: who asks before and after knows of the one between."""
        self._secrets = secrets
        self._judged: dict[bytes, tuple[int, tuple[bytes, bool]]] = {}
        """Cookie + address: what was found in which second, for those who ask many times in one."""
        self._proved: dict[bytes, bool] = {}
        """Cookie + address whose hash was found right: whether by the first secret."""
        self._made: dict[bytes, tuple[int, bytes]] = {}
        """Client cookie + address: when a cookie was made for them, and it."""

    def judge(self, cookie: bytes, client: bytes, now: int) -> tuple[bytes, bool]:
        """The 24 bytes that answer a COOKIE option, and whether it proved its sender's address.

        | the option's server half                      | answer         | valid |
        |-----------------------------------------------|----------------|-------|
        | none, other length, other version, wrong hash | a fresh cookie | no    |
        | over an hour old, over 5 minutes in the future | a fresh cookie | no    |
        | over half an hour old, or by an older secret  | a fresh cookie | yes   |
        | else                                          | the same again | yes   |
        """
        key = cookie + client
        known = self._judged.get(key)
        if known is None or known[0] != now:
            if len(self._judged) >= REMEMBERED:
                self._judged.clear()
            known = self._judged[key] = now, self._judge(cookie, client, now)
        found = known[1]
        if found[1]:
            self.proofs += 1
        return found

    def _judge(self, cookie: bytes, client: bytes, now: int) -> tuple[bytes, bool]:
        if len(cookie) == 24:
            age = (now - int.from_bytes(cookie[12:16], "big")) & 0xFFFFFFFF
            if age >= 0x80000000:  # RFC 1982: time stamps are compared as serial numbers
                age -= 0x100000000
            if NEWEST <= age <= OLDEST:
                first = self._prove(cookie, client)
                if first is not None:
                    return (cookie if first and age <= RENEW else self.make(cookie[:8], client, now)), True
        return self.make(cookie[:8], client, now), False

    def _prove(self, cookie: bytes, client: bytes) -> bool | None:
        """Whether the first secret made a cookie; None: none did."""
        key = cookie + client
        known = self._proved.get(key)
        if known is not None:
            return known
        if cookie[8] != 1:
            return None
        text = cookie[:16] + client  # with the reserved bytes as they came: RFC 9018 section 4.2
        for place, secret in enumerate(self._secrets):
            if siphash24(secret, text) == cookie[16:]:
                if len(self._proved) >= REMEMBERED:
                    self._proved.clear()
                self._proved[key] = place == 0
                return place == 0
        return None

    def make(self, client_cookie: bytes, client: bytes, now: int) -> bytes:
        """A cookie for a client, at most `REUSE` seconds old."""
        key = client_cookie + client
        known = self._made.get(key)
        if known is not None and 0 <= now - known[0] <= REUSE:
            return known[1]
        text = client_cookie + _VERSION + (now & 0xFFFFFFFF).to_bytes(4, "big")
        cookie = text + siphash24(self._secrets[0], text + client)
        if len(self._made) >= REMEMBERED:
            self._made.clear()
        self._made[key] = (now, cookie)
        return cookie


def siphash24(key: bytes, data: bytes) -> bytes:
    """SipHash-2-4 (Aumasson and Bernstein, 2012): 8 bytes, as they stand in a cookie."""
    k0, k1 = struct.unpack("<2Q", key)
    a, b = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D
    c, d = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573
    padded = data + bytes(7 - len(data) % 8) + bytes((len(data) & 255,))
    for (word,) in _WORD.iter_unpack(padded):
        d ^= word
        a, b, c, d = _rounds(2, a, b, c, d)
        a ^= word
    a, b, c, d = _rounds(4, a, b, c ^ 0xFF, d)
    return _WORD.pack(a ^ b ^ c ^ d)


def _rounds(count: int, a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
    for _ in range(count):
        a = (a + b) & _MASK
        c = (c + d) & _MASK
        b = ((b << 13 | b >> 51) & _MASK) ^ a
        d = ((d << 16 | d >> 48) & _MASK) ^ c
        a = (a << 32 | a >> 32) & _MASK
        c = (c + b) & _MASK
        a = (a + d) & _MASK
        b = ((b << 17 | b >> 47) & _MASK) ^ c
        d = ((d << 21 | d >> 43) & _MASK) ^ a
        c = (c << 32 | c >> 32) & _MASK
    return a, b, c, d
