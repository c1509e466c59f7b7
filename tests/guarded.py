"""What the roster does with the self-isolation guard, without pools: the recipe in isolation.py, word for word."""

from __future__ import annotations

from collections.abc import Iterable

from rrdns import health as rules
from rrdns import isolation
from rrdns.hearing import Hearing
from rrdns.isolation import Guard
from rrdns.model import Check, Health, Result, State, Target, TcpProbe

CHECK = Check("web", "tcp", 80, TcpProbe(), interval=5.0, timeout=2.0, fall=3, rise=3, ok=5, fast=1.0)
GOOD = Result(True, "connected", took=0.01)
SILENT = Result(False, "timed out after 2s", took=2.0, silent=True)
UNREACHABLE = Result(False, "network is unreachable", took=0.0, silent=True)
REFUSED = Result(False, "connection refused", took=0.0)


class Watch:
    """Targets of some pools, seen up at 1000.0, and a guard over them."""

    def __init__(
        self,
        hosts: Iterable[tuple[str, str]],
        hold: float = 60.0,
        witnesses: Iterable[str] = (),
        check: Check = CHECK,
    ) -> None:
        self.targets: dict[str, Target] = {}
        self.pools: dict[str, str] = {}
        for pool, address in hosts:
            key = f"{pool}@{address}"
            self.targets[key] = Target(key, check, address)
            self.pools[key] = pool
        self.counted: dict[str, Health] = {key: rules.start(CHECK) for key in self.targets}
        self.guard = isolation.start(hold, witnesses)
        self.directors: dict[str, Hearing] = {}
        self.fell: list[tuple[float, str]] = []
        """When which target was last believed up and then down."""
        for key in self.targets:
            self.see(key, GOOD, 1000.0)

    def see(self, key: str, result: Result, now: float) -> None:
        was = {one: self.believed(one).state for one in self.targets}
        health = self.counted[key]
        base = health if result.silent else isolation.believed(self.guard, key, health)
        self.counted[key] = rules.observe(base, CHECK, result, now)
        seen = isolation.observe(self.guard, self.targets[key], {self.pools[key]}, health, result, now)
        if seen is not self.guard:
            self.judge(seen, now)
        self.tell(was, now)

    def judge(self, guard: Guard, now: float) -> None:
        up = (key for key, health in self.counted.items() if health.state is State.UP)
        self.guard = isolation.judge(guard, up, now, self.directors)

    def hear(self, name: str, silent: bool, now: float) -> None:
        """One reading of a director that is far from here."""
        self.directors[name].note(silent, now)
        self.pass_time(now)

    def pass_time(self, now: float) -> None:
        was = {one: self.believed(one).state for one in self.targets}
        self.judge(self.guard, now)
        self.tell(was, now)

    def tell(self, was: dict[str, State], now: float) -> None:
        for key, state in was.items():
            if state is State.UP and self.believed(key).state is State.DOWN:
                self.fell.append((now, key))

    def believed(self, key: str) -> Health:
        return isolation.believed(self.guard, key, self.counted[key])

    @property
    def holding(self) -> bool:
        return isolation.holding(self.guard)

    @property
    def serving(self) -> int:
        return sum(self.believed(key).state is State.UP for key in self.targets)

    def each(self, result: Result, now: float, count: int | None = None) -> None:
        for key in list(self.targets)[:count]:
            self.see(key, result, now)


def racks(count: int = 10) -> list[tuple[str, str]]:
    """Two pools in three subnets, taken in turns."""
    return [(f"p{index % 2}", f"192.0.{index % 3}.{index}") for index in range(count)]
