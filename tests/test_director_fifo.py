"""keepalived's notify_fifo, read directly. The writer here opens it as keepalived does: O_RDWR | O_NONBLOCK, with or
without a reader; test_director_lvs.py has the real one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import real_directors as real
from director_input import sample
from test_director_poller import Heard, fine, polling, until

from rrdns.directors import fifo as fifos
from rrdns.directors.poller import Poller
from rrdns.model import Director, DirectorTable

DUMP = sample("keepalived/dump.json")


class Keepalived:
    """The end that writes. `lost`: lines that found no room; keepalived logs such and goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost = 0
        self.fd = -1

    def start(self) -> Keepalived:
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self.path, 0o600)
        self.fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        return self

    def say(self, *lines: str) -> None:
        for line in lines:
            try:
                os.write(self.fd, line.encode() + b"\n")
            except BlockingIOError:
                self.lost += 1

    def end(self, *, unlink: bool = True) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            if unlink:
                self.path.unlink(missing_ok=True)


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Keepalived]:
    one = Keepalived(tmp_path / "vrrp.fifo")
    yield one
    one.end()


def director(one: Keepalived, interval: float = 0.05, **more: str) -> Director:
    return replace(Director("ka1", "keepalived", fifo=str(one.path), interval=interval, timeout=20), **more)  # type: ignore[arg-type]


class Listening(Heard):
    """What came of the last reading."""

    @property
    def last(self) -> DirectorTable | str:
        return self.all[-1][1] if self.all else ""

    @property
    def states(self) -> dict[str, str]:
        return told(self.last)

    @property
    def reason(self) -> str:
        return self.last if isinstance(self.last, str) else self.last.note


def told(table: DirectorTable | str) -> dict[str, str]:
    return {} if isinstance(table, str) else {name: one.why for name, (one,) in table.parts.items()}


@contextlib.asynccontextmanager
async def listening(*directors: Director) -> AsyncIterator[tuple[Listening, Poller]]:
    heard = Listening()
    async with polling(heard, fine, *directors) as it:
        await until(lambda: heard.all)
        yield heard, it


# ---------------------------------------------------------------- what it tells


async def test_every_change_at_once(there: Keepalived) -> None:
    there.start()
    async with listening(director(there, interval=3600)) as (heard, it):
        assert "tells changes only" in heard.reason and "path: or command:" in heard.reason
        begun = time.monotonic()
        there.say('INSTANCE "VI_1" MASTER 150')
        await until(lambda: heard.states == {"VI_1": "MASTER"})
        there.say('INSTANCE "VI_2" BACKUP 100', 'GROUP "VG" BACKUP 0', "RS [10.0.0.1]:tcp:80 [10.0.0.9]:tcp:80 DOWN")
        await until(lambda: heard.states == {"VI_1": "MASTER", "VI_2": "BACKUP"})
        assert isinstance(heard.last, DirectorTable) and heard.last.master is None and not heard.last.note
        there.say('INSTANCE "VI_1" FAULT 150')
        await until(lambda: heard.states["VI_1"] == "FAULT")
        assert isinstance(heard.last, DirectorTable) and heard.last.master is False
        there.say('INSTANCE "VI_1" DELETED 150')
        await until(lambda: heard.states == {"VI_2": "BACKUP"})
        assert time.monotonic() - begun < 60  # no question was due
        count = len(heard.all)
        there.say('INSTANCE "VI_2" BACKUP_PRIORITY 90')  # no news
        await asyncio.sleep(0.3)
        assert len(heard.all) == count and it.stats["ka1"].failures == 1


async def test_what_was_written_while_nobody_read_is_there(there: Keepalived) -> None:
    there.start()
    there.say('INSTANCE "VI_1" BACKUP 150', 'INSTANCE "VI_1" MASTER 150')
    async with listening(director(there)) as (heard, _):
        assert heard.states == {"VI_1": "MASTER"}


async def test_half_a_line_waits_for_its_end(there: Keepalived) -> None:
    there.start()
    there.say('INSTANCE "VI_1" BACKUP 1')
    os.write(there.fd, b'INSTANCE "VI_1" MAS')
    async with listening(director(there)) as (heard, _):
        assert heard.states == {"VI_1": "BACKUP"}
        there.say("TER 1")
        await until(lambda: heard.states == {"VI_1": "MASTER"})


async def test_two_directors_at_one_fifo(there: Keepalived) -> None:
    there.start()
    both = director(there, interval=3600), replace(director(there, interval=3600), name="ka2")
    async with listening(*both) as (heard, _):
        there.say("INSTANCE VI_1 MASTER 1")
        await until(lambda: {name for name, table in heard.all if told(table)} == {"ka1", "ka2"})


async def test_an_edit_costs_no_words_and_a_removal_closes_it(there: Keepalived) -> None:
    there.start()

    def open_ends() -> int:
        found = 0
        for one in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                found += one.readlink() == there.path
        return found

    async with listening(director(there)) as (heard, it):
        there.say("INSTANCE VI_1 MASTER 1")
        await until(lambda: heard.states)
        it.set_directors({"ka1": director(there, interval=0.06)})
        count = len(heard.all)
        await until(lambda: len(heard.all) > count + 1)
        assert heard.states == {"VI_1": "MASTER"} and open_ends() == 2
        it.set_directors({})
        assert open_ends() == 1  # the writer's


