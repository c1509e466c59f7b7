"""together: one step for all who ask, and a rest after a step that took long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from rrdns.control import together
from rrdns.control.together import GATHERED, LONGEST_REST, Together


class Loop:
    """As much of an event loop as is needed, with a time that is told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[[], None]) -> Timer:
        self.timers.append(Timer(when, call))
        return self.timers[-1]

    def run(self, until: float) -> None:
        while due := [one for one in self.timers if one.call is not None and one.when <= until]:
            first = min(due, key=lambda one: one.when)
            self.timers.remove(first)
            self.now = max(self.now, first.when)
            assert first.call is not None
            first.call()
        self.now = max(self.now, until)


class Timer:
    def __init__(self, when: float, call: Callable[[], None] | None) -> None:
        self.when, self.call = when, call

    def cancel(self) -> None:
        self.call = None


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    one = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: one)
    return one


class Steps:
    def __init__(self, loop: Loop, seconds: float) -> None:
        self.loop, self.seconds = loop, seconds
        self.at: list[float] = []

    def __call__(self) -> None:
        self.at.append(round(self.loop.now - 100, 4))
        self.loop.now += self.seconds


def test_one_step_for_all_who_ask(loop: Loop) -> None:
    steps = Steps(loop, 0.0)
    one = Together(steps)
    for moment in (0.0, 0.001, 0.004):
        loop.run(100 + moment)
        one.soon()
    loop.run(101)
    assert steps.at == [GATHERED]
    one.soon()
    loop.run(102)
    assert steps.at == [GATHERED, 1 + GATHERED]


def test_at_once_serves_those_who_wait(loop: Loop) -> None:
    steps = Steps(loop, 0.0)
    one = Together(steps)
    one.soon()
    one.now()
    loop.run(101)
    assert steps.at == [0.0]


@pytest.mark.parametrize(
    ("took", "rest"), [(together.LITTLE, GATHERED), (0.003, 0.1), (0.006, LONGEST_REST), (9.0, LONGEST_REST)]
)
def test_a_long_step_is_followed_by_a_rest(loop: Loop, took: float, rest: float) -> None:
    steps = Steps(loop, took)
    one = Together(steps)
    one.soon()
    loop.run(loop.now + GATHERED)
    one.soon()
    one.soon()
    loop.run(loop.now + 1)
    assert steps.at == [GATHERED, pytest.approx(GATHERED + took + rest)]


def test_who_looks_finds_all_decided(loop: Loop) -> None:
    steps = Steps(loop, 0.1)
    one = Together(steps)
    one.settle()
    assert steps.at == []
    one.now()
    one.soon()
    one.settle()
    one.settle()
    loop.run(200)
    assert steps.at == [0.0, 0.1]


def test_a_step_that_fails_does_not_stop_those_after_it(loop: Loop) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    one = Together(fail)
    for _ in range(2):
        one.soon()
        with pytest.raises(ZeroDivisionError):
            loop.run(loop.now + 1)
