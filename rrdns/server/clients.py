"""Who asks, and when: a client's address as bytes beside the wall clock, for the options that depend on them.

Must not know: options, zones.
"""

from __future__ import annotations

import socket
import time

from rrdns.server.edns import Asker


def asker(host: str) -> Asker:
    """For an address as the socket module writes it; nothing is worked out before it is asked."""

    def ask() -> tuple[bytes, int]:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.inet_pton(family, host.partition("%")[0]), int(time.time())

    return ask
