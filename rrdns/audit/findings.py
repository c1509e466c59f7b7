"""What a server's own knowledge shows of silent decay. Pure: status, events and facts in, findings out.

Must not know: how any of it was learned, the world outside (`delegation`), how it is printed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rrdns.texts import duration, plural

Json = Mapping[str, Any]
SHALLOW = frozenset({"tcp", "icmp"})  # they say that a host answers, not that it works
FLAPS = 4  # times down,
LATELY = 86400.0  # within so many seconds


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """`kind` is stable, for programs; `about` names the pool, member, zone ...; `text` says what, and what to do."""

    kind: str
    about: str
    text: str


def look(status: Json, events: Sequence[Json], facts: Json, idle: float) -> list[Finding]:
    """Everything found, sorted."""
    return sorted({
        *standbys(status, events, facts, idle), *last_ones(status, facts), *flapping(status, events), *starved(status),
        *blind(facts), *certificates(facts), *forgotten(status), *stale(status), *silent(status), *unkept(status),
    })  # fmt: skip


def unknown(status: Json, events: Sequence[Json], facts: Json, idle: float) -> list[str]:
    """What could not be known."""
    found = []
    uptime, schemes = (
        status.get("uptime") or 0.0,
        [name for name, one in status.get("pools", {}).items() if one.get("scheme")],
    )
    if uptime < idle and any(watched(status, events, name) < idle for name in schemes or [""]):
        found.append(
            f"answers are counted since the server's start, {duration(uptime)} ago: whether a standby served before "
            "that is not known"
        )
    if (facts.get("asked") or {}).get("left_out"):
        found.append(f"{plural(facts['asked']['left_out'], 'target')} more were not asked for a made-up path")
    if len(events) >= 10_000:
        found.append("there are more events than could be looked at")
    return found


# ---------------------------------------------------------------- members


def watched(status: Json, events: Sequence[Json], pool: str) -> float:
    """For how many seconds it is known that nobody else served the pool: answers are counted since the start, and
    events, which outlive it, go back further where none tells of a failover."""
    uptime, now = status.get("uptime") or 0.0, status.get("time") or 0.0
    moved = [one for one in events if one.get("subject") == "failover" and one.get("name") == pool]
    recorded = now - min((one.get("time") or now for one in events), default=now)
    return max(uptime, 0.0 if moved else recorded)


def standbys(status: Json, events: Sequence[Json], facts: Json, idle: float) -> Iterator[Finding]:
    """Members that are there for the day when others fail, and that nobody has seen at work."""
    helpful = {helper for one in facts.get("pools", {}).values() for helper in one.get("helpers", ())}
    for name, pool in status.get("pools", {}).items():
        if not pool.get("scheme") and name not in helpful:
            continue
        serving = set(pool.get("serving", ()))
        for member, one in pool.get("members", {}).items():
            if one.get("state") != "up" or one.get("override") or (one.get("answers") or 0) > 0:
                continue
            if member in serving and name not in helpful:
                continue
            about = f"{name}/{member}"
            if (seen := watched(status, events, name)) >= idle:
                text = f"a standby that was not in one answer for {duration(seen)}: rehearse with rrdns drill {name}"
                yield Finding("idle-standby", about, text)
            kinds = {facts.get("checks", {}).get(check, {}).get("type") for check in _checks(facts, name)}
            if kinds <= SHALLOW:
                how = f"only asked by {' and '.join(sorted(map(str, kinds)))}" if kinds else "not checked at all"
                yield Finding("shallow-standby", about, f"a standby that is {how}: nobody knows whether it would work")


def _checks(facts: Json, pool: str) -> list[str]:
    return list(facts.get("pools", {}).get(pool, {}).get("checks", ()))


def last_ones(status: Json, facts: Json) -> Iterator[Finding]:
    """Pools that the next failure empties."""
    for name, pool in status.get("pools", {}).items():
        members = pool.get("members", {})
        able = [member for member, one in members.items() if one.get("state") == "up" and one.get("weight")]
        if len(able) != 1 or facts.get("pools", {}).get(name, {}).get("helpers"):
            continue
        others = f"{plural(len(members) - 1, 'other')} not available" if len(members) > 1 else "it is the only member"
        then = f"when it fails, when_down: {pool.get('when_down', '?')} is the answer"
        yield Finding("one-failure", name, f"{able[0]} is the last one left ({others}); {then}")


def flapping(status: Json, events: Sequence[Json]) -> Iterator[Finding]:
    since = (status.get("time") or 0.0) - LATELY
    downs = Counter(
        str(one.get("name"))
        for one in events
        if one.get("subject") == "member" and one.get("after") == "down" and (one.get("time") or since) >= since
    )
    for name, times in downs.items():
        if times >= FLAPS:
            text = f"went down {times} times in {duration(LATELY)}: rrdns events --pool {name.partition('/')[0]}"
            yield Finding("flapping", name, text)


def starved(status: Json) -> Iterator[Finding]:
    """Answered their share, and yet nobody comes; only where a director counts connections."""
    for name, pool in status.get("pools", {}).items():
        for member, one in pool.get("members", {}).items():
            if one.get("suspect"):
                got, share = one.get("connected"), one.get("share") or 0.0
                seen = f"{got:.1%} of the connections" if got is not None else "few of the connections"
                text = f"is in its share of the answers ({share:.1%}) and gets {seen}: does it refuse clients?"
                yield Finding("starved", f"{name}/{member}", text)


# ---------------------------------------------------------------- checks


def blind(facts: Json) -> Iterator[Finding]:
    """Checks that pass whatever happens."""
    found: dict[str, list[Json]] = {}
    for one in (facts.get("asked") or {}).get("made_up", ()):
        if one.get("passed"):
            found.setdefault(str(one.get("check")), []).append(one)
    for check, ones in found.items():
        where = ", ".join(str(one.get("address")) for one in ones[:3]) + (" ..." if len(ones) > 3 else "")
        text = (
            f"passes on a path that nobody has ({ones[0].get('reason')} from {where}): it can hardly fail; ask for a "
        )
        yield Finding("blind-check", check, text + "path, a status or a body that only a healthy host gives")


def certificates(facts: Json) -> Iterator[Finding]:
    for one in (facts.get("asked") or {}).get("certificates", ()):
        if one.get("ends_soon"):
            yield Finding("certificate", f"{one.get('check')} at {one.get('address')}", str(one.get("reason")))


# ---------------------------------------------------------------- the server


def forgotten(status: Json) -> Iterator[Finding]:
    """Overrides that nothing ends."""
    for one in status.get("overrides", ()):
        if one.get("left") is not None:
            continue
        pool, member = one.get("pool", ""), one.get("member", "")
        whom = f"{pool}/{member}" if member else pool or "all pools"
        since = one.get("since")
        age = f" for {duration(since)} now" if since is not None else ""
        text = f"{one.get('word')} by {one.get('owner') or 'somebody'}{age}, and nothing ends it"
        reason = f" ({one['reason']})" if one.get("reason") else ""
        yield Finding("override", whom, f"{text}{reason}: is it still meant?")


def stale(status: Json) -> Iterator[Finding]:
    for name, one in status.get("directors", {}).items():
        if one.get("state") != "up":
            age = one.get("age")
            read = f"last read {duration(age)} ago" if age is not None else "never read"
            yield Finding("director", name, f"{one.get('state')}: {one.get('reason', '')} ({read})")
    for name, one in status.get("names", {}).items():
        if one.get("state") != "up":
            age = one.get("age")
            read = f"last resolved {duration(age)} ago" if age is not None else "never resolved"
            yield Finding("name", name, f"{one.get('state')}: {one.get('reason', '')} ({read})")


def silent(status: Json) -> Iterator[Finding]:
    """Nobody would hear of anything."""
    sinks = status.get("notify")
    if sinks is None:
        return
    if not sinks:
        yield Finding("notify", "notify", "nobody is told of anything: there is no `notify:` in the settings")
    for name, one in sinks.items():
        if one.get("state") == "failing":
            yield Finding("notify", name, f"can't be told: {one.get('why', '')}")
        elif not one.get("sent"):
            yield Finding("notify", name, "was never told anything since the start: try rrdns notify test")


def unkept(status: Json) -> Iterator[Finding]:
    """What is not on the disk though it should be."""
    store, journal = status.get("store", {}), status.get("journal", {})
    if store.get("state") == "failing":
        yield Finding("state", "state", f"what is in force is NOT saved, a restart forgets it: {store.get('why', '')}")
    if journal.get("state") == "failing":
        since = f" for {duration(journal['since'])}" if journal.get("since") is not None else ""
        text = f"inputs are not journaled{since}: {journal.get('why', '')}; replay and explain --at will have a hole"
        yield Finding("journal", "journal", text)
    elif journal.get("holes"):
        times = plural(journal["holes"], "time")
        yield Finding("journal", "journal", f"has lost inputs {times} since the start: replay has holes; see the log")
