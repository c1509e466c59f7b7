"""The zones that are served and the questions that are asked. Loopback addresses and example names only."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path

ZONE = "lb.example.com"
NAME = f"www.{ZONE}"
MEMBERS = ("127.0.0.11", "127.0.0.12", "127.0.0.13", "127.0.0.14")
WEIGHTS = (1, 2, 3, 4)

RRDNS_ZONE = """
'': {type: NS, value: ns1.lb.example.com.}
ns1: {type: A, value: 127.0.0.1}
www: {type: POOL, pool: web, ttl: 20, answers: 1}
'*.many': {type: POOL, pool: web, ttl: 20, answers: 1}
'*.wild': {type: A, value: 192.0.2.1}
sub: {type: NS, value: ns1.sub.lb.example.com.}
ns1.sub: {type: A, value: 192.0.2.53}
"""


def master_file(pool: str) -> str:
    """The same in master file form; `pool` is what follows the TTL of a pool name."""
    return f"""$ORIGIN {ZONE}.
@ 300 SOA ns1 hostmaster 1 3600 600 1209600 60
@ 300 NS ns1
ns1 300 A 127.0.0.1
www 20 {pool}
*.many 20 {pool}
*.wild 300 A 192.0.2.1
sub 300 NS ns1.sub
ns1.sub 300 A 192.0.2.53
"""


def rrdns_pools(port: int) -> str:
    members = "".join(
        f"      w{at}: {{address: {address}, weight: {weight}}}\n"
        for at, (address, weight) in enumerate(zip(MEMBERS, WEIGHTS, strict=True))
    )
    return f"checks: {{web: {{type: http, port: {port}}}}}\npools:\n  web:\n    check: web\n    members:\n{members}"


def pools_of(addresses: list[str], check: str, size: int, prefix: str) -> str:
    """Pools of `size` members each, below a line `pools:`; they share one check."""
    lines = []
    for number, first in enumerate(range(0, len(addresses), size)):
        lines.append(f"  {prefix}{number}:\n    check: {check}\n    members:\n")
        lines += [f"      m{at}: {one}\n" for at, one in enumerate(addresses[first : first + size])]
    return "".join(lines)


def addresses(network: int, count: int) -> list[str]:
    """127.NETWORK.x.y"""
    return [f"127.{network}.{at // 250}.{at % 250 + 1}" for at in range(count)]


def many_zones(folder: Path, files: int, names: int, address: str = "192.0.2.7") -> None:
    """`files` zones of one file each, with `names` RRsets each beside the apex."""
    for number in range(files):
        (folder / f"z{number}.example.net.yaml").write_text(one_zone(number, names, address))


def one_zone(number: int, names: int, address: str = "192.0.2.7") -> str:
    hosts = "".join(f"h{at}: {{type: A, value: {address}}}\n" for at in range(names))
    return f"'': {{type: NS, value: ns1.example.org.}}\n{hosts}"


def many_master_files(files: int, names: int, address: str = "192.0.2.7") -> dict[str, str]:
    """The same zones for the others."""
    hosts = "".join(f"h{at} A {address}\n" for at in range(names))
    head = "$TTL 300\n@ SOA ns1.example.org. hostmaster.example.org. 1 3600 600 1209600 60\n@ NS ns1.example.org.\n"
    return {f"z{number}.example.net": head + hosts for number in range(files)}


def zone_names(files: int, names: int) -> list[str]:
    """All names of `many_zones`, in no order."""
    found = [f"h{at}.z{number}.example.net" for number in range(files) for at in range(names)]
    random.Random(1).shuffle(found)
    return found


def question_file(folder: Path, lines: list[str]) -> Path:
    file = folder / "questions"
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def letter_cases(name: str) -> list[str]:
    """Every way to write the name's letters (0x20), shuffled, at most 65,536."""
    ways = itertools.product(*({one.lower(), one.upper()} for one in name))
    found = ["".join(way) for way in itertools.islice(ways, 1 << 20)]
    random.Random(2).shuffle(found)
    return found[:65536]


def fresh_names(count: int, suffix: str) -> list[str]:
    """So many different names, never the same from call to call."""
    digits = os.urandom(6 * count).hex()
    return [f"r{digits[at : at + 12]}.{suffix}" for at in range(0, 12 * count, 12)]


def packet(name: str, rtype: int = 1, edns: bool = True) -> bytes:
    """A query, id 0."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.rstrip(".").split(".")) + b"\0"
    opt = b"\0\0\x29\x04\xd0\0\0\0\0\0\0" if edns else b""
    return b"\0\0\0\0\0\1\0\0\0\0\0" + bytes((edns,)) + labels + rtype.to_bytes(2, "big") + b"\0\1" + opt
