"""What is counted as it happens, for the metrics: transitions, and how probes went. Pure; a few additions each time.

Everything else on the metrics page is read when somebody asks for it. Must not know: Prometheus, how anything is
decided.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rrdns.model import ABSENT, Event, Result, Target
from rrdns.roster.succession import OWN

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# Reasons are texts for people, as many as there are hosts; a label needs few values. The first that fits counts.
_REASONS = (
    ("timed out", "timeout"),
    ("refused", "refused"),
    ("reset", "reset"),
    ("closed", "reset"),
    ("no route", "unreachable"),
    ("unreachable", "unreachable"),
    ("host is down", "unreachable"),
    ("network is down", "unreachable"),
    ("TLS", "tls"),
    ("ertificate", "tls"),
    ("HTTP ", "status"),
    ("exit ", "exit"),
    ("killed", "exit"),
    ("cannot ", "local"),
    ("not asked", "local"),
    ("not permitted", "local"),
)
REASONS = ("timeout", "refused", "reset", "unreachable", "tls", "status", "exit", "local", "other")


def reason_class(reason: str) -> str:
    """One of REASONS."""
    return next((word for part, word in _REASONS if part in reason), "other")


KINDS = ("promotion", "demotion", "return", "shed")


def kinds(before: str, after: str) -> Iterator[str]:
    """What an event of failover counts as, by its words (`roster/succession.py`).

    | from                  | to                         | counts as                                                   |
    |-----------------------|----------------------------|-------------------------------------------------------------|
    | a tier, `no tier`     | a worse tier; a tier       | promotion                                                   |
    | a tier                | a better tier; `no tier`   | return; demotion                                            |
    | holders, `nobody`     | others                     | promotion for each new one, demotion for each that is gone  |
    | served by any         | another pool; its own      | promotion; return                                           |
    | sheds any             | more hosts; none           | shed; return                                                |
    | borrows any           | any                        | nothing: who serves is the same                             |
    """
    if before.startswith(("tier ", "no tier")):
        was, is_ = _tier(before), _tier(after)
        if is_ is None:
            yield "demotion"
        else:
            yield "return" if was is not None and is_ < was else "promotion"
    elif before.startswith(("holder", "nobody")):
        had, have = _holders(before), _holders(after)
        yield from ["promotion"] * len(have - had)
        yield from ["demotion"] * len(had - have)
    elif before.startswith("served by "):
        yield "return" if after == f"served by {OWN}" else "promotion"
    elif " shed to " in before + after:
        if after == f"serves {OWN}":
            yield "return"
        elif _shed(after) - _shed(before):
            yield "shed"


def _tier(words: str) -> int | None:
    return int(words.removeprefix("tier ")) if words.startswith("tier ") else None


def _holders(words: str) -> set[str]:
    return set() if words == "nobody" else set(words.partition(" ")[2].split(", "))


def _shed(words: str) -> set[str]:
    return set(words.partition(" shed to ")[0].split(", ")) if " shed to " in words else set()


@dataclass(slots=True)
class Course:
    """How one check's probes went: [i] of `took` counts those up to BOUNDS[i] seconds, the last all others."""

    took: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)
    void: int = 0


class Measures:
    """`moves`: (subject, name, state it came to) -> how often."""

    def __init__(self) -> None:
        self.moves: Counter[tuple[str, str, str]] = Counter()
        self.checks: dict[str, Course] = {}
        self._names: dict[tuple[str, str], set[str]] = {}

    def heard(self, event: Event) -> None:
        """A transition. That something is new, or gone, is none."""
        if event.subject == "failover":
            self._count((event.subject, event.name), kinds(event.before, event.after))
        if event.subject not in ("member", "pool", "director", "reload", "server"):
            return
        key = event.subject, event.name
        if event.after == ABSENT:
            self._forget(key)
            if event.subject == "pool":
                self._forget(("failover", event.name))
        elif event.before != ABSENT:
            self._count(key, (event.after,))

    def _count(self, key: tuple[str, str], words: Iterable[str]) -> None:
        for word in words:
            self._names.setdefault(key, set()).add(word)
            self.moves[(*key, word)] += 1

    def _forget(self, key: tuple[str, str]) -> None:
        for word in self._names.pop(key, ()):
            del self.moves[(*key, word)]

    def asked(self, target: Target, result: Result) -> None:
        """A probe's result."""
        course = self.checks.get(target.check.name)
        if course is None:
            course = self.checks[target.check.name] = Course()
        if result.void:
            course.void += 1
            return
        course.took[bisect_left(BOUNDS, result.took)] += 1
        course.seconds += result.took
        if not result.ok:
            course.failures[reason_class(result.reason)] += 1

    def keep_only(self, checks: set[str]) -> None:
        """Forgets checks that nothing uses any more."""
        self.checks = {name: course for name, course in self.checks.items() if name in checks}
