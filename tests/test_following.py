"""following: DESIGN's rules on directors, each in pretend time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_following import LVS, PART, Scene, listed, pool, server, table, web

from rrdns.model import Director, DirectorTable, Following, Report
from rrdns.roster import entries
from rrdns.roster.followed import MAX_MEMBERS

FOUR = pool(*web(4))

# -------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("report", "word", "why"),
    [
        (server(1), "up", "up at lvs1"),
        (server(1, why="L7OK in 3ms"), "up", "L7OK in 3ms at lvs1"),
        (server(1, 0), "drain", "weight 0 at lvs1"),
        (server(1, 10, "drain"), "drain", "drain at lvs1"),
        (server(1, 10, "maint", why="MAINT"), "drain", "MAINT at lvs1"),
        (server(1, 10, "down", why="L4CON"), "down", "L4CON at lvs1"),
        (server(1, 10, "unknown"), "unknown", "unknown at lvs1"),
        (server(1, 10, "gibberish"), "unknown", "unknown at lvs1"),
        (server(1, None), "up", "up at lvs1"),
    ],
)
def test_words(report: Report, word: str, why: str) -> None:
    one = Scene(FOUR)
    one.hear(table(report, *[server(number) for number in (2, 3, 4)]))
    assert one.words["web1"] == word and one.why("web1") == why
    assert one.words["web4"] == "up"


def test_weight_zero_may_mean_down() -> None:
    one = Scene(pool(*web(4), following=Following("lvs1", PART, weight_zero="down")))
    one.hear(table(server(1, 0), server(2, 0, "drain"), server(3, 5, "maint"), server(4)))
    assert one.words == {"web1": "down", "web2": "down", "web3": "drain", "web4": "up"}


def test_gone_from_its_table_is_down_where_the_service_is_listed() -> None:
    one = Scene(FOUR)
    one.hear(listed(1, 2, 3))
    assert one.words == {"web1": "up", "web2": "up", "web3": "up", "web4": "down"}
    assert one.why("web4") == f"not in {PART} at lvs1"
    one.hear(table(server(9), part="203.0.113.11:80"))  # another service only: it says nothing of ours
    assert one.words["web1"] == "up" and one.words["web4"] == "down"
    one.wait(30)
    assert set(one.words.values()) == {"unknown"}
    assert one.why("web1") == f"lvs1 does not list {PART}"


def test_members_are_found_by_name_where_no_address_is_told() -> None:
    one = Scene(pool(*web(2), following=Following("lvs1", "be")))
    reports = (Report("web1", "", 0, "up"), Report("web2", "", 0, "drain"), Report("web3", "", 0, "up"))
    one.hear(DirectorTable({"be": reports}))
    assert one.words == {"web1": "up", "web2": "drain"}
    ports = tuple(
        replace(server(9, word=word, name=name), port=80 + at)
        for at, (name, word) in enumerate([("web1", "down"), ("web2", "up")])
    )
    for _ in range(2):  # NAT: all of them on one address there
        one.hear(DirectorTable({"be": ports}))
    assert one.words == {"web1": "down", "web2": "up"}


def test_a_loopback_address_among_others_is_the_director_itself() -> None:
    one = Scene(pool())
    one.hear(table(server(1), server("127.0.0.1")))
    assert set(one.members) == {"192.0.2.1"} and "127.0.0.1 is lvs1 itself" in one.state.notes[0]
    lab = Scene(pool())
    lab.hear(table(server("127.0.0.11"), server("127.0.0.12")))
    assert len(lab.members) == 2


def test_what_is_on_one_address_counts_together() -> None:
    one = Scene(pool(*web(3)))
    both = replace(server(1, 5, active=3), port=81)
    one.hear(table(server(1, 10, active=4), both, server(2, 7, "down"), replace(server(2, 3), port=81), server(3, 0)))
    assert one.words == {"web1": "up", "web2": "up", "web3": "drain"}
    assert one.weights == {"web1": 15, "web2": 3, "web3": 0}
    assert one.state.voices["web1"].active == 7


def test_backup_servers_count_only_when_no_other_is_up() -> None:
    one = Scene(pool(*web(3)))
    one.hear(table(server(1), server(2), server(3, backup=True)))
    assert one.words == {"web1": "up", "web2": "up", "web3": "drain"}
    assert one.why("web3") == "backup, and others are up at lvs1"
    for _ in range(2):
        one.hear(table(server(1, 1, "down"), server(2, 0), server(3, backup=True)))
    assert one.words == {"web1": "down", "web2": "drain", "web3": "up"}


def test_the_sorry_server_is_no_server() -> None:
    one = Scene(pool(*web(2), following=Following("lvs1", PART, sorry="192.0.2.99")))
    one.hear(listed(1, 2, 99))
    assert one.words == {"web1": "up", "web2": "up"}
    one.hear(listed(99))
    one.hear(listed(99))
    assert one.words == {"web1": "down", "web2": "down"}
    assert one.why("web1") == f"only the sorry server is left in {PART} at lvs1"
    made = Scene(pool(following=Following("lvs1", PART, sorry="192.0.2.99")))
    made.hear(listed(1, 2, 99))
    assert made.members == {"192.0.2.1": "192.0.2.1", "192.0.2.2": "192.0.2.2"}
    made.hear(listed(99))
    made.hear(listed(99))
    assert made.words == {"192.0.2.1": "down", "192.0.2.2": "down"}


def test_a_table_of_strangers_is_a_mistake_not_a_removal() -> None:
    one = Scene(FOUR)
    for _ in range(3):
        one.hear(table(server("10.0.0.1"), server("10.0.0.2")))
    assert set(one.words.values()) == {"unknown"} and "is map: missing" in one.state.notes[0]
    one.hear(listed(1, 2, 3, 4))
    for _ in range(2):
        one.hear(table(server("10.0.0.1"), server("10.0.0.2")))
    assert set(one.words.values()) == {"down"}  # it knew them before


def test_nat_is_mapped() -> None:
    mapping = (("10.0.0.9/32", "198.51.100.9/32"), ("10.0.0.0/24", "203.0.113.0/24"), ("fd00::/64", "2001:db8::/64"))
    one = Scene(pool(following=Following("lvs1", PART, map=mapping)))
    one.hear(table(server("10.0.0.7"), server("10.0.0.9"), server("fd00::5"), server("10.0.1.7")))
    assert set(one.members) == {"203.0.113.7", "198.51.100.9", "2001:db8::5", "10.0.1.7"}


# -------------------------------------------------------------------- what must be said twice


def test_over_half_of_a_pool_leaves_only_when_it_is_said_twice() -> None:
    one = Scene(FOUR)
    one.hear(listed(1, 2, 3, 4))
    one.hear(listed(1))
    assert set(one.words.values()) == {"up"} and set(one.state.waiting) == {"web2", "web3", "web4"}
    one.hear(listed(1))
    assert one.words == {"web1": "up", "web2": "down", "web3": "down", "web4": "down"} and not one.state.waiting


def test_half_of_a_pool_leaves_at_once() -> None:
    one = Scene(FOUR)
    one.hear(listed(1, 2, 3, 4))
    one.hear(table(server(1), server(2), server(3, 0), server(4, 1, "down")))
    assert one.words == {"web1": "up", "web2": "up", "web3": "drain", "web4": "down"}


def test_quorum_too() -> None:
    one = Scene(pool(*web(4), quorum=4))
    one.hear(listed(1, 2, 3, 4))
    one.hear(listed(1, 2, 3))
    assert one.words["web4"] == "up"
    one.hear(listed(1, 2, 3))
    assert one.words["web4"] == "down"
    one.hear(listed(1, 2))  # below it already
    assert one.words["web3"] == "down"


def test_two_lies_that_differ_take_nobody_away() -> None:
    one = Scene(FOUR)
    one.hear(listed(1, 2, 3, 4))
    one.hear(listed(1))
    one.hear(listed(4))
    assert one.words == {"web1": "up", "web2": "down", "web3": "down", "web4": "up"}  # what both said
    one.hear(listed(1, 2, 3, 4))
    assert set(one.words.values()) == {"up"}


def test_a_fault_between_is_no_second_word() -> None:
    one = Scene(FOUR)
    one.hear(listed(1, 2, 3, 4))
    one.hear(listed(1))
    one.hear("timed out")
    one.wait(1)
    assert set(one.words.values()) == {"up"}
    one.hear(listed(1))
    assert one.words["web2"] == "down"


def test_the_files_may_take_out_whom_they_like() -> None:
    one = Scene(FOUR)
    one.hear(listed(1, 2, 3, 4))
    one.all.load(replace(one.data, pools={"web": pool(*web(1))}), one.now)
    assert one.words == {"web1": "up"} and not one.state.waiting


# -------------------------------------------------------------------- faults and staleness


@pytest.mark.parametrize("said", ["connection refused", DirectorTable(), DirectorTable({"": ()})])
def test_unreadable_or_empty_holds_for_stale_after(said: DirectorTable | str) -> None:
    one = Scene(FOUR)
    one.hear(listed(1, 2, 3))
    assert one.told() == ["lvs1: unknown -> up: it can be read"]
    for _ in range(14):
        one.hear(said)
    assert one.words["web1"] == "up" and one.words["web4"] == "down"
    (event,) = one.told()
    assert event.startswith("lvs1: up -> fault: ")
    assert one.all.next_deadline() == 102.0 + 30.0
    one.wait(2.0)
    assert set(one.words.values()) == {"unknown"} and one.weights["web1"] == 1
    assert one.told()[0].startswith("lvs1: fault -> stale: ") and one.all.next_deadline() is None
    assert one.why("web1").startswith("lvs1 can't be read: ")
    one.hear(listed(1, 2, 3, 4))
    assert set(one.words.values()) == {"up"} and one.told() == ["lvs1: stale -> up: it can be read"]


def test_silence_is_stale_too() -> None:
    one = Scene(FOUR)
    one.hear(listed(1, 2, 3, 4))
    one.wait(29.9)
    assert set(one.words.values()) == {"up"}
    one.wait(0.2)
    assert set(one.words.values()) == {"unknown"} and one.why("web1") == "lvs1 was not read for 30s"


def test_all_at_weight_zero_is_always_told() -> None:
    one = Scene(FOUR)
    one.hear(listed(1, 2, 3, 4))
    one.told()
    idle = table(*[server(number, 0) for number in (1, 2, 3, 4)])
    one.hear(idle)
    assert one.told() == []  # it must stand for two readings
    one.hear(idle)
    assert one.told() == ["web/lvs1: ok -> degraded: every member is drained there, or has weight 0"]
    one.hear(listed(1, 2, 3, 4))
    assert one.told() == ["web/lvs1: degraded -> ok: members are in service again"]


# -------------------------------------------------------------------- members from the table


def test_members_come_and_go_with_the_table() -> None:
    one = Scene(pool())
    assert one.members == {} and one.all.makes("web")
    one.hear(table(server(1, 10, name="a"), server(2, 20, name="b"), server("2001:db8::3", 30, name="c")))
    assert one.members == {"a": "192.0.2.1", "b": "192.0.2.2", "c": "2001:db8::3"}
    assert one.weights == {"a": 10, "b": 20, "c": 30} and one.all.moved
    one.hear(table(server(1, 10, name="a"), server("2001:db8::3", 30, name="c")))
    assert set(one.members) == {"a", "c"}
    one.hear(table(server("2001:db8::3", 30, name="c")))
    one.hear(table(server("2001:db8::3", 30, name="c")))
    assert set(one.members) == {"c"}


def test_who_waits_to_leave_stays_a_member() -> None:
    one = Scene(pool())
    one.hear(listed(1, 2, 3))
    one.hear(listed(4))
    assert set(one.members) == {f"192.0.2.{number}" for number in (1, 2, 3, 4)} and len(one.state.waiting) == 3
    one.hear(listed(4))
    assert set(one.members) == {"192.0.2.4"} == set(one.words)


def test_a_list_without_servers_leaves_the_last_ones_as_down() -> None:
    one = Scene(pool())
    one.hear(listed(1, 2))
    one.hear(table())
    assert one.words == {"192.0.2.1": "up", "192.0.2.2": "up"}
    one.hear(table())
    assert one.words == {"192.0.2.1": "down", "192.0.2.2": "down"}
    one.wait(40)
    assert set(one.words.values()) == {"unknown"} and len(one.members) == 2
    one.hear(listed(2))
    assert one.words == {"192.0.2.2": "up"}


def test_names_are_the_servers_where_they_can_be() -> None:
    one = Scene(pool())
    names = ["good", "twice", "twice", "no name", "-x", "a/b", "", "192.0.2.1"]
    one.hear(table(*[server(number, name=name) for number, name in enumerate(names, 1)]))
    assert one.members == {"good": "192.0.2.1"} | {f"192.0.2.{number}": f"192.0.2.{number}" for number in range(2, 9)}


BAD = [
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "169.254.1.1",
    "fe80::1",
    "fe80::1%eth0",
    "x",
    "1.2",
]


def test_bad_entries_are_refused_one_by_one() -> None:
    one = Scene(pool())
    one.hear(table(*[server(text) for text in BAD], server(""), server(8), server("::ffff:192.0.2.7", -3)))
    assert set(one.members) == {"192.0.2.8", "192.0.2.7"}
    assert one.weights == {"192.0.2.8": 1, "192.0.2.7": None}
    said = " ".join(one.state.notes)
    assert "0.0.0.0 is not the address of one host" in said and "and 6 more" in said and "tells no address" in said


def test_a_director_s_words_fit_a_line() -> None:
    one = Scene(pool())
    one.hear(table(server(1, 1, "down", "a\nb", why="x\n\x1b[31m" + "y" * 1000), server("\n", name="c\rd")))
    assert "\n" not in one.why("192.0.2.1") and "\x1b" not in one.why("192.0.2.1")
    assert len(one.why("192.0.2.1")) < 300 and all(note.isprintable() for note in one.state.notes)


def test_weights_are_bounded() -> None:
    one = Scene(pool())
    one.hear(table(server(1, 10**30), replace(server(1, 9), port=81), server(2, -1), server(3, entries.MAX_WEIGHT)))
    assert one.weights == {"192.0.2.1": 65535, "192.0.2.2": None, "192.0.2.3": 65535}
    assert "the weight -1 is no weight" in one.state.notes[0]


def test_a_table_gone_mad_gives_a_bounded_pool() -> None:
    one = Scene(pool())
    many = [server(f"10.{number // 250}.{number % 250}.1") for number in range(MAX_MEMBERS + 500)]
    one.hear(table(*many[500:]))
    first = set(one.members)
    one.hear(table(*many))
    assert set(one.members) == first and len(first) == MAX_MEMBERS  # who is in stays in
    assert one.state.notes == (f"lvs1 lists {MAX_MEMBERS + 500} servers; a pool takes {MAX_MEMBERS} of them at most",)


def test_members_and_weights_outlive_a_restart_as_unknown() -> None:
    one = Scene(pool())
    one.hear(table(server(1, 10), server(2, 20)))
    again = Scene(pool(), kept=one.all.kept())
    assert again.words == {"192.0.2.1": "unknown", "192.0.2.2": "unknown"} and again.all.applied(again.data).pools[
        "web"
    ].members == tuple(one.state.members)
    again.hear("connection refused")
    assert again.weights == {"192.0.2.1": 10, "192.0.2.2": 20}
    again.hear(listed(2))  # nobody was known to serve: nothing to be careful about
    assert again.words == {"192.0.2.2": "up"}


def test_the_files_members_keep_their_weights_too() -> None:
    one = Scene(FOUR)
    one.hear(table(server(1, 10), server(2, 20), server(3), server(4)))
    again = Scene(FOUR, kept=one.all.kept())
    assert again.weights == {"web1": 10, "web2": 20, "web3": 1, "web4": 1}
    assert Scene(pool(*web(4), weight_from="zone"), kept=one.all.kept()).all.kept() == {}


# -------------------------------------------------------------------- several directors

LVS2 = replace(LVS, name="lvs2")
PAIR = (Following("lvs1", PART), Following("lvs2", PART))


def test_of_a_pair_the_first_that_can_be_read_counts() -> None:
    one = Scene(pool(*web(4), following=PAIR), LVS, LVS2)
    one.hear(listed(1, 2, 3, 4))
    one.hear(listed(1, 2, 3), "lvs2")
    assert one.state.director == "lvs1" and one.words["web4"] == "up"
    assert one.state.notes == ("lvs1 and lvs2 disagree: web4 up / down",)
    one.hear(listed(1, 2, 3), "lvs2")
    assert one.state.director == "lvs1"  # fresher by a moment is no reason to turn
    one.hear("timed out")
    assert one.state.director == "lvs2" and one.words["web4"] == "down"
    one.hear(listed(1, 2, 3, 4))
    assert one.state.director == "lvs1" and one.words["web4"] == "up"
    one.hear("timed out")
    one.hear("timed out", "lvs2")
    one.wait(1)
    assert one.state.director == "lvs1"  # it was read last


def test_the_master_s_word_counts() -> None:
    herald1, herald2 = Director("ka1", "keepalived"), Director("ka2", "keepalived")
    one = Scene(
        pool(*web(2), following=PAIR), replace(LVS, master="ka1"), replace(LVS2, master="ka2"), herald1, herald2
    )
    one.hear(listed(1, 2))
    one.hear(listed(1), "lvs2")
    assert one.state.director == "lvs1"
    one.hear(DirectorTable({"VI_1": ()}, True), "ka2")
    assert one.state.director == "lvs2" and one.words == {"web1": "up", "web2": "down"}
    one.hear(DirectorTable({"VI_1": ()}, False), "ka2")
    one.hear(DirectorTable({"VI_1": ()}, True), "ka1")
    assert one.state.director == "lvs1" and one.words == {"web1": "up", "web2": "up"}
    one.wait(31)
    assert set(one.words.values()) == {"unknown"}


def test_a_herald_that_is_silent_makes_nobody_the_master() -> None:
    herald = Director("ka2", "keepalived", stale_after=10.0)
    one = Scene(pool(*web(2), following=PAIR), LVS, replace(LVS2, master="ka2"), herald)
    one.hear(DirectorTable({"VI_1": ()}, True), "ka2")
    one.hear(listed(1, 2))
    one.hear(listed(1), "lvs2")
    assert one.state.director == "lvs2"
    one.wait(5.9)
    assert one.state.director == "lvs2" and one.all.next_deadline() == 112.0
    one.wait(0.1)
    assert one.state.director == "lvs1" and one.words == {"web1": "up", "web2": "up"}


def test_parts_of_one_director_count_together() -> None:
    following = (Following("lvs1", PART), Following("lvs1", "[2001:db8::1]:80"))
    one = Scene(pool(following=following))
    reports = {PART: (server(1, 5), server(2, 5)), "[2001:db8::1]:80": (server("2001:db8::5", 7), server(1, 9))}
    one.hear(DirectorTable(reports))
    assert one.weights == {"192.0.2.1": 9, "192.0.2.2": 5, "2001:db8::5": 7}


def test_a_part_that_is_not_listed_any_more_takes_nobody_away() -> None:
    other = "[2001:db8::1]:80"
    following = (Following("lvs1", PART), Following("lvs1", other))
    for members in ((), (*web(2), replace(web(1)[0], name="six", addresses=("2001:db8::5",)))):
        one = Scene(pool(*members, following=following))
        one.hear(DirectorTable({PART: (server(1), server(2)), other: (server("2001:db8::5"),)}))
        for _ in range(20):
            one.hear(listed(1, 2))
        assert list(one.words.values()) == ["up", "up", "unknown"]
        one.hear(DirectorTable({PART: (server(1), server(2)), other: ()}))
        assert list(one.words.values()) == (["up", "up", "down"] if members else ["up", "up"])


# -------------------------------------------------------------------- use: virtual

VIPS = (Following("lvs1", PART, "virtual", "web1", quorum=2), Following("lvs2", PART, "virtual", "web2", quorum=2))


def test_a_vip_weighs_what_is_alive_behind_it_and_leaves_below_its_quorum() -> None:
    one = Scene(pool(*web(2), following=VIPS), LVS, LVS2)
    assert one.words == {"web1": "unknown", "web2": "unknown"}
    one.hear(table(server("10.0.0.1", 10), server("10.0.0.2", 20), server("10.0.0.3", 5, "down")))
    one.hear(table(server("10.0.1.1", 10), server("10.0.1.2", None)), "lvs2")
    assert one.words == {"web1": "up", "web2": "up"} and one.weights == {"web1": 30, "web2": 11}
    assert one.why("web1") == f"2 of 3 servers up in {PART} at lvs1, quorum 2"
    one.hear(table(server("10.0.0.1", 10)))
    assert one.words == {"web1": "down", "web2": "up"}
    one.hear(table(server("10.0.0.1", 10), server("10.0.0.2", 0)))
    assert one.words == {"web1": "drain", "web2": "up"}


def test_a_vip_whose_director_is_not_the_master_is_drained() -> None:
    herald = Director("ka1", "keepalived")
    one = Scene(pool(*web(2), following=VIPS), replace(LVS, master="ka1"), LVS2, herald)
    for name in ("lvs1", "lvs2"):
        one.hear(table(server("10.0.0.1", 10), server("10.0.0.2", 20)), name)
    assert one.words == {"web1": "up", "web2": "up"}
    one.hear(DirectorTable({"VI_1": ()}, False), "ka1")
    assert one.words == {"web1": "drain", "web2": "up"} and one.why("web1").startswith("lvs1 is not the master")


def test_a_vip_two_directors_share_goes_by_its_master() -> None:
    both = (VIPS[0], replace(VIPS[0], director="lvs2"))
    one = Scene(pool(*web(1), following=both), LVS, LVS2)
    one.hear(DirectorTable({PART: (server(1, 10), server(2, 10))}, False))
    one.hear(DirectorTable({PART: (server(1, 10), server(2, 10), server(3, 10))}, True), "lvs2")
    assert one.words == {"web1": "up"} and one.weights == {"web1": 30}
    one.hear("timed out", "lvs2")
    assert one.weights == {"web1": 30}  # the master's last word holds
    one.wait(25)
    one.hear(DirectorTable({PART: (server(1, 10), server(2, 10))}, True))
    assert one.weights == {"web1": 20}


# -------------------------------------------------------------------- whatever comes

WORDS = st.sampled_from(["up", "down", "drain", "maint", "unknown", "", "UP"])
ADDRESSES = st.sampled_from([*BAD, "", *[f"192.0.2.{number}" for number in range(1, 7)], "2001:db8::1", "10.0.0.1"])
REPORTS = st.builds(
    Report,
    st.sampled_from(["", "web1", "a", "b/c", "x" * 300, "\x1b[31m"]),
    ADDRESSES,
    st.integers(0, 65535),
    WORDS,
    st.text(max_size=5),
    st.none() | st.integers(-5, 70000) | st.just(10**40),
    st.none() | st.integers(0, 10),
    backup=st.booleans(),
)
TABLES = st.builds(
    DirectorTable,
    st.dictionaries(st.sampled_from([PART, "", "other"]), st.lists(REPORTS, max_size=6).map(tuple), max_size=3),
    st.none() | st.booleans(),
)
SAID = st.lists(st.tuples(st.sampled_from(["lvs1", "lvs2"]), TABLES | st.text(max_size=5), st.floats(0.1, 40)))


@given(SAID, st.booleans(), st.sampled_from(["", "192.0.2.3"]))
def test_whatever_is_said_nothing_breaks_and_no_pool_is_emptied(
    said: list[tuple[str, DirectorTable | str, float]], made: bool, sorry: str
) -> None:
    following = tuple(replace(one, sorry=sorry) for one in PAIR)
    one = Scene(pool(*(() if made else web(3)), following=following), LVS, LVS2)
    one.hear(listed(1, 2, 4), after=0)
    for name, word, after in said:
        one.hear(word, name, after)
        names = set(one.members) if made else {"web1", "web2", "web3"}
        assert names == set(one.words) and names
        addresses = [address for member in one.state.members for address in member.addresses]
        assert len(addresses) == len(set(addresses)) and not set(addresses) & {*BAD, sorry}
        assert all(weight is None or 0 <= weight <= 65535 for weight in one.weights.values())
        deadline = one.all.next_deadline()
        assert deadline is None or deadline > one.now
        one.all.snapshot(one.now), one.all.of_pool("web", one.now), one.all.kept()


@given(st.lists(st.sets(st.integers(1, 6)), max_size=8))
def test_at_no_single_reading_more_than_half_leaves(tables: list[set[int]]) -> None:
    one = Scene(pool(*web(6)))
    one.hear(listed(1, 2, 3, 4, 5, 6))
    before, said = set(range(1, 7)), [set(range(1, 7))]
    for numbers in tables:
        one.hear(listed(*sorted(numbers)))
        up = {int(name[3:]) for name, word in one.words.items() if word == "up"}
        left = before - up
        if 2 * len(left) > len(before):
            assert not left & said[-1]  # the reading before said so too
        before = up
        said.append(numbers)
