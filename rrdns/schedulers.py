"""The order of a ring: weights -> slots, each an ordered tuple of member indices. Floor 1, pure.

Must not know: addresses, bytes, health, time. Callers leave out whoever may not be answered; should a weight
be 0 among others above 0 it is left out here too, and weights that are all 0 count as all 1.

What is promised, for weights w of sum W and N = `answers`:

- A member stands first (clients take the first) in exactly w/W of the slots.
- With N > 1 it is in min(1, N*w/W) of the slots, what members over 1 can't use being shared out among the
  others; with N = 0, or N at least the number of members, everyone is in every slot.
- First places are smooth: any stretch from the ring's start gives each member its share to within one slot.

A ring has at most SLOTS slots. Where the exact period is longer it comes in `pages(...)` pages: each is right
to within two slots a member (inclusion: N + 1), all of them together exactly. A member whose weight is worth
less than a slot of a page is missing from some pages: its exact share goes before its presence.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import accumulate, pairwise
from math import ceil, gcd

SLOTS = 1024

Slots = tuple[tuple[int, ...], ...]


def _alike(weights: Sequence[int]) -> list[int]:
    return [1] * len(weights)


def _reduced(weights: Sequence[int]) -> list[int]:
    common = gcd(*weights)
    return [weight // common for weight in weights]


# How a scheduler reads weights. lc and wlc will read connections, sh will hash clients over the same ring.
SCHEDULERS: Mapping[str, Callable[[Sequence[int]], list[int]]] = {"rr": _alike, "wrr": _reduced}


# ---------------------------------------------------------------- doors


def ring(weights: Sequence[int], answers: int, scheduler: str, page: int = 0) -> Slots:
    """The slots of one page (`page` counts modulo the number of pages). No members: no slots."""
    members, shares_ = _living(weights, scheduler)
    if not members:
        return ()
    places = len(members) if answers <= 0 else min(answers, len(members))
    if places == len(members) or places == 1 or len(set(shares_)) == 1:
        total = sum(shares_)
        grid = _grid(total, page)
        firsts = smooth([len(cells) for cells in _cells(shares_, grid)])
        slots = _turned(firsts, len(members)) if places == len(members) else _windows(firsts, places, len(members))
    else:
        slots = _sampled(shares_, places, page)
    return tuple(tuple(members[index] for index in slot) for slot in slots)


def pages(weights: Sequence[int], answers: int, scheduler: str) -> int:
    """How many rings it takes to be exact; 1: the ring is exact by itself."""
    _, shares_ = _living(weights, scheduler)
    return max(1, ceil(sum(shares_) / SLOTS))


def shares(weights: Sequence[int], answers: int, scheduler: str) -> list[float]:
    """The share of answers each member should be in; with `answers` 1 that is its share of first places."""
    members, shares_ = _living(weights, scheduler)
    wanted = [0.0] * len(weights)
    places = len(members) if answers <= 0 else min(answers, len(members))
    fixed, left = _always(shares_, places)
    rest = sum(share for index, share in enumerate(shares_) if index not in fixed)
    for index, share in enumerate(shares_):
        wanted[members[index]] = 1.0 if index in fixed else left * share / rest
    return wanted


def reached(slots: Slots, members: int) -> list[float]:
    """The share of the slots each of `members` members is in."""
    counts = [0] * members
    for slot in slots:
        for index in slot:
            counts[index] += 1
    return [count / max(1, len(slots)) for count in counts]


def first_shares(slots: Slots, members: int) -> list[float]:
    """The share of the slots in which each of `members` members stands first."""
    return reached(tuple(slot[:1] for slot in slots), members)


def smooth(counts: Sequence[int]) -> list[int]:
    """A cyclic sequence with member i exactly counts[i] times, as evenly spread as can be.

    Job j of member i is released at j*L/n and due at (j+1)*L/n, L the length; each step takes, of the jobs
    released, the one due first. There is always one, none is ever a whole step late (R. Tijdeman, The
    chairman assignment problem, 1980): after t steps member i has been taken within one of t*n/L times.
    """
    if len(set(counts)) == 1:
        return list(range(len(counts))) * counts[0]  # what comes out below, sooner
    length = sum(counts)
    released: list[list[tuple[float, int, int]]] = [[] for _ in range(length)]
    for index, count in enumerate(counts):
        if count:
            released[0].append((length / count, index, 0))
    sequence = []
    waiting: list[tuple[float, int, int]] = []
    for jobs in released:
        for job in jobs:
            heappush(waiting, job)
        _, index, done = heappop(waiting)
        sequence.append(index)
        done, count = done + 1, counts[index]
        if done < count:
            released[-(-done * length // count)].append(((done + 1) * length / count, index, done))
    return sequence


# ---------------------------------------------------------------- who takes part, and with what


def _living(weights: Sequence[int], scheduler: str) -> tuple[list[int], list[int]]:
    """The indices of the members that take part, and their weights as the scheduler reads them."""
    if scheduler not in SCHEDULERS:
        raise ValueError(f"scheduler {scheduler!r} is not one of {', '.join(SCHEDULERS)}")
    members = [index for index, weight in enumerate(weights) if weight > 0] or list(range(len(weights)))
    return members, SCHEDULERS[scheduler]([max(1, weights[index]) for index in members])


def _always(shares_: Sequence[int], places: int) -> tuple[set[int], int]:
    """The members whose share of `places` is a whole place or more, and the places left for the others.

    Taking one out raises the others' shares, so the heaviest goes first and each is judged by what is left.
    """
    if places >= len(shares_):
        return set(range(len(shares_))), 0
    fixed: set[int] = set()
    rest = sum(shares_)
    for index in sorted(range(len(shares_)), key=lambda index: -shares_[index]):
        if places * shares_[index] < rest:
            break
        fixed.add(index)
        places -= 1
        rest -= shares_[index]
    return fixed, places


# ---------------------------------------------------------------- pages: an even grid over the line of weights
#
# Lay the members end to end on a line of W cells, each as many cells as its weight. Page p of n takes every
# n-th cell from an offset on: each member to within one of its share, all pages together each cell once.


def _grid(total: int, page: int) -> range:
    """The cells of one page. Offsets are taken in golden steps, so that neighbouring pages differ."""
    count = ceil(total / SLOTS)
    return range(page % count * _stride(count) % count, total, count)


def _cells(shares_: Sequence[int], grid: range) -> list[range]:
    """Each member's cells among those of the grid."""
    bounds = [0]
    for end in accumulate(shares_):
        bounds.append(max(0, -((grid.start - end) // grid.step)))
    return [grid[start:end] for start, end in pairwise(bounds)]


def _stride(count: int) -> int:
    """A step near the golden section of `count` that visits all of 0..count-1."""
    step = max(1, round(count * 0.6180339887))
    while gcd(step, count) != 1:
        step += 1
    return step


# ---------------------------------------------------------------- the places behind the first


def _turned(firsts: Sequence[int], members: int) -> list[tuple[int, ...]]:
    """All members in each slot: the first, then the others in file order, turned on each time it leads."""
    led = [0] * members
    slots = []
    for first in firsts:
        turn = led[first] % max(1, members - 1)
        led[first] += 1
        others = (*range(first + 1, members), *range(first))
        slots.append((first, *others[turn:], *others[:turn]))
    return slots


def _windows(firsts: Sequence[int], places: int, members: int) -> list[tuple[int, ...]]:
    """Equal weights: the first and those that follow it in file order."""
    return [tuple((first + place) % members for place in range(places)) for first in firsts]


def _sampled(shares_: Sequence[int], places: int, page: int) -> list[tuple[int, ...]]:
    """Unequal weights, fewer places than members: systematic sampling with exact first places.

    Members with a whole place are in each slot. The others, of sum M, share N places: lay them on a line of
    N*M points, N*w points each (at most M, so none is met twice by steps of M). A slot is the N members met
    from a point on in steps of M. With one slot from the start of each cell of weight, that is from point N*s
    for cell s, first places are exact; and all points met form an even grid whose step divides N, so that each
    member is met N*w times: inclusion is exact too. Slots led by a member with a whole place start from an
    even grid of their own.
    """
    fixed, left = _always(shares_, places)
    always = sorted(fixed)
    loose = [index for index in range(len(shares_)) if index not in fixed]
    rest, lead = sum(shares_[index] for index in loose), sum(shares_[index] for index in always)
    total = rest + lead
    if lead and total <= SLOTS:
        # Several rounds, if they fit, until the grid of the fixed members' slots falls on the cells.
        rounds = min(rest // gcd(rest, lead), SLOTS // total)
        shares_ = [share * rounds for share in shares_]
        rest, lead, total = rest * rounds, lead * rounds, total * rounds
    line = list(accumulate(left * shares_[index] for index in loose))
    start, starts = {True: 0, False: 0}, []
    for index, share in enumerate(shares_):  # where each member's cells begin among those of its kind
        starts.append(start[index in fixed])
        start[index in fixed] += share
    before = [0, *accumulate(shares_)]
    cells = _cells(shares_, _grid(total, page))
    order = [_shuffled(mine) for mine in cells]
    led = [0] * len(shares_)
    slots = []
    for first in smooth([len(mine) for mine in cells]):
        cell = next(order[first]) - before[first] + starts[first]
        point = cell * rest // lead if first in fixed else left * cell
        others = [loose[bisect_right(line, (point + step * rest) % line[-1])] for step in range(left)]
        others = [index for index in (*others, *always) if index != first]
        turn = led[first] % max(1, len(others))
        led[first] += 1
        slots.append((first, *others[turn:], *others[:turn]))
    return slots


def _shuffled(cells: range) -> Iterator[int]:
    """The cells in golden steps, so that slots led by one member bring ever other companions."""
    step = _stride(len(cells)) if cells else 1
    return (cells[turn * step % len(cells)] for turn in range(len(cells)))
