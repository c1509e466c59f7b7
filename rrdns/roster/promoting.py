"""Promotions that wait for `before_promote`: which, since when, what the command said, when it is run again.

Floor 3, pure; owned by `company.py`. `fencing.py` has the rule, and what a pool answers meanwhile; who runs the
command is told by `under_way` what to run, and tells `result`.

    wanted     somebody who is not entitled would be answered: the command is to be run (pending)
    failed     the promotion is blocked; the command is run again after PAUSES, the last of them ever after
    exit 0     the promotion is made at the same moment
    not wanted the old holder came back, an operator holds the pool, the files changed: it is abandoned, and what the
               command says later is let pass
    other hosts are wanted: that is another promotion, and the command is run anew
    forced     an operator wants it without the command (`rrdns failback POOL --force`)

Pools that have to do with one another stay one step: while one of them waits, the others are decided as if those it
waits for could not serve it, so a backup pool sheds nothing before it serves. Must not know: processes, how it is
decided who serves.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from rrdns import fencing
from rrdns.failover import Selection, census
from rrdns.fencing import NOBODY, Roles, Who
from rrdns.hosts import Host
from rrdns.model import Event, Pool
from rrdns.overrides import DRILL
from rrdns.promotions import Promotion
from rrdns.roster.duty import Duty
from rrdns.schemes import PATIENCE

Duties = Mapping[str, Duty]
Decide = Callable[[Mapping[str, Who]], dict[str, Selection]]
"""Decides the pools of a step; of those named only the entitled are looked at."""

PAUSES = (10.0, 20.0, 40.0, 60.0)
SHOWN = 3


@dataclass(slots=True)
class Wait:
    """`entitled`, `comes`: who was when it began, and whom it is for. `again`: when the command is run again; None:
    it runs. `failed`: what it said last, `granted`: that it was done."""

    promotion: Promotion
    entitled: Who
    comes: Who
    since: float
    tries: int = 1
    again: float | None = None
    failed: str = ""
    granted: str = ""

    @property
    def state(self) -> str:
        return "blocked" if self.failed and not self.granted else "pending"

    def words(self) -> str:
        """`promotion of db2 blocked: /usr/local/sbin/fence exited 1: no route`."""
        one = self.promotion
        who = ", ".join(one.coming[:SHOWN]) + (" ..." if len(one.coming) > SHOWN else "")
        doing = self.failed or ("waits for another pool" if self.granted else f"{one.fence.argv[0]} runs")
        return f"promotion of {who} {self.state}: {doing}"


class Promotions:
    """`roles`: of each pool with `before_promote`. `forced`: pools whose next promotion an operator wants without it,
    and his words."""

    def __init__(self) -> None:
        self.roles: dict[str, Roles] = {}
        self.waits: dict[str, Wait] = {}
        self.forced: dict[str, str] = {}
        self.events: list[Event] = []
        self._last = 0
        self._begun: dict[str, float] = {}
        """When pools were first decided that nobody had been on duty in."""

    # ------------------------------------------------------------------ files

    def load(self, duties: Duties, now: float) -> None:
        """Other pools, or others in them; whoever is answered now is entitled to it."""
        for name in [name for name in self.waits if name not in duties or not duties[name].pool.before_promote]:
            self._end(name, "abandoned", "the files say so", now)
        pools = {name: duty.pool for name, duty in duties.items()}
        self._begun = {name: since for name, since in self._begun.items() if name in duties}
        self.roles = {name: fencing.roles(pool, pools) for name, pool in pools.items() if pool.before_promote}
        for name, duty in duties.items():
            its = self.roles.get(name)
            self._entitle(duty, fencing.anchored(duty.pool, duty.selection, its) if its is not None else NOBODY)

    # ------------------------------------------------------------------ a step

    def step(self, duties: Duties, names: Sequence[str], decide: Decide, now: float) -> dict[str, Selection]:
        """What is in force after a step over these pools, promotions being what they are."""
        for name in [name for name in names if name in self.waits and duties[name].stays()]:
            self._end(name, "abandoned", "the pool is held", now)
        wanted = decide({})
        gates = [name for name in names if name in self.roles and not duties[name].stays()]
        if not gates:
            return wanted
        who = {name: self._who(duties[name], now) for name in gates}
        comes = {name: fencing.comers(wanted[name], self.roles[name], who[name]) for name in gates}
        may = {name: who[name] | self._granted(name, who[name], comes[name]) for name in gates if who[name]}
        found, barred = wanted, dict[str, Who]()
        while strange := [name for name in may.keys() - barred.keys() if self._answered(name, found) - may[name]]:
            barred |= {name: who[name] for name in strange}
            found = decide(barred)
        result = dict(found)
        for name in gates:
            late = who[name] and comes[name] and not self._answered(name, found) & comes[name]  # another pool waits
            if name not in barred and not late:
                result[name] = self._in_force(duties, found[name], who[name], comes[name], name, now)
            elif comes[name]:
                self._want(duties, name, who[name], comes[name], wanted[name], now)
                result[name] = self._meanwhile(duties, name, wanted[name], found[name], self.waits[name].words())
            elif self._answered(name, wanted) - who[name]:  # nobody of them is up: nothing to promote
                self._end(name, "abandoned", wanted[name].why, now)
                standing = replace(wanted[name].standing, entitled=duties[name].selection.standing.entitled)
                result[name] = replace(found[name], standing=standing, due=wanted[name].due, look=wanted[name].look)
            else:
                self._end(name, "abandoned", wanted[name].why, now)
                why = "waits for a promotion in another pool"
                result[name] = self._meanwhile(duties, name, wanted[name], found[name], why)
            self.forced.pop(name, None)
        return result

    def _answered(self, name: str, found: Mapping[str, Selection]) -> Who:
        return fencing.answered(found[name], self.roles[name])

    def _granted(self, name: str, who: Who, comes: Who) -> Who:
        """Whom the command has cleared the way for, or an operator."""
        wait = self.waits.get(name)
        if name in self.forced:
            return comes
        return wait.comes if wait and wait.granted and (wait.entitled, wait.comes) == (who, comes) else NOBODY

    def _who(self, duty: Duty, now: float) -> Who:
        """Who is entitled. At first nobody is: whoever is answered before all are known has nobody before him."""
        name, who = duty.pool.name, frozenset(duty.selection.standing.entitled)
        if not who and now >= self._begun.setdefault(name, now) + PATIENCE:
            who = fencing.entitled(duty.pool, duty.selection, self.roles[name], NOBODY)
            self._entitle(duty, who)
        return who

    @staticmethod
    def _entitle(duty: Duty, who: Who) -> None:
        if who != frozenset(duty.selection.standing.entitled):
            standing = replace(duty.selection.standing, entitled=tuple(sorted(who)))
            duty.selection = replace(duty.selection, standing=standing)

    def _in_force(self, duties: Duties, found: Selection, who: Who, comes: Who, name: str, now: float) -> Selection:
        """A decision that needs no promotion, or whose promotion is made with it."""
        its = self.roles[name]
        wait = self.waits.get(name)
        if who and comes and fencing.answered(found, its) & comes:
            self._end(name, "done", wait.granted if wait else self.forced.get(name, ""), now, also=True)
        else:
            self._end(name, "abandoned", found.why, now)
        first = not who and any(one.unsure for one in _hosts(duties, name, its))
        entitled = NOBODY if first else fencing.entitled(duties[name].pool, found, its, who)
        return replace(found, standing=replace(found.standing, entitled=tuple(sorted(entitled))))

    def _meanwhile(self, duties: Duties, name: str, wanted: Selection, among: Selection, why: str) -> Selection:
        duty, its = duties[name], self.roles[name]
        hosts = {one.name: one for one in _hosts(duties, name, its)}
        entitled = duty.selection.standing.entitled
        there = {one: host for one, host in hosts.items() if its[one] in entitled}
        why = f"{why}: {census(duty.acting())}"
        return fencing.waiting(duty.pool, duty.selection, wanted, among, there, why)

    # ------------------------------------------------------------------ one promotion

    def _want(self, duties: Duties, name: str, who: Who, comes: Who, wanted: Selection, now: float) -> None:
        """Somebody is to be promoted: a new promotion, or the one that is under way, or its next try."""
        wait = self.waits.get(name)
        if wait is None or (wait.entitled, wait.comes) != (who, comes):
            state = wait.state if wait else "none"
            self._last += 1
            one = self._promotion(duties, name, who, comes, wanted, self._last)
            wait = self.waits[name] = Wait(one, who, comes, now, granted=self.forced.get(name, ""))
            moves = f"{one.reason}: {_named(one.leaving)} -> {_named(one.coming)}"
            why = f"{_program(duties[name].pool)} runs first ({moves})"
            self.events.append(Event(now, "promotion", name, state, wait.state, why))
            return
        ident = wait.promotion.ident
        if wait.again is not None and wait.again <= now:
            self._last = ident = self._last + 1
            wait.again, wait.tries = None, wait.tries + 1
        wait.promotion = self._promotion(duties, name, who, comes, wanted, ident)

    def _promotion(self, duties: Duties, name: str, who: Who, comes: Who, wanted: Selection, ident: int) -> Promotion:
        duty, its = duties[name], self.roles[name]
        before, fence = duty.selection, duty.pool.before_promote
        assert fence is not None
        addresses = {one.name: tuple([each.text for each in one.addresses]) for one in _hosts(duties, name, its)}
        gone = {
            one.name: tuple([str(ip_address(each)) for each in one.addresses])
            for one in before.serving
            if one.name not in its and one.name not in duty.pool.when_down.addresses
        }
        leaves = who - fencing.answered(wanted, its)
        leaving = [*(one for one in its if its[one] in leaves), *gone]
        coming = [one.name for one in wanted.serving if its.get(one.name) in comes]
        addresses |= gone
        return Promotion(
            ident,
            name,
            fence,
            _reason(duties, name, leaving, bool(gone), wanted),
            tuple(leaving),
            tuple(coming),
            tuple([each for one in leaving for each in addresses[one]]),
            tuple([each for one in coming for each in addresses[one]]),
        )

    def _end(self, name: str, word: str, why: str, now: float, also: bool = False) -> None:
        """A promotion is over; `also`: it is told even if it never waited."""
        wait = self.waits.pop(name, None)
        if wait is not None or also:
            before = "none" if wait is None else "blocked" if wait.failed else "pending"
            self.events.append(Event(now, "promotion", name, before, word, why))

    # ------------------------------------------------------------------ the command

    def under_way(self) -> tuple[Promotion, ...]:
        """Whose command is to run now."""
        return tuple([one.promotion for one in self.waits.values() if one.again is None and not one.granted])

    def force(self, duty: Duty, by: str) -> None:
        """What is to be promoted in a pool shall be without the command, at the next decision."""
        wait, why = self.waits.get(duty.pool.name), f"without {_program(duty.pool)}, {by}"
        if wait is None:
            self.forced[duty.pool.name] = why
        else:
            wait.granted, wait.again = why, None

    def result(self, name: str, ident: int, ok: bool, said: str, now: float) -> bool:
        """What a command came to; whether that counts."""
        wait = self.waits.get(name)
        if wait is None or wait.promotion.ident != ident or wait.granted or wait.again is not None:
            return False
        if ok:
            wait.granted, wait.again = said or "exit 0", None
            return True
        wait.again = now + PAUSES[min(wait.tries, len(PAUSES)) - 1]
        if said != wait.failed:
            before, wait.failed = wait.state, said
            why = f"{wait.words()}; trying again in {wait.again - now:.0f} s"
            self.events.append(Event(now, "promotion", name, before, wait.state, why))
        return True

    def due(self, now: float) -> set[str]:
        return {name for name, one in self.waits.items() if one.again is not None and one.again <= now}

    def deadlines(self, now: float) -> Iterator[float]:
        yield from (max(one.again, now) for one in self.waits.values() if one.again is not None)

    def take_events(self) -> list[Event]:
        found, self.events = self.events, []
        return found

    # ------------------------------------------------------------------ pictures

    def why(self, name: str) -> str:
        """Why the answer may change at any moment; "" if nothing waits."""
        return self.waits[name].words() if name in self.waits else ""

    def picture(self, name: str, now: float) -> dict[str, object] | None:
        """The part of a pool's `status` that is about its promotion."""
        wait = self.waits.get(name)
        if wait is None:
            return None
        one = wait.promotion
        return {
            "state": wait.state,
            "reason": one.reason,
            "leaving": list(one.leaving),
            "coming": list(one.coming),
            "command": shlex.join(one.fence.argv),
            "why": wait.failed,
            "since": now - wait.since,
            "tries": wait.tries,
            "again": max(0.0, wait.again - now) if wait.again is not None else None,
        }


