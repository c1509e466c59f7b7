"""A director whose table somebody else writes: JSON, YAML or gdnsd's extfile lines, from a file, a URL or a program.

The whole shape, in YAML; JSON is the same with braces:

    master: true                      # optional: whether this director is the active one of its group
    parts:                            # by the name that pools follow
      web:
        - {name: web1, address: 192.0.2.11, port: 80, state: up, weight: 10, connections: 3, idle: 1, total: 4711}
        - {name: web2, address: "2001:db8::12", state: drain, why: kernel update, backup: true}
      mail: {mx1: up, 192.0.2.25: down}

`state` is needed, and one of `name` and `address`. States: up, down, drain, maint, unknown, and what others call these
(`ready`, `disabled` ...: words.py). One part only: `servers: [...]`, or plain lines `web1: up`; then the part is "".
gdnsd's extfile: `192.0.2.11 => UP/300`, `web/web2 => DOWN` with a part before the slash; # begins a comment, and the
TTL is not used. An unknown key is an error, since a misspelt `weight` would go unseen. An address or a number that is
none is that row's trouble alone: it counts as not told, and the row's `why` says so.

Who writes such a file writes it beside, and renames it into place: half a YAML file may be whole, with fewer servers,
or none. The same content is not parsed again. Must not know: pools, HTTP, programs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rrdns.directors import Fault
from rrdns.directors.bounds import aside
from rrdns.directors.reach import Reach
from rrdns.directors.words import (
    MAX_NUMBER,
    address,
    count,
    endpoint,
    from_json,
    known_states,
    name,
    shown,
    state,
    text_of,
)
from rrdns.model import Director, DirectorTable, Report
from rrdns.zonefile import yaml_nodes
from rrdns.zonefile.complaints import Complaints, did_you_mean, unknown_key
from rrdns.zonefile.scalars import written

_KEYS = ("name", "address", "port", "state", "weight", "connections", "idle", "total", "why", "backup")
_TOP = ("servers", "parts", "master")
_ARROW = re.compile(r"(\S+?)\s*=>\s*([A-Za-z-]+)(?:/[0-9]+)?,?")
_YAML_MOST = 1 << 20
_IN_LOOP = 4096
_KNOWN_MOST = 1000
_known: dict[str, tuple[bytes, DirectorTable]] = {}
"""By where it comes from: the digest of what was read last, and its table."""


async def read(director: Director, reach: Reach) -> DirectorTable:
    return await parsed(await reach.file(director.path, within=director.timeout), director.path)


async def parsed(data: bytes, what: str) -> DirectorTable:
    """`parse`, but not again for the same content, and out of the loop for all but small tables: YAML takes a second a
    megabyte, and more on a busy machine."""
    digest = hashlib.blake2b(data).digest()
    before = _known.get(what)
    if before is not None and before[0] == digest:
        return before[1]
    table = parse(data, what) if len(data) <= _IN_LOOP else await aside(lambda: parse(data, what))
    if what in _known or len(_known) < _KNOWN_MOST:
        _known[what] = digest, table
    return table


# ---------------------------------------------------------------- which of the three it is


def parse(data: bytes, what: str = "the table") -> DirectorTable:
    text = text_of(data, what)
    if text.lstrip()[:1] in ("{", "["):
        try:
            return _table(from_json(data, what), what)
        except Fault as fault:
            if "not JSON" not in str(fault):
                raise
            return _table(_yaml(data, what, fault), what)  # YAML may start with a brace too
    if _is_extfile(text):
        return _extfile(text, what)
    return _table(_yaml(data, what, None), what)


def _yaml(data: bytes, what: str, json_fault: Fault | None) -> Any:
    if len(data) > _YAML_MOST:
        raise json_fault or Fault(f"{what}: YAML of over 1 MiB takes too long to read at each poll; write JSON")
    complaints = Complaints(what)
    value = yaml_nodes.read(data, complaints)
    found = complaints.sorted()
    if value is None or found:
        raise json_fault or Fault(str(found[0]) if found else f"{what}: not YAML")
    return value


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].strip()
        if content:
            yield number, content


def _is_extfile(text: str) -> bool:
    first = next(_lines(text), None)
    return first is not None and "=>" in first[1]


def _extfile(text: str, what: str) -> DirectorTable:
    parts: dict[str, list[Report]] = {}
    for number, line in _lines(text):
        found = _ARROW.fullmatch(line)
        if found is None:
            raise Fault(f"{what}:{number}: {shown(line)!r} is not `name => UP` or `name => DOWN/60`")
        part, _, server = found[1].strip("\"'").rpartition("/")
        parts.setdefault(name(part), []).append(_plain_line(server, found[2], f"{what}:{number}"))
    return DirectorTable({part: tuple(reports) for part, reports in parts.items()})


# ---------------------------------------------------------------- the shape


def _table(value: Any, what: str) -> DirectorTable:
    if not isinstance(value, dict):
        raise Fault(f"{what}: a list or a single value came; write `servers: [...]` or `parts: ...`")
    if not isinstance(value.get("servers", ""), list) and not isinstance(value.get("parts", ""), dict):
        return DirectorTable({"": _flat(value, what)})
    for key in value:
        if key not in _TOP:
            raise Fault(f"{what}: {shown(key)}: {shown(unknown_key(key, _TOP))}")
    if "servers" in value and "parts" in value:
        raise Fault(f"{what}: both `servers` and `parts`: `servers` is for a table with one part")
    master = value.get("master")
    if master is not None and not isinstance(master, bool):
        raise Fault(f"{what}: master: {shown(master)} is neither true nor false")
    groups = value["parts"] if "parts" in value else {"": value["servers"]}
    parts = {name(part): _part(group, f"{what}: {shown(part)}".rstrip(": ")) for part, group in groups.items()}
    if not parts or not parts.get("", True):
        raise Fault(f"{what}: no server in it")
    if len(parts) != len(groups):
        raise Fault(f"{what}: two parts have the same name once unprintable characters are replaced")
    return DirectorTable(parts, master)


def _part(value: Any, what: str) -> tuple[Report, ...]:
    if isinstance(value, dict):
        return _flat(value, what)
    if not isinstance(value, list):
        raise Fault(f"{what}: neither a list of servers nor `name: state` lines")
    return tuple(_server(one, f"{what}[{index}]") for index, one in enumerate(value))


def _flat(value: Mapping[str, Any], what: str) -> tuple[Report, ...]:
    if not value:
        raise Fault(f"{what}: no server in it")
    return tuple(_plain_line(key, word, what) for key, word in value.items())


def _plain_line(title: str, word: Any, what: str) -> Report:
    """`web1: up`, `192.0.2.11: up`, `192.0.2.11:80 => UP`."""
    if not title.strip():
        raise Fault(f"{what}: a server without a name")
    host, port = endpoint(title)
    own = address(host)
    return Report("" if own else name(title), own, port if own else 0, _state(word, f"{what}: {shown(title)}"))


def _server(value: Any, what: str) -> Report:
    if not isinstance(value, dict):
        raise Fault(f"{what}: {shown(value)!r} is not a server; write {{name: ..., address: ..., state: up}}")
    for key in value:
        if key not in _KEYS:
            raise Fault(f"{what}: {shown(key)}: {shown(unknown_key(key, _KEYS))}")
    title, where, why = (_text(value, key, what) for key in ("name", "address", "why"))
    odd: list[str] = []
    own = address(where)
    if where and not own:
        odd.append(f"address {shown(where)!r} is no IP address (a host's name goes into `name`)")
        title = title or where
    if not title and not own:
        raise Fault(f"{what}: neither name nor address")
    backup = value.get("backup", False)
    if not isinstance(backup, bool):
        raise Fault(f"{what}: backup: {shown(backup)} is neither true nor false")
    if value.get("state") is None:
        raise Fault(f"{what}: no state; write up, down, drain, maint or unknown")
    return Report(
        server=name(title),
        address=own,
        port=_number(value, "port", odd, 65535) or 0,
        word=_state(value["state"], what),
        weight=_number(value, "weight", odd),
        active=_number(value, "connections", odd),
        inactive=_number(value, "idle", odd),
        total=_number(value, "total", odd),
        backup=backup,
        why="; ".join([*odd, shown(why)] if why else odd),
    )


def _state(word: Any, what: str) -> str:
    found = state(word) if isinstance(word, str) else None
    if found is None:
        near = did_you_mean(word, known_states()) if isinstance(word, str) else ""
        raise Fault(f"{what}: state {shown(word)!r} is none of up, down, drain, maint, unknown{near}")
    return found


def _text(value: Mapping[str, Any], key: str, what: str) -> str:
    found = value.get(key)
    if found is None:
        return ""
    if isinstance(found, dict | list | bool):
        raise Fault(f"{what}: {key} is not a text")
    return str(written(found))


def _number(value: Mapping[str, Any], key: str, odd: list[str], most: int = MAX_NUMBER) -> int | None:
    """None, and a line of `odd`, for what is no number: one row is wrong then, and the others are as good as before."""
    if value.get(key) is None:
        return None
    found = count(value[key])
    if found is None or found > most:
        odd.append(f"{key} {shown(value[key])!r} is not a whole number from 0 to {most}")
        return None
    return found
