"""`rrdns demo` from beginning to end, and that it leaves nothing behind however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rrdns import wire, zonefile
from rrdns.ui import ask, demo
from rrdns.ui.demo_servers import Web, free_dns_port, free_port

PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("RRDNS_")}


def processes_of(folder: Path) -> list[str]:
    """Living processes that name the folder in their command line or environment."""
    found = []
    for one in Path("/proc").iterdir():
        if one.name.isdigit() and int(one.name) != os.getpid():
            try:
                text = (one / "cmdline").read_bytes() + (one / "environ").read_bytes()
                state = (one / "stat").read_text().rsplit(")", 1)[1].split()[0]
            except OSError:
                continue
            if os.fsencode(folder) in text and state != "Z":
                found.append(f"{one.name}: {text[:200]!r}")
    return found


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A demo whose temporary files, and so whose processes, can be told by the folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "rrdns", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**PLAIN, "TMPDIR": str(folder)},
    )


def gone(folder: Path) -> None:
    deadline = time.monotonic() + 20
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left
    assert not list(folder.glob("rrdns-demo-*"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short: a unix socket's path has room for 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="rrdns-t-") as name:
        yield Path(name)


def test_the_whole_show(folder: Path) -> None:
    process = start(folder, "--quick")
    try:
        text, _ = process.communicate(timeout=110)
    finally:
        process.kill()
    assert process.returncode == 0, text
    for words in ("a different one first", "web3 answered the visit", "kill -9", "web2 has left", "web2 has returned"):
        assert words in text, text
    promised = [float(one) for one in re.findall(r"promised within ([\d.]+) s", text)]
    assert promised == [2.8, 3.9]
    assert len(re.findall(r"after [\d.]+ s  web2 has", text)) == 2
    assert "\x1b" not in text
    gone(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_in_the_middle_it_leaves_nothing(folder: Path, number: int) -> None:
    process = start(folder)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "answers after" in line:
                break
        process.send_signal(number)
        rest = process.stdout.read()
        assert process.wait(60) == 130, rest
        assert "Traceback" not in rest
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    gone(folder)


def test_the_demos_promise_is_that_of_its_own_files() -> None:
    """The files it writes say what the demo promises by."""
    files = {"zones/demo.test.yaml": demo.ZONE.encode(), "zones/pools.yaml": demo.POOLS.format(port=8080).encode()}
    loaded = zonefile.load(files)
    assert loaded.dataset is not None, loaded.problems
    check = loaded.dataset.checks["web"]
    for name in ("interval", "timeout", "fall", "rise", "fast"):
        assert getattr(check, name) == getattr(demo.CHECK, name)
    www = next(one for one in loaded.dataset.zones[wire.name_from_text("demo.test.")].services if one.answers != 1)
    assert (www.ttl, www.ttl_min) == (demo.SERVICE.ttl, demo.SERVICE.ttl_min)
    members = {one.name: (one.addresses[0], one.weight) for one in loaded.dataset.pools["web"].members}
    assert members == demo.MEMBERS


def test_a_web_server_ends_with_its_demo() -> None:
    web = Web("web1", "127.0.0.1", free_port(["127.0.0.1"]))
    web.start()
    process = web.process
    assert process is not None and process.stdin is not None
    process.stdin.close()  # what the kernel does when the demo is killed
    assert process.wait(20) == 0
    web.end()
    assert web.process is None
    web.end()


def test_free_ports() -> None:
    assert 0 < free_port(["127.0.0.11", "127.0.0.12"]) < 65536
    assert 0 < free_dns_port() < 65536


# ---------------------------------------------------------------- the small DNS client


def test_a_question_is_one_our_own_parser_takes() -> None:
    query = wire.parse_query(ask.question("WWW.demo.test", "AAAA"))
    assert isinstance(query, wire.Query) and query.name == wire.name_from_text("www.demo.test.")


def test_a_reply_is_read_and_a_broken_one_refused() -> None:
    question = ask.question("www.demo.test.", "A")
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x14\0\4"
    alias = b"\xc0\x0c\0\5\0\1\0\0\0\x05\0\2\xc0\x0c"
    reply = question[:2] + b"\x84\0\0\1\0\3\0\0\0\0" + question[12:] + alias + record + bytes((127, 0, 0, 1)) + record
    reply += bytes((127, 0, 0, 2))
    assert ask.parse(reply) == ask.Answer(0, ("127.0.0.1", "127.0.0.2"), 20)
    for end in range(12, len(reply)):
        with pytest.raises(ask.BadReply):
            ask.parse(reply[:end])


def test_nobody_answers() -> None:
    with pytest.raises(OSError):
        ask.ask("127.0.0.1", free_dns_port(), "www.demo.test", timeout=0.2)
