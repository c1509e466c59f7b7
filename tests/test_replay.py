"""Replay: the same files give the events that happened; other files give what they would have done."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pretend_server import BAD, GOOD, SILENT, WALL, Live, dataset, files, unlike

from rrdns.control.reports import ReportJournal
from rrdns.model import DataSet, DirectorTable, Report, Result, Target
from rrdns.recorded import Recording
from rrdns.replay import Player
from rrdns.scoring import Score


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    found = Live(tmp_path / "journal.db", files())
    yield found
    found.loop.close()


# -------------------------------------------------------------------- the same files


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 5))
def test_the_same_files_give_exactly_the_events_that_happened(
    tmp_path_factory: pytest.TempPathFactory, seed: int, fall: int, rise: int
) -> None:
    chance = random.Random(seed)
    live = Live(tmp_path_factory.mktemp("journal") / "journal.db", files(fall, rise))
    try:
        live.load(live.contents)
        sick: dict[str, tuple[float, Result]] = {}
        members = ["web/web1", "web/web2", "web/web3", "api/api1", "api/api2", "api/api3"]

        def outcome(target: Target, now: float) -> Result:
            share, how = sick.get(target.address, (0.0, BAD))
            return how if chance.random() < share else GOOD

        for _ in range(30):
            live.run(live.clock.mono + round(chance.uniform(0.5, 90), 3), outcome, chance)
            what = chance.random()
            targets = list(live.roster.targets().values())
            if what < 0.5:
                sick[chance.choice(targets).address] = (chance.choice((0.2, 1.0, 1.0)), chance.choice((BAD, SILENT)))
            elif what < 0.75:
                sick.clear()
            elif what < 0.78:
                live.restart(chance.choice((0.5, 30.0, 700.0)))
            elif what < 0.95:
                word = chance.choice(("drain", "disable", "enable"))
                live.override(chance.choice(members), word, chance.choice((None, 30.0, 200.0)))
            else:
                live.load(files(chance.randint(1, 4), chance.randint(1, 4), chance.randint(1, 3)))
        live.run(live.clock.mono + 60, outcome, chance)
        recording = live.end()
    finally:
        live.loop.close()
    player = Player(recording, recording.begin)
    player.play(live.steady(live.clock.mono))
    assert not unlike(live.events, player.events, WALL - 1000.0)
    for key in live.roster.targets():
        assert player.roster.health(key).state is live.roster.health(key).state
    for name, duty in live.roster.duties.items():
        assert player.roster.duties[name].selection == duty.selection


# -------------------------------------------------------------------- other files


def sick(live: Live, members: dict[str, list[tuple[float, float]]], until: float, seed: int = 1) -> None:
    """Lives until then; members (by address) fail in these spans, in seconds from the beginning."""

    def outcome(target: Target, now: float) -> Result:
        gone = any(begin <= now - 1000.0 < end for begin, end in members.get(target.address, ()))
        return BAD if gone else GOOD

    live.run(1000.0 + until, outcome, random.Random(seed))


def score(recording: Recording, since: float, edited: DataSet | None = None) -> tuple[Player, Score]:
    begin = recording.begin + since
    watch = Score(begin)
    player = Player(recording, begin, edited, watch)
    player.play(recording.end)
    watch.finish(recording.end)
    return player, watch


def test_a_death_is_counted_as_long_as_it_was_answered(live: Live) -> None:
    live.load(live.contents)
    sick(live, {"192.0.2.1": [(100, 400)]}, 600)
    _, found = score(live.end(), 0)
    web = found.pools["web"]
    (death,) = web.deaths
    assert death.member == "web1" and death.left is not None
    assert 1.5 < death.left - death.at < 4.0  # two more failures, at about a second each
    assert web.dead == pytest.approx(death.left - death.at, abs=0.01)
    assert 8 < web.withheld < 12, "three successes at five seconds, the first of which shows that it lives"
    assert (web.failovers, web.flaps, web.outage) == (1, 0, 0)
    assert web.services["www.example.com."].kept == 1
    assert [kind for _, kind in web.spans["web1"]] == ["answered", "dead", "gone", "withheld", "answered", "unknown"]


def test_other_thresholds_change_the_numbers(live: Live) -> None:
    live.load(live.contents)
    sick(live, {"192.0.2.1": [(100 + 60 * n, 104 + 60 * n) for n in range(12)]}, 1000)
    recording = live.end()
    player, before = score(recording, 0)
    patient, after = score(recording, 0, dataset(files(fall=10, rise=1)))
    _, eager = score(recording, 0, dataset(files(fall=1, rise=1)))
    assert before.pools["web"].failovers >= 2 and before.pools["web"].flaps >= 1
    assert after.pools["web"].failovers < before.pools["web"].failovers
    assert eager.pools["web"].failovers > before.pools["web"].failovers
    assert eager.pools["web"].dead < before.pools["web"].dead < after.pools["web"].dead
    assert {one.rank for one in patient.likenesses.values()} == {1} and not player.likenesses


def test_a_later_fall_costs_what_its_probes_cost(live: Live) -> None:
    """The probes in between were never made: their outcome is that of the run they fall into."""
    live.load(live.contents)
    sick(live, {"192.0.2.1": [(100, 400)]}, 600)
    recording = live.end()
    for fall in (1, 2, 5, 8):
        _, found = score(recording, 0, dataset(files(fall=fall)))
        (death,) = found.pools["web"].deaths
        assert death.left is not None
        assert 0.85 * (fall - 1) - 0.01 <= death.left - death.at <= 1.15 * (fall - 1) + 0.01


def test_an_address_that_was_never_asked_is_unknown_and_said_so(live: Live) -> None:
    live.load(live.contents)
    sick(live, {}, 100)
    recording = live.end()
    contents = files()
    contents["zones/pools.yaml"] = contents["zones/pools.yaml"].replace(b"192.0.2.1,", b"192.0.2.77,")
    player, found = score(recording, 0, dataset(contents))
    assert [key.partition("@")[2] for key in player.unheard] == ["192.0.2.77"]
    assert all(kind == "unknown" for _, kind in found.pools["web"].spans.get("web1", []))


def test_another_check_of_the_same_address_speaks_for_a_new_one(live: Live) -> None:
    live.load(live.contents)
    sick(live, {"192.0.2.1": [(100, 400)]}, 600)
    recording = live.end()
    contents = files()
    contents["zones/pools.yaml"] = contents["zones/pools.yaml"].replace(b"port: 80", b"port: 8080")
    player, found = score(recording, 0, dataset(contents))
    assert {one.rank for one in player.likenesses.values()} == {3}
    assert found.pools["web"].failovers == 1


def test_time_without_a_server_does_not_count(live: Live) -> None:
    live.load(live.contents)
    sick(live, {"192.0.2.1": [(50, 5000)]}, 100)
    live.restart(away=3000.0)
    sick(live, {"192.0.2.1": [(50, 5000)]}, 3200)
    recording = live.end()
    _, found = score(recording, 0)
    assert found.seconds == pytest.approx(200, abs=10)
    gone = [turn for turn in found.pools["web"].spans["web1"] if turn[1] == "gone"]
    assert len(gone) == 2, "once before and once after the pause"


def test_only_the_time_asked_for_counts(live: Live) -> None:
    live.load(live.contents)
    sick(live, {"192.0.2.1": [(100, 160)], "192.0.2.2": [(2000, 2100)]}, 2400)
    _, found = score(live.end(), 1500)
    assert found.pools["web"].failovers == 1 and [one.member for one in found.pools["web"].deaths] == ["web2"]


def test_a_director_s_word_is_replayed(tmp_path: Path) -> None:
    contents = files()
    pools = contents["zones/pools.yaml"].replace(
        b"pools:\n  web:\n", b"directors: {lb: {type: file, path: /nowhere}}\npools:\n  web:\n    director: lb\n"
    )
    live = Live(tmp_path / "journal.db", {**contents, "zones/pools.yaml": pools})
    try:
        live.load(live.contents)
        said = ReportJournal()
        words = {"web1": "up", "web2": "up", "web3": "up"}
        for number in range(120):
            if number in (20, 70):
                words["web2"] = "down" if number == 20 else "up"
            table = DirectorTable({"": tuple(Report(name, "", 0, word) for name, word in words.items())})
            news = said.news("lb", table, live.clock.mono)
            if news is not None:
                live.journal.note_input("report", "lb", news, live.clock.mono)
            live.act(live.roster.report("lb", table, live.clock.mono))
            live.run(live.clock.mono + 2.0, lambda target, now: GOOD, random.Random(number))
        recording = live.end()
    finally:
        live.loop.close()
    assert sum(one.kind == "report" for one in recording.inputs) == 3
    player = Player(recording, recording.begin)
    player.play(recording.end)
    shift = WALL - 1000.0
    assert [(one.name, one.after) for one in live.events if one.subject == "member" and one.name == "web/web2"] == [
        ("web/web2", "up"), ("web/web2", "down"), ("web/web2", "up"),
    ]  # fmt: skip
    assert not unlike(live.events, player.events, shift, within=2.1)
