"""The first witness: one who asks the name server again and again, and notes each change of what is answered."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import dns.message
import dns.rcode

EVERY = 0.06
PATIENCE = 2.0  # an answer that is older is none


@dataclass
class Seen:
    """For so long these addresses were answered, and no others: `since` the first such answer came, until the last one
    was asked for."""

    addresses: frozenset[str]
    since: float
    until: float
    times: int = 1


class Recorder:
    """Asks for A of each name by UDP. Times are wall times."""

    def __init__(self, names: Sequence[str], port: int) -> None:
        self.seen: dict[str, list[Seen]] = {name: [] for name in names}
        self.failures: list[str] = []
        self._queries = {name: dns.message.make_query(name, "A").to_wire()[2:] for name in names}
        self._port = port
        self._asked: dict[int, tuple[str, float]] = {}
        self._known: dict[bytes, frozenset[str]] = {}
        self._number = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def now(self, name: str) -> frozenset[str] | None:
        """What was answered last."""
        found = self.seen[name]
        return found[-1].addresses if found else None

    def _run(self) -> None:
        while not self._over.is_set():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.connect(("127.0.0.1", self._port))
                try:
                    while not self._over.is_set():
                        self._round(sock)
                except OSError:  # nobody listens: it is being restarted
                    self._asked.clear()
                    self._over.wait(EVERY)

    def _round(self, sock: socket.socket) -> None:
        end = time.monotonic() + EVERY
        for name, query in self._queries.items():
            self._number = (self._number + 1) & 0xFFFF
            self._asked[self._number] = name, time.time()
            sock.send(self._number.to_bytes(2, "big") + query)
            self._take(sock, 0.0)
        while (left := end - time.monotonic()) > 0:
            self._take(sock, left)

    def _take(self, sock: socket.socket, wait: float) -> None:
        while select.select([sock], [], [], wait)[0]:
            packet = sock.recv(4096)
            at, wait = time.time(), 0.0
            name, asked = self._asked.pop(int.from_bytes(packet[:2], "big"), ("", 0.0))
            if name and at - asked < PATIENCE:
                self._note(name, packet, asked, at)

    def _note(self, name: str, packet: bytes, asked: float, at: float) -> None:
        addresses = self._known.get(packet[2:])
        if addresses is None:
            message = dns.message.from_wire(packet)
            if message.rcode() != dns.rcode.NOERROR:
                self.failures.append(f"{name}: {dns.rcode.to_text(message.rcode())} at {at:.3f}")
            addresses = frozenset(str(rr) for rrset in message.answer for rr in rrset)
            self._known[packet[2:]] = addresses
        found = self.seen[name]
        if found and found[-1].addresses == addresses:
            found[-1].until = asked
            found[-1].times += 1
        else:
            found.append(Seen(addresses, at, asked))

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join(30)
