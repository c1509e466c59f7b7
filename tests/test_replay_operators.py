"""Replay of all that operators and directors say: what happened is what the journal comes to under the same files."""

from __future__ import annotations

import heapq
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pretend_server import BAD, GOOD, SILENT, WALL, Live, dataset, unlike

from rrdns import counted, overrides, replay
from rrdns.control.reports import ReportJournal
from rrdns.counted import CountJournal
from rrdns.model import DataSet, DirectorTable, Event, Override, Report, Result, Target
from rrdns.recorded import Recording
from rrdns.rehearsing import Blind, Rehearsal
from rrdns.replay import Player
from rrdns.roster import frozen, overriding
from rrdns.roster.company import lasting
from rrdns.roster.roster import Decision, Roster, UnknownMember, UnknownPool

ZONE = b"""
'': {type: NS, value: ns1.example.com.}
ns1: {type: A, value: 192.0.2.53}
www: {type: POOL, pool: web, ttl: 20}
db: {type: POOL, pool: db, ttl: 20}
rot: {type: POOL, pool: rot, ttl: 10}
mail: {type: POOL, pool: mail, ttl: 20}
shop: {type: POOL, pool: shop, ttl: 20}
app: {type: POOL, pool: app, ttl: 20, scheduler: wlc}
told: {type: POOL, pool: told, ttl: 20, scheduler: lc}
"""
POOLS = """
directors: {{lb: {{type: file, path: /nowhere, interval: 2s}}}}
checks:
  web: {{type: tcp, port: 80, interval: 5s, timeout: 2s, fall: {fall}, rise: {rise}}}
  sql: {{type: tcp, port: 5432, interval: 3s, timeout: 1s, fall: 2, rise: 2}}
pools:
  web: {{check: web, quorum: {quorum}, members: {{web1: 192.0.2.1, web2: 192.0.2.2, web3: 198.51.100.3}}}}
  db:
    check: sql
    failover: {{scheme: idle-standby, failback: {failback}}}
    members: {{db1: {{address: 192.0.2.11, priority: 1}}, db2: {{address: 203.0.113.12, priority: 2}}}}
  rot:
    check: sql
    failover: {{scheme: rotating-standby}}
    members: {{r1: 192.0.2.21, r2: 192.0.2.22, r3: 203.0.113.23}}
  mail:
    check: web
    failover: {{scheme: mutual-takeover, partner: shop}}
    members: {{m1: 192.0.2.31, m2: 192.0.2.32}}
  shop:
    check: web
    failover: {{scheme: mutual-takeover, partner: mail}}
    members: {{s1: 192.0.2.41, s2: 203.0.113.42}}
  app:
    check: web
    director: {{name: lb, part: app}}
    slow_start: {slow}
    correct: {correct}
    members: {{app1: 192.0.2.51, app2: {{address: 192.0.2.52, weight: 3}}, app3: 203.0.113.53}}
  told: {{director: {{name: lb, part: told}}, when_down: empty}}
"""


def files(fall: int = 3, rise: int = 3, quorum: int = 1, failback: str = "20s", slow: str = "0s",
          correct: str = "false") -> dict[str, bytes]:  # fmt: skip
    text = POOLS.format(fall=fall, rise=rise, quorum=quorum, failback=failback, slow=slow, correct=correct)
    return {"zones/example.com.yaml": ZONE, "zones/pools.yaml": text.encode()}


Served = tuple[float, str, Any]


def now_of(roster: Roster, rings: bool) -> dict[str, Any]:
    """Who serves, and with `rings` how often each of them."""
    found: dict[str, Any] = {}
    for name, duty in roster.duties.items():
        one = duty.selection
        found[name] = one.state, one.serving, one.servfail, one.shed, lasting(one.standing)
        if rings:
            weights = [tuple(duty.balance.weights(one.serving, scheduler)) for scheduler in ("wlc", "lc", "wrr")]
            found[name] += (tuple(weights), tuple(sorted(duty.balance.loads)))
    return found


