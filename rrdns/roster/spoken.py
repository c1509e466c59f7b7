"""What operators have said of a pool and its members, and what it makes of the hosts that decide. Floor 3, pure.

A pool at work (`duty.Duty`) is one of these; it judges its hosts, which is what is known, and here are the hosts that
decide: under a hold those that were known when it began. Must not know: checks, directors, rings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rrdns import failover, overrides
from rrdns.failover import Host, Selection
from rrdns.model import ABSENT, Override, Pool, State


def word_of(words: Mapping[str, Override], member: str) -> str:
    return words[member].word if member in words else ""


def weighed(weight: int | None, by_hand: str) -> tuple[int | None, int | None]:
    """(weight, per cent) after an operator's `weight ...`; nothing of it is the same as weight 0."""
    fixed, percent = overrides.amount(by_hand)
    if percent == 0:
        return 0, None
    return (weight if fixed is None else fixed), percent


class Spoken:
    """`hosts`: as they are judged now; `selection`: the decision in force. `overrides`: who is drained, disabled,
    forced up; `weights`: whose weight an operator said. `hold`: an operator's word that nothing may change by itself;
    `frozen`: the hosts as they were when it began, but for operators' words; `spoken`: something it does not stop (an
    operator's word, a reload) has happened since the pool was last decided."""

    __slots__ = ("_judged", "frozen", "hold", "hosts", "overrides", "pool", "selection", "spoken", "weights")

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.hosts: list[Host] = []
        self.selection = Selection(ABSENT, "", (), "available")
        self.overrides: dict[str, Override] = {}
        self.weights: dict[str, Override] = {}
        self.hold: Override | None = None
        self.frozen: dict[str, Host] = {}
        self.spoken = False
        self._judged: Mapping[str, State] = {}

    def _as(self, index: int, judged: Mapping[str, State], override: str, by_hand: str) -> tuple[Host, int | None]:
        """A member as these words make it ("" for none), and the per cent of its weight that count."""
        raise NotImplementedError

    def keep_words(self, before: Spoken, waits: bool) -> None:
        """Takes over from the same pool as it was before a reload; `waits`: words on members that are gone stay."""
        names = {one.name for one in self.pool.members}
        self.overrides = {name: one for name, one in before.overrides.items() if waits or name in names}
        self.weights = {name: one for name, one in before.weights.items() if waits or name in names}
        self.hold, self.frozen, self.spoken = before.hold, before.frozen, True

    # ------------------------------------------------------------------ a hold

    def freeze(self, hold: Override, kept: Mapping[str, Host]) -> None:
        """From now on nothing changes by itself; another hold may take over from the one that stands. `kept`: hosts as
        they were frozen before a restart."""
        if self.hold is None:
            every = [self._as(index, self._judged, "", "")[0] for index in range(len(self.hosts))]
            self.frozen = {one.name: kept.get(one.name, one) for one in every}
        self.hold = hold

    def _first_verdict(self, index: int) -> None:
        """A member nobody had judged when the hold began takes its first verdict: that is no change."""
        then = self.frozen.get(self.hosts[index].name)
        if then is not None and then.state is State.UNKNOWN:
            self.frozen[then.name] = now = self._as(index, self._judged, "", "")[0]
            self.spoken |= now.state is not State.UNKNOWN

    def thaw(self) -> None:
        self.hold, self.frozen = None, {}

    def stays(self) -> bool:
        """Whether a hold keeps the decision that is in force, whatever has happened."""
        return self.hold is not None and not self.spoken and self.selection.state != ABSENT

    def acting(self) -> list[Host]:
        """The hosts that decide. Under a hold: as they were when it began, with what operators said since."""
        if self.hold is None:
            return self.hosts
        return [self._held(index, one) for index, one in enumerate(self.hosts)]

    def _held(self, index: int, host: Host) -> Host:
        then, member = self.frozen.get(host.name), self.pool.members[index]
        if then is None or tuple(one.text for one in then.addresses) != member.addresses:
            return host
        states = [one.state for one in then.addresses]
        weight = then.weight if self.pool.weight_from == "director" else None
        if by_hand := word_of(self.weights, host.name):
            weight, _ = weighed(weight, by_hand)
        return failover.host(member, states, self.pool.families, word_of(self.overrides, host.name), then.told, weight)

    # ------------------------------------------------------------------ words

    def imagined(self, ops: Iterable[Override], ended: Override | None = None) -> list[Host]:
        """The hosts that would decide, had an operator said all this, and had a word of his come to its end."""
        before = self.overrides, self.weights
        self.overrides, self.weights = dict(self.overrides), dict(self.weights)
        try:
            for op in ops:
                self.take(op)
            if ended is not None:
                self.end(ended)
            now = [
                self._as(at, self._judged, word_of(self.overrides, one.name), word_of(self.weights, one.name))[0]
                for at, one in enumerate(self.hosts)
            ]
            return now if self.hold is None else [self._held(index, one) for index, one in enumerate(now)]
        finally:
            self.overrides, self.weights = before

    def take(self, op: Override) -> tuple[Override, ...]:
        """An operator's word on a member, without judging it anew; gives the words that it ends or replaces."""
        if op.word == overrides.RETURN:
            drilled = op.member in self.overrides and self.overrides[op.member].word == overrides.DRILL
            return (self.overrides.pop(op.member),) if drilled else ()
        if op.word == overrides.ENABLE:
            ended = self.overrides.pop(op.member, None), self.weights.pop(op.member, None)
            return tuple(one for one in ended if one is not None)
        place = self.weights if overrides.slot(op.word) == overrides.WEIGHT else self.overrides
        before = place.get(op.member)
        place[op.member] = op
        return (before,) if before is not None else ()

    def end(self, word: Override) -> None:
        """That word is over, its other one stays."""
        (self.weights if overrides.slot(word.word) == overrides.WEIGHT else self.overrides).pop(word.member, None)

    def words_in_force(self) -> Iterator[Override]:
        """Operators' words on members, by member."""
        for member in sorted({*self.overrides, *self.weights}):
            yield from (place[member] for place in (self.overrides, self.weights) if member in place)

    def has_timed(self) -> bool:
        """Whether an operator's word ends by itself."""
        return any(one.until is not None for one in self.spoken_of())

    def spoken_of(self) -> Iterator[Override]:
        """All operators' words that this pool feels, its hold last."""
        yield from self.words_in_force()
        if self.hold is not None:
            yield self.hold
