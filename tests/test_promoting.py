"""Running `before_promote`: what programs come to, one at a time for a pool and a few over all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rrdns.control import promoting
from rrdns.control.clock import Clock
from rrdns.control.journal import Journal
from rrdns.control.promoting import Promoting, fence
from rrdns.promotions import Fence, Promotion


def promotion(*argv: str, ident: int = 1, pool: str = "db", timeout: float = 30.0) -> Promotion:
    return Promotion(ident, pool, Fence(argv, timeout), "failover", ("a", "b"), ("c",), ("192.0.2.1",), ("192.0.2.3",))


def shell(text: str, **more: Any) -> Promotion:
    return promotion("/bin/sh", "-c", text, **more)


@pytest.mark.parametrize(("text", "ok", "said"), [
    ("exit 0", True, "/bin/sh exited 0"),
    ("echo a; echo b >&2; echo c >&2; exit 3", False, "/bin/sh exited 3: b"),
    ("echo a; exit 1", False, "/bin/sh exited 1: a"),
    ("kill -9 $$", False, "/bin/sh: killed by SIGKILL"),
    ('test "$RRDNS_POOL/$RRDNS_REASON/$RRDNS_FROM/$RRDNS_TO" = "db/failover/a b/c"', True, "/bin/sh exited 0"),
    ('test "$RRDNS_FROM_ADDRESSES/$RRDNS_TO_ADDRESSES" = 192.0.2.1/192.0.2.3', True, "/bin/sh exited 0"),
    ('test -z "$HOME$RRDNS_STATE$RRDNS_SETTINGS"', True, "/bin/sh exited 0"),
])  # fmt: skip
def test_what_a_program_comes_to(text: str, ok: bool, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RRDNS_SETTINGS", "{}")
    assert asyncio.run(fence(shell(text))) == (ok, said)


def test_one_that_is_not_there_and_one_that_is_too_slow() -> None:
    assert asyncio.run(fence(promotion("/nowhere/fence"))) == (False, "cannot run /nowhere/fence: No such file")
    found = asyncio.run(fence(shell("echo waiting; sleep 600 & wait", timeout=0.5)))
    assert found == (False, "/bin/sh ran longer than 500ms and was killed: waiting")


class Roster:
    def __init__(self) -> None:
        self.promotions: tuple[Promotion, ...] = ()
        self.told: list[tuple[str, int, bool, str]] = []

    def promoted(self, pool: str, ident: int, ok: bool, said: str, now: float) -> None:
        self.told.append((pool, ident, ok, said))
        self.promotions = tuple(one for one in self.promotions if one.ident != ident)


class Desk:
    """As much of control's as is needed; `wants` is what a decision brings about."""

    def __init__(self) -> None:
        self.roster = Roster()
        self.journal = Journal(None, Clock())
        self.promoting = Promoting(self)  # type: ignore[arg-type]

    async def decide(self, door: Callable[[float], object]) -> None:
        await asyncio.sleep(0)
        door(0.0)
        self.promoting.want(self.roster.promotions)

    def wants(self, *promotions: Promotion) -> None:
        self.roster.promotions = promotions
        self.promoting.want(promotions)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - files are looked at
                await asyncio.sleep(0.01)


def test_the_next_of_a_pool_begins_when_the_one_before_is_dead(tmp_path: Path) -> None:
    async def story() -> None:
        desk, file = Desk(), tmp_path / "told"
        slow = f"trap 'sleep 0.2' TERM; echo begin1 >> {file}; sleep 600 & wait; echo end1 >> {file}"
        desk.wants(shell(slow, ident=1))
        await desk.until(file.exists)
        desk.wants(shell(slow, ident=1))  # the same: nothing happens
        desk.wants(shell(f"echo begin2 >> {file}", ident=2))
        await desk.until(lambda: desk.roster.told)
        assert desk.roster.told == [("db", 2, True, "/bin/sh exited 0")]
        assert file.read_text().split() == ["begin1", "begin2"]
        await desk.promoting.stop()

    asyncio.run(story())


def test_what_nobody_waits_for_is_killed_and_not_told(tmp_path: Path) -> None:
    async def story() -> None:
        desk, file = Desk(), tmp_path / "told"
        desk.wants(shell(f"echo $$ >> {file}; sleep 600", ident=1))
        await desk.until(lambda: file.exists() and file.read_text())
        desk.wants()
        pid = int(file.read_text())
        await desk.until(lambda: not Path(f"/proc/{pid}").exists())
        desk.wants(shell("exit 0", ident=2))
        await desk.until(lambda: desk.roster.told)
        assert [one[1] for one in desk.roster.told] == [2]
        await desk.promoting.stop()

    asyncio.run(story())


def test_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promoting, "RUNS", 2)

    def begun() -> int:
        return len(list(tmp_path.glob("pool*")))

    async def story() -> None:
        desk, go = Desk(), tmp_path / "go"
        text = f"echo >> {tmp_path}/$RRDNS_POOL; while ! test -e {go}; do sleep 0.05; done"
        desk.wants(*(shell(text, ident=at, pool=f"pool{at}") for at in range(1, 6)))
        await desk.until(lambda: begun() == 2)
        await asyncio.sleep(0.3)
        assert begun() == 2
        go.touch()
        await desk.until(lambda: len(desk.roster.told) == 5)
        assert all(ok for _, _, ok, _ in desk.roster.told)

    asyncio.run(story())
