"""roster and the self-isolation guard: what is held, for how long, and what is not."""

from __future__ import annotations

import json

from small_roster import BAD, CHECK, GOOD, SILENT, dataset, override, served, started, target, told, ttl

from rrdns.model import DataSet, Event, Member, State
from rrdns.roster.roster import Roster
from rrdns.roster.verdicts import WITNESS

# -------------------------------------------------------------------- self-isolation


def spread() -> DataSet:
    hosts = tuple(Member(f"web{i}", (f"192.0.{i}.1",)) for i in range(1, 7))
    return dataset(members=hosts)


def far(number: int) -> str:
    return CHECK.key(f"192.0.{number}.1")


def test_silence_everywhere_is_held() -> None:
    one = started(spread(), isolation_hold=60.0)
    everybody = {f"web{i}" for i in range(1, 7)}
    events: list[Event] = []
    for turn in range(3):
        for number in range(1, 7):
            events += one.observe(far(number), SILENT, 10.0 + turn * 2).events
    assert [event.after for event in events if event.subject == "server"] == ["held"]
    assert served(one) == everybody and ttl(one) == 5
    picture = one.snapshot(16.0)
    assert picture["isolation"]["held"] and 0 < picture["isolation"]["left"] <= 60
    assert picture["pools"]["web"]["state"] == "ok"
    assert "fell silent" in picture["services"]["www.lb.example.com."]["ttl_why"]
    assert one.health(far(1)).state is State.UP  # what a restart should believe
    one.override(override("disable", 1), 20.0)  # operators still act
    assert served(one) == everybody - {"web1"}
    end = one.next_deadline()
    assert end is not None and 60.0 < end < 80.0
    over = one.advance(end)
    assert ("server isolation", "spent") in {(f"{e.subject} {e.name}", e.after) for e in over.events}
    assert ("pool web", "down") in {(f"{e.subject} {e.name}", e.after) for e in over.events}
    assert not one.snapshot(end)["isolation"]["held"]


def test_a_hold_ends_when_answers_come_again() -> None:
    one = started(spread(), isolation_hold=60.0)
    for number in range(1, 6):
        one.observe(far(number), SILENT, 10.0)
    assert one.snapshot(10.0)["isolation"]["held"]
    for number in range(2, 7):
        assert not one.observe(far(number), GOOD, 13.0).events
    end = one.next_deadline()  # the last one is given time to be heard
    assert end is not None and 15.0 < end < 30.0 and one.snapshot(13.0)["isolation"]["held"]
    assert told(one.observe(far(1), GOOD, 15.0).events) == ["server isolation: held -> ok: results have recovered"]
    assert one.next_deadline() is None
    assert ttl(one) == 20 and served(one) == {f"web{i}" for i in range(1, 7)}


def test_refusals_prove_the_path() -> None:
    one = started(spread())
    for turn in range(3):
        for number in range(1, 7):
            one.observe(far(number), BAD, 10.0 + turn)
    assert one.snapshot(13.0)["pools"]["web"]["state"] == "down"


def test_witnesses_are_targets_too() -> None:
    one = Roster(witness=["198.51.100.1"])
    one.load(dataset(1), 1.0)
    witness = WITNESS.key("198.51.100.1")
    assert one.targets().keys() == {target(1), witness} and one.pace(witness) == WITNESS.interval
    one.observe(witness, BAD, 1.0)  # a refusal is an answer
    one.observe(target(1), GOOD, 1.0)
    assert one.settled(1.0)
    one.observe(target(1), SILENT, 10.0)
    assert not one.snapshot(10.0)["isolation"]["held"]
    one.observe(witness, SILENT, 11.0)
    assert one.snapshot(11.0)["isolation"]["held"] and ttl(one) == 5
    assert "198.51.100.1" not in json.dumps(one.snapshot(11.0)["pools"])
    assert one.health(witness).seen == 11.0
