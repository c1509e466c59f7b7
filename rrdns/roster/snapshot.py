"""The picture of this moment: the roster's parts of `status --json` (DESIGN section 5). Floor 3, pure.

Plain dicts, lists, texts and numbers, ready for JSON. Times are ages in seconds or None for never; the wall clock
is not known here unless it is given. Answer counts and rates are others' to add. Must not know: how to decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rrdns import isolation, wire
from rrdns.answers import EMPTY, key
from rrdns.failover import Host
from rrdns.model import Check, Health, Override, Service, State
from rrdns.roster import balancing, directors, succession, telling
from rrdns.roster.duty import Duty
from rrdns.roster.verdicts import Verdicts

if TYPE_CHECKING:
    from rrdns.roster.roster import Roster

Json = dict[str, Any]
FAMILIES = {"A": wire.A, "AAAA": wire.AAAA}


def snapshot(roster: Roster, now: float, wall: float | None = None) -> Json:
    """`pools`, `services`, `zones`, `overrides`, `directors`, `names` and `isolation`."""
    return {
        "pools": {name: pool(roster, duty, now, wall) for name, duty in roster.duties.items()},
        "services": {wire.name_to_text(name): service(roster, one, now) for name, one in roster.services.items()},
        "zones": _zones(roster),
        "overrides": [{"pool": one.pool, "member": one.member, **override(one, now, wall)} for one in roster.overrides],
        "directors": roster.directors.snapshot(now),
        "names": roster.names.snapshot(now),
        "isolation": _isolation(roster, now),
    }


def pool(roster: Roster, duty: Duty, now: float, wall: float | None = None) -> Json:
    """One pool: its state, who serves, and every member with every verdict."""
    selection, verdicts = duty.selection, roster.verdicts
    weights = {one.name: one.weight for one in selection.serving}
    balance = balancing.of_members(duty, now)
    members = {}
    for index, host in enumerate(duty.hosts):
        weight = weights.get(host.name, 0)
        at_work, voice = duty.overrides.get(host.name), duty.voices.get(host.name)
        members[host.name] = {
            "state": host.word,
            "why": telling.of_member(duty, index, verdicts),
            "weight": host.weight,
            "effective_weight": weight / duty.scale * balance[host.name].pop("part"),
            **balance[host.name],
            "override": override(at_work, now, wall) if at_work else None,
            "weighed": override(duty.weights[host.name], now, wall) if host.name in duty.weights else None,
            "director": directors.voice(voice, now) if voice else None,
            "addresses": _addresses(duty, index, host, verdicts, now),
            "lacks": duty.lacks.get(host.name, ""),
            "names": roster.names.of_member(duty.pool.members[index], now),
        }
    return {
        "state": selection.state,
        "why": selection.why,
        "serving": [one.name for one in selection.serving],
        **succession.picture(roster.company, roster.duties, duty, now),
        "quorum": duty.pool.quorum,
        "scheduler": duty.pool.scheduler,
        "when_down": duty.pool.when_down.word,
        "panic": duty.pool.panic,
        "held": override(duty.hold, now, wall) if duty.hold else None,
        "following": roster.directors.of_pool(duty.pool.name, now),
        **balancing.of_pool(duty, now),
        "members": members,
    }


def _addresses(duty: Duty, index: int, host: Host, verdicts: Verdicts, now: float) -> list[Json]:
    found = []
    voice = duty.voices.get(host.name)
    for address, keys in zip(host.addresses, duty.targets[index], strict=True):
        checks = [(verdicts.targets[key], verdicts.health[key]) for key in keys]
        deciding = [one for _, one in checks if one.state is address.state] or [one for _, one in checks]
        found.append(
            {
                "address": address.text,
                "state": address.state.value,
                "reason": deciding[0].reason if deciding else voice.why if voice else "no check",
                "since": now - voice.since if voice and not deciding else _since(address.state, deciding, now),
                "checks": [check(target.check, target.address, one, now) for target, one in checks],
            }
        )
    return found


def _since(state: State, deciding: list[Health], now: float) -> float | None:
    """How long the address has been so: up since the last of its checks is, down since the first."""
    times = [one.since for one in deciding if one.state is not State.UNKNOWN]
    if not times:
        return None
    return now - (max(times) if state is State.UP else min(times))


def check(asked: Check, address: str, one: Health, now: float) -> Json:
    """One check of one address; `at` is where it is asked, where that is elsewhere."""
    return {
        "check": asked.name,
        "at": _at(asked, address),
        "state": one.state.value,
        "reason": one.reason,
        "failures": one.failures,
        "successes": one.successes,
        "need": one.need,
        "took": one.took,
        "seen_age": now - one.seen if one.seen else None,
    }


def _at(asked: Check, address: str) -> str | None:
    if asked.at is None:
        return None
    try:
        return asked.asked(address)
    except ValueError:
        return "nowhere"


def override(one: Override, now: float, wall: float | None = None) -> Json:
    """`since` is its age where the wall clock is given, `left` what is left of it or None for no end."""
    return {
        "word": one.word,
        "owner": one.owner,
        "reason": one.reason,
        "since": max(0.0, wall - one.since_wall) if wall is not None else None,
        "since_wall": one.since_wall,
        "left": max(0.0, one.until - now) if one.until is not None else None,
    }


def service(roster: Roster, one: Service, now: float) -> Json:
    """One POOL name: the TTL in force and its cause, and how long its rings are."""
    ttl, why = roster.ttls[one.name]
    rings = {word: roster.answers.get(key(one.name, rtype)) for word, rtype in FAMILIES.items()}
    slots = {word: len(ring.slots) for word, ring in rings.items() if ring is not None and ring.counted}
    return {
        "pool": one.pool,
        "ttl": ttl,
        "ttl_max": one.ttl,
        "ttl_min": min(one.ttl, one.ttl_min),
        "ttl_why": roster.why_short(one, now) or why if why else "",
        "types": list(slots),
        "scheduler": one.scheduler,
        "scheduler_now": roster.duties[one.pool].balance.now(one.scheduler),
        "answers": one.answers,
        "slots": slots,
    }


def _zones(roster: Roster) -> Json:
    found = {}
    for name in sorted(roster.dataset.zones):
        nodes = roster.statics.zone(name).nodes
        names = sum(node.kind != EMPTY for node in nodes.values())
        found[wire.name_to_text(name)] = {"serial": roster.dataset.zones[name].serial, "names": names}
    return found


def _isolation(roster: Roster, now: float) -> Json:
    guard = roster.verdicts.guard
    held = isolation.holding(guard)
    left = max(0.0, guard.held_since + guard.hold - now) if guard.held_since is not None else None
    return {"held": held, "why": isolation.why(guard), "left": left, "holds": guard.holds}
