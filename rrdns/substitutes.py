"""Substitutes: what pools do for one another, all of it as one step. Floor 2, pure; steps 2 and 3 of "who serves".

    backup    simple-failover: its hosts serve us alone and leave their own pool's answers (they are *shed* there)
    partner   mutual-takeover: its hosts serve us too; both go on with their own
    fallback  any pool: looked at last, a chain of them one after the other; lends without shedding

Nothing is asked twice: whoever lends, lends what step 1 chose there; a pool that is itself helped out lends nothing
on. Which hosts may be lent is judged by the borrower's checks. Must not know: addresses, rings, probes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rrdns.hosts import Host
from rrdns.model import Pool, Standing
from rrdns.schemes import USUAL_FAILBACK, Moment, Pick, met


@dataclass(frozen=True, slots=True)
class Party:
    """One pool in the step. `lent`: the hosts of each pool it may borrow from, as its own checks judge them; they
    are called `pool/member`."""

    pool: Pool
    picked: Pick
    lent: Mapping[str, Sequence[Host]]
    moment: Moment


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whom a pool answers with after the step; `due`, `look`, `why`, `closed` as in Pick.

    quorate    its own hosts are enough, and serve
    from_pool  who lends it hosts: by `how`, backup | partner | fallback
    to_pools   whom those of its hosts serve that are `shed`: they are not answered for it, whatever happens
    """

    chosen: tuple[Host, ...]
    standing: Standing
    quorate: bool
    due: float | None = None
    look: float | None = None
    why: str = ""
    closed: bool = False
    from_pool: str = ""
    how: str = ""
    to_pools: tuple[str, ...] = ()
    shed: frozenset[str] = frozenset()


def links(pool: Pool) -> tuple[tuple[str, str], ...]:
    """(how, pool) of those it names itself, in the order they are asked."""
    rule = pool.failover
    named = (("backup", rule.backup if rule else ""), ("partner", rule.partner if rule else ""))
    return tuple((how, name) for how, name in (*named, ("fallback", pool.fallback)) if name)


def lenders(pool: Pool, pools: Mapping[str, Pool]) -> Iterator[tuple[str, str]]:
    """(how, pool) of all that may help it out, in that order; fallbacks go on to the fallback's own."""
    seen = {pool.name}
    for how, name in links(pool):
        while name in pools and name not in seen:
            seen.add(name)
            yield how, name
            if how != "fallback":
                break
            name = pools[name].fallback


def substitute(parties: Mapping[str, Party]) -> dict[str, Outcome]:
    """Steps 2 and 3 over all pools that have to do with one another."""
    step = _Step(parties)
    for name, party in parties.items():
        step.asking[name] = _asks(party)
    for name in parties:
        if step.asking[name].away:
            step.look_for(name, backups=True)
    for name in parties:
        if step.asking[name].away and name not in step.found:
            step.look_for(name, backups=False)
    return {name: step.outcome(name) for name in parties}


# ------------------------------------------------------------------ who looks for help


@dataclass(frozen=True, slots=True)
class _Ask:
    """`away`: it looks for help; `lends`: it may help others that have hosts of their own."""

    away: bool
    lends: bool
    standing: Standing
    due: float | None
    why: str


def _asks(party: Party) -> _Ask:
    """Whether a pool looks for a substitute, and whether it may be one.

    | its own hosts are enough | since they were not: without a break | it is helped out | asks | lends             |
    |--------------------------|--------------------------------------|------------------|------|-------------------|
    | no                       |                                      | any              | yes  | no: see `_lends`  |
    | yes                      | it was never so                      |                  | no   | yes               |
    | yes                      | for `failback`, or recalled          | any              | no   | yes               |
    | yes                      | less, or failback is manual          | yes              | yes  | no                |
    | yes                      | less                                 | no               | no   | to the last only  |

    The last line keeps two pools from throwing what is too much for either to one another: who broke under the load
    of both must be well for `failback` (30 s where that is manual) before it carries both again, unless the other has
    nobody at all.
    """
    pool, standing, picked, moment = party.pool, party.picked.standing, party.picked, party.moment
    if not picked.quorate:
        return _Ask(True, False, replace(standing, ailing=True, well_since=None), None, "")
    if not standing.ailing:
        return _Ask(False, True, replace(standing, source=""), None, "")
    wait = pool.failover.failback if standing.source and pool.failover else _wait(pool)
    since = moment.now if standing.well_since is None else standing.well_since
    if moment.ripe(since, wait):
        return _Ask(False, True, replace(standing, ailing=False, source="", well_since=None), None, "")
    due, standing = moment.due(since, wait), replace(standing, well_since=since)
    if not standing.source:
        return _Ask(False, False, standing, due, "")
    return _Ask(True, False, standing, due, f"its own hosts are well and return {moment.left(due)}")


