"""A pool with `before_promote` through pretend time: for the tests of promotions."""

from __future__ import annotations

from small_roster import APEX, BAD, GOOD, name, started, told, zone

from rrdns import wire
from rrdns.answers import key
from rrdns.control.standings import standings_of, standings_text
from rrdns.model import (
    Check,
    DataSet,
    Event,
    Failover,
    Fence,
    HttpProbe,
    Member,
    Override,
    Pool,
    Service,
)
from rrdns.roster.roster import Roster

ONE = Check("one", "http", 80, HttpProbe(), interval=5.0, fall=1, rise=1)
FENCE = Fence(("/sbin/fence", "now"), 10.0)
DB, REP = name("db.lb.example.com."), name("rep.lb.example.com.")
DB_A, REP_A = key(DB, wire.A), key(REP, wire.A)


def members(letter: str, *tiers: int, base: int = 0) -> tuple[Member, ...]:
    return tuple(
        Member(f"{letter}{at}", (f"192.0.2.{base + at}",), priority=tier) for at, tier in enumerate(tiers, start=1)
    )


def data(*tiers: int, reports: Pool | None = None, **more: object) -> DataSet:
    wanted = {"checks": ("one",), "before_promote": FENCE, **more}
    pools = {"db": Pool("db", members("d", *tiers), **wanted)}  # type: ignore[arg-type]
    services = [Service(DB, APEX, "db", 20, 5)]
    if reports is not None:
        pools["rep"] = reports
        services.append(Service(REP, APEX, "rep", 20, 5))
    return DataSet({APEX: zone(*services)}, pools, {"one": ONE})


TIERS = data(1, 2, failover=Failover("idle-standby", 30.0))
TURNS = data(1, 1, 1, failover=Failover("rotating-standby"))


class Story:
    """A roster through time."""

    def __init__(self, files: DataSet, first: Roster | None = None) -> None:
        self.one = first or started(files)
        self.now = 2.0

    def probe(self, good: bool, *numbers: int) -> list[str]:
        """Until it is believed: who relapses needs more successes."""
        self.now += 1.0
        found = list[str]()
        for target in [ONE.key(f"192.0.2.{number}") for number in numbers]:
            for _ in range(24):
                found += self.of_promotions(self.one.observe(target, GOOD if good else BAD, self.now).events)
        return found

    def down(self, *numbers: int) -> list[str]:
        return self.probe(False, *numbers)

    def up(self, *numbers: int) -> list[str]:
        return self.probe(True, *numbers)

    @staticmethod
    def of_promotions(events: tuple[Event, ...]) -> list[str]:
        return [one.removeprefix("promotion ") for one in told(events) if one.startswith("promotion ")]

    def ends(self, ok: bool = True, said: str = "", ident: int | None = None) -> list[str]:
        """The command of the only promotion there is."""
        self.now += 1.0
        (promotion,) = self.one.promotions
        said = said or ("/sbin/fence exited 0" if ok else "/sbin/fence exited 1: no route")
        of = promotion.ident if ident is None else ident
        return self.of_promotions(self.one.promoted(promotion.pool, of, ok, said, self.now).events)

    def says(self, member: str, word: str, pool: str = "db") -> list[str]:
        self.now += 1.0
        op = Override(pool, member, word, "root", "", 1.7e9)
        return self.of_promotions(self.one.override(op, self.now).events)

    def passes(self, seconds: float) -> list[str]:
        """With all deadlines in between."""
        until, found = self.now + seconds, list[str]()
        while (deadline := self.one.next_deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            found += self.of_promotions(self.one.advance(self.now).events)
        self.now = until
        return found + self.of_promotions(self.one.advance(until).events)

    def serves(self, place: bytes = DB_A) -> str:
        return " ".join(sorted({member for slot in self.one.ring_members(place) for member in slot}))

    def runs(self) -> list[tuple[str, str, str]]:
        """Of each command that is to run: why, from whom, to whom."""
        return [(one.reason, " ".join(one.leaving), " ".join(one.coming)) for one in self.one.promotions]

    def restarted(self, files: DataSet) -> Story:
        """Its successor, with what is kept."""
        kept, _ = standings_of(standings_text(self.one.standings))
        new = Roster()
        new.restore({key: self.one.health(key) for key in self.one.targets()}, self.one.overrides, standings=kept)
        after = Story(files, new)
        after.now = self.now
        new.load(files, self.now)
        return after


def both(scheme: Failover, /, **more: object) -> DataSet:
    reports = Pool("rep", members("r", 1, 1, base=10), ("one",), **more)  # type: ignore[arg-type]
    return data(1, 1, failover=scheme, reports=reports)
