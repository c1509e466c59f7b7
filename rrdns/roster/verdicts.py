"""What is believed of every target, and what decisions may believe of it. Floor 3, pure.

`health` is what the results count up to. `judged` and `pending` are what the roster decides from: the same, but
for targets that fell silent while the self-isolation guard holds (`isolation.py`). Must not know: who serves,
answers, zones, how a probe is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rrdns import health, isolation
from rrdns.hearing import Hearing, heard_after, next_word
from rrdns.model import Check, DataSet, Director, Event, Health, Pool, Result, State, Target, TcpProbe
from rrdns.roster.feed import far
from rrdns.substitutes import lenders

Keys = tuple[tuple[tuple[str, ...], ...], ...]
"""For each member of a pool, and each of its addresses, the keys of its targets, one for each check."""

# A witness is asked for anything at all: a refusal proves the path as well as a connection does.
WITNESS = Check("witness", "tcp", 53, TcpProbe())


@dataclass(frozen=True, slots=True)
class Aims:
    """All targets of the files, each once however many pools use it; the keys of each pool's members; and who
    uses a target, as (pool, index of the member). Pools without a service count too: `status` shows them. `lent`: by
    borrowing and lending pool the keys of the lender's members as the borrower checks them; their index is OTHERS."""

    targets: dict[str, Target]
    keys: dict[str, Keys]
    users: dict[str, tuple[tuple[str, int], ...]]
    lent: dict[str, dict[str, Keys]]


OTHERS = -1


def aims(dataset: DataSet) -> Aims:
    heads = {name: check.key("") for name, check in dataset.checks.items()}  # a key but for its address
    targets: dict[str, Target] = {}
    users: dict[str, dict[tuple[str, int], None]] = {}
    keys: dict[str, Keys] = {}
    lent: dict[str, dict[str, Keys]] = {}

    def aim(user: str, pool: Pool, checks: Sequence[tuple[str, Check]]) -> Keys:
        of_members = []
        for index, member in enumerate(pool.members):
            of_members.append(tuple([tuple([head + one for head, _ in checks]) for one in member.addresses]))
            for address in member.addresses:
                for head, check in checks:
                    key = head + address
                    targets.setdefault(key, Target(key, check, address))
                    users.setdefault(key, {})[user, index if user == pool.name else OTHERS] = None
        return tuple(of_members)

    for name in sorted(dataset.pools):
        pool = dataset.pools[name]
        checks = [(heads[one], dataset.checks[one]) for one in pool.checks]
        keys[name] = aim(name, pool, checks)
        for _, lender in lenders(pool, dataset.pools):
            lent.setdefault(name, {})[lender] = aim(name, dataset.pools[lender], checks)
    return Aims(targets, keys, {key: tuple(of) for key, of in users.items()}, lent)