class Trace(Blind):
    """What was in force, from when on."""

    def __init__(self, rings: bool, shift: float = 0.0) -> None:
        self.rings, self.shift = rings, shift
        self.turns: list[Served] = []
        self._last: dict[str, Any] = {}

    def note(self, roster: Roster, now: float) -> None:
        for name, what in now_of(roster, self.rings).items():
            if self._last.get(name) != what:
                self._last[name] = what
                self.turns.append((now + self.shift, name, what))

    def decided(self, roster: Rehearsal, decision: Decision, now: float) -> None:
        self.note(roster, now)


@dataclass
class Server(Live):
    """As `control/desk` has it: directors are polled, and an operator is at work."""

    said: ReportJournal = field(default_factory=ReportJournal)
    rows: dict[str, list[list[Any]]] = field(default_factory=dict)
    fault: str = ""
    answers: dict[str, int] = field(default_factory=dict)
    moved: int = 0

    def __post_init__(self) -> None:
        self.traces = Trace(False, WALL - 1000.0), Trace(True, WALL - 1000.0)
        super().__post_init__()

    def begin(self) -> None:
        super().begin()
        self.said, self.counts = ReportJournal(), CountJournal()
        self.journal.reports = self.said.whole
        self.journal.gathered = self.counts.taken
        self.journal.frozen = lambda: frozen.told(self.roster.holds.frozen(self.roster.duties))
        self.journal.corrections = lambda: self.roster.balancing.kept(self.roster.duties)
        self.answers = dict.fromkeys(("app", "told"), 0)

    def act(self, decision: Decision) -> None:
        known = {key for _, key in self.heap}
        super().act(decision)
        for trace in self.traces:
            trace.note(self.roster, self.clock.mono)
        if self.roster.moves != self.moved:  # as desk._moved
            self.moved = self.roster.moves
            self.journal.keep_only_targets(self.roster.targets())
            for key in self.roster.targets().keys() - known:
                heapq.heappush(self.heap, (self.clock.mono + 0.01, key))

    def speak(self, whom: list[tuple[str, str]], word: str, seconds: float | None = None) -> None:
        now = self.clock.moment()
        until = None if seconds is None else now.mono + seconds
        wall = None if seconds is None else now.wall + seconds
        every = [Override(*one, word, "me", "why", now.wall, until, wall) for one in whom]
        standing: dict[tuple[str, str], list[Override]] = {}
        for one in self.roster.overrides:
            standing.setdefault((one.pool, one.member), []).append(one)
        ops = [op for op in every if not overriding.says_nothing_new(standing.get((op.pool, op.member), []), op)]
        try:
            overriding.judge(self.roster.duties, ops)
        except UnknownMember:
            return
        self.journal.note_words(ops, now.mono)
        self.act(self.roster.speak(ops, now.mono))

    def failback(self, pool: str) -> bool:
        now = self.clock.mono
        try:
            decision = self.roster.failback(pool, now, "me", "why")
        except UnknownPool:
            return False
        self.journal.note_input("failback", pool, {"owner": "me", "reason": "why"}, now)
        self.act(decision)
        return True

    def poll(self) -> None:
        """One reading of the director."""
        now = self.clock.mono
        table: DirectorTable | str = self.fault
        if not self.fault:
            parts = {part: tuple([Report(*one) for one in rows]) for part, rows in self.rows.items()}
            table = DirectorTable(parts)
        what = self.said.news("lb", table, now)
        if what is not None:
            self.journal.note_input("report", "lb", what, now)
        for pool, count in self.answers.items():
            self.roster.answered(pool, count)
        self.counts.note("lb", table, self.answers, True, now)
        self.roster.hear("lb", table, now)
        self.flush_at = min(self.flush_at, now + 0.005)


