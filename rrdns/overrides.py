"""The words an operator has for a member or a pool, and what each means. Floor 0, plain.

| word          | of     | means                                                                                   |
|---------------|--------|-----------------------------------------------------------------------------------------|
| drain         | member | weight 0: answered only when nothing else is left                                       |
| disable       | member | never answered, not even in `when_down`                                                 |
| force-up      | member | up, whatever checks and director say; always with an end                                |
| drill         | member | as drain: a rehearsed failure, so that the pool's own failover takes over               |
| weight N      | member | this weight instead of its own                                                          |
| weight N%     | member | so much of its own weight                                                               |
| enable        | member | ends all of these; what they said is gone                                               |
| return        | member | ends a drill, and nothing else                                                          |
| hold, release | pool   | nothing changes by itself in it (with pool "": in none), or again does                  |

A member has at most one of the first four, and beside it a weight: a drain that ends gives the weight back that was
asked for. An override is written with its whole word (`weight 50%`), so whoever keeps it needs no more room.
Must not know: pools, who serves.
"""

from __future__ import annotations

STATES = ("drain", "disable", "force-up", "drill")
TAKING = ("drain", "disable", "drill")
"""Words that take a member out of the answers."""
HOLD, RELEASE, ENABLE, RETURN, WEIGHT, DRILL = "hold", "release", "enable", "return", "weight", "drill"
ENDING = (ENABLE, RETURN)
MAX_WEIGHT, MAX_PERCENT = 65535, 1000


def slot(word: str) -> str:
    """Which place an override takes beside others of the same member or pool: state | weight | hold. Raises
    ValueError for what is no word of an override."""
    if word in STATES:
        return "state"
    if word == HOLD:
        return HOLD
    if word.startswith(f"{WEIGHT} "):
        amount(word)
        return WEIGHT
    raise ValueError(f"{word!r} is no word of an override")


def read_amount(text: str) -> str:
    """`20`, or `50%`, as it stands behind `weight`; ValueError with a sentence for people."""
    number = text.strip().removesuffix("%")
    top = MAX_PERCENT if text.strip().endswith("%") else MAX_WEIGHT
    if not (number.isascii() and number.isdigit() and int(number) <= top):
        raise ValueError(f"{text!r} is no weight: a number of 0 to {MAX_WEIGHT}, or 0% to {MAX_PERCENT}% of its own")
    return f"{int(number)}%" if text.strip().endswith("%") else str(int(number))


def amount(word: str) -> tuple[int | None, int | None]:
    """(weight, per cent) of a `weight ...` word, one of them None."""
    text = read_amount(word.removeprefix(f"{WEIGHT} "))
    return (None, int(text[:-1])) if text.endswith("%") else (int(text), None)
