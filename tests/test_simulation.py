"""scripts/simulate, small: the correction brings the shares to the weights and leaves them there; wlc does not herd.

Chance has fixed seeds, so these are the same runs each time.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
from simulated import picture
from simulated.trials import Plan, Shares, loads, shares, together
from simulated.world import Host, People, World

SCRIPTS = sys.path[-1]
PEOPLE = People(rate=60.0)
PLAN = Plan(windows=54, fails=20, returns=37)
SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def corrected() -> Shares:
    return together([shares(True, PEOPLE, PLAN, seed) for seed in SEEDS])


@pytest.fixture(scope="module")
def left_alone() -> Shares:
    return together([shares(False, PEOPLE, PLAN, seed) for seed in SEEDS])


def test_without_correction_the_share_is_off_by_a_quarter(left_alone: Shares) -> None:
    assert left_alone.off(0, PLAN.fails) > 0.2
    assert left_alone.settled(0, PLAN.fails) is None


def test_with_it_everybody_comes_within_a_tenth_and_stays(corrected: Shares) -> None:
    after = corrected.settled(0, PLAN.fails)
    assert after is not None and after <= 12, after
    assert corrected.off(10, PLAN.fails) < 0.07


def test_through_a_failure_and_a_return(corrected: Shares) -> None:
    for begin, end in ((PLAN.fails + 1, PLAN.returns), (PLAN.returns + 1, PLAN.windows)):
        after = corrected.settled(begin, end)
        assert after is not None and after <= 10, (begin, after)
        assert corrected.off(begin + 6, end) < 0.1


def test_without_oscillation(corrected: Shares) -> None:
    """Once there, a factor neither swings nor leaps."""
    assert corrected.swing(12, PLAN.fails) < 0.12
    steps = [[after - before for before, after in zip(one, two, strict=True)]
             for one, two in zip(corrected.factors[12:19], corrected.factors[13:20], strict=True)]  # fmt: skip
    assert max(abs(step) for row in steps for step in row) < 0.1


def test_a_run_is_the_same_each_time() -> None:
    plan = Plan(windows=4, fails=99, returns=99)
    assert shares(True, PEOPLE, plan, 7) == shares(True, PEOPLE, plan, 7)


def test_wlc_does_not_herd_and_argmin_does() -> None:
    people = People(rate=100.0)
    argmin, wlc, wrr = (loads(name, people, 900, 1) for name in ("argmin", "wlc", "wrr"))
    assert wlc.mean < argmin.mean - 0.1 and wlc.worst < argmin.worst - 0.3
    assert wlc.mean < wrr.mean
    assert wlc.commits <= 900 / 5 + 2, "at most one ring a poll"


def test_a_resolver_asks_once_a_ttl() -> None:
    hosts = [Host("a", "192.0.2.1"), Host("b", "192.0.2.2")]
    world = World(hosts, People(rate=50, resolvers=1), 10, lambda: ["a", "b"], 1)
    for second in range(100):
        world.pass_second(second)
    assert 9 <= world.questions <= 11 and hosts[0].total > 4000


def test_the_picture_is_drawn(corrected: Shares, left_alone: Shares) -> None:
    busy = [loads(name, PEOPLE, 240, 1) for name in ("argmin", "wlc")]
    drawn = picture.draw(PLAN, left_alone, corrected, busy, "three < four")
    assert drawn.startswith("<svg") and drawn.count("<path") > 20 and "three &lt; four" in drawn


def test_the_command_says_what_it_takes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "simulated", "--help"], capture_output=True, text=True, env={"PYTHONPATH": SCRIPTS}
    )
    assert done.returncode == 0 and "--svg" in done.stdout
