"""Chronicle: events that are told by two, who keep them apart, as one list. Pure, floor 0.

The state file and the journal both have the events; each gives an event its own wall time, and these differ by what
the clock was moved meanwhile. So two are the same when they say the same at about the same time, and one stands for
one. Must not know: who keeps them, how they are shown.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]

SAME = 2.5  # seconds: a journal begins a new session when its wall time is off by two
_SAYS = ("subject", "name", "before", "after", "why")


def joined(first: Sequence[Json], more: Sequence[Json]) -> list[Json]:
    """All of both by their times, each once; what both tell, as the first does."""
    new = unknown(first, more)
    return sorted([*new, *first], key=_time) if new else list(first)


def unknown(known: Iterable[Json], more: Iterable[Json]) -> list[Json]:
    """Those of `more` that are not in `known`, by their times. What has the same time first, then from the newest
    back: it is the oldest that one of the two has kept longer."""
    mine, new = _by_words(known), _by_words(more)
    found: list[Json] = []
    for key, events in new.items():
        left = Counter(_time(one) for one in mine.get(key, ()))
        rest = []
        for one in events:
            if left[_time(one)] > 0:
                left[_time(one)] -= 1
            else:
                rest.append(one)
        found += _unmatched(sorted(left.elements()), sorted(rest, key=_time))
    return sorted(found, key=_time)


def _unmatched(times: list[float], events: list[Json]) -> Iterable[Json]:
    while events:
        one = events.pop()
        while times and times[-1] > _time(one) + SAME:
            times.pop()
        if times and times[-1] >= _time(one) - SAME:
            times.pop()
        else:
            yield one


def _by_words(events: Iterable[Json]) -> dict[tuple[Any, ...], list[Json]]:
    found: dict[tuple[Any, ...], list[Json]] = defaultdict(list)
    for one in events:
        found[tuple([one.get(name, "") for name in _SAYS])].append(one)
    return found


def _time(one: Json) -> float:
    return float(one.get("time") or 0.0)
