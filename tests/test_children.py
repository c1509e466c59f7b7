"""The supervisor's judgements in pretended time: who hangs, who loops, who is parked."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rrdns.board import CONTROL, STARTING, Board, born
from rrdns.supervise import children, sockets
from rrdns.supervise.children import Child, Post


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "board", rows=3)


@pytest.fixture
def child(board: Board) -> Child:
    made = Child("control", CONTROL, board, [sys.executable, "-c", "pass"], os.environ)
    deadline = time.monotonic() + 30
    while made.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return made


def test_child_is_on_the_board_from_the_start(board: Board) -> None:
    child = Child("control", CONTROL, board, [sys.executable, "-c", "input()"], os.environ)
    try:
        assert (board.get(CONTROL, "pid"), board.get(CONTROL, "state")) == (child.pid, STARTING)
        assert board.get(CONTROL, "born") == born(child.pid) != 0
        assert os.getsid(child.pid) == child.pid  # ^C at the terminal is not for it
    finally:
        child.signal(9)
        child._process.wait()


def test_child_that_cannot_start_is_no_process_of_the_board(board: Board) -> None:
    with pytest.raises(FileNotFoundError):
        Child("control", CONTROL, board, ["/no/such/program"], os.environ)
    assert board.get(CONTROL, "pid") == 0


def test_silence_counts_from_the_beat_or_from_our_own_return(board: Board, child: Child) -> None:
    start = child.started
    assert not child.hangs(start + 9.9, 0, limit=2.0)  # until its first beat it has more time
    assert child.hangs(start + 10.1, 0, limit=2.0)
    board.set(CONTROL, "beat", int((start + 5) * 1e9))
    assert not child.hangs(start + 6.9, 0, limit=2.0)
    assert child.hangs(start + 7.1, 0, limit=2.0)
    assert not child.hangs(start + 60, forgiven=start + 59, limit=2.0)


def post() -> Post:
    return Post(0, socket.socket(socket.AF_UNIX), cpu=3)


def test_three_deaths_in_ten_seconds_are_a_loop() -> None:
    place = post()
    assert [place.bury(now, lived=1.0) for now in (100.0, 104.0, 109.9)] == [1, 2, 3]
    assert place.bury(115.0, lived=1.0) == 2
    assert [children.pause_after(deaths) for deaths in (1, 2, 3, 4, 5, 6, 99)] == [0, 0, 0.1, 0.2, 0.4, 0.5, 0.5]


def test_parking_gets_longer_until_a_long_life() -> None:
    place = post()
    waits = []
    for _ in range(5):
        waits.append(place.park(now=100.0))
    assert waits == [10, 20, 40, 60, 60] and place.parked and place.due == 160.0
    place.bury(500.0, lived=61.0)
    assert place.park(500.0) == 10.0
    assert place.park(500.0, wait=0.0) == 0.0 and place.park(500.0) == 20.0


def test_post_opens_only_what_it_lacks() -> None:
    place = post()
    udp, tcp = sockets.open_pair(("127.0.0.1", 0))  # the pair holds the port while we lack one of it
    address = sockets.address_of(udp)
    place.sockets = [udp]
    assert place.lacks([address]) == [(address, socket.SOCK_STREAM)]
    place.fill([address])
    assert place.lacks([address]) == [] and len(place.sockets) == 2
    words = place.arguments()
    assert words[0::2] == ["--link", "--udp", "--tcp", "--cpu"] and words[-1] == "3"
    assert sorted(place.fds()) == sorted(int(word) for word in words[1:6:2])
    place.close()
    assert place.sockets == [] and udp.fileno() == -1
    tcp.close()


def test_children_import_nothing_from_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('taken in')")
    command = [*children.command("json.tool"), "--help"]
    ran = subprocess.run(command, cwd=tmp_path, env=children.environment(X="1"), capture_output=True, text=True)
    assert ran.returncode == 0 and "taken in" not in ran.stderr


def test_how_it_ended() -> None:
    assert children.how_it_ended(-9) == "died by signal 9 (SIGKILL)"
    assert children.how_it_ended(2) == "ended with code 2"
    assert children.how_it_ended(None) == "hangs in the kernel"


def test_strangers_are_reaped_and_our_own_are_left() -> None:
    """In a process of its own: it would take away the children of other tests."""
    code = """
import os, time
from rrdns.supervise import children, sockets
from rrdns.board import born

def dead(code):
    pid = os.fork()
    if not pid:
        os._exit(code)
    while born(pid):
        time.sleep(0.01)
    return pid

ours = dead(7)
children.reap_strangers([ours])
assert os.waitstatus_to_exitcode(os.waitpid(ours, os.WNOHANG)[1]) == 7
stranger = dead(0)
children.reap_strangers([1])
try:
    os.waitpid(stranger, os.WNOHANG)
except ChildProcessError:
    print("reaped")
"""
    ran = subprocess.run([sys.executable, "-c", code], env=children.environment(), capture_output=True, text=True)
    assert ran.stdout == "reaped\n", ran.stderr