def table_of(chance: random.Random, before: Mapping[str, list[list[Any]]]) -> dict[str, list[list[Any]]]:
    """What the director says next: connections always, words now and then."""
    rows: dict[str, list[list[Any]]] = {part: [list(one) for one in every] for part, every in before.items()}
    if not rows:
        rows["app"] = [["app1", "192.0.2.51"], ["app2", "192.0.2.52"], ["app3", "203.0.113.53"]]
        rows["told"] = [[f"told{n}", f"192.0.2.6{n}"] for n in range(1, 5)]
        rows = {part: [[*one, 80, "up", "", 10, 5, 2, 100] for one in every] for part, every in rows.items()}
    for every in rows.values():
        for one in every:
            one[6] = max(0, one[6] + chance.randint(-4, 5))
            one[7] = max(0, one[7] + chance.randint(-2, 2))
            one[8] += chance.randint(0, 40)
    if chance.random() < 0.05:
        one = chance.choice(rows[chance.choice(("app", "told"))])
        one[3], one[5] = chance.choice((("up", 10), ("up", 30), ("down", 10), ("drain", 0)))
    if chance.random() < 0.02 and len(rows["told"]) > 2:
        rows["told"].pop()
    elif chance.random() < 0.02:
        n = len(rows["told"]) + 1
        rows["told"].append([f"told{n}", f"192.0.2.{60 + n}", 80, "up", "", 10, 0, 0, 0])
    return rows


MEMBERS = [("web", "web1"), ("web", "web2"), ("web", "web3"), ("db", "db1"), ("db", "db2"), ("rot", "r1"),
           ("rot", "r2"), ("rot", "r3"), ("mail", "m1"), ("mail", "m2"), ("shop", "s1"), ("shop", "s2"),
           ("app", "app1"), ("app", "app2"), ("app", "app3"), ("told", "told1"), ("told", "told3")]  # fmt: skip
PLAIN = ("drain", "disable", "force-up", "drill", "return", "enable", "weight 5", "weight 0", "weight 50%")
EVERY_POOL = ["web", "db", "rot", "mail", "shop", "app", "told", ""]


def operate(server: Server, chance: random.Random) -> None:
    """Something an operator may do."""
    what = chance.random()
    if what < 0.6:
        word = chance.choice(PLAIN)
        seconds = chance.choice((30.0, 100.0)) if word in ("force-up", "drill") else chance.choice((None, 25.0, 150.0))
        whom = chance.sample(MEMBERS, chance.choice((1, 1, 1, 2, 4)))
        server.speak(whom, word, None if word in overrides.ENDING else seconds)
    elif what < 0.75:
        server.speak([(chance.choice(EVERY_POOL), "")], "hold", chance.choice((None, 20.0, 90.0)))
    elif what < 0.9:
        server.speak([(pool, "") for pool in EVERY_POOL], "release")
    else:
        for pool in EVERY_POOL:
            server.failback(pool)


def live_through(path: Path, seed: int, steps: int = 40, **options: str) -> tuple[Server, Recording]:
    chance = random.Random(seed)
    server = Server(path, files(**options))  # type: ignore[arg-type]
    try:
        server.load(server.contents)
        sick: dict[str, tuple[float, Result]] = {}
        at = [server.clock.mono + 0.5]

        def outcome(target: Target, now: float) -> Result:
            share, how = sick.get(target.address, (0.0, BAD))
            return how if chance.random() < share else GOOD

        def live(seconds: float) -> None:
            end = server.clock.mono + seconds
            while at[0] <= end:
                server.run(max(at[0], server.clock.mono), outcome, chance)
                server.rows = table_of(chance, server.rows)
                server.answers = {pool: count + chance.randint(0, 60) for pool, count in server.answers.items()}
                server.poll()
                at[0] = round(server.clock.mono + 2 * chance.uniform(0.95, 1.05), 3)
            server.run(end, outcome, chance)

        for _ in range(steps):
            live(round(chance.uniform(0.5, 30), 3))
            what = chance.random()
            targets = list(server.roster.targets().values())
            if what < 0.25:
                sick[chance.choice(targets).address] = chance.choice((0.2, 1.0, 1.0)), chance.choice((BAD, SILENT))
            elif what < 0.4:
                sick.clear()
            elif what < 0.43:
                server.restart(chance.choice((0.5, 30.0)))
            elif what < 0.47:
                server.fault = "" if server.fault else "connection refused"
            elif what < 0.52:
                options["failback"] = chance.choice(("20s", "manual", "60s"))
                server.load(files(chance.randint(1, 4), chance.randint(1, 4), chance.randint(1, 3), **options))
            else:
                operate(server, chance)
        live(30)
        return server, server.end()
    finally:
        server.loop.close()


