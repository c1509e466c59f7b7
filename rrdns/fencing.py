"""Fencing: of a pool with `before_promote`, who may be answered and who only after the command. Floor 2, pure.

Who is *entitled* is told in roles, for what a scheme hands on is a duty and not a place in one answer:

| the host's pool has     | its role        | so it is no promotion when                                    |
|-------------------------|-----------------|---------------------------------------------------------------|
| idle-standby            | `db tier 1`     | another host of the tier that serves comes up                 |
| rotating-standby        | `db/db1`        | a holder returns before its place was taken                   |
| another scheme, or none | `db`            | another host of the pool that serves comes up                 |

What is decided, and what is in force then:

| the pool                                | would answer                    | in force                                 |
|-----------------------------------------|---------------------------------|------------------------------------------|
| nobody has been on duty yet             | whomever                        | that: there is nobody to fence; when all |
|                                         |                                 | are known (or PATIENCE is over) who is   |
|                                         |                                 | answered then is entitled                |
| somebody is entitled                    | entitled hosts only             | that                                     |
| the same, and the command has not       | others that are up: a promotion |                                          |
| exited 0; entitled hosts are up         |                                 | the decision among the entitled          |
| ... none of them is up                  |                                 | who was answered last stays, though down;|
|                                         |                                 | `when_down` has no say                   |
| ... all of those disabled or not in the |                                 | SERVFAIL                                 |
| files any more                          |                                 |                                          |
| the same, and it has exited 0           | others that are up              | that: they are entitled now              |
| somebody is entitled                    | others, none of them up: by     | the decision among the entitled: nobody  |
|                                         | `when_down: all`, or not judged | is fenced for that                       |

After a restart the entitled are those of before. Must not know: when the command runs, how it is decided who serves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from rrdns.failover import Selection, Serving
from rrdns.hosts import Host
from rrdns.model import ABSENT, Member, Pool, Standing
from rrdns.substitutes import lenders

Roles = Mapping[str, str]
"""Of all that a pool may answer, by the name they have there."""

Who = frozenset[str]
NOBODY: Who = frozenset()
STAYS = "stays in the answers until others are promoted"


def roles(pool: Pool, pools: Mapping[str, Pool]) -> dict[str, str]:
    found = {one.name: _role(pool, one) for one in pool.members}
    for _, lender in lenders(pool, pools):
        found |= {f"{lender}/{one.name}": _role(pools[lender], one) for one in pools[lender].members}
    return found


def _role(pool: Pool, member: Member) -> str:
    scheme = pool.failover.scheme if pool.failover else ""
    if scheme == "idle-standby":
        return f"{pool.name} tier {member.priority}"
    return f"{pool.name}/{member.name}" if scheme == "rotating-standby" else pool.name


# ------------------------------------------------------------------ who is entitled


def answered(selection: Selection, its: Roles) -> Who:
    """The roles of those who serve."""
    return frozenset([its[one.name] for one in selection.serving if one.name in its])


def comers(selection: Selection, its: Roles, entitled: Who) -> Who:
    """The roles a decision would promote: of hosts that are up."""
    return answered(selection, its) - entitled if selection.rung in ("available", "drained") else NOBODY


def entitled(pool: Pool, selection: Selection, its: Roles, before: Who) -> Who:
    """Who is entitled once a decision is in force."""
    if selection.rung not in ("available", "drained"):
        return before
    if not before and not _has_holder(pool, selection.standing):
        return NOBODY
    return answered(selection, its) or before


def _has_holder(pool: Pool, standing: Standing) -> bool:
    """Whether the scheme has somebody on duty, and not only stand-ins until all are known."""
    scheme = pool.failover.scheme if pool.failover else ""
    if scheme == "idle-standby":
        return standing.tier is not None or bool(standing.source)
    return scheme != "rotating-standby" or bool(standing.holders or standing.source)


def remembered(pool: Pool, standing: Standing, its: Roles) -> Who:
    """Who is entitled by what a scheme remembers of a time without `before_promote`."""
    if standing.source:
        return frozenset([role for name, role in its.items() if name.startswith(f"{standing.source}/")])
    if standing.tier is not None:
        return frozenset({f"{pool.name} tier {standing.tier}"})
    return frozenset([its[name] for name in standing.holders if name in its])


def anchored(pool: Pool, selection: Selection, its: Roles) -> Who:
    """Who is entitled under other files: who is answered, by the roles that they have now; a holder whom the files
    do not know any more is still one who may have to be fenced."""
    before = frozenset(selection.standing.entitled)
    if before:
        now = answered(selection, its)
        return now | (before - frozenset(its.values())) if now else before
    return entitled(pool, selection, its, remembered(pool, selection.standing, its))


# ------------------------------------------------------------------ what is in force meanwhile


def waiting(
    pool: Pool, before: Selection, wanted: Selection, among: Selection, hosts: Mapping[str, Host], why: str
) -> Selection:
    """What a pool answers while a promotion waits. `before`: in force; `wanted`: what it waits for; `among`: the
    decision among the entitled, who are `hosts`. Nothing of what the scheme remembers moves but one clock, so that
    it is decided anew at every step whether the promotion is still wanted."""
    coming = frozenset(one.name for one in wanted.serving) - hosts.keys()
    standing = replace(before.standing, unsure_since=wanted.standing.unsure_since)
    look = min((when for when in (wanted.look, among.look) if when is not None), default=None)
    if among.rung in ("available", "drained"):
        return replace(among, why=why, standing=standing, due=None, look=look, closed=True, coming=coming)
    serving = tuple(_last(pool, before, hosts, among.shed))
    had = bool(before.serving) or before.state == ABSENT
    return Selection(
        "down", why, serving, "when_down", before.servfail or (had and not serving), standing, look=look, closed=True,
        from_pool=before.from_pool, how=before.how, to_pools=among.to_pools, shed=among.shed, coming=coming,
    )  # fmt: skip


def _last(pool: Pool, before: Selection, hosts: Mapping[str, Host], shed: Who) -> Iterator[Serving]:
    """Who was answered last, but for those who are disabled or gone; after a start all who are entitled."""
    if before.state == ABSENT:
        last = {name: tuple[bytes, ...]() for name in hosts}
    else:
        last = {one.name: one.addresses for one in before.serving}
    sorry = pool.when_down.addresses if before.rung == "when_down" else ()
    yield from (one for one in before.serving if one.name in sorry and one.name not in hosts)
    for name, addresses in last.items():
        host = hosts.get(name)
        if host is not None and host.addresses and not host.disabled and name not in shed:
            there = tuple([one.packed for one in host.addresses])
            kept = tuple([one for one in addresses if one in there]) or there
            yield Serving(name, host.weight or 1, kept, STAYS)
