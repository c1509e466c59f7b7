"""Making DNS sockets, who holds a port, claims on addresses, and passing sockets on. Loopback only."""

from __future__ import annotations

import errno
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rrdns.supervise import handover, ports, sockets
from rrdns.supervise.ports import SocketError


@pytest.fixture
def keep() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def has_ipv6() -> bool:
    return ("::1", 5300) in sockets.wanted(())


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no ::1 on this machine")


# -- addresses -------------------------------------------------------------------------------------------------


def test_default_addresses_are_the_loopbacks_that_exist() -> None:
    addresses = sockets.wanted(())
    assert addresses[0] == ("127.0.0.1", 5300)
    assert addresses[1:] in ((), (("::1", 5300),))


def test_addresses_are_written_one_way_and_once() -> None:
    given = [("0:0::1", 53), ("[::1]", 53), ("127.0.0.1", 53), ("127.0.0.1", 5300)]
    assert sockets.wanted(given) == (("::1", 53), ("127.0.0.1", 53), ("127.0.0.1", 5300))
    assert [ports.text(one) for one in sockets.wanted(given)] == ["[::1]:53", "127.0.0.1:53", "127.0.0.1:5300"]


@pytest.mark.parametrize("bad", [("localhost", 53), ("", 53), ("127.0.0.256", 53), ("127.0.0.1", 65536)])
def test_what_is_no_address_is_refused(bad: tuple[str, int]) -> None:
    with pytest.raises(SocketError):
        sockets.wanted([bad])


def test_bad_addresses_say_what_to_do(keep: ExitStack) -> None:
    with pytest.raises(SocketError, match=r"192\.0\.2\.199:5300 udp cannot be served: this machine has no such addre"):
        sockets.open_udp(("192.0.2.199", 5300))


# -- making ----------------------------------------------------------------------------------------------------


def test_pair_shares_one_free_port_with_successors(keep: ExitStack) -> None:
    udp, tcp = (keep.enter_context(one) for one in sockets.open_pair(("127.0.0.1", 0)))
    address = sockets.address_of(udp)
    assert address[1] and sockets.address_of(tcp) == address
    keep.enter_context(sockets.open_udp(address))
    keep.enter_context(sockets.open_tcp(address))


def test_sockets_are_set_as_promised(keep: ExitStack) -> None:
    udp, tcp = (keep.enter_context(one) for one in sockets.open_pair(("127.0.0.1", 0)))
    for one in (udp, tcp):
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
        assert not one.getblocking() and not one.get_inheritable()
    assert udp.getsockopt(socket.IPPROTO_IP, sockets.IP_MTU_DISCOVER) == sockets.PMTUDISC_OMIT
    assert udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= socket_default_buffer()
    assert not udp.getsockopt(socket.IPPROTO_IP, sockets.IP_PKTINFO)
    assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) > 0
    assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def socket_default_buffer() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as plain:
        return plain.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def test_wildcards_tell_the_address_that_was_asked(keep: ExitStack) -> None:
    udp, _ = (keep.enter_context(one) for one in sockets.open_pair(("0.0.0.0", 0)))
    assert udp.getsockopt(socket.IPPROTO_IP, sockets.IP_PKTINFO)


@needs_ipv6
def test_both_wildcards_fit_on_one_port(keep: ExitStack) -> None:
    udp, _ = (keep.enter_context(one) for one in sockets.open_pair(("0.0.0.0", 0)))
    port = sockets.address_of(udp)[1]
    six = [keep.enter_context(one) for one in sockets.open_pair(("::", port))]
    assert six[0].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO)
    assert all(one.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) for one in six)
    assert sockets.address_of(six[0]) == ("::", port)


# -- who holds a port --------------------------------------------------------------------------------------------


def comm() -> str:
    return Path("/proc/self/comm").read_text().strip()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", pytest.param("::1", marks=needs_ipv6)])
