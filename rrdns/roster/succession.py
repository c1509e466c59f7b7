"""What there is to tell of failover schemes: promotions, demotions, who serves for whom, and why. Floor 3, pure.

| what changed                          | event `failover POOL`: from -> to                          |
|---------------------------------------|------------------------------------------------------------|
| the tier of an idle-standby           | `tier 1` -> `tier 2`; `no tier`: none has quorum           |
| the holders of a rotating-standby     | `holder web1` -> `holder web2`; `nobody`                   |
| a substitute serves, or ceases to     | `served by its own` -> `served by reports`                 |
| it lends other hosts than before      | `borrows reports/r1, reports/r2` -> `borrows reports/r2`   |
| hosts serve another pool instead      | `serves its own` -> `r1, r2 shed to web`                   |

What waits for `before_promote` has events of its own: `promoting.py`.

Its why is a chain: what happened to members in the same step, or whose time to return had come, then what that means
for the pool. Must not know: how it is decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rrdns.failover import Selection
from rrdns.model import ABSENT, Event, Pool
from rrdns.roster.company import Company, Duties
from rrdns.roster.duty import Duty
from rrdns.roster.verdicts import Verdicts

SHOWN = 3
OWN = "its own"

Cause = tuple[str, str]
"""`pool/member` or a pool, and what befell it."""


def told(
    company: Company, steps: Sequence[tuple[Duty, Selection]], events: Sequence[Event], now: float
) -> Iterator[Event]:
    """What became of pools in one step: each with its selection before. `events`: what else happened in it."""
    causes: list[Cause] = [(one.name, f"{one.after}: {one.why}") for one in events if one.subject == "member"]
    for duty, before in steps:
        if by := company.recalled.get(duty.pool.name):
            causes.append((duty.pool.name, f"called back {by}"))
        else:
            causes += _returns(duty.pool.name, before, duty.selection, now)
    for duty, before in steps:
        pool = duty.pool
        if pool.name not in company.timed:
            continue
        group = company.together([pool.name])
        related = [one for one in causes if one[0].partition("/")[0] in group]
        yield from moves(pool, before, duty.selection, related, company.recalled.get(pool.name, ""), now)
        company.note(before, duty.selection, pool.name)


def _returns(pool: str, before: Selection, after: Selection, now: float) -> Iterator[Cause]:
    """Of hosts that were well for so long that they serve again, or help others again: no member's transition says it,
    as theirs was when they became well."""
    was, is_ = before.standing, after.standing
    since = was.well_since if was.ailing and not is_.ailing else None
    if was.tier is not None and is_.tier is not None and is_.tier < was.tier:
        ripe = before.due is not None and now >= before.due
        since = dict(was.ripening).get(is_.tier) if ripe else since
    if since is not None:
        for one in after.serving:
            if "/" not in one.name:
                yield f"{pool}/{one.name}", f"well for {now - since:.0f} s (failback)"


def moves(
    pool: Pool, before: Selection, after: Selection, causes: Sequence[Cause], by: str, now: float
) -> Iterator[Event]:
    """What became of one pool in a step. `causes`: what happened to members in it, of all pools concerned; `by`: the
    operator who called it back, or ""."""
    if before.state == ABSENT and before.standing == after.standing:
        return
    why = "; ".join(word for word in (_cause(pool.name, causes, by), after.why) if word)
    scheme = pool.failover.scheme if pool.failover else ""
    was, is_ = before.standing, after.standing
    pairs = []
    if scheme == "idle-standby":
        pairs.append((_tier(was.tier), _tier(is_.tier)))
    if scheme == "rotating-standby":
        pairs.append((_holders(was.holders), _holders(is_.holders)))
    pairs.append((f"served by {was.source or OWN}", f"served by {is_.source or OWN}"))
    if was.source == is_.source:
        pairs.append((_borrows(before), _borrows(after)))
    pairs.append((_shed(before), _shed(after)))
    for old, new in pairs:
        if old != new:
            yield Event(now, "failover", pool.name, old, new, why)


def _tier(tier: int | None) -> str:
    return "no tier" if tier is None else f"tier {tier}"


def _holders(names: Sequence[str]) -> str:
    return f"holder{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else "nobody"


def _borrows(selection: Selection) -> str:
    names = [one.name for one in selection.serving if "/" in one.name]
    return f"borrows {', '.join(names) or 'nobody'}"


def _shed(selection: Selection) -> str:
    if not selection.shed:
        return f"serves {OWN}"
    return f"{', '.join(sorted(selection.shed))} shed to {', '.join(selection.to_pools)}"


def _cause(pool: str, causes: Sequence[Cause], by: str) -> str:
    """`web1 down: HTTP 503`: its own members first, others with their pool."""
    if by:
        return f"called back {by}"
    own = [one for one in causes if one[0].startswith(f"{pool}/")]
    others = [one for one in causes if one not in own]
    told = [f"{name.removeprefix(f'{pool}/')} {what}" for name, what in (*own, *others)]
    more = [f"and {len(told) - SHOWN} more"] if len(told) > SHOWN else []
    return ", ".join([*told[:SHOWN], *more])


# -------------------------------------------------------------------- TTL


def of_return(duty: Duty, ttl: int, now: float) -> str:
    """A return within the TTL of a record; empty for none."""
    due = duty.selection.due
    if due is None or due - ttl > now:
        return ""
    return f"hosts return in {max(0.0, due - now):.0f} s (failback)"


def of_borrowed(company: Company, duties: Duties, duty: Duty, verdicts: Verdicts) -> str:
    """Which borrowed host in the answer may leave it; empty for none."""
    for name, _, keys in company.borrowed(duties, duty):
        for key in (key for of in keys for key in of):
            if verdicts.pending[key]:
                known, check = verdicts.health[key], verdicts.targets[key].check
                return f"{name} may go down ({known.failures} of {check.fall} failures: {known.reason})"
    return ""


# -------------------------------------------------------------------- pictures


def picture(company: Company, duties: Duties, duty: Duty, now: float) -> dict[str, object]:
    """The part of a pool's `status` that is about its scheme."""
    pool, selection = duty.pool, duty.selection
    rule, standing = pool.failover, selection.standing
    weights = {one.name: one.weight for one in selection.serving}
    total = sum(weights.values())
    lent = {
        name: {"addresses": list(member.addresses), "share": weights[name] / total if total else 0.0}
        for name, member, _ in company.borrowed(duties, duty)
    }
    return {
        "scheme": (rule.scheme or None) if rule else None,
        "holder": ", ".join(standing.holders) or None,
        "queue": list(standing.queue),
        "tier": standing.tier,
        "failback": rule.failback if rule else None,
        "backup": rule.backup or None if rule else None,
        "partner": rule.partner or None if rule else None,
        "fallback": pool.fallback or None,
        "from_pool": selection.from_pool or None,
        "how": selection.how or None,
        "borrowed": lent,
        "to_pools": list(selection.to_pools),
        "shed": sorted(selection.shed),
        "due": max(0.0, selection.due - now) if selection.due is not None else None,
        "waits": _waits(selection),
        "promotion": company.promotions.picture(pool.name, now),
        "quorum_weight": pool.quorum_weight,
    }


def _waits(selection: Selection) -> bool:
    """Whether something is well again and waits to return, by time or by hand."""
    standing = selection.standing
    return bool(standing.ripening or (standing.source and standing.well_since is not None))
