"""`sh`: the ring in which a client always finds the same member. Floor 1, pure.

Workers take the slot by a hash of the client's network instead of the cursor. Which member a slot has is decided by
weighted rendezvous hashing (D. Thaler and C. Ravishankar, 1998; weights after L. Schindelhauer and G. Schomaker,
2005): each member draws a number for each slot from its name alone, and the least of `-ln(draw) / weight` has it. So a
member that comes takes its share of slots from all others, one that goes leaves its own to them, and no other slot
changes hands. Only names count: the A and the AAAA ring of a pool lead a client to the same member.

Must not know: clients, addresses, time.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Sequence
from functools import lru_cache
from heapq import nsmallest

SLOTS = 1024  # never another number: it would move every client

Slots = tuple[tuple[int, ...], ...]


@lru_cache(maxsize=4096)
def _draws(name: str) -> tuple[float, ...]:
    """-ln of a number in (0, 1] for each slot; the same on every machine and in every run."""
    drawn = array("I", hashlib.shake_256(name.encode()).digest(4 * SLOTS))
    return tuple([-math.log((one + 1) / 4294967296) for one in drawn])


def ring(names: Sequence[str], weights: Sequence[int], answers: int) -> Slots:
    """The slots, as tuples of indices into `names`; a name that stands there several times (a host with several
    addresses) is drawn once, with all of its weight. `answers` 0: all. Weights that are all 0 count as all 1; among
    others a 0 is left out."""
    entries: dict[str, list[int]] = {}
    heft: dict[str, int] = {}
    living = any(weights)
    for index, (name, weight) in enumerate(zip(names, weights, strict=True)):
        if weight or not living:
            entries.setdefault(name, []).append(index)
            heft[name] = heft.get(name, 0) + (weight or 1)
    if not entries:
        return ()
    wanted = answers if answers > 0 else sum(map(len, entries.values()))
    rows = [([draw / heft[name] for draw in _draws(name)], entries[name]) for name in sorted(entries)]
    if len(rows) == 1:
        return _expanded([[rows[0][1]]] * SLOTS, wanted)
    order = []
    for slot in range(SLOTS):
        best = nsmallest(wanted, rows, key=lambda row: row[0][slot])
        order.append([mine for _, mine in best])
    return _expanded(order, wanted)


def _expanded(order: list[list[list[int]]], wanted: int) -> Slots:
    """Members to their addresses, of which a slot begins with the next."""
    slots = []
    for slot, members in enumerate(order):
        found: list[int] = []
        for mine in members:
            turn = slot % len(mine)
            found += mine[turn:]
            found += mine[:turn]
        slots.append(tuple(found[:wanted]))
    return tuple(slots)
