"""The self-isolation guard: when silence is held to be our own fault, how a hold ends, witnesses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from guarded import CHECK, GOOD, REFUSED, SILENT, UNREACHABLE, Watch, racks
from hypothesis import given
from hypothesis import strategies as st

from rrdns import health as rules
from rrdns import isolation
from rrdns.hearing import Hearing
from rrdns.model import State, Target
from rrdns.probes import Elsewhere

# ---------------------------------------------------------------- when it holds


def test_all_silent_holds_before_anybody_goes_down() -> None:
    watch = Watch(racks())
    watch.each(SILENT, 1005.0)
    assert watch.holding
    assert isolation.why(watch.guard) == (
        "6 of 10 targets that were up fell silent within 7.5s (2 pools, 3 subnets): "
        "the last state is held for up to 60s"
    )
    watch.each(SILENT, 1006.0)
    watch.each(SILENT, 1007.0)
    assert all(health.state is State.DOWN for health in watch.counted.values())
    assert watch.serving == 10
    assert watch.guard.holds == 1


def test_a_dead_rack_of_three_in_ten_is_no_isolation() -> None:
    watch = Watch(racks())
    for now in (1005.0, 1006.0, 1007.0):
        watch.each(SILENT, now, 3)
    assert not watch.holding
    assert watch.serving == 7
    assert isolation.why(watch.guard) == ""
    assert isolation.deadline(watch.guard) is None


@pytest.mark.parametrize(("silent", "holds"), [(5, False), (6, True)])
def test_over_half(silent: int, holds: bool) -> None:
    watch = Watch(racks())
    watch.each(SILENT, 1005.0, silent)
    assert watch.holding is holds


def test_refusals_never_count() -> None:
    watch = Watch(racks())
    for now in (1005.0, 1006.0, 1007.0):
        watch.each(REFUSED, now)
    assert not watch.holding
    assert watch.serving == 0


def test_three_targets_are_too_few() -> None:
    watch = Watch(racks(3))
    watch.each(SILENT, 1005.0)
    assert not watch.holding
    assert Watch(racks(3)).serving == 3


def test_four_targets_are_enough() -> None:
    watch = Watch(racks(4))
    watch.each(SILENT, 1005.0, 3)
    assert watch.holding


@pytest.mark.parametrize(
    ("hosts", "holds"),
    [
        ([("web", f"192.0.2.{n}") for n in range(1, 11)], False),
        ([(f"p{n % 2}", f"192.0.2.{n}") for n in range(1, 11)], True),
        ([("web", f"192.0.{n % 2}.{n}") for n in range(1, 11)], True),
        ([("web", f"2001:db8::{n}") for n in range(1, 11)], False),
        ([("web", f"2001:db8:0:{n % 2}::{n}") for n in range(1, 11)], True),
    ],
    ids=["one pool, one /24", "two pools, one /24", "two /24", "one /64", "two /64"],
)
def test_two_pools_or_two_subnets(hosts: list[tuple[str, str]], holds: bool) -> None:
    watch = Watch(hosts)
    watch.each(SILENT, 1005.0)
    assert watch.holding is holds


def test_silence_spread_over_more_than_an_interval_is_no_isolation() -> None:
    watch = Watch(racks())
    for index, key in enumerate(watch.targets):
        watch.see(key, SILENT, 1005.0 + 2 * index)
    assert not watch.holding


def test_those_long_down_are_not_counted_among_those_that_were_up() -> None:
    watch = Watch(racks(7))
    for now in (1005.0, 1006.0, 1007.0):
        watch.each(SILENT, now, 3)
    assert watch.serving == 4
    remaining = list(watch.targets)[3:]
    watch.see(remaining[0], SILENT, 2000.0)
    watch.see(remaining[1], SILENT, 2000.0)
    assert not watch.holding
    watch.see(remaining[2], SILENT, 2000.0)
    assert watch.holding
    assert watch.serving == 4


def test_targets_never_seen_up_have_no_part_in_it() -> None:
    watch = Watch([])
    for pool, address in racks():
        key = f"{pool}@{address}"
        watch.targets[key], watch.pools[key] = Target(key, CHECK, address), pool
        watch.counted[key] = rules.start(CHECK)
    for now in (1005.0, 1006.0, 1007.0):
        watch.each(SILENT, now)
    assert not watch.holding
    assert watch.guard.silent == {}


def test_a_hold_of_zero_switches_it_off() -> None:
    watch = Watch(racks(), hold=0.0)
    watch.each(SILENT, 1005.0)
    assert not watch.holding
    assert watch.guard.holds == 0
    assert watch.guard.armed


def test_those_that_went_down_before_the_majority_was_known_come_back() -> None:
    """Fast errors: the first are down (rightly, as far as one could tell) when the sixth falls silent."""
    watch = Watch(racks())
    for now in (1005.0, 1005.5, 1006.0):
        watch.each(UNREACHABLE, now, 4)
    assert watch.serving == 6
    watch.each(UNREACHABLE, 1006.5)
    assert watch.holding
    assert watch.serving == 10


# ---------------------------------------------------------------- how it ends


def test_recovery_ends_the_hold_after_one_more_interval_and_forgets_the_silence() -> None:
    watch = Watch(racks())
    for now in (1005.0, 1006.0, 1007.0):
        watch.each(SILENT, now)
    keys = list(watch.targets)
    for key in keys[:5]:
        watch.see(key, GOOD, 1030.0)
    assert watch.holding
    assert isolation.deadline(watch.guard) == pytest.approx(1037.5)
    assert "answers come again" in isolation.why(watch.guard)
    for key in keys[5:9]:
        watch.see(key, GOOD, 1034.0)
    watch.see(keys[9], SILENT, 1036.0)
    assert watch.serving == 10
    watch.pass_time(1037.6)
    assert not watch.holding
    assert watch.serving == 9
    assert [key for _, key in watch.fell] == [keys[9]]
    assert watch.guard.armed
    assert watch.counted[keys[0]].failures == 0
    assert watch.counted[keys[0]].since == 1000.0


def test_all_heard_again_means_calm() -> None:
    watch = Watch(racks())
    watch.each(SILENT, 1005.0)
    watch.each(GOOD, 1010.0)
    assert watch.guard.silent == {}
    watch.pass_time(1010.0)
    assert not watch.holding
    assert isolation.why(watch.guard) == ""


def test_a_refusal_during_the_hold_counts_as_one_failure() -> None:
    watch = Watch(racks())
    for now in (1005.0, 1006.0, 1007.0):
        watch.each(SILENT, now)
    key = next(iter(watch.targets))
    watch.see(key, REFUSED, 1010.0)
    assert watch.believed(key).state is State.UP
    assert watch.believed(key).failures == 1
    watch.see(key, REFUSED, 1011.0)
    watch.see(key, REFUSED, 1012.0)
    assert watch.believed(key).state is State.DOWN
    assert watch.holding


def test_the_hold_runs_out_and_is_not_armed_again_until_results_recover() -> None:
    watch = Watch(racks())
    for second in range(1005, 1064):
        watch.each(SILENT, float(second))
    assert watch.serving == 10
    assert isolation.deadline(watch.guard) == 1065.0
    watch.pass_time(1065.0)
    assert not watch.holding
    assert watch.serving == 0
    assert "until results recover" in isolation.why(watch.guard)
    watch.each(SILENT, 1066.0)
    keys = list(watch.targets)
    for key in keys[:4]:
        for now in (1070.0, 1075.0, 1080.0):
            watch.see(key, GOOD, now)
    assert not watch.guard.armed
    assert watch.serving == 4
    for key in keys[:3]:
        watch.see(key, SILENT, 1081.0)
    assert not watch.holding
    for key in keys:
        for now in (1090.0, 1095.0, 1100.0):
            watch.see(key, GOOD, now)
    assert watch.guard.armed
    assert isolation.why(watch.guard) == ""
    watch.each(SILENT, 1200.0)
    assert watch.holding
    assert watch.guard.holds == 2


def test_falling_silent_again_while_mending_goes_on_with_the_same_hold() -> None:
    watch = Watch(racks())
    watch.each(SILENT, 1005.0)
    watch.each(GOOD, 1020.0, 6)
    assert watch.guard.mending_since is not None
    watch.each(SILENT, 1022.0, 6)
    assert watch.guard.mending_since is None
    assert isolation.deadline(watch.guard) == 1065.0
    assert watch.guard.holds == 1


def test_targets_that_are_gone_from_the_files_are_forgotten() -> None:
    watch = Watch(racks())
    watch.each(SILENT, 1005.0)
    keys = list(watch.targets)
    assert isolation.keep(watch.guard, keys) is watch.guard
    kept = isolation.keep(watch.guard, keys[:2])
    assert set(kept.silent) == set(keys[:2])


# ---------------------------------------------------------------- witnesses


def test_witnesses_decide() -> None:
    watch = Watch(racks(2), witnesses=["192.0.2.254", "198.51.100.254"])
    for witness in watch.guard.witnesses:
        watch.guard = isolation.hear(watch.guard, witness, REFUSED)
    watch.each(SILENT, 1005.0)
    assert not watch.holding  # they answer: it is the targets' own fault
    watch.guard = isolation.hear(watch.guard, "192.0.2.254", SILENT)
    watch.pass_time(1006.0)
    assert not watch.holding
    watch.guard = isolation.hear(watch.guard, "198.51.100.254", SILENT)
    watch.pass_time(1006.5)
    assert watch.holding  # even with two targets
    assert "no answer from 192.0.2.254, 198.51.100.254, nor from 2 targets" in isolation.why(watch.guard)
    watch.guard = isolation.hear(watch.guard, "192.0.2.254", REFUSED)
    watch.pass_time(1010.0)
    assert isolation.deadline(watch.guard) == pytest.approx(1017.5)
    watch.each(GOOD, 1012.0)
    watch.pass_time(1017.5)
    assert (watch.holding, watch.serving) == (False, 2)


def test_answering_witnesses_outweigh_any_majority() -> None:
    watch = Watch(racks(), witnesses=["192.0.2.254"])
    watch.guard = isolation.hear(watch.guard, "192.0.2.254", GOOD)
    watch.each(SILENT, 1005.0)
    assert not watch.holding


def test_a_witness_that_never_answered_has_no_say() -> None:
    watch = Watch(racks(), witnesses=["192.0.2.254"])
    watch.guard = isolation.hear(watch.guard, "192.0.2.254", SILENT)
    watch.each(SILENT, 1005.0, 3)
    assert not watch.holding
    watch.each(SILENT, 1005.0)
    assert watch.holding


def test_silent_witnesses_alone_hold_nothing() -> None:
    watch = Watch(racks(), witnesses=["192.0.2.254"])
    for result in (GOOD, SILENT):
        watch.guard = isolation.hear(watch.guard, "192.0.2.254", result)
    watch.pass_time(1005.0)
    assert not watch.holding
    assert isolation.hear(watch.guard, "192.0.2.1", GOOD) is watch.guard


def test_a_spent_hold_with_a_witness_is_armed_by_its_answer() -> None:
    watch = Watch(racks(), witnesses=["192.0.2.254"])
    for result in (GOOD, SILENT):
        watch.guard = isolation.hear(watch.guard, "192.0.2.254", result)
    watch.each(SILENT, 1005.0)
    watch.pass_time(1065.0)
    assert (watch.holding, watch.guard.armed) == (False, False)
    watch.guard = isolation.hear(watch.guard, "192.0.2.254", GOOD)
    watch.pass_time(1066.0)
    assert watch.guard.armed


# ---------------------------------------------------------------- directors far from here


def with_directors(watch: Watch, *places: str, heard: float = 1004.0) -> Watch:
    for index, place in enumerate(places):
        watch.directors[f"lvs{index}"] = Hearing(place, 4.2)
        watch.directors[f"lvs{index}"].note(False, heard)
    return watch


ONE_RACK = [("web", f"192.0.2.{n}") for n in range(1, 4)]


def test_a_director_that_is_heard_since_proves_the_path() -> None:
    watch = with_directors(Watch(racks()), "10.0.0.0/24")
    watch.each(SILENT, 1005.0, 5)
    watch.hear("lvs0", False, 1005.5)
    for now in (1006.0, 1007.0):
        watch.each(SILENT, now, 6)
    assert not watch.holding and watch.serving == 5  # the sixth was silent only twice
    watch.each(SILENT, 1008.0, 6)
    assert not watch.holding and watch.serving == 4


def test_a_director_heard_before_proves_nothing() -> None:
    watch = with_directors(Watch(racks()), "10.0.0.0/24", heard=1004.9)
    watch.see("p0@192.0.0.0", SILENT, 1004.5)  # of its own making
    watch.each(SILENT, 1005.0)
    assert watch.holding


def test_one_that_is_heard_during_a_hold_ends_it_after_one_more_interval() -> None:
    watch = with_directors(Watch(racks()), "10.0.0.0/24")
    for now in (1005.0, 1006.0, 1007.0):
        watch.each(SILENT, now, 6)
    assert watch.holding and watch.serving == 10
    watch.hear("lvs0", False, 1007.5)
    assert watch.holding and watch.guard.mending_since == 1007.5
    watch.each(SILENT, 1008.0, 6)
    assert watch.guard.mending_since == 1007.5  # their silence is no longer a sign
    watch.pass_time(1015.1)
    assert not watch.holding and watch.serving == 4 and watch.guard.armed


@pytest.mark.parametrize(
    ("hosts", "places", "holds"),
    [
        (ONE_RACK, ("10.0.0.0/24",), True),  # four in all, two subnets
        (ONE_RACK, ("192.0.2.0/24",), False),  # one subnet: its switch
        (ONE_RACK, ("lb1.example.net",), True),
        (ONE_RACK[:2], ("10.0.0.0/24",), False),  # three in all
        (ONE_RACK[:1], ("10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"), True),
        (ONE_RACK, (), False),
    ],
)
def test_directors_that_fall_silent_with_the_targets(
    hosts: list[tuple[str, str]], places: tuple[str, ...], holds: bool
) -> None:
    watch = with_directors(Watch(hosts), *places)
    for name in watch.directors:
        watch.hear(name, True, 1005.0)
    assert not watch.holding  # directors alone hold nothing: nobody's checks fail
    watch.each(SILENT, 1005.5)
    assert watch.holding is holds
    if holds:
        assert "and so did" in isolation.why(watch.guard)


def test_all_of_them_must_be_silent_and_over_half_of_the_targets() -> None:
    watch = with_directors(Watch(ONE_RACK), "10.0.0.0/24", "10.0.1.0/24")
    watch.hear("lvs0", True, 1005.0)
    watch.each(SILENT, 1005.0)
    assert not watch.holding  # the other is yet to be read
    watch.hear("lvs1", True, 1005.8)
    assert watch.holding
    few = with_directors(Watch(racks()), "10.0.0.0/24")
    few.hear("lvs0", True, 1005.0)
    few.each(SILENT, 1005.5, 5)
    assert not few.holding


def test_one_that_has_been_silent_for_long_has_no_say() -> None:
    watch = with_directors(Watch(ONE_RACK), "10.0.0.0/24", "10.0.1.0/24")
    watch.hear("lvs0", True, 1005.0)
    watch.hear("lvs1", False, 1090.0)
    watch.hear("lvs1", True, 1099.0)
    watch.each(SILENT, 1100.0)
    assert watch.holding and "1 director" in isolation.why(watch.guard)
    old = with_directors(Watch(ONE_RACK), "10.0.0.0/24")
    old.hear("lvs0", True, 1005.0)
    old.each(SILENT, 1100.0)
    assert not old.holding
    never = Watch(ONE_RACK)
    never.directors["lvs0"] = Hearing("10.0.0.0/24", 4.2)
    never.hear("lvs0", True, 1005.0)
    never.each(SILENT, 1005.0)
    assert not never.holding


def test_witnesses_decide_without_directors() -> None:
    watch = with_directors(Watch(racks(), witnesses=["192.0.2.254"]), "10.0.0.0/24")
    for result in (GOOD, SILENT):
        watch.guard = isolation.hear(watch.guard, "192.0.2.254", result)
    watch.each(SILENT, 1005.0)
    watch.hear("lvs0", False, 1006.0)
    assert watch.holding and watch.guard.mending_since is None


# ---------------------------------------------------------------- where a target stands


@pytest.mark.parametrize(
    ("at", "holds"),
    [
        (None, True),
        (Elsewhere(template="10.0.0.{last}"), False),  # all behind one gateway: one subnet is asked
        (Elsewhere(map=(("192.0.0.0/16", "10.0.0.0/16"),)), True),
    ],
)
def test_the_address_that_is_asked_counts(at: Elsewhere | None, holds: bool) -> None:
    watch = Watch([("web", f"192.0.{n}.{n}") for n in range(1, 6)], check=replace(CHECK, at=at))
    watch.each(SILENT, 1005.0)
    assert watch.holding is holds


# ---------------------------------------------------------------- many at once


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from([7.5, 13.0]))))
def test_the_silent_are_a_value_like_a_frozen_mapping(steps: list[tuple[int, float]]) -> None:
    """Each step adds a target, or takes one away that is there; what it came from stays as it was."""
    silent, plain = isolation.Silences(), dict[str, isolation.Silence]()
    for number, span in steps:
        key, before, copy = f"t{number}", silent, dict(plain)
        if key in plain:
            silent = silent.without({key})
            del plain[key]
        else:
            plain[key] = isolation.Silence(1.0, rules.start(CHECK), frozenset(), "", span)
            silent = silent.with_one(key, plain[key])
        assert dict(before) == copy and len(before) == len(copy)
        assert silent == plain and len(silent) == len(plain)
        assert silent.span == max((one.span for one in plain.values()), default=0.0)
        assert silent.outside({"t1", "t2"}) == len(plain.keys() - {"t1", "t2"})
