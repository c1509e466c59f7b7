"""Logging for every process: plain lines or JSON to stderr. Floor 4, standard library only.

A process that only wants to say something must never be stopped by who listens: a line that stderr cannot
take at once (a full pipe, a stopped terminal, a reader that is gone) is dropped, and the next one that gets
through says how many were lost. Must not know: what is logged.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import select
import sys

logger = logging.getLogger("rrdns")

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
# sd-daemon(3): the journal takes the priority of a line from its prefix
PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def setup(process: str, log_format: str = "text", log_level: str = "info", fd: int | None = None) -> logging.Logger:
    """Makes `logger` (and what goes to the root logger) write lines in the name of `process`."""
    where = _stderr() if fd is None else fd
    handler = Lines(where)
    handler.setFormatter(Json(process) if log_format == "json" else Text(process, journal=_is_journal(where)))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logger.setLevel(LEVELS.get(log_level, logging.INFO))
    return logger


class Lines(logging.Handler):
    """Writes whole lines to a file descriptor and never waits for it."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self.fd = fd
        self.lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # a wrong log call must not end a server
            line = f"rrdns: a log line could not be written out: {record.msg!r}: {error!r}"
        if self.lost and self._write(f"rrdns: {self.lost} log lines were lost, nobody read them\n"):
            self.lost = 0
        if not self._write(line + "\n"):
            self.lost += 1

    def _write(self, text: str) -> bool:
        data = text.encode("utf-8", "backslashreplace")
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        try:
            while data:
                if not any(mask & select.POLLOUT for _, mask in poll.poll(0)):
                    return False
                # a pipe that is writable takes PIPE_BUF bytes without waiting
                data = data[os.write(self.fd, data[: select.PIPE_BUF]) :]
        except OSError:
            return False
        return True


class Text(logging.Formatter):
    """`2026-11-22 12:00:01 INFO supervisor: ...`; for the journal `<6>supervisor: ...`, it knows the time."""

    def __init__(self, process: str, journal: bool = False) -> None:
        super().__init__("%(message)s")
        self.process = process
        self.journal = journal

    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        if self.journal:
            prefix = f"<{PRIORITIES.get(record.levelno, 6)}>"
            return "\n".join(f"{prefix}{self.process}: {line}" for line in message.split("\n"))
        stamp = self.formatTime(record, "%Y-%m-%d %H:%M:%S")
        return f"{stamp} {record.levelname} {self.process}: {message}"


class Json(logging.Formatter):
    """One JSON object a line. `extra={"fields": {...}}` of a log call becomes keys of its own."""

    def __init__(self, process: str) -> None:
        super().__init__("%(message)s")
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        data: dict[str, object] = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self.process,
            "pid": record.process,
            "message": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            data.update((str(key), value) for key, value in fields.items() if key not in data)
        if record.exc_info:
            data["exception"] = self.formatException(record.exc_info)
        return json.dumps(data, ensure_ascii=False, default=str)


def _stderr() -> int:
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return 2


def _is_journal(fd: int) -> bool:
    """Whether `fd` is the journal's stream: JOURNAL_STREAM (systemd.exec(5)) is inherited by shells as well."""
    try:
        status = os.fstat(fd)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
