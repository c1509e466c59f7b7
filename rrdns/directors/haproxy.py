"""HAProxy: `show stat` and `show servers state` on its socket, or the CSV of its statistics page.

    {type: haproxy, socket: /run/haproxy/stats.sock}     `stats socket /run/haproxy/stats.sock mode 660 level user`
    {type: haproxy, socket: "10.0.0.5:9999"}             `stats socket ipv4@10.0.0.5:9999 level user`
    {type: haproxy, url: "http://10.0.0.5:8404/stats"}   `;csv` is added; addresses only with `stats show-legends`,
                                                         else servers are known by their names

A part is a backend. Columns are found by their names, for each version has others. The JSON forms are never asked
for: with 2,000 servers they take HAProxy seconds.

    status there                                 word
    UP, UP 1/3 (going down)                      up
    DOWN, DOWN 1/2 (coming up), DOWN (agent)     down
    NOLB (404 with disable-on-404)               drain
    DRAIN, DRAIN (agent)                         drain
    MAINT, MAINT (via x/y), MAINT (resolution)   maint
    no check, anything else                      unknown

The weight is the one in force (agent, slow start); with weight 0 a server is UP there, and so it is told here. Active
is what a server serves plus what waits for it, as in HAProxy's own leastconn. Must not know: pools.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_address
from operator import itemgetter
from urllib.parse import urlsplit

from rrdns.checks.words import plain
from rrdns.directors import Fault
from rrdns.directors.reach import Reach, parsed
from rrdns.model import Director, DirectorTable, Report

# Backends (2, so that one without servers is listed) and servers (4).
QUESTION = b"show stat -1 6 -1;show servers state\n"
LEVEL = (
    "in haproxy.cfg, section global: `stats socket /run/haproxy/rrdns.sock mode 660 level user` and rrdns in its group"
)

_WORDS = {"UP": "up", "DOWN": "down", "NOLB": "drain", "DRAIN": "drain", "MAINT": "maint"}
NEEDED = ("pxname", "svname", "type", "status", "weight", "scur", "stot")
OPTIONAL = ("qcur", "bck", "addr", "check_status", "last_chk", "check_desc")

Addresses = Mapping[tuple[str, str], tuple[str, int]]


async def read(director: Director, reach: Reach) -> DirectorTable:
    if director.url:
        answer = await reach.http(director, _csv_of(director.url))
        return await parsed(parse, answer.whole(), answer.where)
    try:
        data = await reach.stream(director, QUESTION)
    except Fault as fault:
        if "permission denied" in str(fault):
            raise Fault(f"{fault}; {LEVEL}") from None
        raise
    return await parsed(parse_socket, data, director.socket)


def _csv_of(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return url  # the door says what is wrong with it
    return url if ";csv" in parts.path else parts._replace(path=f"{parts.path or '/'};csv").geturl()


def parse_socket(data: bytes, where: str = "") -> DirectorTable:
    """The answers to QUESTION, one after the other: each ends with an empty line."""
    text = data.decode("utf-8", "replace")
    stat, end, rest = text.lstrip("\n").partition("\n\n")
    if not end:
        _refused(text, where)
        raise Fault(f"{where}: the answer is cut off after {len(data)} bytes")
    _refused(stat, where)
    # Denied or unknown (an old version), the second answer leaves us the addresses of the first.
    known = "Permission denied" in rest or "Unknown command" in rest
    return _table(stat + "\n", {} if known else _addresses(rest, where), where)


def parse(data: bytes, where: str = "") -> DirectorTable:
    """The CSV alone, as the statistics page gives it."""
    text = data.decode("utf-8", "replace")
    if text.lstrip()[:1] == "<":
        raise Fault(f"{where} answered a page, not CSV: the `url:` should be that of `stats uri`, and end in ;csv")
    return _table(text, {}, where)


def _refused(text: str, where: str) -> None:
    if "Permission denied" in text[:200]:
        raise Fault(f"{where}: HAProxy denies `show stat` on this socket; {LEVEL}")
    if "Unknown command" in text[:200]:
        raise Fault(f"{where}: HAProxy does not know `show stat`: is this its statistics socket (no master CLI)?")


def _table(text: str, addresses: Addresses, where: str) -> DirectorTable:
    parts: dict[str, list[Report]] = {}
    for row in _rows(text, where):
        backend, name, kind = row[:3]
        if name == "FRONTEND" or kind == "3":  # 3: a listening socket
            continue
        if not (backend and name and backend.isprintable() and name.isprintable()):
            raise Fault(f"{where}: the CSV names a server {plain(backend, 60)!r}/{plain(name, 60)!r}")
        here = parts.setdefault(backend, [])
        if name != "BACKEND":
            try:
                here.append(_server(row, addresses))
            except ValueError:
                raise Fault(f"{where}: {plain(backend, 60)}/{plain(name, 60)} has numbers that are none") from None
    return DirectorTable({name: tuple(reports) for name, reports in parts.items()})


def _rows(text: str, where: str) -> Iterator[tuple[str, ...]]:
    """COLUMNS of each line; "" for one of OPTIONAL that this version lacks."""
    if not text.startswith("# pxname,"):
        raise Fault(f"{where}: this is no CSV of HAProxy: it starts with {plain(text[:60])!r}")
    if not text.endswith("\n"):
        raise Fault(f"{where}: the CSV is cut off: its last line has no end")
    reader = csv.reader(text[2:].split("\n"), strict=True)
    try:
        names = next(reader)
        missing = [name for name in NEEDED if name not in names]
        if missing:
            raise Fault(f"{where}: the CSV has no column {', '.join(missing)}: HAProxy 1.5 or later is needed")
        # Of 130 columns a dozen are wanted: picking them is a third of the cost of reading the row.
        pick = itemgetter(*(names.index(one) if one in names else -1 for one in (*NEEDED, *OPTIONAL)))
        for row in reader:
            if not row:
                continue
            if len(row) != len(names):
                raise Fault(f"{where}: line {reader.line_num} of the CSV has {len(row)} fields, not {len(names)}")
            row.append("")
            yield pick(row)
    except csv.Error as error:
        raise Fault(f"{where}: line {reader.line_num} of the CSV is broken: {error}") from None


def _server(row: tuple[str, ...], addresses: Addresses) -> Report:
    """ValueError where a number is none."""
    backend, name, _, status, weight, active, total, waiting, backup, place, check, last, described = row
    address, port = addresses.get((backend, name)) or _place(place)
    why = status
    if check and status.startswith(("DOWN", "NOLB", "UP ")):  # `DOWN: L4CON, Connection refused`
        why = f"{status}: {check.removeprefix('* ')}" + (f", {last or described}" if last or described else "")
    return Report(
        server=name,
        address=address,
        port=port,
        word=_WORDS.get(status.partition(" ")[0], "unknown"),
        why=why if why in _WORDS else plain(why),
        weight=_number(weight),
        active=_sum(_number(active), _number(waiting)),
        total=_number(total),
        backup=backup == "1",
    )


def _number(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValueError
    return int(text)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None else one + (other or 0)


# ---------------------------------------------------------------- addresses


def _addresses(text: str, where: str) -> dict[tuple[str, str], tuple[str, int]]:
    """`show servers state`: a version, the columns after a #, then a line a server; an empty line ends it."""
    if not text.endswith("\n\n"):
        raise Fault(f"{where}: the answer is cut off in `show servers state`")
    lines = text.strip("\n").split("\n")
    if len(lines) < 2 or not lines[1].startswith("# "):
        raise Fault(f"{where}: `show servers state` answered {plain(lines[0], 60)!r}")
    names = lines[1][2:].split(" ")
    try:
        backend, server, address, port = (names.index(f) for f in ("be_name", "srv_name", "srv_addr", "srv_port"))
    except ValueError:
        return {}  # before 1.8 it has no port; the CSV has
    found = {}
    for line in lines[2:]:
        row = line.split(" ")
        if len(row) < len(names):
            raise Fault(f"{where}: `show servers state` has a short line: {plain(line, 60)!r}")
        place = _ip(row[address])
        if place:
            found[row[backend], row[server]] = place, _port(row[port])
    return found


def _place(text: str) -> tuple[str, int]:
    """The CSV's `addr`: `127.0.0.1:80`, `[::1]:80`, `unix`, or nothing."""
    host, _, port = text.rpartition(":")
    address = _ip(host.removeprefix("[").removesuffix("]"))
    return (address, _port(port)) if address else ("", 0)


@lru_cache(maxsize=65536)
def _ip(text: str) -> str:
    """Canonical; "" for what is no address: `-`, a path, a name that is not resolved yet."""
    try:
        found = ip_address(text)
    except ValueError:
        return ""
    return "" if found.is_unspecified else str(found)


def _port(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    return number if number < 65536 else 0