# ---------------------------------------------------------------- when keepalived goes and comes


async def test_an_orderly_end_is_the_last_word(there: Keepalived) -> None:
    there.start()
    async with listening(director(there)) as (heard, _):
        there.say("INSTANCE VI_1 MASTER 1", "INSTANCE VI_2 MASTER 1")
        await until(lambda: len(heard.states) == 2)
        there.say("INSTANCE VI_1 STOP 1", "INSTANCE VI_2 STOP 1")
        there.end()
        await until(lambda: heard.states == {"VI_1": "STOP", "VI_2": "STOP"})
        count = len(heard.all)
        await until(lambda: len(heard.all) > count + 2)
        assert isinstance(heard.last, DirectorTable) and heard.last.master is False and heard.reason == ""
        there.start()  # it makes another FIFO
        there.say("INSTANCE VI_1 BACKUP 1")
        await until(lambda: heard.states.get("VI_1") == "BACKUP")


async def test_a_crash_takes_its_words_along(there: Keepalived) -> None:
    there.start()
    async with listening(director(there)) as (heard, _):
        there.say("INSTANCE VI_1 MASTER 1")
        await until(lambda: heard.states)
        there.end(unlink=False)
        await until(lambda: "nobody has" in heard.reason)
        assert not heard.states and "does keepalived run" in heard.reason
        there.start()  # at the same FIFO
        there.say("INSTANCE VI_1 BACKUP 1")
        await until(lambda: heard.states == {"VI_1": "BACKUP"})


async def test_one_that_nobody_writes_to_costs_nothing(there: Keepalived) -> None:
    """The end of a file that stays would wake the loop again and again."""
    there.start()
    async with listening(director(there, interval=3600)) as (heard, _):
        there.say("INSTANCE VI_1 MASTER 1")
        await until(lambda: heard.states)
        there.end(unlink=False)
        await until(lambda: not heard.states)
        begun, used = time.monotonic(), time.process_time()
        await asyncio.sleep(0.5)
        assert time.process_time() - used < 0.5 * (time.monotonic() - begun)


async def test_another_fifo_in_its_place(there: Keepalived) -> None:
    there.start()
    async with listening(director(there)) as (heard, _):
        there.say("INSTANCE VI_1 MASTER 1")
        await until(lambda: heard.states)
        there.path.unlink()
        successor = Keepalived(there.path).start()
        try:
            successor.say("INSTANCE VI_9 BACKUP 1")
            await until(lambda: heard.states == {"VI_9": "BACKUP"})
        finally:
            successor.end()


# ---------------------------------------------------------------- what is no FIFO, and what is no line


async def test_what_is_no_fifo(there: Keepalived) -> None:
    asked = director(there)
    assert "see notify_fifo in keepalived.conf" in await real.reason(asked)
    there.path.write_text("INSTANCE VI_1 MASTER 1\n")
    assert "no FIFO" in await real.reason(asked)
    there.path.unlink()
    there.path.mkdir()
    assert "no FIFO" in await real.reason(asked)
    assert "No such file" in await real.reason(replace(asked, fifo=str(there.path / "no")))
    there.path.rmdir()
    os.mkfifo(there.path)
    assert "nobody has" in await real.reason(asked)
    assert "a FIFO stands under fifo:" in await real.reason(replace(asked, fifo="", path=asked.fifo))
    if os.geteuid():
        there.path.chmod(0)
        assert "may not read it" in await real.reason(asked)


async def test_junk_is_a_reason(there: Keepalived) -> None:
    there.start()
    async with listening(director(there)) as (heard, _):
        there.say("Hello\x1b[31m")
        await until(lambda: "none of keepalived's notify" in heard.reason)
        assert not heard.states and heard.reason.isprintable()
        there.say("INSTANCE VI_1 MASTER 1", "\x00\xff" * 40, "x" * 2000, "INSTANCE VI_2 BACKUP 1")
        await until(lambda: len(heard.states) == 2)
        assert heard.states == {"VI_1": "MASTER", "VI_2": "BACKUP"} and "over 512 bytes" in heard.reason


async def test_a_flood_is_read_slowly_and_holds_up_nobody(there: Keepalived, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fifos, "RATE", 4096)
    there.start()
    async with listening(director(there)) as (heard, it):
        begun, used = time.monotonic(), time.process_time()
        while time.monotonic() - begun < 1.0:
            there.say(*["INSTANCE VI_1 FAULT 1"] * 100)
            await asyncio.sleep(0)
        assert there.lost > 1000  # the pipe is full, and its writer was never held up
        await until(lambda: "over 4096 bytes a second" in heard.reason)
        assert heard.states == {"VI_1": "FAULT"}
        assert time.process_time() - used < 30 and it.stats["ka1"].questions < 200


async def test_a_full_one_is_let_go(there: Keepalived) -> None:
    """Its newest lines found no room: the last that stands in it is not the state."""
    there.start()
    while not there.lost:
        there.say('INSTANCE "VI_1" MASTER 150')
    async with listening(director(there)) as (heard, _):
        assert not heard.states and "newest lines are lost" in heard.reason
        there.say('INSTANCE "VI_1" BACKUP 150', 'INSTANCE "VI_1" FAULT 150')
        await until(lambda: heard.states == {"VI_1": "FAULT"})
