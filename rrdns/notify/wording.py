"""How notices are put: a title, a text for people, JSON, Alertmanager's alerts, a program's environment.

Bounded whatever happened: a thousand members are a few lines. Must not know: sinks, when or how anything is sent.
"""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rrdns import __version__
from rrdns.notify.notices import ASIDE, BAD, CRITICAL, FINE, INFO, WARNING, Notice, severity, worst
from rrdns.texts import clean, clock, plural

Json = dict[str, Any]

ALONE = 4  # members of one pool that have a line each; more share one
NAMED = 20  # names in a shared line
LINES = 60
IN_TITLE = 3
IN_JSON = 1000
ENV_TEXT = 32_000  # bytes of one environment variable; the kernel takes 131,072
ENV_JSON = 100_000
FIRING = 300.0  # seconds that an alert stands without being repeated; Alertmanager's own resolve_timeout


@dataclass(frozen=True, slots=True)
class Message:
    """What goes to a sink at once. `host`: who speaks; `dropped`: messages given up before this one; `lost`: notices
    beyond what a message holds."""

    id: str
    time: float
    host: str
    notices: tuple[Notice, ...]
    dropped: int = 0
    lost: int = 0
    test: bool = False
    standing: tuple[Notice, ...] = field(default=())
    """Repetitions of what goes on: for Alertmanager."""


# ---------------------------------------------------------------- for people


def title(message: Message) -> str:
    """`rrdns ns1: pool web down; 40 members down`."""
    if message.test:
        return f"rrdns {message.host}: a test; nothing has happened"
    groups = Counter((one.severity, one.subject, one.after) for one in message.notices)
    order = (CRITICAL, WARNING, FINE, ASIDE, INFO)
    words = []
    for kind, subject, after in sorted(groups, key=lambda group: (order.index(group[0]), group[1] != "pool")):
        number = groups[kind, subject, after]
        of_kind = (one for one in message.notices if (one.subject, one.after) == (subject, after))
        words.append(f"{subject} {clean(next(of_kind).name)} {after}" if number == 1 else _many(number, subject, after))
    more = f"; and {plural(len(words) - IN_TITLE, 'change')} more" if len(words) > IN_TITLE else ""
    return f"rrdns {message.host}: {'; '.join(words[:IN_TITLE]) or 'earlier messages were lost'}{more}"[:400]


def text(message: Message) -> str:
    """The whole message as lines."""
    if message.test:
        return "This is a test of rrdns's notifications. Nothing has happened, and nothing is to be done."
    lines = list(_lines(message))
    if len(lines) > LINES:
        lines = [*lines[:LINES], f"... and {len(lines) - LINES} more lines; `rrdns events` has them all"]
    if message.lost:
        lines.append(f"... and {plural(message.lost, 'change')} more, which did not fit; `rrdns events` has them")
    if message.dropped:
        lines.append(
            f"{plural(message.dropped, 'earlier message')} could not be delivered and "
            f"{'is' if message.dropped == 1 else 'are'} lost; `rrdns events` has what they said"
        )
    return "\n".join(lines)


def _lines(message: Message) -> Iterator[str]:
    """Pools before their members; many members that changed alike share a line."""
    alike: dict[tuple[str, str, str, str], list[Notice]] = {}
    for one in message.notices:
        alike.setdefault((one.subject, one.pool, one.before, one.after), []).append(one)
    ranked = sorted(alike.items(), key=lambda item: (item[0][0] == "member", _rank(item[0][0], item[0][3])))
    for (subject, pool, before, after), some in ranked:
        if subject == "member" and len(some) > ALONE:
            yield _shared(pool, before, after, some, message.time)
        else:
            yield from (line(one, message.time) for one in some)


def _rank(subject: str, after: str) -> int:
    return (CRITICAL, WARNING, FINE, ASIDE, INFO).index(severity(subject, after))


def line(one: Notice, now: float) -> str:
    """`12:00:01  member web/web1  up -> down: connection refused`."""
    why = f": {clean(one.why)}" if one.why else ""
    often = f" ({one.changes} changes)" if one.changes > 1 else ""
    return f"{clock(one.time, now)}  {one.subject} {clean(one.name)}  {one.before} -> {one.after}{often}{why}"


def _shared(pool: str, before: str, after: str, some: Sequence[Notice], now: float) -> str:
    names = ", ".join(clean(one.member) for one in some[:NAMED])
    more = f" and {len(some) - NAMED} more" if len(some) > NAMED else ""
    reasons = Counter(one.why for one in some).most_common(3)
    whys = "; ".join(clean(why) + (f" ({number})" if len(reasons) > 1 else "") for why, number in reasons if why)
    when = clock(min(one.time for one in some), now)
    members = plural(len(some), "member")
    return f"{when}  pool {clean(pool)}: {members} {before} -> {after}: {names}{more}" + (f": {whys}" if whys else "")


