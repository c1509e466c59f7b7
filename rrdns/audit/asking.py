"""Members asked for what they must refuse, and for their certificates. Floor 4; each member once, a few at a time.

A check that passes on a made-up path passes whatever happens to what it is meant to watch. Must not know: findings.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

from rrdns.audit.facts import shows_certificate, speaks_http
from rrdns.checks import probe
from rrdns.model import Check, HttpProbe, Result, Target, TlsProbe

MOST = 500  # targets; what is beyond is counted
TOGETHER = 20
SOON = 30 * 86400.0  # a certificate that ends within that is worth a line

Json = dict[str, Any]
Ask = Callable[[Target], Awaitable[Result]]


async def ask_all(targets: Iterable[Target], ask: Ask = probe) -> Json:
    """`made_up`, `certificates`, and how many were left out."""
    every = [one for one in targets if speaks_http(one) or shows_certificate(one)]
    turn = asyncio.Semaphore(TOGETHER)

    async def one_of(target: Target) -> Result:
        async with turn:
            return await ask(target)

    asked = every[:MOST]
    strange = [made_up(one) for one in asked if speaks_http(one)]
    sealed = [certificate(one) for one in asked if shows_certificate(one)]
    said = await asyncio.gather(*(one_of(one) for one in strange))
    seen = await asyncio.gather(*(one_of(one) for one in sealed))
    return {
        "made_up": [
            {"check": one.check.name, "address": one.address, "passed": result.ok, "reason": result.reason}
            for one, result in zip(strange, said, strict=True)
        ],
        "certificates": [
            {"check": one.check.name, "address": one.address, "ends_soon": _ends_soon(result), "reason": result.reason}
            for one, result in zip(sealed, seen, strict=True)
        ],
        "left_out": len(every) - len(asked),
    }


def made_up(target: Target) -> Target:
    """The same question for a path that nobody has."""
    asked = target.check.probe
    assert isinstance(asked, HttpProbe)
    return replace(
        target, check=replace(target.check, probe=replace(asked, path=f"/rrdns-audit-{secrets.token_hex(8)}"))
    )


def certificate(target: Target) -> Target:
    check: Check = target.check
    host = str(getattr(check.probe, "host", ""))
    return replace(target, check=replace(check, type="tls", probe=TlsProbe(host, verify=False, warn=SOON)))


def _ends_soon(result: Result) -> bool:
    """As `checks.certificate` words it; a handshake that failed says nothing of the certificate."""
    return "certificate expire" in result.reason
