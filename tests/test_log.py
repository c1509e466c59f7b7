"""Log lines as text, for the journal and as JSON; a reader that does not read stops nobody. And sd_notify."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rrdns import log
from rrdns.log import logger
from rrdns.supervise.systemd import Notifier


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logger.level)
    yield
    root.handlers[:], root.level, logger.level = before


def lines(tmp_path: Path, **options: str) -> list[str]:
    fd = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    log.setup("worker 0", fd=fd, **options)
    logger.debug("too small")
    logger.warning("web1 %s", "down", extra={"fields": {"pool": "web", "message": "no"}})
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logger.exception("unexpected")
    os.close(fd)
    return (tmp_path / "log").read_text().splitlines()


def test_text(tmp_path: Path) -> None:
    said = lines(tmp_path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d WARNING worker 0: web1 down", said[0])
    assert said[1].endswith("ERROR worker 0: unexpected") and said[-1] == "lines"


def test_journal_gets_priorities_on_every_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log").touch()
    there = (tmp_path / "log").stat()
    monkeypatch.setenv("JOURNAL_STREAM", f"{there.st_dev}:{there.st_ino}")
    said = lines(tmp_path)
    assert said[0] == "<4>worker 0: web1 down"
    assert all(line.startswith("<3>worker 0: ") for line in said[1:])


def test_json(tmp_path: Path) -> None:
    said = [json.loads(line) for line in lines(tmp_path, log_format="json", log_level="debug")]
    assert [one["level"] for one in said] == ["debug", "warning", "error"]
    assert said[1]["message"] == "web1 down" and said[1]["pool"] == "web" and said[1]["process"] == "worker 0"
    assert "ValueError: two" in said[2]["exception"]


def test_full_pipe_never_stops_us_and_losses_are_told() -> None:
    reader, writer = os.pipe()
    log.setup("worker 0", fd=writer)
    for _ in range(200):
        logger.info("x" * 1000)
    while len(os.read(reader, 1 << 20)) == 1 << 16:
        pass
    logger.info("back")
    os.set_blocking(reader, False)
    said = os.read(reader, 1 << 20).decode()
    assert re.search(r"rrdns: 1\d\d log lines were lost, nobody read them\n", said) and said.endswith("back\n")
    os.close(reader)
    logger.info("nobody is there")
    os.close(writer)
    logger.info("not even a pipe")


def test_notify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "n"))
    manager.settimeout(10)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    notifier = Notifier()
    assert "NOTIFY_SOCKET" not in os.environ and "WATCHDOG_USEC" not in os.environ
    notifier.say("READY=1", "STATUS=well")
    for now in (10.0, 10.5, 10.9, 11.0, 11.5):
        notifier.feed(now)
    manager.setblocking(False)
    assert [manager.recv(100) for _ in range(3)] == [b"READY=1\nSTATUS=well", b"WATCHDOG=1", b"WATCHDOG=1"]
    with pytest.raises(BlockingIOError):
        manager.recv(100)
    manager.close()
    notifier.say("READY=1")  # the manager is gone: no matter


def test_nobody_asked_for_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().say("READY=1")
