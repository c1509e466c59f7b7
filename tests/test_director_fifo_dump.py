"""keepalived's notify_fifo with its JSON dump beside it: of each instance the newest word counts."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import real_directors as real
from director_input import sample
from hypothesis import given
from hypothesis import strategies as st
from test_director_fifo import Keepalived, director, listening, told
from test_director_poller import until

from rrdns.directors import keepalived, vrrp
from rrdns.model import Director

DUMP = sample("keepalived/dump.json")


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Keepalived]:
    one = Keepalived(tmp_path / "vrrp.fifo")
    yield one
    one.end()


def dump(path: Path, age: float, **states: int) -> None:
    one = json.loads(DUMP)[0]
    many = [{**one, "data": {**one["data"], "iname": name, "state": state}} for name, state in states.items()]
    path.write_text(json.dumps(many))
    os.utime(path, (time.time() - age,) * 2)


async def test_a_dump_is_the_state_now_and_the_fifo_the_change(there: Keepalived, tmp_path: Path) -> None:
    there.start()
    path = tmp_path / "keepalived.json"
    dump(path, 1, VI_1=1, VI_2=2)
    async with listening(director(there, path=str(path))) as (heard, _):
        assert heard.states == {"VI_1": "BACKUP", "VI_2": "MASTER"} and heard.reason == ""
        there.say("INSTANCE VI_1 MASTER 1")
        await until(lambda: heard.states == {"VI_1": "MASTER", "VI_2": "MASTER"})
        await asyncio.sleep(0.05)
        dump(path, 0, VI_1=3)  # newer than the line; VI_2 is gone
        await until(lambda: heard.states == {"VI_1": "FAULT"})


async def test_a_dump_holds_as_long_as_every_change_was_seen(there: Keepalived, tmp_path: Path) -> None:
    there.start()
    path = tmp_path / "keepalived.json"
    dump(path, 1, VI_1=2)
    asked = replace(director(there, path=str(path)), stale_after=3.0)
    async with listening(asked) as (heard, _):
        assert heard.states == {"VI_1": "MASTER"}
        await asyncio.sleep(2.5)
        count = len(heard.all)
        await until(lambda: len(heard.all) > count + 1)
        assert heard.states == {"VI_1": "MASTER"} and heard.reason == ""
        there.end(unlink=False)  # from now on it may have changed unseen
        await until(lambda: not heard.states)
        assert "nobody has" in heard.reason and "s old" in heard.reason
    dump(path, 60, VI_1=2)
    there.start()
    assert "60s old" in await real.reason(asked)


async def test_without_the_fifo_the_dump_says_it_and_a_note_why(there: Keepalived, tmp_path: Path) -> None:
    path = tmp_path / "keepalived.json"
    asked = director(there, path=str(path))
    both = await real.reason(asked)
    assert "notify_fifo" in both and "who writes it" in both
    dump(path, 1, VI_1=2)
    table = await real.table(asked)
    assert told(table) == {"VI_1": "MASTER"} and "notify_fifo" in table.note
    there.start()
    path.write_text("{")
    assert "no whole JSON" in await real.reason(asked)


async def test_a_command_beside_it(there: Keepalived, tmp_path: Path) -> None:
    there.start()
    dump(tmp_path / "dump", 0, VI_1=1)
    asked = replace(director(there, interval=3600), command=("cat", str(tmp_path / "dump")))
    async with listening(asked) as (heard, _):
        assert heard.states == {"VI_1": "BACKUP"}
        (tmp_path / "dump").unlink()
        there.say("INSTANCE VI_1 MASTER 1")
        await until(lambda: heard.states == {"VI_1": "MASTER"})
        assert heard.reason == ""  # news is no reason to run it again


# ---------------------------------------------------------------- pure


def test_groups_count_where_no_instance_is_told() -> None:
    heard = vrrp.Heard()
    assert heard.line("GROUP G MASTER 0", 1.0) and heard.states() == {"G": "MASTER"}
    assert heard.line("INSTANCE VI BACKUP 0", 2.0) and heard.states() == {"VI": "BACKUP"}


def test_names_are_bounded() -> None:
    heard = vrrp.Heard()
    for number in range(vrrp.MOST + 5):
        heard.line(f"INSTANCE VI_{number} MASTER 1", 1.0)
    assert len(heard.states()) == vrrp.MOST and "over 1000" in heard.odd(2.0) and not heard.odd(100.0)


SAID = st.tuples(
    st.sampled_from(["line", "dump", "none", "closed"]),
    st.sampled_from(["VI_1", "VI_2"]),
    st.sampled_from(["MASTER", "BACKUP", "FAULT", "STOP", "DELETED"]),
)


@given(st.lists(SAID, max_size=20))
def test_of_each_instance_the_newest_word_counts(said: list[tuple[str, str, str]]) -> None:
    heard, known = vrrp.Heard(), dict[str, str]()
    heard.opened(0.0)
    for at, (what, name, state) in enumerate(said, 1):
        if what == "line":
            heard.line(f'INSTANCE "{name}" {state} 1', float(at))
            known[name] = state
        elif what == "dump" and state not in ("STOP", "DELETED"):
            heard.dump({name: state}, float(at))
            known = {name: state}
        elif what == "none":
            heard.dump(None)
        elif what == "closed":
            heard.closed()
            heard.opened(float(at))
            known = {}
            break
        assert heard.states() == {name: state for name, state in known.items() if state != "DELETED"}


async def test_it_is_a_director_of_its_own_kind() -> None:
    assert "`fifo:`" in await real.reason(Director("ka1", "keepalived"))
    assert keepalived.parse(b"MASTER\n").parts[""][0].word == "up"
