"""Keys from a terminal's bytes, and the terminal in the mode that gives them one by one. Standard library only.

Must not know: what a key does.
"""

from __future__ import annotations

import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_SEQUENCES = {
    b"[A": "up", b"OA": "up", b"[B": "down", b"OB": "down", b"[5~": "pgup", b"[6~": "pgdn",
    b"[D": "left", b"OD": "left", b"[C": "right", b"OC": "right",
    b"[H": "home", b"OH": "home", b"[1~": "home", b"[F": "end", b"OF": "end", b"[4~": "end",
}  # fmt: skip
_BYTES = {
    b"\r": "enter", b"\n": "enter", b"\t": "tab", b"\x7f": "backspace", b"\x08": "backspace", b"\x15": "clear",
    b"\x06": "pgdn", b"\x02": "pgup", b"\x04": "quit", b"\x03": "quit",
}  # fmt: skip


@dataclass(slots=True)
class Keys:
    """Turns the terminal's bytes into names of keys; half a sequence waits for its rest."""

    _held: bytes = b""

    def feed(self, data: bytes) -> list[str]:
        self._held += data
        found = []
        while self._held:
            size, key = self._next(self._held)
            if not size:
                break
            self._held = self._held[size:]
            if key:
                found.append(key)
        return found

    @property
    def waiting(self) -> bool:
        return bool(self._held)

    def settle(self) -> list[str]:
        """Nothing came after what is held: a lone ESC is the key; the rest of a broken sequence is nothing."""
        held, self._held = self._held, b""
        return ["esc"] if held == b"\x1b" else []

    @staticmethod
    def _next(data: bytes) -> tuple[int, str]:
        """(bytes used, key or ""); (0, "") when more must come."""
        first = data[:1]
        if first == b"\x1b":
            return _sequence(data)
        if first in _BYTES:
            return 1, _BYTES[first]
        lead = first[0]
        size = 2 if 0xC0 <= lead < 0xE0 else 3 if 0xE0 <= lead < 0xF0 else 4 if 0xF0 <= lead < 0xF8 else 1
        if len(data) < size:
            return 0, ""
        char = data[:size].decode("utf-8", "replace")
        return size, char if char.isprintable() else ""


def _sequence(data: bytes) -> tuple[int, str]:
    """An escape sequence: ESC [ parameters final, ESC O letter, or ESC before another key."""
    if len(data) == 1:
        return 0, ""
    if data[1:2] not in (b"[", b"O"):
        return 1, "esc"
    for end in range(2, len(data)):
        if 0x40 <= data[end] <= 0x7E:
            return end + 1, _SEQUENCES.get(data[1 : end + 1], "")
    return (0, "") if len(data) < 32 else (len(data), "")


@contextmanager
def single_keys(fd: int) -> Iterator[None]:
    """The terminal gives each key at once and unseen; whatever happens, it is put back."""
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
