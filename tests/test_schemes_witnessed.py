"""Each failover scheme with real servers that are killed and come back in many orders, rrdns restarted in the middle:
what was answered, what the journal holds, and what a web server and two mail servers received must be one story.

The orders come from the truth tables: `scheme_orders`. What is compared, and how: `witnesses`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from needs import needs
from scheme_orders import SCHEMES, orders, telling
from scheme_story import Lane, Story, play
from witnesses import Replayed

from tests import witnesses

EACH = 3  # orders of each scheme in the quick run
STEPS = 4
AT_ONCE = 32

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    chosen = [(scheme, order) for scheme in SCHEMES for order in telling(scheme, STEPS, EACH)]
    lanes = [Lane(number, *one) for number, one in enumerate(chosen)]
    yield play(lanes, exim=shutil.which("exim4", path="/usr/sbin") is not None)


@pytest.fixture(scope="module")
def replayed(story: Story) -> Replayed:
    return Replayed(story.recording)


def test_the_journal_is_one_story_however_it_is_read(story: Story, replayed: Replayed) -> None:
    witnesses.journal_agrees(story, replayed)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_change_of_the_answers_has_one_cause(story: Story, replayed: Replayed, scheme: str) -> None:
    lanes = [lane for lane in story.lanes if lane.scheme == scheme]
    assert len(lanes) == EACH and all(len(lane.acts) == STEPS for lane in lanes)
    changes = 0
    for lane in lanes:
        changes += witnesses.answers_agree(story, replayed, lane)
        witnesses.moves_show(story, replayed, lane)
    assert changes >= 2 * EACH, "the orders are such that much happens"


@pytest.mark.parametrize("sink", ["chat", "post", "exim"])
def test_what_is_in_the_journal_is_told_once_and_nothing_else(story: Story, sink: str) -> None:
    if sink == "exim":
        needs("exim4")
    told, pools = 0, [pool for lane in story.lanes for pool in lane.pools]
    for name in [name for name in story.told if name.startswith(sink)]:
        of = name.partition(" ")[2]
        told += witnesses.sinks_agree(story, name, [pool for pool in pools if pool.startswith(f"{of}l") or not of])
    events = sum(one["subject"] == "failover" for one in story.recording.events)
    assert told > events > 0


def test_the_past_is_explained_as_it_was_seen(story: Story) -> None:
    witnesses.past_agrees(story)


def test_no_name_was_left_without_answers_for_longer_than_a_restart(story: Story) -> None:
    (begun, over), *_ = story.restarts
    for name, seen in story.seen.items():
        assert sum(one.times for one in seen) > 50, name
        assert seen[0].since < begun and seen[-1].until > over, name


# ------------------------------------------------------------------ every order


def batches() -> list[tuple[str, int]]:
    return [(scheme, at) for scheme in SCHEMES for at in range(0, len(orders(scheme, STEPS)), AT_ONCE)]


@pytest.mark.full
@pytest.mark.parametrize(("scheme", "begin"), batches())
def test_every_order(scheme: str, begin: int) -> None:
    """All orders of four failures and recoveries, a few dozen at a time."""
    some = orders(scheme, STEPS)[begin : begin + AT_ONCE]
    story = play([Lane(number, scheme, order) for number, order in enumerate(some)], explained=4)
    replayed = Replayed(story.recording)
    witnesses.journal_agrees(story, replayed)
    for lane in story.lanes:
        witnesses.answers_agree(story, replayed, lane)
        witnesses.moves_show(story, replayed, lane)
    witnesses.past_agrees(story)
    pools = [pool for lane in story.lanes for pool in lane.pools]
    for name in story.told:
        of = name.partition(" ")[2]
        witnesses.sinks_agree(story, name, [pool for pool in pools if pool.startswith(f"{of}l") or not of])
