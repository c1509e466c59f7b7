"""The board: one process's numbers are another's, at once, and the dead are told from the living."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rrdns import board
from rrdns.board import Board


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / board.NAME


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for its input to end."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as one:
        yield one
        one.kill()


def test_what_one_writes_others_read(file: Path) -> None:
    writer = Board(file, rows=4)
    reader = Board(file)
    assert (writer.rows, reader.rows) == (4, 4)
    for index, name in enumerate(board.FIELDS):
        writer.set(3, name, (1 << 64) - 1 - index)
    assert reader.row(3) == {name: (1 << 64) - 1 - index for index, name in enumerate(board.FIELDS)}
    assert reader.row(2) == dict.fromkeys(board.FIELDS, 0)
    assert reader.get(3, "udp") == writer.get(3, "udp")


def test_words_of_a_row_are_the_row(file: Path) -> None:
    shared = Board(file, rows=3)
    words = shared.words(2)
    words[board.COLUMN["udp"]] += 7
    assert shared.get(2, "udp") == 7
    assert shared.get(1, "udp") == 0
    assert len(words) == board.ROW >= len(board.FIELDS)


def test_another_process_reads_and_writes_it(file: Path) -> None:
    shared = Board(file, rows=3)
    shared.set(0, "udp", 41)
    code = "import sys; from rrdns.board import Board; b = Board(sys.argv[1]); b.set(2, 'udp', b.get(0, 'udp') + 1)"
    root = str(Path(__file__).parent.parent)
    subprocess.run([sys.executable, "-c", code, str(file)], check=True, cwd=root, timeout=60)
    assert shared.get(2, "udp") == 42


def test_making_it_anew_leaves_the_old_one_to_those_who_have_it(file: Path) -> None:
    old = Board(file, rows=3)
    old.set(2, "udp", 5)
    new = Board(file, rows=5)
    assert (new.rows, new.get(2, "udp")) == (5, 0)
    assert (old.rows, old.get(2, "udp")) == (3, 5)
    assert Board(file).rows == 5
    assert [path.name for path in file.parent.iterdir()] == [board.NAME]


def test_a_left_over_of_a_crash_does_not_stop_it(file: Path) -> None:
    file.with_name(board.NAME + ".new").write_bytes(b"half")
    assert Board(file, rows=2).rows == 2


def test_its_space_is_taken_at_once(file: Path) -> None:
    """A hole that can't be filled on a full disk would end the process with SIGBUS."""
    Board(file, rows=30)
    assert file.stat().st_blocks * 512 >= file.stat().st_size == 31 * 8 * board.ROW


@pytest.mark.parametrize(
    "content",
    [b"", b"x" * 100, bytes(8 * board.ROW), bytes(8 * board.ROW * 4), b"y" * (8 * board.ROW * 4), b"z" * 4097],
    ids=["empty", "short", "no rows", "zeros", "other", "odd"],
)
def test_what_is_no_board_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ValueError, match="is no board of"):
        Board(file)
    assert file.read_bytes() == content


def test_missing(file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Board(file)


def test_links_are_not_followed(file: Path) -> None:
    target = file.with_name("elsewhere")
    Board(target, rows=2)
    file.symlink_to(target)
    with pytest.raises(OSError):
        Board(file)
    Board(file, rows=3)  # replaced, not followed
    assert not file.is_symlink()
    assert Board(target).rows == 2


def test_who_may_only_read_gets_a_board_that_can_not_be_written(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Board(file, rows=2).set(1, "udp", 3)
    real = os.open

    def read_only(path: str, flags: int, *rest: int) -> int:
        """As for another user: tests may run as root, whom no mode stops."""
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", read_only)
    reader = Board(file)
    assert reader.get(1, "udp") == 3
    with pytest.raises(TypeError):
        reader.set(1, "udp", 4)


def test_signing_in_keeps_the_counters(file: Path) -> None:
    shared = Board(file, rows=3)
    shared.set(2, "udp", 99)
    shared.set(2, "pid", 1)
    shared.sign_in(2)
    assert shared.row(2)["udp"] == 99
    assert shared.get(2, "pid") == os.getpid()
    assert shared.get(2, "state") == board.STARTING
    assert shared.lives(2)
    assert not shared.lives(1)
    assert set(board.STATES) >= {shared.get(2, "state")}


def test_heartbeats_age(file: Path) -> None:
    shared = Board(file, rows=2)
    shared.beat(1)
    time.sleep(0.05)
    before = shared.age(1)
    assert before >= 0.05
    shared.beat(1)
    assert shared.age(1) < before + 1
    shared.set(1, "beat", time.monotonic_ns() - 7_000_000_000)
    assert 7 <= shared.age(1) < 60


def test_the_dead_and_zombies_do_not_live(file: Path, sleeper: subprocess.Popen[bytes]) -> None:
    shared = Board(file, rows=2)
    shared.set(1, "pid", sleeper.pid)
    shared.set(1, "born", board.born(sleeper.pid))
    assert shared.lives(1)
    sleeper.kill()
    deadline = time.monotonic() + 30
    while shared.lives(1) and time.monotonic() < deadline:
        time.sleep(0.01)  # until it is a zombie: nobody has waited for it yet
    assert not shared.lives(1)
    assert Path(f"/proc/{sleeper.pid}").exists()
    sleeper.wait()
    assert not shared.lives(1)


def test_a_later_process_with_the_same_pid_is_another(file: Path, sleeper: subprocess.Popen[bytes]) -> None:
    shared = Board(file, rows=2)
    shared.set(1, "pid", sleeper.pid)
    shared.set(1, "born", board.born(sleeper.pid) - 1)
    assert not shared.lives(1)


def test_born() -> None:
    assert board.born(os.getpid()) > 0
    assert board.born(1 << 30) == 0
    assert board.born(0) == 0


def test_a_process_that_proc_hides_lives_while_its_heart_beats(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As systemd's ProtectProc=invisible hides the supervisor, which has a capability, from all without."""
    shared = Board(file, rows=3)
    shared.sign_in(0)
    assert shared.lives(0) and not board.is_hidden(os.getpid())
    monkeypatch.setattr(board, "born", lambda pid: 0)
    assert not shared.lives(0), "/proc shows it: it is a zombie"
    monkeypatch.setattr(board, "is_hidden", lambda pid: True)
    assert shared.lives(0)
    shared.set(0, "beat", time.monotonic_ns() - int((board.FRESH + 1) * 1e9))
    assert not shared.lives(0)
    shared.set(0, "beat", time.monotonic_ns() + 10**12)  # of before a reboot
    assert not shared.lives(0)


def test_who_is_gone_is_not_hidden(sleeper: subprocess.Popen[bytes]) -> None:
    assert not board.is_hidden(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert not board.is_hidden(sleeper.pid)
