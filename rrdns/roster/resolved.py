"""What is known of one host name: its last good addresses, and why the last look at it gave none. Floor 3, pure.

Of each family (A, AAAA):

| this look says | and of the other family             | in force after it                                        |
|----------------|-------------------------------------|----------------------------------------------------------|
| addresses      | anything                            | they are                                                 |
| none           | addresses, or some are kept         | none: the name has no more of this family                |
| none           | none or a fault, and none are kept  | as before: an answer without any address is a fault      |
| a fault        | anything                            | as before                                                |

So a name that had addresses always has some. Addresses that can't be one host's are refused one by one; where none is
left that is a fault. Must not know: pools, who asks, when.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, ip_address

from rrdns.hosts import packed
from rrdns.resolution import Resolution
from rrdns.roster.entries import is_loopback, unfit

MOST = 32  # addresses of one family; an answer gone mad must not fill memory and answers
LONGEST = 200  # characters of a reason
EMPTY = "it has no address, neither A nor AAAA"
FAMILIES = ("A", "AAAA")


@dataclass(frozen=True, slots=True)
class Found:
    """`sets`: the addresses in force, IPv4 and IPv6, each sorted; `at`: when the last look at it was a good one;
    `faults`: by family why the last look gave none; `notes`: what is odd in the answer in force."""

    sets: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    at: float = 0.0
    asked: bool = False
    faults: tuple[str, str] = ("", "")
    notes: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        return self.sets[0] + self.sets[1]

    @property
    def state(self) -> str:
        """
        | it has addresses | it was asked | the last look failed, for a family it has | state                          |
        |------------------|--------------|-------------------------------------------|--------------------------------|
        | no               | no           |                                           | unknown                        |
        | no               | yes          |                                           | fault: not resolved yet        |
        | yes              | any          | yes                                       | stale: the last good set holds |
        | yes              | any          | no                                        | up                             |
        """
        if not self.addresses:
            return "fault" if self.asked else "unknown"
        return "stale" if self.reason else "up"

    @property
    def reason(self) -> str:
        """Why it is not `up`; a family it never had an address of may fail for ever."""
        a, aaaa = self.faults
        if a == aaaa and a:
            return a
        kept = [bool(one) for one in self.sets] if self.addresses else [True, True]
        words = [(word, why) for word, why, counts in zip(FAMILIES, self.faults, kept, strict=True) if why and counts]
        return "; ".join(f"{word}: {why}" for word, why in words)


UNKNOWN = Found()


def hear(before: Found, said: Resolution, now: float) -> Found:
    """After a look at the name."""
    notes: list[str] = []
    looks = [_judged(one, had, notes) for one, had in zip((said.v4, said.v6), before.sets, strict=True)]
    faults = tuple(one if isinstance(one, str) else "" for one in looks)
    sets = tuple(had if isinstance(one, str) else one for one, had in zip(looks, before.sets, strict=True))
    if not any(sets):
        v4, v6 = faults
        found = (v4 or f"it has no {FAMILIES[0]}", v6 or f"it has no {FAMILIES[1]}") if v4 or v6 else (EMPTY, EMPTY)
        return replace(before, asked=True, faults=found)
    good = any(one and not isinstance(one, str) for one in looks)
    after = Found((sets[0], sets[1]), now if good else before.at, True, (faults[0], faults[1]))
    return replace(after, notes=tuple(notes) if good else before.notes)


def _judged(said: tuple[str, ...] | str, had: tuple[str, ...], notes: list[str]) -> tuple[str, ...] | str:
    """The addresses of a family that can be a host's, sorted, so that their order in an answer is no news; those in
    force come first where there are too many."""
    if isinstance(said, str):
        return plain(said) or "it could not be resolved"
    found: dict[str, None] = {}
    refused: list[str] = []
    for text in said:
        address, wrong = _address(text)
        if wrong:
            refused.append(wrong)
        else:
            found[address] = None
    if found and not all(is_loopback(one) for one in found):  # in a lab all are
        refused += [f"{one} is this machine itself" for one in found if is_loopback(one)]
        found = {one: None for one in found if not is_loopback(one)}
    if refused and not found:
        return refused[0]
    notes += dict.fromkeys(refused)
    kept = sorted(found, key=lambda one: (one not in had, packed(one)))
    if len(kept) > MOST:
        notes.append(f"it has {len(kept)} addresses; {MOST} of them are taken")
    return ordered(kept[:MOST])


def _address(text: str) -> tuple[str, str]:
    try:
        found = ip_address(text)
    except ValueError:
        return "", f"{plain(text)[:60]!r} is no address"
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        return "", f"{found} is an IPv4 address in an AAAA record"
    return str(found), unfit(found)


def ordered(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(addresses, key=packed))


def plain(text: str) -> str:
    """Fit for a line of a log, whatever a resolver says."""
    text = text[:LONGEST]
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)
