"""keepalived: whether this director is the VRRP master. Its real servers are IPVS's to tell (`type: ipvs`).

    {type: keepalived, path: FILE}          a notify log or keepalived's JSON dump
    {type: keepalived, command: [...]}      a program that writes either to its standard output

*Notify log*, the better one: what `notify_fifo` writes, or a script run by `notify` (with `echo "$@" >> FILE`):

    INSTANCE "VI_1" MASTER 150              the last line of an instance counts; also with a number before it;
                                            GROUP lines count where there is no INSTANCE line; lines on real
                                            servers are passed over; MASTER alone is for a host with one instance

*JSON dump*: keepalived writes /tmp/keepalived.json when it gets a signal (`kill -s $(keepalived --signum=JSON) PID`),
and only then, for root alone (mode 0600), in place, and somewhere else under systemd's PrivateTmp. So a `path:` to it
is believed only as long as `stale_after`; a `command:` that sends the signal, waits and prints the file is surer.

A part is a VRRP instance ("" where it has no name), without reports.
`master` is True where all instances here are master, False where none
is, and None where some are. Must not know: pools, addresses.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rrdns.checks.words import plain, seconds
from rrdns.directors import Fault
from rrdns.directors.bounds import aside
from rrdns.directors.reach import Reach, parsed
from rrdns.model import Director, DirectorTable

_STATES = ("INIT", "BACKUP", "MASTER", "FAULT")  # vrrp.h, by number
_WORDS = frozenset((*_STATES, "STOP", "DELETED", "STOPPED"))
_LINE = re.compile(r'(?:\d+ +)?(INSTANCE|GROUP) +(?:"([^"]+)"|(\S+)) +([A-Z_]+)(?: +\d+)?')
_OTHER = re.compile(r"(?:\d+ +)?[A-Z][A-Za-z0-9_]* +\S.*|#.*")  # `VS [..] UP`, `RS3 DOWN`


async def read(director: Director, reach: Reach) -> DirectorTable:
    if director.command:
        return await parsed(parse, await reach.command(director), director.command[0])
    path = director.path
    if not path:
        raise Fault("a keepalived director needs a `path:` (notify log or JSON dump) or a `command:`")
    try:
        data = await reach.file(path, within=director.timeout)
    except Fault as fault:
        if "No such file" in str(fault):
            raise Fault(f"{fault}; who writes it? see notify_fifo or notify in keepalived.conf") from None
        raise
    if _is_json(data):
        await aside(lambda: _fresh(path, director.stale_after))
    return await parsed(parse, data, path)


def _fresh(path: str, most: float) -> None:
    try:
        age = time.time() - Path(path).stat().st_mtime
    except OSError:
        return  # it is being replaced; it has just been read
    if age > most:
        raise Fault(
            f"{path} is {seconds(round(age))} old, over `stale_after`: keepalived writes it only on a signal "
            "(kill -s $(keepalived --signum=JSON)); a notify log needs none"
        )


def parse(data: bytes, where: str = "") -> DirectorTable:
    found = states(data, where)
    masters = sum(state == "MASTER" for state in found.values())
    master = True if masters == len(found) else None if masters else False
    return DirectorTable(dict.fromkeys(found, ()), master)


def states(data: bytes, where: str = "") -> Mapping[str, str]:
    """The state of each VRRP instance: INIT, BACKUP, MASTER, FAULT, STOP."""
    found = _dumped(data, where) if _is_json(data) else _logged(data, where)
    if not found:
        raise Fault(f"{where} names no VRRP instance")
    odd = [name for name in found if not name.isprintable()]
    if odd:
        raise Fault(f"{where} names a VRRP instance {plain(odd[0], 60)!r}")
    return found


def _is_json(data: bytes) -> bool:
    return data.lstrip()[:1] in (b"[", b"{")


def _dumped(data: bytes, where: str) -> dict[str, str]:
    try:
        dump: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise Fault(f"{where} is no whole JSON: is keepalived just writing it?") from None
    if isinstance(dump, dict):  # json_version 2
        dump = dump.get("vrrp")
    found = {}
    try:
        for one in dump:
            name, number = one["data"]["iname"], one["data"]["state"]
            if not isinstance(name, str) or not isinstance(number, int) or not 0 <= number < len(_STATES):
                raise ValueError
            found[name] = _STATES[number]
    except (TypeError, KeyError, ValueError):
        raise Fault(f"{where} is JSON, but no dump of keepalived's VRRP") from None
    return found


def _logged(data: bytes, where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    groups: dict[str, str] = {}
    text = data.decode("utf-8", "replace")
    # A last line without an end is still being written.
    for number, line in enumerate(text.split("\n")[:-1], 1):
        line = line.strip()
        match = _LINE.fullmatch(line)
        if line in _WORDS:
            found[""] = line
        elif match and match[4] in _WORDS:
            (found if match[1] == "INSTANCE" else groups)[match[2] or match[3]] = match[4]
        elif match or (line and not _OTHER.fullmatch(line)):
            raise Fault(f"{where}, line {number}, is no line of keepalived's notify: {plain(line, 60)!r}")
    gone = [name for name, state in found.items() if state == "DELETED"]
    for name in gone:
        del found[name]
    return found or groups
