"""Server cookies against the examples of RFC 9018 appendix A, and SipHash against its authors' numbers."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.server import cookies
from rrdns.server.cookies import Cookies, siphash24

SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
OLDER = bytes.fromhex("dd3bdf9344b678b185a6f5cb60fca715")
NEWER = bytes.fromhex("445536bcd2513298075a5d379663c962")
V4 = ipaddress.ip_address("198.51.100.100").packed
OTHER = ipaddress.ip_address("203.0.113.203").packed
V6 = ipaddress.ip_address("2001:db8:220:1:59de:d0f4:8769:82b8").packed
TIME = 1559731985
FIRST = bytes.fromhex("2464c4abcf10c957010000005cf79f111f8130c3eee29480")


@pytest.mark.parametrize(
    ("length", "result"),
    [
        (0, "310e0edd47db6f72"),
        (1, "fd67dc93c539f874"),
        (7, "37d1018bf50002ab"),
        (8, "6224939a79f5f593"),
        (15, "e545be4961ca29a1"),
        (63, "724506eb4c328a95"),
    ],
)
def test_siphash(length: int, result: str) -> None:
    assert siphash24(bytes(range(16)), bytes(range(length))).hex() == result


def test_a1_a_new_cookie() -> None:
    assert Cookies((SECRET,)).judge(FIRST[:8], V4, TIME) == (FIRST, False)


def test_a2_a_renewed_cookie() -> None:
    renewed = bytes.fromhex("2464c4abcf10c957010000005cf7a871d4a564a1442aca77")
    assert Cookies((SECRET,)).judge(FIRST, V4, TIME + 2400) == (renewed, True)


def test_a3_reserved_bytes_are_hashed_as_they_came() -> None:
    shown = bytes.fromhex("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5")
    made = int.from_bytes(shown[12:16], "big")
    assert Cookies((SECRET,)).judge(shown, OTHER, made)[1]
    assert not Cookies((SECRET,)).judge(shown, V4, made)[1]
    fresh = bytes.fromhex("fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e")
    assert Cookies((SECRET,)).judge(shown, OTHER, 1559734700) == (fresh, False)


def test_a4_ipv6_and_a_secret_that_was_rolled_over() -> None:
    shown = bytes.fromhex("22681ab97d52c298010000005cf7c57926556bd0934c72f8")
    fresh = bytes.fromhex("22681ab97d52c298010000005cf7c609a6bb79d16625507a")
    assert Cookies((NEWER, OLDER)).judge(shown, V6, 1559741961) == (fresh, True)
    assert Cookies((NEWER,)).judge(shown, V6, 1559741961) == (fresh, False)


@pytest.mark.parametrize(
    ("age", "valid", "same"),
    [
        (-301, False, False),
        (-300, True, True),
        (0, True, True),
        (1800, True, True),
        (1801, True, False),
        (3600, True, False),
        (3601, False, False),
    ],
)
def test_the_window(age: int, valid: bool, same: bool) -> None:
    one = Cookies((SECRET,))
    for _ in range(2):  # the second time from what is remembered
        answer, proved = one.judge(FIRST, V4, TIME + age)
        assert (proved, answer == FIRST) == (valid, same)
        assert one.judge(answer, V4, TIME + age)[1], "what we give is valid"


def test_time_stamps_wrap_around_in_2106() -> None:
    one = Cookies((SECRET,))
    made = one.make(FIRST[:8], V4, (1 << 32) - 10)
    assert one.judge(made, V4, (1 << 32) + 10) == (made, True)


@pytest.mark.parametrize(
    "changed",
    [
        FIRST[:-1] + b"x",
        FIRST[:8] + b"\2" + FIRST[9:],
        b"x" + FIRST[1:],
        FIRST[:16],
        FIRST[:20],
        FIRST + bytes(16),
    ],
)
def test_what_is_no_cookie_of_ours(changed: bytes) -> None:
    answer, proved = Cookies((SECRET,)).judge(changed, V4, TIME)
    assert not proved and answer[:8] == changed[:8] and len(answer) == 24


def test_what_is_remembered_stays_bounded_and_does_not_mix_clients_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cookies, "REMEMBERED", 4)
    one, plain = Cookies((SECRET,)), Cookies((SECRET,))
    for number in range(20):
        mine = number.to_bytes(8, "big")
        for client in (V4, OTHER):
            made, _ = one.judge(mine, client, TIME)
            assert plain.judge(made, client, TIME) == one.judge(made, client, TIME) == (made, True)
            assert not one.judge(made, V6, TIME)[1]
        assert len(one._made) <= 4 and len(one._proved) <= 4


def test_a_cookie_made_a_while_ago_is_made_anew() -> None:
    one = Cookies((SECRET,))
    first = one.make(FIRST[:8], V4, TIME)
    assert one.make(FIRST[:8], V4, TIME + cookies.REUSE) == first
    assert one.make(FIRST[:8], V4, TIME + cookies.REUSE + 1) != first
    assert one.make(FIRST[:8], V4, TIME - 1)[12:16] == (TIME - 1).to_bytes(4, "big")  # the clock was set back


@given(st.binary(min_size=8, max_size=40), st.sampled_from([V4, V6, b""]), st.integers(0, 1 << 40))
def test_any_bytes_at_any_time(shown: bytes, client: bytes, now: int) -> None:
    one = Cookies((SECRET, OLDER))
    answer, proved = one.judge(shown, client, now)
    assert len(answer) == 24 and answer[:8] == shown[:8] and not proved
    assert one.judge(answer, client, now) == (answer, True)
