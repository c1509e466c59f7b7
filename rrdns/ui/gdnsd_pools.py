"""A gdnsd resource, come down to tiers of addresses, -> the mapping of a pool as a pools file has it. Pure.

Must not know: gdnsd's configuration, YAML.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_WEIGHT, MOST_ANSWERS = 65535, 1000


@dataclass(frozen=True, slots=True)
class Entry:
    label: str
    address: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Group:
    """What a resource comes down to: tiers of addresses, in order of preference. `answers` 0: all of them.
    `thresholds`: for each tier, the share of it that must be up."""

    where: str
    tiers: tuple[tuple[Entry, ...], ...]
    services: tuple[str, ...]
    thresholds: tuple[float, ...]
    answers: int = 0
    healthless: bool = False


def pool_of(group: Group, checks: Sequence[str], path: str, note: Callable[[str, str], None]) -> dict[str, Any]:
    """`check: []` says that there is none on purpose."""
    pool: dict[str, Any] = {"check": checks[0] if len(checks) == 1 else list(checks)}
    pool["members"] = {name: _short(one) for name, one in _members(group, path, note).items()}
    if len(group.tiers) == 1:
        if checks:
            pool["panic"] = group.thresholds[0]
        return pool
    quorums = [max(math.ceil(t * len(tier)), 1) for t, tier in zip(group.thresholds, group.tiers, strict=True)]
    if len(set(quorums)) > 1:
        text = f"up_thresh comes to {', '.join(map(str, quorums))} hosts in its tiers: {min(quorums)} is taken for all"
        note(group.where, f"{path}: {text}")
    if min(quorums) > 1:
        pool["quorum"] = min(quorums)
    pool["failover"] = {"scheme": "idle-standby", "failback": 0}
    pool["when_down"] = list(dict.fromkeys(one.address for one in group.tiers[0]))
    return pool


def _members(group: Group, path: str, note: Callable[[str, str], None]) -> dict[str, dict[str, Any]]:
    """By name. An address belongs to one member here: what gdnsd lists twice is joined, in the better tier."""
    heaviest = max(one.weight for tier in group.tiers for one in tier)
    by_address: dict[str, str] = {}
    members: dict[str, dict[str, Any]] = {}
    for priority, tier in enumerate(group.tiers, 1):
        for one in tier:
            weight = one.weight if heaviest <= MOST_WEIGHT else max(1, one.weight * MOST_WEIGHT // heaviest)
            if one.address in by_address:
                note(group.where, f"{path}: {one.address} stands there twice: it is one member")
                known = members[by_address[one.address]]
                if known["priority"] == priority and group.answers:
                    known["weight"] = min(known["weight"] + weight, MOST_WEIGHT)
                continue
            name = _name(one.label, members)
            by_address[one.address] = name
            members[name] = {"address": one.address, "weight": weight, "priority": priority}
    if heaviest > MOST_WEIGHT:
        note(group.where, f"{path}: weights are at most {MOST_WEIGHT} here: all are made smaller by the same factor")
    return members


def _name(label: str, taken: Mapping[str, object]) -> str:
    """A label as a member's name: without blanks, commas and slashes, and once."""
    text = "".join(char if char.isprintable() and char not in " /," else "-" for char in label).lstrip("-") or "member"
    name, number = text, 2
    while name in taken:
        name, number = f"{text}-{number}", number + 1
    return name


def _short(one: Mapping[str, Any]) -> Any:
    """`192.0.2.1` where weight and priority are what they are anyway."""
    left = {key: value for key, value in one.items() if not (key in ("weight", "priority") and value == 1)}
    return left if len(left) > 1 else one["address"]