def test_holder_is_named_by_program_and_pid(keep: ExitStack, host: str) -> None:
    udp, tcp = (keep.enter_context(one) for one in sockets.open_pair((host, 0)))
    port = sockets.address_of(udp)[1]
    asked = "127.0.0.1" if host == "0.0.0.0" else host
    for protocol, sock in (("udp", udp), ("tcp", tcp)):
        (holder,) = ports.holders((asked, port), protocol)
        assert (holder.inode, holder.pid, holder.name) == (sockets.inode(sock), os.getpid(), comm())
    with pytest.raises(SocketError, match=rf":{port} udp is in use by .* \(pid {os.getpid()}\): stop it, or use"):
        sockets.probe((asked, port))


def test_connection_in_the_way_is_named(keep: ExitStack) -> None:
    _, tcp = (keep.enter_context(one) for one in sockets.open_pair(("127.0.0.1", 0)))
    client = keep.enter_context(socket.create_connection(tcp.getsockname(), 10))
    with pytest.raises(SocketError, match=rf"tcp is in use by .* \(pid {os.getpid()}\)"):
        sockets.open_tcp(client.getsockname())


@needs_ipv6
def test_holder_of_both_families_is_found(keep: ExitStack) -> None:
    dual = keep.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
    dual.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    dual.bind(("::", 0))
    port = dual.getsockname()[1]
    with pytest.raises(SocketError, match=rf"udp is in use by .* \(pid {os.getpid()}\)"):
        sockets.probe(("127.0.0.1", port))


def test_probe_knows_its_own_and_still_sees_strangers(keep: ExitStack) -> None:
    udp, tcp = (keep.enter_context(one) for one in sockets.open_pair(("127.0.0.1", 0)))
    address = sockets.address_of(udp)
    own = {sockets.inode(udp), sockets.inode(tcp)}
    sockets.probe(address, inodes=own)
    sockets.probe(address, pids=[os.getpid()])
    stranger = keep.enter_context(sockets.open_udp(address))
    with pytest.raises(SocketError, match="in use"):
        sockets.probe(address, inodes=own)
    stranger.close()
    sockets.probe(address, inodes=own)


def test_probe_leaves_no_trace_and_passes_time_wait(keep: ExitStack) -> None:
    udp, tcp = sockets.open_pair(("127.0.0.1", 0))
    address = sockets.address_of(udp)
    client = keep.enter_context(socket.create_connection(address, 10))
    client.sendall(b"x")
    tcp.setblocking(True)
    tcp.settimeout(10)
    tcp.accept()[0].close()  # we close first: TIME_WAIT stays with us
    udp.close()
    tcp.close()
    sockets.probe(address)
    sockets.probe(address)
    for one in sockets.open_pair(address):
        one.close()


def test_refused_low_port_says_what_to_do() -> None:
    error = OSError(errno.EACCES, "Permission denied")
    said = sockets._why(error, ("127.0.0.1", 53), "udp")
    assert "CAP_NET_BIND_SERVICE" in said and "--listen" in said and "root" in said


def test_kernel_table_addresses() -> None:
    assert str(ports._address("0100007F" if sys.byteorder == "little" else "7F000001")) == "127.0.0.1"
    if sys.byteorder == "little":
        assert str(ports._address("B80D0120000000000000000001000000")) == "2001:db8::1"


# -- claims ------------------------------------------------------------------------------------------------------


def free() -> int:
    """A name to claim needs no free port, only one that no other test has."""
    return random.randrange(1, 20000)


def test_claim_is_exclusive_and_ends_with_its_holder(keep: ExitStack) -> None:
    address = ("127.0.0.1", free())
    first = keep.enter_context(ports.claim(address))
    with pytest.raises(SocketError, match=rf"is served by another rrdns \(pid {os.getpid()}\)"):
        ports.claim(address)
    keep.enter_context(ports.claim(("127.0.0.2", address[1])))
    first.close()
    keep.enter_context(ports.claim(address))


