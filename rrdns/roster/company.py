"""Pools that have to do with one another (backup, partner, fallback), and what schemes remember. Floor 3, pure.

Owned by the roster. Such pools are decided together; a pool's standing is the one in its last selection. What may
come in force of a decision is for `promoting.py` to say. Must not know: how it is decided, answers, directors.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from rrdns import failover, hosts
from rrdns.failover import NEW, Asked, Selection
from rrdns.fencing import Who
from rrdns.hosts import Host
from rrdns.model import Member, Pool, Standing, State
from rrdns.roster.duty import Duty
from rrdns.roster.promoting import Promotions
from rrdns.roster.verdicts import Keys
from rrdns.substitutes import lenders

Duties = Mapping[str, Duty]
Lent = Mapping[str, Mapping[str, Keys]]


class UnknownPool(LookupError):
    """No such pool, or none with anything to call back; the message says so."""


class Company:
    """`version` counts changes of what `kept` gives. `recalled`: pools that an operator calls back, and his words."""

    def __init__(self) -> None:
        self.version = 0
        self.promotions = Promotions()
        self.recalled: dict[str, str] = {}
        self.timed: set[str] = set()
        """Pools that remember something, or have to do with others."""
        self.waiting: set[str] = set()
        """Those of them whose time will come: most wait for nothing, and are not asked at every decision."""
        self._groups: dict[str, tuple[str, ...]] = {}
        self._lent: Lent = {}
        self._judged: Mapping[str, State] = {}
        self._restored: Mapping[str, Standing] = {}

    # ------------------------------------------------------------------ files and disk

    def restore(self, standings: Mapping[str, Standing]) -> None:
        """What outlived the last process, for the pools of the first load."""
        self._restored = standings

    def load(self, duties: Duties, lent: Lent, judged: Mapping[str, State], now: float = 0.0) -> None:
        """Other pools, or others in them. `judged`: what is believed of targets, now and from now on."""
        self._lent, self._judged = lent, judged
        self._groups = _groups({name: duty.pool for name, duty in duties.items()})
        self.timed = {name for name, duty in duties.items() if duty.pool.failover or name in self._groups}
        self.recalled = {name: by for name, by in self.recalled.items() if name in self.timed}
        for name, standing in self._restored.items():
            if name in duties:
                duties[name].selection = replace(duties[name].selection, standing=standing)
        self._restored = {}
        for name, duty in duties.items():
            duty.ask = partial(self._ask, duties, name)
            if name not in self.timed and duty.selection.standing != NEW:
                duty.selection = replace(duty.selection, standing=NEW)
        self.waiting = {name for name in self.timed if _is_timed(duties[name].selection)}
        self.promotions.load(duties, now)
        self.version += 1

    def kept(self, duties: Duties) -> dict[str, Standing]:
        """What a restart needs, as `restore` takes it."""
        found = {name: lasting(duties[name].selection.standing) for name in sorted(self.timed)}
        return {name: standing for name, standing in found.items() if standing != NEW}

    # ------------------------------------------------------------------ decisions

    def together(self, names: Collection[str]) -> list[str]:
        """These pools, and all that must be decided with them."""
        if self._groups.keys().isdisjoint(names):
            return sorted(names)
        return sorted({other for name in names for other in self._groups.get(name, (name,))})

    def step(self, duties: Duties, names: Sequence[str], now: float, held: bool) -> dict[str, Selection]:
        """What is in force of pools that were put `together`, once they are decided; `held`: we may be cut off."""
        return self.promotions.step(
            duties, names, lambda entitled: self.decide(duties, names, now, held, entitled=entitled), now
        )

    def decide(
        self,
        duties: Duties,
        names: Iterable[str],
        now: float,
        held: bool = False,
        instead: Mapping[str, Sequence[Host]] = MappingProxyType({}),
        entitled: Mapping[str, Who] = MappingProxyType({}),
    ) -> dict[str, Selection]:
        """Decides pools that were put `together`. `instead`: hosts as they might be; `entitled`: of these pools
        nobody else is looked at."""
        found = {name: instead[name] if name in instead else duties[name].acting() for name in names}
        asked = {}
        for name, its in found.items():
            duty = duties[name]
            lent: Mapping[str, Sequence[Host]] = _Lent(partial(self._borrowed, duty), found, self._lent.get(name, {}))
            if name in entitled:
                may = {one for one, role in self.promotions.roles[name].items() if role in entitled[name]}
                its = [one for one in its if one.name in may]
                lent = {lender: [one for one in some if one.name in may] for lender, some in lent.items()}
            standing, frozen = duty.selection.standing, held or duty.hold is not None
            asked[name] = Asked(duty.pool, its, duty.last, standing, lent, name in self.recalled, frozen)
        return failover.decide_all(asked, now)

    def imagine(self, duties: Duties, instead: Mapping[str, Sequence[Host]], now: float) -> dict[str, Selection]:
        """What would be decided if these pools' hosts were so."""
        return self.decide(duties, self.together(instead), now, instead=instead)

    def _ask(self, duties: Duties, name: str, its: Sequence[Host]) -> Selection:
        return self.imagine(duties, {name: its}, max(0.0, duties[name].decided_at))[name]

    def _borrowed(self, borrower: Duty, lender: str, its: Sequence[Host]) -> list[Host]:
        """A lender's hosts, as far as the borrower's checks let them pass; without checks, as the lender sees them."""
        pool, found = borrower.pool, []
        for one, of_addresses in zip(its, self._lent[pool.name][lender], strict=True):
            states = [address.state for address in one.addresses]
            if pool.checks:
                states = [hosts.address_state([self._judged[key] for key in keys]) for keys in of_addresses]
            agents = [borrower.agents.get(key, ("", 100)) for keys in of_addresses for key in keys]
            idle = any(word or not percent for word, percent in agents)
            found.append(hosts.lent(one, lender, states, pool.families, idle))
        return found

    def note(self, before: Selection, after: Selection, pool: str) -> None:
        """A decision is in force; what was called back may still have to be promoted."""
        if pool not in self.promotions.waits:
            self.recalled.pop(pool, None)
        if lasting(before.standing) != lasting(after.standing):
            self.version += 1
        (self.waiting.add if _is_timed(after) else self.waiting.discard)(pool)

    # ------------------------------------------------------------------ operators and time

    def recall(self, duties: Duties, pool: str, by: str, force: bool = False) -> None:
        """What waits to return to a pool shall, at the next decision; `force`: and who waits for `before_promote` is
        promoted without it. Raises UnknownPool."""
        duty = duties.get(pool)
        if duty is None:
            raise UnknownPool(f"there is no pool {pool!r}")
        standing = duty.selection.standing
        if standing.ripening or (standing.source and standing.well_since is not None):
            self.recalled[pool] = by
        elif not (force and pool in self.promotions.waits):
            raise UnknownPool(f"nothing waits to return to pool {pool}: {duty.selection.why}")
        if force:
            self.promotions.force(duty, by)
        for name in self.together([pool]):
            duties[name].spoken = True

    def due(self, duties: Duties, now: float) -> set[str]:
        """Pools whose time has come, or is so near that a TTL must shrink; deciding them once too often is no harm."""
        due = {name for name in self.waiting if any(when <= now for when in self._times(duties[name]))}
        return due | self.promotions.due(now)

    def deadlines(self, duties: Duties, now: float) -> Iterator[float]:
        for name in self.waiting:
            yield from (max(when, now) for when in self._times(duties[name]))
        yield from self.promotions.deadlines(now)

    def _times(self, duty: Duty) -> Iterator[float]:
        selection = duty.selection
        if duty.hold is not None:
            return
        if selection.look is not None:
            yield selection.look
        if selection.due is not None:
            yield selection.due
            ttls = {one.ttl for one in duty.services} | {one.ttl for one in duty.hinted}
            yield from (when for when in (selection.due - ttl for ttl in ttls) if when > duty.decided_at)

    def borrowed(self, duties: Duties, duty: Duty) -> Iterator[tuple[str, Member, tuple[tuple[str, ...], ...]]]:
        """Borrowed hosts in the answer: name, member, and for each address the keys of its targets."""
        lender = duty.selection.from_pool
        if lender not in duties:
            return
        serving = {one.name for one in duty.selection.serving}
        for member, keys in zip(duties[lender].pool.members, self._lent[duty.pool.name][lender], strict=True):
            if f"{lender}/{member.name}" in serving:
                yield f"{lender}/{member.name}", member, keys


