"""The tls check: a handshake, and how long the server's certificate still lasts.

The end is read from the certificate's own bytes (DER), for Python shows its fields only where it verified. Must not
know: HTTP or anything else spoken inside; what else is wrong with a certificate (`tls`).
"""

from __future__ import annotations

import datetime
import ssl
import time

from rrdns.checks import tls
from rrdns.checks.conversation import Conversation
from rrdns.checks.stream import in_tls
from rrdns.checks.words import ago, plain
from rrdns.model import Result, Target, TlsProbe

_SEQUENCE, _INTEGER, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x30, 0x02, 0x17, 0x18, 0xA0


class Handshake(Conversation):
    def __init__(self, asked: TlsProbe) -> None:
        super().__init__(in_tls=True)
        self._asked = asked

    def begin(self) -> bytes:
        inside: ssl.SSLObject | None = self.transport.get_extra_info("ssl_object") if self.transport else None
        certificate = inside.getpeercert(binary_form=True) if inside else None
        version = (inside.version() if inside else None) or "TLS"
        ends = expiry(certificate or b"")
        if ends is None:
            self.judge(False, f"{version}, but the end of the certificate can't be read")
        else:
            self.judge(*verdict(self._asked, version, ends - time.time()))
        return b""

    def heard(self, data: bytes) -> None:
        """Nothing is asked, so nothing said matters."""

    def ended(self, how: str) -> None:
        self.judge(False, f"TLS handshake: {how}")

    def waiting(self) -> str:
        return "after the TLS handshake"


def verdict(asked: TlsProbe, version: str, left: float) -> tuple[bool, str]:
    """By the seconds that the certificate has left."""
    if left <= 0:
        return False, f"certificate expired {ago(-left)} ago"
    if left < asked.least:
        return False, f"certificate expires in {ago(left)}, less than {ago(asked.least)}"
    if left < asked.warn:
        return True, f"{version}, certificate expires in {ago(left)}"
    return True, f"{version}, certificate good for {ago(left)}"


def expiry(certificate: bytes) -> float | None:
    """`notAfter` of a DER certificate in Unix seconds (RFC 5280 section 4.1), None if it can't be read."""
    try:
        whole, _ = _inside(certificate, _SEQUENCE)
        rest, _ = _inside(whole, _SEQUENCE)
        if rest[:1] == bytes((_VERSION,)):
            _, rest = _inside(rest, _VERSION)
        for tag in (_INTEGER, _SEQUENCE, _SEQUENCE):  # serial number, signature's algorithm, issuer
            _, rest = _inside(rest, tag)
        validity, _ = _inside(rest, _SEQUENCE)
        _, ends = _inside(validity, validity[0])
        text, _ = _inside(ends, ends[0])
        return _moment(ends[0], text.decode("ascii"))
    except (ValueError, IndexError):
        return None


def _inside(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """What is in the first element of `data`, which must have this tag; and what is behind it."""
    if data[0] != tag:
        raise ValueError("another element")
    size, at = data[1], 2
    if size & 0x80:
        at += size & 0x7F
        size = int.from_bytes(data[2:at], "big")
    if at + size > len(data):
        raise ValueError("cut off")
    return data[at : at + size], data[at + size :]


def _moment(tag: int, text: str) -> float:
    if tag == _UTC_TIME:  # RFC 5280 section 4.1.2.5.1: 50 and above are of the last century
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("not a time")
    return datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.UTC).timestamp()


async def probe(target: Target, asked: TlsProbe) -> Result:
    name = asked.host.rstrip(".") or target.address
    try:
        name.encode("idna")  # ssl would object in the midst of the handshake
    except UnicodeError as error:
        return Result(False, f"cannot ask this: {plain(str(error))}")
    return await in_tls(Handshake(asked), target, tls.context(asked.verify), name)
