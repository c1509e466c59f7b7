"""`before_promote` where its command is not run: a replay tells what it came to then, other files and `whatif` take it
to succeed and say so."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from pretend_server import BAD, GOOD, WALL, Live, Outcome, dataset, files, unlike

from rrdns.imagined import all_up
from rrdns.model import Target
from rrdns.replay import Player
from rrdns.roster.roster import Decision
from rrdns.whatif import Outage, unfold

POOLS = """
checks:
  web: {type: tcp, port: 80, interval: 5s, timeout: 2s, fall: 3, rise: 2}
pools:
  web:
    check: web
    failover: {scheme: idle-standby, failback: 20s}
    members: {web1: 192.0.2.1, web2: {address: 192.0.2.2, priority: 2}, web3: {address: 192.0.2.3, priority: 3}}
    BEFORE
  api:
    check: web
    failover: {scheme: rotating-standby}
    members: {api1: 192.0.2.11, api2: 203.0.113.12, api3: 203.0.113.13}
    before_promote: {command: /sbin/fence api, timeout: 5s}
"""


def contents(before: bool = True) -> dict[str, bytes]:
    text = POOLS.replace("BEFORE", "before_promote: [/sbin/fence, web]" if before else "")
    return {**files(), "zones/pools.yaml": text.encode()}


class Fenced(Live):
    """A pretended server that runs commands; each takes 3 s, and fails as `bad` says."""

    bad = 0.0

    def act(self, decision: Decision) -> None:
        super().act(decision)
        self.since = getattr(self, "since", {})
        for one in self.roster.promotions:
            self.since.setdefault((id(self.roster), one.ident), self.clock.mono)

    def run(self, until: float, outcome: Outcome, chance: random.Random) -> None:
        while self.clock.mono < until:
            super().run(min(until, self.clock.mono + 1.0), outcome, chance)
            for one in self.roster.promotions:
                if self.clock.mono - self.since[id(self.roster), one.ident] >= 3.0:
                    ok, now = chance.random() >= self.bad, self.clock.mono
                    said = "/sbin/fence exited 0" if ok else f"/sbin/fence exited {chance.randint(1, 2)}"
                    row = {"coming": list(one.coming), "ok": ok, "said": said}
                    self.journal.note_input("promotion", one.pool, row, now)
                    self.act(self.roster.promoted(one.pool, one.ident, ok, said, now))


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Fenced]:
    found = Fenced(tmp_path / "journal.db", contents())
    yield found
    found.loop.close()


@pytest.mark.parametrize("seed", range(6))
def test_the_same_files_give_the_events_that_happened(live: Fenced, seed: int) -> None:
    chance = random.Random(seed)
    live.bad = 0.6
    live.load(live.contents)
    sick: set[str] = set()

    def outcome(target: Target, now: float) -> object:
        return BAD if target.address in sick else GOOD

    for turn in range(25):
        live.run(live.clock.mono + chance.uniform(1, 60), outcome, chance)  # type: ignore[arg-type]
        targets = sorted(target.address for target in live.roster.targets().values())
        if chance.random() < 0.6:
            sick.add(chance.choice(targets))
        else:
            sick.clear()
        if turn == 12:
            live.restart()
        if chance.random() < 0.2:
            live.override(chance.choice(("web/web1", "api/api1")), chance.choice(("drain", "enable")), None)
    recording = live.end()
    player = Player(recording, recording.begin)
    player.play(live.steady(live.clock.mono))
    assert not unlike(live.events, player.events, WALL - 1000.0)
    told = [(one.before, one.after) for one in player.events if one.subject == "promotion"]
    assert ("pending", "blocked") in told and any(after == "done" for _, after in told)
    for name, duty in live.roster.duties.items():
        assert player.roster.duties[name].selection.serving == duty.selection.serving
    assert not player.notes


def test_under_other_files_it_is_taken_to_succeed(live: Fenced) -> None:
    live.load(contents(before=False))
    live.run(1100, lambda target, now: GOOD, random.Random(1))
    live.run(1200, lambda target, now: BAD if target.address == "192.0.2.1" else GOOD, random.Random(1))
    recording = live.end()
    player = Player(recording, recording.begin, dataset(contents()))
    player.play(recording.end)
    assert [one.name for one in player.roster.duties["web"].selection.serving] == ["web2"]
    assert list(player.notes) == ["pool web: /sbin/fence (before_promote) is taken to succeed at once"]


def test_what_if_takes_it_to_succeed() -> None:
    known, _ = all_up(dataset(contents()))
    story = unfold(known, Outage(down=(("web", "web1"), ("api", "api1"))))
    assert {one.pool: one.after.members for one in story.fates} == {"web": ("web2",), "api": ("api2",)}
    assert set(story.notes) == {
        f"pool {pool}: /sbin/fence (before_promote) is taken to succeed at once" for pool in ("web", "api")
    }
