"""What keepalived says of its VRRP instances: in lines (notify, notify_fifo) and in its JSON dump. Pure.

    INSTANCE "VI_1" MASTER 150     the last line of an instance counts; also with a number before it
    GROUP "VG_1" BACKUP 0          counts where there is no INSTANCE line
    MASTER                         alone, for a host with one instance
    RS [..]:tcp:80 [..] UP         real servers are passed over; any other line is none of keepalived's

Must not know: files, FIFOs, who asks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from rrdns.checks.words import plain, seconds
from rrdns.directors import Fault
from rrdns.model import DirectorTable, Report

STATES = ("INIT", "BACKUP", "MASTER", "FAULT")  # vrrp.h, by number
MOST = 1000
"""Instances that are remembered of a FIFO; one interface has 255 at most."""
TROUBLE = 60.0
"""Seconds for which it is told that something odd came in a FIFO."""

# What a line may say besides a state: of a master that heard a lesser one, and (notify_priority_changes) of a priority.
_SAYS = {"MASTER_RX_LOWER_PRI": "MASTER", "MASTER_PRIORITY": "MASTER", "BACKUP_PRIORITY": "BACKUP"}
_SAYS |= {state: state for state in (*STATES, "STOP", "DELETED", "STOPPED")}
_LINE = re.compile(r'(?:\d+ +)?(INSTANCE|GROUP) +(?:"([^"]+)"|(\S+)) +([A-Z_]+)(?: +\d+)?')
_OTHER = re.compile(r"(?:\d+ +)?[A-Z][A-Za-z0-9_]* +\S.*|#.*")  # `VS [..] UP`, `RS3 DOWN`
_OVER = frozenset({"STOP", "STOPPED", "DELETED"})


def understood(line: str) -> tuple[str, str, str] | None:
    """Kind (INSTANCE, GROUP), name and state; None for a line that says nothing of VRRP. ValueError: it is none."""
    if not line:
        return None
    if line in _SAYS:
        return "INSTANCE", "", _SAYS[line]
    match = _LINE.fullmatch(line)
    if match is None:
        if _OTHER.fullmatch(line) and not line.startswith(("INSTANCE ", "GROUP ")):
            return None
        raise ValueError(line)
    name = match[2] or match[3]
    if match[4] not in _SAYS or not name.isprintable():
        raise ValueError(line)
    return match[1], name, _SAYS[match[4]]


def logged(data: bytes, where: str) -> dict[str, str]:
    """The state of each instance after all lines; a last line without an end is still being written."""
    found: dict[str, dict[str, str]] = {"INSTANCE": {}, "GROUP": {}}
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n")[:-1], 1):
        line = line.strip()
        try:
            said = understood(line)
        except ValueError:
            raise Fault(f"{where}, line {number}, is no line of keepalived's notify: {plain(line, 60)!r}") from None
        if said is not None:
            found[said[0]][said[1]] = said[2]
    instances = {name: state for name, state in found["INSTANCE"].items() if state != "DELETED"}
    return instances or found["GROUP"]


def dumped(data: bytes, where: str) -> dict[str, str]:
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
            if not isinstance(name, str) or not isinstance(number, int) or not 0 <= number < len(STATES):
                raise ValueError
            found[name] = STATES[number]
    except (TypeError, KeyError, ValueError):
        raise Fault(f"{where} is JSON, but no dump of keepalived's VRRP") from None
    return found


def table(states: Mapping[str, str], note: str = "") -> DirectorTable:
    """`master`: True where all instances are, False where none is, None where some are."""
    masters = sum(state == "MASTER" for state in states.values())
    master = True if masters == len(states) else None if masters else False
    parts = {
        name: (Report(name or "VRRP", "", 0, "up" if state == "MASTER" else "down", state),)
        for name, state in states.items()
    }
    return DirectorTable(parts, master, note)


class Heard:
    """What came through a FIFO, and the last dump beside it: of both the newest word on an instance counts.

    | the FIFO                      | its words                     | a dump                                           |
    |-------------------------------|-------------------------------|--------------------------------------------------|
    | keepalived has it open        | hold until the next           | holds from the time it was written until a word, |
    |                               |                               | however old: all changes since would have come   |
    | keepalived has closed it      | STOP holds, the others do not | not one of before; a new one as without a FIFO   |
    """

    def __init__(self) -> None:
        self.since: float | None = None
        """From when on every change was seen; wall time, like all times here."""
        self._words: dict[tuple[str, str], tuple[str, float]] = {}
        self._dump: tuple[Mapping[str, str], float] | None = None
        self._trouble: tuple[str, float] = ("", 0.0)

    # ---------------------------------------------------------------- what comes (fifo.Listener)

    def line(self, text: str, at: float) -> bool:
        try:
            said = understood(text)
        except ValueError:
            self.trouble(f"a line came through the FIFO that is none of keepalived's notify: {plain(text, 60)!r}", at)
            return False
        if said is None:
            return False
        kind, name, state = said
        before = self._words.get((kind, name))
        if before is None and len(self._words) >= MOST:
            self.trouble(f"the FIFO names over {MOST} VRRP instances: what else writes there?", at)
            return False
        self._words[kind, name] = state, at
        return before is None or before[0] != state

    def trouble(self, why: str, at: float) -> None:
        self._trouble = why, at

    def opened(self, at: float) -> None:
        self.since = at

    def closed(self) -> None:
        self.since = self._dump = None
        self._words = {key: word for key, word in self._words.items() if word[0] in _OVER}

    # ---------------------------------------------------------------- what is known

    def dump(self, states: Mapping[str, str] | None, at: float = 0.0) -> None:
        """A dump was read, and tells of that time; None: there is none, or it is too old."""
        if states is not None:
            self._dump = states, at
        elif self.since is None:
            self._dump = None

    @property
    def unbroken(self) -> float | None:
        """What a dump of that time or later says holds, but for the changes that have come; None: nothing is sure."""
        return self.since if self.since is None or self._dump is None else min(self.since, self._dump[1])

    def states(self) -> dict[str, str]:
        begin, base = (self._dump[1], dict(self._dump[0])) if self._dump is not None else (float("-inf"), {})
        for kind in ("INSTANCE", "GROUP"):
            found = {name: state for (of, name), (state, at) in self._words.items() if of == kind and at > begin}
            base = {name: state for name, state in {**base, **found}.items() if state != "DELETED"}
            if base:
                break
        return base

    def odd(self, now: float) -> str:
        """What came lately that is no line."""
        return self._trouble[0] if now - self._trouble[1] < TROUBLE else ""


def old(age: float, path: str) -> str:
    return (
        f"{path} is {seconds(round(age))} old, over `stale_after`: keepalived writes it only on a signal "
        "(kill -s $(keepalived --signum=JSON)); a notify log or notify_fifo needs none"
    )
