"""Names asked of a resolver on loopback, and followed: TTLs, faults, what is under way, and what the journal keeps."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_resolver import SILENT, Says, resolver_that

from rrdns.control import resolving
from rrdns.control.names_said import (
    NameJournal,
    names_of,
    names_text,
    never_resolved,
    of_picture,
    pictured,
    row,
    said_of,
)
from rrdns.control.resolving import LEAST, LONGEST_RETRY, MOST, RETRY, Resolving, pace
from rrdns.recorded import Input
from rrdns.resolution import Resolution
from rrdns.resolver import Answer, NoAnswer, Resolver
from rrdns.roster.resolved import UNKNOWN, Found, hear

A = "app.example. A"
ZONE = {
    A: "app.example. 60 A 192.0.2.1\napp.example. 60 A 192.0.2.2",
    "app.example. AAAA": "app.example. 30 AAAA 2001:db8::1",
    "alias.example. A": "alias.example. 300 CNAME b.example.\nb.example. 7 CNAME app.example.\n"
    "app.example. 60 A 192.0.2.1",
    "empty.example. A": "",
    "empty.example. AAAA": "",
    "broken.example. A": "SERVFAIL",
    "refused.example. A": "REFUSED",
    "silent.example. A": SILENT,
}


async def until(condition: Callable[[], object], what: str = "") -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.01)


def asking(says: Says, **how: float) -> Resolver:
    return Resolver((f"127.0.0.1:{says.port}",), **how)  # type: ignore[arg-type]


# ---------------------------------------------------------------- one question


async def test_an_answer_has_its_values_and_the_lowest_ttl_of_the_chain() -> None:
    async with resolver_that(ZONE) as says:
        ask = asking(says).ask
        assert await ask("app.example.", "A") == Answer(("192.0.2.1", "192.0.2.2"), 60)
        assert await ask("app.example.", "AAAA") == Answer(("2001:db8::1",), 30)
        assert await ask("alias.example.", "A") == Answer(("192.0.2.1",), 7)
        assert await ask("empty.example.", "A") == Answer((), None)


@pytest.mark.parametrize(
    ("name", "why"), [("no.example.", "NXDOMAIN"), ("broken.example.", "SERVFAIL"), ("refused.example.", "REFUSED")]
)
async def test_a_fault_says_what_it_is(name: str, why: str) -> None:
    async with resolver_that(ZONE) as says:
        with pytest.raises(NoAnswer, match=why):
            await asking(says).ask(name, "A")


async def test_silence_ends_in_bounded_time() -> None:
    async with resolver_that(ZONE) as says:
        begun = time.monotonic()
        with pytest.raises(NoAnswer, match="no answer in time"):
            await asking(says, patience=0.3).ask("silent.example.", "A")
        assert time.monotonic() - begun < 10


async def test_nothing_is_answered_from_a_cache() -> None:
    async with resolver_that(ZONE) as says:
        one = asking(says)
        for number in range(1, 4):
            says.zone[A] = f"app.example. 3600 A 192.0.2.{number}"
            assert (await one.ask("app.example.", "A")).values == (f"192.0.2.{number}",)
        says.zone[A] = ""
        assert (await one.ask("app.example.", "A")).values == ()
        says.zone[A] = "app.example. 60 A 192.0.2.9"
        assert (await one.ask("app.example.", "A")).values == ("192.0.2.9",), "c-ares would keep the empty one"


async def test_nor_while_other_questions_are_under_way() -> None:
    async with resolver_that(ZONE) as says:
        one = asking(says)
        waiting = asyncio.create_task(one.ask("silent.example.", "A"))
        await until(lambda: says.asked["silent.example. A"])
        for number in range(1, 4):
            says.zone[A] = f"app.example. 3600 A 192.0.2.{number}"
            assert (await one.ask("app.example.", "A")).values == (f"192.0.2.{number}",)
        with pytest.raises(NoAnswer):
            await waiting


async def test_a_second_resolver_is_asked_where_the_first_is_dead() -> None:
    async with resolver_that(ZONE) as dead:
        port = dead.port
    async with resolver_that(ZONE) as says:
        one = Resolver((f"127.0.0.1:{port}", f"127.0.0.1:{says.port}"))
        assert (await one.ask("app.example.", "A")).values == ("192.0.2.1", "192.0.2.2")


async def test_so_many_questions_are_under_way_and_no_more() -> None:
    zone = {f"n{number}.example. A": f"n{number}.example. 60 A 192.0.2.1" for number in range(60)}
    async with resolver_that(zone) as says:
        says.late = 0.02
        one = asking(says, together=5)
        await asyncio.gather(*(one.ask(f"n{number}.example.", "A") for number in range(60)))
        assert says.most <= 5 and sum(says.asked.values()) >= 60


def test_it_works_on_control_s_own_loop() -> None:
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test_an_answer_has_its_values_and_the_lowest_ttl_of_the_chain())


def test_nothing_is_imported_before_something_is_asked() -> None:
    import subprocess

    code = "import sys, rrdns.control.resolving, rrdns.audit.outside; sys.exit('aiodns' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


# ---------------------------------------------------------------- following


@given(st.one_of(st.none(), st.integers(0, 1 << 31)), st.integers(0, 100))
def test_the_pace(ttl: int | None, failures: int) -> None:
    wait = pace(ttl, failures)
    assert min(LEAST, RETRY) <= wait <= MOST
    if not failures:
        assert wait == min(max(LEAST, ttl if ttl is not None else MOST), MOST)
    else:
        assert wait <= LONGEST_RETRY and wait <= pace(ttl, failures + 1) and pace(None, 1) == RETRY


class Heard:
    def __init__(self) -> None:
        self.all: list[tuple[str, Resolution]] = []

    def __call__(self, name: str, said: Resolution) -> None:
        self.all.append((name, said))

    def of(self, name: str) -> list[Resolution]:
        return [said for its, said in self.all if its == name]


@contextlib.asynccontextmanager
async def following(heard: Callable[[str, Resolution], None], says: Says, *names: str) -> AsyncIterator[Resolving]:
    one = Resolving(heard, asking(says, patience=1.0))
    one.set_names(names)
    one.start()
    try:
        yield one
    finally:
        await one.stop()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("name ")]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "LEAST", 0.02)
    monkeypatch.setattr(resolving, "RETRY", 0.02)


@pytest.mark.usefixtures("quick")
async def test_a_name_is_looked_at_again_when_its_ttl_is_over() -> None:
    async with resolver_that({**ZONE, A: "app.example. 0 A 192.0.2.1"}) as says:
        heard = Heard()
        async with following(heard, says, "app.example.") as one:
            await until(lambda: len(heard.of("app.example.")) >= 3)
            says.zone[A] = "app.example. 0 A 192.0.2.7"
            await until(lambda: heard.all[-1][1].v4 == ("192.0.2.7",))
            assert heard.all[-1][1].v6 == ("2001:db8::1",)
            says.zone[A] = "SERVFAIL"
            await until(lambda: isinstance(heard.all[-1][1].v4, str))
            assert heard.all[-1][1] == Resolution("SERVFAIL", ("2001:db8::1",))
            await until(lambda: one.stats["app.example."].failures_in_a_row >= 2)
            says.zone[A] = "app.example. 0 A 192.0.2.8"
            await until(lambda: heard.all[-1][1].v4 == ("192.0.2.8",))
            assert one.stats["app.example."].failures_in_a_row == 0


async def test_a_long_ttl_is_waited_for_and_names_that_stay_go_on() -> None:
    async with resolver_that(ZONE) as says:
        heard = Heard()
        async with following(heard, says, "app.example.", "empty.example.") as one:
            await until(lambda: len(heard.all) >= 2)
            shown = resolving.shown(one.stats, "app.example.")
            assert shown["ttl"] == 30 and 25 < (shown["next"] or 0) <= 33.1
            one.set_names(["app.example.", "no.example."])
            await until(lambda: heard.of("no.example."))
            assert len(heard.of("app.example.")) == 1 and set(one.stats) == {"app.example.", "no.example."}
            assert resolving.shown(one.stats, "gone.example.") == {"ttl": None, "next": None}


@pytest.mark.usefixtures("quick")
async def test_one_that_hangs_delays_nobody_and_a_fault_of_ours_ends_nothing() -> None:
    zone = {**ZONE, A: "app.example. 0 A 192.0.2.1", "silent.example. AAAA": SILENT}
    async with resolver_that(zone) as says:
        heard = Heard()

        def clumsy(name: str, said: Resolution) -> None:
            heard(name, said)
            raise RuntimeError("on purpose")

        async with following(clumsy, says, "silent.example.", "app.example."):
            await until(lambda: len(heard.of("app.example.")) >= 5)
            await until(lambda: heard.of("silent.example."))
            assert heard.of("silent.example.")[0] == Resolution.failed("no answer in time")


# ---------------------------------------------------------------- what is kept

V1, V2 = Resolution(("192.0.2.1", "192.0.2.2"), ()), Resolution(("192.0.2.3",), ())


def test_the_journal_notes_what_is_new_and_the_last_good_one_before_a_fault() -> None:
    one = NameJournal()
    assert list(one.news("a.", V1, 1.0)) == [(1.0, row(V1))]
    assert list(one.news("a.", Resolution(V1.v4[::-1], ()), 2.0)) == []
    assert list(one.news("a.", V1, 3.0)) == []
    assert list(one.news("a.", Resolution.failed("x"), 4.0)) == [(3.0, row(V1)), (4.0, row(Resolution.failed("x")))]
    assert list(one.news("a.", Resolution.failed("x"), 5.0)) == []
    assert list(one.news("a.", V2, 6.0)) == [(6.0, row(V2))]


def test_rows_are_read_back() -> None:
    for one in (V1, Resolution.failed("x"), Resolution((), "SERVFAIL")):
        assert said_of({"v4": _json(one.v4), "v6": _json(one.v6)}) == one


def _json(said: tuple[str, ...] | str) -> object:
    return said if isinstance(said, str) else list(said)


@given(st.lists(st.sampled_from([V1, V2, Resolution.failed("x"), Resolution((), "y"), Resolution((), ())]), max_size=6))
def test_a_picture_is_enough_to_go_on_from(said: list[Resolution]) -> None:
    found = UNKNOWN
    for number, each in enumerate(said):
        found = hear(found, each, float(number))
    kept, heard = of_picture(pictured({"a.": found}, 10.0), 20.0)
    again = Found((kept["a."][0], kept["a."][1]), kept["a."][2]) if "a." in kept else UNKNOWN
    for each in heard.values():
        again = hear(again, each, 20.0)
    assert (again.sets, again.state, again.reason) == (found.sets, found.state, found.reason)
    if found.addresses and not heard:
        assert 20.0 - again.at == 10.0 - found.at


def test_a_replay_says_of_which_names_nothing_is_known() -> None:
    inputs = [
        Input(1.0, 1, "name", "a.", row(V1)),
        Input(2.0, 1, "picture", "", {"names": {"b.": {}}}),
        Input(3.0, 1, "report", "c.", {}),
    ]
    assert never_resolved(["a.", "b."], inputs) == ""
    assert "no address here: c., d." in never_resolved(["d.", "c.", "a."], inputs)


def test_the_last_good_sets_outlive_a_restart_and_a_clock_that_went_back() -> None:
    text = names_text({"a.": (("192.0.2.1",), ("2001:db8::1",), 90.0)}, 100.0, 5000.0)
    assert names_of(text, 7.0, 5060.0) == ({"a.": (("192.0.2.1",), ("2001:db8::1",), -63.0)}, "")
    assert names_of(text, 7.0, 4000.0)[0]["a."][2] == 7.0
    assert names_of(None, 1.0, 1.0) == ({}, "")
    for bad in ("[]", "{", '{"a.": 1}', '{"a.": [["x"], [], 1]}'):
        found, wrong = names_of(bad, 1.0, 1.0)
        assert not found and "could not be understood" in wrong
