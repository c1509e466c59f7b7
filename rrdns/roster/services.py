"""POOL names: their rings of this moment, their TTL, and why it is a short one. Floor 3, pure.

The TTL is `ttl_min` while the answer may change before `ttl` is over:

    we may be cut off                                  `isolation.why`
    hosts are to be promoted, after `before_promote`   `promoting.why`
    a check of a host in the answer has failures       `telling.of_pending`, of a borrowed one `succession.of_borrowed`
    an operator's word ends within the TTL             `telling.of_ending`
    hosts return within the TTL                        `succession.of_return`

`hinted.py` has the same rule for SVCB and HTTPS records. Must not know: how anything is decided, bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rrdns import isolation, wire
from rrdns.answers import DEFAULT, DNAME, AnswerSet, Key, key
from rrdns.model import Service
from rrdns.roster import succession, telling
from rrdns.roster.company import Company, Duties
from rrdns.roster.duty import Duty
from rrdns.roster.statics import Table
from rrdns.roster.verdicts import Verdicts

_A = wire.A.to_bytes(2, "big")


def rings(table: Table, duty: Duty, service: Service, ttl: int) -> Iterator[tuple[Key, AnswerSet | None]]:
    """What is to be answered for A and for AAAA; None: nothing of its own. `ttl`: the one in force."""
    for rtype, ring in zip((wire.A, wire.AAAA), duty.rings(service, ttl), strict=True):
        telling_none = duty.ede and duty.has(4 if rtype == wire.A else 16)
        if ring is None and (telling_none or table.nodes[service.name].kind == DNAME):
            ring = table.answers[key(service.name, DEFAULT)]  # only OWN nodes fall back to it
            ring = replace(ring, ede=duty.ede) if telling_none else ring
        yield key(service.name, rtype), ring


def members(table: Table, duty: Duty, service: Service, place: Key) -> tuple[tuple[str, ...], ...]:
    """For each slot of its ring at `place` the members in the order they are answered; () where there is no ring."""
    ring = table.answers.get(place)
    if ring is None or not ring.counted:
        return ()
    v4, v6 = duty.orders(service)
    return (v4 if place.endswith(_A) else v6).members()


# ------------------------------------------------------------------ why a TTL is short


def why_pending(company: Company, duties: Duties, duty: Duty, verdicts: Verdicts, held: bool) -> str:
    """Why all names of a pool have `ttl_min` now; empty when none must. `held`: we may be cut off."""
    if held:
        return isolation.why(verdicts.guard)
    why = company.promotions.why(duty.pool.name) or telling.of_pending(duty, verdicts)
    return why or succession.of_borrowed(company, duties, duty, verdicts)


def why_timed(duty: Duty, service: Service, now: float) -> str:
    """Why this name has it besides: something ends within its TTL."""
    return telling.of_ending(duty, service, now) or succession.of_return(duty, service.ttl, now)
