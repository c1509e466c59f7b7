"""Directors of type keepalived: who is master, by its notify log and its JSON dump, and what is neither."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import real_directors
from director_input import HTML, cut, refused, sample, tried

from rrdns.directors import keepalived
from rrdns.model import Director, Report

DUMP = sample("keepalived/dump.json")
LOG = sample("keepalived/notify.log")


def dump(*states: int, version: int = 1) -> bytes:
    one = json.loads(DUMP)[0]
    many = [{**one, "data": {**one["data"], "iname": f"VI_{n}", "state": s}} for n, s in enumerate(states, 1)]
    return json.dumps({"vrrp": many} if version == 2 else many).encode()


def instance(name: str, state: str) -> Report:
    return Report(name, "", 0, "up" if state == "MASTER" else "down", state)


def test_captured() -> None:
    assert keepalived.parse(DUMP).master is True
    assert keepalived.parse(LOG).master is True
    assert keepalived.parse(DUMP).parts == keepalived.parse(LOG).parts == {"VI_1": (instance("VI_1", "MASTER"),)}


@pytest.mark.parametrize(
    ("states", "master"),
    [((2,), True), ((1,), False), ((0,), False), ((3,), False), ((2, 2), True), ((2, 1), None), ((1, 3), False)],
)
@pytest.mark.parametrize("version", [1, 2])
def test_dumps(states: tuple[int, ...], master: bool | None, version: int) -> None:
    assert keepalived.parse(dump(*states, version=version)).master is master


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ('INSTANCE "VI_1" MASTER 150\n', {"VI_1": "MASTER"}),
        ("INSTANCE VI_1 MASTER 150\nINSTANCE VI_1 FAULT 150\n", {"VI_1": "FAULT"}),
        ("INSTANCE VI_1 MASTER\nINSTANCE VI_2 BACKUP\nVS [10.0.0.1]:tcp:80 UP\n", {"VI_1": "MASTER", "VI_2": "BACKUP"}),
        ("GROUP G1 BACKUP 0\nINSTANCE VI_1 MASTER 1\n", {"VI_1": "MASTER"}),
        ("GROUP G1 BACKUP 0\n", {"G1": "BACKUP"}),
        ("INSTANCE VI_1 BACKUP 1\nINSTANCE VI_2 MASTER 1\nINSTANCE VI_1 DELETED 1\n", {"VI_2": "MASTER"}),
        ("INSTANCE VI_1 MASTER 1\nINSTANCE VI_1 BAC", {"VI_1": "MASTER"}),  # it is just being written
        ("MASTER\n", {"": "MASTER"}),
        ("INSTANCE VI_1 BACKUP 1\nINSTANCE VI_1 MASTER_RX_LOWER_PRI 1\n", {"VI_1": "MASTER"}),
        ("INSTANCE VI_1 MASTER_PRIORITY 90\nINSTANCE VI_2 BACKUP_PRIORITY 1\n", {"VI_1": "MASTER", "VI_2": "BACKUP"}),
        ("1795343854 INSTANCE VI_1 STOP 1\n\n# restarted\n", {"VI_1": "STOP"}),
    ],
)
def test_logs(text: str, states: dict[str, str]) -> None:
    assert keepalived.states(text.encode()) == states


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "names no VRRP instance"),
        (b"[]", "names no VRRP instance"),
        (b'{"vrrp": []}', "names no VRRP instance"),
        (b"INSTANCE VI_1 DELETED 1\n", "names no VRRP instance"),
        (DUMP[:-10], "no whole JSON"),
        (b'{"a": 1}', "no dump of keepalived"),
        (b'[{"data": {"iname": "x", "state": 9}}]', "no dump of keepalived"),
        (b'[{"data": {"iname": 5, "state": 1}}]', "no dump of keepalived"),
        (b'[{"data": {"iname": "a\\n", "state": 1}}]', "names a VRRP instance"),
        (HTML, "no line of keepalived"),
        (b"INSTANCE VI_1 SLEEPING 1\n", "no line of keepalived"),
        (b"\0\0\0\0\n", "no line of keepalived"),
    ],
)
def test_what_is_neither(data: bytes, said: str) -> None:
    assert said in refused(keepalived.parse, data)


def test_a_dump_that_is_cut_off_is_refused() -> None:
    assert all(tried(keepalived.parse, data) is None for data in cut(DUMP.rstrip()))
    for deep in (b"[" * 200_000, b'{"a":' * 200_000):
        assert tried(keepalived.parse, deep) is None


async def test_a_log_may_be_old_a_dump_may_not(tmp_path: Path) -> None:
    for name, data in (("log", LOG), ("dump", DUMP)):
        path = tmp_path / name
        path.write_bytes(data)
        director = Director("lb1", "keepalived", path=str(path))
        assert (await real_directors.table(director)).master is True
        os.utime(path, (time.time() - 3600,) * 2)
        if name == "log":
            assert (await real_directors.table(director)).master is True
        else:
            assert "3600s old" in await real_directors.reason(director)


async def test_a_command_prints_it(tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(DUMP)
    director = Director("lb1", "keepalived", command=("cat", str(tmp_path / "dump")), timeout=20)
    assert (await real_directors.table(director)).master is True


async def test_nothing_to_read(tmp_path: Path) -> None:
    assert "`path:`" in await real_directors.reason(Director("lb1", "keepalived"))
    assert "who writes it" in await real_directors.reason(Director("lb1", "keepalived", path=str(tmp_path / "no")))
