"""The prober in pretended time: a loop whose clock jumps to the next timer, so that an hour takes a moment."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import selectors
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from misbehaving import Misbehaving, answer, says, silent

from rrdns.checks import Prober
from rrdns.model import Check, CommandProbe, HttpProbe, Result, Target, TcpProbe

OK = Result(True, "connected")
BAD = Result(False, "connection refused")
SLACK = 0.006  # those due nearly together share a timer


class PretendLoop(asyncio.SelectorEventLoop):
    """Time passes only in `select`, at once, and where a test moves `now` (the loop lagged)."""

    def __init__(self) -> None:
        self.now = 1000.0
        loop = self

        class Jump(selectors.DefaultSelector):
            def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
                events = super().select(0)
                if not events:
                    assert timeout is not None, "nothing will ever happen"
                    loop.now += max(0.0, timeout)
                return events

        super().__init__(Jump())

    def time(self) -> float:
        return self.now


class World:
    """Targets that answer after `takes` seconds, and what happened to them."""

    def __init__(self) -> None:
        self.loop = PretendLoop()
        self.begun: dict[str, list[float]] = defaultdict(list)
        self.results: dict[str, list[Result]] = defaultdict(list)
        self.takes = 0.01
        self.answers: Callable[[Target], Result] = lambda target: OK
        self.pace: Callable[[Target, Result], float] = lambda target, result: target.check.interval
        self.running: Counter[str] = Counter()
        self.most = 0
        self.cpu = 0.0

    def work(self, seconds: float) -> None:
        """Something of ours keeps the CPU, and so the loop."""
        self.loop.now += seconds
        self.cpu += seconds

    async def ask(self, target: Target) -> Result:
        self.begun[target.key].append(self.loop.time())
        self.running[target.key] += 1
        try:
            assert self.running[target.key] == 1, "probes of one target overlap"
            self.most = max(self.most, self.running.total())
            await asyncio.sleep(self.takes)
            return self.answers(target)
        finally:
            self.running[target.key] -= 1

    def on_result(self, target: Target, result: Result) -> float:
        self.results[target.key].append(result)
        return self.pace(target, result)

    def prober(self, **options: Any) -> Prober:
        return Prober(self.on_result, **{"ask": self.ask, "rng": random.Random(7), "cpu": lambda: self.cpu, **options})

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(work)


def targets(count: int, command: bool = False, interval: float = 5.0) -> dict[str, Target]:
    asked = CommandProbe(("true",)) if command else TcpProbe()
    check = Check("cmd" if command else "tcp", "x", 80, asked, interval=interval)
    found = (Target(f"{check.name}{index}", check, f"192.0.2.{index % 250}") for index in range(count))
    return {target.key: target for target in found}


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(times)]


# ------------------------------------------------------------ rhythm


def test_first_round_at_once_then_the_pace_with_jitter() -> None:
    world = World()

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(100))
        prober.start()
        await asyncio.sleep(0.1)
        assert all(len(results) == 1 for results in world.results.values())
        assert len(world.results) == 100
        await asyncio.sleep(600)
        await prober.stop()

    world.run(work())
    later = []
    for times in world.begun.values():
        first, *rest = gaps(times)
        assert 0.4 <= first <= 5.5
        assert all(4.5 - 1e-6 <= gap <= 5.5 + SLACK for gap in rest)  # from begin to begin
        later += rest
    assert min(later) < 4.6
    assert max(later) > 5.4


def test_the_crowd_of_the_first_round_spreads() -> None:
    world = World()

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(1000))
        prober.start()
        await asyncio.sleep(30)
        await prober.stop()

    world.run(work())
    starts = [moment for times in world.begun.values() for moment in times[1:]]
    per_slot = Counter(int(moment * 10) for moment in starts)
    assert max(per_slot.values()) <= 3 * 1000 / 5 / 10


def test_failures_in_the_first_round_are_not_spread() -> None:
    """While failures are counted the budget says: every `fast`, ±10 %."""
    world = World()
    world.answers = lambda target: BAD
    world.pace = lambda target, result: target.check.fast

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(50))
        prober.start()
        await asyncio.sleep(10)
        await prober.stop()

    world.run(work())
    assert all(0.9 - 1e-6 <= gap <= 1.1 + SLACK for times in world.begun.values() for gap in gaps(times))


def test_a_probe_longer_than_its_pace_is_followed_at_once_and_never_overlapped() -> None:
    world = World()
    world.takes = 2.0
    world.pace = lambda target, result: 1.0
    world.answers = lambda target: BAD

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(3))
        prober.start()
        await asyncio.sleep(60)
        await prober.stop()

    world.run(work())
    assert all(2.0 - 1e-6 <= gap < 2.01 for times in world.begun.values() for gap in gaps(times))


def test_same_seed_same_times() -> None:
    seen = []
    for _ in range(2):
        world = World()

        async def work(world: World = world) -> None:
            prober = world.prober()
            prober.set_targets(targets(20))
            prober.start()
            await asyncio.sleep(100)
            await prober.stop()

        world.run(work())
        seen.append(dict(world.begun))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("pace", [0.0, -1.0, float("nan"), float("inf")])
def test_a_senseless_pace_does_no_harm(pace: float) -> None:
    world = World()
    world.pace = lambda target, result: pace

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(1))
        prober.start()
        await asyncio.sleep(20)
        await prober.stop()

    world.run(work())
    assert 3 <= len(world.begun["tcp0"]) <= 20 / 0.05 + 2


# ------------------------------------------------------------ limits


def test_parallelism_is_bounded_and_commands_have_their_own_limit() -> None:
    world = World()
    world.takes = 1.0
    most: Counter[str] = Counter()

    async def work() -> None:
        prober = world.prober(concurrency=20, command_concurrency=3, sleepers=0)
        prober.set_targets(targets(100) | targets(30, command=True))
        prober.start()
        for _ in range(250):
            await asyncio.sleep(0.1)
            stats = prober.stats()
            most["tcp"] = max(most["tcp"], stats.in_flight)
            most["cmd"] = max(most["cmd"], stats.commands_in_flight)
            most["late"] = max(most["late"], int(stats.late_now))
        await prober.stop()

    world.run(work())
    assert (most["tcp"], most["cmd"], world.most) == (20, 3, 23)
    assert most["late"] >= 3  # the last of the first round waits that long, and it shows
    assert all(world.results.values())
    assert len(world.results) == 130


def test_ten_thousand_waiting_targets_have_no_tasks() -> None:
    world = World()

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(10_000, interval=60.0))
        prober.start()
        await asyncio.sleep(3.0)
        stats = prober.stats()
        assert stats.done >= 10_000
        assert stats.targets == 10_000
        assert len(asyncio.all_tasks()) <= stats.in_flight + 1
        await prober.stop()

    world.run(work())
    assert world.most <= 512


# ------------------------------------------------------------ our own lag


def test_a_probe_during_which_the_loop_lagged_is_void_and_repeated_soon() -> None:
    world = World()
    world.takes = 0.5

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(1))
        prober.start()
        await asyncio.sleep(0.2)
        world.loop.now += 0.3  # something held the loop
        await asyncio.sleep(3)
        await prober.stop()
        assert prober.stats().lags == 1
        assert prober.stats().void == 1
        assert 0.27 <= prober.stats().longest_lag <= 0.31

    world.run(work())
    first, second = world.results["tcp0"][:2]
    assert (first.void, first.ok, first.reason) == (True, True, "not counted: this process lagged (got: connected)")
    assert (second.void, second.ok) == (False, True)
    assert gaps(world.begun["tcp0"])[0] <= 1.1 + SLACK  # `fast`, not the interval


def test_small_lags_count_for_nothing() -> None:
    world = World()
    world.takes = 0.5

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(1))
        prober.start()
        await asyncio.sleep(0.2)
        world.loop.now += 0.08
        await asyncio.sleep(0.1)
        world.loop.now += 0.08
        await asyncio.sleep(3)
        await prober.stop()

    world.run(work())
    assert not any(result.void for result in world.results["tcp0"])


def test_after_a_long_pause_only_what_was_running_is_void() -> None:
    """SIGSTOP and SIGCONT: what was in flight says nothing; the crowd that is due then counts, and spreads."""
    world = World()
    world.takes = 0.4

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(200))
        prober.start()
        await asyncio.sleep(20)
        before = {key: len(times) for key, times in world.begun.items()}
        flying = {key for key, count in world.running.items() if count}
        world.loop.now += 60
        await asyncio.sleep(0.39)
        again = {key for key in world.begun if len(world.begun[key]) > before[key]}
        assert again >= world.begun.keys() - flying  # all due by now, and asked
        await asyncio.sleep(20)
        await prober.stop()
        assert flying
        for key, results in world.results.items():
            void = [index for index, result in enumerate(results) if result.void]
            assert void == ([before[key] - 1] if key in flying else [])

    world.run(work())
    resumed = 1000 + 80
    starts = [moment for times in world.begun.values() for moment in times if moment > resumed + 1]
    per_slot = Counter(int(moment * 10) for moment in starts)
    assert max(per_slot.values()) <= 3 * 200 / 5 / 10 + 3


@pytest.mark.parametrize("cost", [0.0005, 0.002, 0.02])
def test_a_first_round_too_heavy_for_the_loop_still_ends(cost: float) -> None:
    """Each probe keeps the CPU for a while, as a TLS handshake does: all at once would void one another for ever."""
    world = World()

    async def heavy(target: Target) -> Result:
        world.work(cost / 2)
        await asyncio.sleep(0.005)
        world.work(cost / 2)
        return OK

    async def work() -> None:
        prober = world.prober(ask=heavy)
        prober.set_targets(targets(1000, interval=600.0))
        prober.start()
        await asyncio.sleep(2 + 1.5 * 1000 * cost)
        assert sum(any(not result.void for result in results) for results in world.results.values()) == 1000
        await prober.stop()

    world.run(work())


def test_the_share_of_the_limits_follows_our_own_work() -> None:
    world = World()

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(2000))
        prober.start()
        assert prober.stats().in_flight == 64
        for _ in range(20):  # the CPU is taken by others: not our load, so no less is done
            world.loop.now += 0.05
            await asyncio.sleep(0.01)
        assert prober.stats().share >= 0.25
        for _ in range(20):
            world.work(0.05)
            await asyncio.sleep(0.01)
        assert prober.stats().share == 1 / 64
        prober.set_targets(targets(20000))
        await asyncio.sleep(1)
        assert prober.stats().share == 1
        await prober.stop()

    world.run(work())


def test_hosts_that_let_us_wait_keep_nobody_waiting() -> None:
    """600 dead hosts, each asked every second with 2 s of patience, and a lane for 64: the living are on time."""
    world = World()
    dead = {key for key, target in targets(700).items() if int(key[3:]) < 600}

    async def ask(target: Target) -> Result:
        world.begun[target.key].append(world.loop.time())
        await asyncio.sleep(2.0 if target.key in dead else 0.001)
        return BAD if target.key in dead else OK

    world.pace = lambda target, result: 5.0 if result.ok else 1.0

    async def work() -> None:
        prober = world.prober(ask=ask, concurrency=64, sleepers=1000)
        prober.set_targets(targets(700))
        prober.start()
        await asyncio.sleep(10)
        before = prober.stats()
        await asyncio.sleep(60)
        after = prober.stats()
        assert after.in_flight <= 64 + 1000
        late = [new - old for new, old in zip(after.late, before.late, strict=True)]
        assert sum(late) == sum(after.late) - sum(before.late) > 10_000
        assert sum(late[:5]) > 0.95 * sum(late)  # within 250 ms
        await prober.stop()
        assert prober.stats().in_flight == 0

    world.run(work())
    slowest = max(gap for key, times in world.begun.items() if key not in dead for gap in gaps(times[4:]))
    assert slowest < 7


def test_results_that_are_void_already_are_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.answers = lambda target: Result(False, "not asked: too many open files", void=True)

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(5))
        prober.start()
        await asyncio.sleep(30)
        await prober.stop()

    with caplog.at_level(logging.WARNING):
        world.run(work())
    assert all(result.void for results in world.results.values() for result in results)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["probes that said nothing (hosts keep their state): 1; the latest: not asked: too many open files"]


# ------------------------------------------------------------ faults of our own


def test_an_exception_in_a_probe_is_a_failed_result(caplog: pytest.LogCaptureFixture) -> None:
    world = World()

    def broken(target: Target) -> Result:
        raise ZeroDivisionError("oops")

    world.answers = broken

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(1))
        prober.start()
        await asyncio.sleep(7)
        world.answers = lambda target: OK
        await asyncio.sleep(7)
        assert prober.stats().errors >= 2
        await prober.stop()

    world.run(work())
    first, *_, last = world.results["tcp0"]
    assert (first.ok, first.void, first.reason) == (False, False, "internal error: ZeroDivisionError('oops')")
    assert last.ok
    assert "internal error" in caplog.text
    assert "192.0.2.0" in caplog.text


def test_a_probe_that_cancels_itself_is_an_internal_error() -> None:
    world = World()

    def cancelled(target: Target) -> Result:
        raise asyncio.CancelledError

    world.answers = cancelled

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(1))
        prober.start()
        await asyncio.sleep(20)
        await prober.stop()

    world.run(work())
    assert {result.reason for result in world.results["tcp0"]} == {"internal error: cancelled"}
    assert len(world.results["tcp0"]) <= 5


def test_an_exception_in_on_result_does_not_stop_the_prober(caplog: pytest.LogCaptureFixture) -> None:
    world = World()

    def broken(target: Target, result: Result) -> float:
        raise ZeroDivisionError

    world.pace = broken

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(3))
        prober.start()
        await asyncio.sleep(30)
        await prober.stop()

    world.run(work())
    assert all(len(times) >= 5 for times in world.begun.values())
    assert "ZeroDivisionError" in caplog.text


# ------------------------------------------------------------ doors


def test_targets_come_and_go() -> None:
    world = World()

    async def work() -> None:
        prober = world.prober()
        prober.start()
        await asyncio.sleep(1)
        prober.set_targets(targets(2))
        await asyncio.sleep(12)
        known = {key: list(times) for key, times in world.begun.items()}
        prober.set_targets(targets(4))  # tcp0 and tcp1 stay
        await asyncio.sleep(0.02)
        assert len(world.begun["tcp2"]) == len(world.begun["tcp3"]) == 1
        await asyncio.sleep(20)
        assert all(gap <= 5.5 + SLACK for key in known for gap in gaps(world.begun[key])[1:])
        assert all(gap >= 4.5 - 1e-6 for key in known for gap in gaps(world.begun[key])[1:])  # rhythm kept
        prober.set_targets({"tcp3": targets(4)["tcp3"]})
        count = {key: len(times) for key, times in world.begun.items()}
        await asyncio.sleep(20)
        assert [key for key in count if len(world.begun[key]) > count[key]] == ["tcp3"]
        assert prober.stats().targets == 1
        await prober.stop()

    world.run(work())


def test_a_target_removed_while_asked_gives_no_result() -> None:
    world = World()
    world.takes = 1.0

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(2))
        prober.start()
        await asyncio.sleep(0.5)
        prober.set_targets({"tcp1": targets(2)["tcp1"]})
        await asyncio.sleep(2)
        assert set(world.results) == {"tcp1"}
        assert world.running["tcp0"] == 0
        await prober.stop()

    world.run(work())


def test_a_target_removed_and_back_is_asked_anew_without_overlap() -> None:
    world = World()
    world.takes = 1.0

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(1))
        prober.start()
        await asyncio.sleep(0.5)
        prober.set_targets({})
        prober.set_targets(targets(1))
        await asyncio.sleep(1.1)
        assert len(world.results["tcp0"]) == 1
        assert world.begun["tcp0"] == pytest.approx([1000.0, 1000.5])
        await prober.stop()

    world.run(work())


def test_on_result_may_change_the_targets() -> None:
    world = World()

    async def work() -> None:
        prober = world.prober()

        def reload(target: Target, result: Result) -> float:
            prober.set_targets(targets(3) if target.key == "tcp0" and len(world.results) == 1 else targets(2))
            return 5.0

        world.pace = reload
        prober.set_targets(targets(1))
        prober.start()
        await asyncio.sleep(30)
        assert prober.stats().targets == 2
        await prober.stop()

    world.run(work())
    assert set(world.results) >= {"tcp0", "tcp1"}


def test_a_changed_target_under_the_same_key_is_used_next_time() -> None:
    world = World()
    seen: list[str] = []

    def note(target: Target) -> Result:
        seen.append(target.check.name)
        return OK

    world.answers = note

    async def work() -> None:
        prober = world.prober()
        one = targets(1)["tcp0"]
        prober.set_targets({one.key: one})
        prober.start()
        await asyncio.sleep(0.1)
        renamed = Target(one.key, Check("other", "x", 80, TcpProbe()), one.address)
        prober.set_targets({one.key: renamed})
        await asyncio.sleep(6)
        await prober.stop()

    world.run(work())
    assert seen[:2] == ["tcp", "other"]


def test_kick() -> None:
    world = World()
    world.takes = 0.5

    async def work() -> None:
        prober = world.prober()
        prober.set_targets(targets(1, interval=100.0))
        prober.kick("tcp0")  # not started: nothing to do
        prober.start()
        await asyncio.sleep(0.2)
        prober.kick("tcp0")  # running: once more right after, only once
        prober.kick("tcp0")
        await asyncio.sleep(2)
        assert world.begun["tcp0"] == pytest.approx([1000.0, 1000.5])
        prober.kick("tcp0")  # waiting: now
        prober.kick("nobody")
        await asyncio.sleep(2)
        assert world.begun["tcp0"] == pytest.approx([1000.0, 1000.5, 1002.2])
        await asyncio.sleep(100)
        await prober.stop()

    world.run(work())
    assert all(gap > 5 for gap in gaps(world.begun["tcp0"])[2:])  # the old heap entry is dead


def test_stop_ends_everything_and_calls_nobody() -> None:
    world = World()
    world.takes = 1.0

    async def work() -> None:
        prober = world.prober(concurrency=5)
        prober.set_targets(targets(10))
        prober.start()
        await asyncio.sleep(0.5)
        await prober.stop()
        assert world.running.total() == 0
        assert len(asyncio.all_tasks()) == 1
        prober.set_targets(targets(3))
        prober.kick("tcp0")
        await asyncio.sleep(10)
        assert not world.results
        with pytest.raises(RuntimeError):
            prober.start()

    world.run(work())


@settings(deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("set"), st.sets(st.integers(0, 7))),
            st.tuples(st.just("kick"), st.integers(0, 7)),
            st.tuples(st.just("sleep"), st.floats(0.0, 7.0)),
            st.tuples(st.just("lag"), st.floats(0.0, 3.0)),
        ),
        max_size=30,
    ),
    takes=st.sampled_from([0.0, 0.3, 6.0]),
    concurrency=st.integers(1, 4),
)
def test_whatever_happens_every_target_stays_in_the_round(
    steps: list[tuple[str, Any]], takes: float, concurrency: int
) -> None:
    """Never two probes of one target (`World.ask` sees to that), none forgotten, none of a target that is gone."""
    world = World()
    world.takes = takes
    everything = targets(8)

    async def work() -> None:
        prober = world.prober(concurrency=concurrency, sleepers=0)
        prober.start()
        wanted: set[str] = set()
        for word, value in steps:
            if word == "set":
                wanted = {f"tcp{index}" for index in value}
                prober.set_targets({key: everything[key] for key in wanted})
            elif word == "kick":
                prober.kick(f"tcp{value}")
            elif word == "sleep":
                await asyncio.sleep(value)
            else:
                world.loop.now += value
        moment = world.loop.now
        await asyncio.sleep(7.0 + 8 * 7.0)
        for key in everything:
            assert any(begun > moment for begun in world.begun[key]) == (key in wanted)
        await prober.stop()
        assert world.most <= concurrency
        assert prober.stats().in_flight == prober.stats().queued == 0

    world.run(work())


# ------------------------------------------------------------ the real thing


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_with_real_probes_and_a_real_clock(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    results: dict[str, list[Result]] = defaultdict(list)

    def on_result(target: Target, result: Result) -> float:
        if not result.void:  # a busy machine may lag; the prober asks again
            results[target.check.name].append(result)
        return 0.1

    def aim(name: str, port: int, asked: TcpProbe | HttpProbe | CommandProbe, timeout: float = 20.0) -> Target:
        return Target(name, Check(name, "x", port, asked, timeout=timeout), "127.0.0.1")

    async def work(good: int, mute: int) -> None:
        prober = Prober(on_result)
        all_of_them = (
            aim("tcp", good, TcpProbe()),
            aim("http", good, HttpProbe()),
            aim("mute", mute, HttpProbe(), timeout=0.3),
            aim("command", 0, CommandProbe(("/bin/sh", "-c", "exit 3"))),
        )
        prober.set_targets({target.key: target for target in all_of_them})
        prober.start()
        deadline = time.monotonic() + 60
        while len(results) < 4 or min(map(len, results.values())) < 3:
            assert time.monotonic() < deadline, results
            await asyncio.sleep(0.05)
        await prober.stop()

    with (
        Misbehaving(says(answer("200 OK"))) as good,
        Misbehaving(silent) as mute,
        asyncio.Runner(loop_factory=factory) as runner,
    ):
        runner.run(work(good.port, mute.port))
    assert {name: {result.reason for result in those} for name, those in results.items()} == {
        "tcp": {"connected"},
        "http": {"HTTP 200"},
        "mute": {"timed out after 300ms reading the status line"},
        "command": {"exit 3"},
    }
