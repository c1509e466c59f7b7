"""The icmp check: one echo request, and the reply to it (RFC 792, RFC 4443).

Pings of one family share a socket: of a raw one each would hear the replies to all. A datagram one is tried first, for
which the kernel asks only that a group of ours is in net.ipv4.ping_group_range; then a raw one, which takes
CAP_NET_RAW. A reply counts when it comes from the address asked and carries the token of the request.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import socket
import struct
import time
from ipaddress import ip_address
from pathlib import Path

from rrdns.checks.words import fault, seconds
from rrdns.model import IcmpProbe, Result, Target

_RANGE = Path("/proc/sys/net/ipv4/ping_group_range")  # for IPv6 too
_HEADER = struct.Struct("!BBHHH")
_TOKEN = 16
_ECHO, _REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
_SOL_RAW, _ICMP_FILTER = 255, 1  # linux/socket.h, linux/icmp.h
_READS = 256  # datagrams in one turn of the loop


class Pinger:
    """The socket of one family and those who wait for a reply on it; closed when nobody does."""

    def __init__(self, version: int) -> None:
        """OSError if there is no socket to be had: with EPERM or EACCES, because it is not permitted."""
        self._version = version
        self._family = socket.AF_INET if version == 4 else socket.AF_INET6
        protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
        self.raw = False
        try:
            self._socket = socket.socket(self._family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, protocol)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EACCES, errno.EPROTONOSUPPORT):
                raise
            self._socket = socket.socket(self._family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
            self.raw = True
            if version == 4:
                self._socket.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", ~(1 << _REPLY[4]) & 0xFFFFFFFF))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._ident = os.getpid() & 0xFFFF
        self._number = 0
        self._waiting: dict[tuple[str, bytes], asyncio.Future[None]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._read)

    async def ping(self, address: str) -> None:
        """Returns with the reply."""
        key = str(ip_address(address.partition("%")[0])), secrets.token_bytes(_TOKEN)
        heard = self._waiting[key] = self._loop.create_future()
        try:
            where = socket.getaddrinfo(address, 0, self._family, flags=socket.AI_NUMERICHOST)[0][4]
            self._socket.sendto(self._request(key[1]), where)
            await heard
        finally:
            del self._waiting[key]
            if not self._waiting:
                self.close()

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        _pingers.pop((self._loop, self._version), None)

    def _request(self, token: bytes) -> bytes:
        self._number = (self._number + 1) & 0xFFFF
        packet = _HEADER.pack(_ECHO[self._version], 0, 0, self._ident, self._number) + token
        if self.raw and self._version == 4:  # elsewhere the kernel sums up
            packet = packet[:2] + checksum(packet).to_bytes(2, "big") + packet[4:]
        return packet

    def _read(self) -> None:
        for _ in range(_READS):
            if self._socket.fileno() < 0:
                return
            try:
                packet, (source, *_) = self._socket.recvfrom(512)
            except OSError:  # nothing more; or an earlier datagram's error, which its own deadline will tell
                return
            if self.raw and self._version == 4:
                packet = packet[(packet[0] & 15) * 4 :] if packet else b""
            if len(packet) >= _HEADER.size + _TOKEN and packet[0] == _REPLY[self._version]:
                token = packet[_HEADER.size : _HEADER.size + _TOKEN]
                heard = self._waiting.get((source.partition("%")[0], token))
                if heard and not heard.done():
                    heard.set_result(None)


_pingers: dict[tuple[asyncio.AbstractEventLoop, int], Pinger] = {}


def checksum(packet: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def missing() -> str:
    """What this process lacks to ping, in words; "" if nothing."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
            return ""
        except OSError:
            continue
    return f"no permission to send ICMP: {_lacking()}"


def _lacking() -> str:
    try:
        low, high = _RANGE.read_text().split()
        among = f"(now {low} {high})"
    except (OSError, ValueError):
        among = "(which can't be read)"
    groups = ", ".join(map(str, sorted({os.getegid(), *os.getgroups()})))
    return f"neither is a group of ours ({groups}) in net.ipv4.ping_group_range {among}, nor is there CAP_NET_RAW"


def _pinger(version: int) -> Pinger:
    key = asyncio.get_running_loop(), version
    if key not in _pingers:
        _pingers[key] = Pinger(version)
    return _pingers[key]


async def probe(target: Target, asked: IcmpProbe) -> Result:
    begun = time.monotonic()
    ok = silent = ours = False
    try:
        pinger = _pinger(ip_address(target.address.partition("%")[0]).version)
    except PermissionError:
        return Result(False, f"not asked: no permission to send ICMP: {_lacking()}", void=True)
    except OSError as error:
        reason, silent, ours = fault(error)
        return Result(False, reason, time.monotonic() - begun, silent, ours)
    try:
        async with asyncio.timeout(target.check.timeout) as limit:
            await pinger.ping(target.address)
            ok, reason = True, "echo reply"
    except OSError as error:
        if isinstance(error, TimeoutError) and limit.expired():
            silent, reason = True, f"no echo reply in {seconds(target.check.timeout)}"
        else:
            reason, silent, ours = fault(error)
    return Result(ok, reason, time.monotonic() - begun, silent, ours)
