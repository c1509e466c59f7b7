"""The two questions, and their figures. All chance comes from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rrdns.correction import window
from simulated.server import Argmin, Server
from simulated.world import Host, People, World

TTL = 10
ADDRESSES = ("192.0.2.11", "198.51.100.12", "203.0.113.13", "100.64.7.14")
WEIGHTS = (3, 3, 2, 2)
FAILS = 1
"""The host that fails and returns."""
WINDOW = window(TTL)
MEAN = 5  # windows: chance alone moves a single one by a tenth
WITHIN = 0.1
LOAD_TTL, LOAD_POLL, LOAD_LENGTH = 30, 5, 10.0


def hosts() -> list[Host]:
    return [Host(f"web{number}", address) for number, address in enumerate(ADDRESSES, 1)]


# ---------------------------------------------------------------- the first question


@dataclass(frozen=True, slots=True)
class Plan:
    """Windows: in all, and at which a host fails and returns."""

    windows: int = 90
    fails: int = 35
    returns: int = 60


Row = list[float | None]


@dataclass(slots=True)
class Shares:
    """Of each window what share of new connections each host got, as a part of what was wanted of those alive (1: just
    right; None: it was not there for the whole window); and the factors at its end."""

    relative: list[Row] = field(default_factory=list)
    factors: list[list[float]] = field(default_factory=list)
    commits: int = 0
    questions: int = 0
    lost: int = 0

    def off(self, begin: int, end: int) -> float:
        """How far the worst host is from its share, over these windows together."""
        worst = 0.0
        for host in range(len(WEIGHTS)):
            seen = [one for row in self.relative[begin:end] if (one := row[host]) is not None]
            worst = max(worst, abs(sum(seen) / len(seen) - 1) if seen else 0.0)
        return worst

    def settled(self, begin: int, end: int) -> int | None:
        """After how many windows from `begin` on everybody's last MEAN of them are within WITHIN, and stay so up to
        `end`. None: never."""
        found = None
        for at in range(begin + MEAN, end + 1):
            if self.off(at - MEAN, at) > WITHIN:
                found = None
            elif found is None:
                found = at - begin
        return found

    def swing(self, begin: int, end: int) -> float:
        """How far apart a factor's extremes are in a time when nothing happens: an oscillation shows here."""
        columns: list[tuple[float, ...]] = list(zip(*self.factors[begin:end], strict=True))
        return max((max(column) - min(column) for column in columns), default=0.0)


def shares(correct: bool, people: People, plan: Plan, seed: int) -> Shares:
    """One run."""
    every = hosts()
    server = Server(every, WEIGHTS, TTL, answers=2, correct=correct)
    world = World(every, people, TTL, server.ask, seed)
    found = Shares()
    server.second(0.0)
    for number in range(plan.windows):
        if number in (plan.fails, plan.returns):
            every[FAILS].up = number == plan.returns
        before = [host.total for host in every]
        for second in range(round(WINDOW)):
            now = number * WINDOW + second
            world.pass_second(now)
            server.second(now + 1)
        new = [host.total - count for host, count in zip(every, before, strict=True)]
        broken = number in (plan.fails, plan.returns)
        whole = sum(weight for host, weight in zip(every, WEIGHTS, strict=True) if host.up)
        found.relative.append([
            None if broken or not host.up else count * whole / weight / max(1, sum(new))
            for host, count, weight in zip(every, new, WEIGHTS, strict=True)
        ])  # fmt: skip
        found.factors.append([server.factor(host.name) for host in every])
    found.commits, found.questions, found.lost = server.commits, world.questions, world.lost
    return found


def together(runs: Sequence[Shares]) -> Shares:
    """The mean of several runs, window by window: what chance does to one of them cancels out."""
    found = Shares()
    for rows in zip(*(run.relative for run in runs), strict=True):
        columns = zip(*rows, strict=True)
        found.relative.append([None if None in column else sum(x or 0.0 for x in column) / len(runs)
                               for column in columns])  # fmt: skip
    for factors in zip(*(run.factors for run in runs), strict=True):
        found.factors.append([sum(column) / len(runs) for column in zip(*factors, strict=True)])
    found.commits = sum(run.commits for run in runs) // len(runs)
    found.questions = sum(run.questions for run in runs) // len(runs)
    found.lost = sum(run.lost for run in runs) // len(runs)
    return found


# ---------------------------------------------------------------- the second question


@dataclass(slots=True)
class Loads:
    """The connections of the busiest host, second by second, as a part of what its weight is due."""

    name: str
    rows: list[list[float]] = field(default_factory=list)
    commits: int = 0

    @property
    def mean(self) -> float:
        return sum(map(max, self.rows)) / len(self.rows)

    @property
    def worst(self) -> float:
        """What a host must be able to carry: all but a hundredth of the time."""
        return sorted(map(max, self.rows))[int(len(self.rows) * 0.99)]


def loads(name: str, people: People, seconds: int, seed: int) -> Loads:
    """One run of a scheduler, or of `argmin`."""
    every = hosts()
    people = replace(people, sorting=0.0, length=LOAD_LENGTH)
    server: Server | Argmin
    if name == "argmin":
        server = Argmin(every, WEIGHTS, LOAD_POLL)
    else:
        server = Server(every, WEIGHTS, LOAD_TTL, answers=1, scheduler=name, poll=LOAD_POLL)
    world = World(every, people, LOAD_TTL, server.ask, seed)
    found = Loads(name)
    server.second(0.0)
    for second in range(seconds):
        world.pass_second(second)
        server.second(second + 1)
        if second < 120:
            continue
        active = [host.active(second + 1) for host in every]
        due = [sum(active) * weight / sum(WEIGHTS) for weight in WEIGHTS]
        found.rows.append([count / each for count, each in zip(active, due, strict=True)])
    found.commits = server.commits
    return found
