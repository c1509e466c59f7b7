"""Confine: after its start a worker opens no file and starts no program, for good. Standard library only.

Two walls of the kernel, each alone enough against `open` and `exec`, and both put up where both are there:

  Landlock   (5.13+) no rule is given, so nothing below `/` may be opened, made, renamed or executed; from 6.7
             no TCP port may be bound or connected to, from 6.12 no foreign process signalled
  seccomp    a filter on system call numbers; it also stops a program run from memory (memfd_create, execveat),
             and is there in old kernels and in containers where Landlock is not

What is open stays usable: the DNS sockets, the board, the unix socket, stderr; accept, dup and sockets passed on
need no `open`. What is imported later is not found any more, so this comes last. Must not know: DNS, the worker.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Collection

PR_SET_NO_NEW_PRIVS = 38

# landlock(7); the numbers are the same on every architecture that Python and Linux share
CREATE_RULESET, RESTRICT_SELF, VERSION_FLAG = 444, 446, 1
FS_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many access bits a version knows
FS_RIGHTS_NOW = 16  # from version 5 on, with IOCTL_DEV
NET_RIGHTS = 0b11  # bind and connect TCP, from version 4 on
SCOPED = 0b11  # abstract unix sockets and signals, from version 6 on

# seccomp(2), bpf: load word, jump if equal, jump if greater or equal, return
SET_MODE_FILTER, SPEC_ALLOW = 1, 4
LOAD, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
X32 = 0x40000000  # the second set of numbers that x86-64 kernels may take

# architecture -> its AUDIT_ARCH, the number of seccomp itself, and what is refused:
# open creat openat openat2 open_by_handle_at, execve execveat memfd_create, ptrace io_uring_setup
MACHINES = {
    "x86_64": (0xC000003E, 317, (2, 85, 257, 437, 304, 59, 322, 319, 101, 425)),
    "aarch64": (0xC00000B7, 277, (56, 437, 265, 221, 281, 279, 117, 425)),
}


def confine(wanted: Collection[str] = ("landlock", "seccomp")) -> tuple[str, ...]:
    """Puts up the walls there are and names them; empty where the kernel has none. There is no way back."""
    if not sys.platform.startswith("linux"):
        return ()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    # The supervisor has done it; started otherwise, neither wall may be put up without.
    if libc.prctl(PR_SET_NO_NEW_PRIVS, *(ctypes.c_ulong(one) for one in (1, 0, 0, 0))):
        return ()
    walls = (("landlock", _landlock), ("seccomp", _seccomp))
    return tuple(name for name, put_up in walls if name in wanted and put_up(libc))


def _landlock(libc: ctypes.CDLL) -> bool:
    """False: not in this kernel, switched off, or hidden by a container (ENOSYS, EOPNOTSUPP, EPERM)."""
    version = _call(libc, CREATE_RULESET, None, 0, VERSION_FLAG)
    if version < 1:
        return False
    handled = [(1 << FS_RIGHTS.get(version, FS_RIGHTS_NOW)) - 1]
    if version >= 4:
        handled.append(NET_RIGHTS)
    if version >= 6:
        handled.append(SCOPED)
    ruleset = struct.pack(f"{len(handled)}Q", *handled)
    fd = _call(libc, CREATE_RULESET, ruleset, len(ruleset), 0)
    if fd < 0:
        return False
    try:
        return _call(libc, RESTRICT_SELF, fd, 0) == 0
    finally:
        os.close(fd)


def _seccomp(libc: ctypes.CDLL) -> bool:
    """False: no such kernel, or a machine whose numbers we do not know."""
    machine = platform.machine()
    if machine not in MACHINES or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    architecture, number, refused = MACHINES[machine]
    code = program(architecture, refused)
    held = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(held))
    return _call(libc, number, SET_MODE_FILTER, SPEC_ALLOW, header) == 0


def program(architecture: int, refused: tuple[int, ...]) -> bytes:
    """The filter, over struct seccomp_data (number at 0, architecture at 4): 8 bytes an instruction."""
    count = len(refused)
    lines = [
        (LOAD, 0, 0, 4),
        (IF_EQUAL, 0, count + 3, architecture),  # another architecture's numbers mean other things: refuse
        (LOAD, 0, 0, 0),
        (IF_AT_LEAST, count + 1, 0, X32),
        *((IF_EQUAL, count - at, 0, one) for at, one in enumerate(refused)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    ]
    return b"".join(struct.pack("HBBI", *line) for line in lines)


def _call(libc: ctypes.CDLL, number: int, *arguments: bytes | int | None) -> int:
    """A system call; -1 when it fails."""
    passed = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return int(libc.syscall(ctypes.c_long(number), *passed))
