"""How long a worker lets queries gather before it takes the next batch, as a network card does with its interrupts.

A turn costs some 30 us whatever it brings: system calls, an interpreter whose code has left the cache. Shared by many
queries that is little; shared by three it is most of the work. A wait spares CPU and costs the clients that time:

  the CPU is                  queries of a batch    wait       why
  its own                     up to 16              none       under 100,000 a second: latency is what counts
                              17 to 63              0.1 ms
  wanted by others as well    up to 2               none
                              3 to 63               0.3 ms     the turns spared are what the others need; a worker that
                                                               has had its share waits 3 to 30 ms for the CPU
  either                      64, a full one        none       there is more already

Which of the two it is the kernel tells: the time this process stood ready and did not run. Must not know: DNS, sockets.
"""

from __future__ import annotations

import os
import select

from rrdns.server.udp import BATCH

OWN = (16, 1e-4)  # queries, seconds (the kernel adds up to half of 0.1 ms)
SHARED = (2, 3e-4)
CROWDED, FREE = 0.05, 0.01  # of the time ready but not running: above the first the CPU is shared, below the other not
EVERY = 1.0  # seconds over which it is judged
SCHEDSTAT = "/proc/self/schedstat"  # running, ready but not running (both ns), times it ran: proc(5)


class Gathering:
    """Made before the worker is confined, since it opens a file. Without that file the CPU counts as its own."""

    def __init__(self, now: float) -> None:
        self.few, self.wait = OWN
        try:
            self._file = os.open(SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # a kernel without CONFIG_SCHED_INFO
            self._file = -1
        self._since, self._waited = now, self._waited_so_far()

    def more(self, took: int) -> bool:
        """After a batch of so many: whether to take another at once. Has waited where it says yes to a small one."""
        if took <= self.few:
            return False
        if took < BATCH:
            select.select((), (), (), self.wait)  # a span; `time.sleep` is till a time, which libfaketime gets wrong
        return True

    def judge(self, now: float) -> None:
        """Now and then: whose CPU it is."""
        if now - self._since < EVERY:
            return
        waited = self._waited_so_far()
        share = (waited - self._waited) / (now - self._since)
        self._since, self._waited = now, waited
        if share > CROWDED:
            self.few, self.wait = SHARED
        elif share < FREE:
            self.few, self.wait = OWN

    def _waited_so_far(self) -> float:
        """Seconds since the process began."""
        return int(os.pread(self._file, 100, 0).split()[1]) / 1e9 if self._file >= 0 else 0.0
