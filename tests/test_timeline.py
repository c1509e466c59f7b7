"""The timeline of a replay in a terminal and as a picture, and moments as people write them."""

from __future__ import annotations

import time
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.ui import past, timeline
from rrdns.ui.config import ConfigError
from rrdns.ui.timeline import Axis, Row

AXIS = Axis(1000.0, 2000.0, 1_790_000_000.0)
TURNS = [(900.0, "answered"), (1400.0, "dead"), (1401.0, "gone"), (1600.0, "withheld"), (1700.0, "answered")]


def test_spans_are_cut_to_the_axis_and_the_unknown_is_no_span() -> None:
    assert timeline.spans_of([*TURNS, (1900.0, "unknown")], AXIS) == (
        (1000.0, 1400.0, "answered"), (1400.0, 1401.0, "dead"), (1401.0, 1600.0, "gone"),
        (1600.0, 1700.0, "withheld"), (1700.0, 1900.0, "answered"),
    )  # fmt: skip


@pytest.mark.parametrize("width", [20, 80, 400])
def test_a_cell_shows_the_worst_of_its_time(width: int) -> None:
    row = Row("web", "web1", timeline.spans_of(TURNS, AXIS))
    drawn = [line.plain for line in timeline.lines([row], AXIS, width)]
    assert drawn[0] == "web" and drawn[1].startswith("  web1 ")
    bar = drawn[1][timeline.LABEL + 1 :]
    assert bar.count("█") == 1 and bar.startswith("━") and bar.endswith("━")
    assert "·" in bar and "▒" in bar
    assert len(bar) == max(20, min(width, 160) - timeline.LABEL - 1)


@given(st.lists(st.tuples(st.floats(0, 3000), st.sampled_from(timeline.WORST)), max_size=20))
def test_any_turns_can_be_drawn(turns: list[tuple[float, str]]) -> None:
    spans = timeline.spans_of(sorted(turns), AXIS)
    assert all(AXIS.begin <= begin < end <= AXIS.end for begin, end, _ in spans)
    rows = [Row("a<b>", "web&1", spans), Row("a<b>", "\x1b[31m", spans, True)]
    assert len(list(timeline.lines(rows, AXIS, 100))) == 5
    root = ElementTree.fromstring(timeline.svg(rows, AXIS, "a & b", ["x < y"]))
    bars = [one for one in root.iter("{http://www.w3.org/2000/svg}rect") if len(one)]
    assert len(bars) == 2 * len(spans)


def test_moments_as_people_write_them() -> None:
    now = time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))
    assert past.moment("03:12", now) == time.mktime((2026, 11, 22, 3, 12, 0, 0, 0, -1))
    assert past.moment("13:12:05", now) == time.mktime((2026, 11, 21, 13, 12, 5, 0, 0, -1))
    assert past.moment("2026-11-20 03:12", now) == time.mktime((2026, 11, 20, 3, 12, 0, 0, 0, -1))
    assert past.moment("2h", now) == now - 7200
    for wrong in ("25:00", "soon", "2027-01-01 00:00"):
        with pytest.raises(ConfigError):
            past.moment(wrong, now)
