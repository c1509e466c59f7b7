"""Clock: one instant on the monotonic and on the wall clock, and how long ago an earlier one was.

Everything is decided in monotonic seconds; wall time is for people and for the disk. What is kept on disk is
kept as the monotonic times it was, with the Moment it was kept at: within one boot a step of the wall clock
then changes nothing, and after a reboot the wall clock tells how long the machine was away.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path


def boot_id() -> str:
    """Changes with each boot, "" where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant. `boot` names the boot that `mono` counts from."""

    boot: str
    mono: float
    wall: float

    def since(self, earlier: Moment) -> float:
        """Seconds from `earlier` to here; negative only when the wall clock went back over a reboot."""
        if self.boot and self.boot == earlier.boot:
            return self.mono - earlier.mono
        return self.wall - earlier.wall

    def of(self, mono: float, kept_at: Moment) -> float:
        """The monotonic time `mono`, kept at `kept_at`, on this boot's monotonic clock (perhaps negative)."""
        return self.mono - self.since(kept_at) - (kept_at.mono - mono)

    def wall_of(self, mono: float) -> float:
        """Unix seconds of a monotonic time of this boot."""
        return self.wall - (self.mono - mono)


class Clock:
    """Reads the clocks; the one place where control does."""

    def __init__(self) -> None:
        self._boot = boot_id()

    def now(self) -> float:
        return time.monotonic()

    def moment(self) -> Moment:
        return Moment(self._boot, time.monotonic(), time.time())
