"""Whom an operator means: members and pools by the names people write. Floor 3, pure.

    web1            that member, in every pool that has one (as `status` shows it, a member is pool/name)
    web/web1        that member of that pool
    192.0.2.11      whoever has that address now
    app1.example.   whoever is given by that host name (as in the files, with the final dot)
    web*  10.0.0.*  whoever has a name, or an address, of that shape; `web/web*` in that pool, `*/web1` too
    label:rack1     whoever carries that label

A name comes before an address of the same spelling. Must not know: what is to be done with them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from ipaddress import ip_address

from rrdns.model import Member, Override, Pool
from rrdns.roster.overriding import UnknownMember

LABEL = "label:"
_SHAPE = "*?["

Pools = Mapping[str, Pool]
Found = dict[tuple[str, str], None]


def members(names: Iterable[str], pools: Pools, words: Iterable[Override] = ()) -> list[tuple[str, str]]:
    """(pool, member)s, each once. `words`: overrides that stand, for members that are away at their director and whose
    override waits for them. Raises UnknownMember."""
    waiting = [(one.pool, one.member) for one in words if one.member]
    found: Found = {}
    for name in names:
        hits = _members(name, pools, waiting)
        if not hits:
            raise UnknownMember(_unknown(name, pools))
        found.update(hits)
    return list(found)


def pools(names: Iterable[str], known: Pools) -> list[str]:
    """Pools by name or shape. Raises UnknownMember."""
    found: dict[str, None] = {}
    for name in names:
        hits = [pool for pool in known if _fits(name, pool)]
        if not hits:
            near = difflib.get_close_matches(name, sorted(known)[:10_000], 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UnknownMember(f"there is no pool {name!r}{hint}")
        found.update(dict.fromkeys(hits))
    return list(found)


def _members(name: str, pools: Pools, waiting: list[tuple[str, str]]) -> Found:
    if name.startswith(LABEL):
        label = name.removeprefix(LABEL)
        return _where(pools, lambda pool, one: any(_fits(label, each) for each in _labels(one)))
    in_pool, slash, rest = name.rpartition("/")
    where = in_pool if slash else "*"
    named = _where(pools, lambda pool, one: _fits(where, pool) and _fits(rest, one.name))
    named.update({one: None for one in waiting if _fits(where, one[0]) and _fits(rest, one[1])})
    if named and not _is_shape(rest):
        return named
    address = _canonical(rest)
    by_address = _where(
        pools,
        lambda pool, one: _fits(where, pool) and any(_fits(address, text) for text in (*one.addresses, *one.hosts)),
    )
    return {**named, **by_address}


def _where(pools: Pools, fits: Callable[[str, Member], bool]) -> Found:
    return {(pool, one.name): None for pool, whole in pools.items() for one in whole.members if fits(pool, one)}


def _labels(member: Member) -> tuple[str, ...]:
    return tuple(getattr(member, "labels", ()))


def _is_shape(text: str) -> bool:
    return any(char in text for char in _SHAPE)


def _fits(wanted: str, text: str) -> bool:
    return wanted == text or (_is_shape(wanted) and fnmatchcase(text, wanted))


def _canonical(text: str) -> str:
    """An address as members have it; other texts, shapes too, as they are."""
    try:
        return str(ip_address(text))
    except ValueError:
        return text.lower() if text.endswith(".") else text


def _unknown(name: str, pools: Pools) -> str:
    if name.startswith(LABEL):
        known = {each for pool in pools.values() for one in pool.members for each in _labels(one)}
        return f"no member carries the label {name.removeprefix(LABEL)!r}" + (
            f"; there are {', '.join(sorted(known)[:8])}" if known else ": none has labels"
        )
    if _is_shape(name):
        return f"no member has a name or an address like {name!r}"
    known = {one.name for pool in pools.values() for one in pool.members}
    known |= {f"{pool.name}/{one.name}" for pool in pools.values() for one in pool.members}
    near = difflib.get_close_matches(name, sorted(known)[:10_000], 1)
    hint = f"; did you mean {near[0]}?" if near else "; see `rrdns status` for those there are"
    return f"there is no member {name!r} in any pool{hint}"
