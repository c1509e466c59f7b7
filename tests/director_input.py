"""What every reader's `parse` must bear: cut, mangled, random and foreign input gives a table or a Fault, no more."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from rrdns.directors import Fault
from rrdns.model import DirectorTable, Report

SAMPLES = Path(__file__).parent / "samples" / "directors"
HTML = b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>\n"
Parse = Callable[[bytes], DirectorTable]

DEEP = (b"[" * 200_000, b'{"a":' * 200_000, b"<a>" * 200_000, b"- " * 200_000, b"a: " * 1000)
JUNK = st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode("utf-8", "replace"))


def sample(path: str) -> bytes:
    return (SAMPLES / path).read_bytes()


def foreign(*own: str) -> list[bytes]:
    """What other programs say, but those of the folders named."""
    return [path.read_bytes() for path in sorted(SAMPLES.glob("*/*")) if path.parent.name not in own]


def tried(parse: Parse, data: bytes) -> DirectorTable | None:
    """The table, checked, or None for a Fault with one printable line."""
    try:
        table = parse(data)
    except Fault as fault:
        said = str(fault)
        assert said and said.isprintable() and len(said) < 600, said
        return None
    for part, reports in table.parts.items():
        assert part.isprintable()
        for report in reports:
            checked(report)
    return table


def checked(report: Report) -> None:
    assert report.word in ("up", "down", "drain", "maint", "unknown")
    assert report.server or report.address
    assert not report.address or str(ipaddress.ip_address(report.address)) == report.address
    assert 0 <= report.port <= 65535
    assert report.server.isprintable() and report.why.isprintable()
    for number in (report.weight, report.active, report.inactive, report.total):
        assert number is None or (type(number) is int and 0 <= number < 2**64)


def refused(parse: Parse, data: bytes) -> str:
    """The reason why not; AssertionError if it was taken."""
    try:
        table = parse(data)
    except Fault as fault:
        return str(fault)
    raise AssertionError(f"taken: {table}")


def cut(data: bytes, pieces: int = 150) -> list[bytes]:
    """The data cut off at many places, among them near its end."""
    step = max(len(data) // pieces, 1)
    return [data[:end] for end in [*range(0, len(data), step), *range(max(len(data) - 40, 0), len(data))]]


def mangled(data: bytes, number: int) -> bytes:
    """The data with a few pieces replaced, removed, doubled or swapped, always the same for a number."""
    chance = random.Random(number)
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(out) + 1)
        end = min(start + chance.choice((0, 1, 1, 2, 5, 30, 300)), len(out))
        other = chance.randrange(len(out) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            out[start:end] = chance.randbytes(end - start)
        elif kind == 1:
            del out[start:end]
        elif kind == 2:
            out[start:end] = out[other : other + chance.randint(0, 60)]
        else:
            words = (
                b"-1",
                b"99999999999999999999",
                b'"',
                b"<",
                b">",
                b"{",
                b"}",
                b"null",
                b"\n",
                b"\0",
                b"",
                b"1.5",
                b"[]",
            )
            out[start:end] = chance.choice(words)
    return bytes(out)
