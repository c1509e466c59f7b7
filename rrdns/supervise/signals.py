"""Signals as numbers that the supervisor's loop reads. Must not know: what each of them means."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from collections.abc import Iterator, Sequence

from rrdns.supervise.upgrade import SIGNAL as UPGRADE


class Signals:
    """Signals as numbers to be read in the loop, not as interruptions in the middle of something."""

    CAUGHT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, UPGRADE)

    def __init__(self) -> None:
        self._reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for one in self.CAUGHT:
            signal.signal(one, lambda number, frame: None)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def wait(self, seconds: float, claims: Sequence[socket.socket] = ()) -> Iterator[int]:
        """Those that came within that time. Who knocks at a claim only wants to know our pid: let go at once."""
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        at = {claim.fileno(): claim for claim in claims}
        for number in at:
            poll.register(number, select.POLLIN)
        for number, _ in poll.poll(seconds * 1000):
            if number != self._reader:
                with contextlib.suppress(OSError):
                    at[number].accept()[0].close()
                continue
            yield from os.read(self._reader, 256)
