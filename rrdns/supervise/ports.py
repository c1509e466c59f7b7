"""Who has a port, and claiming an address against another rrdns. Floor 4, standard library only.

SO_REUSEPORT lets a second server of the same user in unnoticed and gives it half of the clients. So an address
is *claimed* first: an abstract unix socket, atomic, gone with its holder, and it tells the holder's pid. Other
programs are named from the kernel's tables in /proc. Must not know: how DNS sockets are made.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

Address = tuple[str, int]
TCP_LISTEN = "0A"  # state in /proc/net/tcp


class SocketError(Exception):
    """An address cannot be served; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a port: one socket of /proc/net, and its process where we may see it (pid 0: we may not)."""

    inode: int
    uid: int
    pid: int = 0
    name: str = ""
    run_folder: str = ""
    """Set if it is a worker of rrdns: the folder its server ran on."""

    def __str__(self) -> str:
        if self.run_folder:
            return f"a worker of rrdns (pid {self.pid}; a start with --state {self.run_folder} takes over from it)"
        if self.pid:
            return f"{self.name} (pid {self.pid})"
        return f"a process of user id {self.uid} (only root can see which)"


def text(address: Address) -> str:
    """127.0.0.1:53, [::1]:53."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def canonical(address: Address) -> Address:
    """The address as the kernel writes it; SocketError if it is none."""
    host, port = address
    try:
        ip = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        raise SocketError(f"{host!r} is no IP address to listen on: write 192.0.2.1:53 or [2001:db8::1]:53") from None
    if not 0 <= port <= 65535:
        raise SocketError(f"{host}: port {port} is not between 0 and 65535")
    return (str(ip), port)


def is_wildcard(address: Address) -> bool:
    return ipaddress.ip_address(address[0]).is_unspecified


def holders(address: Address, protocol: str, exact: bool = False) -> list[Holder]:
    """The sockets that serve `address`, or for not `exact`, where there are none, what else may be in its way:
    for IPv4 a server on [::], which covers both families or not, and a TCP connection that left from this port.
    """
    ip = ipaddress.ip_address(address[0])
    table = protocol + ("6" if ip.version == 6 else "")
    found = list(_sockets(table, ip, address[1]))
    if not exact and not found and ip.version == 4:
        found = list(_sockets(protocol + "6", ipaddress.IPv6Address(0), address[1]))
    if not exact and not found:
        found = list(_sockets(table, ip, address[1], listening=False))
    pids = _processes({one.inode for one in found})
    return [_named(one, pid) for one in found for pid in (pids.get(one.inode) or [0])]


def _sockets(
    table: str, ip: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, listening: bool = True
) -> Iterator[Holder]:
    try:
        lines = Path("/proc/net", table).read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        host, _, hexport = fields[1].partition(":")
        if int(hexport, 16) != port or (listening and table.startswith("tcp") and fields[3] != TCP_LISTEN):
            continue
        there = _address(host)
        if there == ip or there.is_unspecified or ip.is_unspecified:
            yield Holder(inode=int(fields[9]), uid=int(fields[7]))


def _address(word: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """/proc/net writes addresses as 32-bit words in the machine's own byte order."""
    packed = b"".join(struct.pack("=I", int(word[at : at + 8], 16)) for at in range(0, len(word), 8))
    return ipaddress.ip_address(packed)


def _processes(inodes: Collection[int]) -> dict[int, list[int]]:
    links = {f"socket:[{one}]": one for one in inodes}
    found: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*") if inodes else ():
        for link in _open_files(folder) & links.keys():
            found.setdefault(links[link], []).append(int(folder.name))
    return found


def _open_files(process: Path) -> set[str]:
    """What the descriptors of a process point to; empty for one that is gone or another user's."""
    held: set[str] = set()
    with contextlib.suppress(OSError):
        for entry in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                held.add(str(entry.readlink()))
    return held


def _named(holder: Holder, pid: int) -> Holder:
    if not pid:
        return holder
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return holder
    is_worker = "--board" in words[:-1] and "--link" in words
    board = words[words.index("--board") + 1] if is_worker else ""
    return Holder(holder.inode, holder.uid, pid, name, str(Path(board).parent) if board else "")


# -- claiming an address -------------------------------------------------------------------------------------------


def claim(address: Address, users: Collection[int] = ()) -> socket.socket:
    """The lock on an address over all rrdns of this network namespace; held while the socket is open.

    SocketError names the pid if another server has it, or one that overlaps (a wildcard). Only the word of
    `users`, root and ourselves counts: a name squatted by somebody else is no lock, and not needed, since
    SO_REUSEPORT shares with nobody but the same user, so that opening the port finds such a server.
    """
    trusted = {0, os.geteuid(), *users}
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    lock.setblocking(False)
    try:
        for _ in range(3):  # a holder may end between the bind and the question
            try:
                lock.bind(_claim_name(address))
                lock.listen(16)
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise SocketError(f"{text(address)} cannot be claimed: {error.strerror}") from error
                _refuse(address, address, trusted)
        for other in _claims(address[1]):
            if other != address and (is_wildcard(other) or is_wildcard(address)) and _same_family(other, address):
                _refuse(address, other, trusted)
    except BaseException:
        lock.close()
        raise
    return lock


def _refuse(address: Address, other: Address, trusted: Collection[int]) -> None:
    """SocketError if `other` is held by someone whose word counts."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as ask:
        ask.setblocking(False)
        try:
            ask.connect(_claim_name(other))
        except ConnectionRefusedError:
            return  # it ended this very moment
        except BlockingIOError:
            who = ""  # too many ask at once
        else:
            pid, uid = peer(ask)
            if uid not in trusted:
                return
            who = f" (pid {pid})"
    raise SocketError(f"{text(address)} is served by another rrdns{who}: stop it, or use --listen")


def _same_family(one: Address, other: Address) -> bool:
    return (":" in one[0]) == (":" in other[0])


def _claim_name(address: Address) -> str:
    return f"\0rrdns:{address[0]}:{address[1]}"


def _claims(port: int) -> Iterator[Address]:
    """All claims on the port with an address of either kind, from /proc/net/unix."""
    try:
        lines = Path("/proc/net/unix").read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, found, name = line.partition(" @rrdns:")
        host, _, number = name.rpartition(":")
        if found and number == str(port):
            with contextlib.suppress(SocketError):
                yield canonical((host, port))


def peer(sock: socket.socket) -> tuple[int, int]:
    """(pid, uid) of the other end of a unix socket."""
    pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid
