"""Faults as an operator reads them: short, definite, and safe to print. Pure.

What a host sends may hold terminal escapes; nothing of it reaches a reason unescaped (`plain`, `shown`).
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple


class Fault(NamedTuple):
    """`silent`: nothing came back from the host. `ours`: this machine could not even ask; says nothing of the host."""

    reason: str
    silent: bool = False
    ours: bool = False


# Errors of connect(2) and of a connection. Refused and reset came from the other side, so the path works.
_FAULTS = {
    errno.ECONNREFUSED: Fault("connection refused"),
    errno.ECONNRESET: Fault("connection reset"),
    errno.ECONNABORTED: Fault("connection reset"),
    errno.EPIPE: Fault("connection reset"),
    errno.ETIMEDOUT: Fault("timed out connecting", silent=True),
    errno.EHOSTUNREACH: Fault("no route to host", silent=True),
    errno.EHOSTDOWN: Fault("host is down", silent=True),
    errno.ENETUNREACH: Fault("network unreachable", silent=True),
    errno.ENETDOWN: Fault("network is down", silent=True),
    errno.EADDRNOTAVAIL: Fault("no local address or free port to connect from", silent=True),
    errno.EAFNOSUPPORT: Fault("this machine has no such address family (IPv6 switched off?)", silent=True),
    errno.EACCES: Fault("not permitted to connect (a local firewall rule?)", silent=True),
    errno.EPERM: Fault("not permitted to connect (a local firewall rule?)", silent=True),
    errno.EMFILE: Fault("not asked: too many open files (raise RLIMIT_NOFILE)", ours=True),
    errno.ENFILE: Fault("not asked: the system has too many open files", ours=True),
    errno.ENOBUFS: Fault("not asked: no buffer space left", ours=True),
    errno.ENOMEM: Fault("not asked: out of memory", ours=True),
    errno.EAGAIN: Fault("not asked: out of processes or ports", ours=True),
}


def fault(error: OSError) -> Fault:
    """What an error of the operating system says of the host."""
    known = _FAULTS.get(error.errno or 0)
    if known:
        return known
    if isinstance(error, ConnectionError):
        return Fault("connection reset")
    text = os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
    return Fault(plain(text[:1].lower() + text[1:]))


def seconds(value: float) -> str:
    """`2s`, `2.5s`, `500ms`."""
    return f"{value:g}s" if value >= 1 else f"{value * 1000:g}ms"


def ago(value: float) -> str:
    """A longer time, roughly: `3 days`, `1 hour`, `40 minutes`."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if value >= size:
            count = int(value // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "under a minute"


def plain(text: str, limit: int = 160) -> str:
    """One printable line of at most `limit` characters."""
    line = "".join(char if char.isprintable() else "?" for char in text[: limit + 1])
    return line if len(line) <= limit else line[: limit - 3] + "..."


def shown(data: bytes, limit: int = 24) -> str:
    """The start of what came, as Python writes bytes: `b'SSH-2.0-OpenSSH_9.2p1'`."""
    return repr(bytes(data[:limit])) + ("..." if len(data) > limit else "")


def wanted(data: bytes) -> str:
    """What a check looks for, as text where it is text: `'PONG'`."""
    text = data.decode("utf-8", "replace")
    return repr(plain(text, 40)) if text.isprintable() else shown(data, 40)


def size(count: int) -> str:
    return f"{count} byte{'' if count == 1 else 's'}"
