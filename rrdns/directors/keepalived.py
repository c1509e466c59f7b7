"""keepalived: whether this director is the VRRP master. Its real servers are IPVS's to tell (`type: ipvs`).

    {type: keepalived, fifo: FIFO}          its notify_fifo: every change at once
    {type: keepalived, path: FILE}          a notify log, or keepalived's JSON dump
    {type: keepalived, command: [...]}      a program that writes either to its standard output

*notify_fifo*, the quickest: keepalived opens it itself and is never held up by who reads. It tells changes only, so
that nothing is known between our own start and the first of them. Therefore `fifo:` may stand beside `path:` or
`command:`, which tell the state now.

*Notify log*: what a script run by `notify` writes (`echo "$@" >> FILE`); its lines are those of the FIFO.

*JSON dump*: keepalived writes /tmp/keepalived.json when it gets a signal (`kill -s $(keepalived --signum=JSON) PID`),
and only then, for root alone (mode 0600), in place, and somewhere else under systemd's PrivateTmp. So a `path:` to it
is believed only as long as `stale_after`, or as long as a FIFO has told no change since; a `command:` that sends the
signal, waits and prints the file is surer.

    | fifo:                                  | path: or command:  | the reading                                  |
    |----------------------------------------|--------------------|----------------------------------------------|
    | it has told something, or only STOP    | any, none          | of each instance the newest word             |
    | it has told nothing yet                | good               | as they say                                  |
    | it has told nothing yet                | a fault, none      | a fault                                      |
    | missing, no FIFO, nobody writes there  | good               | as they say, and a note on the FIFO          |
    | missing, no FIFO, nobody writes there  | a fault, none      | a fault                                      |

A part is a VRRP instance ("" where it has no name). Must not know: pools, addresses.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from rrdns.checks.words import plain
from rrdns.directors import Fault, vrrp
from rrdns.directors.bounds import aside, asking
from rrdns.directors.fifo import Fifo
from rrdns.directors.reach import Reach, parsed
from rrdns.model import Director, DirectorTable


async def read(director: Director, reach: Reach) -> DirectorTable:
    if director.fifo:
        return await _listened(director, reach)
    found, _ = await _asked(director, reach, None)
    return vrrp.table(found)


async def _listened(director: Director, reach: Reach) -> DirectorTable:
    fifo = await reach.fifo(director, vrrp.Heard)
    heard = fifo.listener
    question = asking.get()
    odd = [_lack(fifo)]
    if (director.path or director.command) and not (question and question.woken and heard.since is not None):
        try:
            heard.dump(*await _asked(director, reach, heard.unbroken))
        except Fault as fault:
            heard.dump(None)
            odd.append(str(fault))
    odd.append(heard.odd(time.time()))
    found = heard.states()
    note = "; ".join(one for one in odd if one)
    if found:
        return vrrp.table(found, "" if note == odd[0] and set(found.values()) == {"STOP"} else note)
    raise Fault(note or f"{director.fifo} tells changes only, and none has come yet: {_ADVICE}")


_ADVICE = (
    "give path: or command: (JSON dump) besides, or reload keepalived with fifo_write_vrrp_states_on_reload in its "
    "global_defs"
)


def _lack(fifo: Fifo[vrrp.Heard]) -> str:
    """What is wrong with the FIFO."""
    if fifo.fault:
        missing = "No such file" in fifo.fault
        return f"{fifo.fault}; keepalived makes it: see notify_fifo in keepalived.conf" if missing else fifo.fault
    if not fifo.writer:
        return f"nobody has {fifo.path} open for writing: does keepalived run, and is this its notify_fifo?"
    return ""


async def _asked(director: Director, reach: Reach, since: float | None) -> tuple[Mapping[str, str], float]:
    """What log, dump or command say, and of which time (wall). `since`: from when on no change was missed."""
    if director.command:
        begun = time.time()
        return await parsed(states, await reach.command(director), director.command[0]), begun
    path = director.path
    if not path:
        raise Fault("a keepalived director needs a `fifo:`, a `path:` (notify log or JSON dump) or a `command:`")
    try:
        data = await reach.file(path, within=director.timeout)
    except Fault as fault:
        if "No such file" in str(fault):
            raise Fault(f"{fault}; who writes it? see notify in keepalived.conf") from None
        if "not a regular file" in str(fault):
            raise Fault(f"{fault}; a FIFO stands under fifo:, not under path:") from None
        raise
    now = time.time()
    written = await aside(lambda: _written(path, now)) if _is_json(data) or director.fifo else now
    if _is_json(data) and now - written > director.stale_after and (since is None or written < since):
        raise Fault(vrrp.old(now - written, path))
    return await parsed(states, data, path), written


def _written(path: str, now: float) -> float:
    try:
        return min(now, Path(path).stat().st_mtime)
    except OSError:
        return now  # it is being replaced; it has just been read


def parse(data: bytes, where: str = "") -> DirectorTable:
    return vrrp.table(states(data, where))


def states(data: bytes, where: str = "") -> Mapping[str, str]:
    """The state of each VRRP instance: INIT, BACKUP, MASTER, FAULT, STOP."""
    found = vrrp.dumped(data, where) if _is_json(data) else vrrp.logged(data, where)
    if not found:
        raise Fault(f"{where} names no VRRP instance")
    odd = [name for name in found if not name.isprintable()]
    if odd:
        raise Fault(f"{where} names a VRRP instance {plain(odd[0], 60)!r}")
    return found


def _is_json(data: bytes) -> bool:
    return data.lstrip()[:1] in (b"[", b"{")
