"""The few words a service manager wants to hear (sd_notify(3)). Does nothing where nobody asked.

    READY=1                        all workers serve; again when a reload is over
    RELOADING=1, MONOTONIC_USEC=   a reload was asked for by SIGHUP (the time is what newer managers match it by)
    STOPPING=1                     the orderly end has begun
    STATUS=                        one line for `systemctl status`, sent when it changes
    WATCHDOG=1                     twice as often as $WATCHDOG_USEC asks for

Standard library only: it is the supervisor's. Must not know: what is reloaded, who serves.
"""

from __future__ import annotations

import os
import socket

RELOAD_MOST = 120.0  # a manager must not wait for ever for a reload whose end nobody saw


class Notifier:
    """Takes $NOTIFY_SOCKET and $WATCHDOG_USEC out of the environment, so that children stay out of it."""

    def __init__(self) -> None:
        self._taken = {name: os.environ.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")}
        address, usec, pid = self._taken.values()
        self._address = "\0" + address[1:] if address.startswith("@") else address
        mine = not pid or pid == str(os.getpid())
        self._pause = int(usec) / 2e6 if usec.isdigit() and mine else 0.0
        self._fed = 0.0
        self._status = ""
        self._reload_began: float | None = None
        self._reload_mark = 0

    def environment(self) -> dict[str, str]:
        """What was taken out, for the version that this process goes on as."""
        return {name: text for name, text in self._taken.items() if text}

    def say(self, *lines: str) -> None:
        """Sends lines such as READY=1; a manager that does not listen is no reason to stop serving."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            try:
                out.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                pass

    def feed(self, now: float) -> None:
        """WATCHDOG=1, twice as often as asked for."""
        if self._pause and now - self._fed >= self._pause:
            self._fed = now
            self.say("WATCHDOG=1")

    def ready(self, status: str) -> None:
        self._status = status
        self.say("READY=1", f"STATUS={status}")

    def status(self, text: str) -> None:
        """The line for people; said only when it is another than before."""
        if text != self._status:
            self._status = text
            self.say(f"STATUS={text}")

    def reloading(self, now: float, mark: int) -> None:
        """A reload begins. `mark`: a count that will be another one when it is over."""
        self._reload_began = now
        self._reload_mark = mark
        self.say("RELOADING=1", f"MONOTONIC_USEC={int(now * 1e6)}")

    def watch_reload(self, now: float, mark: int) -> None:
        """READY=1 once the count has moved. After RELOAD_MOST too: what was in force is in force still."""
        if self._reload_began is None:
            return
        if mark != self._reload_mark or now - self._reload_began > RELOAD_MOST:
            self._reload_began = None
            self.say("READY=1")

    def stopping(self) -> None:
        self._reload_began = None
        self.say("STOPPING=1", "STATUS=ending")
