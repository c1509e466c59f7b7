"""`rrdns status` and the rows it shares with `top`: a snapshot as people read it, at all widths, without control."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fake_api
import pytest
from fake_api import FakeApi, member

from rrdns.board import SERVING, Board
from rrdns.texts import clock
from rrdns.ui import present
from rrdns.ui.console import Column, cut, lay_out, table
from rrdns.ui.status import page


def text(status: fake_api.Json, width: int = 100) -> str:
    lines = list(page(status, width))
    return "\n".join(line.plain for line in lines)


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("RRDNS_STATE", "RRDNS_CONTROL")}
    return subprocess.run(
        [sys.executable, "-m", "rrdns", *arguments], capture_output=True, text=True, timeout=60, env={**clean, **env}
    )


# ---------------------------------------------------------------- the page


def test_the_page_names_everything() -> None:
    shown = text(fake_api.status(3), 120)
    for words in (
        "rrdns 0.1.0", "1,234 q/s", "2 workers", "up 3h 12m", "control 4711 serving", "127.0.0.1:5300 [::1]:5300",
        "www.lb.example.com.", "web1 33.3%", "TTL 5 instead of 20: web/web3 may come back",
        "web/web2", "drained", "drain by ann: kernel (1h 20m left)", "timed out after 2s connecting", "42s",
        "lb.example.com. (serial 1700000000)",
    ):  # fmt: skip
        assert words in shown, words


@pytest.mark.parametrize("width", [40, 80, 120, 4000])
def test_tables_keep_to_the_width_and_lose_no_reason(width: int) -> None:
    lines = [line.plain for line in page(fake_api.status(3), width)]
    start = next(index for index, line in enumerate(lines) if line.startswith("MEMBER"))
    assert all(len(line) <= width for line in lines[start:-2])
    words = " ".join(" ".join(line.split()) for line in lines[start:])
    assert all(word in words for word in ["timed", "out", "after", "2s", "connecting"])


def test_a_refused_reload_comes_first_and_whole() -> None:
    status = fake_api.status(3)
    problems = [f"zones/a.yaml:{line}:2: www.type: bad" for line in range(1, 30)]
    status["reload"] = {"state": "refused", "when": time.time(), "problems": problems, "source": "zones"}
    lines = text(status).splitlines()
    assert "reload refused" in lines[1] and "29 problems" in lines[1]
    assert lines[2].strip() == problems[0] and lines[30].strip() == problems[28]
    status["reload"]["state"] = "kept"
    assert "serving the last accepted ones" in text(status)


def test_other_alarms() -> None:
    status = fake_api.status(3)
    status["isolation"] = {"held": True, "why": "5 of 6 targets fell silent", "left": 30.0}
    status["workers"][0]["stale"] = True
    status["workers"][1]["errors"] = 2
    status["workers"][1]["state"] = "starting"
    status["workers"][0]["confined"] = False
    status["pools"]["web"].update(state="down", why="no member is up", serving=[])
    shown = text(status)
    for words in ("self-isolation", "for 30s more", "5 of 6", "without control's word", "2 packets raised an error",
                  "1 of 2 workers", "neither Landlock nor seccomp", "pool web down: no member is up",
                  "nobody"):  # fmt: skip
        assert words in shown, words


def test_a_journal_that_fails_is_told() -> None:
    status = fake_api.status(3)
    status["journal"] = {"state": "ok", "why": "", "since": None, "holes": 3}
    assert "journal" not in text(status)
    status["journal"] = {"state": "failing", "why": "/state/journal.db: disk is full", "since": 300.0, "holes": 1}
    (line,) = [one.strip() for one in text(status).splitlines() if "journal" in one]
    when = clock(status["time"] - 300, status["time"])
    assert line == (
        f"inputs are NOT journaled since {when} (5m): /state/journal.db: disk is full; "
        "replay and explain --at will have a hole there"
    )
    status["journal"]["state"] = "off"
    assert "journal" not in text(status)


def test_several_addresses_have_lines_of_their_own() -> None:
    status = fake_api.status(1)
    both = [member()["addresses"][0], member("down", "2001:db8::1", "connection refused", 9.0)["addresses"][0]]
    status["pools"]["web"]["members"]["web1"] = member("down", addresses=both)
    shown = text(status)
    assert "2 addresses" in shown and "2001:db8::1" in shown and "connection refused" in shown
    (row,) = present.members(status)
    assert row.since == 9.0, "the address that makes it down counts"


def test_a_hostile_reason_stays_text() -> None:
    status = fake_api.status(1)
    status["pools"]["web"]["members"]["web1"]["why"] = "HTTP \x1b]0;owned\x07 [bold]x[/bold]\r\nfoo"
    shown = text(status, 4000)
    assert "\x1b" not in shown and "\\x1b]0;owned\\x07 [bold]x[/bold]  foo" in shown


def test_what_a_server_of_another_version_leaves_out_is_left_out() -> None:
    assert "rrdns ?" in text({})
    bare: dict[str, Any] = {"pools": {"p": {"members": {"m": {}}}}, "services": {"n.": {}}, "events": [{}]}
    assert "p/m" in text(bare)


def test_a_thousand_members_do_not_take_long() -> None:
    began = time.process_time()
    assert len(text(fake_api.status(1000)).splitlines()) > 1000
    assert time.process_time() - began < 3  # 40 ms where this was written


# ---------------------------------------------------------------- columns


def test_columns_shrink_then_drop_then_are_cut() -> None:
    columns = (Column("NAME", least=5), Column("STATE"), Column("NOTE", least=4, drop=1), Column("WHY", grow=True))
    rows = [[("a-long-name", ""), ("down", ""), ("a long note", ""), ("because", "")]]
    assert lay_out(columns, rows, 60) == [11, 5, 11, 7 + 60 - 37]
    assert lay_out(columns, rows, 30) == [7, 5, 8, 7]
    assert lay_out(columns, rows, 22) == [8, 5, 0, 7]
    assert table(columns, rows, 22, gap=1)[1].plain == "a-long-… down  because"


def test_wide_letters_count_double() -> None:
    assert cut("日本語", 6) == "日本語" and cut("日本語", 7) == "日本語 " and cut("日本語", 5) == "日本…"
    assert cut("abc", 1) == "a" and cut("abc", 0) == ""


# ---------------------------------------------------------------- the command


def test_text_in_a_pipe_has_no_colour_and_is_not_cut(tmp_path: Path) -> None:
    with FakeApi(tmp_path / "s") as api:
        api.status["pools"]["web"]["members"]["web3"]["why"] = "x" * 300
        done = run("status", "--control", api.path)
        assert done.returncode == 0 and "\x1b" not in done.stdout and "x" * 300 in done.stdout
        told = json.loads(run("status", "--json", "--control", api.path).stdout)
    assert told == api.status


def test_control_gone_workers_answer_on(tmp_path: Path) -> None:
    board = Board(tmp_path / "board", rows=3)
    for row in range(3):
        board.sign_in(row, SERVING)
    board.set(1, "born", 1)
    board.set(2, "udp", 4321)
    for extra in (("--control", str(tmp_path / "s")), ("--control", "/nowhere/s", "--state", str(tmp_path))):
        done = run("status", *extra)
        assert done.returncode == 3
        assert "control gone since" in done.stdout and "workers answer on" in done.stdout and "4,321" in done.stdout
        assert "no rrdns answers at" in done.stderr
    done = run("status", "--json", "--control", "/nowhere/s", RRDNS_STATE=str(tmp_path))
    told = json.loads(done.stdout)
    assert done.returncode == 3 and told["control"]["state"] == "gone" and told["workers"][0]["queries"] == 4321


def test_no_server_at_all(tmp_path: Path) -> None:
    done = run("status", "--control", str(tmp_path / "s"))
    assert done.returncode == 3 and done.stdout == "" and "Is it running?" in done.stderr
    done = run("status", "--json", "--control", str(tmp_path / "s"))
    assert done.returncode == 3 and json.loads(done.stdout)["workers"] == []
