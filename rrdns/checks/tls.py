"""TLS for checks: cached contexts, and what a failed handshake means in words.

The verdict is OpenSSL's alone. Python does not show the certificate of a failed handshake, so for the words
(who it is for, when it expired) `names_and_dates` shakes hands once more, without the tests for name and date.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rrdns.checks.words import ago, plain

# X509_V_ERR_... of openssl/x509_vfy.h
_NOT_YET_VALID, _EXPIRED = 9, 10
_SELF_SIGNED, _SELF_SIGNED_IN_CHAIN, _NO_ISSUER, _NO_ISSUER_LEAF = 18, 19, 20, 21
_WRONG_NAME, _WRONG_ADDRESS = 62, 64
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME

_ALERT = 21  # the content type, RFC 8446 section 5.1
_NOT_TLS = "the port does not speak TLS"

Certificate = Mapping[str, Any]  # what ssl.SSLObject.getpeercert() gives


def context(verify: bool, alpn: str = "") -> ssl.SSLContext:
    """The context for checks: verifying against the system's trust store, or taking any certificate; `alpn` is what
    will be spoken inside, where that must be said."""
    return _context("strict" if verify else "blind", *_store(), alpn)


def _store() -> tuple[str, int]:
    """The trust store's file and when it changed: a certificate authority added today counts at the next probe."""
    file = ssl.get_default_verify_paths().cafile or ""
    try:
        return file, Path(file).stat().st_mtime_ns if file else 0
    except OSError:
        return file, 0


@functools.lru_cache(maxsize=10)
def _context(kind: str, store: str, changed: int, alpn: str = "") -> ssl.SSLContext:
    made = ssl.create_default_context()
    if alpn:
        made.set_alpn_protocols([alpn])
    if kind != "strict":
        made.check_hostname = False
    if kind == "blind":
        made.verify_mode = ssl.CERT_NONE
    if kind == "lenient":
        made.verify_flags = ssl.VerifyFlags(made.verify_flags | _NO_CHECK_TIME)
    return made


async def explain(error: ssl.SSLError, name: str, address: str, port: int, patience: float) -> str:
    """Why the handshake with `name` at `address` failed; may ask the host again, for at most `patience` seconds."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return handshake_fault(error)
    seen: Certificate = {}
    if error.verify_code in (_NOT_YET_VALID, _EXPIRED, _WRONG_NAME, _WRONG_ADDRESS) and patience > 0:
        seen = await names_and_dates(name, address, port, patience)
    return certificate_fault(error.verify_code, error.verify_message, name, seen, time.time())


async def names_and_dates(name: str, address: str, port: int, patience: float) -> Certificate:
    """The host's certificate, {} if it won't come: it only serves to word a verdict that already stands."""
    loop = asyncio.get_running_loop()
    transport: asyncio.Transport | None = None
    try:
        async with asyncio.timeout(patience):
            transport, _ = await loop.create_connection(
                asyncio.Protocol, address, port, ssl=_context("lenient", *_store()), server_hostname=name
            )
        return transport.get_extra_info("ssl_object").getpeercert() or {}
    except OSError:  # TimeoutError and ssl.SSLError among them
        return {}
    finally:
        if transport:
            transport.abort()


def certificate_fault(code: int, message: str, name: str, seen: Certificate, wall: float) -> str:
    """Words for OpenSSL's verify `code`; `seen` is the certificate where it is known, `wall` the time of day."""
    if code == _EXPIRED:
        after = _when(seen, "notAfter")
        if after is None:
            return "certificate expired"
        if after > wall:
            return "a certificate of the issuing chain expired"
        return f"certificate expired {ago(wall - after)} ago"
    if code == _NOT_YET_VALID:
        before = _when(seen, "notBefore")
        if before is None or before <= wall:
            return "certificate is not valid yet"
        return f"certificate is not valid yet: it begins in {ago(before - wall)}"
    if code in (_WRONG_NAME, _WRONG_ADDRESS):
        names = _names(seen)
        return f"certificate is for {names}, not {name}" if names else f"certificate is not for {name}"
    if code == _SELF_SIGNED:
        return "self-signed certificate"
    if code == _SELF_SIGNED_IN_CHAIN:
        return "certificate of an unknown authority (self-signed certificate in its chain)"
    if code in (_NO_ISSUER, _NO_ISSUER_LEAF):
        return "certificate of an unknown authority, or an intermediate certificate is missing"
    return plain(f"certificate not accepted: {message}")


def handshake_fault(error: ssl.SSLError) -> str:
    """Words for a handshake that failed for anything but the certificate."""
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return "TLS handshake: closed by the server"
    reason = error.reason or ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"):
        return f"TLS handshake: {_NOT_TLS}"
    words = reason.lower().split("_")
    if words[0] in ("sslv3", "tlsv1", "tlsv13"):  # OpenSSL's way to say: an alert of the server
        words = words[2:] if words[1:2] == ["alert"] else words[1:]
        return plain(f"TLS handshake: the server says: {' '.join(words)}")
    return plain(f"TLS handshake: {' '.join(words) or error}")


def early_words(data: bytes) -> str:
    """Words for what a server says before our first; of TLS that can only be an alert (RFC 8446 section 6)."""
    if len(data) < 7 or data[0] != _ALERT:
        return f"TLS handshake: {_NOT_TLS}"
    try:
        alert = ssl.AlertDescription(data[6]).name.removeprefix("ALERT_DESCRIPTION_").lower().replace("_", " ")
    except ValueError:
        alert = f"alert {data[6]}"
    return f"TLS handshake: the server says: {alert}"


def _when(seen: Certificate, field: str) -> float | None:
    text = seen.get(field)
    return ssl.cert_time_to_seconds(text) if isinstance(text, str) else None


def _names(seen: Certificate) -> str:
    names = [value for kind, value in seen.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    if not names:
        names = [value for rdn in seen.get("subject", ()) for kind, value in rdn if kind == "commonName"]
    return plain(", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else ""))
