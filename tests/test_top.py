"""The console: its picture at several sizes, its keys as bytes and as choices, and the whole of it in a terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import fake_api
import pytest
from fake_api import FakeApi, member
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from rrdns.ui import overview, top
from rrdns.ui.choosing import chosen_members
from rrdns.ui.console import joined
from rrdns.ui.keys import Keys
from rrdns.ui.screen import Link, picture
from rrdns.ui.view import PANES, SORT_WORDS, Scene, View, press

SIZES = [(80, 24), (200, 60), (40, 10), (132, 43)]


def drawn(status: fake_api.Json | None, view: View, link: Link, width: int, height: int) -> list[str]:
    """The picture as a terminal of that size would show it, checked to fit."""
    lines, _ = picture(Scene.of(status) if status else None, view, link, width, height)
    assert len(lines) == height
    assert all(line.cell_len <= width for line in lines), max(lines, key=lambda line: line.cell_len)
    console = Console(
        width=width, height=height, record=True, file=io.StringIO(), force_terminal=True, legacy_windows=False
    )
    console.print(joined(lines))
    shown = console.export_text().rstrip("\n").split("\n")
    assert len(shown) <= height, "no line was folded"
    return [line.plain for line in lines]


# ---------------------------------------------------------------- the picture


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("members", [0, 1, 3, 1000])
def test_every_size_fits(width: int, height: int, members: int) -> None:
    status = fake_api.status(members) if members else {**fake_api.status(1), "pools": {}, "services": {}, "events": []}
    pages = [View(page=page, pane=panes[-1], pool="web") for page, panes in PANES.items()]
    for view in (*pages, View(help=True), View(typing=True, filter="x"), View(problems=True), View(paused=True)):
        drawn(status, view, Link(), width, height)
        drawn(status, view, Link("control gone since 12s, workers answer on", 12.0), width, height)
        drawn(None, view, Link("server not reachable, trying again"), width, height)


@given(st.integers(1, 220), st.integers(1, 70), st.integers(0, 40), st.text(max_size=60))
def test_any_size_and_any_text_fits(width: int, height: int, members: int, text: str) -> None:
    status = fake_api.status(max(1, members), services=members + 1)
    status["pools"]["web"]["members"]["web1"]["why"] = text
    status["pools"]["web"]["members"][text] = member("down", text, text, override={"word": "drain", "reason": text})
    status["reload"] = {"state": "refused", "when": 1.0, "problems": [text, text]}
    status["pools"][text] = status["pools"]["web"]
    status["overrides"] = [{"pool": text, "member": text, "word": text, "reason": text, "left": 1.0}]
    status["directors"] = {text: {"state": text, "reason": text, "type": text, "pools": [text]}}
    status["events"].append({"subject": text, "name": text, "before": text, "after": text, "why": text, "time": 0.0})
    drawn(status, View(filter=text[:1]), Link(), width, height)
    for page, panes in PANES.items():
        drawn(status, View(page=page, pane=panes[0], pool=text), Link(), width, height)


def test_what_is_on_it_at_80_by_24() -> None:
    lines = drawn(fake_api.status(3), View(), Link(), 80, 24)
    assert "1,234 q/s" in lines[0] and "2 workers" in lines[0] and "up 3h 12m" in lines[0]
    text = "\n".join(lines)
    for words in ("www.lb.example.com.", "5s", "web/web1", "192.0.2.1", "drained", "drain by ann", "down", "42s",
                  "timed out after 2s", "33.3%", "EVENTS", "up → down", "q quit"):  # fmt: skip
        assert words in text, words


def test_wide_screens_say_more() -> None:
    text = "\n".join(drawn(fake_api.status(3), View(), Link(), 200, 60))
    for words in (
        "ANSWERS",
        "1,234",
        "drain by ann: kernel (1h 20m left)",
        "timed out after 2s connecting",
        "[::1]:5300",
    ):
        assert words in text, words


def test_a_thousand_members_show_a_window() -> None:
    status = fake_api.status(1000, services=200)
    lines = drawn(status, View(), Link(), 80, 24)
    assert any("of 1000" in line for line in lines) and any("of 200" in line for line in lines)


@pytest.mark.parametrize("page", PANES)
def test_only_rows_in_sight_are_worked_out(page: str) -> None:
    scene = Scene.of(fake_api.status(1000, services=200))
    picture(scene, View(page=page, pane=PANES[page][0], pool="web"), Link(), 80, 24)
    assert len(scene._rows) < 24


def test_columns_stay_where_they_are_while_one_scrolls() -> None:
    scene = Scene.of(fake_api.status(1000))
    headings = set()
    for at in (0, 400, 900):
        lines, _ = picture(scene, View(at={"members": at}), Link(), 120, 24)
        headings.add(next(line.plain for line in lines if line.plain.startswith("MEMBER")).split(" REASON")[0])
    assert len(headings) == 1


def test_scrolling_stops_at_the_ends() -> None:
    scene = Scene.of(fake_api.status(1000))
    lines, view = picture(scene, press(View(), "end", 10), Link(), 80, 24)
    last = next(line for line in lines if "web/web1000" in line.plain)
    assert any("reverse" in str(span.style) for span in last.spans), "the cursor is on it"
    _, one_up = picture(scene, press(view, "up", 10), Link(), 80, 24)
    assert one_up.at["members"] == 998 and one_up.top == view.top, "the first key up counts at once"
    lines, view = picture(scene, press(view, "pgup", 100), Link(), 80, 24)
    assert any("web/web900" in line.plain for line in lines) and view.top["members"] == 899
    _, view = picture(scene, press(view, "home", 10), Link(), 80, 24)
    assert view.top["members"] == 0
    _, view = picture(Scene.of(fake_api.status(3)), View(at={"members": 500}, top={"members": 490}), Link(), 80, 24)
    assert view.top["members"] == 0 and view.at["members"] == 2, "fewer members than before"


def test_gone_keeps_the_last_picture_dimmed() -> None:
    scene = Scene.of(fake_api.status(3))
    lines, _ = picture(scene, View(), Link("control gone since 12s, workers answer on", 321.0), 80, 24)
    assert "control gone since 12s, workers answer on" in lines[0].plain and "321 q/s" in lines[0].plain
    row = next(line for line in lines if "web/web1" in line.plain)
    assert any("dim" in str(span.style) for span in row.spans)


def test_alarms_stand_at_the_top() -> None:
    status = fake_api.status(3)
    status["reload"] = {
        "state": "refused",
        "when": time.time(),
        "problems": ["zones/a.yaml:1:2: bad"] * 7,
        "source": "zones",
    }
    status["pools"]["web"]["state"] = "panic"
    status["store"] = {"state": "failing", "why": "disk full"}
    lines = drawn(status, View(), Link(), 100, 40)
    assert "reload refused" in lines[1] and "7 problems" in lines[1]
    assert "zones/a.yaml:1:2: bad" in lines[2]
    assert "NOT saved: disk full" in "\n".join(lines[:8]) and "pool web panic" in "\n".join(lines[:8])
    assert "more alarms" in "\n".join(drawn(status, View(), Link(), 80, 24)[:6])


# ---------------------------------------------------------------- choices


def rows(view: View, status: fake_api.Json) -> list[str]:
    return [ref.name for ref in chosen_members(Scene.of(status), view, SORT_WORDS[view.sort])]


def test_sort_filter_problems() -> None:
    status = fake_api.status(5)  # web4 drained, web5 down
    status["pools"]["web"]["members"]["web2"]["rate"] = 99.0
    by = {name: index for index, name in enumerate(SORT_WORDS)}
    assert rows(View(), status) == ["web1", "web2", "web3", "web4", "web5"]
    assert rows(View(backwards=True), status)[0] == "web5"
    assert rows(View(sort=by["state"]), status)[:2] == ["web5", "web4"]
    assert rows(View(sort=by["answers/s"]), status)[0] == "web2"
    assert rows(View(sort=by["since"]), status)[0] == "web5"
    assert rows(View(filter="WEB3"), status) == ["web3"]
    assert rows(View(filter="timed out"), status) == ["web5"]
    assert rows(View(filter="192.0.2.2"), status) == ["web2"]
    assert rows(View(problems=True), status) == ["web4", "web5"]


def test_keys_change_the_view() -> None:
    view = View()
    for key in ["/", "a", "b", "backspace", "q", "enter"]:
        view = press(view, key, 10)
    assert view.filter == "aq" and not view.typing
    assert press(view, "esc", 10).filter == ""
    assert press(press(view, "/", 10), "esc", 10).filter == ""
    assert press(view, "d", 10).problems and press(view, "p", 10).paused and press(view, "r", 10).backwards
    assert press(press(view, "?", 10), "x", 10).help is False
    assert press(view, "tab", 10).pane == "services"
    assert press(view, "S", 10).sort == len(SORT_WORDS) - 1
    assert press(view, "pgdn", 10).at == {"members": 10}
    assert press(press(view, "tab", 10), "j", 10).at == {"services": 1}
    assert press(view, "unknown", 10) == view


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"q", ["q"]), (b"\x1b[A\x1b[B\x1b[D\x1bOC", ["up", "down", "left", "right"]),
        (b"\x1bOA", ["up"]), (b"\x1b[5~\x1b[6~", ["pgup", "pgdn"]),
        (b"\x1b[H\x1b[4~", ["home", "end"]), ("ä€😀".encode(), ["ä", "€", "😀"]),
        (b"\r\t\x7f", ["enter", "tab", "backspace"]),
        (b"\x1b[1;5A", []), (b"\x1b[99~x", ["x"]), (b"\xff", ["\ufffd"]), (b"\x1b\x1b[A", ["esc", "up"]),
        (b"\x03", ["quit"]),
    ],
)  # fmt: skip
def test_bytes_become_keys(data: bytes, keys: list[str]) -> None:
    assert Keys().feed(data) == keys
    apart = Keys()
    assert [key for byte in data for key in apart.feed(bytes([byte]))] == keys


def test_a_lone_escape_is_a_key_when_nothing_follows() -> None:
    keys = Keys()
    assert keys.feed(b"\x1b") == [] and keys.waiting
    assert keys.settle() == ["esc"] and not keys.waiting
    assert keys.feed(b"\x1b[") == [] and keys.settle() == []


@given(st.binary(max_size=200))
def test_any_bytes_are_taken(data: bytes) -> None:
    keys = Keys()
    keys.feed(data)
    keys.settle()
    assert keys.feed(b"q") == ["q"]


def test_the_bar() -> None:
    assert [overview.bar(share) for share in (0, 0.5, 1, 7)] == ["      ", "███   ", "██████", "██████"]


# ---------------------------------------------------------------- all of it


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "rrdns", "top", *arguments]


def test_once_prints_one_picture(tmp_path: Path) -> None:
    with FakeApi(tmp_path / "s") as api:
        done = subprocess.run(
            command("--once", "--control", api.path),
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "COLUMNS": "100", "LINES": "30"},
        )
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) == 30 and max(map(len, lines)) <= 100
    assert "web/web1" in done.stdout and "\x1b" not in done.stdout


def test_once_without_a_server(tmp_path: Path) -> None:
    done = subprocess.run(
        command("--once", "--control", str(tmp_path / "s")), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 3 and "no rrdns answers" in done.stderr and "server not reachable" in done.stdout


def test_without_a_terminal_it_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        command("--control", str(tmp_path / "s")), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 2 and "--once" in done.stderr


def test_the_source_counts_queries_from_the_board(tmp_path: Path) -> None:
    from rrdns.board import SERVING, Board
    from rrdns.ui.client import Client

    board = Board(tmp_path / "board", rows=3)
    for row in range(3):
        board.sign_in(row, SERVING)
    source = top._Source(Client(str(tmp_path / "none")), lambda: tmp_path / "board")
    source.fetch()
    board.set(2, "udp", 1000)
    time.sleep(0.05)
    source.fetch()
    link = source.link()
    assert link.gone and link.qps is not None and link.qps > 100
    assert "workers answer on" in link.words
