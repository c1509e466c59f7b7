"""Failover schemes: of a pool's own hosts, who is on duty. Floor 2, pure; step 1 of "who serves".

`pick` judges one pool from its hosts and its *standing*, which is all that a scheme remembers, and gives the next
standing. What reaches over several pools (backup, partner, fallback) is `substitutes.py`. Must not know: addresses,
rings, probes.

Hosts of which nothing is known yet (after a start, behind a director that can't be read) neither promote nor demote
anybody: for PATIENCE seconds they count as what they were. A holder of rotating-standby and its queue keep their
places longer: until they are known to be down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rrdns.hosts import Host
from rrdns.model import Pool, Standing

PATIENCE = 30.0
USUAL_FAILBACK = 30.0


@dataclass(frozen=True, slots=True)
class Moment:
    """When it is judged. `recalled`: an operator says that what waits to return shall; `held`: nothing returns by
    time alone, because we may be cut off."""

    now: float
    recalled: bool = False
    held: bool = False

    def ripe(self, since: float, wait: float | None) -> bool:
        """Whether what has been well since then may return."""
        due = self.due(since, wait)
        return self.recalled or (due is not None and self.now >= due)

    def due(self, since: float, wait: float | None) -> float | None:
        """When it may return by time; None: not by time."""
        return None if wait is None or self.held else since + wait

    def left(self, due: float | None) -> str:
        """`returns in 20 s`, and the other ways."""
        if due is not None:
            return f"in {max(0.0, due - self.now):.0f} s"
        return "when the hold ends" if self.held else "by hand (rrdns failback)"


@dataclass(frozen=True, slots=True)
class Pick:
    """Who is on duty by themselves.

    quorate  they are enough
    due      when a return comes if nothing else does; look: when to judge again for another reason
    why      if it needs saying
    closed   hosts outside do not come in by being well
    """

    chosen: tuple[Host, ...]
    standing: Standing
    quorate: bool
    due: float | None = None
    look: float | None = None
    why: str = ""
    closed: bool = False


def pick(pool: Pool, hosts: Sequence[Host], standing: Standing, moment: Moment) -> Pick:
    """Step 1: whom the pool would answer with by itself."""
    unsure = any(one.unsure for one in hosts)
    since = (moment.now if standing.unsure_since is None else standing.unsure_since) if unsure else None
    patient = since is not None and moment.now < since + PATIENCE
    if since != standing.unsure_since:
        standing = replace(standing, unsure_since=since)
    scheme = pool.failover.scheme if pool.failover else ""
    if scheme == "idle-standby":
        found = _tiers(pool, hosts, standing, moment, patient)
    elif scheme == "rotating-standby":
        found = _rotation(pool, hosts, standing, patient)
    else:
        able = tuple([one for one in hosts if one.available])
        hoped = patient and met(pool, [one for one in hosts if one.available or one.unsure], hoped=True)
        found = Pick(able, standing, hoped or met(pool, able))
    return replace(found, look=since + PATIENCE) if patient and since is not None else found


def met(pool: Pool, hosts: Iterable[Host], hoped: bool = False) -> bool:
    """Whether these hosts are enough: as many whole ones as `quorum`, with the weight of `quorum_weight`; `hoped`:
    with those nothing is known of."""
    whole = [one for one in hosts if one.whole or (hoped and one.unsure)]
    return len(whole) >= pool.quorum and sum(one.weight for one in whole) >= pool.quorum_weight


# ------------------------------------------------------------------ idle-standby


def _tiers(pool: Pool, hosts: Sequence[Host], standing: Standing, moment: Moment, patient: bool) -> Pick:
    """The lowest `priority` whose hosts are enough serves; several may share one.

    | tier that serves now    | tiers with quorum              | it has had quorum without a break | serves next |
    |-------------------------|--------------------------------|-----------------------------------|-------------|
    | none yet                | best: T                        | any time                          | T           |
    | none yet                | a better one may turn out well |                                   | T, for now  |
    | has quorum              | no better one                  |                                   | the same    |
    | has quorum              | a better one                   | for `failback`, or recalled       | the better  |
    | has quorum              | a better one                   | less; or failback is manual       | the same    |
    | is unsure, for PATIENCE | any                            |                                   | as if it had|
    | lost quorum             | best: T, better or worse       | any time: a dead standby is left  | T           |
    | any                     | none                           |                                   | all tiers   |
    """
    assert pool.failover
    wait, current = pool.failover.failback, standing.tier
    able: dict[int, list[Host]] = {}
    maybe: dict[int, list[Host]] = {}
    for one in hosts:
        if one.available:
            able.setdefault(one.tier, []).append(one)
        if one.available or one.unsure:
            maybe.setdefault(one.tier, []).append(one)
    quorate = sorted(tier for tier, members in able.items() if met(pool, members))
    hoped = sorted(tier for tier, members in maybe.items() if patient and met(pool, members, hoped=True)) or quorate
    if current not in hoped:
        current = None
    if current is None and quorate:
        current = quorate[0]
        if hoped[0] < current:
            why = f"tier {current} serves until it is known how tier {hoped[0]} is"
            return Pick(tuple(able[current]), replace(standing, tier=None, ripening=()), True, why=why)
    if current is None:
        everybody = tuple([one for one in hosts if one.available])
        why = "no tier has quorum: all tiers serve together" if everybody else ""
        tier = standing.tier if hoped else None
        return Pick(everybody, replace(standing, tier=tier, ripening=()), bool(hoped), why=why)
    since = dict(standing.ripening)
    better = {tier: since.get(tier, moment.now) for tier in quorate if tier < current}
    ripe = [tier for tier, start in better.items() if moment.ripe(start, wait)]
    if ripe:
        current = min(ripe)
        better = {tier: start for tier, start in better.items() if tier < current}
    standing = replace(standing, tier=current, ripening=tuple(better.items()))
    chosen = tuple(able[current] if current in quorate else maybe[current])
    due = moment.due(min(better.values()), wait) if better else None
    why = f"tier {current} serves" if current > min(one.tier for one in hosts) else ""
    if better:
        first = min(better, key=lambda tier: (better[tier], tier))
        why = f"tier {current} serves; tier {first} is well again and returns {moment.left(due)}"
    return Pick(chosen, standing, True, due, why=why, closed=wait != 0)


# ------------------------------------------------------------------ rotating-standby


def _rotation(pool: Pool, hosts: Sequence[Host], standing: Standing, patient: bool) -> Pick:
    """`active: N` hold, the others queue, first in first out; nobody is pushed out of a place.

    | a host                             | becomes                                                             |
    |------------------------------------|---------------------------------------------------------------------|
    | holds, and is whole                | holds                                                               |
    | holds, and nothing is known of it  | holds: only a full `fall` (or a drain) takes a place away           |
    | holds, and is neither              | absent; the first of the queue that is whole takes the place        |
    | waits, and is whole, or not known  | waits in its order; one that is not known is passed over            |
    | waits, and is neither              | absent                                                              |
    | waits or holds, without an address | absent: there is nothing to answer                                  |
    | is absent or new, and is whole     | waits at the tail; several at once in file order, but former        |
    |                                    | holders first when nobody holds (after a total outage)              |

    Whole: available, with each published address up. Where no whole host is left for a place, one that is partly up
    stands in, former holders first, without a place. At first the order is that of the file, made when all are known
    (or PATIENCE is over); until then the first that are up stand in.
    """
    assert pool.failover
    active = pool.failover.active
    there = {one.name: one for one in hosts}
    able = [one.name for one in hosts if one.available and one.whole]
    kept = {*able, *(one.name for one in hosts if one.unsure and one.addresses)}
    holders = [name for name in standing.holders if name in kept]
    queue = [name for name in standing.queue if name in kept]
    former = standing.former
    if patient and not (holders or queue or former) and any(one.unsure for one in hosts):
        stand_ins = tuple([there[name] for name in able[:active]])
        return Pick(stand_ins, standing, True, why="the order is made when all are known")
    known = {*holders, *queue}
    queue += [name for name in able if name not in known]
    if not holders and former:
        queue.sort(key=lambda name: former.index(name) if name in former else len(former))
    waiting = [name for name in queue if name in able]
    while len(holders) < active and waiting:
        holders.append(waiting.pop(0))
        queue.remove(holders[-1])
    while len(holders) > active:  # `active` was lowered
        queue.insert(0, holders.pop())
    last = tuple(holders) or tuple(dict.fromkeys([name for name in (*standing.holders, *former) if name in there]))
    partly = [one.name for one in hosts if one.available and not one.whole]
    partly.sort(key=lambda name: last.index(name) if name in last else len(last))
    chosen = tuple([there[name] for name in (*holders, *partly[: active - len(holders)])])
    after = replace(standing, holders=tuple(holders), queue=tuple(queue), former=last)
    hoped = any(one.unsure for one in chosen) and met(pool, chosen, hoped=True)
    why = "" if holders else "nobody holds" if not partly else "nobody is whole: who is partly up stands in"
    return Pick(chosen, after, hoped or met(pool, chosen), why=why, closed=bool(holders))
