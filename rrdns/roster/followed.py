"""What is in force for one pool that follows directors, and what must be said twice before it is. Floor 3, pure.

Must not know: how a table is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rrdns.failover import packed
from rrdns.model import Member, Pool
from rrdns.roster.entries import DOWN, DRAIN, UP, Listing, Voice

MAX_MEMBERS = 1000
"""A pool takes no more from a director: a table gone mad must not fill memory and answers."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What is in force for one pool.

    members    those the director told, () where the files name them
    waiting    members whose leaving must be said once more, and when it was said first
    director   whose word counts, where several are followed
    notes      what is odd, for people: refused entries, directors that disagree
    idle       every member is drained there
    basis      what besides the listings it rests on: while that and they are the same, so is the rest
    expires    when the next of its directors' words gets stale; None: none is fresh
    """

    members: tuple[Member, ...] = ()
    voices: Mapping[str, Voice] = field(default_factory=dict)
    listings: Mapping[tuple[str, str], Listing] = field(default_factory=dict)
    waiting: Mapping[str, float] = field(default_factory=dict)
    director: str = ""
    notes: tuple[str, ...] = ()
    idle: bool = False
    expires: float | None = None
    basis: tuple[object, ...] = ()


NOBODY = Followed()


def patient(
    pool: Pool, before: Followed, members: tuple[Member, ...], voices: dict[str, Voice]
) -> tuple[tuple[Member, ...], dict[str, Voice], dict[str, float]]:
    """A reading that takes away over half of those in service, or takes the pool below quorum, must stand twice:
    who leaves by it stays until a later reading says the same."""
    known = {one.name for one in pool.members} or before.voices.keys()  # who the files took out may go
    serving = {of for of, one in before.voices.items() if one.word == UP and of in known}
    leaving = {of for of in serving if of not in voices or voices[of].word in (DOWN, DRAIN)}
    left = len(serving) - len(leaving)
    if not leaving or not (2 * len(leaving) > len(serving) or left < pool.quorum <= len(serving)):
        return members, voices, {}
    read = max((one.at for one in voices.values()), default=float("-inf"))
    waiting = {}
    held = dict(voices)
    for of in leaving:
        said = voices[of].at if of in voices else read
        first = before.waiting.get(of, said)
        if said <= first:
            waiting[of] = first
            held[of] = before.voices[of]
    names = {one.name for one in members}
    stay = [one for one in before.members if one.name in waiting and one.name not in names]
    taken = {address for one in stay for address in one.addresses}
    if stay:  # its address may have come back under another name
        others = [one for one in members if taken.isdisjoint(one.addresses)]
        members = tuple(sorted([*stay, *others][:MAX_MEMBERS], key=order))
        names = {one.name for one in members}
        held = {of: one for of, one in held.items() if of in names}
    return members, held, waiting


def order(member: Member) -> tuple[int, bytes]:
    address = packed(member.addresses[0])
    return len(address), address
