"""A reply as what it says, whatever the order and the compression. Shares no code with rrdns."""

from __future__ import annotations

from dataclasses import dataclass

Record = tuple[bytes, int, int, int, bytes]  # owner in lower case, type, class, TTL, rdata with names in lower case
Section = frozenset[Record]

# Names in the rdata: how many bytes stand before them, and how many names there are.
_NAMES = {2: (0, 1), 5: (0, 1), 6: (0, 2), 12: (0, 1), 15: (2, 1), 17: (0, 2), 18: (2, 1), 33: (6, 1), 39: (0, 1)}
_NAMES |= {64: (2, 1), 65: (2, 1)}
_NAPTR, _OPT = 35, 41


@dataclass(frozen=True, slots=True)
class Reply:
    """`repeats`: whether a section holds a record twice."""

    rcode: int
    aa: bool
    tc: bool
    answer: Section
    authority: Section
    additional: Section
    question: bytes = b""
    flags: int = 0
    size: int = 0
    edns: bool = False
    repeats: bool = False

    @property
    def compared(self) -> tuple[int, bool, bool, Section, Section, Section]:
        return self.rcode, self.aa, self.tc, self.answer, self.authority, self.additional


def parse(packet: bytes) -> Reply:
    """Raises IndexError or AssertionError for what is no well-formed reply to one question."""
    flags = int.from_bytes(packet[2:4], "big")
    asked, *counts = (int.from_bytes(packet[at : at + 2], "big") for at in range(4, 12, 2))
    assert asked == 1, f"{asked} questions"
    _, at = _name(packet, 12)
    at += 4
    question = packet[12:at]
    edns = repeats = False
    sections = []
    for count in counts:
        found: list[Record] = []
        for _ in range(count):
            owner, at = _name(packet, at)
            rtype, rclass = packet[at] << 8 | packet[at + 1], packet[at + 2] << 8 | packet[at + 3]
            ttl = int.from_bytes(packet[at + 4 : at + 8], "big")
            start = at + 10
            at = start + (packet[at + 8] << 8 | packet[at + 9])
            assert at <= len(packet), "a record runs past the end"
            if rtype == _OPT:
                assert not edns and owner == b"\0"
                edns = True
                continue
            found.append((owner.lower(), rtype, rclass, ttl, _rdata(packet, rtype, start, at)))
        sections.append(frozenset(found))
        repeats |= len(found) != len(sections[-1])
    assert at == len(packet), "bytes behind the records"
    return Reply(
        flags & 15, bool(flags & 0x0400), bool(flags & 0x0200), *sections,
        question, flags, len(packet), edns, repeats,
    )  # fmt: skip


def _name(packet: bytes, at: int) -> tuple[bytes, int]:
    """A name, uncompressed, and where it ends in place."""
    out, end = bytearray(), -1
    while True:
        length = packet[at]
        if length >= 0xC0:
            to = (length & 0x3F) << 8 | packet[at + 1]
            assert to < at, "a pointer forwards"
            end = at + 2 if end < 0 else end
            at = to
        elif length:
            assert length < 64
            out += packet[at : at + length + 1]
            at += length + 1
        else:
            assert len(out) < 255
            return bytes(out) + b"\0", at + 1 if end < 0 else end


def _rdata(packet: bytes, rtype: int, start: int, end: int) -> bytes:
    if rtype == _NAPTR:
        before, names = 4, 1
        for _ in range(3):
            before += 1 + packet[start + before]
    elif rtype in _NAMES:
        before, names = _NAMES[rtype]
    else:
        return packet[start:end]
    out, at = packet[start : start + before], start + before
    for _ in range(names):
        name, at = _name(packet, at)
        out += name.lower()
    return out + packet[at:end]