def again(recording: Recording, rings: bool, edited: DataSet | None = None) -> tuple[Player, Trace]:
    trace = Trace(rings)
    player = Player(recording, recording.begin, edited, trace, rings)
    player.play(recording.end)
    return player, trace


def differences(ours: list[Served], theirs: list[Served], within: float = 0.05) -> list[str]:
    """Pool by pool; what stood for no time at all (several inputs of one moment) does not count."""
    found = []
    for name in sorted({one[1] for one in (*ours, *theirs)}):
        first, second = ([(at, what) for at, of, what in some if of == name] for some in (ours, theirs))
        for number, (one, other) in enumerate(zip(_lasting(first, within), _lasting(second, within), strict=False)):
            if one[1] != other[1] or abs(one[0] - other[0]) > within:
                found.append(f"{name}, turn {number}:\n   {one}\n   {other}")
                break
    return found


def _lasting(turns: list[tuple[float, Any]], within: float) -> list[tuple[float, Any]]:
    kept = [
        one for one, after in zip(turns, [*turns[1:], (float("inf"), None)], strict=True) if after[0] - one[0] > within
    ]
    return [one for index, one in enumerate(kept) if not index or kept[index - 1][1] != one[1]]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.booleans())
def test_all_that_was_said_is_replayed(tmp_path_factory: pytest.TempPathFactory, seed: int, correct: bool) -> None:
    """Events, who serves and how often each of them: exactly. Without rings: who serves."""
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    options = {"correct": "true", "slow": SLOW} if correct else {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counted, "A_SECOND", 100.0)  # no reading is left out
        server, recording = live_through(path, seed, 20, **options)
    ours, of_balance = _apart(server.events)
    player, trace = again(recording, rings=True)
    theirs, their_balance = _apart(player.events)
    assert not unlike(ours, theirs, WALL - 1000.0)
    assert not unlike(of_balance, their_balance, WALL - 1000.0, within=INTERVAL)
    assert not differences(server.traces[1].turns, trace.turns)
    assert not player.notes
    player, trace = again(recording, rings=False)
    assert not unlike(ours, player.events, WALL - 1000.0, within=POLL)
    assert not differences(server.traces[0].turns, trace.turns, POLL)


POLL = 0.3  # without rings readings that say nothing new are taken to be an interval apart, but for their jitter
INTERVAL = 2.1  # and with rings those that fail
SLOW = "233.337s"  # its steps fall on no moment of anything else: who comes first in one moment is chance


