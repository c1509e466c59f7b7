"""A large commit is in force in one step and settled bit by bit, and nobody who asks can tell."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_zone import ZONE, addresses, alias, name, question, small_zone, soa

from rrdns.answers import AUTHORITATIVE, NXDOMAIN, OWN, AnswerSet, Changes, Node, ZoneAnswers, key
from rrdns.server import table as tables
from rrdns.server.respond import AnswerTable
from rrdns.server.rings import Ring
from rrdns.server.settling import Late

NAMES = ["www", "mail", "alias", "alias2", "new", "x.wild", "moved", "x.moved", "cut", "nothing", "big", "other"]
INNER = name("sub.lb.example.com.")


def ring(first: int, size: int, counted: bool) -> AnswerSet:
    return AnswerSet(tuple(addresses(f"192.0.2.{first + at}") for at in range(size)), tuple(range(size)), counted)


rings = st.builds(ring, st.integers(1, 20), st.integers(1, 4), st.booleans())
aliases = st.sampled_from(["www", "new", "other"]).map(lambda to: AnswerSet((alias(f"{to}.lb.example.com."),)))
owners = st.sampled_from(NAMES).map(lambda text: name(f"{text}.lb.example.com."))


@st.composite
def changes(draw: st.DrawFn) -> tuple[Changes, bool]:
    """Rings, aliases and names that come, go and change; sometimes a zone inside; sometimes the whole table anew."""
    base = small_zone()
    fresh = draw(st.booleans())
    sets: dict[bytes, Any] = dict(base.sets) if fresh else {}
    nodes: dict[bytes, Any] = dict(base.nodes) if fresh else {}
    zones: dict[bytes, Any] = dict(base.zones) if fresh else {}
    for owner in draw(st.lists(owners, unique=True, max_size=6)):
        kind = draw(st.integers(0, 3))
        if kind == 0:
            sets[key(owner, 1)] = None
        elif kind == 1:
            sets[key(owner, 0)], nodes[owner] = draw(aliases), Node(ZONE, OWN)
        elif kind == 2:
            sets[key(owner, 1)] = draw(rings)
        else:
            sets[key(owner, 1)], nodes[owner] = draw(rings), Node(ZONE)
    ttl = draw(st.integers(1, 3))
    if draw(st.booleans()):
        zones[ZONE] = ZoneAnswers(soa(AUTHORITATIVE, ttl), soa(NXDOMAIN, ttl), ring(9, 1, False))
    if draw(st.booleans()):
        zones[INNER] = ZoneAnswers(soa(AUTHORITATIVE, 9), soa(NXDOMAIN, ttl), ring(9, 1, False))
        nodes[INNER] = Node(INNER)
    if fresh:
        sets = {place: one for place, one in sets.items() if one is not None}
    return Changes(sets, nodes, zones), fresh


def packets(rng: random.Random, count: int) -> list[bytes]:
    texts = [f"{one}.lb.example.com." for one in [*NAMES, "sub", "y.sub"]] + ["lb.example.com.", "example.org."]
    types = [1, 1, 1, 28, 5, 15, 255, 6]
    return [
        question(rng.choice(texts), rng.choice(types), edns=rng.choice([None, 1232]), number=number)
        for number in range(count)
    ]


def sums(into: dict[bytes, int], readings: dict[bytes, tuple[int, int, int]]) -> None:
    for place, (_, first, last) in readings.items():
        into[place] = into.get(place, 0) + last - first


@settings(deadline=None, max_examples=150)
@given(st.lists(changes(), min_size=1, max_size=5), st.integers(0, 2**32))
def test_what_is_asked_meanwhile_is_as_after_a_commit_in_one_go(steps: list[tuple[Changes, bool]], seed: int) -> None:
    rng = random.Random(seed)
    late, twin = AnswerTable(), AnswerTable()
    counts: tuple[dict[bytes, int], dict[bytes, int]] = ({}, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "SMALL", -1)  # every commit is a large one
        for number, (change, fresh) in enumerate([(small_zone(), True), *steps], 1):
            for one in (late, twin):
                one.stage(change)
            late.begin(number, fresh)
            sums(counts[1], twin.commit(number, fresh))
            settled = False
            for packet in packets(rng, 60):
                assert late.reply(packet, udp=True) == twin.reply(packet, udp=True)
                if rng.random() < 0.3:
                    settled = late.settle(rng.randrange(1, 5))
                    sums(counts[0], late.retired())
            if rng.random() < 0.8:  # else the next one comes too early, and finds it unsettled
                settled = late.settle()
                assert settled and type(late.sets) is dict and type(late.nodes) is dict
            sums(counts[0], late.retired())
        late.settle()
    sums(counts[0], late.retired())
    sums(counts[0], late.counters())
    sums(counts[1], twin.counters())
    assert counts[0] == counts[1]
    assert late.sets.keys() == twin.sets.keys() and late.nodes.keys() == twin.nodes.keys()
    assert late.zones.keys() == twin.zones.keys() and set(late.counted()) == set(twin.counted())


def many(count: int, first: int) -> Changes:
    owners = [name(f"n{at}.lb.example.com.") for at in range(count)]
    sets = {key(owner, 1): ring(first, 1, True) for owner in owners}
    return Changes(sets, {owner: Node(ZONE) for owner in owners}, dict(small_zone().zones))


def test_a_large_commit_does_nothing_and_settles_no_more_than_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    one = AnswerTable()
    one.stage(many(5000, 1))
    one.commit(1, fresh=True)
    replaced: list[Ring] = []
    replace = Ring.replace
    monkeypatch.setattr(Ring, "replace", lambda ring, *more: replace(ring, *more) | bool(replaced.append(ring)))
    one.stage(many(5000, 2))
    one.begin(2)
    assert not replaced and isinstance(one.sets, Late)
    reply = one.reply(question("n4999.lb.example.com."), udp=True)
    assert reply is not None and reply.endswith(b"\xc0\0\2\2") and len(replaced) == 1
    steps = 0
    while not one.settle(200):
        assert len(replaced) <= 200 * (steps + 1) + 3
        steps += 1
    assert len(replaced) == 5000 and steps > 40


def test_a_small_commit_is_settled_at_once() -> None:
    one = AnswerTable()
    one.stage(many(3, 1))
    one.begin(1)
    assert type(one.sets) is dict and one.settle()


def test_views_in_use_are_made_before_the_commit() -> None:
    one = AnswerTable()
    one.stage(many(1, 1))
    one.commit(1, fresh=True)
    packet = question("n0.lb.example.com.", edns=1232)
    one.reply(packet, udp=True)
    one.stage(many(1, 2))
    before = one.reply(packet, udp=True)
    assert before is not None and before[-15:-11] == b"\xc0\0\2\1"  # nothing of it is seen yet
    one.commit(2)
    after = one.reply(packet, udp=True)
    assert after is not None and after[-15:-11] == b"\xc0\0\2\2"
