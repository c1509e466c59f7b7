"""Promotions: what must be done before other hosts take a pool over, and one such moment. Floor 0: plain frozen data.

DNS does not fence: an old holder that is only cut off from us may still be at work, and caches go on leading clients
to it. `before_promote` is where the operator's own program makes sure that it is not.
"""

from __future__ import annotations

from dataclasses import dataclass

REASONS = ("failover", "failback", "drill", "operator")


@dataclass(frozen=True, slots=True)
class Fence:
    """A program that must exit 0, within `timeout` seconds, before hosts serve that were not on duty."""

    argv: tuple[str, ...]
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Promotion:
    """One run of a pool's program. `ident` is its own; a further try has another. `leaving`: the members on duty who
    shall not be any more; `coming`: who shall serve instead, a borrowed one as `pool/member`. `reason`: of REASONS."""

    ident: int
    pool: str
    fence: Fence
    reason: str
    leaving: tuple[str, ...]
    coming: tuple[str, ...]
    leaving_addresses: tuple[str, ...]
    coming_addresses: tuple[str, ...]
