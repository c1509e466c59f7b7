"""One host name: what an answer makes of its addresses, and what it never can."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.resolution import Resolution
from rrdns.roster.resolved import EMPTY, MOST, UNKNOWN, Found, hear

A1, A2, A3 = "192.0.2.1", "192.0.2.2", "192.0.2.10"
B1 = "2001:db8::1"
Said = tuple[str, ...] | str


def had(v4: tuple[str, ...] = (), v6: tuple[str, ...] = ()) -> Found:
    return Found((v4, v6), 1.0, True)


@pytest.mark.parametrize(
    ("before", "v4", "v6", "sets", "state", "reason"),
    [
        (UNKNOWN, (A1,), (), ((A1,), ()), "up", ""),
        (UNKNOWN, (A1,), (B1,), ((A1,), (B1,)), "up", ""),
        (UNKNOWN, "SERVFAIL", "SERVFAIL", ((), ()), "fault", "SERVFAIL"),
        (UNKNOWN, (), (), ((), ()), "fault", EMPTY),
        (UNKNOWN, (), "SERVFAIL", ((), ()), "fault", "A: it has no A; AAAA: SERVFAIL"),
        (UNKNOWN, (A1,), "SERVFAIL", ((A1,), ()), "up", ""),  # it never had one of that family
        (had((A1,)), (A2,), (), ((A2,), ()), "up", ""),
        (had((A1,)), (), (), ((A1,), ()), "stale", EMPTY),
        (had((A1,)), "NXDOMAIN", "NXDOMAIN", ((A1,), ()), "stale", "NXDOMAIN"),
        (had((A1,)), (), "no answer in time", ((A1,), ()), "stale", "A: it has no A"),
        (had((A1,)), (), (B1,), ((), (B1,)), "up", ""),
        (had((A1,), (B1,)), (A2,), (), ((A2,), ()), "up", ""),
        (had((A1,), (B1,)), (A2,), "SERVFAIL", ((A2,), (B1,)), "stale", "AAAA: SERVFAIL"),
        (had((A1,), (B1,)), (), "SERVFAIL", ((), (B1,)), "stale", "AAAA: SERVFAIL"),
        (had((A1,), (B1,)), "REFUSED", "SERVFAIL", ((A1,), (B1,)), "stale", "A: REFUSED; AAAA: SERVFAIL"),
        (had((A1,)), ("0.0.0.0",), ("::",), ((A1,), ()), "stale", "A: 0.0.0.0 is not the address of one host"),
    ],
)
def test_the_table(
    before: Found, v4: Said, v6: Said, sets: tuple[tuple[str, ...], ...], state: str, reason: str
) -> None:
    after = hear(before, Resolution(v4, v6), 5.0)
    assert (after.sets, after.state, after.reason) == (sets, state, reason)


def test_the_age_is_that_of_the_last_good_answer() -> None:
    one = hear(had((A1,)), Resolution((A1,), "SERVFAIL"), 5.0)
    assert one.at == 5.0
    for number, bad in enumerate((Resolution.failed("timeout"), Resolution((), ()), Resolution(("0.0.0.0",), "x"))):
        one = hear(one, bad, 6.0 + number)
        assert one.at == 5.0 and one.addresses == (A1,)


def test_not_asked_yet_and_kept_from_the_last_run() -> None:
    assert UNKNOWN.state == "unknown"
    assert Found(((A1,), ()), 1.0).state == "up"


def test_the_order_of_an_answer_is_no_news() -> None:
    one = hear(UNKNOWN, Resolution((A3, A1, A2), ()), 1.0)
    assert one.addresses == (A1, A2, A3), "by number, not by text"
    assert hear(one, Resolution((A2, A3, A1, A1), ()), 1.0) == one


@pytest.mark.parametrize(
    "bad", ["0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "169.254.1.1", "nonsense", "127.0.0.1"]
)
def test_bad_addresses_are_refused_one_by_one(bad: str) -> None:
    one = hear(UNKNOWN, Resolution((bad, A1), ()), 1.0)
    assert one.addresses == (A1,) and one.state == "up"
    assert len(one.notes) == 1 and bad in one.notes[0]


@pytest.mark.parametrize("bad", ["::", "ff02::1", "fe80::1", "::ffff:192.0.2.1", "::1"])
def test_bad_addresses_of_the_other_family(bad: str) -> None:
    one = hear(UNKNOWN, Resolution((), (bad, B1)), 1.0)
    assert one.addresses == (B1,) and len(one.notes) == 1


def test_in_a_lab_everything_is_loopback() -> None:
    assert hear(UNKNOWN, Resolution(("127.0.0.2", "127.0.0.1"), ()), 1.0).addresses == ("127.0.0.1", "127.0.0.2")


def test_an_answer_gone_mad_takes_no_more_than_it_may_and_what_is_in_force_first() -> None:
    one = hear(UNKNOWN, Resolution(("192.0.2.250",), ()), 1.0)
    many = tuple(f"192.0.2.{number}" for number in range(1, 251))
    after = hear(one, Resolution(many, ()), 2.0)
    assert len(after.addresses) == MOST and "192.0.2.250" in after.addresses
    assert after.notes == (f"it has 250 addresses; {MOST} of them are taken",)


def test_a_reason_fits_a_line() -> None:
    assert "\n" not in hear(UNKNOWN, Resolution.failed("a\nb" * 1000), 1.0).reason
    assert len(hear(UNKNOWN, Resolution.failed("x" * 10_000), 1.0).reason) < 300
    assert hear(UNKNOWN, Resolution.failed(""), 1.0).state == "fault"


FAMILY4 = st.one_of(
    st.text(max_size=8), st.lists(st.sampled_from([A1, A2, A3, "0.0.0.0", "127.0.0.1", "x", ""]), max_size=4).map(tuple)
)
FAMILY6 = st.one_of(
    st.text(max_size=8), st.lists(st.sampled_from([B1, "2001:db8::2", "::", "x"]), max_size=4).map(tuple)
)


@given(st.lists(st.builds(Resolution, FAMILY4, FAMILY6), max_size=12))
def test_what_has_addresses_always_has_some(said: list[Resolution]) -> None:
    one, again = UNKNOWN, UNKNOWN
    for number, each in enumerate(said):
        before, one = one, hear(one, each, float(number))
        again = hear(again, each, float(number))
        assert one.addresses or not before.addresses
        assert one.state != "unknown" and (one.state == "up") == (bool(one.addresses) and not one.reason)
        if isinstance(each.v4, str) and isinstance(each.v6, str):
            assert one.sets == before.sets and one.at == before.at and one.state in ("stale", "fault")
    assert one == again
