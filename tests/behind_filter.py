"""`behind_filter.py RULES COMMAND...`: runs a command behind the seccomp filter that systemd would make of a unit.

RULES is a JSON file: `allowed` (system call numbers of x86-64) and `families` (of socket). MemoryDenyWriteExecute is
always on. It stands for systemd itself, which needs to be pid 1; the rules are those of systemd 252's source.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import struct
import sys
from pathlib import Path

LOAD, IF_EQUAL, IF_SET, AND, RETURN = 0x20, 0x15, 0x45, 0x54, 0x06
ALLOW, REFUSE, NO_FAMILY = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.EAFNOSUPPORT
ARCHITECTURE = 0xC000003E
MMAP, MPROTECT, SHMAT, SOCKET, PKEY_MPROTECT = 9, 10, 30, 41, 329
WRITE_AND_EXEC, EXEC, SHM_EXEC = 0b110, 0b100, 0o100000

Line = tuple[int, int, int, int]


def program(allowed: list[int], families: list[int]) -> list[Line]:
    lines: list[Line] = [(LOAD, 0, 0, 4), (IF_EQUAL, 1, 0, ARCHITECTURE), (RETURN, 0, 0, REFUSE), (LOAD, 0, 0, 0)]
    # number -> its own block; each block ends in a return or goes on with the number loaded again
    lines += [(IF_EQUAL, 0, 5, MMAP), (LOAD, 0, 0, 32), (AND, 0, 0, WRITE_AND_EXEC)]
    lines += [(IF_EQUAL, 0, 1, WRITE_AND_EXEC), (RETURN, 0, 0, REFUSE), (LOAD, 0, 0, 0)]
    for number, flag in ((MPROTECT, EXEC), (PKEY_MPROTECT, EXEC), (SHMAT, SHM_EXEC)):
        lines += [(IF_EQUAL, 0, 4, number), (LOAD, 0, 0, 32), (IF_SET, 0, 1, flag), (RETURN, 0, 0, REFUSE)]
        lines += [(LOAD, 0, 0, 0)]
    lines += [(IF_EQUAL, 0, len(families) + 3, SOCKET), (LOAD, 0, 0, 16)]
    lines += [(IF_EQUAL, len(families) - at, 0, one) for at, one in enumerate(families)]
    lines += [(RETURN, 0, 0, NO_FAMILY), (LOAD, 0, 0, 0)]
    for number in allowed:
        lines += [(IF_EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    return [*lines, (RETURN, 0, 0, REFUSE)]


def main() -> None:
    rules = json.loads(Path(sys.argv[1]).read_text())
    code = b"".join(struct.pack("HBBI", *line) for line in program(rules["allowed"], rules["families"]))
    held = ctypes.create_string_buffer(code, len(code))
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(held))
    # PR_SET_NO_NEW_PRIVS, then PR_SET_SECCOMP with SECCOMP_MODE_FILTER
    if libc.prctl(38, *map(ctypes.c_ulong, (1, 0, 0, 0))) or libc.prctl(22, ctypes.c_ulong(2), header):
        sys.exit(f"no filter: {os.strerror(ctypes.get_errno())}")
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
