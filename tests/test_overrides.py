"""The operator's hand, in pretend time: what each word does to who serves, whom it means, when it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_following import LVS, PART, server, table
from small_roster import BAD, GOOD, WWW_A, dataset, fail, override, served, started, target, told, ttl

from rrdns import overrides
from rrdns.model import DataSet, Failover, Following, Member, Override, Pool, WhenDown
from rrdns.roster import frozen, whom
from rrdns.roster.overriding import UnknownMember, objection
from rrdns.roster.roster import Roster


def hold(pool: str = "", until: float | None = None) -> Override:
    return Override(pool, "", "hold", "root", "network", 1.7e9, until)


def release(pool: str = "") -> Override:
    return Override(pool, "", "release", "root", "", 1.7e9)


def shares(one: Roster) -> dict[str, float]:
    members = one.snapshot(0.0)["pools"]["web"]["members"]
    weights = {name: its["effective_weight"] for name, its in members.items()}
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}


# -------------------------------------------------------------------- words


@pytest.mark.parametrize("text", ["0", "5", "65535", "0%", "50%", "1000%", " 7 "])
def test_weights_as_people_write_them(text: str) -> None:
    word = f"weight {overrides.read_amount(text)}"
    assert overrides.slot(word) == "weight"
    weight, percent = overrides.amount(word)
    assert (weight is None) == text.strip().endswith("%") == (percent is not None)


@pytest.mark.parametrize("text", ["", "-1", "65536", "1001%", "%", "5 %x", "1.5", "٣", "1e3"])
def test_what_is_no_weight(text: str) -> None:
    with pytest.raises(ValueError, match="is no weight"):
        overrides.read_amount(text)


@pytest.mark.parametrize("word", ["enable", "kill", "weight", "weight x", ""])
def test_what_is_no_word_of_an_override(word: str) -> None:
    with pytest.raises(ValueError):
        overrides.slot(word)


# -------------------------------------------------------------------- force-up, weight


def test_force_up_beats_checks_and_ends_by_itself() -> None:
    one = started()
    fail(one, 1, 10.0)
    events = one.override(override("force-up", 1, until=100.0), 20.0).events
    assert told(events) == [
        "override web/web1: none -> force-up: by root: kernel update",
        "member web/web1: down -> up: force-up by root: kernel update",
    ]
    assert served(one) == {"web1", "web2", "web3"}
    one.observe(target(1), BAD, 30.0)
    assert "web1" in served(one)
    over = one.advance(100.0)
    assert "member web/web1: up -> down: HTTP 503" in told(over.events)
    assert served(one) == {"web2", "web3"}


def test_force_up_does_not_beat_disable() -> None:
    """The later word stands: a disabled member that is forced up is no longer disabled; the other way round too."""
    one = started()
    one.override(override("force-up", 1, until=100.0), 10.0)
    one.override(override("disable", 1), 11.0)
    assert served(one) == {"web2", "web3"}
    assert [each.word for each in one.overrides] == ["disable"]


def test_a_weight_stands_beside_a_drain_and_survives_it() -> None:
    one = started()
    one.override(override("weight 50%", 1), 10.0)
    assert shares(one) == pytest.approx({"web1": 0.2, "web2": 0.4, "web3": 0.4})
    one.override(override("drain", 1, until=50.0), 20.0)
    assert served(one) == {"web2", "web3"}
    one.advance(50.0)
    assert shares(one)["web1"] == pytest.approx(0.2)
    one.override(override("weight 3", 1), 60.0)
    assert shares(one)["web1"] == pytest.approx(0.6)
    one.override(override("weight 0", 1), 61.0)
    assert served(one) == {"web2", "web3"}
    one.override(override("weight 0%", 1), 61.0)
    assert served(one) == {"web2", "web3"}
    events = one.clear("web", "web1", 70.0, "ann").events
    assert "override web/web1: weight 0% -> none: by ann" in told(events)
    assert shares(one)["web1"] == pytest.approx(1 / 3) and one.overrides == ()


def test_enable_ends_all_and_return_ends_a_drill_only() -> None:
    one = started()
    for word in ("weight 5", "drill"):
        one.override(override(word, 1, until=90.0), 10.0)
    assert served(one) == {"web2", "web3"}
    one.override(override("return", 1), 11.0)
    assert [each.word for each in one.overrides] == ["weight 5"] and "web1" in served(one)
    one.override(override("drain", 1), 12.0)
    one.override(override("return", 1), 13.0)
    assert "web1" not in served(one)  # somebody's drain is none of the drill's business
    one.clear("web", "web1", 14.0)
    assert one.overrides == ()


def test_several_words_are_one_decision_or_none() -> None:
    one = started()
    with pytest.raises(UnknownMember, match="web9"):
        one.speak([override("drain", 1), override("drain", 9)], 10.0)
    with pytest.raises(ValueError, match="no word"):
        one.speak([override("drain", 1), override("kill", 2)], 10.0)
    assert one.overrides == () and served(one) == {"web1", "web2", "web3"}
    decision = one.speak([override("drain", 1), override("drain", 2)], 11.0)
    assert len(decision.changes.sets) == 1 and served(one) == {"web3"}


def test_what_would_be_answered_instead() -> None:
    one = started(dataset(when_down=WhenDown("addresses", ("203.0.113.1",))))
    three = [override("disable", number) for number in (1, 2, 3)]
    words = objection(one.outlook(three), "disable")
    assert words.startswith("pool web would have no available member left; it would answer 203.0.113.1 (")
    assert objection(one.outlook(three[:2]), "disable") == ""
    assert served(one) == {"web1", "web2", "web3"} and one.overrides == ()  # nothing was said yet
    one.speak(three, 10.0)
    assert one.snapshot(10.0)["pools"]["web"]["serving"] == ["203.0.113.1"]


# -------------------------------------------------------------------- hold


def test_a_hold_keeps_answers_as_they_are_and_a_release_catches_up() -> None:
    one = started()
    before = one.answers[WWW_A]
    assert told(one.override(hold(), 5.0).events) == ["override all pools: none -> hold: by root: network"]
    events = fail(one, 1, 10.0)
    assert "member web/web1: up -> down: HTTP 503" in told(events)  # it is known and told,
    assert one.answers[WWW_A].slots == before.slots and served(one) == {"web1", "web2", "web3"}  # and answered on
    picture = one.snapshot(20.0)["pools"]["web"]
    assert picture["held"]["word"] == "hold" and picture["members"]["web1"]["state"] == "down"
    assert picture["serving"] == ["web1", "web2", "web3"] and picture["state"] == "ok"
    over = one.override(release(), 30.0)
    assert "override all pools: hold -> none: by root" in told(over.events)
    assert served(one) == {"web2", "web3"} and one.overrides == ()
    assert one.override(release(), 31.0).events == ()


def test_operators_words_act_under_a_hold_on_what_was_known_when_it_began() -> None:
    one = started()
    one.override(hold("web"), 5.0)
    fail(one, 1, 10.0)
    one.override(override("drain", 2), 20.0)
    assert served(one) == {"web1", "web3"}
    one.clear("web", "web2", 21.0)
    assert served(one) == {"web1", "web2", "web3"}
    one.override(override("weight 0", 3), 22.0)
    assert served(one) == {"web1", "web2"}
    one.clear("web", "web3", 23.0)
    one.override(override("force-up", 1, until=30.0), 24.0)
    one.advance(30.0)  # the end of an operator's word is his word too; it gives back what was held
    assert served(one) == {"web1", "web2", "web3"}


def test_a_hold_ends_by_itself_with_a_low_ttl_before() -> None:
    one = started()
    one.override(hold(until=100.0), 5.0)
    fail(one, 1, 10.0)
    one.advance(79.0)
    assert ttl(one) == 20 and one.next_deadline() == 80.0
    one.advance(80.0)
    assert ttl(one) == 5
    assert one.snapshot(80.0)["services"]["www.lb.example.com."]["ttl_why"] == "hold ends within 20 s"
    over = one.advance(100.0)
    assert "override all pools: hold -> none: its time is over" in told(over.events)
    assert served(one) == {"web2", "web3"} and ttl(one) == 20


def test_of_a_pool_s_hold_and_that_of_all_the_longer_one_counts() -> None:
    one = started()
    one.override(hold("web", until=50.0), 5.0)
    one.override(hold("", until=100.0), 6.0)
    fail(one, 1, 10.0)
    one.advance(50.0)
    assert "web1" in served(one)
    one.advance(100.0)
    assert "web1" not in served(one)


def test_a_reload_under_a_hold_applies_but_brings_no_change_of_health() -> None:
    one = started()
    one.override(hold(), 5.0)
    fail(one, 1, 10.0)
    one.load(dataset(4), 20.0)
    for _ in range(3):
        one.observe(target(4), GOOD, 21.0)
    assert {"web1", "web2", "web3"} <= served(one)
    assert [each.word for each in one.overrides] == ["hold"]
    one.load(dataset(2), 30.0)
    assert served(one) == {"web1", "web2"}
    one.override(release(), 31.0)
    assert served(one) == {"web2"}


def test_a_member_that_nobody_had_judged_takes_its_first_verdict_under_a_hold() -> None:
    one = Roster()
    one.restore({}, [hold()])
    one.load(dataset(), 1.0)
    assert served(one) == {"web1", "web2", "web3"}  # nothing is known
    for number in (1, 2):
        one.observe(target(number), GOOD, 2.0)
    fail(one, 3, 2.0)
    assert served(one) == {"web1", "web2"}
    fail(one, 1, 10.0)
    assert served(one) == {"web1", "web2"}


def test_what_a_hold_froze_outlives_a_restart() -> None:
    one = started()
    fail(one, 2, 4.0)
    one.override(hold(), 10.0)
    fail(one, 1, 20.0)
    kept, wrong = frozen.read(frozen.text(one.holds.frozen(one.duties)))
    assert wrong == ""
    again = Roster()
    again.restore({key: one.health(key) for key in one.targets()}, one.overrides, frozen=kept)
    again.load(dataset(), 30.0)
    assert served(again) == {"web1", "web3"}  # as it was held, not as it is known
    again.override(release(), 31.0)
    assert served(again) == {"web3"}
    for text in ("[]", "x", '{"web": [["a"]]}', '{"web": [["a", [["x", "up"]], "", 1]]}', '{"web": [["a", 5, "", 1]]}'):
        assert frozen.read(text)[0] == {} and "could not be understood" in frozen.read(text)[1]
    assert frozen.read(None) == ({}, "")


def test_members_that_a_director_takes_away_stay_under_a_hold() -> None:
    pool = Pool("web", (), following=(Following("lvs1", PART),), weight_from="director")
    plain = dataset()
    one = Roster()
    one.load(replace(plain, pools={"web": pool}, checks={}, directors={"lvs1": LVS}), 1.0)
    both = table(server(1, 1, name="a"), server(2, 1, name="b"), server(3, 1, name="c"))
    one.report("lvs1", both, 2.0)
    one.override(hold(), 3.0)
    for now in (4.0, 6.0):
        one.report("lvs1", table(server(1, 9, name="a"), server(3, 1, name="c"), server(4, 1, name="d")), now)
    assert served(one) == {"a", "b", "c"} and len(set(one.ring_members(WWW_A))) > 1
    one.override(Override("web", "a", "drain", "root", "", 0.0), 7.0)
    assert "a" not in served(one)
    one.clear("web", "a", 8.0)
    one.override(release(), 9.0)
    assert served(one) == {"a", "c", "d"}


def test_a_hold_on_a_pool_that_goes_is_told_and_forgotten() -> None:
    one = started()
    one.override(hold("web"), 5.0)
    events = one.load(DataSet(), 10.0).events
    assert "override web: hold -> none: its pool is in no file any more" in told(events)
    assert one.overrides == ()
    with pytest.raises(UnknownMember, match="no pool 'web'"):
        one.override(hold("web"), 11.0)
    one.override(hold(), 12.0)  # all of none
    assert len(one.overrides) == 1


# -------------------------------------------------------------------- rules over random histories

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("result"), st.integers(1, 3), st.booleans()),
        st.tuples(st.sampled_from(["drain", "disable", "force-up", "weight 5", "weight 0", "drill"]),
                  st.integers(1, 3), st.booleans()),
        st.tuples(st.sampled_from(["enable", "return"]), st.integers(1, 3), st.booleans()),
        st.tuples(st.sampled_from(["hold", "release"]), st.integers(0, 1), st.booleans()),
        st.tuples(st.just("time"), st.integers(1, 200), st.booleans()),
    ),
    max_size=40,
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(
        [None, Failover("idle-standby", 5.0), Failover("idle-standby", None), Failover("rotating-standby")]
    ),
    STEPS,
)
def test_held_answers_move_only_by_an_operator_s_word(
    scheme: Failover | None, steps: list[tuple[str, int, bool]]
) -> None:
    hosts = tuple(Member(f"web{n}", (f"192.0.2.{n}",), priority=n) for n in (1, 2, 3))
    one, now = started(dataset(members=hosts, failover=scheme)), 1.0
    for what, number, flag in steps:
        now += 1.0
        before, held = served(one), any(each.word == "hold" for each in one.overrides)
        spoken = False
        if what == "result":
            one.observe(target(number), GOOD if flag else BAD, now)
        elif what == "time":
            now += number
            spoken = any(event.subject == "override" for event in one.advance(now).events)  # a word has ended
        elif what in ("hold", "release"):
            word = hold("web" if number else "", now + 50 if flag else None)
            one.override(word if what == "hold" else release("web" if number else ""), now)
            spoken = what == "release"
        else:
            one.override(override(what, number, until=now + 60 if flag else None), now)
            spoken = True
        disabled = {each.member for each in one.overrides if each.word == "disable"}
        assert served(one) or disabled == {"web1", "web2", "web3"}
        if held and not spoken:
            assert served(one) == before
        drained = {each.member for each in one.overrides if each.word in ("drain", "drill", "disable", "weight 0")}
        able = served(one) - drained
        assert not able or not (served(one) & drained), "no drained member is served while another stands"


# -------------------------------------------------------------------- whom


POOLS = {
    "web": Pool("web", (Member("web1", ("10.0.0.1",)), Member("web2", ("10.0.0.2", "2001:db8::2"), labels=("rack1",)))),
    "img": Pool("img", (Member("web1", ("10.0.1.1",), labels=("rack1", "big")), Member("rack1-a", ("10.0.0.1",)))),
}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["web1"], "web/web1 img/web1"),
        (["web/web1"], "web/web1"),
        (["web*"], "web/web1 web/web2 img/web1"),
        (["web/*"], "web/web1 web/web2"),
        (["*/web1"], "web/web1 img/web1"),
        (["rack1-*"], "img/rack1-a"),
        (["10.0.0.1"], "web/web1 img/rack1-a"),
        (["10.0.0.*"], "web/web1 web/web2 img/rack1-a"),
        (["img/10.0.0.*"], "img/rack1-a"),
        (["2001:DB8:0::2"], "web/web2"),
        (["label:rack1"], "web/web2 img/web1"),
        (["label:b*", "web2", "web2"], "img/web1 web/web2"),
    ],
)
def test_whom_a_name_means(names: list[str], found: str) -> None:
    assert [f"{pool}/{member}" for pool, member in whom.members(names, POOLS)] == found.split()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("wb1", "no member 'wb1' in any pool; did you mean web1"),
        ("nope*", "no member has a name or an address like 'nope*'"),
        ("label:rack9", "no member carries the label 'rack9'; there are big, rack1"),
        ("10.9.9.9", "no member '10.9.9.9'"),
        ("other/web1", "no member 'other/web1'"),
    ],
)
def test_who_is_nobody(name: str, words: str) -> None:
    with pytest.raises(UnknownMember) as info:
        whom.members(["web1", name], POOLS)
    assert words in str(info.value)


def test_members_that_wait_for_their_director_and_pools() -> None:
    away = override("drain", 9)
    assert whom.members(["web9"], POOLS, [away]) == [("web", "web9")]
    assert whom.pools(["w*", "img"], POOLS) == ["web", "img"]
    with pytest.raises(UnknownMember, match="did you mean img"):
        whom.pools(["imgs"], POOLS)
