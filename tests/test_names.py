"""roster: members given by host name, from an answer to the ring; nothing that resolvers do empties a pool."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_following import LVS, PART, server, table
from small_roster import APEX, BAD, CHECK, GOOD, WWW, WWW_A, WWW_AAAA, served, told, zone

from rrdns.answers import Key
from rrdns.imagined import all_up, roster_of
from rrdns.knowledge import known_of
from rrdns.knowledge import told as knowledge
from rrdns.model import DataSet, Failover, Following, Member, Override, Pool, Service, State, WhenDown
from rrdns.resolution import Resolution
from rrdns.roster import whom
from rrdns.roster.roster import NOTHING, Roster
from rrdns.whatif import Outage, unfold

APP1, APP2 = "app1.example.net.", "app2.example.net."
A1, A2, A3, B1 = "192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"
NAMED = (Member("web1", (), hosts=(APP1,)), Member("web2", (), hosts=(APP2,)))


def v4(*addresses: str) -> Resolution:
    return Resolution(addresses, ())


def data(*members: Member, **of_pool: Any) -> DataSet:
    pool = replace(Pool("web", members or NAMED, ("web",)), **of_pool)
    directors = {"lvs1": LVS} if pool.following else {}
    return DataSet({APEX: zone(Service(WWW, APEX, "web"))}, {"web": pool}, {"web": CHECK}, directors)


def good(one: Roster, now: float) -> None:
    for key in sorted(one.targets()):
        if one.health(key).state is State.UNKNOWN:
            one.observe(key, GOOD, now)


def started(*members: Member, **of_pool: Any) -> Roster:
    """web1 on 192.0.2.1 and web2 on 192.0.2.2, both up."""
    one = Roster()
    one.load(data(*members, **of_pool), 1.0)
    one.resolved(APP1, v4(A1), 2.0)
    one.resolved(APP2, v4(A2), 2.0)
    good(one, 2.0)
    return one


def member(one: Roster, name: str = "web1", now: float = 10.0) -> dict[str, Any]:
    found: dict[str, Any] = one.snapshot(now)["pools"]["web"]["members"][name]
    return found


def addresses(one: Roster, place: Key = WWW_A) -> set[bytes]:
    from rrdns.control.overview import addresses_in

    return set(addresses_in(one.answers.get(place)))


# ---------------------------------------------------------------- never resolved


def test_without_an_address_the_pool_does_not_know_and_says_servfail() -> None:
    one = Roster()
    one.load(data(), 1.0)
    assert not one.settled(1.0), "the names are asked first"
    duty = one.duties["web"]
    assert (duty.selection.state, duty.selection.servfail, list(one.targets())) == ("unknown", True, [])
    assert member(one)["why"] == f"{APP1} is not resolved yet"
    events = one.resolved(APP1, "NXDOMAIN", 2.0).events
    assert told(events) == [f"name {APP1}: unknown -> fault: NXDOMAIN"]
    assert member(one)["why"] == f"{APP1} is not resolved yet: NXDOMAIN" and member(one)["state"] == "unknown"
    one.resolved(APP2, "NXDOMAIN", 2.0)
    assert one.settled(2.0)
    assert one.answers[WWW_A].bodies[0].flags & 15 == 2


def test_beside_others_it_neither_serves_nor_counts() -> None:
    one = Roster()
    one.load(data(*NAMED, quorum=1), 1.0)
    one.resolved(APP2, v4(A2), 2.0)
    assert served(one) == {"web2"}, "not judged yet, and nobody is known up"
    good(one, 2.0)
    assert served(one) == {"web2"} and one.duties["web"].selection.state == "ok"
    one.observe(CHECK.key(A2), BAD, 3.0)
    one.observe(CHECK.key(A2), BAD, 4.0)
    one.observe(CHECK.key(A2), BAD, 5.0)
    selection = one.duties["web"].selection
    assert (selection.state, selection.rung, served(one)) == ("down", "when_down", {"web2"})


@pytest.mark.parametrize("word", ["drain", "disable", "force-up", "weight 5"])
def test_no_word_of_an_operator_makes_it_serve(word: str) -> None:
    one = started()
    one.load(data(NAMED[0], Member("web2", (), hosts=("other.example.net.",))), 3.0)
    one.override(Override("web", "web2", word, "root", "", 0.0, 100.0, 100.0), 4.0)
    assert served(one) == {"web1"} and one.duties["web"].selection.state == "ok"


@pytest.mark.parametrize("when_down", ["all", "last", "empty", "servfail"])
def test_when_down_answers_nobody_without_an_address(when_down: str) -> None:
    one = started(when_down=WhenDown(when_down))
    one.load(data(NAMED[0], Member("web2", (), hosts=("other.example.net.",)), when_down=WhenDown(when_down)), 3.0)
    for number in range(3):
        one.observe(CHECK.key(A1), BAD, 4.0 + number)
    assert served(one) == ({"web1"} if when_down in ("all", "last") else set())
    assert {each.name for each in one.duties["web"].selection.serving} == served(one), "nor is he said to serve"


@pytest.mark.parametrize("scheme", ["idle-standby", "rotating-standby"])
def test_a_scheme_gives_nobody_a_place_that_has_no_address(scheme: str) -> None:
    tiers = NAMED[0], replace(NAMED[1], priority=2)
    one = started(*tiers, failover=Failover(scheme))
    assert served(one) == {"web1"}
    moved = replace(NAMED[0], hosts=("other.example.net.",)), tiers[1]
    one.load(data(*moved, failover=Failover(scheme)), 3.0)
    assert served(one) == {"web2"}
    one.advance(60.0)
    selection = one.duties["web"].selection
    assert (served(one), selection.state) == ({"web2"}, "ok")
    assert selection.standing.holders == (("web2",) if scheme == "rotating-standby" else ())


# ---------------------------------------------------------------- following


def test_a_name_that_changes_is_told_probed_and_then_answered() -> None:
    one = started()
    decision = one.resolved(APP1, v4(A3), 5.0)
    assert f"addresses web/web1: {A1} -> {A3}: {APP1} changed" in told(decision.events)
    assert set(one.targets()) == {CHECK.key(A2), CHECK.key(A3)} and served(one) == {"web2"}
    one.observe(CHECK.key(A3), GOOD, 5.1)
    assert served(one) == {"web1", "web2"}


def test_health_of_addresses_that_stay_is_kept() -> None:
    one = started()
    before = one.health(CHECK.key(A1))
    one.resolved(APP1, Resolution((A1, A3), (B1,)), 5.0)
    assert one.health(CHECK.key(A1)) == before and served(one) == {"web1", "web2"}
    assert not one.ring_members(WWW_AAAA), "the new address is not known up"
    one.observe(CHECK.key(B1), GOOD, 5.1)
    assert served(one, WWW_AAAA) == {"web1"}


def test_the_same_answer_changes_nothing() -> None:
    one = started()
    moves = one.moves
    assert one.resolved(APP1, v4(A1), 9.0) is NOTHING and one.moves == moves
    assert one.snapshot(9.0)["names"][APP1]["age"] == 0.0
    assert one.resolved("other.example.", v4(A3), 9.0) is NOTHING, "nobody has that name"


@pytest.mark.parametrize("reason", ["NXDOMAIN", "SERVFAIL", "no answer in time"])
def test_the_last_good_set_holds_and_says_why(reason: str) -> None:
    one = started()
    answers = dict(one.answers)
    decision = one.resolved(APP1, reason, 7.0)
    assert not decision.changes and dict(one.answers) == answers
    assert told(decision.events) == [f"name {APP1}: up -> stale: {reason}; its last good addresses hold: {A1}"]
    seen = one.snapshot(12.0)["names"][APP1]
    assert (seen["state"], seen["reason"], seen["age"], seen["since"]) == ("stale", reason, 10.0, 5.0)
    assert one.explain(WWW, 1, 12.0)["pool"]["members"]["web1"]["names"][APP1]["reason"] == reason
    assert told(one.resolved(APP1, v4(A1), 13.0).events) == [f"name {APP1}: stale -> up: it has {A1}"]


def test_a_restart_takes_up_the_last_good_set() -> None:
    old = started()
    one = Roster()
    one.restore({key: old.health(key) for key in old.targets()}, (), names=old.names.kept())
    one.load(data(), 3.0)
    assert served(one) == {"web1", "web2"} and one.settled(3.0), "nobody waits for a resolver that may be dead"
    one.resolved(APP1, "no answer in time", 4.0)
    assert served(one) == {"web1", "web2"} and one.snapshot(4.0)["names"][APP1]["age"] == 2.0


def test_files_that_name_another_host_forget_the_old_one() -> None:
    one = started()
    one.load(data(replace(NAMED[0], hosts=("other.example.net.",)), NAMED[1]), 3.0)
    assert member(one)["addresses"] == [] and set(one.names.wanted) == {"other.example.net.", APP2}
    one.load(data(), 4.0)
    assert member(one)["addresses"] == []


# ---------------------------------------------------------------- several on one address


def test_an_address_counts_for_the_member_of_the_files_else_for_the_first() -> None:
    fixed = Member("web3", (A3,))
    one = started(*NAMED, fixed)
    one.resolved(APP2, v4(A1, A3, "192.0.2.9"), 5.0)
    assert [each["address"] for each in member(one, "web2")["addresses"]] == ["192.0.2.9"]
    assert member(one, "web2")["lacks"] == f"{A1} is web1's too, and counts there; {A3} is web3's too, and counts there"
    one.resolved(APP2, v4(A1), 6.0)
    assert member(one, "web2")["state"] == "unknown" and member(one, "web2")["why"].startswith(f"{A1} is web1's too")
    assert addresses(one) == {b"\xc0\0\2\1", b"\xc0\0\2\3"}
    one.resolved(APP1, v4("192.0.2.8"), 7.0)
    assert [each["address"] for each in member(one, "web2")["addresses"]] == [A1]
    assert member(one, "web2")["state"] == "up", "its health came along"


def test_a_member_may_have_both() -> None:
    one = started(Member("web1", (A3,), hosts=(APP1,)), NAMED[1])
    assert [each["address"] for each in member(one)["addresses"]] == [A3, A1]
    assert addresses(one) == {b"\xc0\0\2\1", b"\xc0\0\2\2", b"\xc0\0\2\3"}


# ---------------------------------------------------------------- overrides, holds, directors


@pytest.mark.parametrize(
    "word", ["web1", "web/web1", "web/*1", A1, f"web/{A1}", "192.0.2.1*", APP1, "APP1.example.net."]
)
def test_an_operator_may_name_it_so(word: str) -> None:
    one = started()
    pools = {name: duty.pool for name, duty in one.duties.items()}
    assert whom.members([word], pools) == [("web", "web1")]


def test_a_drain_stays_when_the_address_changes() -> None:
    one = started()
    one.override(Override("web", "web1", "drain", "root", "", 0.0), 3.0)
    one.resolved(APP1, v4(A3), 4.0)
    good(one, 4.0)
    assert served(one) == {"web2"} and member(one)["state"] == "drained"


def test_a_hold_keeps_the_old_addresses_in_the_answer() -> None:
    one = started()
    before = addresses(one)
    one.override(Override("web", "", "hold", "root", "", 0.0), 3.0)
    one.resolved(APP1, v4(A3), 4.0)
    good(one, 4.0)
    assert addresses(one) == before
    one.clear("web", "", 5.0)
    assert addresses(one) == {b"\xc0\0\2\3", b"\xc0\0\2\2"}


def test_a_director_s_word_goes_with_the_address() -> None:
    pool = {"following": (Following("lvs1", PART),), "checks": ()}
    one = Roster()
    one.load(data(**pool), 1.0)
    one.resolved(APP1, v4(A1), 2.0)
    one.resolved(APP2, v4(A2), 2.0)
    one.report("lvs1", table(server(1), server(2), server(3, word="down")), 2.0)
    assert served(one) == {"web1", "web2"}
    one.resolved(APP1, v4(A3), 3.0)
    assert served(one) == {"web2"} and member(one)["state"] == "down"


# ---------------------------------------------------------------- what if


def test_what_if_takes_the_addresses_that_are_known() -> None:
    one, files = started(), ({}, {})
    known = known_of(knowledge(one, files, {}, 5.0), data())
    assert served(roster_of(known)) == {"web1", "web2"}
    fate = unfold(known, Outage(down=(("web", "web1"),))).fates[0]
    assert fate.after.members == ("web2",) and fate.out is not None


def test_what_if_over_files_imagines_a_host_for_each_name() -> None:
    known, notes = all_up(data())
    assert any("resolved at run time" in note and APP1 in note for note in notes)
    fate = unfold(known, Outage(down=(("web", "web1"),))).fates[0]
    assert fate.before.members == ("web1", "web2") and fate.after.members == ("web2",)


# ---------------------------------------------------------------- any sequence

ANSWERS = st.one_of(
    st.sampled_from(["NXDOMAIN", "SERVFAIL", "no answer in time"]).map(Resolution.failed),
    st.builds(
        Resolution,
        st.one_of(st.just("SERVFAIL"), st.lists(st.sampled_from([A1, A2, A3, "0.0.0.0"]), max_size=3).map(tuple)),
        st.one_of(st.just("SERVFAIL"), st.lists(st.sampled_from([B1, "::"]), max_size=2).map(tuple)),
    ),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("name"), st.sampled_from([APP1, APP2]), ANSWERS),
        st.tuples(st.just("probe"), st.sampled_from([A1, A2, A3, B1]), st.sampled_from([GOOD, BAD])),
        st.tuples(st.just("word"), st.sampled_from(["web1", "web2"]), st.sampled_from(["drain", "enable"])),
        st.tuples(st.just("load"), st.just(""), st.none()),
    ),
    max_size=30,
)
SCHEMES = st.sampled_from([None, Failover("idle-standby"), Failover("rotating-standby")])


def take(one: Roster, step: tuple[str, str, Any], now: float, files: DataSet) -> Any:
    what, about, how = step
    if what == "name":
        return one.resolved(about, how, now)
    if what == "probe":
        return one.observe(CHECK.key(about), how, now)
    if what == "word":
        return one.override(Override("web", about, how, "root", "", 0.0), now)
    return one.load(files, now)


@settings(max_examples=150, deadline=None)
@given(STEPS, SCHEMES)
def test_no_sequence_empties_a_pool_that_had_an_address_and_the_same_gives_the_same(
    steps: list[tuple[str, str, Any]], scheme: Failover | None
) -> None:
    files = data(NAMED[0], replace(NAMED[1], priority=2), failover=scheme)
    one, twin = Roster(), Roster()
    had = False
    for number, step in enumerate([("load", "", None), *steps]):
        now = 1.0 + number
        assert take(one, step, now, files) == take(twin, step, now, files)
        assert dict(one.answers) == dict(twin.answers)
        every = [each["address"] for name in ("web1", "web2") for each in member(one, name, now)["addresses"]]
        assert len(every) == len(set(every)), "no address stands twice in a pool"
        had = had or bool(every)
        assert bool(every) == had
        answered = addresses(one) | addresses(one, WWW_AAAA)
        assert bool(answered) == had
        assert set(one.targets()) == {CHECK.key(each) for each in every}


def test_other_pools_are_left_alone() -> None:
    files = data()
    other = Pool("mail", (Member("mail1", ("192.0.2.77",)), Member("mail2", ("192.0.2.78",))))
    one = Roster()
    one.load(replace(files, pools={**files.pools, "mail": other}), 1.0)
    one.resolved(APP1, v4(A1), 2.0)
    before = one.duties["mail"], one.duties["mail"].decided_at
    one.resolved(APP1, v4(A3), 3.0)
    assert (one.duties["mail"], one.duties["mail"].decided_at) == before
    assert one.duties["web"].decided_at == 3.0
