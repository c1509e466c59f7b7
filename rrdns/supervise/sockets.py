"""The DNS sockets: making them, what each is set to, passing them on. Floor 4, standard library only.

Each worker has one UDP and one TCP socket of its own per address, all with SO_REUSEPORT, so that the kernel
shares the clients out. The supervisor keeps every one of them: the socket outlives its worker together with
what has queued in it. Must not know: DNS messages, processes and their fate.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Collection
from pathlib import Path

from rrdns.supervise.ports import Address, SocketError, canonical, holders, is_wildcard, text

DEFAULT_PORT = 5300
BACKLOG = 1024
RECEIVE_BUFFER = 4 << 20
DEFER_ACCEPT = 10  # seconds: a client that connects and says nothing never reaches accept
HAND = b"HAND"
MAX_FDS = 253  # SCM_MAX_FD of the kernel

# Linux numbers that Python's socket module does not carry everywhere
IP_MTU_DISCOVER, IP_PKTINFO, PMTUDISC_OMIT, IPV6_MTU_DISCOVER = 10, 8, 5, 23


def wanted(listen: Collection[Address]) -> tuple[Address, ...]:
    """The addresses to serve, each once: those given, else 127.0.0.1:5300 and, where it exists, [::1]:5300."""
    if listen:
        return tuple(dict.fromkeys(canonical(one) for one in listen))
    here: list[Address] = [("127.0.0.1", DEFAULT_PORT)]
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
        here.append(("::1", DEFAULT_PORT))
    except OSError:
        pass  # no IPv6 on this machine: nothing to serve there
    return tuple(here)


# -- making ----------------------------------------------------------------------------------------------------


def open_udp(address: Address, shared: bool = True) -> socket.socket:
    """A bound, non-blocking UDP socket. `shared` False: without SO_REUSEPORT, to probe who is there."""
    sock = _make(address, socket.SOCK_DGRAM)
    try:
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # the kernel grants what rmem_max allows and says no error; twice what it grants is accounted
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        six = sock.family == socket.AF_INET6
        if is_wildcard(address):
            # the reply has to leave from the address that was asked
            level, option = (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO) if six else (socket.IPPROTO_IP, IP_PKTINFO)
            sock.setsockopt(level, option, 1)
        # a forged "fragmentation needed" must not shrink answers: no path MTU is learned or obeyed on this socket
        level, option = (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER) if six else (socket.IPPROTO_IP, IP_MTU_DISCOVER)
        with contextlib.suppress(OSError):  # unknown to kernels before 3.15: then as they do it
            sock.setsockopt(level, option, PMTUDISC_OMIT)
        _bind(sock, address, "udp")
    except BaseException:
        sock.close()
        raise
    return sock


def open_tcp(address: Address, shared: bool = True) -> socket.socket:
    """A listening, non-blocking TCP socket. `shared` False: bound only, without SO_REUSEPORT."""
    sock = _make(address, socket.SOCK_STREAM)
    try:
        # connections of an earlier server in TIME_WAIT are no reason to wait a minute
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER_ACCEPT)
        _bind(sock, address, "tcp")
        if shared:
            sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def open_pair(address: Address) -> tuple[socket.socket, socket.socket]:
    """UDP and TCP on one port; with port 0 on a free one that both can have."""
    for attempt in range(20):
        udp = open_udp(address)
        try:
            return udp, open_tcp((address[0], udp.getsockname()[1]))
        except SocketError:
            udp.close()
            if address[1] or attempt == 19:
                raise
    raise AssertionError


def address_of(sock: socket.socket) -> Address:
    host, port = sock.getsockname()[:2]
    return canonical((host, port))


def inode(sock: socket.socket) -> int:
    return os.fstat(sock.fileno()).st_ino


def _make(address: Address, kind: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        sock = socket.socket(family, kind)
    except OSError as error:
        raise SocketError(f"{text(address)}: {error.strerror}") from error
    sock.setblocking(False)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # so that 0.0.0.0 and :: can both be given
    return sock


def _bind(sock: socket.socket, address: Address, protocol: str) -> None:
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    target = socket.getaddrinfo(address[0], address[1], sock.family, sock.type, 0, flags)[0][4]
    try:
        sock.bind(target)
    except OSError as error:
        raise SocketError(f"{text(address)} {protocol} {_why(error, address, protocol)}") from error


def _why(error: OSError, address: Address, protocol: str) -> str:
    if error.errno == errno.EADDRINUSE:
        who = " and ".join(dict.fromkeys(str(one) for one in holders(address, protocol))) or "another program"
        return f"is in use by {who}: stop it, or use --listen"
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"may not be opened by user id {os.geteuid()}: ports below {_first_free_port()} need root (it drops to "
            "--user) or CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=); or use a higher port with --listen"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return "cannot be served: this machine has no such address (yet); see `ip address`, or use --listen"
    return f"cannot be served: {error.strerror}"


def _first_free_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024


def probe(address: Address, inodes: Collection[int] = (), pids: Collection[int] = ()) -> None:
    """SocketError if any other program serves the address.

    Where nobody is there that belongs to us (`inodes` of sockets we have, `pids` of an earlier server of ours)
    a bind that shares with nobody is the surest question; else the kernel's tables have to answer it.
    """
    if not address[1]:
        return
    for protocol, open_one in (("udp", open_udp), ("tcp", open_tcp)):
        there = holders(address, protocol, exact=True)
        strangers = [one for one in there if one.inode not in inodes and one.pid not in pids]
        if len(strangers) == len(there):
            open_one(address, shared=False).close()
        elif strangers:
            who = " and ".join(dict.fromkeys(str(one) for one in strangers))
            raise SocketError(f"{text(address)} {protocol} is in use by {who}: stop it, or use --listen")


# -- passing sockets on ------------------------------------------------------------------------------------------


def ask_for(path: Path) -> socket.socket:
    """Connects to a worker's socket and asks it to hand over; OSError if nobody is there."""
    asked = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    asked.setblocking(False)
    try:
        asked.connect(str(path))
        asked.sendall(HAND)
    except BaseException:
        asked.close()
        raise
    return asked


def receive(asked: socket.socket) -> list[socket.socket]:
    """The DNS sockets a worker hands over, told by the kernel, not by its word; OSError if it hung up."""
    data, numbers, _, _ = socket.recv_fds(asked, 1 << 16, MAX_FDS)
    if not data and not numbers:
        raise ConnectionResetError(errno.ECONNRESET, "hung up without handing over")
    handed = []
    for number in numbers:
        try:
            os.set_inheritable(number, False)  # received ones are; children get theirs by pass_fds alone
            sock = socket.socket(fileno=number)
        except OSError:
            os.close(number)
            continue
        if sock.family in (socket.AF_INET, socket.AF_INET6) and _is_server(sock):
            handed.append(sock)
        else:
            sock.close()
    return handed


def _is_server(sock: socket.socket) -> bool:
    kind = sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
    if kind == socket.SOCK_DGRAM:
        return True
    return kind == socket.SOCK_STREAM and bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