def _many(number: int, subject: str, after: str) -> str:
    return f"{plural(number, subject)} {after}"


# ---------------------------------------------------------------- for programs


def body(message: Message) -> Json:
    """The webhook's JSON. `text` is where chat systems look."""
    shown = message.notices[:IN_JSON]
    return {
        "version": 1,
        "id": message.id,
        "time": iso(message.time),
        "server": message.host,
        "rrdns": __version__,
        "severity": INFO if message.test else worst(message.notices),
        "title": title(message),
        "text": f"{title(message)}\n{text(message)}",
        "events": [_event(one) for one in shown],
        "more": len(message.notices) - len(shown) + message.lost,
        "dropped": message.dropped,
        "test": message.test,
    }


def _event(one: Notice) -> Json:
    return {
        "time": iso(one.time),
        "subject": one.subject,
        "name": one.name,
        "pool": one.pool,
        "member": one.member,
        "before": one.before,
        "after": one.after,
        "why": one.why,
        "severity": one.severity,
        "changes": one.changes,
    }


def alerts(message: Message) -> list[Json]:
    """Alertmanager's API v2, POST /api/v2/alerts. What is well again ends its alert; so does what has become worse,
    as it has another severity, and with it another alert, now."""
    found = []
    if message.test:
        labels = {"alertname": "RrdnsTest", "instance": message.host, "severity": INFO}
        found.append(_alert(labels, title(message), text(message), message.time, message.time + FIRING))
    for one in message.notices:
        before = severity(one.subject, one.before)
        for kind in BAD:
            if kind == one.severity:
                found.append(_firing(one, message))
            elif kind == before or one.severity not in BAD:
                found.append(_alert(_labels(one, kind, message.host), *_said(one), one.time, message.time))
    found += [_firing(one, message) for one in message.standing]
    return found


def _firing(one: Notice, message: Message) -> Json:
    return _alert(_labels(one, one.severity, message.host), *_said(one), one.time, message.time + FIRING)


def _said(one: Notice) -> tuple[str, str]:
    return f"{one.subject} {one.name} is {one.after}", one.why


def _labels(one: Notice, kind: str, host: str) -> dict[str, str]:
    labels = {
        "alertname": f"Rrdns{one.subject.capitalize()}",
        "instance": host,
        "severity": kind,
        "name": one.name,
        "pool": one.pool,
        "member": one.member,
    }
    return {label: value for label, value in labels.items() if value}


def _alert(labels: dict[str, str], summary: str, why: str, starts: float, ends: float) -> Json:
    notes = {"summary": summary, "description": why}
    return {
        "labels": labels,
        "annotations": {name: value for name, value in notes.items() if value},
        "startsAt": iso(min(starts, ends)),
        "endsAt": iso(ends),
    }


def environment(message: Message) -> dict[str, str]:
    """What a command gets. The `RRDNS_EVENT_...` of one transition are those of the worst."""
    order = (CRITICAL, WARNING, FINE, ASIDE, INFO)
    first = min(message.notices, key=lambda one: order.index(one.severity), default=None)
    found = {
        "RRDNS_EVENT": "test" if message.test else "change",
        "RRDNS_EVENT_ID": message.id,
        "RRDNS_EVENT_TIME": iso(message.time),
        "RRDNS_EVENT_SERVER": message.host,
        "RRDNS_EVENT_SEVERITY": INFO if message.test else worst(message.notices),
        "RRDNS_EVENT_COUNT": str(len(message.notices)),
        "RRDNS_EVENT_TITLE": title(message),
        "RRDNS_EVENT_TEXT": _cut(text(message), ENV_TEXT),
        "RRDNS_EVENT_JSON": _fitting(message),
        "RRDNS_EVENT_DROPPED": str(message.dropped),
    }
    if first is not None:
        for name in ("subject", "name", "pool", "member", "before", "after", "why"):
            found[f"RRDNS_EVENT_{name.upper()}"] = clean(getattr(first, name))[:1000]
    return {name: value.replace("\0", "") for name, value in found.items()}


def _fitting(message: Message) -> str:
    """The JSON, with as many events as fit."""
    whole = body(message)
    events = whole["events"]
    while len(data := json.dumps(whole)) > ENV_JSON and events:
        rest = len(events) // 2
        whole["more"] += len(events) - rest
        events = whole["events"] = events[:rest]
    return data


def _cut(text: str, most: int) -> str:
    data = text.encode()
    return text if len(data) <= most else data[: most - 4].decode("utf-8", "ignore") + " ..."


def iso(wall: float) -> str:
    """RFC 3339, in UTC."""
    return datetime.datetime.fromtimestamp(wall, datetime.UTC).isoformat(timespec="milliseconds")


def together(notices: Iterable[Notice], message: Message) -> Message:
    """The message about a sink's standing alerts: no news, only repetition."""
    return Message(message.id, message.time, message.host, (), standing=tuple(notices))
