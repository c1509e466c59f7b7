"""Least connections: what each host carries now -> how many of the next answers it should get. Floor 1, pure.

`lc` and `wlc` go by the kernel's rule (net/netfilter/ipvs/ip_vs_wlc.c): a new connection goes to the host with the
least overhead / weight, overhead = 256 * active + inactive connections, and adds 256 to that host. A DNS server
knows the connections only at each poll, and an answer is no connection: between two polls everybody would be sent
to the host that was least loaded (herding; lbnamed counted a host up each time it was handed out). So the answers
of the whole interval are placed at once, each adding the connections an answer is known to bring:

    pour them like water into vessels that stand `overhead / weight` high and are `weight` wide: the level is the
    same for all that got any, and what each got is its part of the coming answers

which is what the kernel's argmin comes to, taken one by one, without the order. The order is the scheduler's: it
spreads these parts as smoothly as any weights. Must not know: directors, rings, time.
"""

from __future__ import annotations

from collections.abc import Sequence

ACTIVE = 256  # ip_vs_dest_conn_overhead(): an inactive connection weighs 1, an active one so many
ENOUGH, LEARN = 10, 0.3
FINE = 1000  # weights that come out add up to about this: a hundredth of it is a hundredth of the answers


def overhead(active: int, inactive: int) -> int:
    """What a host carries, in the kernel's units."""
    return ACTIVE * max(0, active) + max(0, inactive)


def parts(weights: Sequence[int], overheads: Sequence[int], coming: float) -> list[float]:
    """How many of `coming` new connections each host should get; they add up to `coming`. A weight of 0 gets none.

    Raises ValueError when there is nobody with a weight.
    """
    order = sorted((over / weight, index) for index, (weight, over) in enumerate(zip(weights, overheads, strict=True))
                   if weight > 0)  # fmt: skip
    if not order:
        raise ValueError("no host has a weight")
    left = max(0.0, coming) * ACTIVE
    width, level = 0, order[0][0]
    for place, (_, index) in enumerate(order):
        width += weights[index]
        following = order[place + 1][0] if place + 1 < len(order) else None
        if following is None or (following - level) * width >= left:
            level += left / width
            break
        left -= (following - level) * width
        level = following
    return [max(0.0, level * weight - over) / ACTIVE for weight, over in zip(weights, overheads, strict=True)]


def weights_for(weights: Sequence[int], overheads: Sequence[int], coming: float, alike: bool = False) -> list[int]:
    """Weights for the ring of the coming interval: `wlc`, or with `alike` `lc`, to which all hosts are equal.

    Whoever has a weight keeps at least 1 in FINE: it must not be forgotten while the others catch up, and its own
    connections are the only ones to tell whether it still works.
    """
    wide = [min(1, weight) for weight in weights] if alike else list(weights)
    if not any(wide):
        return list(wide)
    shares = parts(wide, overheads, max(coming, 1.0))
    total = sum(shares)
    return [max(1, round(FINE * share / total)) if weight else 0 for share, weight in zip(shares, wide, strict=True)]


def growth(rate: float, answers: int, connections: int) -> float:
    """Connections that an answer brings (resolvers cache, so it is seldom 1), as learned so far and from one more
    interval: answers given in it, connections that were new. Too few answers say nothing."""
    if answers < ENOUGH or connections < 0:
        return rate
    return rate + LEARN * (connections / answers - rate)
