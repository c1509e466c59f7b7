"""Answers per member and per service, told from the cursors of the workers' rings. Pure: `now` is an argument.

A ring's cursor only grows, and slot `cursor % length` is the answer it gives. So from two readings of a cursor
and the members of each slot follows exactly who was answered how often: whole cycles, and a part of one. Nothing
is counted per query. Must not know: sockets, workers' processes, how a ring came to be.

A reading is (number of the commit that made the ring, cursor at that moment, cursor now). The slot of a hashed ring
(`sh`) does not follow from its cursor: there a fourth item says how often each slot was given since that commit.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rrdns.answers import Key

Reading = tuple[int, int, int] | tuple[int, int, int, Mapping[int, int]]
Host = tuple[str, str]
"""A pool's name and a member's."""

WINDOW = 5.0  # seconds a rate looks back
LOOK_BACK, PARTS = 300.0, 10  # seconds the fairness meter looks back, and in how many parts


class Ring:
    """Who stands in each slot of one counted ring; made once per change and shared by all workers."""

    __slots__ = ("_cycle", "_hosts", "_leads", "pool", "service", "slots")

    def __init__(self, service: bytes, pool: str, slots: Sequence[Sequence[str]]) -> None:
        self.service = service
        self.slots = slots
        self.pool = pool
        self._hosts: tuple[tuple[Host, ...], ...] | None = None
        self._cycle: Counter[Host] = Counter()
        self._leads: Counter[str] = Counter()

    def count(self, start: int, end: int) -> Counter[Host]:
        """How often each host was in the answers from cursor `start` up to, not including, `end`."""
        length = len(self.slots)
        if not length or end <= start:
            return Counter()
        hosts = self._prepared()
        cycles, rest = divmod(end - start, length)
        counts = Counter({host: cycles * times for host, times in self._cycle.items()}) if cycles else Counter()
        for cursor in range(start, start + rest):
            counts.update(hosts[cursor % length])
        return counts

    def count_slots(self, before: Mapping[int, int], now: Mapping[int, int]) -> Counter[Host]:
        """How often each host was in the answers, by how often each slot was given."""
        counts: Counter[Host] = Counter()
        hosts = self._prepared()
        for slot, times in now.items():
            new = times - before.get(slot, 0)
            if new > 0 and 0 <= slot < len(hosts):
                counts.update(dict.fromkeys(hosts[slot], new))
        return counts

    def firsts(self, start: int, end: int) -> Counter[str]:
        """How often each member stood first, which is where most clients go."""
        length = len(self.slots)
        if not length or end <= start:
            return Counter()
        self._prepared()
        cycles, rest = divmod(end - start, length)
        found = Counter({name: cycles * times for name, times in self._leads.items()}) if cycles else Counter()
        for cursor in range(start, start + rest):
            found.update(self.slots[cursor % length][:1])
        return found

    def firsts_of_slots(self, before: Mapping[int, int], now: Mapping[int, int]) -> Counter[str]:
        """The same, by how often each slot was given."""
        found: Counter[str] = Counter()
        for slot, times in now.items():
            if times > before.get(slot, 0) and 0 <= slot < len(self.slots):
                found.update(dict.fromkeys(self.slots[slot][:1], times - before.get(slot, 0)))
        return found

    def _prepared(self) -> tuple[tuple[Host, ...], ...]:
        """Worked out at the first count: many rings are replaced before anyone was answered from them."""
        if self._hosts is None:
            self._hosts = tuple(tuple([_host(self.pool, member) for member in slot]) for slot in self.slots)
            self._cycle = Counter(host for slot in self._hosts for host in slot)
            self._leads = Counter(slot[0] for slot in self.slots if slot)
        return self._hosts


def _host(pool: str, member: str) -> Host:
    """A member borrowed from another pool comes as `pool/member`."""
    lender, slash, name = member.rpartition("/")
    return (lender, name) if slash else (pool, member)


@dataclass(slots=True)
class _Seen:
    """One ring in one worker: the rings it may be, by commit, and the last cursor seen of the newest."""

    rings: dict[int, Ring]
    number: int = -1
    cursor: int = 0
    hits: Mapping[int, int] = field(default_factory=dict)


class Tally:
    """Totals and rates. They outlive rings, reloads and workers; `keep_only` forgets what no file names any more."""

    def __init__(self) -> None:
        self.members: Counter[Host] = Counter()
        self.services: Counter[bytes] = Counter()
        self._seen: dict[int, dict[Key, _Seen]] = {}
        self._recent: deque[tuple[float, Counter[Host], Counter[bytes]]] = deque()
        self._firsts: deque[tuple[float, dict[str, Counter[str]]]] = deque()

    # ------------------------------------------------------------------ what workers have and say

    def made(self, worker: int, number: int, rings: Mapping[Key, Ring | None]) -> None:
        """The worker was sent a commit with these counted rings; None: the ring goes."""
        seen = self._seen.setdefault(worker, {})
        for key, ring in rings.items():
            if ring is not None:
                seen.setdefault(key, _Seen({})).rings[number] = ring

    def acknowledged(self, worker: int, number: int, rings: Iterable[Key]) -> None:
        """The commit is in force and its retired readings have been told: older rings of these keys are history."""
        seen = self._seen.get(worker, {})
        for key in rings:
            one = seen.get(key)
            if one is None:
                continue
            one.rings = {made: ring for made, ring in one.rings.items() if made >= number}
            if not one.rings:
                del seen[key]

    def gone(self, worker: int) -> None:
        """The worker's process has ended, and its rings with it."""
        self._seen.pop(worker, None)

    def read(self, worker: int, readings: Mapping[Key, Reading], now: float) -> None:
        """Counts what was answered since the last readings. Rings that were not made here (by a control process
        before this one) are left out: who stood in them is not known any more."""
        members: Counter[Host] = Counter()
        services: Counter[bytes] = Counter()
        firsts = self._minute(now)
        seen = self._seen.get(worker, {})
        for key, reading in readings.items():
            number, first, cursor = reading[:3]
            one = seen.get(key)
            ring = one.rings.get(number) if one is not None else None
            if one is None or ring is None or number < one.number:
                continue
            if one.number != number:
                one.number, one.cursor, one.hits = number, first, {}
            start = max(first, one.cursor)
            one.cursor = max(start, cursor)
            if cursor > start:
                services[ring.service] += cursor - start
                if len(reading) == 4:
                    members.update(ring.count_slots(one.hits, reading[3]))
                    leads = ring.firsts_of_slots(one.hits, reading[3])
                    one.hits = reading[3]
                else:
                    members.update(ring.count(start, cursor))
                    leads = ring.firsts(start, cursor)
                firsts.setdefault(ring.pool, Counter()).update(leads)
        if services:
            self.members.update(members)
            self.services.update(services)
            self._recent.append((now, members, services))
        self._trim(now)

    # ------------------------------------------------------------------ what people see

    def rates(self, now: float) -> tuple[Mapping[Host, float], Mapping[bytes, float]]:
        """Answers a second over the last WINDOW seconds, of members and of services."""
        self._trim(now)
        members: Counter[Host] = Counter()
        services: Counter[bytes] = Counter()
        for _, some, others in self._recent:
            members.update(some)
            services.update(others)
        return (
            {host: count / WINDOW for host, count in members.items()},
            {name: count / WINDOW for name, count in services.items()},
        )

    def answered(self, pool: str, now: float) -> dict[str, float]:
        """The share of first places each member had in the pool's answers of the last minutes; {}: there were none."""
        self._minute(now)
        total: Counter[str] = Counter()
        for _, pools in self._firsts:
            total.update(pools.get(pool, {}))
        whole = sum(total.values())
        return {name: count / whole for name, count in total.items()} if whole else {}

    def _minute(self, now: float) -> dict[str, Counter[str]]:
        """Where first places are counted now; a part of LOOK_BACK each."""
        while self._firsts and self._firsts[0][0] <= now - LOOK_BACK:
            self._firsts.popleft()
        if not self._firsts or now - self._firsts[-1][0] >= LOOK_BACK / PARTS:
            self._firsts.append((now, {}))
        return self._firsts[-1][1]

    def keep_only(self, members: Iterable[Host], services: Iterable[bytes]) -> None:
        """After a reload: totals of hosts and names that are in no file any more are forgotten."""
        hosts, names = set(members), set(services)
        self.members = Counter({host: count for host, count in self.members.items() if host in hosts})
        self.services = Counter({name: count for name, count in self.services.items() if name in names})

    def _trim(self, now: float) -> None:
        while self._recent and self._recent[0][0] <= now - WINDOW:
            self._recent.popleft()


class Rate:
    """A rate of counters that only grow (a board's rows): readings of the last WINDOW seconds."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, int]] = deque()

    def read(self, total: int, now: float) -> None:
        if self._readings and total < self._readings[-1][1]:
            self._readings.clear()  # a new board, counting from 0
        self._readings.append((now, total))
        while len(self._readings) > 2 and self._readings[1][0] <= now - WINDOW:
            self._readings.popleft()

    @property
    def value(self) -> float:
        if len(self._readings) < 2:
            return 0.0
        (before, least), (after, most) = self._readings[0], self._readings[-1]
        return (most - least) / (after - before) if after > before else 0.0
