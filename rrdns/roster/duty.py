"""A pool at work: its hosts as they are judged now, whom it answers with, and the rings of its services. Floor 3.

One `Duty` per pool, owned by the roster, which tells it what changed and asks it for answers. Everything that
costs is kept: hosts until one of their checks changes its verdict, the order of a ring until the serving hosts
change, the bytes of a ring for each TTL. Must not know: results, zones, other pools, when things happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from rrdns import failover, overrides, render, schedulers, sticky, wire
from rrdns.answers import AnswerSet
from rrdns.failover import Entries, Host, Selection, Serving
from rrdns.model import ABSENT, Hinted, Override, Pool, Service, State
from rrdns.roster import caveats
from rrdns.roster.balance import Balance
from rrdns.roster.entries import Voice
from rrdns.roster.spoken import Spoken, weighed, word_of
from rrdns.roster.verdicts import Keys


@dataclass(frozen=True, slots=True)
class Order:
    """One family of one kind of ring: who may stand in it, and each slot as indices into `entries`."""

    entries: Entries
    slots: tuple[tuple[int, ...], ...]
    pages: int

    def members(self) -> tuple[tuple[str, ...], ...]:
        names = self.entries.names
        return tuple(tuple([names[index] for index in slot]) for slot in self.slots)

    def packed(self) -> list[tuple[bytes, ...]]:
        packed = self.entries.packed
        return [tuple([packed[index] for index in slot]) for slot in self.slots]


EMPTY = Order(failover.NO_ENTRIES, (), 1)


@lru_cache(maxsize=64)
def _slots(weights: tuple[int, ...], answers: int, scheduler: str, page: int) -> tuple[tuple[int, ...], ...]:
    """Pools of like weights share their order; that is what a mass event consists of."""
    return schedulers.ring(weights, answers, scheduler, page)


@lru_cache(maxsize=64)
def _sticky(names: tuple[str, ...], weights: tuple[int, ...], answers: int) -> tuple[tuple[int, ...], ...]:
    return sticky.ring(names, weights, answers)


def wide(answers: int, size: int) -> int:
    """How many of `size` addresses an answer holds, for the scheduler (0: all), at most MAX_ADDRESSES."""
    if answers == 0 or answers >= size:
        return 0 if size <= render.MAX_ADDRESSES else render.MAX_ADDRESSES
    return min(answers, render.MAX_ADDRESSES)


def _scheme(pool: Pool) -> str:
    return pool.failover.scheme if pool.failover else ""


def _hashed(ring: AnswerSet | None) -> AnswerSet | None:
    return replace(ring, hashed=True) if ring is not None and ring.counted else ring


class Duty(Spoken):
    """`targets`: for each member and each of its addresses the keys of its targets. `services`: those that answer
    from this pool. `hinted`: records that take hints from it. `ede`: what its answers tell, see `caveats`. `due`:
    members one of whose checks may soon change its verdict. `words`: each member's state as people were told it;
    `touched`: members judged anew since. `last`: who served when last somebody was up. `voices`: what directors say
    of members. `lacks`: by member given by host name why it lacks addresses. `agents`: what agents say, by target;
    `percents`: of members whose agent changes their weight; `scale`: what the weights in `selection` are multiplied
    with for that. `balance`: what decides beside these.
    `made`: a director tells who the members are, so one
    that is gone may return, and its override waits."""

    __slots__ = (
        "_bodies",
        "_orders",
        "_places",
        "agents",
        "ask",
        "balance",
        "decided_at",
        "due",
        "ede",
        "hinted",
        "lacks",
        "last",
        "made",
        "page",
        "percents",
        "scale",
        "services",
        "targets",
        "touched",
        "voices",
        "words",
    )

    def __init__(self, pool: Pool, targets: Keys) -> None:
        super().__init__(pool)
        self.targets = targets
        self._places: dict[str, int] = {}
        self.services: tuple[Service, ...] = ()
        self.hinted: tuple[Hinted, ...] = ()
        self.ede = b""
        self.voices: Mapping[str, Voice] = {}
        self.lacks: Mapping[str, str] = {}
        self.agents: Mapping[str, tuple[str, int]] = {}
        self.percents: dict[str, int] = {}
        self.scale = 1
        self.balance = Balance(pool)
        self.made = False
        self.due: set[int] = set()
        self.words: list[str] = []
        self.touched: set[int] = set()
        self.last: tuple[str, ...] = ()
        self.ask: Callable[[Sequence[Host]], Selection] = lambda hosts: failover.decide(pool, hosts)
        """What would be decided of such hosts."""
        self.page = 0
        self.decided_at = float("-inf")
        self._orders: dict[tuple[int, str], tuple[Order, Order]] = {}
        self._bodies: dict[tuple[int, str, int], tuple[AnswerSet | None, AnswerSet | None]] = {}

    def follow(self, before: Duty) -> None:
        """Takes over from the same pool as it was before a reload what does not depend on its files."""
        self.last, self.page, self.selection = before.last, before.page, before.selection
        if _scheme(self.pool) != _scheme(before.pool):
            entitled = before.selection.standing.entitled
            self.selection = replace(self.selection, standing=replace(failover.NEW, entitled=entitled))
        words = dict(zip((one.name for one in before.pool.members), before.words, strict=True))
        self.words = [words.get(one.name, ABSENT) for one in self.pool.members] if words else []
        self.keep_words(before, self.made)
        self.balance.follow(before.balance)

    def believe(self, judged: Mapping[str, State]) -> None:
        """From now on this is what is believed of targets."""
        self._judged = judged

    def index(self, member: str) -> int | None:
        if not self._places:
            self._places = {one.name: index for index, one in enumerate(self.pool.members)}
        return self._places.get(member)

    # ------------------------------------------------------------------ hosts

    def judge_all(self, judged: Mapping[str, State], pending: Mapping[str, bool]) -> None:
        self._judged = judged
        self.hosts = [self._host(index, judged) for index in range(len(self.pool.members))]
        self.due = {index for index in range(len(self.hosts)) if self._is_due(index, judged, pending)}
        self.words = self.words or [one.word for one in self.hosts]
        self.touched = set(range(len(self.hosts)))

    def judge(self, index: int, judged: Mapping[str, State], pending: Mapping[str, bool]) -> None:
        """One member anew, after a verdict, a counter or its override changed."""
        self._judged = judged
        self.hosts[index] = self._host(index, judged)
        if self.hold is not None:
            self._first_verdict(index)
        (self.due.add if self._is_due(index, judged, pending) else self.due.discard)(index)
        self.touched.add(index)

    def _host(self, index: int, judged: Mapping[str, State]) -> Host:
        name = self.pool.members[index].name
        word, weight = word_of(self.overrides, name), word_of(self.weights, name)
        host, percent = self._as(index, judged, word, weight)
        self.percents.pop(name, None)
        if percent is not None:
            self.percents[name] = percent
        return host

    def _as(self, index: int, judged: Mapping[str, State], override: str, by_hand: str) -> tuple[Host, int | None]:
        """The member as these words of an operator make it ("" for none), and the per cent of its weight that count."""
        member = self.pool.members[index]
        voice = self.voices.get(member.name)
        if voice is not None and not self.pool.checks:
            states = [State.UNKNOWN] * len(member.addresses)  # it lives from its director alone
        else:
            states = [failover.address_state([judged[key] for key in keys]) for keys in self.targets[index]]
        told, weight = (voice.word, voice.weight) if voice is not None else ("", None)
        if self.pool.weight_from != "director":
            weight = None
        agents = [self.agents[key] for keys in self.targets[index] for key in keys if key in self.agents]
        percent = None
        if agents:
            idle = any(word or not percent for word, percent in agents)
            told = "drain" if idle and told != "down" else told
            percent = min(percent for _, percent in agents)
        if by_hand:
            weight, percent = weighed(weight, by_hand)
        return failover.host(member, states, self.pool.families, override, told, weight), percent

    def _is_due(self, index: int, judged: Mapping[str, State], pending: Mapping[str, bool]) -> bool:
        """Whether an address of the member may soon change its verdict.

        | the address is | when                                                        |
        |----------------|-------------------------------------------------------------|
        | up or unknown  | any of its checks is pending                                |
        | down           | all of its checks that say down are: else it stays down     |
        """
        for keys in self.targets[index]:
            against = [key for key in keys if judged[key] is State.DOWN]
            if all(pending[key] for key in against) if against else any(pending[key] for key in keys):
                return True
        return False

    # ------------------------------------------------------------------ who serves

    def select(self, selection: Selection, now: float, tells: bool = False) -> None:
        """Puts a decision in force; `tells`: its answers say where they are not as good as they look."""
        self.decided_at = now
        selection = self._by_agents(selection)
        self.balance.look(self.hosts, now)
        moved = self.balance.weigh(selection.serving, self.voices, now)
        told, self.ede = self.ede, caveats.of(selection, self.hosts, self.pool.when_down.word) if tells else b""
        same = selection.serving == self.selection.serving and selection.servfail == self.selection.servfail
        if not same or moved or self.ede != told:
            self._orders.clear()
            self._bodies.clear()
        if selection.rung in ("available", "drained"):
            self.last = tuple([one.name for one in selection.serving if "/" not in one.name]) or self.last
        self.selection = selection

    def _by_agents(self, selection: Selection) -> Selection:
        """With the weights that agents ask for, all of them scaled so that a per cent can show."""
        self.scale = 100 if any(percent not in (0, 100) for percent in self.percents.values()) else 1
        if self.scale == 1:
            return selection
        percents = {name: percent or 100 for name, percent in self.percents.items()}
        serving = [replace(one, weight=one.weight * percents.get(one.name, 100)) for one in selection.serving]
        return replace(selection, serving=tuple(serving))

    def without(self, word: Override) -> Selection:
        """What would be decided if that word of an operator ended now."""
        hosts = self.hosts if word.word == overrides.HOLD else self.imagined((), word)
        return self._by_agents(self.ask(hosts))

    # ------------------------------------------------------------------ TTL

    def pending(self) -> list[int]:
        """Members whose counters shorten the TTL: those in the answer that may leave it or change, and those
        outside that would come in. DESIGN's rule, with who can come in told by the rung we stand on."""
        if not self.due:
            return []
        names = {one.name for one in self.selection.serving}
        open_to_all = self.selection.rung != "available"
        found = []
        for index in sorted(self.due):
            one = self.hosts[index]
            enters = open_to_all or (one.weight > 0 and not one.drained and not self.selection.closed)
            if not one.disabled and (one.name in names or enters):
                found.append(index)
        return found

    def ends_soon(self, now: float, within: float) -> Iterator[Override]:
        """Overrides that run out within that time and whose end changes who serves."""
        for override in self.spoken_of():
            if override.until is not None and override.until - within <= now:
                after = self.without(override)
                if after.serving != self.selection.serving or after.servfail != self.selection.servfail:
                    yield override

    # ------------------------------------------------------------------ rings

    def orders(self, service: Service) -> tuple[Order, Order]:
        """The IPv4 and the IPv6 order of a service's ring."""
        kind = (service.answers, service.scheduler)
        found = self._orders.get(kind)
        if found is None:
            serving = self.weighed_for(service.scheduler)
            v4, v6 = (failover.entries(serving, size) for size in (4, 16))
            found = self._orders[kind] = (self._order(v4, service), self._order(v6, service))
        return found

    def _order(self, entries: Entries, service: Service) -> Order:
        if not entries.names:
            return EMPTY
        answers = wide(service.answers, len(entries.names))
        if service.scheduler == "sh":
            return Order(entries, _sticky(entries.names, entries.weights, answers), 1)
        scheduler = self.by(service.scheduler)
        pages = schedulers.pages(entries.weights, answers, scheduler)
        return Order(entries, _slots(entries.weights, answers, scheduler, self.page % pages), pages)

    def weighed_for(self, scheduler: str) -> list[Serving]:
        """Who serves, with the weights that a scheduler goes by at this moment."""
        serving = self.selection.serving
        weights = self.balance.weights(serving, scheduler)
        return [one if one.weight == weight else replace(one, weight=weight)
                for one, weight in zip(serving, weights, strict=True)]  # fmt: skip

    def by(self, scheduler: str) -> str:
        """How the order comes from these weights: rr where all are alike, address by address; else wrr."""
        return "rr" if self.balance.now(scheduler) == "rr" and not self.balance.parts else "wrr"

    def pages(self) -> int:
        """The largest number of pages any ring of this pool has."""
        return max((order.pages for orders in self._orders.values() for order in orders), default=1)

    def rings(self, service: Service, ttl: int) -> tuple[AnswerSet | None, AnswerSet | None]:
        """The A and the AAAA ring of a service; None: that family has nothing, NODATA."""
        kind = (service.answers, service.scheduler, ttl)
        found = self._bodies.get(kind)
        if found is None:
            v4, v6 = self.orders(service)
            found = (
                render.address_ring(wire.A, v4.packed(), ttl, self.ede) or self._nothing(4),
                render.address_ring(wire.AAAA, v6.packed(), ttl, self.ede) or self._nothing(16),
            )
            if service.scheduler == "sh":
                found = (_hashed(found[0]), _hashed(found[1]))
            self._bodies[kind] = found
        return found

    def reweigh(self, now: float) -> bool:
        """Whether what decides beside the weights makes other rings of the same hosts; they are made when asked for."""
        if self.stays() or not self.balance.weigh(self.selection.serving, self.voices, now):
            return False
        self._orders.clear()
        self._bodies.clear()
        return True

    def turn(self) -> None:
        """The next page of rings whose sequence is longer than one."""
        self.page += 1
        self._orders.clear()
        self._bodies.clear()

    def _nothing(self, size: int) -> AnswerSet | None:
        """SERVFAIL when the pool says so, for a family its members have."""
        if not self.selection.servfail or not self.has(size):
            return None
        return replace(render.SERVFAIL_SET, ede=self.ede) if self.ede else render.SERVFAIL_SET

    def has(self, size: int) -> bool:
        """Whether any member has an address of so many bytes; where none is known, whether it may have one."""
        members = self.pool.members
        known = [len(failover.packed(text)) for member in members for text in member.addresses]
        return size in known or not all(member.addresses for member in members) or not members