def _hosts(duties: Duties, name: str, its: Roles) -> Iterator[Host]:
    """All that a pool may answer, by the names they have there."""
    yield from duties[name].acting()
    for lender in dict.fromkeys(one.partition("/")[0] for one in its if "/" in one):
        yield from (replace(one, name=f"{lender}/{one.name}") for one in duties[lender].acting())


def _reason(duties: Duties, name: str, leaving: Sequence[str], gone: bool, wanted: Selection) -> str:
    """
    | of those who shall leave                                              | reason   |
    |-----------------------------------------------------------------------|----------|
    | one is taken out by `rrdns drill`                                     | drill    |
    | one is drained or disabled by an operator, or in the files no more    | operator |
    | none, and a better tier, or its own hosts after others', return       | failback |
    | none                                                                  | failover |
    """
    words = set()
    for one in leaving:
        lender, _, member = one.rpartition("/")
        word = duties[lender or name].overrides.get(member) if (lender or name) in duties else None
        words.add(word.word if word else "")
    if DRILL in words:
        return DRILL
    if gone or words & {"drain", "disable"}:
        return "operator"
    was, is_ = duties[name].selection.standing, wanted.standing
    better = was.tier is not None and is_.tier is not None and is_.tier < was.tier
    return "failback" if better or (was.source and not is_.source) else "failover"


def _program(pool: Pool) -> str:
    return pool.before_promote.argv[0] if pool.before_promote else "before_promote"


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "") or "nobody"
