"""A server that misbehaves on purpose, for tests: real sockets, one thread a connection, no loop to be lagged by.

In a test:      with Misbehaving(says(b"HTTP/1.1 200 OK\\r\\n\\r\\n")) as server: ... server.port ... server.heard
By hand:        python tests/misbehaving.py silent --port 8080
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self


class Client:
    """The one who is misbehaved to."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.heard = b""

    def hear(self) -> None:
        """Reads a request: up to a blank line, or the client's end."""
        while b"\r\n\r\n" not in self.heard and (data := self._connection.recv(4096)):
            self.heard += data

    def say(self, data: bytes) -> None:
        self._connection.sendall(data)

    def hang_up(self) -> None:
        """Says that nothing more will come (FIN), and waits for the client to go."""
        self._connection.shutdown(socket.SHUT_WR)
        self.wait_for_end()

    def reset(self) -> None:
        """Makes the end an RST instead of a FIN."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def wait_for_end(self) -> None:
        while data := self._connection.recv(65536):
            self.heard += data[: 65536 - len(self.heard)]


Manner = Callable[[Client], None]  # when it returns, the connection is closed


# ------------------------------------------------------------ manners


def silent(client: Client) -> None:
    """Accepts, listens, says nothing."""
    client.wait_for_end()


def closes(client: Client) -> None:
    """Closes without a word."""
    client.hang_up()


def resets(client: Client) -> None:
    """Resets without a word."""
    client.reset()


def says(*pieces: bytes, stay: bool = False, pause: float = 0.0) -> Manner:
    """Reads a request, answers with `pieces` (a pause between them), then closes, or stays and is silent."""

    def manner(client: Client) -> None:
        client.hear()
        says_first(*pieces, stay=stay, pause=pause)(client)

    return manner


def says_first(*pieces: bytes, stay: bool = False, pause: float = 0.0) -> Manner:
    """As `says`, without waiting for a request: a banner."""

    def manner(client: Client) -> None:
        for index, piece in enumerate(pieces):
            if index:
                time.sleep(pause)
            client.say(piece)
        if stay:
            client.wait_for_end()

    return manner


def says_then_resets(piece: bytes) -> Manner:
    """Answers in part, and resets once the client has had time to read that."""

    def manner(client: Client) -> None:
        client.hear()
        client.say(piece)
        time.sleep(0.5)
        client.reset()

    return manner


def trickles(data: bytes, pause: float) -> Manner:
    """One byte at a time."""
    return says(*(bytes((byte,)) for byte in data), pause=pause)


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def flood(megabytes: int = 10) -> Manner:
    """200 and a body of so many MB, in one long breath."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {megabytes << 20}\r\n\r\n".encode()
    return says(head, *(b"x" * (1 << 20) for _ in range(megabytes)))


def endless(client: Client) -> None:
    """200 and a body that never ends."""
    client.hear()
    client.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        client.say(b"400\r\n" + b"y" * 1024 + b"\r\n")


MANNERS: dict[str, Manner] = {
    "silent": silent,
    "close": closes,
    "reset": resets,
    "ok": says(answer("200 OK", b"hello\n")),
    "503": says(answer("503 Service Unavailable", b"no\n")),
    "redirect": says(answer("301 Moved Permanently", b"", "Location: https://elsewhere.example/")),
    "trickle": trickles(answer("200 OK", b"hello\n"), 0.2),
    "flood": flood(),
    "endless": endless,
    "garbage": says(bytes(range(256)) * 16),
    "ssh": says_first(b"SSH-2.0-OpenSSH_9.2p1\r\n", stay=True),
}


# ------------------------------------------------------------ the server


class Misbehaving:
    """Listens on a free port of `host` and treats every client with `manner`, inside TLS if given a context."""

    def __init__(
        self, manner: Manner, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._manner = manner
        self._tls = tls
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.heard = b""
        """What the last client that is gone had said."""
        self._open: set[socket.socket] = set()
        self._treatments: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._listener.close()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for treatment in self._treatments:
            treatment.join()

    def accept(self) -> None:
        """Treats clients until the listener is shut down."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with self._lock:
                self._open.add(connection)
            treatment = threading.Thread(target=self._treat, args=(connection,), daemon=True)
            self._treatments.append(treatment)
            treatment.start()

    def _treat(self, connection: socket.socket) -> None:
        try:
            if self._tls is None:
                self._be(connection)
            else:
                with self._tls.wrap_socket(connection.dup(), server_side=True) as secure:
                    self._be(secure)
        except OSError:
            pass  # the client went away, as it may
        finally:
            with self._lock:
                self._open.discard(connection)
                connection.close()

    def _be(self, connection: socket.socket) -> None:
        client = Client(connection)
        try:
            self._manner(client)
        finally:
            self.heard = client.heard


@contextlib.contextmanager
def deaf() -> Iterator[int]:
    """A port where a connection attempt gets no answer at all: its queue is full, so Linux drops the SYN."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextlib.contextmanager
def refusing() -> Iterator[int]:
    """A port that refuses, kept from others by being bound without listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def main() -> int:
    parser = argparse.ArgumentParser(description="a server that misbehaves")
    parser.add_argument("manner", choices=sorted(MANNERS))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    server = Misbehaving(MANNERS[asked.manner], host=asked.host, port=asked.port)
    print(server.port, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.accept()
    return 0


if __name__ == "__main__":
    sys.exit(main())
