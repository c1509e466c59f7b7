"""A worker's end of the connection control made: rings come in, cursors go out, all in bounded pieces.

Between two batches of queries only so much is read, settled or told that nobody waits for it. What control does not
take at once is kept for it, so that it is never waited for; a control that takes nothing for long is hung up on.
Must not know: DNS sockets, when to call.
"""

from __future__ import annotations

import select
import socket
from typing import Any

from rrdns import link
from rrdns.server.table import Table

LINK_BYTES = 8192  # read from control between two batches
SETTLED = 200  # places of a large commit that are settled between two batches
SIGN = 25  # such pieces are told of, so that control knows that its commit is being worked on
TOLD = 500  # cursors in a frame
MOST_KEPT = 64 << 20  # bytes for a control that does not read; an acknowledgement of any size is far less


class ControlLink:
    def __init__(self, sock: socket.socket, table: Table, poll: select.epoll) -> None:
        """`sock` is registered for reading."""
        self.sock = sock
        self._table = table
        self._poll = poll
        self._reader = link.Reader()
        self._committed = 0
        """The number of a commit that is in force and not settled."""
        self._pieces = 0
        self._asked = 0
        self._keys: list[bytes] = []
        """The last question for counters, and of which they are still to be told."""
        self._more = False
        """Whether there is more to read, and reading waits for `go_on`."""
        self._kept = bytearray()
        self.commits = 0
        """How many commits have been settled."""

    def hear(self) -> bool:
        """Takes a piece of what control sent; whether there was a frame. Raises OSError or ValueError at its end."""
        try:
            data = self.sock.recv(LINK_BYTES)
        except BlockingIOError:
            return False
        if not data:
            raise ConnectionResetError("control closed the link")
        if self._more != (len(data) == LINK_BYTES):
            self._more = not self._more
            self._listen()
        heard = False
        for frame in self._reader.feed(data):
            heard = True
            self._take(frame)
        return heard

    def _take(self, frame: tuple[Any, ...]) -> None:
        word = frame[0]
        if word == "part":
            self._table.stage(link.unpack_part(frame))
        elif word == "commit":
            self._committed = frame[1]
            self._table.begin(frame[1], frame[2])
            self._settle()
        elif word == "ping":
            self.send(("pong", frame[1]))
        elif word == "counters":
            self._asked, self._keys = frame[1], self._table.counted()
            self._tell()

    # ------------------------------------------------------------------ what is left to do

    @property
    def busy(self) -> bool:
        """Whether `go_on` has something to do."""
        return bool(self._committed or self._more or (self._keys and not self._kept))

    def go_on(self) -> bool:
        """A piece of what a large change, or a question for many counters, leaves to do. As `hear`."""
        if self._committed:
            self._settle()
        elif self._more:
            return self.hear()
        elif self._keys:
            self._tell()
        return False

    def _settle(self) -> None:
        """Of a commit. It is acknowledged when it is settled: control sends the next one only then."""
        if not self._table.settle(SETTLED):
            self._pieces += 1
            self._say_retired(TOLD if self._pieces % SIGN else 0)
            return
        number, self._committed = self._committed, 0
        self.commits += 1
        self.send(("ack", number, self._table.retired()))

    def _say_retired(self, least: int) -> None:
        """What replaced rings answered; before anything is said of those in their places."""
        if self._table.retiring >= least:
            self.send(("counters", 0, self._table.retired()))

    def _tell(self) -> None:
        self._say_retired(1)
        piece = self._keys[-TOLD:]
        del self._keys[-TOLD:]
        self.send(("counters", self._asked, self._table.counters(piece)))

    # ------------------------------------------------------------------ out

    def send(self, frame: tuple[Any, ...]) -> None:
        self._kept += link.encode(frame)
        self.flush()

    def flush(self) -> None:
        """Sends what control takes now; we are called again when it takes more."""
        waited = len(self._kept) > 0
        try:
            while self._kept:
                sent = self.sock.send(self._kept[: 1 << 17])
                del self._kept[:sent]
        except BlockingIOError:
            if len(self._kept) > MOST_KEPT:
                self.close_out()
        except OSError:
            self.close_out()  # reading tells that it has gone
        if waited:
            self._listen()

    def _listen(self) -> None:
        wanted = (0 if self._more else select.EPOLLIN) | (select.EPOLLOUT if self._kept else 0)
        self._poll.modify(self.sock.fileno(), wanted)

    def close_out(self) -> None:
        self._kept.clear()
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is gone already
