"""The few words a service manager wants to hear (sd_notify(3)). Does nothing where nobody asked."""

from __future__ import annotations

import os
import socket


class Notifier:
    """Takes $NOTIFY_SOCKET and $WATCHDOG_USEC out of the environment, so that children stay out of it."""

    def __init__(self) -> None:
        address = os.environ.pop("NOTIFY_SOCKET", "")
        usec = os.environ.pop("WATCHDOG_USEC", "")
        pid = os.environ.pop("WATCHDOG_PID", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        mine = not pid or pid == str(os.getpid())
        self._pause = int(usec) / 2e6 if usec.isdigit() and mine else 0.0
        self._fed = 0.0

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
