"""Frames between control and workers: what goes in comes out, in pieces, at any cut of the stream."""

from __future__ import annotations

import marshal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrdns import link
from rrdns.answers import NAME, OWN, AnswerSet, Body, Changes, Node, ZoneAnswers
from rrdns.link import LinkError, Reader

settings.register_profile("patient", deadline=None)  # the machine may be busy
settings.load_profile("patient")

bodies = st.builds(
    Body,
    st.integers(0, 65535),
    st.tuples(st.integers(0, 99), st.integers(0, 9), st.integers(0, 9)),
    st.binary(max_size=40),
    st.lists(st.integers(0, 40), max_size=3).map(tuple),
    st.integers(-1, 40),
    st.lists(st.integers(0, 40), max_size=3).map(tuple),
)


@st.composite
def rings(draw: st.DrawFn) -> AnswerSet:
    stored = tuple(draw(st.lists(bodies, min_size=1, max_size=4)))
    slots = tuple(draw(st.lists(st.integers(0, len(stored) - 1), min_size=1, max_size=12)))
    return AnswerSet(stored, slots, draw(st.booleans()), draw(st.binary(max_size=9)))


nodes = st.builds(Node, st.binary(max_size=10), st.integers(NAME, OWN))
zones = st.builds(ZoneAnswers, rings(), rings(), rings())
changes = st.builds(
    Changes,
    st.dictionaries(st.binary(max_size=12), st.none() | rings(), max_size=8),
    st.dictionaries(st.binary(max_size=12), st.none() | nodes, max_size=8),
    st.dictionaries(st.binary(max_size=12), st.none() | zones, max_size=4),
)


def read(stream: bytes) -> list[tuple[Any, ...]]:
    return list(Reader().feed(stream))


def joined(stream: bytes) -> Changes:
    """All parts of a stream as one difference; no key may come twice."""
    whole: tuple[dict[bytes, Any], ...] = ({}, {}, {})
    for frame in read(stream):
        assert frame[0] == "part"
        part = link.unpack_part(frame)
        assert part
        for mine, its in zip(whole, (part.sets, part.nodes, part.zones), strict=True):
            assert not mine.keys() & its.keys()
            mine.update(its)
    return Changes(*whole)


@given(changes)
def test_changes_come_out_as_they_went_in(change: Changes) -> None:
    assert joined(b"".join(link.parts(change))) == change


@given(rings())
def test_what_comes_out_is_of_the_same_types(ring: AnswerSet) -> None:
    """Workers put slots into arrays and bodies into memory: tuples must stay tuples, bytes bytes."""
    (frame,) = read(b"".join(link.parts(Changes({b"k": ring}, {}, {}))))
    out = link.unpack_part(frame).sets[b"k"]
    assert out is not None
    assert type(out.slots) is tuple and type(out.bodies) is tuple and out.counted is ring.counted
    for body in out.bodies:
        assert type(body) is Body and type(body.data) is bytes and type(body.owners) is tuple


def test_nothing_makes_no_parts() -> None:
    assert list(link.parts(Changes({}, {}, {}))) == []


@given(changes, st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_any_cut_of_the_stream_gives_the_same_frames(change: Changes, sizes: list[int]) -> None:
    frames: list[tuple[Any, ...]] = [("ready", 1, 0, "0.1.0"), ("ack", 7, {}), ("commit", 7, True), ("ping", 1 << 40)]
    stream = link.encode(frames[0]) + b"".join(link.parts(change)) + b"".join(map(link.encode, frames[1:]))
    reader, got, at = Reader(), [], 0
    while at < len(stream):
        size = sizes[at % len(sizes)]
        got += list(reader.feed(stream[at : at + size]))
        at += size
    assert got == read(stream)
    assert got[0] == frames[0] and got[-3:] == frames[1:]


def large(count: int, data: int) -> AnswerSet:
    return AnswerSet(tuple(Body(0x8400, (1, 0, 0), bytes((index % 256,)) * data) for index in range(count)))


def test_pieces_stay_small() -> None:
    """A worker takes a piece between two batches; of sets, nodes and zones alike."""
    change = Changes(
        {index.to_bytes(4, "big"): large(3, 300) for index in range(500)},
        {index.to_bytes(4, "big"): Node(b"\0") for index in range(20000)},
        {index.to_bytes(4, "big"): ZoneAnswers(large(1, 90), large(1, 90), large(1, 40)) for index in range(2000)},
    )
    frames = list(link.parts(change))
    assert len(frames) > 20
    assert max(map(len, frames)) < 2 * link.PART_BYTES
    assert joined(b"".join(frames)) == change


def test_the_largest_ring_fits_into_a_frame() -> None:
    """A thousand members, all in each answer: 1,024 orders of 16 kB. A set is never divided."""
    change = Changes({b"k": large(1024, 1024 * 16)}, {}, {})
    (frame,) = link.parts(change)
    assert joined(frame) == change


def frame_of(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize(
    "stream",
    [
        (link.MAX_FRAME + 1).to_bytes(4, "big"),
        b"HAND",
        b"GET / HTTP/1.1\r\n\r\n",
        frame_of(b""),
        frame_of(marshal.dumps(("ack", 1))[:-1]),
        frame_of(b"\xff\xff"),
        frame_of(marshal.dumps(["ack", 1])),
        frame_of(marshal.dumps(())),
        frame_of(marshal.dumps(None)),
    ],
)
def test_what_is_no_frame_is_refused(stream: bytes) -> None:
    with pytest.raises(LinkError):
        read(stream)


def test_frames_before_a_bad_one_are_given() -> None:
    feed = Reader().feed(link.encode(("ping", 1)) + frame_of(b""))
    assert next(feed) == ("ping", 1)
    with pytest.raises(LinkError):
        next(feed)


def test_a_frame_too_large_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "MAX_FRAME", 100)
    with pytest.raises(LinkError, match="a frame of"):
        link.encode(("part", {b"k": bytes(200)}, {}, {}))


def test_hand_over_word_is_no_frame() -> None:
    """A worker tells a link from `HAND` by its first four bytes: no frame can begin so."""
    assert int.from_bytes(b"HAND", "big") > link.MAX_FRAME
