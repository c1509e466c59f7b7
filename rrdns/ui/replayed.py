"""What replays came to, as data: for `--json`, and for the page that is made of it.

Must not know: how decisions are made, how a journal is written, terminals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rrdns.recorded import Recording
from rrdns.replay import Player
from rrdns.scoring import PoolScore, Score, ServiceScore
from rrdns.texts import plural
from rrdns.wire import name_to_text

BAD = {"dead_answered": 1.0, "alive_withheld": 1.0, "flaps": 1, "budget_missed": 1}
"""What had better be less, and from which difference on it counts."""
RANKS = {1: "the same question", 2: "another check of the same type and port", 3: "another check"}


@dataclass(frozen=True, slots=True)
class Pass:
    """One replay."""

    player: Player
    score: Score


def agreement(recording: Recording, player: Player, begin: float) -> dict[str, int]:
    """How many of the transitions that were recorded a replay of the same files gives again."""
    kinds = ("member", "pool", "target")

    def told(subject: str, name: str, before: str, after: str) -> tuple[str, ...]:
        return subject, name, before, after

    recorded = Counter(
        told(one["subject"], one["name"], one["before"], one["after"])
        for one in recording.events
        if one["at"] >= begin and one["subject"] in kinds
    )
    replayed = Counter(
        told(one.subject, one.name, one.before, one.after)
        for one in player.events
        if one.at >= begin and one.subject in kinds
    )
    return {
        "recorded": recorded.total(),
        "replayed": replayed.total(),
        "same": (recorded & replayed).total(),
    }


def as_json(path: str, recording: Recording, begin: float, passes: Sequence[Pass], zones: str) -> dict[str, Any]:
    names = ("then", "edited")[: len(passes)]
    return {
        "journal": path,
        "zones": zones or None,
        "from": recording.wall(begin),
        "to": recording.wall(recording.end),
        "watched": passes[0].score.seconds,
        "agreement": agreement(recording, passes[0].player, begin),
        "pools": {
            pool: {name: _pool(one.score.pools.get(pool), recording) for name, one in zip(names, passes, strict=True)}
            for pool in sorted({pool for one in passes for pool in one.score.pools})
        },
        "services": {
            service: {
                "pool": pool,
                **(sides := {name: _service(one, service, pool) for name, one in zip(names, passes, strict=True)}),
                **({"verdict": verdict(sides["then"], sides["edited"])} if len(passes) > 1 else {}),
            }
            for service, pool in sorted(_services(passes).items())
        },
        "notes": notes(passes),
    }


def verdict(then: dict[str, Any] | None, edited: dict[str, Any] | None) -> str:
    """better | worse | mixed | same; new, gone: only under one of the files there was something to judge."""
    if then is None or edited is None:
        return "same" if then is edited else "gone" if edited is None else "new"
    turns = {key: edited[key] - then[key] for key, least in BAD.items() if abs(edited[key] - then[key]) >= least}
    if not turns:
        return "same"
    better, worse = any(by < 0 for by in turns.values()), any(by > 0 for by in turns.values())
    return "mixed" if better and worse else "worse" if worse else "better"


def _services(passes: Sequence[Pass]) -> dict[str, str]:
    return {
        name_to_text(service.name): service.pool
        for one in passes
        for zone in one.player.roster.dataset.zones.values()
        for service in zone.services
    }


def _pool(score: PoolScore | None, recording: Recording) -> dict[str, Any] | None:
    if score is None:
        return None
    return {
        "failovers": score.failovers,
        "flaps": score.flaps,
        "dead_answered": round(score.dead, 3),
        "alive_withheld": round(score.withheld, 3),
        "nobody_alive": round(score.outage, 3),
        "deaths": [
            {
                "member": one.member,
                "time": recording.wall(one.at),
                "out_after": None if one.left is None else round(one.left - one.at, 3),
                "revived_after": None if one.revived is None else round(one.revived - one.at, 3),
            }
            for one in score.deaths
        ],
        "members": {
            name: [[round(recording.wall(at), 3), kind] for at, kind in turns] for name, turns in score.spans.items()
        },
    }


def _service(one: Pass, service: str, pool: str) -> dict[str, Any] | None:
    score = one.score.pools.get(pool)
    if score is None:
        return None
    found = score.services.get(service) or ServiceScore(0, None, 0.0)
    return {
        "failovers": score.failovers,
        "flaps": score.flaps,
        "dead_answered": round(score.dead, 3),
        "alive_withheld": round(score.withheld, 3),
        "nobody_alive": round(score.outage, 3),
        "budget": found.budget,
        "budget_kept": found.kept,
        "budget_missed": found.missed,
        "slowest": round(found.worst, 3),
    }


def notes(passes: Sequence[Pass]) -> list[str]:
    """What an outcome rests on besides the records themselves."""
    found: dict[str, None] = {}
    for one in passes:
        found.update(dict.fromkeys(one.player.notes))
        by_rank: dict[int, list[str]] = {}
        for like in one.player.likenesses.values():
            by_rank.setdefault(like.rank, []).append(like.key)
        abouts = one.player.recording.abouts
        for rank, keys in sorted(by_rank.items()):
            like = one.player.likenesses[keys[0]]
            check = one.player.roster.targets()[keys[0]].check.name if keys[0] in one.player.roster.targets() else "?"
            source = abouts[like.source].get("check", "?")
            found[
                f"{plural(len(keys), 'target')} were never probed as they are now (such as {check} at "
                f"{keys[0].partition('@')[2]}): the outcomes of {source} there stand for them, {RANKS[rank]}"
            ] = None
        if one.player.unheard:
            some = ", ".join(sorted(key.partition("@")[2] for key in one.player.unheard)[:3])
            found[
                f"of {plural(len(one.player.unheard), 'target')} nothing is recorded ({some}): unknown all the time"
            ] = None
    return list(found)
