"""Knot and NSD serve the same zones, by way of `rrdns export`: replies agree, or `differences.py` says why not.

RRDNS_DIFFERENTIAL=ZONES (say 5000) makes the run longer, RRDNS_SEED=NUMBER another one; both stand in every failure.
"""

from __future__ import annotations

import collections
import os
import random

import pytest
from differences import Case, judge
from needs import needs
from peers import Server, Silent, knot, nsd
from random_zones import families, questions
from replies import Record, Reply, parse
from worker_process import worker
from world import World

from rrdns import render, wire
from rrdns.server.respond import AnswerTable
from rrdns.ui.exporter import master_file

SEED = int(os.environ.get("RRDNS_SEED", "20"))
BATCH = 40  # zones, or pairs of zones, served at once
HANGS = 3  # families of one batch that peers may hang on
EXPLAINED = 40  # per cent of the comparisons that may need an explanation, at most


def compare(
    number: int, count: int, each: int, through_worker: int, without: frozenset[int] = frozenset()
) -> collections.Counter[str]:
    """`count` families of zones and `each` questions to every one: how many comparisons ended how.

    Families that a peer hangs on are left out, and counted. Knot 3.2.6 so spins, in one of some hundred batches, over
    ten SVCB records of one name when some of their targets lie below a wildcard.
    """
    drawn = families(count, number)
    found = [family for at, family in enumerate(drawn) if at not in without]
    zones = {zone.name: zone for family in found for zone in family}
    changes = render.zone_table(zones)
    table = AnswerTable()
    table.stage(changes)
    table.commit(1, fresh=True)
    texts = {name: master_file(zone, changes.sets) for name, zone in zones.items()}
    rng = random.Random(number)
    asked = [question for family in found for question in questions(family, each, rng)]
    packets, tcp = [packet for packet, _ in asked], [over for _, over in asked]
    ours = [said(table, packet, over) for packet, over in asked]
    try:
        with knot(texts) as one, nsd(texts) as other:
            peers = {peer.name: understood(peer, packets, tcp) for peer in (one, other)}
    except Silent as silence:
        lost = [packet.lower() for packet in silence.lost]
        hung = {at for at, (zone, *_) in enumerate(drawn) if any(zone.name in packet for packet in lost)} - without
        if not hung or len(without | hung) > HANGS:
            raise
        again = compare(number, count, each, through_worker, without | hung)
        return again + collections.Counter({f"families {silence.name} hangs on": len(hung)})
    if through_worker:
        picked = sorted(rng.sample(range(len(packets)), min(through_worker, len(packets))))
        with worker(changes) as process:
            server = Server("rrdns", process.address, process.port)
            replies = server.ask([packets[index] for index in picked], [tcp[index] for index in picked])
        for index, reply in zip(picked, replies, strict=True):
            assert same(read("the worker", packets[index], reply), ours[index]), (
                f"the worker and the table differ for {packets[index].hex()}"
            )
    world = World(zones)
    counts: collections.Counter[str] = collections.Counter()
    faults = []
    for index, (packet, over) in enumerate(asked):
        mine = ours[index]
        whole = said(table, packet, True) if mine.tc and not over else mine
        for name, others in (("knotd", "nsd"), ("nsd", "knotd")):
            case = Case(world, name, room(packet, over), mine, whole, peers[name][index], peers[others][index])
            verdict = judge(case)
            if verdict is None:
                faults.append(case)
            counts["unexplained" if verdict is None else verdict or "same"] += 1
    counts["comparisons"] = len(asked) * 2
    if faults:
        raise AssertionError("\n\n".join([f"{len(faults)} faults, RRDNS_SEED={number}", *map(shown, faults[:8])]))
    return counts


def understood(peer: Server, packets: list[bytes], tcp: list[bool]) -> list[Reply]:
    return [read(peer.name, *pair) for pair in zip(packets, peer.ask(packets, tcp), strict=True)]


def read(who: str, packet: bytes, reply: bytes | None) -> Reply:
    try:
        return parse(reply or b"")
    except (AssertionError, IndexError) as error:
        raise AssertionError(f"{who} answers {packet.hex()} by {(reply or b'').hex()}: {error}") from error


def said(table: AnswerTable, packet: bytes, tcp: bool) -> Reply:
    """What rrdns says, once its form is found right."""
    result = read("rrdns", packet, table.reply(packet, udp=not tcp))
    assert result.question == packet[12 : 12 + len(result.question)], "the question comes back as it was asked"
    assert result.flags & 0xF9F0 == 0x8000 | (packet[2] & 1) << 8, f"flags {result.flags:04x}"  # no RA, AD, CD
    assert result.edns == bool(packet[11]) and not result.repeats
    assert result.size <= room(packet, tcp)
    return result


def room(packet: bytes, tcp: bool) -> int:
    """The longest reply that may come (RFC 6891 section 6.2.5, and the limit all three servers have)."""
    if tcp:
        return 65535
    return min(max(int.from_bytes(packet[-8:-6], "big"), 512), 1232) if packet[11] else 512


def same(one: Reply, other: Reply) -> bool:
    """Equal but for additional records, where the turn of an RRset decides which of them still fit."""
    return one.compared[:5] == other.compared[:5]


def shown(case: Case) -> str:
    def section(records: frozenset[Record]) -> str:
        lines = [
            f"\n      {wire.name_to_text(owner)} {ttl} {wire.type_name(rtype)} "
            + (wire.name_to_text(data) if rtype in (wire.NS, wire.CNAME, wire.DNAME) else data.hex()[:80])
            for owner, rtype, _, ttl, data in sorted(records)
        ]
        return "".join(lines) or " -"

    def reply(who: str, one: Reply) -> str:
        parts = [f"  {who}: rcode {one.rcode}{' aa' * one.aa}{' tc' * one.tc}, {one.size} bytes"]
        parts += [f"    {part}:{section(getattr(one, part))}" for part in ("answer", "authority", "additional")]
        return "\n".join(parts)

    head = f"{wire.name_to_text(case.ours.question[:-4])} {wire.type_name(case.type)}, room for {case.limit}"
    peers = [reply(case.peer, case.theirs), reply("the other", case.other)]
    return "\n".join([head, reply("rrdns", case.ours), *peers])


def report(counts: collections.Counter[str]) -> None:
    total = counts["comparisons"]
    print(*(f"{number:8} {what}" for what, number in counts.most_common()), sep="\n")
    assert counts["same"] >= total * (100 - EXPLAINED) / 100, counts


def test_knot_and_nsd_agree() -> None:
    needs("knotd", "nsd")
    counts = compare(SEED, 16, 70, through_worker=150)
    report(counts)
    assert counts["comparisons"] >= 2000


@pytest.mark.full
@pytest.mark.timeout(7200)
def test_knot_and_nsd_agree_at_length() -> None:
    needs("knotd", "nsd")
    wanted = int(os.environ.get("RRDNS_DIFFERENTIAL", "120"))
    counts: collections.Counter[str] = collections.Counter()
    for batch in range((wanted + BATCH - 1) // BATCH):
        number = SEED + 1 + batch
        print(f"RRDNS_SEED={number}")
        counts += compare(number, BATCH, 350, through_worker=500)
    report(counts)
    assert counts["comparisons"] >= 20000
