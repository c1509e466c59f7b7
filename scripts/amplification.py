"""Behind scripts/amplification: response over request bytes by UDP, for every name and type of zone files.

A forged source makes a server send more bytes to a victim than the sender spent: this prints by how much, at
worst. All hosts count as up. Each name is asked for each type it has, for ANY, for a type it has not and for a
name below it, without EDNS and with EDNS sizes from 512 to 65,535, with and without DO. Asserted is what is
promised: a reply is never longer than 512 bytes, or with EDNS than the client takes, `udp_limit`, and (a pool's, or any
with `udp_ratio_all`) `udp_ratio` allow.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from rrdns import wire
from rrdns.answers import key
from rrdns.model import Result
from rrdns.roster.roster import Roster
from rrdns.server.edns import Policy
from rrdns.server.respond import AnswerTable
from rrdns.settings import Settings
from rrdns.zonefile import load

ZONES = Path(__file__).parents[1] / "zones"
SIZES = (0, 512, 1232, 4096, 65535)  # 0: no EDNS
OTHERS = (wire.ANY, wire.TXT, wire.AAAA, wire.SOA, wire.NS)


class Case(NamedTuple):
    ratio: float
    name: bytes
    rtype: int
    edns: int
    do: bool
    request: int
    reply: int

    def __str__(self) -> str:
        edns = f"EDNS {self.edns}{' DO' if self.do else ''}" if self.edns else "no EDNS"
        what = f"{wire.name_to_text(self.name)} {wire.type_name(self.rtype)}"
        return f"x{self.ratio:5.2f}  {self.reply:5} / {self.request:3}  {edns:13}  {what}"


def tables(files: Mapping[str, bytes], udp_limit: int, policy: Policy) -> AnswerTable:
    """What a worker has when all hosts are up; SystemExit for bad files."""
    loaded = load(files)
    if loaded.dataset is None:
        raise SystemExit("\n".join(str(problem) for problem in loaded.problems))
    roster, table = Roster(), AnswerTable(udp_limit, policy=policy)
    table.stage(roster.load(loaded.dataset, 1.0).changes)
    for target in roster.targets():
        table.stage(roster.observe(target, Result(True, "up", 0.01), 1.0).changes)
    table.stage(roster.flush(1.0).changes)
    table.commit(1, fresh=True)
    return table


def asked(table: AnswerTable) -> Iterator[tuple[bytes, int]]:
    """Every name with the types worth asking it for."""
    there: dict[bytes, set[int]] = {name: set() for name in table.nodes}
    for both in table.sets:
        there.setdefault(both[:-2], set()).add(int.from_bytes(both[-2:], "big"))
    for name, types in sorted(there.items()):
        for rtype in sorted(types.union(OTHERS) - {0}):
            yield name, rtype
        if len(name) < 240:
            yield b"\7nothing" + name, wire.A


def query(name: bytes, rtype: int, edns: int, do: bool) -> bytes:
    opt = b"\0\0\x29" + edns.to_bytes(2, "big") + bytes((0, 0, 0x80 * do, 0)) + b"\0\0" if edns else b""
    return b"\0\1\0\0\0\1\0\0\0\0\0" + bytes((bool(opt),)) + name + rtype.to_bytes(2, "big") + b"\0\1" + opt


def cases(table: AnswerTable) -> Iterator[Case]:
    for name, rtype in asked(table):
        for edns in SIZES:
            for do in (False, True) if edns else (False,):
                packet = query(name, rtype, edns, do)
                longest = 0
                for _ in range(4):  # neighbouring slots of a ring may differ in length
                    longest = max(longest, len(table.reply(packet, udp=True) or b""))
                yield Case(longest / len(packet), name, rtype, edns, do, len(packet), longest)


def allowed(case: Case, udp_limit: int, policy: Policy, counted: bool) -> int:
    limit = min(max(case.edns, wire.UDP_MINIMUM), udp_limit) if case.edns else wire.UDP_MINIMUM
    return policy.longest(limit, case.request, counted)


def measure(
    files: Mapping[str, bytes],
    udp_limit: int = wire.UDP_LIMIT,
    udp_ratio: int = Settings().udp_ratio,
    udp_ratio_all: bool = False,
) -> list[Case]:
    """All cases, the worst first; AssertionError for a reply longer than promised."""
    policy = Policy(ratio=udp_ratio, ratio_all=udp_ratio_all)
    table = tables(files, udp_limit, policy)
    found = sorted(cases(table), reverse=True)
    for case in found:
        ring = table.sets.get(key(case.name, case.rtype))
        most = allowed(case, udp_limit, policy, ring is not None and ring.counted)
        assert case.reply <= most, f"{case}: longer than {most} bytes"
    return found


def read(paths: Iterable[Path]) -> dict[str, bytes]:
    files = [file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
    return {str(file): file.read_bytes() for file in files}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/amplification", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("zones", nargs="*", type=Path, default=[ZONES], help="files or folders")
    parser.add_argument("--udp-limit", type=int, default=Settings().udp_limit)
    parser.add_argument("--udp-ratio", type=int, default=Settings().udp_ratio, help="0: no such limit")
    parser.add_argument("--udp-ratio-all", action="store_true", help="for other replies than a pool's too")
    parser.add_argument("--worst", type=int, default=5, help="how many to print (5)")
    options = parser.parse_args()
    found = measure(read(options.zones), options.udp_limit, options.udp_ratio, options.udp_ratio_all)
    limits = f"udp_limit {options.udp_limit}, udp_ratio {options.udp_ratio}"
    print(f"reply / request bytes by UDP, {len(found)} questions, {limits}; the worst:")
    for case in found[: options.worst]:
        print(f"  {case}")
    worst = max((case for case in found if not case.edns), default=found[0])
    print(f"without EDNS:\n  {worst}")
    print("never longer than the client, udp_limit and udp_ratio allow: held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
