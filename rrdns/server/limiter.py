"""Limiter: how many replies a second the addresses of one prefix may get by UDP. Apart; needs nothing.

A forged source address makes a server send its answers to somebody who never asked. So each client prefix (/24,
/56: what one network has) gets `rate` replies a second and a second's worth at once. Of the replies beyond that
every `slip`-th goes out cut off (TC), so that an honest client in a forged network comes back by TCP, where an
address can't be forged; the others stay unsent. Exempt networks are neither limited nor counted.

The table is a fixed number of buckets, taken by a keyed hash of the prefix: a flood from millions of forged
networks costs no memory, and whom a bucket is shared with can't be chosen from outside. A bucket is one number,
the time at which it would be empty again (the generic cell rate algorithm, a token bucket without a refill).

    bucket empty again   reply
    by now + 1 second    sent, and the bucket is 1 / rate fuller   (less half a reply, see `_slack`)
    later                one in `slip` cut off, the others unsent;  slip 0: all unsent

Pure: `now` is an argument. Must not know: sockets, what is in a reply (but for `cut_off`: where it ends).
"""

from __future__ import annotations

import ipaddress
from array import array
from collections.abc import Iterable, Sequence

BUCKETS = 65536
BURST = 1.0  # seconds of the rate that may come at once
PREFIX4, PREFIX6 = 3, 7  # bytes: /24 and /56

OPT = 41
TC = 0x02  # in the third byte of a message


class Limiter:
    """`rate` replies a second for each prefix; `secret` keys the hash: unknown outside, different each start."""

    def __init__(
        self, rate: float, slip: int = 1, exempt: Iterable[str] = (), *, secret: bytes = b"", buckets: int = BUCKETS
    ) -> None:
        if buckets & (buckets - 1):
            raise ValueError(f"{buckets} buckets: must be a power of two")
        self.limited = 0
        """Replies beyond the rate so far: cut off or unsent."""
        self._cost = 1.0 / rate
        self._slack = max(BURST - self._cost / 2, 0.0)  # half a reply: sums of floats don't decide
        self._slip = slip
        self._secret = secret
        self._mask = buckets - 1
        self._empty_at = array("d", bytes(8 * buckets))
        nets = [ipaddress.ip_network(one) for one in exempt]
        self._exempt = {
            size: [(int(net.netmask), int(net.network_address)) for net in nets if net.max_prefixlen == 8 * size]
            for size in (4, 16)
        }

    def over(self, addresses: Sequence[bytes], now: float) -> tuple[list[int], int]:
        """Counts a reply to each address (packed, all of one family): the positions of those beyond the rate, and
        how many of these, the first, go out cut off. (So that what is sent stands together: one system call.)"""
        if not addresses:
            return [], 0
        size = len(addresses[0])
        length = PREFIX4 if size == 4 else PREFIX6
        exempt, secret, mask, empty_at = self._exempt[size], self._secret, self._mask, self._empty_at
        cost, full = self._cost, now + self._slack
        found: list[int] = []
        for position, address in enumerate(addresses):
            if exempt:
                number = int.from_bytes(address, "big")
                if any(number & netmask == network for netmask, network in exempt):
                    continue
            bucket = hash(address[:length] + secret) & mask
            level = empty_at[bucket]
            if level <= full:
                empty_at[bucket] = (level if level > now else now) + cost
            else:
                found.append(position)
        before = self.limited
        self.limited += len(found)
        return found, self.limited // self._slip - before // self._slip if self._slip else 0


def cut_off(reply: bytes) -> bytes:
    """A whole reply of ours with TC: its header and question, and the OPT where it has one; nothing else."""
    at = 12
    if reply[4:6] != b"\0\1":
        return reply  # a header alone: smaller it can't be
    while reply[at]:
        at += reply[at] + 1
    end = at = at + 5
    opt = b""
    records = sum(int.from_bytes(reply[place : place + 2], "big") for place in (6, 8, 10))
    for _ in range(records):
        start = at
        while 0 < reply[at] < 0xC0:
            at += reply[at] + 1
        at += 2 if reply[at] else 1
        behind = at + 10 + int.from_bytes(reply[at + 8 : at + 10], "big")
        if int.from_bytes(reply[at : at + 2], "big") == OPT:
            opt = reply[start:behind]
        at = behind
    head = reply[:2] + bytes((reply[2] | TC, reply[3])) + b"\0\1\0\0\0\0" + bytes((0, bool(opt)))
    return head + reply[12:end] + opt
