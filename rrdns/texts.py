"""How times, counts and strange text are written for people, and durations read back. Pure, standard library only.

Must not know: colours, terminals, what any of the numbers mean.
"""

from __future__ import annotations

import re
import time
import unicodedata

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+", re.ASCII)
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")


def parse_duration(text: str) -> float:
    """Seconds of `5s`, `500ms`, `2m`, `1h30m`, `7d`, or a plain number of seconds; ValueError says what is possible."""
    plain = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", plain, re.ASCII):
        return float(plain)
    if _DURATION.fullmatch(plain):
        return sum(float(number) * _UNITS[unit] for number, unit in _PIECE.findall(plain))
    raise ValueError(f"{text!r} is no duration; write 30s, 500ms, 2m, 1h30m or 7d")


def duration(seconds: float) -> str:
    """An age or a remaining time in at most seven characters: 340ms, 2.5s, 45s, 5m 3s, 2h 5m, 3d 4h."""
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms" if seconds >= 0.0005 else "0s"
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    whole = round(seconds)
    for unit, size, small, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size}{unit} {rest}{small}" if rest else f"{whole // size}{unit}"
    return f"{whole}s"


def count(number: float) -> str:
    """A counter for a narrow column: 999, 12,345, then 1.2M."""
    if number < 1_000_000:
        return f"{number:,.0f}"
    return f"{number / 1e6:.1f}M" if number < 1e9 else f"{number / 1e9:.1f}G"


def rate(per_second: float) -> str:
    """Something a second: 0, 0.3, 12, 1,234."""
    if per_second < 0.05:
        return "0"
    return f"{per_second:.1f}" if per_second < 9.95 else count(per_second)


def percent(share: float) -> str:
    """A share of one: 0%, 0.4%, 12.5%, 100%."""
    value = share * 100
    if 0 < value < 0.1:
        return "<0.1%"
    return f"{value:.1f}".removesuffix(".0") + "%"


def plural(number: int, word: str) -> str:
    """`1 zone`, `2 zones`, `0 addresses`."""
    ending = "es" if word.endswith(("s", "x")) else "s"
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}{ending}"


def clock(wall: float, now_wall: float) -> str:
    """A moment of wall time: hours today, with the date when it is over twelve hours away."""
    near = abs(now_wall - wall) < 43200
    return time.strftime("%H:%M:%S" if near else "%Y-%m-%d %H:%M:%S", time.localtime(wall))


def clean(text: object) -> str:
    """Text that came from elsewhere made harmless for a terminal, on one line.

    What a checked server sends stands in reasons. Control characters (escape sequences), line ends and
    invisible or direction-changing characters become visible stand-ins.
    """
    plain = str(text)
    if plain.isascii() and plain.isprintable():
        return plain
    return "".join(_harmless(char) for char in plain)


def _harmless(char: str) -> str:
    if char in "\t\n\r":
        return " "
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"
    return char
