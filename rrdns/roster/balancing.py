"""The balances of all pools: which need looking after, what they are told, when they move. Floor 3, pure.

Owned by the roster, which brings readings and time, and decides anew the pools that are named to it. Must not know:
how a weight comes about (`balance.py`), what is counted (`meter.py`), who serves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rrdns.model import DataSet, DirectorTable, Event
from rrdns.roster.balance import LOADED
from rrdns.roster.directors import Directors
from rrdns.roster.duty import Duty
from rrdns.roster.meter import EVERY, Kept
from rrdns.zonefile.correcting import refusals

Duties = Mapping[str, Duty]


class Balancing:
    """`keen`: pools whose rings follow what is counted; `version` counts changes of what `kept` gives."""

    def __init__(self) -> None:
        self.keen: set[str] = set()
        self._climbers: set[str] = set()
        self._answers: dict[str, int] = {}
        self._heard: dict[str, float] = {}
        self._restored: Kept = {}
        self._refused: dict[str, str] = {}

    # ------------------------------------------------------------------ files and disk

    def restore(self, kept: Kept) -> None:
        self._restored = kept

    def fit(self, duties: Duties, dataset: DataSet, now: float) -> Iterator[Event]:
        """Other files, or other members; tells what of a correction the files keep out of force."""
        refused = refusals(dataset)
        for name, duty in duties.items():
            balance = duty.balance
            ttls = [one.ttl for one in duty.services] + [one.ttl for one in duty.hinted]
            balance.ttl = float(max(ttls, default=20))
            hinted = {each.scheduler for one in duty.hinted for each in one.hints if each and each.pool == name}
            balance.used = frozenset({one.scheduler for one in duty.services} | hinted)
            balance.meter.refused = refused.get(name, "")
            if name in self._restored and duty.pool.correct:
                balance.meter.restore(self._restored[name])
        self._restored = {}
        self.keen = {name for name, duty in duties.items() if duty.pool.correct or LOADED.keys() & duty.balance.used}
        self._climbers = {name for name, duty in duties.items() if duty.pool.slow_start}
        self._answers = {name: count for name, count in self._answers.items() if name in duties}
        self._heard = {name: when for name, when in self._heard.items() if name in duties}
        for name, why in refused.items():
            before = self._refused.get(name, "")
            if why != before:
                words = ("ok", "refused") if why else ("refused", "ok")
                yield Event(now, "balance", name, *words, why or "the files allow the correction again")
        self._refused = refused

    def kept(self, duties: Duties) -> dict[str, dict[str, dict[str, float]]]:
        """What a restart needs, as `restore` takes it."""
        return {name: found for name, duty in duties.items() if (found := duty.balance.meter.kept())}

    def version(self, duties: Duties) -> int:
        return sum(duties[name].balance.meter.version for name in self.keen)

    # ------------------------------------------------------------------ readings and time

    def answered(self, pool: str, count: int) -> None:
        """How many answers the pool's names have given in all."""
        self._answers[pool] = count

    def hear(
        self, director: str, said: DirectorTable | str, duties: Duties, directors: Directors, now: float
    ) -> set[str]:
        """A director was read, or could not be; the pools whose rings are others now."""
        moved = set()
        for name in directors.followers(director):
            if name not in duties:
                continue
            duty = duties[name]
            if name not in self.keen and now - self._heard.get(name, float("-inf")) < EVERY:
                continue  # only the fairness meter looks, and that rarely
            self._heard[name] = now
            duty.balance.deaf = directors.deaf(name, now) or ""
            if not isinstance(said, str):
                interval = directors.feeds[director].director.interval
                serving = duty.selection.serving
                duty.balance.meter.heard(
                    duty.voices,
                    self._answers.get(name, 0),
                    {one.name for one in serving},
                    _wanted(duty, now),
                    duty.balance.ttl,
                    interval,
                    now,
                )
            if name in self.keen and duty.reweigh(now):
                moved.add(name)
        return moved

    def advance(self, duties: Duties, directors: Directors, now: float) -> set[str]:
        """Steps of slow starts, and directors that were not heard for too long."""
        moved = {name for name in self._climbers if duties[name].reweigh(now)}
        for name in self.keen:
            balance = duties[name].balance
            if not balance.deaf and (why := directors.deaf(name, now)):
                balance.deaf = why
                if duties[name].reweigh(now):
                    moved.add(name)
        return moved

    def deadlines(self, duties: Duties, directors: Directors, now: float) -> Iterator[float]:
        for name in self._climbers:
            if (step := duties[name].balance.next_step(now)) is not None:
                yield step
        for name in self.keen:
            balance = duties[name].balance
            if balance.loads and not balance.deaf and (until := directors.fresh_until(name)) is not None:
                yield until

    def events(self, names: Iterable[str], duties: Duties, now: float) -> Iterator[Event]:
        """What there is to tell of these pools."""
        for name in names:
            if name in duties:
                duty = duties[name]
                yield from duty.balance.events(duty.selection.serving, duty.voices, now)


def _wanted(duty: Duty, now: float) -> dict[str, float]:
    """The shares that the correction aims at: of those answered in the ordinary way, and with all their weight."""
    if duty.selection.rung != "available":
        return {}
    alike = "rr" in duty.balance.used
    return {
        one.name: 1.0 if alike else float(one.weight)
        for one in duty.selection.serving
        if duty.balance.climbing(one.name, now) is None
    }


# -------------------------------------------------------------------- pictures


def of_pool(duty: Duty, now: float) -> dict[str, Any]:
    """What `status --json` says of a pool's balance."""
    balance, serving = duty.balance, duty.selection.serving
    found: dict[str, Any] = {"connected_by": balance.meter.counted or None}
    found["correction"] = balance.meter.snapshot(now, balance.ttl)
    why = balance.degraded(serving, duty.voices)
    loaded = sorted(LOADED.keys() & balance.used)
    found["schedulers"] = {one: {"now": balance.now(one), "why": why} for one in loaded}
    return found


def of_members(duty: Duty, now: float) -> dict[str, dict[str, Any]]:
    """And of each member: shares from 0 to 1 or None, the parts of its weight, new connections a second."""
    balance, serving = duty.balance, duty.selection.serving
    scheduler = duty.services[0].scheduler if duty.services else duty.pool.scheduler
    alike = scheduler in ("rr", "lc")
    base = {one.name: 1 if alike else one.weight for one in serving}
    shares = dict(zip(base, balance.weights(serving, scheduler), strict=True))
    connected, rates = balance.meter.connected(one.name for one in duty.hosts), balance.meter.rates()
    wanted_in_all, in_all = sum(base.values()), sum(shares.values())
    found = {}
    for host in duty.hosts:
        name = host.name
        found[name] = {
            "wanted": base.get(name, 0) / wanted_in_all if wanted_in_all else 0.0,
            "share": shares.get(name, 0) / in_all if in_all else 0.0,
            "connected": connected.get(name),
            "connecting": rates.get(name),
            "correction": balance.meter.factor(name) if duty.pool.correct else None,
            "suspect": name in balance.meter.correction.suspects,
            "slow_start": balance.climbing(name, now) if name in base else None,
            "part": balance.parts.get(name, 1.0),
        }
    return found
