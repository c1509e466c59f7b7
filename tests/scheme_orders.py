"""The schemes as files, the orders in which their hosts can fail and recover, and what each order comes to by the
truth tables: worked out by the roster itself in pretend time."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

from rrdns import zonefile
from rrdns.model import Result
from rrdns.roster.roster import Roster

GOOD = Result(True, "HTTP 200")
BAD = Result(False, "connection refused")
ROUND = 0.25
ROUNDS = 8  # until an outcome stands: `fall` or `rise`, and a failback of a second

Move = tuple[object, str, bool]

CHECK = "{{type: http, port: {port}, path: /, interval: 300ms, timeout: 1s, fall: 2, rise: 2, fast: 200ms}}"


@dataclass(frozen=True)
class Scheme:
    """`pools` by name as YAML, where `A` stands for the first three bytes of its hosts' addresses."""

    pools: Mapping[str, str]

    @property
    def hosts(self) -> dict[str, str]:
        """Each host's pool and last byte, as `web/w1: 1`."""
        return {
            f"{pool}/{member}": text.partition(f"{member}: A.")[2][:1]
            or text.partition(f"{member}: {{address: A.")[2][:1]
            for pool, text in self.pools.items()
            for member in ("w1", "w2", "w3", "m1", "m2", "r1", "r2", "z1")
            if f"{member}: " in text
        }

    def text(self, net: str, prefix: str) -> str:
        lines = []
        for pool, text in self.pools.items():
            for other in self.pools:
                text = text.replace(f"${other}", f"{prefix}{other}")
            lines.append(f"  {prefix}{pool}: {{check: web, when_down: empty, {text.replace('A.', net + '.')}}}\n")
        return "".join(lines)


BACK = "failback: 1s"
SCHEMES = {
    "idle-standby": Scheme(
        {
            "web": "members: {w1: A.1, w2: {address: A.2, priority: 2}, w3: {address: A.3, priority: 3}}, "
            f"failover: {{scheme: idle-standby, {BACK}}}"
        }
    ),
    "rotating-standby": Scheme(
        {"web": "members: {w1: A.1, w2: A.2, w3: A.3}, failover: {scheme: rotating-standby}"},
    ),
    "simple-failover": Scheme(
        {
            "web": f"members: {{w1: A.1}}, failover: {{scheme: simple-failover, backup: $rep, {BACK}}}",
            "rep": "members: {r1: A.2, r2: A.3}",
        }
    ),
    "mutual-takeover": Scheme(
        {
            "web": "members: {w1: A.1, w2: A.2}, quorum: 2, "
            f"failover: {{scheme: mutual-takeover, partner: $rep, {BACK}}}",
            "rep": f"members: {{r1: A.3}}, failover: {{scheme: mutual-takeover, partner: $web, {BACK}}}",
        }
    ),
    "chain": Scheme(
        {
            "web": f"members: {{w1: A.1}}, fallback: $mid, failover: {{{BACK}}}",
            "mid": "members: {m1: A.2, m2: {address: A.3, priority: 2}}, fallback: $end, "
            f"failover: {{scheme: idle-standby, {BACK}}}",
            "end": "members: {z1: A.4}",
        }
    ),
}


def files(pools: str, names: Sequence[str], port: int) -> dict[str, str]:
    """A zone with a name for each pool, and the pools."""
    zone = "'':\n  - {type: NS, values: [ns1.lb.example.com.]}\nns1: {type: A, value: 127.0.0.1}\n"
    zone += "".join(f"{name}: {{type: POOL, pool: {name}, ttl: 20}}\n" for name in names)
    text = f"checks: {{web: {CHECK.format(port=port)}}}\npools:\n{pools}"
    return {"lb.example.com.yaml": zone, "pools.yaml": text}