class Verdicts:
    """Health of all targets by key. `changed` collects the keys whose verdict or counter is news to decisions,
    `events` the transitions; the roster takes both."""

    def __init__(self, hold: float = 60.0, witnesses: Iterable[str] = ()) -> None:
        self.targets: dict[str, Target] = {}
        self.health: dict[str, Health] = {}
        self.judged: dict[str, State] = {}
        self.pending: dict[str, bool] = {}
        self.agents: dict[str, tuple[str, int]] = {}
        """Of targets with an agent: `drain`, `maint` or "", and the weight in per cent; it says only what changes."""
        self.unknown = 0
        """How many targets have no verdict yet; witnesses are not waited for."""
        self.guard = isolation.start(hold, witnesses)
        self.directors: dict[str, Hearing] = {}
        """Those far from here, as the guard hears them."""
        self._excused_until = 0.0
        self.changed: set[str] = set()
        self.events: list[Event] = []
        self._users: Mapping[str, tuple[tuple[str, int], ...]] = {}
        self._up: set[str] = set()
        self._silent_down = 0
        self._guard_due: float | None = None
        """When the guard must look again; known a little late at times, never early."""
        self._restored: dict[str, Health] = {}
        self._witnesses = {WITNESS.key(one): Target(WITNESS.key(one), WITNESS, one) for one in self.guard.witnesses}
        self._witness_health = dict.fromkeys(self._witnesses, health.start(WITNESS))

    @property
    def held(self) -> bool:
        return isolation.holding(self.guard)

    # ------------------------------------------------------------------ which targets there are

    def restore(self, kept: Mapping[str, Health]) -> None:
        """Health from the disk, for the targets of the first load."""
        self._restored = dict(kept)

    def load(self, aims: Aims) -> None:
        """These targets from now on; what is known of those that stay is kept, the rest forgotten."""
        relatives = self._relatives(aims.targets)
        known: dict[str, Health] = {}
        for key, target in aims.targets.items():
            kept = self.health.get(key) or self._restored.get(key)
            known[key] = kept or _inherited(target.check, relatives.get(_asked(target)))
        self.targets, self.health, self._users, self._restored = aims.targets, known, aims.users, {}
        self.guard = isolation.keep(self.guard, known)
        self.unknown = sum(one.state is State.UNKNOWN for one in known.values())
        self._up = {key for key, one in known.items() if one.state is State.UP}
        self.agents = {key: said for key, said in self.agents.items() if key in known}
        self.judged, self.pending = {}, {}
        self._silent_down = self.guard.silent.outside(self._up)
        for key in known:
            self._believe(key)
        self.changed.clear()

    def _relatives(self, targets: Mapping[str, Target]) -> dict[object, Health]:
        """What is known by targets that go, for new ones that ask the same with other times or thresholds."""
        gone = self.health.keys() - targets.keys()
        return {_asked(self.targets[key]): self.health[key] for key in gone}

    def all_targets(self) -> dict[str, Target]:
        return {**self.targets, **self._witnesses}

    def believed(self, key: str) -> Health:
        """What to keep of a target over a restart: not what a hold keeps us from believing."""
        if key in self._witnesses and key not in self.targets:
            return self._witness_health[key]
        return isolation.believed(self.guard, key, self.health[key])

    def pace(self, key: str) -> float:
        """Seconds to the next probe, without jitter."""
        target = self.targets.get(key)
        return health.pace(self.health[key], target.check) if target else WITNESS.interval

    # ------------------------------------------------------------------ results

    def note(self, key: str, result: Result, now: float) -> None:
        """Counts one result. A target nobody has any more is let pass: its probe was under way when the files
        changed."""
        if key in self._witnesses:
            self._hear(key, result, now)
        target = self.targets.get(key)
        if target is None:
            return
        if result.void:
            self.health[key] = health.observe(self.health[key], target.check, result, now)
            return
        if result.word or result.weight is not None:
            self._hear_agent(key, result)
        before = self.health[key]
        overdue = self._guard_due is not None and now >= self._guard_due
        steady = result.ok and before.state is State.UP and not before.failures and key not in self.guard.silent
        if steady and not overdue:  # what most results are; nothing below would find news in it
            self.health[key] = health.observe(before, target.check, result, now)
            return
        was_outside = self._outside(key)
        base = before if result.silent else isolation.believed(self.guard, key, before)
        after = self.health[key] = health.observe(base, target.check, result, now)
        if after.state is not before.state:
            self._turn(target, before.state, after, now)
        guard = self.guard
        if result.silent or key in guard.silent:
            pools = {pool for pool, _ in self._users[key]} if result.silent else ()
            self.guard = isolation.observe(guard, target, pools, before, result, now)
        self._silent_down += self._outside(key) - was_outside
        fell = after.state is not before.state and self.guard.silent
        if overdue or ((fell or self.guard is not guard) and self._may_turn(now)):
            self._watch(now)
        self._believe(key)

    def _hear_agent(self, key: str, result: Result) -> None:
        before = self.agents.get(key, ("", 100))
        word = {"": before[0], "ready": ""}.get(result.word, result.word)
        said = word, before[1] if result.weight is None else max(0, result.weight)
        if said != before:
            self.agents[key] = said
            self.changed.add(key)

    def _turn(self, target: Target, before: State, after: Health, now: float) -> None:
        """A transition of one target's counted health."""
        self.unknown -= before is State.UNKNOWN
        (self._up.add if after.state is State.UP else self._up.discard)(target.key)
        name = f"{target.check.name}@{target.address}"
        self.events.append(Event(now, "target", name, before.value, after.state.value, after.reason))

    def _believe(self, key: str) -> None:
        """What decisions go by for one target, and whether that is news."""
        one = isolation.believed(self.guard, key, self.health[key])
        pending = health.pending(one, self.targets[key].check)
        if self.judged.get(key) is not one.state or self.pending.get(key) is not pending:
            self.judged[key], self.pending[key] = one.state, pending
            self.changed.add(key)

    # ------------------------------------------------------------------ the guard

    def _hear(self, key: str, result: Result, now: float) -> None:
        target = self._witnesses[key]
        self._witness_health[key] = health.observe(self._witness_health[key], WITNESS, result, now)
        guard = isolation.hear(self.guard, target.address, result)
        if guard is not self.guard:
            self.guard = guard
            self._watch(now)

    def listen(self, directors: Iterable[Director]) -> None:
        """To those that are far from here."""
        known, self.directors = self.directors, {}
        for director in directors:
            if place := far(director):
                old = known.get(director.name)
                one = self.directors[director.name] = old if old and old.place == place else Hearing(place)
                one.span = 1.1 * director.interval + director.timeout

    def hear_director(self, name: str, silent: bool, now: float) -> None:
        """One reading of a director; `silent`: nothing at all came back."""
        one = self.directors.get(name)
        if one is None:
            return
        turned = one.note(silent, now)
        ends = not silent and self.held and self.guard.mending_since is None
        if ends or (turned and silent and not self.held and self._most()):
            self._watch(now)

    def advance(self, now: float) -> None:
        """Lets the guard look again when its time has come."""
        due = self.guard_due()
        if due is not None and now >= due:
            self._watch(now)

    def guard_due(self) -> float | None:
        """When the guard must look again though nothing is heard; None: it need not."""
        self._guard_due = isolation.deadline(self.guard)
        return self._guard_due

    def _watch(self, now: float) -> None:
        """Lets the guard judge; where a hold begins or ends, what is believed of the silent changes."""
        before = self.guard
        self.guard = isolation.judge(before, self._up, now, self.directors)
        if self.guard.silent is not before.silent:
            self._silent_down = self.guard.silent.outside(self._up)
        words = _word(before), _word(self.guard)
        if words[0] != words[1]:
            why = isolation.why(self.guard) or "results have recovered"
            self.events.append(Event(now, "server", "isolation", *words, why))
        if isolation.holding(before) != self.held:
            for key in before.silent.keys() | self.guard.silent.keys():
                self._believe(key)
        self._excused_until = 0.0
        if not self.held and self._most() and isolation.excused(self.guard, self.directors):
            self._excused_until = next_word(self.directors)  # a director that falls silent before is seen to at once
        self.guard_due()

    def _most(self) -> bool:
        """Whether over half of those that are or were up are silent."""
        return 2 * len(self.guard.silent) > len(self._up) + self._silent_down

    def _may_turn(self, now: float) -> bool:
        """Whether judging, which looks at all targets, can come to anything new before the guard's own time."""
        guard = self.guard
        if guard.witnesses or not guard.armed:
            return True
        if guard.held_since is None:
            return self._most() and now >= self._excused_until  # else too few to begin a hold
        if guard.mending_since is None:
            return not self._most()  # else too many to end it
        again = self._most() and not heard_after(self.directors, guard.held_since)
        return again or not guard.silent

    def _outside(self, key: str) -> bool:
        """Whether it is silent, and its silence has counted by now."""
        return key in self.guard.silent and key not in self._up


def _word(guard: isolation.Guard) -> str:
    if isolation.holding(guard):
        return "held"
    return "ok" if guard.armed else "spent"


def _asked(target: Target) -> object:
    check = target.check
    return check.type, check.port, check.probe, check.at, target.address


def _inherited(check: Check, relative: Health | None) -> Health:
    """Health of a new target. Where only times or thresholds were edited the verdict stands and the counters
    begin anew; otherwise nothing is known."""
    new = health.start(check)
    if relative is None:
        return new
    return replace(new, state=relative.state, since=relative.since, seen=relative.seen, reason=relative.reason)
