"""The first page of `rrdns top`: services, members, the last events. Also the cells of a member. Pure.

Must not know: the frame around it (screen.py), keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rrdns.texts import clean, count, duration, percent, rate
from rrdns.ui import fairness, present, sparkline
from rrdns.ui.choosing import chosen_members, chosen_services
from rrdns.ui.console import WEAK, Cell, Column, Line, head_text, lay_out, row_text, state_style, styled
from rrdns.ui.panes import Listing, shared
from rrdns.ui.present import Json, MemberRow, ServiceRow
from rrdns.ui.view import MANY, SORT_WORDS, Ref, Scene, View

BAR = 6  # cells of the bar that shows a share
_EIGHTHS = " ▏▎▍▌▋▊▉"

SERVICES = (
    Column("SERVICE", least=20),
    Column("TTL", right=True),
    Column("POOL", least=8),
    Column("STATE"),
    Column("Q/S", right=True),
    Column("MINUTE", drop=1),
    Column("SERVED BY", least=12, drop=2, grow=True),
    Column("TTL AND STATE BECAUSE", least=12, drop=3),
)
MEMBERS = (
    Column("MEMBER", least=16),
    Column("ADDRESS", least=15, drop=3),
    Column("STATE"),
    Column("SINCE", right=True),
    Column("WT", right=True),
    Column("SHARE"),
    Column("WANTED", right=True, drop=7),
    Column("ANSWERED", right=True, drop=8),
    Column("CONNECTED", right=True, drop=9),
    Column("A/S", right=True, drop=4),
    Column("ANSWERS", right=True, drop=6),
    Column("REASON", least=20, grow=True),
)


def draw(scene: Scene, view: View, width: int, height: int) -> tuple[list[Line], View]:
    """Events take a fifth of the height at most, services a third of what is left, members the rest."""
    services, members = services_listing(scene, view, width), members_listing(scene, view)
    events = last_events(scene.status.get("events", ()), height // 5) if height >= 12 else ()
    for_events = len(events) + 1 if events else 0
    free = max(0, height - 2 - for_events)  # less the headings
    for_services, _ = shared(free, (max(1, len(services.rows)), 4), (max(1, len(members.rows)), 12))
    view = view.placed("services", len(services.rows), for_services)
    view = view.placed("members", len(members.rows), free - for_services)
    lines = services.lines(view, width, for_services) + members.lines(view, width, free - for_services)
    lines += [styled("") for _ in range(height - len(lines) - for_events)]
    under = services.under(view) or members.under(view)
    return lines + events_lines(events, scene.now, width), replace(view, under=under)


def last_events(events: Sequence[Json], count: int) -> Sequence[Json]:
    """A target's transitions are left to the page of events: its member's say the same."""
    return [event for event in events if event.get("subject") != "target"][-count:] if count else ()


def events_lines(events: Sequence[Json], now_wall: float, width: int) -> list[Line]:
    if not events:
        return []
    columns = (Column("EVENTS"), Column("", least=14), Column(""), Column("", least=10))
    cells = [present.event_cells(event, now_wall) for event in events]
    widths = lay_out(columns, cells, width)
    return [head_text(columns, widths), *(row_text(columns, widths, row) for row in cells)]


# ---------------------------------------------------------------- services


def services_listing(scene: Scene, view: View, width: int) -> Listing[str]:
    cells = minute_width(width)
    return Listing(
        "services",
        SERVICES,
        chosen_services(scene, view),
        lambda name: _service_cells(scene, name, cells),
        lambda name: str(scene.status["services"][name].get("pool", "")),
        (max(map(str, scene.status.get("services", {})), key=len, default=""),),
    )


def minute_width(width: int) -> int:
    """Cells of a sparkline in a list: the last so many seconds."""
    return 8 if width < 100 else 20 if width < 160 else 30


def _service_cells(scene: Scene, name: str, minute: int) -> list[Cell]:
    row = scene.service(name)
    because = row.ttl_why if row.ttl < row.ttl_max else ""
    return [
        (row.name, ""),
        (f"{row.ttl}s", "yellow" if row.ttl < row.ttl_max else ""),
        (row.pool, ""),
        (clean(row.state), state_style(row.state)),
        (rate(row.rate), ""),
        (sparkline.draw(scene.history.services.get(name, ()), minute), "cyan"),
        (_served(scene, row), ""),
        ("; ".join(word for word in (because, row.why if row.problem else "") if word), "yellow"),
    ]


def _served(scene: Scene, row: ServiceRow) -> str:
    if len(row.serving) > MANY:
        return f"{scene.serving_count(row.pool)} members"
    return " ".join(f"{name} {percent(share)}" for name, share in row.serving) or "nobody"


# ---------------------------------------------------------------- members


def members_listing(scene: Scene, view: View) -> Listing[Ref]:
    refs = chosen_members(scene, view, SORT_WORDS[view.sort])
    return Listing(
        "members",
        MEMBERS,
        refs,
        lambda ref: member_cells(scene.member(ref), scene.member(ref).path),
        lambda ref: ref.pool,
        widest(refs, lambda ref: ref.path),
    )


def widest(refs: Sequence[Ref], name: Callable[[Ref], str]) -> tuple[str, ...]:
    """The widest cells of all members, in sight or not: name, address, state, since, weight, ..., a second, in all."""
    address = max((clean(one["addresses"][0].get("address", "")) for one in _addressed(refs)), key=len, default="")
    several = " +1" if any(len(one["addresses"]) > 1 for one in _addressed(refs)) else ""
    fastest = max((one.facts.get("rate") or 0.0 for one in refs), default=0.0)
    most = max((one.facts.get("answers") or 0 for one in refs), default=0)
    longest = clean(max((name(ref) for ref in refs), key=len, default=""))
    return (longest, address + several, "disabled", "59m 59s", "", "", "", "", "", rate(fastest), count(most))


def _addressed(refs: Sequence[Ref]) -> list[Json]:
    return [ref.facts for ref in refs if ref.facts.get("addresses")]


def member_cells(row: MemberRow, name: str) -> list[Cell]:
    address = row.addresses[0].address if row.addresses else " ".join(row.names)
    if len(row.addresses) > 1:
        address += f" +{len(row.addresses) - 1}"
    return [
        (name, "" if row.share else WEAK),
        (address, ""),
        (clean(row.state), state_style(row.state)),
        (duration(row.since) if row.since is not None else "", ""),
        (present.weight_text(row), ""),
        (f"{bar(row.share)} {percent(row.share):>5}", "" if row.share else WEAK),
        *((fairness.share_text(one), "") for one in (row.wanted, row.answered, row.connected)),
        (rate(row.rate), ""),
        (count(row.answers), ""),
        (row.reason, ""),
    ]


def bar(share: float) -> str:
    """A share of one as BAR cells, to an eighth of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * BAR * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(BAR)
