"""lbcd, the load daemon of lbnamed (Stanford, 1990s; Debian still has it): one UDP exchange on port 4330.

    {type: lbcd, socket: "192.0.2.11"}           the host itself, one director for each

A host tells a *cost*, lower is better, and what one more client will cost it. lbnamed always gave the cheapest host
and then added that increment; over time a host's share is what its increment and cost allow. Here that is a weight:

    weight = 100000 / (cost + increment), at least 1, at most 1000      load 0: 500, load 1: 200, load 5: 59

Cost 0xFFFFFFFF takes the host out (word: down). An lbcd before version 3 tells no cost: lbnamed's formula for it
was 3 * load + 100 * different users + 20 for each further login, in hundredths of load, and increment 200.

    header      version, id, operation, status    4 * 16 bit; status 1 is good, 3: other version wanted
    body        boot time, now, console time      3 * 32 bit
                load of 1, 5, 15 minutes * 100    3 * 16 bit
                logins, different users           2 * 16 bit
                console, 0, /tmp full %, /var/tmp full %, services, 0      6 * 8 bit
                cost, increment                   2 * 32 bit for each service, the default one first

Must not know: pools.
"""

from __future__ import annotations

import random
import struct
from ipaddress import ip_address

from rrdns.directors import Fault
from rrdns.directors.reach import Reach, endpoint
from rrdns.model import Director, DirectorTable, Report

PORT = 4330
OUT = 0xFFFFFFFF
_HEAD = struct.Struct("!4H")
_BODY = struct.Struct("!3I5H")
_COST = struct.Struct("!2I")
_COST_AT = _HEAD.size + _BODY.size + 6
_LOAD, _GOOD, _OTHER_VERSION = 1, 1, b"\0\3"
_SCALE, _MOST, _INCREMENT = 100_000, 1000, 200


async def read(director: Director, reach: Reach) -> DirectorTable:
    host, _ = endpoint(director.socket, PORT)
    number = random.randrange(1, 1 << 16)
    answer = await reach.datagram(director, question(3, number), PORT)
    if answer[6:8] == _OTHER_VERSION:
        answer = await reach.datagram(director, question(2, number), PORT)
    return parse(answer, number, host)


def question(version: int, number: int) -> bytes:
    return _HEAD.pack(version, number, _LOAD, 0)


def parse(data: bytes, number: int, host: str) -> DirectorTable:
    """The answer to question `number` from `host`."""
    if len(data) < _HEAD.size:
        raise Fault(f"{host} answered {len(data)} bytes, which is no answer of lbcd")
    version, its, operation, status = _HEAD.unpack_from(data)
    if version not in (2, 3) or operation != _LOAD or its != number:
        raise Fault(f"{host} answered something that is no answer of lbcd to the question")
    if status != _GOOD:
        raise Fault(f"lbcd on {host} refuses the question (status {status})")
    if len(data) < _HEAD.size + _BODY.size:
        raise Fault(f"{host} answered {len(data)} bytes: the answer of lbcd is cut off")
    _, _, _, load, _, _, logins, users = _BODY.unpack_from(data, _HEAD.size)
    if len(data) >= _COST_AT + _COST.size:
        cost, increment = _COST.unpack_from(data, _COST_AT)
    elif version == 2:
        cost, increment = 3 * load + 100 * users + 20 * max(0, logins - users), _INCREMENT
    else:
        raise Fault(f"{host} answered {len(data)} bytes: the answer of lbcd is cut off")
    try:
        name, address = "", str(ip_address(host))
    except ValueError:
        name, address = host, ""
    if cost == OUT:
        return DirectorTable({"": (Report(name, address, 0, "down", "lbcd takes it out (cost -1)", 0),)})
    # A version 2 answer of a version 3 lbcd has the cost where the load would stand.
    why = f"cost {cost}" + (f", load {load / 100:g}" if version == 3 else "") + f", {users} users"
    return DirectorTable({"": (Report(name, address, 0, "up", why, weight(cost, increment)),)})


def weight(cost: int, increment: int) -> int:
    return min(_MOST, max(1, round(_SCALE / max(1, cost + increment))))