class _Lent(Mapping[str, Sequence[Host]]):
    """What a pool may borrow, worked out when it is asked for: most pools never need to."""

    def __init__(
        self,
        judge: Callable[[str, Sequence[Host]], list[Host]],
        found: Mapping[str, Sequence[Host]],
        lenders: Collection[str],
    ) -> None:
        self._judge, self._found, self._lenders = judge, found, lenders

    def __getitem__(self, lender: str) -> Sequence[Host]:
        if lender not in self._lenders:
            raise KeyError(lender)
        return self._judge(lender, self._found[lender])

    def __iter__(self) -> Iterator[str]:
        return iter(self._lenders)

    def __len__(self) -> int:
        return len(self._lenders)


def _is_timed(selection: Selection) -> bool:
    return selection.look is not None or selection.due is not None


def lasting(standing: Standing) -> Standing:
    """The part that is kept over a restart."""
    return replace(standing, ripening=(), well_since=None, unsure_since=None)


def _groups(pools: Mapping[str, Pool]) -> dict[str, tuple[str, ...]]:
    """Of each pool that has to do with others, all of them and itself."""
    groups: dict[str, set[str]] = {}
    for name, pool in pools.items():
        for _, lender in lenders(pool, pools):
            whole = groups.get(name, {name}) | groups.get(lender, {lender})
            groups.update(dict.fromkeys(whole, whole))
    return {name: tuple(sorted(group)) for name, group in groups.items()}
