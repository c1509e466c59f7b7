"""The page of `rrdns replay`: what came of it in short, a table of services, a timeline of members, notes.

Services to which nothing happened are counted, not listed; the worst come first. Must not know: how a replay is made,
where a journal is.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rrdns.texts import clean, duration, plural
from rrdns.ui import timeline
from rrdns.ui.console import TITLE, WARN, WEAK, Cell, Column, Line, styled, table
from rrdns.ui.replayed import BAD, Pass
from rrdns.ui.timeline import Axis, Row

SHOWN = 24  # rows of the table, and of the timeline; --all shows every service and every member
VERDICTS = {"better": "green", "worse": "red", "mixed": "yellow", "same": WEAK, "new": "", "gone": ""}
COLUMNS = (
    Column("SERVICE", least=16), Column("POOL", least=6, drop=2), Column("FAILOVERS", right=True),
    Column("FLAPS", right=True), Column("DEAD ANSWERED", right=True), Column("ALIVE WITHHELD", right=True),
    Column("NOBODY ALIVE", right=True, drop=1), Column("BUDGET KEPT", right=True),
    Column("SLOWEST", right=True, drop=3),
)  # fmt: skip
VERDICT = Column("EDITED IS")
MEANINGS = (
    ("FAILOVERS", "a member left the answers because it was judged down"),
    ("FLAPS", "it did so within 10m of having come back"),
    ("DEAD ANSWERED", "time in which a dead member was answered though another one lived"),
    ("ALIVE WITHHELD", "time in which a member that lived was kept out by its checks"),
    ("NOBODY ALIVE", "time in which no member lived, so that nothing could be done"),
    ("BUDGET KEPT", "deaths of which clients were rid within the failover budget"),
    ("SLOWEST", "the longest it took until they were"),
)


def page(told: Mapping[str, Any], passes: Sequence[Pass], axis: Axis, width: int, everyone: bool) -> Iterator[Line]:
    same = told["agreement"]
    yield styled(
        ("replay  ", TITLE), f"{moment(told['from'])} to {moment(told['to'])}, ",
        f"{duration(told['watched'])} with a server",
    )  # fmt: skip
    trust = f"the files of then give {same['same']:,} of the {same['recorded']:,} transitions that were recorded"
    yield styled(("trust   ", TITLE), (trust, "" if same["same"] == same["recorded"] else "yellow"))
    edited = len(passes) > 1
    if edited:
        yield styled(("read    ", TITLE), f"as it was then → as it would have been under {clean(told['zones'])}")
        yield styled(("result  ", TITLE), *_result(told["services"]))
    yield styled("")
    yield from _table(told["services"], edited, width, everyone)
    drawn = rows(passes, axis, everyone)
    if drawn:
        yield styled("")
        yield from timeline.lines(drawn, axis, width)
    yield from _meanings()
    for note in told["notes"]:
        yield styled(("note  ", WARN), f" {clean(note)}")


def _result(services: Mapping[str, Mapping[str, Any]]) -> Iterator[Cell | str]:
    """`3 services better, 1 worse, 12 the same`."""
    counts = Counter(one["verdict"] for one in services.values())
    shown = [word for word in VERDICTS if counts[word]]
    for index, word in enumerate(shown):
        text = "the same" if word == "same" else word
        number = plural(counts[word], "service") if not index else f"{counts[word]:,}"
        yield f"{number} {text}" + (", " if index + 1 < len(shown) else ""), VERDICTS[word]
    if not shown:
        yield "nothing is served from a pool", WEAK


def _table(services: Mapping[str, Mapping[str, Any]], edited: bool, width: int, everyone: bool) -> Iterator[Line]:
    columns = (COLUMNS[0], VERDICT, *COLUMNS[1:]) if edited else COLUMNS
    eventful = [name for name, one in services.items() if _trouble(one)]
    chosen = list(services)
    if not everyone:
        chosen = sorted(eventful, key=lambda name: (-_trouble(services[name]), name))[:SHOWN]
    if chosen:
        yield from table(columns, [_row(name, services[name], edited) for name in chosen], width)
    if not services:
        yield styled(("nothing is served from a pool", WEAK))
    if len(eventful) > len(chosen):
        yield styled((f"and {plural(len(eventful) - len(chosen), 'service')} with less; --all shows them", WEAK))
    if not everyone and len(services) > len(eventful):
        calm = plural(len(services) - len(eventful), "service")
        yield styled((f"{calm} to which nothing happened" + ("; --all shows them" if services else ""), WEAK))


def _trouble(one: Mapping[str, Any]) -> float:
    """How much happened, for the order: time that clients or members lost weighs as it is, a flap or a missed budget
    as a minute, a failover as a second."""
    weights = {"dead_answered": 1, "alive_withheld": 0.1, "nobody_alive": 0.1, "flaps": 60, "budget_missed": 60,
               "failovers": 1}  # fmt: skip
    sides = [one.get(name) or {} for name in ("then", "edited")]
    return max(sum(factor * (side.get(key) or 0) for key, factor in weights.items()) for side in sides)


def _row(name: str, one: Mapping[str, Any], edited: bool) -> list[Cell]:
    sides = [one.get("then")] + ([one.get("edited")] if edited else [])

    def amount(key: str, text: Any) -> Cell:
        words = [text(side[key]) if side else "-" for side in sides]
        style = _style(key, sides)
        return (words[0], style) if len(set(words)) == 1 else (" → ".join(words), style)

    verdict = [(one["verdict"], VERDICTS[one["verdict"]])] if edited else []
    return [
        (clean(name), ""), *verdict, (clean(one["pool"]), WEAK), amount("failovers", _number),
        amount("flaps", _number), amount("dead_answered", _time), amount("alive_withheld", _time),
        amount("nobody_alive", _time), _kept(sides), amount("slowest", _time),
    ]  # fmt: skip


def _number(number: int) -> str:
    return f"{number:,}" if number else "-"


def _time(seconds: float) -> str:
    if seconds < timeline.DECIDING:
        return "-"
    return "<1s" if seconds < 0.95 else duration(seconds)


def _kept(sides: Sequence[Mapping[str, Any] | None]) -> Cell:
    """`24 of 24 in 28s`."""

    def text(one: Mapping[str, Any] | None) -> str:
        if not one or one["budget"] is None or not one["budget_kept"] + one["budget_missed"]:
            return "-"
        return f"{one['budget_kept']} of {one['budget_kept'] + one['budget_missed']} in {duration(one['budget'])}"

    words = [text(one) for one in sides]
    return words[0] if len(set(words)) == 1 else " → ".join(words), _style("budget_missed", sides)


def _style(key: str, sides: Sequence[Mapping[str, Any] | None]) -> str:
    """Under other files: whether it got better. A failover is neither good nor bad: who never fails over has none."""
    if key not in BAD:
        return ""
    amounts = [(one or {}).get(key) or 0 for one in sides]
    if len(sides) == 1:
        return ("red" if key == "budget_missed" else "yellow") if amounts[0] >= BAD[key] else ""
    if abs(amounts[1] - amounts[0]) < BAD[key] or None in sides:
        return ""
    return "green" if amounts[1] < amounts[0] else "red"


def _meanings() -> Iterator[Line]:
    yield styled("")
    wide = max(len(title) for title, _ in MEANINGS)
    for title, meaning in MEANINGS:
        yield styled((f"{title.ljust(wide)}  {meaning}", WEAK))


# ---------------------------------------------------------------- the timeline


def rows(passes: Sequence[Pass], axis: Axis, everyone: bool) -> list[Row]:
    """Members something happened to, the worst first, then each pool's together; under both files where there are."""
    trouble: dict[tuple[str, str], float] = {}
    for one in passes:
        for pool, score in one.score.pools.items():
            for member, turns in score.spans.items():
                spans = timeline.spans_of(turns, axis)
                bad = sum(end - begin for begin, end, kind in spans if kind in ("dead", "withheld", "gone"))
                trouble[pool, member] = max(bad, trouble.get((pool, member), 0.0))
    chosen = sorted(trouble, key=lambda one: (-trouble[one], one))
    if not everyone:
        chosen = [one for one in chosen if trouble[one] >= timeline.FLEETING][: SHOWN // len(passes)]
    found = []
    for pool, member in sorted(chosen):
        for index, one in enumerate(passes):
            its = one.score.pools.get(pool)
            turns = its.spans.get(member, []) if its else []
            label = "  edited" if index else f"{member}, then" if len(passes) > 1 else member
            found.append(Row(pool, label, timeline.spans_of(turns, axis), bool(index)))
    return found


def remarks(told: Mapping[str, Any], passes: Sequence[Pass]) -> list[str]:
    """What stands below the picture: each pool in a line, then the notes."""
    found = []
    for name, one in told["pools"].items():
        texts = []
        for label in ("then", "edited")[: len(passes)]:
            if (score := one.get(label)) and any(score[key] for key in ("failovers", "flaps", *BAD) if key in score):
                texts.append(
                    f"{label}: {plural(score['failovers'], 'failover')}, {plural(score['flaps'], 'flap')}, "
                    f"dead answered {_time(score['dead_answered'])}, alive withheld {_time(score['alive_withheld'])}"
                )
        if texts:
            found.append(f"{name}: " + "; ".join(texts))
    more = [f"and {plural(len(found) - 20, 'pool')} more"] if len(found) > 20 else []
    return [*found[:20], *more, *told["notes"]]


def moment(wall: float) -> str:
    return time.strftime("%a %Y-%m-%d %H:%M:%S", time.localtime(wall))