@pytest.mark.parametrize("first, second", [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0")])
def test_claims_on_wildcards_overlap(keep: ExitStack, first: str, second: str) -> None:
    port = free()
    keep.enter_context(ports.claim((first, port)))
    with pytest.raises(SocketError, match="another rrdns"):
        ports.claim((second, port))
    keep.enter_context(ports.claim(("::1" if second == "127.0.0.1" else "::", port)))


def test_of_many_starts_at_once_only_one_gets_the_address(keep: ExitStack) -> None:
    address = ("127.0.0.1", free())
    won: list[socket.socket] = []
    refused: list[str] = []

    def start() -> None:
        try:
            won.append(keep.enter_context(ports.claim(address)))
        except SocketError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=start) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and len(refused) == 11


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be two users")
def test_name_squatted_by_another_user_is_no_lock(keep: ExitStack) -> None:
    address = ("127.0.0.1", free())
    code = (
        "import socket, sys\ns = socket.socket(socket.AF_UNIX)\n"
        f"s.bind({ports._claim_name(address)!r})\ns.listen()\nprint(flush=True)\nsys.stdin.read()"
    )
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    command = [python, "-c", code]
    squatter = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=65534)
    keep.enter_context(squatter)
    try:
        assert squatter.stdout and squatter.stdout.readline() == b"\n"
        keep.enter_context(ports.claim(address))
        with pytest.raises(SocketError, match=f"pid {squatter.pid}"):
            ports.claim(address, users=[65534])
    finally:
        squatter.kill()


# -- passing on --------------------------------------------------------------------------------------------------


def test_only_server_sockets_are_taken_and_each_is_checked(keep: ExitStack) -> None:
    udp, tcp = (keep.enter_context(one) for one in sockets.open_pair(("127.0.0.1", 0)))
    plain = keep.enter_context(socket.socket())
    mine, theirs = (keep.enter_context(one) for one in socket.socketpair())
    pipe = os.pipe()
    numbers = [udp.fileno(), tcp.fileno(), plain.fileno(), mine.fileno(), pipe[0]]
    socket.send_fds(theirs, [b"{}\n"], numbers)
    handed = [keep.enter_context(one) for one in sockets.receive(mine)]
    for number in pipe:
        os.close(number)
    assert [sockets.inode(one) for one in handed] == [sockets.inode(udp), sockets.inode(tcp)]
    assert not any(one.get_inheritable() for one in handed)


def test_a_worker_that_hangs_up_is_an_error(keep: ExitStack) -> None:
    mine, theirs = (keep.enter_context(one) for one in socket.socketpair())
    theirs.close()
    with pytest.raises(OSError, match="hung up"):
        sockets.receive(mine)


@pytest.mark.parametrize("old, new", [(2, 2), (3, 1), (1, 3), (4, 3)])
def test_every_taken_socket_gets_a_reader(keep: ExitStack, old: int, new: int) -> None:
    pairs = [sockets.open_pair(("127.0.0.1", 0))]
    address = sockets.address_of(pairs[0][0])
    pairs += [sockets.open_pair(address) for _ in range(old - 1)]
    taken = [keep.enter_context(one) for pair in pairs for one in pair]
    dealt = handover.share_out(taken, new)
    assert sorted(id(sock) for part in dealt for sock in part) == sorted(map(id, taken))
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        counts = [sum(one.type == kind for one in part) for part in dealt]
        assert max(counts) - min(counts) <= 1 and sum(counts) == old


def test_sockets_of_unwanted_addresses_are_closed(keep: ExitStack) -> None:
    wanted, other = sockets.open_pair(("127.0.0.1", 0)), sockets.open_pair(("127.0.0.2", 0))
    for one in (*wanted, *other):
        keep.enter_context(one)
    kept = handover.select_wanted([*wanted, *other], [sockets.address_of(wanted[0])])
    assert kept == list(wanted)
    assert [one.fileno() for one in other] == [-1, -1]
