"""`before_promote` and what else happens: operators, edits, starts and restarts. Pretend time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from promotion_story import TIERS, TURNS, Story, both, data, members

from rrdns.control.standings import standings_of
from rrdns.model import Failover
from rrdns.roster.roster import Roster, UnknownPool

# ------------------------------------------------------------------ operators and files


@pytest.mark.parametrize(("word", "reason", "meanwhile"), [
    ("drain", "operator", "d1"), ("disable", "operator", ""), ("drill", "drill", "d1"),
])  # fmt: skip
def test_an_operators_word_promotes(word: str, reason: str, meanwhile: str) -> None:
    one = Story(TIERS)
    one.says("d1", word)
    assert one.runs() == [(reason, "d1", "d2")] and one.serves() == meanwhile
    assert one.one.duties["db"].selection.servfail == (word == "disable"), "never answered, whatever waits"
    one.ends()
    assert one.serves() == "d2"


def test_an_operator_forces_it() -> None:
    one = Story(TIERS)
    with pytest.raises(UnknownPool, match="nothing waits"):
        one.one.failback("db", one.now, "root", force=True)
    one.down(1)
    one.ends(ok=False)
    with pytest.raises(UnknownPool, match="nothing waits to return"):
        one.one.failback("db", one.now, "root")
    events = one.of_promotions(one.one.failback("db", one.now, "root", "I pulled the plug", force=True).events)
    assert events == ["db: blocked -> done: without /sbin/fence, by root: I pulled the plug"]
    assert one.serves() == "d2" and not one.one.company.promotions.forced


def test_calling_back_by_hand_waits_too_and_may_be_forced() -> None:
    manual = data(1, 2, failover=Failover("idle-standby", None))
    one = Story(manual)
    one.down(1)
    one.ends()
    one.up(1)
    one.one.failback("db", one.now, "root")
    assert one.serves() == "d2" and one.runs() == [("failback", "d2", "d1")]
    one.ends(ok=False)
    one.passes(10.0)
    assert one.runs() == [("failback", "d2", "d1")], "it is still called back"
    one.ends()
    assert one.serves() == "d1"
    one.down(1)
    one.ends()
    one.up(1)
    found = one.of_promotions(one.one.failback("db", one.now, "root", force=True).events)
    assert found == ["db: none -> done: without /sbin/fence, by root"] and one.serves() == "d1"


def test_a_held_pool_promotes_nobody() -> None:
    one = Story(TIERS)
    one.down(1)
    assert one.says("", "hold") == [] and one.runs()
    one.up(2)
    one.now += 1
    one.one.advance(one.now)
    one.says("", "release")
    one.down(1)
    one.ends()
    assert one.serves() == "d2"


def test_a_holder_who_left_the_files_is_fenced_as_well() -> None:
    one = Story(TURNS)
    fewer = replace(TURNS.pools["db"], members=TURNS.pools["db"].members[1:])
    one.one.load(replace(TURNS, pools={"db": fewer}), 5.0)
    (promotion,) = one.one.promotions
    assert one.runs() == [("operator", "d1", "d2")] and promotion.leaving_addresses == ("192.0.2.1",)
    assert one.serves() == "" and one.one.duties["db"].selection.servfail
    one.ends()
    assert one.serves() == "d2"


def test_an_edit_that_swaps_the_tiers_promotes() -> None:
    one = Story(TIERS)
    swapped = replace(TIERS.pools["db"], members=members("d", 2, 1))
    one.one.load(replace(TIERS, pools={"db": swapped}), 5.0)
    assert one.serves() == "d1"
    one.passes(40.0)
    assert one.serves() == "d1" and [each[1:] for each in one.runs()] == [("d1", "d2")]
    one.ends()
    assert one.serves() == "d2"


def test_another_scheme_promotes_nobody_by_itself() -> None:
    one = Story(TIERS)
    one.down(1)
    turns = replace(TIERS.pools["db"], failover=Failover("rotating-standby"))
    one.one.load(replace(TIERS, pools={"db": turns}), one.now)
    assert one.serves() == "d1" and [each[1:] for each in one.runs()] == [("d1", "d2")]
    one.ends()
    assert one.serves() == "d2"


def test_the_command_comes_to_a_pool_and_goes_by_an_edit() -> None:
    without = replace(TIERS, pools={"db": replace(TIERS.pools["db"], before_promote=None)})
    one = Story(without)
    one.down(1)
    assert one.serves() == "d2" and one.one.standings["db"].entitled == ()
    one.one.load(TIERS, one.now)
    assert one.serves() == "d2" and one.one.standings["db"].entitled == ("db tier 2",) and not one.runs()
    one.up(1)
    one.passes(31.0)
    assert one.serves() == "d2" and one.runs()
    found = one.of_promotions(one.one.load(without, one.now).events)
    assert found == ["db: pending -> abandoned: the files say so"] and one.serves() == "d1"


# ------------------------------------------------------------------ starts


def test_at_first_whoever_is_up_needs_no_command() -> None:
    new = Roster()
    new.load(TIERS, 1.0)
    one = Story(TIERS, new)
    one.up(2)
    assert one.serves() == "d2" and not one.runs(), "for now: the better one is not known yet"
    one.up(1)
    assert one.serves() == "d1" and not one.runs()


def test_a_backup_that_serves_from_the_first_round_on_needs_none() -> None:
    files = both(Failover("simple-failover", 30.0, backup="rep"))
    files = replace(files, pools={**files.pools, "db": replace(files.pools["db"], quorum=2)})
    new = Roster()
    new.load(files, 1.0)
    one = Story(files, new)
    one.up(1)
    assert one.one.standings == {}, "the first round is not over"
    one.down(2)
    one.up(11, 12)
    assert one.serves() == "rep/r1 rep/r2" and not one.runs()
    assert one.one.standings["db"].entitled == ("rep",)
    one.up(2)
    one.passes(31.0)
    assert one.runs() == [("failback", "rep/r1 rep/r2", "d1 d2")]


def test_one_who_is_never_known_does_not_keep_it_from_beginning() -> None:
    files = data(1, 2, 3, failover=Failover("idle-standby", 30.0))
    new = Roster()
    new.load(files, 1.0)
    one = Story(files, new)
    one.up(1, 2)
    assert one.one.standings["db"].entitled == (), "the third may be anything yet"
    one.now = 40.0
    one.down(1)
    assert one.serves() == "d1" and one.runs() == [("failover", "d1", "d2")]
    one.now = 80.0
    one.down(1)
    assert one.serves() == "d1" and one.runs() == [("failover", "d1", "d2")]
    one.ends()
    assert one.serves() == "d2" and one.one.standings["db"].entitled == ("db tier 2",)


def test_a_restart_in_the_middle_runs_it_again() -> None:
    one = Story(TIERS)
    one.down(1)
    one.ends(ok=False)
    after = one.restarted(TIERS)
    assert after.serves() == "d1" and after.runs() == [("failover", "d1", "d2")]
    after.ends()
    assert after.serves() == "d2"
    last = after.restarted(TIERS)
    assert last.serves() == "d2" and not last.runs(), "the holder of before needs none"


def test_what_was_kept_without_a_word_of_it_is_understood() -> None:
    row = '{"db": {"tier": 2, "holders": [], "queue": [], "former": [], "source": "", "ailing": false}}'
    kept, wrong = standings_of(row)
    assert not wrong and kept["db"].entitled == ()
    new = Roster()
    new.restore({}, (), standings=kept)
    new.load(TIERS, 1.0)
    assert new.standings["db"].entitled == ("db tier 2",)
