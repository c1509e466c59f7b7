"""What holds have frozen, as it outlives a restart: answers must stay as they are over that too. Floor 3, pure.

Must not know: what a hold does, where it is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rrdns import failover
from rrdns.failover import Host
from rrdns.model import Member, State

FROZEN = "frozen"
"""The store's key of what `text` gives."""

Frozen = Mapping[str, Mapping[str, Host]]
"""Hosts by pool and name, without what operators said of them."""


def told(frozen: Frozen) -> dict[str, list[object]]:
    """As JSON, for `read`."""
    return {
        pool: [
            [one.name, [[each.text, each.state.value] for each in one.addresses], one.told, one.weight]
            for one in hosts.values()
        ]
        for pool, hosts in frozen.items()
        if hosts
    }


def text(frozen: Frozen) -> str:
    return json.dumps(told(frozen))


def read(kept: str | None) -> tuple[dict[str, dict[str, Host]], str]:
    """The hosts as `text` gave them; and what is wrong with it, in words."""
    try:
        return of(json.loads(kept or "{}"))
    except (ValueError, RecursionError) as error:
        return {}, _odd(error)


def of(data: Mapping[str, Any]) -> tuple[dict[str, dict[str, Host]], str]:
    """The hosts as `told` gave them; and what is wrong with it, in words."""
    found: dict[str, dict[str, Host]] = {}
    try:
        for pool, rows in data.items():
            found[str(pool)] = {str(row[0]): _host(*row) for row in rows}
    except (ValueError, TypeError, AttributeError) as error:
        return {}, _odd(error)
    return found, ""


def _odd(error: Exception) -> str:
    return f"what a hold had frozen could not be understood ({error}); it holds what is known now"


def _host(name: str, addresses: list[list[str]], told: str, weight: int) -> Host:
    member = Member(str(name), tuple(str(text) for text, _ in addresses), int(weight))
    return failover.host(member, [State(state) for _, state in addresses], told="drain" if told == "drain" else "")
