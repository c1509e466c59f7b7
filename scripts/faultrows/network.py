"""R27: the network between rrdns, its hosts and its clients fails, in two namespaces made here and removed again."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Self, TypeVar

import data

from faultrows import ground
from faultrows.rows import Finding, Run, row

_T = TypeVar("_T")
_NEWNET = 0x40000000


@contextlib.contextmanager
def namespace(name: str = "") -> Iterator[str]:
    """A network namespace with its loopback up."""
    name = f"rr{os.getpid()}{name}"
    ground.run("ip", "netns", "add", name)
    try:
        ground.run("ip", "-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def inside(name: str, work: Callable[[], _T]) -> _T:
    """Does the work in a thread that lives in this namespace, as will all threads and processes it starts."""

    def enter() -> _T:
        fd = os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(fd, _NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {name}")
        finally:
            os.close(fd)
        return work()

    return ground.thread(enter).result()


SERVER, OTHER, PORT = "192.0.2.1", "192.0.2.254", 5353
# in two subnets: of one alone the guard believes that it is dead
HOSTS = [f"{network}.{at}" for network in ("192.0.2", "198.51.100") for at in range(11, 15)]
DOWN = 5.0
CLEARED = 8.0  # seconds; five successes in a row, one a second, clear the failures counted


@row(
    "R27",
    "10 % loss, a slow and reordering path, the link down for 5 s, an address that comes late",
    "no restart, first answer <= 100 ms after the kernel has its link back, nothing withdrawn while all fail at once",
    quick=False,
)
def network(run: Run) -> Finding:
    ground.need("ip", root=True)
    finding = Finding()
    with namespace("a") as here, namespace("b") as there:
        ground.run(
            "ip", "link", "add", f"{here}v", "netns", here, "type", "veth", "peer", "name", f"{there}v", "netns", there
        )
        for space, addresses in ((here, [SERVER, "198.51.100.1"]), (there, [OTHER, *HOSTS])):
            for address in addresses:
                ground.run("ip", "-n", space, "address", "add", f"{address}/24", "dev", f"{space}v")
            ground.run("ip", "-n", space, "link", "set", f"{space}v", "up")
        behind: list[ground.Host] = inside(there, lambda: [ground.Host(one, 8080) for one in HOSTS])
        try:
            inside(here, lambda: faults(run, finding, here, there))
        finally:
            for host in behind:
                host.refuse()
    return finding


def faults(run: Run, finding: Finding, here: str, there: str) -> None:
    members = [f"web{at}: {address}" for at, address in enumerate(HOSTS, 1)]
    listen = ("--workers", "2", "--listen", f"{SERVER}:{PORT}")
    with ground.served(members, 8080, *listen) as server:
        ground.settled(server)
        client, plain = Asker(there), Asker(there, PORT + 1)
        with Echo(here, PORT + 1), client, plain:
            if lossy(here):
                time.sleep(15)
                clean(here)
                finding.told(
                    "10 % loss: members withdrawn (3 failures, no 5 successes in a row between)",
                    len(ground.withdrawals(server)),
                )
                finding.at_least("10 % loss: answered", client.share() * 100, 75, "%")
            else:
                finding.notes.append("loss not made: neither netem nor nftables")
            time.sleep(3)
            if slow(here):
                client.start_over()
                time.sleep(8)
                clean(here)
                finding.at_least("200 ms, reordered: answered", client.share() * 100, 95, "%")
            else:
                finding.notes.append("delay not made: this kernel has no netem")
            time.sleep(CLEARED)  # what the loss above counted against the members is forgotten
            ground.settled(server)
            before = len(ground.withdrawals(server))
            ground.run("ip", "-n", here, "link", "set", f"{here}v", "down")
            time.sleep(DOWN)
            back = time.monotonic()
            ground.run("ip", "-n", here, "link", "set", f"{here}v", "up")
            ground.wait_for(lambda: client.first_after(back) and plain.first_after(back), 20, "answers again")
            first, echo = (one.first_after(back) for one in (client, plain))
            finding.told("link down: first answer after it", (first - back) * 1000, "ms")
            finding.told("link down: first reply of a plain echo", (echo - back) * 1000, "ms")
            finding.at_most("link down: first answer, beyond the echo's", (first - echo) * 1000, 100, "ms", timing=True)
            time.sleep(5)
            ground.settled(server)
            finding.at_most("link down: members withdrawn", len(ground.withdrawals(server)) - before, 0)
        finding.details["log"] = server.log.splitlines()[-60:]
        finding.at_most("restarts", ground.total(server, "restarts"), 0)
        finding.at_most("another control", int("starts again" in server.log), 0)
    late(finding, here)


def late(finding: Finding, here: str) -> None:
    """An address that is not there yet at the start: a clear refusal (a supervisor tries again), then all is well."""
    address = "192.0.2.3"
    with ground.serve(
        ground.ZONE, "pools: {web: {members: [192.0.2.11]}}\n", "--listen", f"{address}:{PORT}", start=False
    ) as server:
        try:
            server.start()
            finding.notes.append("address late: served before it was there")
        except AssertionError:
            finding.at_least("address late: the log names it", int(address in server.log), 1)
            finding.notes.append("address late: the start ends with a message; systemd's Restart= tries again")
            server.end()
        ground.run("ip", "-n", here, "address", "add", f"{address}/24", "dev", f"{here}v")
        if server.process.poll() is not None:
            server.start()
        finding.at_least("address late: answers once it is there", asks(address), 1)


def asks(address: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(data.packet(ground.NAME), (address, PORT))
        return int(len(sock.recv(4096)) > 12)


class _Beside:
    """Something that runs in a namespace beside the server, in a thread, until the `with` ends."""

    def __init__(self, space: str, port: int = PORT) -> None:
        self._space, self._port, self._stop = space, port, threading.Event()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: inside(self._space, self._run))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        raise NotImplementedError


class Echo(_Beside):
    """The least there can be behind a port: what the kernel itself takes to have a link again shows here."""

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((SERVER, self._port))
            sock.settimeout(0.2)
            while not self._stop.is_set():
                with contextlib.suppress(OSError):
                    sock.sendto(*sock.recvfrom(4096))


class Asker(_Beside):
    """A client in a namespace: 100 queries a second, and when the replies came."""

    def __init__(self, space: str, port: int = PORT) -> None:
        super().__init__(space, port)
        self.sent, self.heard = 0, [0.0][:0]

    def start_over(self) -> None:
        self.sent, self.heard = 0, []

    def share(self) -> float:
        return len(self.heard) / max(1, self.sent)

    def first_after(self, moment: float) -> float:
        return next((one for one in self.heard if one > moment), 0.0)

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            while not self._stop.wait(0.01):
                with contextlib.suppress(OSError):
                    self.sent += bool(sock.sendto(data.packet(ground.NAME), (SERVER, self._port)))
                with contextlib.suppress(OSError):
                    while sock.recv(4096):
                        self.heard.append(time.monotonic())


def lossy(space: str) -> bool:
    """10 % of what comes in is lost."""
    if _try("tc", "-n", space, "qdisc", "add", "dev", f"{space}v", "root", "netem", "loss", "10%"):
        return True
    rules = "add table inet faults; add chain inet faults some { type filter hook input priority 0; }; " \
            "add rule inet faults some numgen random mod 10 == 0 drop"  # fmt: skip
    return _try("ip", "netns", "exec", space, "nft", rules)


def slow(space: str) -> bool:
    return _try("tc", "-n", space, "qdisc", "add", "dev", f"{space}v", "root", "netem", "delay", "200ms", "50ms",
                "reorder", "25%")  # fmt: skip


def clean(space: str) -> None:
    _try("tc", "-n", space, "qdisc", "delete", "dev", f"{space}v", "root")
    _try("ip", "netns", "exec", space, "nft", "delete table inet faults")


def _try(*words: str) -> bool:
    try:
        return subprocess.run(words, capture_output=True, timeout=20).returncode == 0
    except OSError:
        return False
