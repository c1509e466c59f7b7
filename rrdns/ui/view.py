"""What is seen at `rrdns top` (a Scene), what the person has chosen (a View), and how keys change that. Pure.

    overview  <- 1     services, members, last events      Enter: the pool of the row under the cursor
    pools     <- 2     a line for each pool                Enter: that pool
    pool               one pool: members, scheme, meter    Esc: back; left, right: the pool beside it
    directors <- 3     directors, what the chosen one says Enter: the pool of the row under the cursor
    events    <- 4     what happened, the newest first

A thousand members come four times a second and twenty are in sight: a Scene works a row out when it is asked for.
Must not know: how rows are drawn, terminals, where snapshots come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rrdns.ui import present
from rrdns.ui.present import Json, MemberRow, ServiceRow
from rrdns.ui.sparkline import History

MANY = 8  # so many serving members are named on a service's line
PAGES = (("1", "overview"), ("2", "pools"), ("3", "directors"), ("4", "events"))
PANES = {
    "overview": ("members", "services"),
    "pools": ("pools",),
    "pool": ("pool",),
    "directors": ("directors", "told"),
    "events": ("events",),
}
"""The lists of each page; the first has the keys when the page is opened."""
SORT_WORDS = ("file order", "state", "name", "since", "share", "answers/s")

HELP = (
    ("q, Ctrl-C", "quit"),
    ("1 2 3 4", "overview, pools, directors, events"),
    ("j k arrows PgUp PgDn Home End", "move in the chosen list"),
    ("Tab", "choose the other list of the page"),
    ("Enter", "the pool of the row under the cursor"),
    ("left, right", "in a pool: the one before it, the next"),
    ("Esc", "clear the filter, else back from a pool"),
    ("s, S", "sort members by the next, the previous"),
    ("r", "turn the order of members around"),
    ("/", "filter: name, pool, address, state, reason; Enter keeps it"),
    ("d", "only what has a problem"),
    ("p, Space", "pause"),
    ("?", "this help; any key leaves it"),
)


@dataclass(frozen=True, slots=True)
class View:
    """What the person at the keys has chosen. `at` holds each list's row under the cursor, `top` its first row in
    sight. `under` and `beside` are told by the picture: the pool under the cursor, the pools before and after."""

    page: str = "overview"
    pane: str = "members"
    pool: str = ""
    back: str = "pools"
    at: Mapping[str, int] = field(default_factory=dict)
    top: Mapping[str, int] = field(default_factory=dict)
    under: str = ""
    beside: tuple[str, str] = ("", "")
    sort: int = 0
    backwards: bool = False
    filter: str = ""
    typing: bool = False
    problems: bool = False
    paused: bool = False
    help: bool = False

    def placed(self, name: str, rows: int, height: int) -> View:
        """The cursor of a list kept within its rows, and the list scrolled so that the cursor is in sight."""
        at = max(0, min(self.at.get(name, 0), rows - 1))
        top = max(min(self.top.get(name, 0), at), at - height + 1)
        top = max(0, min(top, rows - height))
        return replace(self, at={**self.at, name: at}, top={**self.top, name: top})


@dataclass(frozen=True, slots=True)
class Ref:
    """A member as the snapshot has it."""

    pool: str
    name: str
    facts: Json

    @property
    def path(self) -> str:
        return f"{self.pool}/{self.name}"

    @property
    def state(self) -> str:
        return str(self.facts.get("state", "unknown"))

    @property
    def problem(self) -> bool:
        return self.state != "up" or any(one.get("state") != "up" for one in self.facts.get("addresses", ()))


@dataclass(frozen=True, slots=True)
class Scene:
    """A snapshot, what came before it (`history`), and more events than it has itself, if they were asked for."""

    status: Json
    refs: tuple[Ref, ...]
    history: History
    events: Sequence[Json]
    _rows: dict[tuple[str, str], MemberRow] = field(default_factory=dict)

    @classmethod
    def of(cls, status: Json, history: History | None = None, events: Sequence[Json] = ()) -> Scene:
        refs = tuple(
            Ref(str(pool), str(name), member)
            for pool, facts in status.get("pools", {}).items()
            for name, member in facts.get("members", {}).items()
        )
        before = history if history is not None else History().after(status)
        return cls(status, refs, before, events or status.get("events", ()))

    @property
    def pools(self) -> Mapping[str, Json]:
        found: Mapping[str, Json] = self.status.get("pools", {})
        return found

    @property
    def now(self) -> float:
        return float(self.status.get("time") or 0.0)

    def member(self, ref: Ref) -> MemberRow:
        row = self._rows.get((ref.pool, ref.name))
        if row is None:
            alone = {"serving": [ref.name] if ref.facts.get("share") else [], "members": {ref.name: ref.facts}}
            row = self._rows[ref.pool, ref.name] = present.members({"pools": {ref.pool: alone}})[0]
        return row

    def service(self, name: str) -> ServiceRow:
        """Its `serving` ends after MANY + 1; `serving_count` knows how many there are."""
        one = self.status["services"][name]
        pool = self.pools.get(one.get("pool"), {})
        short = {**pool, "serving": pool.get("serving", ())[: MANY + 1]}
        return present.services({"pools": {one.get("pool"): short}, "services": {name: one}})[0]

    def serving_count(self, pool: str) -> int:
        return len(self.pools.get(pool, {}).get("serving", ()))


# ---------------------------------------------------------------- keys


def press(view: View, key: str, page: int) -> View:
    """The view after a key; `page` is how many rows PgUp and PgDn move. `q` is not ours."""
    if view.help:
        return replace(view, help=False)
    if view.typing:
        return _typed(view, key)
    moves = {"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -page, "pgdn": page, "home": -(10**9), "end": 10**9}
    if key in moves:
        return replace(view, at={**view.at, view.pane: max(0, min(view.at.get(view.pane, 0) + moves[key], 10**9))})
    turned = _turned(view, key)
    if turned is not None:
        return turned
    match key:
        case "s":
            return _from_the_top(replace(view, sort=(view.sort + 1) % len(SORT_WORDS)))
        case "S":
            return _from_the_top(replace(view, sort=(view.sort - 1) % len(SORT_WORDS)))
        case "r":
            return replace(view, backwards=not view.backwards)
        case "/":
            return replace(view, typing=True)
        case "d":
            return _from_the_top(replace(view, problems=not view.problems))
        case "p" | " ":
            return replace(view, paused=not view.paused)
        case "?" | "h":
            return replace(view, help=True)
    return view


def _turned(view: View, key: str) -> View | None:
    """Another page, another list of it; None for a key that turns nothing."""
    for number, name in PAGES:
        if key == number:
            return replace(view, page=name, pane=PANES[name][0])
    if key == "tab":
        panes = PANES[view.page]
        after = panes.index(view.pane) + 1 if view.pane in panes else 0
        return replace(view, pane=panes[after % len(panes)])
    if key == "enter" and view.under and view.page != "pool":
        return _entered(replace(view, back=view.page), view.under)
    if key in ("left", "right") and view.page == "pool":
        beside = view.beside[key == "right"]
        return _entered(view, beside) if beside else view
    if key == "esc" and view.filter:
        return replace(view, filter="")
    if key in ("esc", "backspace") and view.page == "pool":
        return replace(view, page=view.back, pane=PANES[view.back][0])
    return None


def _entered(view: View, pool: str) -> View:
    """A filter has led here; in the pool it would only hide."""
    start = {"pool": 0}
    return replace(
        view, page="pool", pane="pool", pool=pool, filter="", at={**view.at, **start}, top={**view.top, **start}
    )


def _from_the_top(view: View) -> View:
    """Other rows, or in another order: the cursors go to the first."""
    return replace(view, at={}, top={})


def _typed(view: View, key: str) -> View:
    if key == "enter":
        return replace(view, typing=False)
    if key == "esc":
        return replace(view, typing=False, filter="")
    if key == "backspace":
        return replace(view, filter=view.filter[:-1])
    if key == "clear":
        return replace(view, filter="")
    if len(key) == 1 and key.isprintable():
        return _from_the_top(replace(view, filter=view.filter + key))
    return view
