"""The pages of pools of `rrdns top`: a line for each, and one pool with all that is known of it. Pure.

Must not know: the frame around them (screen.py), keys, how schemes decide.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import replace

from rrdns.texts import clean, duration, plural, rate
from rrdns.ui import overview, schemes, sparkline
from rrdns.ui.choosing import chosen_events, chosen_members, chosen_pools
from rrdns.ui.console import TITLE, WEAK, Cell, Column, Line, head_text, lay_out, row_text, state_style, styled
from rrdns.ui.panes import Listing
from rrdns.ui.present import Json, override_phrase
from rrdns.ui.view import SORT_WORDS, Ref, Scene, View

POOLS = (
    Column("POOL", least=10),
    Column("STATE"),
    Column("SERVE", right=True),
    Column("Q/S", right=True),
    Column("MINUTE", drop=1),
    Column("SCHEME", drop=4),
    Column("HAND", right=True, drop=3),
    Column("SCHEME AND STATE BECAUSE", least=16, grow=True),
)
MEMBERS = (
    Column("MEMBER", least=8),
    Column("ADDRESS", least=15, drop=9),
    Column("STATE"),
    Column("SINCE", right=True, drop=4),
    Column("WT", right=True),
    Column("SHARE", drop=5),
    Column("WANTED", right=True),
    Column("ANSWERED", right=True),
    Column("CONNECTED", right=True),
    Column("A/S", right=True, drop=7),
    Column("ANSWERS", right=True, drop=8),
    Column("REASON", least=16, grow=True),
)
CONNECTED = 8  # the column, left out where nobody counts connections
OVERRIDES = (Column("BY HAND", least=8), Column("WORD"), Column("LEFT", right=True), Column("", least=20))


# ---------------------------------------------------------------- all pools


def draw_all(scene: Scene, view: View, width: int, height: int) -> tuple[list[Line], View]:
    names = chosen_pools(scene, view)
    by_hand = _by_hand(scene)
    minute = overview.minute_width(width)
    longest = clean(max(names, key=len, default=""))
    pools = Listing(
        "pools",
        POOLS,
        names,
        lambda name: _pool_cells(scene, name, by_hand.get(name, 0), minute),
        str,
        (longest, "degraded"),
    )
    free = max(0, height - 1)
    view = view.placed("pools", len(names), free)
    return pools.lines(view, width, free), replace(view, under=pools.under(view))


def _by_hand(scene: Scene) -> dict[str, int]:
    """How many words of operators are in force in each pool."""
    found: dict[str, int] = {}
    for one in scene.status.get("overrides", ()):
        found[one.get("pool", "")] = found.get(one.get("pool", ""), 0) + 1
    return found


def _pool_cells(scene: Scene, name: str, by_hand: int, minute: int) -> list[Cell]:
    pool = scene.pools[name]
    state, history = clean(pool.get("state", "")), scene.history.pools.get(name, ())
    serving = f"{len(pool.get('serving', ()))} of {len(pool.get('members', ()))}"
    words = (schemes.phrase(pool), clean(pool.get("why", "")))
    return [
        (clean(name), ""),
        (state, state_style(state)),
        (serving, ""),
        (rate(history[-1] or 0.0) if history else "", ""),
        (sparkline.draw(history, minute), "cyan"),
        (clean(pool.get("scheme") or pool.get("scheduler") or ""), ""),
        (str(by_hand) if by_hand else "", "cyan"),
        ("; ".join(word for word in words if word), "" if state == "ok" else "yellow"),
    ]


# ---------------------------------------------------------------- one pool


def draw(scene: Scene, view: View, width: int, height: int) -> tuple[list[Line], View]:
    """What is said of the pool, its overrides (a quarter of the height at most), its members, its last events."""
    name = view.pool
    if name not in scene.pools:
        gone = styled(f"  there is no pool {clean(name)} any more; 2 lists the pools, Esc goes back")
        return [styled(""), gone], replace(view, under="", beside=("", ""))
    pool = scene.pools[name]
    lines = list(_head(scene, name, pool, width))
    lines += _overrides(scene, name, width, max(2, height // 4))
    events = chosen_events(scene, View(), name)[: height // 6][::-1] if height >= 16 else []
    for_events = len(events) + 1 if events else 0
    members = _members(scene, view, name)
    free = max(0, height - len(lines) - 1 - for_events)
    view = view.placed("pool", len(members.rows), free)
    lines += members.lines(view, width, free)
    lines += [styled("") for _ in range(height - len(lines) - for_events)]
    every = list(scene.pools)
    at = every.index(name)
    beside = (every[at - 1] if at else "", every[at + 1] if at + 1 < len(every) else "")
    return lines + overview.events_lines(events, scene.now, width), replace(view, under=name, beside=beside)


def _head(scene: Scene, name: str, pool: Json, width: int) -> Iterator[Line]:
    state = clean(pool.get("state", ""))
    why = clean(pool.get("why", ""))
    serving = f"{len(pool.get('serving', ()))} of {plural(len(pool.get('members', ())), 'member')} serve"
    yield styled(
        ("POOL ", WEAK),
        (clean(name), TITLE),
        "  ",
        (state, state_style(state)),
        f"  {serving}",
        f"  {why}" if why else "",
    )
    yield _minute(scene.history.pools.get(name, ()), width)
    yield from _said("names", _names(scene, name), width)
    yield from _said("scheme", schemes.phrase(pool) or "none: whoever is up serves", width)
    yield from _said("rules", _rules(pool), width)
    following = pool.get("following")
    if following:
        yield from _said("follows", _followed(following), width)
        for note in following.get("notes", ()):
            yield styled((f"         {clean(note)}", "yellow"))


def _said(what: str, words: str, width: int) -> Iterator[Line]:
    """At most two lines of it."""
    folded = textwrap.wrap(words, max(20, width - 9), max_lines=2, placeholder=" …")
    for index, line in enumerate(folded):
        yield styled(((what if not index else "").ljust(9), WEAK), line)


def _minute(series: sparkline.Series, width: int) -> Line:
    cells = max(8, min(sparkline.KEPT, width - 44))
    now = series[-1] if series else None
    return styled(
        ("answers  ", WEAK),
        (sparkline.draw(series, cells), "cyan"),
        f"  {rate(now or 0.0)} a second, at most {rate(sparkline.most(series))}",
    )


def _names(scene: Scene, name: str) -> str:
    found = [
        f"{clean(each)} {one.get('ttl', '?')}s"
        for each, one in scene.status.get("services", {}).items()
        if one.get("pool") == name
    ]
    return ", ".join(found) or "no name is served from it"


def _rules(pool: Json) -> str:
    words = [f"scheduler {clean(pool.get('scheduler', '?'))}"]
    for asked, one in (pool.get("schedulers") or {}).items():
        if one.get("why"):
            words[0] += f" ({clean(asked)} works as {clean(one.get('now'))}: {clean(one['why'])})"
    if pool.get("quorum") is not None:
        words.append(f"quorum {pool['quorum']}")
    if pool.get("quorum_weight"):
        words.append(f"quorum weight {pool['quorum_weight']}")
    if pool.get("failback"):
        words.append(f"failback {clean(pool['failback'])}")
    if pool.get("when_down"):
        words.append(f"when down: {clean(pool['when_down'])}")
    correction = (pool.get("correction") or {}).get("state")
    if correction:
        words.append(f"correction {clean(correction)}")
    if pool.get("connected_by"):
        words.append(f"connections counted by {clean(pool['connected_by'])}")
    return ", ".join(words)


def _followed(following: Json) -> str:
    every = [
        f"{clean(one.get('director', '?'))}{' ' + clean(one['part']) if one.get('part') else ''}{_mastery(one)}"
        for one in following.get("follows", ())
    ]
    words = [", ".join(every)]
    if following.get("director"):
        words.append(f"now by {clean(following['director'])}")
    if following.get("weight_from"):
        words.append(f"weights from {clean(following['weight_from'])}")
    if following.get("waiting"):
        words.append(f"waits for {', '.join(clean(one) for one in following['waiting'])}")
    return "; ".join(words)


def _mastery(one: Json) -> str:
    """Who says whether the director is the master for this part, and what."""
    if not one.get("herald"):
        return ""
    master = one.get("master")
    said = "master" if master else "not the master" if master is False else "nobody says who is the master"
    return f" ({said}, by {clean(one['herald'])})"


def _overrides(scene: Scene, name: str, width: int, most: int) -> list[Line]:
    """What operators have said of it, or of everything, with what is left of it."""
    found = [one for one in scene.status.get("overrides", ()) if one.get("pool") in (name, "", None)]
    if not found:
        return []
    shown = found if len(found) < most else found[: most - 2]
    cells = [_override_cells(one) for one in shown]
    widths = lay_out(OVERRIDES, cells, width)
    lines = [head_text(OVERRIDES, widths), *(row_text(OVERRIDES, widths, row) for row in cells)]
    if len(shown) < len(found):
        lines.append(styled((f"and {len(found) - len(shown)} more: rrdns overrides", WEAK)))
    return lines


def _override_cells(one: Json) -> list[Cell]:
    member, left = clean(one.get("member") or ""), one.get("left")
    phrase = override_phrase({**one, "left": None})
    return [
        (member or ("the pool" if one.get("pool") else "all pools"), ""),
        (clean(one.get("word", "?")), "bold red" if one.get("word") == "force-up" else "cyan"),
        (duration(left) if left is not None else "no end", "" if left is not None else "yellow"),
        (phrase.removeprefix(clean(one.get("word", "?"))).strip(), ""),
    ]


def _members(scene: Scene, view: View, name: str) -> Listing[Ref]:
    refs = chosen_members(scene, view, SORT_WORDS[view.sort], name)
    counted = any(ref.facts.get("connected") is not None for ref in refs)

    def cells(ref: Ref) -> list[Cell]:
        row = overview.member_cells(scene.member(ref), clean(ref.name))
        return row if counted else [*row[:CONNECTED], *row[CONNECTED + 1 :]]

    widest = overview.widest(refs, lambda ref: ref.name)
    columns: tuple[Column, ...] = MEMBERS
    if not counted:
        widest = (*widest[:CONNECTED], *widest[CONNECTED + 1 :])
        columns = (*MEMBERS[:CONNECTED], *MEMBERS[CONNECTED + 1 :])
    return Listing("pool", columns, refs, cells, lambda ref: ref.pool, widest)
