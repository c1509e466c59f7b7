"""A small roster with its files, and words to ask it: for the tests of the roster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rrdns import wire
from rrdns.answers import AnswerSet, Key, key
from rrdns.model import Check, DataSet, Event, HttpProbe, Member, Override, Pool, Result, RRset, Service, Zone
from rrdns.roster.roster import Decision, Roster

GOOD = Result(True, "HTTP 200", 0.01)
BAD = Result(False, "HTTP 503", 0.01)
SILENT = Result(False, "timed out after 2s", 2.0, silent=True)
VOID = Result(False, "our own loop lagged", void=True)

CHECK = Check("web", "http", 80, HttpProbe(), interval=5.0, fall=3, rise=3)


def name(text: str) -> bytes:
    return wire.name_from_text(text, b"\0").lower()


APEX = name("lb.example.com.")
WWW = name("www.lb.example.com.")
WWW_A, WWW_AAAA = key(WWW, wire.A), key(WWW, wire.AAAA)


def zone(*services: Service, rrsets: tuple[RRset, ...] = (), apex: bytes = APEX) -> Zone:
    numbers = b"".join(number.to_bytes(4, "big") for number in (7, 3600, 600, 1209600, 60))
    soa = RRset(apex, wire.SOA, 3600, (b"\3ns1" + apex + b"\4root" + apex + numbers,))
    return Zone(apex, 7, (soa, RRset(apex, wire.NS, 300, (b"\3ns1" + apex,)), *rrsets), services)


def members(count: int, weights: tuple[int, ...] = ()) -> tuple[Member, ...]:
    return tuple(
        Member(f"web{number}", (f"192.0.2.{number}",), weights[number - 1] if weights else 1)
        for number in range(1, count + 1)
    )


def dataset(count: int = 3, *, checks: tuple[str, ...] = ("web",), check: Check = CHECK, **of_pool: Any) -> DataSet:
    pool = replace(Pool("web", members(count), checks), **of_pool)
    service = Service(WWW, APEX, "web", ttl=20, ttl_min=5)
    return DataSet({APEX: zone(service)}, {"web": pool}, {"web": check})


def target(number: int, check: Check = CHECK) -> str:
    return check.key(f"192.0.2.{number}")


def started(data: DataSet | None = None, now: float = 1.0, **settings: Any) -> Roster:
    """A roster whose first round is over, everything up."""
    one = Roster(**settings)
    one.load(data or dataset(), now)
    for each in sorted(one.targets()):
        one.observe(each, GOOD, now)
    one.flush(now)
    return one


def fail(one: Roster, number: int, now: float, times: int = 3, result: Result = BAD) -> list[Event]:
    events: list[Event] = []
    for turn in range(times):
        events += one.observe(target(number), result, now + turn).events
    return events


def told(events: tuple[Event, ...] | list[Event]) -> list[str]:
    return [f"{one.subject} {one.name}: {one.before} -> {one.after}: {one.why}" for one in events]


def served(one: Roster, place: Key = WWW_A) -> set[str]:
    return {member for slot in one.ring_members(place) for member in slot}


def ttl(one: Roster, place: Key = WWW_A) -> int:
    return int.from_bytes(one.answers[place].bodies[0].data[6:10], "big")


def override(word: str, number: int, until: float | None = None) -> Override:
    return Override("web", f"web{number}", word, "root", "kernel update", 1.7e9, until)


def apply(mirror: dict[Key, AnswerSet], decision: Decision) -> None:
    """What a worker does with a decision."""
    for place, one in decision.changes.sets.items():
        if one is None:
            mirror.pop(place, None)
        else:
            mirror[place] = one


BOTH = (Member("web1", ("192.0.2.1", "2001:db8::1")), Member("web2", ("192.0.2.2", "2001:db8::2")))
