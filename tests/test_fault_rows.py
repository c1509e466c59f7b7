"""The rows of scripts/faults as tests of behaviour: their checks that have nothing to do with time must hold.

Quick rows run small. What other tests hold already runs in full only: R3 R4 R5 R14 (test_faults), R7 (test_faults,
test_respond), R17 (test_main_job), R19 (test_health_damping), R21 (test_fuzz), R23 (test_slow_clients),
R25 (test_amplification, test_limiter).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
from faultrows import __main__ as command
from faultrows import report, rows
from faultrows.rows import Check, Finding, Row, Run, Skip

SMALL = Run(seconds=5, scale=0.3)
QUICK = {
    "R6": SMALL,
    "R8": SMALL,
    "R9": Run(scale=0.2),
    "R10": SMALL,
    "R11": SMALL,
    "R12": SMALL,
    "R13": SMALL,
    "R15": SMALL,
    "R16": SMALL,
    "R18": SMALL,
    "R22": Run(scale=0.05),
    "R24": SMALL,
    "R28": SMALL,
    "R29": SMALL,
}


@pytest.mark.parametrize(
    "id",
    [id if id in QUICK else pytest.param(id, marks=[pytest.mark.full, pytest.mark.timeout(400)]) for id in rows.load()],
)
def test_a_row(id: str) -> None:
    try:
        finding = rows.load()[id].function(QUICK.get(id, Run(scale=0.3)))
    except Skip as why:
        pytest.skip(str(why))
    print(id, *map(str, finding.checks), *finding.notes, sep="\n  ")
    misbehaved = finding.misbehaved()
    assert not misbehaved, "\n".join([*misbehaved, *finding.notes])
    assert any(not check.timing and (check.most, check.least) != (None, None) for check in finding.checks)


# ------------------------------------------------------------------ the runner itself


def row(function: object = None, id: str = "R99") -> Row:
    return Row(id, "a fault", "a target", function or (lambda run: Finding()), others={"gdnsd": "3 lost"})  # type: ignore[arg-type]


def test_a_verdict_comes_from_the_checks() -> None:
    finding = Finding()
    finding.at_most("lost", 0, 0)
    finding.at_least("answered", 99.5, 99, "%")
    finding.told("took", 5, "s")
    assert finding.verdict == "ok" and finding.misbehaved() == []
    finding.at_most("gap", 60, 50, "ms", timing=True)
    assert finding.verdict == "SHORT" and finding.misbehaved() == [], "time is not behaviour"
    finding.all_of("refused", 29, 30)
    assert finding.misbehaved() == ["refused (of 30) 29 (wanted >= 30)"]


def test_rows_that_break_or_cannot_be_done_do_not_stop_the_others() -> None:
    def breaks(run: Run) -> Finding:
        raise AssertionError("no port")

    def cannot(run: Run) -> Finding:
        raise Skip("needs root")

    found = [(one, *command.measure(one, Run())) for one in (row(breaks, "R97"), row(cannot, "R98"), row())]
    assert [verdict for _, _, verdict, _ in found] == ["FAILED", "skipped", "ok"]
    assert "no port" in found[0][1].notes[0] and found[1][1].notes == ["needs root"]
    text = json.loads(json.dumps([report.as_json(*one) for one in found]))
    assert text[2]["others_quoted"] == {"gdnsd": "3 lost"} and text[1]["verdict"] == "skipped"
    console = report.console()
    with console.capture() as captured:
        console.print(report.table(found))  # type: ignore[arg-type]
    assert "3 lost (quoted)" in captured.get() and "FAILED" in captured.get()


def test_every_row_has_its_number_once_and_says_what_is_wanted() -> None:
    there = rows.load()
    assert list(there) == sorted(there, key=lambda id: int(id[1:]))
    assert set(there).isdisjoint(rows.missing())
    assert all(one.title and one.target for one in there.values())
    assert set(QUICK) <= set(there)


def test_numbers_are_short() -> None:
    assert [str(Check("x", value)) for value in (0, 12345.6, 0.03214, 99.5)] == [
        "x 0",
        "x 12,346",
        "x 0.0321",
        "x 99.5",
    ]
