"""Directors, tables and a pool that follows them: for the tests of following."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rrdns.model import Check, DataSet, Director, DirectorTable, Following, Member, Pool, Report
from rrdns.roster.directors import Directors
from rrdns.roster.followed import Followed

PART = "203.0.113.10:80"
LVS = Director("lvs1", "ipvs", interval=2.0, stale_after=30.0)


def server(number: int | str, weight: int | None = 1, word: str = "up", name: str = "", **more: Any) -> Report:
    address = f"192.0.2.{number}" if isinstance(number, int) else number
    return Report(name, address, 80, word, weight=weight, **more)


def table(*servers: Report, part: str = PART, master: bool | None = None) -> DirectorTable:
    return DirectorTable({part: servers}, master)


def listed(*numbers: int) -> DirectorTable:
    return table(*[server(number) for number in numbers])


def pool(*members: Member, following: Following | tuple[Following, ...] = (), **more: Any) -> Pool:
    followed = following if isinstance(following, tuple) and following else following or Following("lvs1", PART)
    many = followed if isinstance(followed, tuple) else (followed,)
    return replace(Pool("web", members, following=many, weight_from="director"), **more)


def web(count: int) -> tuple[Member, ...]:
    return tuple(Member(f"web{number}", (f"192.0.2.{number}",)) for number in range(1, count + 1))


class Scene:
    """One pool, its directors, and a clock that the test moves."""

    def __init__(
        self, one: Pool, *directors: Director, kept: Any = None, checks: dict[str, Check] | None = None
    ) -> None:
        self.now = 100.0
        self.all = Directors()
        self.all.restore(kept or {})
        self.data = DataSet(
            pools={one.name: one}, directors={each.name: each for each in directors or (LVS,)}, checks=checks or {}
        )
        self.all.load(self.data, self.now)

    @property
    def state(self) -> Followed:
        return self.all.followed["web"]

    def hear(self, said: DirectorTable | str, name: str = "lvs1", after: float = 2.0) -> None:
        self.now += after
        self.all.hear(name, said, self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.all.advance(self.now)

    @property
    def words(self) -> dict[str, str]:
        return {name: one.word for name, one in self.state.voices.items()}

    @property
    def members(self) -> dict[str, str]:
        return {one.name: one.addresses[0] for one in self.state.members}

    @property
    def weights(self) -> dict[str, int | None]:
        return {name: one.weight for name, one in self.state.voices.items()}

    def why(self, member: str) -> str:
        return self.state.voices[member].why

    def told(self) -> list[str]:
        found = [f"{one.name}: {one.before} -> {one.after}: {one.why}" for one in self.all.events]
        self.all.events.clear()
        return found
