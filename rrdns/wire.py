"""Names and queries as bytes (RFC 1035, RFC 6891). Floor 0.

A name here is *wire form*: length-prefixed labels and the final zero, no compression; lower-case (ASCII
only) where it is a key. Labels may hold any of the 256 byte values. Must not know: answers, zones, sockets.

`parse_query` looks at the header, one question and the OPT record, and never follows a compression
pointer: in a query a pointer can only point into the header (RFC 9267 lists what comes of following it).
"""

from __future__ import annotations

from typing import NamedTuple

A, NS, CNAME, SOA, MX, TXT, AAAA, SRV, DNAME, OPT, DS = 1, 2, 5, 6, 15, 16, 28, 33, 39, 41, 43
SVCB, HTTPS, IXFR, AXFR, ANY = 64, 65, 251, 252, 255
CLASS_IN = 1

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, YXDOMAIN, BADVERS = 0, 1, 2, 3, 4, 5, 6, 16

QR, AA, TC, RD = 0x8000, 0x0400, 0x0200, 0x0100

UDP_LIMIT = 1232  # DNS flag day 2020: never fragmented on an IPv6 path
UDP_MINIMUM = 512  # without EDNS, RFC 1035 section 2.3.4
MAX_NAME = 255
MAX_LABEL = 63

TYPES = {
    "A": 1,
    "NS": 2,
    "CNAME": 5,
    "SOA": 6,
    "PTR": 12,
    "HINFO": 13,
    "MX": 15,
    "TXT": 16,
    "AAAA": 28,
    "LOC": 29,
    "SRV": 33,
    "NAPTR": 35,
    "DNAME": 39,
    "DS": 43,
    "SSHFP": 44,
    "DNSKEY": 48,
    "TLSA": 52,
    "SVCB": 64,
    "HTTPS": 65,
    "SPF": 99,
    "ANY": 255,
    "CAA": 257,
}
TYPE_NAMES = {number: name for name, number in TYPES.items()}


class BadName(ValueError):
    """A text that is no domain name; the message says why."""


def type_name(rtype: int) -> str:
    """`A`, `AAAA` ..., or `TYPEnnn` (RFC 3597 section 5)."""
    return TYPE_NAMES.get(rtype) or f"TYPE{rtype}"


def type_number(text: str) -> int:
    """The number of a type's name or `TYPEnnn`; ValueError if it is neither."""
    upper = text.upper() if text.isascii() else ""
    if upper in TYPES:
        return TYPES[upper]
    if upper.startswith("TYPE") and upper[4:].isascii() and upper[4:].isdigit() and int(upper[4:]) < 65536:
        return int(upper[4:])
    raise ValueError(f"{text!r} is not a record type")


def name_from_text(text: str, origin: bytes = b"\0") -> bytes:
    r"""Wire form of a name as people write it: `\.` and `\DDD` escapes, without a final dot relative to `origin`.

    Keeps the letters' case (`.lower()` makes a key). Raises BadName.
    """
    if text in ("", "@"):
        return origin
    if text == ".":
        return b"\0"
    labels: list[bytes] = []
    label = bytearray()
    absolute = False
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            byte, taken = _unescape(text[at + 1 : at + 4])
            label.append(byte)
            at += 1 + taken
            continue
        at += 1
        if char == ".":
            if not label:
                raise BadName("has an empty label (two dots, or a dot in front)")
            labels.append(bytes(label))
            label.clear()
            absolute = at == len(text)
        elif char.isascii():
            label.append(ord(char))
        else:
            raise BadName(f"has {char!r}: write international names in their xn-- form")
    if label:
        labels.append(bytes(label))
    for one in labels:
        if len(one) > MAX_LABEL:
            raise BadName(
                f"label {one[:20].decode('latin-1')}... has {len(one)} bytes, at most {MAX_LABEL} are possible"
            )
    wire = b"".join(bytes((len(one),)) + one for one in labels) + (b"\0" if absolute else origin)
    if len(wire) > MAX_NAME:
        raise BadName(f"has {len(wire)} bytes, at most {MAX_NAME} are possible")
    return wire


def _unescape(behind: str) -> tuple[int, int]:
    """The byte that stands `behind` a backslash (RFC 1035 section 5.1), and how many characters it took."""
    if not behind:
        raise BadName("ends in a backslash")
    if not behind[0].isascii():
        raise BadName(f"has {behind[0]!r}: write international names in their xn-- form")
    if not behind[0].isdigit():
        return ord(behind[0]), 1
    if len(behind) < 3 or not behind.isascii() or not behind.isdigit():
        raise BadName(f"has \\{behind}: a byte by its number takes three digits, as in \\007")
    if int(behind) > 255:
        raise BadName(f"has \\{behind}: a byte is at most 255")
    return int(behind), 3


_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_*/")