@dataclass(frozen=True)
class Rest:
    """What a failure or recovery comes to when all has been done that follows from it. `answers`: of each pool the
    hosts answered, `words`: each host's state, `memory`: what schemes remember, `moves`: events of failover on the
    way."""

    answers: Mapping[str, frozenset[str]]
    words: Mapping[str, str]
    memory: tuple[object, ...]
    moves: tuple[tuple[str, str, str], ...]

    def state(self) -> object:
        return tuple(sorted(self.words.items())), self.memory


@cache
def outcome(scheme: str, order: tuple[str, ...], dead: frozenset[str] = frozenset()) -> tuple[Rest, ...]:
    """The start, and what each step of the order comes to: a host that is up is killed, one that is down is started.
    `dead`: these are so from the beginning."""
    one = SCHEMES[scheme]
    loaded = zonefile.load(
        {f"zones/{name}": text.encode() for name, text in files(one.text("127.0.9", ""), list(one.pools), 80).items()}
    )
    assert loaded.dataset is not None, loaded.problems
    roster, now = Roster(), 1.0
    roster.load(loaded.dataset, now)
    check = loaded.dataset.checks["web"]
    found = []
    for host in (None, *order):
        if host is not None:
            dead ^= {host}
        moves = []
        for _ in range(ROUNDS):
            now += ROUND
            while (deadline := roster.next_deadline()) is not None and deadline <= now:
                moves += [event for event in roster.advance(deadline).events if event.subject == "failover"]
            for whose, byte in one.hosts.items():
                decision = roster.observe(check.key(f"127.0.9.{byte}"), BAD if whose in dead else GOOD, now)
                moves += [event for event in decision.events if event.subject == "failover"]
        found.append(_rest(roster, [(event.name, event.before, event.after) for event in moves]))
    return tuple(found)


def _rest(roster: Roster, moves: list[tuple[str, str, str]]) -> Rest:
    answers, words, memory = {}, {}, list[object]()
    for name, duty in roster.duties.items():
        serving = (one.name for one in duty.selection.serving)
        answers[name] = frozenset(one if "/" in one else f"{name}/{one}" for one in serving)
        words.update({f"{name}/{host.name}": host.word for host in duty.hosts})
        standing = duty.selection.standing
        memory += [standing.tier, standing.holders, standing.queue, standing.source]
    return Rest(answers, words, tuple(memory), tuple(moves))


def orders(scheme: str, length: int) -> list[tuple[str, ...]]:
    """All of that length: none has a step that does nothing."""
    return list(product(SCHEMES[scheme].hosts, repeat=length))


def telling(scheme: str, length: int, most: int, among: int = 24) -> list[tuple[str, ...]]:
    """A few orders that come, together, through as many different moves as they can: each move is a state of the
    pools with what befalls a host in it, and one that somebody hears of counts more. First those in the middle of
    which (so at the restart) it matters what was before. `among`: so many orders are looked at, to be done soon."""
    some = orders(scheme, length)
    if len(some) > among:
        some = random.Random(1).sample(some, among)
    left = {order: set(_moves(scheme, order)) for order in some}
    found, done = list[tuple[str, ...]](), set[Move]()
    while left and len(found) < most:
        worth = {order: sum(3 if heard else 1 for *_, heard in moves - done) for order, moves in left.items()}
        best = max(left, key=lambda order: (not found and _remembers(scheme, order), worth[order]))
        done |= left.pop(best)
        found.append(best)
    return found


def _remembers(scheme: str, order: tuple[str, ...]) -> bool:
    """Whether a server that knows nothing of before would answer otherwise in the middle of the order."""
    half = len(order) // 2
    dead = {host for host in order[:half] if order[:half].count(host) % 2}
    return outcome(scheme, order)[half].answers != outcome(scheme, (), frozenset(dead))[0].answers


def _moves(scheme: str, order: tuple[str, ...]) -> Iterator[Move]:
    rests = outcome(scheme, order)
    for before, host, after in zip(rests, order, rests[1:], strict=False):
        yield before.state(), host, bool(after.moves)
