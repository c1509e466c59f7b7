"""Collecting what is wrong in one file, and the words for it. Must not know: YAML, pydantic, DNS."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import lru_cache

from rrdns.model import Place, Problem

Spot = tuple[int, int]
"""Line and column, from 1."""

MAX_PER_FILE = 1000  # a bomb of aliases must not become a bomb of messages


class Complaints:
    """The problems and warnings of one file."""

    __slots__ = ("file", "found")

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Problem] = []

    def problem(self, spot: Spot, path: str, message: str) -> None:
        self.found.append(Problem(Place(self.file, *spot), _line(path, 120), _line(message, 1000)))

    def warning(self, spot: Spot, path: str, message: str) -> None:
        self.found.append(Problem(Place(self.file, *spot), _line(path, 120), _line(message, 1000), warning=True))

    def place(self, spot: Spot) -> Place:
        return Place(self.file, *spot)

    @property
    def failed(self) -> bool:
        """Whether anything found so far forbids the load."""
        return any(not problem.warning for problem in self.found)

    def sorted(self) -> list[Problem]:
        """Everything once, in the file's order; what is too much is counted, not listed."""
        unique = sorted(set(self.found))
        if len(unique) <= MAX_PER_FILE:
            return unique
        hidden = unique[MAX_PER_FILE:]
        rest = f"... and {len(hidden)} more in this file"
        fatal = any(not problem.warning for problem in hidden)
        return [*unique[:MAX_PER_FILE], Problem(hidden[0].place, "", rest, warning=not fatal)]


def _line(text: str, limit: int) -> str:
    """One line fit for a terminal: what a file says must not break or colour it."""
    if len(text) > limit:
        text = f"{text[: limit - 30]}...{text[-20:]}"
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else repr(char)[1:-1] for char in text])


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be."""
    return _nearest(word, tuple(known)) if len(word) <= 64 else None


@lru_cache(maxsize=4096)  # the same mistake ten thousand times costs one comparison
def _nearest(word: str, known: tuple[str, ...]) -> str | None:
    candidates = {one.lower(): one for one in known}
    close = difflib.get_close_matches(word.lower(), candidates, n=1, cutoff=0.6)
    return candidates[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`, did you mean 'weight'?`, or nothing."""
    near = nearest(word, known)
    return f", did you mean {near!r}?" if near is not None else ""


# Words from other systems, too far from ours for a comparison of letters.
_SYNONYMS = {
    "ip": "address",
    "addr": "address",
    "addresses": "address",
    "host": "address",
    "hostname": "address",
    "target": "value",
    "data": "value",
    "servers": "members",
    "hosts": "members",
    "backends": "members",
    "monitor": "check",
    "healthcheck": "check",
    "health_check": "check",
    "policy": "scheduler",
    "algorithm": "scheduler",
    "lb_method": "scheduler",
    "uri": "path",
    "url": "path",
    "up_thresh": "quorum",
    "retries": "fall",
    "rname": "contact",
}


def unknown_key(key: str, known: Iterable[str]) -> str:
    """What to say of a key nobody reads."""
    possible = sorted(known)
    synonym = _SYNONYMS.get(key.lower())
    if synonym in possible:
        return f"unknown key, did you mean {synonym!r}?"
    near = did_you_mean(key, possible)
    return f"unknown key{near}" if near else f"unknown key; possible are {', '.join(possible)}"
