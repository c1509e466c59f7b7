"""YAML's own errors in words for people. libyaml speaks of tokens; people look for quotes, tabs and brackets.

Must not know: yaml itself (its error comes taken apart), what the text is about.
"""

from __future__ import annotations

import re

from rrdns.zonefile.complaints import Spot

_COLONS = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,}[0-9a-fA-F:.]*")

# libyaml's words, whether to point at what was begun instead of where it was noticed, and our words
_PLAINER = (
    ("mapping values are", False, "a colon can't stand here: the indentation is wrong, or a text needs quotes"),
    ("could not find expected ':'", True, "is neither `key: value` nor `- item`"),
    ("found unexpected end of stream", True, "the quote opened here is never closed"),
    ("did not find expected ',' or ']'", False, "the [ of line {line}, column {column} needs a comma or ] here"),
    ("did not find expected ',' or '}'", False, "the {{ of line {line}, column {column} needs a comma or }} here"),
    ("did not find expected key", False, "does not fit the mapping begun at line {line}: wrong indentation or quotes"),
    ("did not find expected '-'", False, "does not fit the list begun at line {line}: wrong indentation or quotes"),
    ("second occurrence", False, "the anchor {word} is taken since line {line}"),
    ("found undefined alias", False, "no anchor (&name) stands before the alias {word}"),
)


def explain(problem: str, context: str, at: Spot | None, begun: Spot | None, text: str) -> tuple[Spot, str]:
    """Place and message of a YAML error. `at` is where it was noticed, `begun` where what is wrong began."""
    spot = at or begun
    if spot is None:
        return (1, 1), f"is not YAML: {problem or context}"
    line, before, rest = _around(text, spot)
    if problem.startswith(("but found another document", "expected a single document")) or rest[:3] == "---":
        return spot, "a second document starts here: one file holds one"
    if rest[:1] == "\t" or ("\t" in before and not before.strip()):
        return (spot[0], line.index("\t") + 1), "a tab can't indent in YAML: use spaces"
    if rest[:1] in ("@", "`"):
        return spot, f"{rest[0]} can't start a text without quotes (a zone's apex is the key '')"
    if rest[:1] == "%":
        return spot, "% can't start a text without quotes"
    if context.startswith("while scanning an alias"):
        return begun or spot, "a text that starts with * needs quotes: '*.dev'"
    for colons in _COLONS.finditer(line):
        if colons.start() <= len(before) <= colons.end():
            return (spot[0], colons.start() + 1), f"an IPv6 address needs quotes here: '{colons[0]}'"
    opened = begun or spot
    for start, at_opened, message in _PLAINER:
        if problem.startswith(start):
            word = (rest.split() or [""])[0][:40]
            return (opened if at_opened else spot), message.format(line=opened[0], column=opened[1], word=word)
    return spot, f"is not YAML: {problem or context}"


def _around(text: str, spot: Spot) -> tuple[str, str, str]:
    """The line of a place, and its parts before and from that place on."""
    lines = text.splitlines()
    line = lines[spot[0] - 1] if spot[0] <= len(lines) else ""
    return line, line[: spot[1] - 1], line[spot[1] - 1 :]
