"""The witnesses of a story compared with one another: what was answered, what the journal holds, what was told.

Each `..._agree` raises AssertionError with what does not fit. Nothing here knows what should have been decided: only
that the witnesses must say the same, that an effect has one cause, and that nothing is told twice or for nothing."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from answers_seen import Seen
from notices_told import Told, about, of_json
from scheme_story import ZONE, Act, Lane, Story

from rrdns.model import Event
from rrdns.notify.collector import BURST
from rrdns.recorded import Recording
from rrdns.rehearsing import Blind
from rrdns.replay import Player
from rrdns.roster.roster import Decision, Roster

FLEETING = 2.0  # what stood for less may have been missed by a recorder that did not get the processor
LATE = 10.0  # nothing is answered for so long after the decision against it
AHEAD = 0.1  # clocks read one after the other
WELL = {"member": ("up",), "pool": ("ok",)}
Row = dict[str, Any]


@dataclass
class Turn:
    """From `at` on these addresses are to be answered, by the inputs that were journaled. `first`, `last`: which of
    the events of all replayed were told in that step."""

    at: float
    addresses: frozenset[str]
    first: int
    last: int


class Replayed(Blind):
    """The journal's inputs decided again: the events, and each pool's turns."""

    def __init__(self, recording: Recording) -> None:
        self.turns: dict[str, list[Turn]] = {}
        self._told = 0
        player = Player(recording, recording.begin, watch=self)
        player.play(recording.end + 1.0)
        self.events = player.events
        assert not player.notes, player.notes

    def decided(self, roster: Roster, decision: Decision, now: float) -> None:
        first, self._told = self._told, self._told + len(decision.events)
        for name, duty in roster.duties.items():
            packed = {one for serving in duty.selection.serving for one in serving.addresses}
            addresses = frozenset(socket.inet_ntoa(one) for one in packed)
            turns = self.turns.setdefault(name, [])
            if not turns or turns[-1].addresses != addresses:
                turns.append(Turn(now, addresses, first, self._told))


# ------------------------------------------------------------------ the journal by itself


def journal_agrees(story: Story, replayed: Replayed) -> None:
    """What was told to be decided is what the inputs come to when they are decided again; and `rrdns events` has it."""
    keys = ("subject", "name", "before", "after", "why")
    printed = [tuple(one[key] for key in keys) for one in story.events]
    assert printed == [tuple(one[key] for key in keys) for one in story.recording.events]
    agreement = story.replayed["agreement"]
    assert agreement["same"] >= 0.9 * max(agreement["recorded"], agreement["replayed"]) > 0, agreement
    for lane in story.lanes:
        once = [(one["subject"], one["name"], one["before"], one["after"]) for one in of_lane(story, lane)]
        again = [(one.subject, one.name, one.before, one.after) for one in again_of_lane(replayed, lane)]
        assert again == once, f"{lane}: {again} and not {once}"


def of_lane(story: Story, lane: Lane) -> list[Row]:
    """What the journal says of a lane from its first act on. Before that, in the first round, results may come in the
    very moment of a decision, and replaying need not take them in the same one."""
    some = (one for one in story.recording.events if _scheme_s(one["subject"]) and lane.owns(one["name"]))
    return [one for one in some if one["time"] > lane.acts[0].at]


def again_of_lane(replayed: Replayed, lane: Lane) -> list[Event]:
    some = (one for one in replayed.events if _scheme_s(one.subject) and lane.owns(one.name))
    return [one for one in some if one.at > lane.acts[0].at]


def _scheme_s(subject: str) -> bool:
    return subject in ("member", "pool", "failover")


# ------------------------------------------------------------------ answers and journal


def answers_agree(story: Story, replayed: Replayed, lane: Lane) -> int:
    """Each change of who is answered has one step in the journal, that says so, and the test's own act behind it.
    Gives how many changes there were."""
    assert not story.failures, story.failures
    kept, again = of_lane(story, lane), again_of_lane(replayed, lane)
    changes = 0
    for pool in lane.pools:
        seen, turns = story.seen[f"{pool}.{ZONE}"], replayed.turns[pool]
        found = aligned(pool, seen, turns)
        for before, after, turn in zip(seen, seen[1:], found[1:], strict=False):
            inside = {id(event) for event in replayed.events[turn.first : turn.last]}
            step = [one for event, one in zip(again, kept, strict=True) if id(event) in inside]
            changes += 1
            judge_step(lane, pool, before, after, step)
    return changes


def aligned(pool: str, seen: Sequence[Seen], turns: Sequence[Turn]) -> list[Turn]:
    """The turn behind each thing seen. In between there may be none but what stood so shortly that it was missed."""
    ends = [*(later.at for later in turns[1:]), float("inf")]
    at = max(place for place, turn in enumerate(turns) if turn.at < seen[0].since + AHEAD)
    found = list[Turn]()
    for one in seen:
        while at < len(turns) and turns[at].addresses != one.addresses:
            missed = ends[at] - turns[at].at > FLEETING
            assert not missed, f"{pool}: {turns[at]} was in force, and {one} was seen instead"
            at += 1
        assert at < len(turns), f"{pool}: {one} was seen, and the journal knows nothing of it: {turns}"
        assert turns[at].at < one.since + AHEAD, f"{pool}: {one} was seen before {turns[at]} was decided"
        found.append(turns[at])
        at += 1
    late = [turn for turn, end in zip(turns[at:], ends[at:], strict=True) if end - turn.at > FLEETING]
    assert not late, f"{pool}: {late} was in force, and not seen; the last was {seen[-1]}"
    return found


def judge_step(lane: Lane, pool: str, before: Seen, after: Seen, step: Sequence[Row]) -> None:
    """One change of what is answered for a pool, against the step in the journal that must have made it.

    | in the step                        | the cause                                                          |
    |------------------------------------|--------------------------------------------------------------------|
    | one member's transition            | its server, which the test killed or started last                  |
    | none, and events of failover alone | a failback: the time since the last server was started is over     |
    """
    told = f"{lane}: {pool} from {sorted(before.addresses)} to {sorted(after.addresses)}: {step}"
    assert step, f"no event at all; {told}"
    times = {one["time"] for one in step}
    assert max(times) - min(times) < 0.001, f"more than one step; {told}"
    assert max(times) < after.since + AHEAD and min(times) > before.until - LATE, told
    act = last_act(lane, min(times))
    members = [one for one in step if one["subject"] == "member"]
    assert len(members) <= 1, f"more than one cause; {told}"
    if members:
        assert (members[0]["name"], members[0]["after"]) == (lane.prefix + act.host, act.word), f"{act}; {told}"
    else:
        assert act.word == "up" and min(times) - act.at >= 1.0, f"no cause; {act}; {told}"
    moves = [one for one in step if one["subject"] == "failover" and one["name"] == pool]
    abouts = [about(one["subject"], one["name"], one["after"]) for one in moves]
    assert len(set(abouts)) == len(abouts), f"told more than once; {told}"
    changed = {lane.host(one) for one in before.addresses ^ after.addresses}
    if changed != {act.host}:
        assert moves, f"others than {act.host} came or went, and no event says why; {told}"
    member = act.host.partition("/")[2]
    for one in moves:
        assert member in one["why"].partition(";")[0], f"the cause is not named; {act}; {told}"


def last_act(lane: Lane, at: float) -> Act:
    done = [act for act in lane.acts if act.at <= at]
    assert done, f"{lane}: nothing had been done at {at}"
    return done[-1]


def moves_show(story: Story, replayed: Replayed, lane: Lane) -> None:
    """No event of failover without a change of some answer in the same step, but for one: of its own hosts a pool may
    choose others while they wait for their return, and says so."""
    kept, again = of_lane(story, lane), again_of_lane(replayed, lane)
    shown = {
        id(event)
        for pool in lane.pools
        for turn in replayed.turns[pool]
        for event in replayed.events[turn.first : turn.last]
    }
    for event, one in zip(again, kept, strict=True):
        if one["subject"] == "failover" and "its own hosts are well and return" not in one["why"]:
            assert id(event) in shown, f"{lane}: {one}, and nothing else was answered"


# ------------------------------------------------------------------ the past, asked for


def past_agrees(story: Story) -> None:
    """`rrdns explain --at` names the addresses that were answered then."""
    assert story.explained
    for at, name, said in story.explained:
        seen = next(one for one in story.seen[name] if one.since <= at <= one.until)
        answered = {line.split()[-1] for line in said["reply"]["answer"]}
        assert answered == seen.addresses, f"{name} at {at}: {sorted(answered)}, and {seen} was seen"


# ------------------------------------------------------------------ journal and sinks


def sinks_agree(story: Story, sink: str, pools: Iterable[str]) -> int:
    """All that the journal holds of these pools was told to the sink, each once and in its order, and nothing else.
    Gives how many transitions that were."""
    pools, messages = set(pools), story.told[sink]
    told: dict[tuple[str, str, str], list[Told]] = {}
    for message in messages:
        for one in message:
            assert one.name.partition("/")[0] in pools, f"{sink}: {one} is none of its pools"
            told.setdefault(one.about, []).append(one)
    kept: dict[tuple[str, str, str], list[Row]] = {}
    for event in story.recording.events:
        if _scheme_s(event["subject"]) and event["name"].partition("/")[0] in pools:
            kept.setdefault(about(event["subject"], event["name"], event["after"]), []).append(event)
    assert not told.keys() - kept.keys(), f"{sink}: told for nothing: {told.keys() - kept.keys()}"
    for key, events in kept.items():
        same_story(sink, events, told.get(key, []))
    in_order(sink, story, messages)
    return sum(one.changes for some in told.values() for one in some)


def same_story(sink: str, events: Sequence[Row], told: Sequence[Told]) -> None:
    """Of one subject: each thing told stands for the next `changes` events, and those left out are no news."""
    at, word = 0, ""
    for one in told:
        start = at
        while not _is_of(one, events[at : at + one.changes]):
            at += 1
            assert at < len(events), f"{sink}: {one} is nothing of {events[start:]}; all that was told: {told}"
        silent(sink, events[start:at], word, start == 0)
        at, word = at + one.changes, one.after
    silent(sink, events[at:], word, at == 0)


def _is_of(one: Told, events: Sequence[Row]) -> bool:
    if len(events) < one.changes:
        return False
    first, last = events[0], events[-1]
    return (one.before, one.after, one.why) == (first["before"], last["after"], last["why"])


def silent(sink: str, events: Sequence[Row], word: str, begins: bool) -> None:
    """These were not told: they undid one another before a message went out, or they are how all began."""
    if not events:
        return
    subject, first, last = events[0]["subject"], events[0]["before"], events[-1]["after"]
    if subject == "failover":
        fine = first == last or (begins and len(events) == 1 and first in ("no tier", "nobody"))
    else:
        fine = first == last or (not word and last in WELL[subject])
    assert fine, f"{sink} was not told of {events}; before that {word or 'nothing'}"


def in_order(sink: str, story: Story, messages: Sequence[Sequence[Told]]) -> None:
    """What is told one by one comes in the journal's order, also over messages. Not so what is held back because its
    subject was told of too often, nor the lines of a mail, where pools come before members.

    What happened twice in the same words and was told once (the first time it was undone before a message went out)
    counts as the first of the two that is in order. What happened while rrdns began again is told as it was found
    once it served, not as it came about, and so all of it has the place of the first."""
    events = story.recording.events
    anew = dict[int, int]()
    for begun, over in story.restarts:
        found = [number for number, event in enumerate(events) if begun <= event["time"] <= over]
        anew |= dict.fromkeys(found, found[0] if found else -1)
    places: dict[Told, list[int]] = {}
    for number, event in enumerate(events):
        single = of_json({**event, "changes": 1})
        places.setdefault(single, []).append(number)
    often = Counter[tuple[str, str, str]]()
    reached = -1
    last = dict[tuple[str, str, str], int]()
    for message in messages:
        numbers = []
        for one in message:
            often[one.about] += 1
            if one.changes == 1:
                later = [place for place in places.get(one, []) if place > last.get(one.about, -1)]
                assert later, f"{sink}: {one} was told once more than it happened"
                place = later[0]
                if often[one.about] <= BURST:
                    before = numbers[-1] if numbers and sink.startswith("chat") else reached
                    place = next((one for one in later if anew.get(one, one) > before), place)
                    numbers.append(anew.get(place, place))
                last[one.about] = place
        assert not sink.startswith("chat") or numbers == sorted(numbers), f"{sink}: not in order: {message}"
        begins = bool(numbers) and min(numbers) in anew.values()
        assert not numbers or min(numbers) > reached - begins, f"{sink}: {message} was overtaken"
        reached = max([reached, *numbers])
