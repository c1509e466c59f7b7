"""One target under the rules of health.py, and a clock that moves on by the pace they ask for."""

from __future__ import annotations

from rrdns import health as rules
from rrdns.model import Check, Health, Result, State, TcpProbe

CHECK = Check("web", "tcp", 80, TcpProbe(), interval=5.0, timeout=2.0, fall=3, rise=3, ok=5, fast=1.0)
GOOD = Result(True, "connected", took=0.01)
BAD = Result(False, "timed out after 2s", took=2.0, silent=True)
VOID = Result(False, "timed out after 2s", void=True)


class Host:
    """A target and a clock that moves on by the pace the rules ask for."""

    def __init__(self, check: Check = CHECK, now: float = 1000.0) -> None:
        self.check, self.now = check, now
        self.health = rules.start(check)
        self.changes: list[tuple[float, State]] = []

    def feed(self, *results: Result) -> Health:
        for result in results:
            before = self.health.state
            self.health = rules.observe(self.health, self.check, result, self.now)
            if self.health.state is not before:
                self.changes.append((self.now, self.health.state))
            self.now += rules.pace(self.health, self.check)
        return self.health

    @property
    def state(self) -> State:
        return self.health.state


def up_host(check: Check = CHECK) -> Host:
    host = Host(check)
    host.feed(GOOD)
    return host


def relapse(host: Host) -> None:
    """Back up after as many successes as are needed today, and down again at once."""
    assert host.feed(*[GOOD] * host.health.need).state is State.UP
    assert host.feed(*[BAD] * host.check.fall).state is State.DOWN
