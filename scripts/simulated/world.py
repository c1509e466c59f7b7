"""The outside world: resolvers, clients, hosts. Knows nothing of rrdns but that names have answers."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import accumulate

Answer = Sequence[str]


@dataclass(slots=True)
class Host:
    """A host as its director sees it."""

    name: str
    address: str
    up: bool = True
    total: int = 0
    ends: list[float] = field(default_factory=list)

    def active(self, now: float) -> int:
        while self.ends and self.ends[0] <= now:
            heapq.heappop(self.ends)
        return len(self.ends)

    def connect(self, now: float, length: float) -> None:
        self.total += 1
        heapq.heappush(self.ends, now + length)


@dataclass(frozen=True, slots=True)
class People:
    """How clients come: connections a second, how long each lasts, what part of them sorts addresses; how many of the
    resolvers are in the network NEAR."""

    rate: float = 200.0
    length: float = 20.0
    sorting: float = 0.5
    near: float = 0.6
    resolvers: int = 10_000
    zipf: float = 1.0


NEAR = 203 << 24  # a /8 with one of the hosts in it


class World:
    """`ask` gives an answer, as hosts' names in order; every resolver keeps its own for `ttl` seconds."""

    def __init__(self, hosts: Sequence[Host], people: People, ttl: float, ask: Callable[[], Answer], seed: int) -> None:
        self.hosts = {host.name: host for host in hosts}
        self.people, self.ttl, self.ask = people, ttl, ask
        self.random = random.Random(seed)
        self.lost = 0
        """Clients that found no host alive in their answer."""
        self.questions = 0
        self._sizes = list(accumulate(1 / rank**people.zipf for rank in range(1, people.resolvers + 1)))
        self._caches: list[tuple[float, Answer]] = [(float("-inf"), ())] * people.resolvers
        self._networks = [self._network() for _ in range(people.resolvers)]
        self._bits = {host.name: int(ip_address(host.address)) for host in hosts}

    def pass_second(self, now: float) -> None:
        """The clients of one second."""
        count = self._poisson(self.people.rate)
        moments = sorted(self.random.random() for _ in range(count))
        for moment, resolver in zip(moments, self._choose(count), strict=True):
            self._client(resolver, now + moment)

    def _network(self) -> int:
        near = self.random.random() < self.people.near
        return NEAR | self.random.getrandbits(24) if near else self.random.getrandbits(32)

    def _choose(self, count: int) -> list[int]:
        return self.random.choices(range(len(self._sizes)), cum_weights=self._sizes, k=count)

    def _poisson(self, mean: float) -> int:
        return max(0, round(self.random.gauss(mean, mean**0.5)))

    def _client(self, resolver: int, now: float) -> None:
        until, answer = self._caches[resolver]
        if now >= until:
            answer = self.ask()
            self.questions += 1
            self._caches[resolver] = now + self.ttl, answer
        if self.random.random() < self.people.sorting:
            answer = self._sorted(answer, resolver)
        host = next((self.hosts[name] for name in answer if self.hosts[name].up), None)
        if host is None:
            self.lost += 1
        else:
            host.connect(now, self.random.expovariate(1 / self.people.length))

    def _sorted(self, answer: Answer, resolver: int) -> Answer:
        """By the length of the prefix an address has in common with the client's own (RFC 6724 section 5, rule 9)."""
        mine = self._networks[resolver]
        return sorted(answer, key=lambda name: (self._bits[name] ^ mine).bit_length())