def _apart(events: list[Event]) -> tuple[list[Event], list[Event]]:
    rest = [one for one in events if one.subject != "balance"]
    return rest, [one for one in events if one.subject == "balance"]


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_a_jump_over_equal_results_comes_to_the_same_as_each_of_them(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    server, recording = live_through(tmp_path_factory.mktemp("journal") / "journal.db", seed, 15)
    players = []
    for jumps in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not jumps:
                patch.setattr(replay, "stands", lambda health, ok: False)
            player, trace = again(recording, rings=False)
            player.catch_up()
            players.append((player, trace))
    (jumped, one), (stepped, other) = players
    together = 0.05  # a result that changes nothing may still bring a decision forward, by LEAST_WAIT at most
    assert not unlike(jumped.events, stepped.events, 0.0, together)
    assert not differences(one.turns, other.turns, together)
    for key in server.roster.targets():
        mine, its = jumped.roster.health(key), stepped.roster.health(key)
        assert replace(mine, seen=0.0, since=0.0) == replace(its, seen=0.0, since=0.0)
        assert mine.since == pytest.approx(its.since, abs=together)


# -------------------------------------------------------------------- files that are others now


def calm(target: Target, now: float) -> Result:
    return GOOD


def test_words_for_members_that_are_gone_are_left_out_and_said_so(tmp_path: Path) -> None:
    server = Server(tmp_path / "journal.db", files())
    try:
        server.load(server.contents)
        server.run(server.clock.mono + 30, calm, random.Random(1))
        server.speak([("web", "web1"), ("web", "web2")], "drain")
        server.speak([("shop", "")], "hold", 60.0)
        server.run(server.clock.mono + 30, calm, random.Random(2))
        server.speak([("rot", "r1")], "weight 5")
        server.run(server.clock.mono + 30, calm, random.Random(3))
        recording = server.end()
    finally:
        server.loop.close()
    contents = files()
    text = contents["zones/pools.yaml"].replace(b"web1: 192.0.2.1,", b"www1: 192.0.2.1,")
    text = text.replace(b"  shop:\n", b"  store:\n").replace(b"partner: shop", b"partner: store")
    zone = contents["zones/example.com.yaml"].replace(b"pool: shop", b"pool: store")
    player, _ = again(recording, False, dataset({"zones/example.com.yaml": zone, "zones/pools.yaml": text}))
    assert list(player.notes) == [
        "an operator's drain was left out: pool 'web' has no member 'web1'",
        "an operator's hold was left out: there is no pool 'shop'",
    ]
    words = {(one.pool, one.member, one.word) for one in player.roster.overrides}
    assert words == {("web", "web2", "drain"), ("rot", "r1", "weight 5")}


def test_words_of_one_breath_are_one_decision(tmp_path: Path) -> None:
    server = Server(tmp_path / "journal.db", files(quorum=2))
    try:
        server.load(server.contents)
        server.run(server.clock.mono + 30, calm, random.Random(1))
        server.speak([("web", "web1"), ("web", "web2"), ("web", "web3")], "drain")
        server.run(server.clock.mono + 30, calm, random.Random(2))
        recording = server.end()
    finally:
        server.loop.close()
    player, _ = again(recording, True)
    told = [(one.before, one.after) for one in player.events if one.subject == "pool" and one.name == "web"]
    assert told == [("unknown", "ok"), ("ok", "degraded")]
    assert not unlike(server.events, player.events, WALL - 1000.0)


# -------------------------------------------------------------------- a reader that begins in the middle


def test_what_a_hold_froze_is_known_from_a_picture_on(tmp_path: Path) -> None:
    """A replay begins at a picture; whoever was frozen as up then stays so, though its checks say down."""
    server = Server(tmp_path / "journal.db", files())
    gone = {"192.0.2.1"}
    try:
        server.load(server.contents)
        server.run(server.clock.mono + 30, calm, random.Random(1))
        server.speak([("web", "")], "hold")
        server.run(
            server.clock.mono + 60, lambda target, now: BAD if target.address in gone else GOOD, random.Random(2)
        )
        server.journal._picture(server.clock.mono)
        server.loop.run_until_complete(server.journal.flush())
        begin = server.steady(server.clock.mono)
        server.run(
            server.clock.mono + 60, lambda target, now: BAD if target.address in gone else GOOD, random.Random(3)
        )
        recording = server.end()
    finally:
        server.loop.close()
    player = Player(recording, begin + replay.WARM)
    assert player.begin == pytest.approx(begin)
    player.play(recording.end)
    names = [one.name for one in player.roster.duties["web"].selection.serving]
    assert names == ["web1", "web2", "web3"]
