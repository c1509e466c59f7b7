"""A worker's turn on the CPU: short, and so soon. Standard library only.

Linux 6.12 and later let a process say how long it wants to run at a time (sched_setattr(2), `sched_runtime` of a
normal process). One that asks for less than who runs now takes the CPU from it as soon as it has something to do, as
far as its share goes; without that it waits for the end of the other's 1.4 to 3 ms: control's, when a large pool is
decided, or a load's. Its share of the CPU stays the same. Older kernels take the call and change nothing.
Must not know: DNS, the worker.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

TURN = 100_000  # nanoseconds, the shortest there is
_NUMBERS = {"x86_64": 314, "aarch64": 274}  # of sched_setattr
_ATTRIBUTES = "IIQiIQQQ"  # struct sched_attr: size, policy, flags, nice, priority; runtime, deadline, period


def ask_for_short_turns() -> bool:
    """Whether the kernel has taken it. One that somebody has put into another scheduling class is left alone."""
    number = _NUMBERS.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    size = struct.calcsize(_ATTRIBUTES)
    attributes = struct.pack(_ATTRIBUTES, size, os.SCHED_OTHER, 0, nice, 0, TURN, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(ctypes.c_long(number), 0, attributes, 0)) == 0
