"""Answers a second over the last minute, and how they look as a row of little bars. Pure.

    ▁▁▂▃▅▇█▇   the newest at the right; the scale ends at the highest that is shown; a second nobody knows is blank

Must not know: where snapshots come from, terminals, clocks (a snapshot says its own time).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]
Series = tuple[float | None, ...]

KEPT = 60  # samples
STEP = 1.0  # seconds between them: the server works its rates out once a second
_SOON = 0.9 * STEP  # a snapshot that comes a little early still counts
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class History:
    """One sample a second of all answers, of each service's and of each pool's, the newest last."""

    at: float | None = None
    total: Series = ()
    services: Mapping[str, Series] = field(default_factory=dict)
    pools: Mapping[str, Series] = field(default_factory=dict)

    def after(self, status: Json) -> History:
        """With this snapshot; seconds without one are None. What the server no longer has is forgotten."""
        now = float(status.get("time") or 0.0)
        past = now - self.at if self.at is not None else STEP
        if 0 <= past < _SOON:
            return self
        gap: Series = (None,) * min(KEPT, round(past / STEP) - 1) if past > 0 else ()  # a clock set back: no gap
        services = {name: one.get("rate") or 0.0 for name, one in status.get("services", {}).items()}
        pools: dict[str, float] = dict.fromkeys(status.get("pools", {}), 0.0)
        for name, one in status.get("services", {}).items():
            if one.get("pool") in pools:
                pools[one["pool"]] += services[name]
        return History(
            now,
            _longer(self.total, gap, status.get("qps") or 0.0),
            {name: _longer(self.services.get(name, ()), gap, rate) for name, rate in services.items()},
            {name: _longer(self.pools.get(name, ()), gap, rate) for name, rate in pools.items()},
        )


def _longer(series: Series, gap: Series, value: float) -> Series:
    return (*series, *(gap if series else ()), value)[-KEPT:]


def draw(series: Sequence[float | None], width: int) -> str:
    """Exactly `width` cells: the last samples, right-aligned. Any answers at all are more than the lowest bar."""
    shown = series[-width:] if width > 0 else ()
    most = max((value for value in shown if value is not None), default=0.0)
    return "".join(_bar(value, most) for value in shown).rjust(max(0, width))


def _bar(value: float | None, most: float) -> str:
    if value is None:
        return " "
    if value <= 0 or most <= 0:
        return _BARS[0]
    return _BARS[max(1, min(len(_BARS) - 1, round(value / most * (len(_BARS) - 1))))]


def most(series: Sequence[float | None]) -> float:
    return max((value for value in series if value is not None), default=0.0)
