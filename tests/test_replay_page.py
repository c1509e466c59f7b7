"""What `rrdns replay` prints: worst first, in units, and whether the edited files do better."""

from __future__ import annotations

from typing import Any

import pytest

from rrdns.ui import replay_page
from rrdns.ui.replayed import verdict

Side = dict[str, Any]


def side(**changes: float) -> Side:
    plain: Side = {"failovers": 0, "flaps": 0, "dead_answered": 0.0, "alive_withheld": 0.0, "nobody_alive": 0.0,
                   "budget": 28.0, "budget_kept": 0, "budget_missed": 0, "slowest": 0.0}  # fmt: skip
    return plain | changes


@pytest.mark.parametrize(
    ("then", "edited", "word"),
    [
        (side(dead_answered=5.0), side(dead_answered=5.4), "same"),
        (side(failovers=3), side(failovers=9), "same"),
        (side(dead_answered=5.0), side(dead_answered=2.0), "better"),
        (side(flaps=1), side(flaps=2), "worse"),
        (side(dead_answered=5.0), side(alive_withheld=60.0), "mixed"),
        (None, side(), "new"),
        (side(), None, "gone"),
        (None, None, "same"),
    ],
)
def test_a_verdict_goes_by_what_had_better_be_less(then: Side | None, edited: Side | None, word: str) -> None:
    assert verdict(then, edited) == word


def printed(services: dict[str, Side], edited: bool, everyone: bool = False) -> list[str]:
    return [line.plain for line in replay_page._table(services, edited, 200, everyone)]


def test_the_worst_comes_first_and_who_is_calm_is_only_counted() -> None:
    services = {f"calm{n}.": {"pool": "calm", "then": side()} for n in range(40)}
    services["a."] = {"pool": "a", "then": side(failovers=1, dead_answered=2.5)}
    services["b."] = {"pool": "b", "then": side(failovers=1, dead_answered=0.4, budget_kept=1, slowest=20.0)}
    services["c."] = {"pool": "c", "then": side(failovers=12, flaps=2, dead_answered=63.0, budget_missed=1)}
    lines = printed(services, False)
    assert [line.split()[0] for line in lines[1:4]] == ["c.", "a.", "b."] and len(lines) == 5
    assert "1m 3s" in lines[1] and "0 of 1 in 28s" in lines[1] and "2.5s" in lines[2] and "<1s" in lines[3]
    assert lines[4].startswith("40 services to which nothing happened")
    assert len(printed(services, False, everyone=True)) == 44


def test_many_are_cut_and_that_is_said() -> None:
    services = {f"s{n}.": {"pool": "p", "then": side(failovers=1 + n)} for n in range(30)}
    lines = printed(services, False)
    assert lines[1].startswith("s29.") and lines[-1] == "and 6 services with less; --all shows them"


def test_each_row_says_whether_it_is_better() -> None:
    then, edited = side(dead_answered=60.0, flaps=1), side(dead_answered=9.0, flaps=1)
    services: dict[str, Side] = {
        "a.": {"pool": "p", "then": then, "edited": edited, "verdict": verdict(then, edited)},
    }
    (_, row) = printed(services, True)
    assert row.split()[:2] == ["a.", "better"] and "1m → 9s" in row
    result = "".join(one if isinstance(one, str) else one[0] for one in replay_page._result(services))
    assert result == "1 service better"
