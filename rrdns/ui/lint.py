"""`rrdns check`: every problem of a directory of zone files, and what a failure costs each name. No server involved.

Must not know: how files are parsed, how budgets come about.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rrdns import schedulers, zonefile
from rrdns.control import files
from rrdns.model import DataSet, Place, Pool, Problem, Service
from rrdns.settings import Settings
from rrdns.texts import percent, plural
from rrdns.ui import budget, config, doubts
from rrdns.ui.budget import Budget
from rrdns.ui.console import Cell, out, styled, write
from rrdns.wire import name_to_text
from rrdns.zonefile.places import Places

FINE, PROBLEMS, USAGE = 0, 1, 2
NEAR = 0.001  # shares that differ by less are the same to people
MANY = 12
DEFAULTS = Settings()


def run(args: argparse.Namespace) -> int:
    settings = config.read(config.find(None)).values
    folder = args.zones or settings.get("zones") or "zones"
    read = files.read(str(folder))
    places = Places()
    loaded = zonefile.load(read.files, read.mtimes, places)
    problems = sorted({*read.problems, *loaded.problems}) if read.files else sorted(read.problems or loaded.problems)
    problems += unread(str(folder))
    dataset = loaded.dataset if not any(not problem.warning for problem in problems) else None
    hold = float(settings.get("isolation_hold", DEFAULTS.isolation_hold))
    if dataset is not None:
        limit = int(settings.get("udp_limit", DEFAULTS.udp_limit))
        problems += [*sorted(doubts.doubts(dataset, places, limit, hold)), *lacking(dataset, str(folder))]
    broken = any(not problem.warning for problem in problems)
    if args.json:
        print(json.dumps(as_json(problems, dataset), indent=2))
    else:
        _print(problems, dataset)
    if not read.files and read.problems:
        return USAGE
    return PROBLEMS if dataset is None or broken or (args.strict and problems) else FINE


def unread(folder: str) -> list[Problem]:
    """Files that look like ours by a name that is not."""
    text = "is not read: only files whose names end in .yaml are; rename it"
    try:
        names = sorted(path.name for path in Path(folder).glob("*.yml") if not path.name.startswith("."))
    except OSError:
        return []  # that has been said already
    return [Problem(Place(f"{folder}/{name}"), "", text, warning=True) for name in names]


def lacking(dataset: DataSet, folder: str) -> list[Problem]:
    """Checks that this user on this machine could not make at all: the server's user may be another."""
    if not any(one.type in ("icmp", "grpc") for one in dataset.checks.values()):
        return []  # and what asks hosts is not loaded
    from rrdns.checks import missing

    found = ((name, missing(one)) for name, one in sorted(dataset.checks.items()))
    return [Problem(Place(folder), f"checks.{name}", f"here: {text}", warning=True) for name, text in found if text]


def _print(problems: list[Problem], dataset: DataSet | None) -> None:
    console = out()
    if dataset is not None:
        lines = (*failover_lines(dataset), *share_lines(dataset), doubts.size_line(dataset))
        write(console, (styled(line) for line in lines if line))
    for problem in problems:
        # not folded, never cut: editors and grep read these lines
        console.print(
            styled((str(problem), "yellow" if problem.warning else "red")), end="\n", crop=False, soft_wrap=True
        )
    console.print(styled(summary(problems, dataset)), end="\n", soft_wrap=True)


def summary(problems: list[Problem], dataset: DataSet | None) -> Cell:
    """`3 zones, 5 pools, 12 members, 2 checks: fine`, or how many problems there are."""
    bad = sum(not problem.warning for problem in problems)
    warnings = f", {plural(len(problems) - bad, 'warning')}" if len(problems) > bad else ""
    if dataset is None:
        return f"{plural(bad, 'problem')}{warnings}: this would not be served", "bold red"
    hosts = {host for pool in dataset.pools.values() for one in pool.members for host in one.hosts}
    counted = ", ".join(
        (
            plural(len(dataset.zones), "zone"),
            plural(len(dataset.pools), "pool"),
            plural(sum(len(pool.members) for pool in dataset.pools.values()), "member"),
            *([f"{plural(len(hosts), 'host name')} resolved at run time"] if hosts else []),
            plural(len(dataset.checks), "check"),
            *([plural(len(dataset.directors), "director")] if dataset.directors else []),
        )
    )
    if bad:
        return f"{counted}: {plural(bad, 'budget')} not kept{warnings}; it would be served all the same", "bold red"
    return (f"{counted}: fine{warnings}", "bold yellow" if warnings else "bold green")


# ---------------------------------------------------------------- what a failure costs


