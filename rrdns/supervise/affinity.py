"""Socket affinity: a query goes to the worker of the CPU that received it. Floor 4, standard library only.

Usually the kernel deals queries out among the workers' SO_REUSEPORT sockets by a hash of the client. With a filter on
the group it is the number of the CPU that its packet came in on; nobody is then woken on another core. Right where a
network card spreads its queues over the CPUs the workers have; where all comes in on one, one worker would have all
the work, so it is an option. A number that no socket has (parked, not opened yet) falls back to the hash.
Must not know: what a worker is.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
from collections.abc import Iterable, Sequence

ATTACH, DETACH = 51, 68  # SO_ATTACH_REUSEPORT_CBPF, SO_DETACH_REUSEPORT_BPF; Python has no names for them

# bpf: load word, jump if equal, modulo, return a constant, return what was loaded
LOAD, IF_EQUAL, MODULO, RETURN, RETURN_IT = 0x20, 0x15, 0x94, 0x06, 0x16
CPU = 0xFFFFF000 + 36  # SKF_AD_OFF + SKF_AD_CPU: not a place in the packet


def program(cpus: Sequence[int]) -> bytes:
    """From the CPU a packet came in on to the place of its socket in the group: that of the CPU in `cpus`, and for
    other CPUs each in turn. 8 bytes an instruction."""
    lines = [(LOAD, 0, 0, CPU)]
    for place, cpu in enumerate(cpus):
        lines += [(IF_EQUAL, 0, 1, cpu), (RETURN, 0, 0, place)]
    lines += [(MODULO, 0, 0, len(cpus)), (RETURN_IT, 0, 0, 0)]
    return b"".join(struct.pack("HBBI", *line) for line in lines)


def bind(group: Iterable[socket.socket], cpus: Sequence[int]) -> None:
    """Puts the filter on the groups of these sockets; OSError where the kernel (before 4.6) has none."""
    code = program(cpus)
    held = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(held))
    for sock in group:
        sock.setsockopt(socket.SOL_SOCKET, ATTACH, header)


def loosen(group: Iterable[socket.socket]) -> None:
    """Takes it away, as an earlier server may have put it there."""
    for sock in group:
        with contextlib.suppress(OSError):  # there is none, or a kernel that has no word for it
            sock.setsockopt(socket.SOL_SOCKET, DETACH, 0)
