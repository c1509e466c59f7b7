"""A worker behind its walls: what a confined process can't do, what it still can, and what the board says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from live import serve, wait_for
from small_zone import question, small_zone
from worker_process import wait_until, worker

import rrdns
from rrdns.server import confine

ONE_NAME = """
'':
  - {type: NS, values: [ns1.lb.example.com.]}
ns1: {type: A, value: 127.0.0.1}
"""

CHILD = """
import os, socket, sys
from rrdns.server.confine import confine
walls = confine(sys.argv[1].split(","))
print(",".join(walls) or "none", flush=True)
inside, link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socketpair()
def tried(what, how):
    try:
        how()
    except OSError as error:
        print(what, "refused" if isinstance(error, PermissionError) else error)
    else:
        print(what, "done")
tried("read", lambda: open(sys.argv[2]))
tried("null", lambda: os.open("/dev/null", os.O_RDONLY))
tried("list", lambda: os.listdir("/"))
tried("write", lambda: open(sys.argv[2] + ".new", "w"))
tried("exec", lambda: os.execv("/bin/true", ["true"]))
tried("dup", lambda: os.dup(2))
tried("bind", lambda: inside.bind(("127.0.0.1", 0)))
tried("pass", lambda: socket.send_fds(link[0], [b"x"], [inside.fileno()]))
tried("memory", lambda: os.memfd_create("program"))
if hasattr(os, "posix_spawn"):
    tried("spawn", lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1] and os.kill(1 << 30, 0))
"""


def child(walls: str, file: Path) -> dict[str, str]:
    """What a program behind these walls could do; skips where the kernel has them not."""
    file.write_text("here")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, walls, str(file)],
        cwd=Path(rrdns.__file__).parents[1], capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    first, *lines = done.stdout.splitlines()
    if first != walls:
        pytest.skip(f"this kernel lets us have {first} of {walls}")
    return dict(line.split(" ", 1) for line in lines)


@pytest.mark.parametrize("walls", ["landlock", "seccomp", "landlock,seccomp"])
def test_behind_the_walls(walls: str, tmp_path: Path) -> None:
    found = child(walls, tmp_path / "file")
    for what in ("read", "null", "list", "write", "exec", "spawn"):
        assert found[what] == "refused", what
    for what in ("dup", "bind", "pass"):
        assert found[what] == "done", what
    assert found["memory"] == ("refused" if "seccomp" in walls else "done")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_kernel_without_walls_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "_call", lambda *arguments: -1)
    assert confine.confine(wanted=()) == ()
    assert not confine._landlock(None) and not confine._seccomp(None)  # type: ignore[arg-type]


def test_the_filter_refuses_what_it_names() -> None:
    """The program run by hand over every number: no jump goes astray."""
    for architecture, _, refused in confine.MACHINES.values():
        code = confine.program(architecture, refused)
        for number in range(1000):
            assert verdict(code, architecture, number) == (number not in refused)
            assert not verdict(code, 0x40000003, number), "a 32-bit program's call"
            assert not verdict(code, architecture, confine.X32 | number)


def verdict(code: bytes, architecture: int, number: int) -> bool:
    """Whether the filter lets a call pass."""
    data, held, at = {0: number, 4: architecture}, 0, 0
    while True:
        word = code[8 * at : 8 * at + 8]
        kind, yes, no = int.from_bytes(word[:2], sys.byteorder), word[2], word[3]
        value = int.from_bytes(word[4:], sys.byteorder)
        at += 1
        if kind == confine.LOAD:
            held = data[value]
        elif kind == confine.RETURN:
            return value == confine.ALLOW
        else:
            at += yes if (held == value if kind == confine.IF_EQUAL else held >= value) else no


def test_a_worker_is_confined_and_serves() -> None:
    with worker(small_zone()) as one:
        assert one.udp(question("www.lb.example.com.")) and one.tcp(question("www.lb.example.com."))
        lines = Path(f"/proc/{one.process.pid}/status").read_text().splitlines()
        told = dict(line.split(":", 1) for line in lines)
        assert told["NoNewPrivs"].strip() == "1"
        wait_until(lambda: one.value("state") == 2)
        if not one.value("confined"):
            pytest.skip("this kernel has neither wall")
        assert told["Seccomp"].strip() == "2" or os.uname().machine not in confine.MACHINES


def test_status_says_so_of_every_worker_and_its_successor() -> None:
    with serve(ONE_NAME, "pools: {}\n") as server:
        for worker_of_them in server.status()["workers"]:
            told = Path(f"/proc/{worker_of_them['pid']}/status").read_text()
            assert worker_of_them["confined"] == ("Seccomp:\t2" in told) and "NoNewPrivs:\t1" in told
        confined = server.status()["workers"][0]["confined"]
        old = server.pid("worker")
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: server.pid("worker") not in (0, old) and server.status()["workers"][0]["state"] == "serving")
        assert server.status()["workers"][0]["confined"] == confined
        assert server.addresses("ns1.lb.example.com.") == {"127.0.0.1"}
        assert ("neither Landlock nor seccomp" in server.run("status").stdout) == (not confined)