def _wait(pool: Pool) -> float:
    """How long it must be well before it helps others again: `failback`, where that is a time."""
    wait = pool.failover.failback if pool.failover else None
    return USUAL_FAILBACK if wait is None else wait


# ------------------------------------------------------------------ who helps


@dataclass(frozen=True, slots=True)
class _Help:
    lender: str
    hosts: tuple[Host, ...]
    how: str


class _Step:
    """One step under way: who asks, what was found, who is shed to whom."""

    def __init__(self, parties: Mapping[str, Party]) -> None:
        self.parties = parties
        self.pools = {name: party.pool for name, party in parties.items()}
        self.asking: dict[str, _Ask] = {}
        self.found: dict[str, _Help] = {}
        self.shed: dict[str, set[str]] = {}
        self.taken: dict[str, list[str]] = {}

    def look_for(self, name: str, backups: bool) -> None:
        """Backups first, for all pools: what they shed serves its borrower alone, and is lent to nobody else."""
        party, source = self.parties[name], self.asking[name].standing.source
        for how, lender in lenders(party.pool, self.pools):
            if (how == "backup") is not backups or not self._lends(lender, how, bool(party.picked.chosen)):
                continue
            if party.picked.quorate and lender != source:
                continue  # it only waits for its failback, and does not go from one to the other for that
            hosts = self._hosts(party, lender, () if how == "backup" else self.shed.get(lender, ()))
            if hosts:
                self.found[name] = _Help(lender, hosts, how)
                if how == "backup":
                    self.shed.setdefault(lender, set()).update(one.name.rpartition("/")[2] for one in hosts)
                    self.taken.setdefault(lender, []).append(name)
                return

    def _lends(self, lender: str, how: str, has_own: bool) -> bool:
        """
        | the lender                                   | who asks has hosts of its own | has nobody                  |
        |----------------------------------------------|-------------------------------|-----------------------------|
        | has enough, and is well                      | lends                         | lends                       |
        | has enough, for less than `failback`         | nothing                       | lends, unless helped out    |
        | has not enough, is a partner                 | nothing                       | lends: better than nobody   |
        | has not enough, is no partner                | nothing                       | nothing                     |
        | has nobody                                   | nothing                       | nothing                     |
        """
        ask, picked = self.asking[lender], self.parties[lender].picked
        if ask.lends:
            return True
        if has_own:
            return False
        return how == "partner" or (picked.quorate and not ask.away)

    def _hosts(self, party: Party, lender: str, but: Sequence[str] | set[str]) -> tuple[Host, ...]:
        """What step 1 chose there, as far as it passes the borrower's checks."""
        chosen = {f"{lender}/{one.name}" for one in self.parties[lender].picked.chosen if one.name not in but}
        return tuple([one for one in party.lent.get(lender, ()) if one.name in chosen and one.available])

    # ------------------------------------------------------------------ what comes of it

    def outcome(self, name: str) -> Outcome:
        party, ask, help_ = self.parties[name], self.asking[name], self.found.get(name)
        picked = party.picked
        shed = frozenset(self.shed.get(name, ()))
        if help_ is not None:
            return _helped(party, ask, help_)
        # `failback` does not keep a pool waiting for a substitute that is dead
        standing = replace(ask.standing, source="")
        own = tuple([one for one in picked.chosen if one.name not in shed])
        since = standing.well_since
        mended = None if since is None else party.moment.due(since, _wait(party.pool))
        look = min((when for when in (mended, picked.look) if when is not None), default=None)
        if not shed:
            return Outcome(own, standing, picked.quorate, picked.due, look, picked.why, picked.closed)
        hosts = f"{len(shed)} of its hosts serve" if len(shed) > 1 else "one of its hosts serves"
        why = f"{hosts} {' and '.join(self.taken[name])} instead"
        quorate = picked.quorate and met(party.pool, own)
        names = tuple(self.taken[name])
        return Outcome(own, standing, quorate, picked.due, look, why, True, to_pools=names, shed=shed)


def _helped(party: Party, ask: _Ask, found: _Help) -> Outcome:
    """What a pool that found help ends with.

    | lent                  | by      | they answer                                      |
    |-----------------------|---------|--------------------------------------------------|
    | enough for its quorum | others  | the lent ones alone                              |
    | any                   | partner | both together                                    |
    | fewer                 | any     | both together                                    |
    """
    picked = party.picked
    alone = found.how != "partner" and met(party.pool, found.hosts)
    chosen = found.hosts if alone else (*picked.chosen, *found.hosts)
    why = f"{found.how} {found.lender} serves{'' if alone or not picked.chosen else ' too'}"
    why += f"; {ask.why}" if ask.why else ""
    standing = replace(ask.standing, source=found.lender)
    return Outcome(chosen, standing, False, ask.due, picked.look, why, alone, found.lender, found.how)
