"""Connections in the journal: what goes in comes out, it is bounded, and what was left out is guessed in between."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns import counted
from rrdns.control.reports import WEIGHTS_AT_ONCE, ReportJournal
from rrdns.counted import Counted, CountJournal
from rrdns.model import Director, DirectorTable, Report
from rrdns.polled import Polls
from rrdns.recorded import Input

Numbers = list[tuple[int, int, int]]


def table(numbers: Numbers, weight: int = 1) -> DirectorTable:
    rows = [
        Report(f"s{n}", f"10.0.0.{n}", 80, "up", weight=weight, active=active, inactive=inactive, total=total)
        for n, (active, inactive, total) in enumerate(numbers)
    ]
    return DirectorTable({"v": tuple(rows)})


def read_back(journal: CountJournal, name: str = "lb") -> Counted:
    found = Counted()
    for of, data, last in journal.taken():
        assert of == name and json.loads(json.dumps(data)) == data
        found.take(data, last)
    return found


@given(st.lists(st.tuples(*[st.integers(0, 2**40)] * 3), min_size=1, max_size=60), st.integers(0, 2**50))
def test_every_number_comes_back(numbers: Numbers, answers: int) -> None:
    journal = CountJournal()
    for at, one in enumerate(numbers):
        journal.note("lb", table([one]), {"web": answers + at}, True, 1000.0 + 2 * at)
    found = read_back(journal)
    assert len(found.times) == len(numbers)
    for at, one in enumerate(numbers):
        assert found.at(1000.0 + 2 * at) == ({("v", "s0", "10.0.0.0", 80): one}, {"web": answers + at})


def test_other_servers_begin_another_row() -> None:
    journal = CountJournal()
    for at, size in enumerate((1, 1, 2, 2, 1)):
        journal.note("lb", table([(at, 0, 0)] * size), {}, True, 10.0 * at)
    rows = journal.taken()
    assert len(rows) == 3 and [last for _, _, last in rows] == [10.0, 30.0, 40.0]


def test_a_director_that_counts_nothing_takes_no_room() -> None:
    journal = CountJournal()
    journal.note("lb", DirectorTable({"v": (Report("s", "10.0.0.1", 80, "up"),)}), {}, True, 0.0)
    journal.note("lb", "refused", {}, True, 2.0)
    assert not journal.taken()


def test_many_servers_are_read_less_often_and_what_lies_between_is_guessed() -> None:
    """50 servers: a reading in 10 s is kept."""
    journal = CountJournal()
    for at in range(0, 60, 2):
        journal.note("lb", table([(at, 2 * at, 100 * at)] * 50), {"web": 10 * at}, True, float(at))
    found = read_back(journal)
    assert len(found.times) == 6 and found.pause() == pytest.approx(10.0)
    servers, answers = found.at(15.0)
    assert servers["v", "s7", "10.0.0.7", 80] == (15, 30, 1500) and answers == {"web": 150}
    assert found.next(10.0, 2.0) == 12.0 and found.next(49.5, 2.0) == pytest.approx(50.0)
    assert found.at(55.0) == found.at(50.0) and found.at(200.0) == ({}, {})


def test_who_goes_by_no_counts_has_few_rows() -> None:
    journal = CountJournal()
    for at in range(0, 600, 2):
        journal.note("lb", table([(at, 0, 0)]), {}, False, float(at))
    assert len(read_back(journal).times) <= 600 / (0.9 * counted.SELDOM) + 1


@pytest.mark.parametrize("servers", [5, 20, 200])
def test_a_day_takes_little(servers: int) -> None:
    """Busy servers, whose every number changes at each reading."""
    chance, journal, size = random.Random(servers), CountJournal(), 0
    numbers = [(100, 100, 10**6)] * servers
    for at in range(0, 1800, 2):
        numbers = [(max(0, a + chance.randint(-9, 9)), max(0, i + chance.randint(-9, 9)), t + chance.randint(0, 60))
                   for a, i, t in numbers]  # fmt: skip
        journal.note("lb", table(numbers), {"web": 100 * at}, True, float(at))
        if at % 60 == 0:
            size += sum(len(json.dumps(data)) for _, data, _ in journal.taken(False))
    assert size * 48 < 3.5e6


def test_a_row_waits_until_it_is_worth_its_head() -> None:
    journal = CountJournal()
    for at in range(counted.MANY - 1):
        journal.note("lb", table([(at, 0, 0)]), {}, True, 2.0 * at)
    assert not journal.taken(False)
    journal.note("lb", table([(1, 0, 0)]), {}, True, 1000.0)
    assert len(journal.taken(False)) == 1


# -------------------------------------------------------------------- readings


def test_after_its_last_answer_before_a_fault_a_director_says_nothing() -> None:
    """At 101 it was read, at 103 it failed: the reading of 101 is told, none after it."""
    director = Director("lb", "file", interval=2.0)
    inputs = [Input(60.0, 1, "report", "lb", {"rows": [], "parts": [""]}),
              Input(103.0, 1, "report", "lb", {"fault": "refused", "heard": 2.0})]  # fmt: skip
    polls = Polls(inputs, True)
    polls.take("lb", inputs[0].data, 60.0)
    assert polls.next(director, False, 60.0, 1) == 62.0
    assert polls.next(director, False, 90.0, 9) == 101.0
    assert polls.next(director, False, 101.0, 9) == float("inf")
    polls.take("lb", inputs[1].data, 103.0)
    assert polls.said("lb", 104.0) == "refused"


def test_a_few_changes_of_weights_are_noted_at_once_and_many_seldom() -> None:
    said = ReportJournal()
    noted = [said.news("lb", table([(0, 0, 0)], 1 + at), 2.0 * at) for at in range(200)]
    rows = [at for at, one in enumerate(noted) if one is not None]
    assert rows[: WEIGHTS_AT_ONCE + 1] == list(range(WEIGHTS_AT_ONCE + 1)), "the first one, and what may come at once"
    assert len(rows) < WEIGHTS_AT_ONCE + 1 + 400 / 30 + 2
    told = [one for one in noted if one is not None]
    assert not any("late" in one for one in told[:10]) and told[-1]["late"]