def failover_lines(dataset: DataSet) -> Iterator[str]:
    """A line for each name served from a pool."""
    for service, pool in _services(dataset):
        found = budget.of(service, pool, dataset.checks)
        words = [_words(service, pool, found)] if found is not None or not pool.following else []
        if led := budget.by_director(service, pool, dataset.directors):
            names = ", ".join(dict.fromkeys(one.director for one in pool.following))
            out_of = f"out of our answers after {led[0]:.1f} s at most, and out of caches after {led[1]:.1f} s at most"
            words.append(f"a host that its director ({names}) takes out is {out_of}")
        if service.budget is not None:
            words.append(f"budget {service.budget:g} s")
        yield f"{name_to_text(service.name)} (pool {pool.name}): {'; '.join(words)}"


def share_lines(dataset: DataSet) -> Iterator[str]:
    """A line for each name whose members have different weights: what they are due, and where a ring can't give it."""
    for service, pool in _services(dataset):
        weights = [member.weight for member in pool.members]
        if (
            service.scheduler != "wrr"
            or pool.weight_from == "director"
            or len({weight for weight in weights if weight}) < 2
        ):
            continue
        wanted = schedulers.shares(weights, 1, service.scheduler)
        slots = schedulers.ring(weights, service.answers, service.scheduler)
        got = schedulers.first_shares(slots, len(weights))
        listed = _listed(pool, wanted)
        if max(abs(one - other) for one, other in zip(wanted, got, strict=True)) > NEAR:
            listed += f"; one ring of {len(slots)} slots gives {_listed(pool, got)}, those that follow make up for it"
        what = "share of answers"
        if service.answers != 1:
            what = "share of first places"
        yield f"{name_to_text(service.name)} {what}: {listed}"
        if service.answers != 1:
            wide = min(service.answers or len(weights), len(weights))
            due = [min(1.0, wide * share) for share in wanted]
            inside = schedulers.reached(schedulers.ring(weights, service.answers, service.scheduler), len(weights))
            text = f"by weight {_listed(pool, due)}; reachable {_listed(pool, inside)}"
            yield f"{name_to_text(service.name)} share of answers it is in: {text}"


def _listed(pool: Pool, shares: list[float]) -> str:
    named = [f"{member.name} {percent(share)}" for member, share in zip(pool.members, shares, strict=True)]
    return ", ".join(named[:MANY]) + (f" and {len(named) - MANY} more" if len(named) > MANY else "")


def _services(dataset: DataSet) -> Iterator[tuple[Service, Pool]]:
    for zone in dataset.zones.values():
        for service in zone.services:
            if service.pool in dataset.pools:
                yield service, dataset.pools[service.pool]


def _words(service: Service, pool: Pool, found: Budget | None) -> str:
    if found is None:
        return "no check, so a dead host is answered until someone drains it"
    if len(pool.members) == 1 and not pool.members[0].hosts and not doubts.helped(pool):
        return "one member only, so there is nobody to fail over to"
    check = found.check
    more = f", then {check.fall - 1} more" if check.fall > 1 else ""
    fence = pool.before_promote
    more += f"; up to {fence.timeout:g} s for {fence.argv[0]}, if it succeeds" if fence else ""
    return (
        f"a dead host is out of our answers after {found.gone:.1f} s at most, and out of caches after "
        f"{found.worst:.1f} s at most (check {check.name}: first failure within {found.first:.1f} s{more}; "
        f"TTL {service.ttl}, {service.ttl_min} while in doubt)"
    )


def as_json(problems: list[Problem], dataset: DataSet | None) -> Mapping[str, Any]:
    """What `--json` prints."""
    return {
        "ok": dataset is not None,
        "problems": [
            {
                "file": problem.place.file,
                "line": problem.place.line,
                "column": problem.place.column,
                "path": problem.path,
                "message": problem.message,
                "warning": problem.warning,
            }
            for problem in problems
        ],
        "services": _budgets(dataset) if dataset else {},
    }


def _budgets(dataset: DataSet) -> Mapping[str, Any]:
    return {name_to_text(service.name): _budget(service, pool, dataset) for service, pool in _services(dataset)}


def _budget(service: Service, pool: Pool, dataset: DataSet) -> Mapping[str, Any]:
    found = budget.of(service, pool, dataset.checks)
    seconds = {name: round(getattr(found, name), 3) for name in ("first", "detect", "gone", "worst")} if found else None
    led = budget.by_director(service, pool, dataset.directors)
    promise = budget.promise(service, pool, dataset)
    return {
        "pool": pool.name,
        "ttl": service.ttl,
        "ttl_min": service.ttl_min,
        "failover": seconds,
        "director": {"gone": round(led[0], 3), "worst": round(led[1], 3)} if led else None,
        "budget": service.budget,
        "kept": promise.kept if promise else None,
    }
