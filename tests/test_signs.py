"""What the board still tells when control does not answer."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rrdns import board as boards
from rrdns.board import Board, born
from rrdns.ui import signs


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Some other living process."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def made(folder: Path) -> Board:
    """A board with a supervisor, control and one worker that are all this very process."""
    board = Board(folder / boards.NAME, rows=3)
    for row in range(3):
        board.sign_in(row, boards.SERVING)
    board.set(2, "udp", 70)
    board.set(2, "tcp", 7)
    return board


def sentence(folder: Path) -> str:
    return signs.sentence(signs.read(folder / boards.NAME))


def test_control_gone_workers_answer_on(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    board = made(tmp_path)
    board.set(boards.CONTROL, "pid", sleeper.pid)
    board.set(boards.CONTROL, "born", born(sleeper.pid))
    board.set(boards.CONTROL, "beat", time.monotonic_ns() - 12 * 10**9)
    assert sentence(tmp_path) == "control hangs since 12s, workers answer on"
    sleeper.kill()
    sleeper.wait()
    assert sentence(tmp_path) == "control gone since 12s, workers answer on"
    seen = signs.read(tmp_path / boards.NAME)
    assert seen is not None
    assert seen["control"]["state"] == "gone"
    assert seen["workers"][0]["queries"] == 77
    assert seen["workers"][0]["state"] == "serving"


def test_everything_gone(tmp_path: Path) -> None:
    board = made(tmp_path)
    for row in range(3):
        board.set(row, "born", 1)
        board.set(row, "beat", time.monotonic_ns() - 30 * 10**9)
    assert sentence(tmp_path) == "rrdns is not running; last sign of life 30s ago"


def test_supervisor_gone_too(tmp_path: Path) -> None:
    board = made(tmp_path)
    for row in (boards.SUPERVISOR, boards.CONTROL):
        board.set(row, "born", 1)
    assert sentence(tmp_path).endswith("workers answer on; the supervisor is gone too")


def test_control_that_lives_but_does_not_answer(tmp_path: Path) -> None:
    made(tmp_path)
    assert sentence(tmp_path) == "control does not answer, workers answer on"


def test_no_board(tmp_path: Path) -> None:
    assert signs.read(tmp_path / "board") is None
    (tmp_path / "board").write_bytes(b"x" * 1000)
    assert signs.read(tmp_path / "board") is None
    assert signs.sentence(None) == "server not reachable"


def test_where_the_board_is_looked_for(tmp_path: Path) -> None:
    state, beside, default = (tmp_path / name for name in ("state", "beside", "default"))
    for folder in (state, beside, default):
        folder.mkdir()
        (folder / boards.NAME).touch()
    control = str(beside / "control.sock")
    assert signs.find_board(str(state), control, str(default)) == state / "board"
    assert signs.find_board("", control, str(default)) == beside / "board"
    (beside / boards.NAME).unlink()
    assert signs.find_board("", control, str(default)) == default / "board"
    assert signs.find_board("", control, "") is None