def name_to_text(name: bytes) -> str:
    """A name as people read it, with the final dot; bytes that are no plain character as `\\DDD`.

    Other printable characters get a backslash, since Knot takes none of them without in a master file; the backslash
    itself is `\\092`, since NSD takes the dot behind `\\\\` for a part of the label.
    """
    if name == b"\0":
        return "."
    out = []
    for label in labels_of(name):
        for byte in label:
            if byte in _PLAIN:
                out.append(chr(byte))
            elif 0x21 <= byte <= 0x7E and byte != 0x5C:
                out.append("\\" + chr(byte))
            else:
                out.append(f"\\{byte:03d}")
        out.append(".")
    return "".join(out)


def labels_of(name: bytes) -> list[bytes]:
    """The labels of a wire name, leftmost first, without the root's empty one."""
    labels, at = [], 0
    while name[at]:
        labels.append(name[at + 1 : at + 1 + name[at]])
        at += 1 + name[at]
    return labels


def parent(name: bytes) -> bytes:
    """The name without its leftmost label; the root's is the root."""
    return name[1 + name[0] :] if name[0] else name


def is_within(name: bytes, zone: bytes) -> bool:
    """Whether `name` is `zone` or below it; both lower-case wire form."""
    while len(name) > len(zone):
        name = name[1 + name[0] :]
    return name == zone


class Edns(NamedTuple):
    """The OPT record of a query: `size` the sender takes, `version`, the DO bit, raw `options`."""

    size: int
    version: int
    do: bool
    options: bytes


class Query(NamedTuple):
    """A well-formed query. `name` is lower-case; `question_end` is the offset just behind the question;
    `type_class` its last four bytes as they stood. Without a question `name` and `type_class` are empty."""

    name: bytes
    question_end: int
    type_class: bytes
    edns: Edns | None


def parse_query(packet: bytes) -> Query | int | None:
    """What a packet asks: a Query; an rcode, to be sent with a bare header; or None, for silence.

    | packet                                                     | gives          |
    |------------------------------------------------------------|----------------|
    | under 12 bytes, or QR set (RFC 1035: it is a response)     | None           |
    | opcode other than QUERY                                    | NOTIMP         |
    | TC set; QDCOUNT not 1 (RFC 9619), but for the next         | FORMERR        |
    | QDCOUNT 0 and nothing but an OPT with options: may be one  |                |
    | for a cookie (RFC 7873 section 5.4)                        | Query, name b""|
    | a name with a pointer, over 255 bytes, or cut off          | FORMERR        |
    | records that run past the end, or bytes behind them        | FORMERR        |
    | an OPT whose owner is not the root, outside the additional |                |
    | section, or two (RFC 6891 6.1.1); over 16 records          | FORMERR        |
    | else                                                       | Query          |
    """
    size = len(packet)
    if size < 12 or packet[2] & 0x80:
        return None
    if packet[2] & 0x78:
        return NOTIMP
    if packet[4:6] != b"\0\1" or packet[2] & 0x02:
        return _parse_questionless(packet)
    at = 12
    try:
        length = packet[12]
        while length:
            if length > MAX_LABEL:
                return FORMERR
            at += length + 1
            length = packet[at]
    except IndexError:
        return FORMERR
    at += 1
    end = at + 4
    if at > 12 + MAX_NAME or end > size:
        return FORMERR
    edns = None
    if end != size or packet[6:12] != b"\0\0\0\0\0\0":
        found = _parse_records(packet, end)
        if isinstance(found, int):
            return found
        edns = found
    return Query(packet[12:at].lower(), end, packet[at:end], edns)


def _parse_questionless(packet: bytes) -> Query | int:
    if packet[2] & 0x02 or packet[4:10] != b"\0\0\0\0\0\0":
        return FORMERR
    edns = _parse_records(packet, 12)
    return Query(b"", 12, b"", edns) if isinstance(edns, Edns) and edns.options and not edns.version else FORMERR


_MAX_RECORDS = 16  # a query carries an OPT, perhaps a TSIG and an IXFR's SOA; more is an attack


def _parse_records(packet: bytes, at: int) -> Edns | int | None:
    """The OPT among the records behind the question, or FORMERR. Other records are stepped over by length."""
    answers = packet[6] << 8 | packet[7]
    authority = packet[8] << 8 | packet[9]
    additional = packet[10] << 8 | packet[11]
    total = answers + authority + additional
    if total > _MAX_RECORDS:
        return FORMERR
    size = len(packet)
    edns = None
    for index in range(total):
        start = at
        while True:
            if at >= size:
                return FORMERR
            length = packet[at]
            if length == 0:
                at += 1
                break
            if length >= 0xC0:
                at += 2
                break
            if length > MAX_LABEL:
                return FORMERR
            at += length + 1
        if at + 10 > size:
            return FORMERR
        rdata = at + 10
        end = rdata + (packet[at + 8] << 8 | packet[at + 9])
        if end > size:
            return FORMERR
        if packet[at] == 0 and packet[at + 1] == OPT:
            if edns is not None or at != start + 1 or index < answers + authority:
                return FORMERR
            edns = Edns(
                packet[at + 2] << 8 | packet[at + 3],
                packet[at + 5],
                packet[at + 6] >= 0x80,
                packet[rdata:end],
            )
        at = end
    return edns if at == size else FORMERR
