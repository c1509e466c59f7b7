"""One step: pools are decided, what is decided is put in force, and what there is to tell of it. Floor 3, pure.

Must not know: when a step is due, how it is decided (`failover`), answers.
"""

from __future__ import annotations

from collections.abc import Sequence

from rrdns.model import Event
from rrdns.roster import succession, telling
from rrdns.roster.company import Company, Duties
from rrdns.roster.verdicts import Verdicts


def step(
    company: Company, duties: Duties, names: Sequence[str], verdicts: Verdicts, now: float, held: bool, tells: bool
) -> list[Event]:
    """Decides pools that were put `together`. `held`: we may be cut off; `tells`: answers say where they are not as
    good as they look."""
    selections = company.step(duties, names, now, held)
    steps, events = [], list[Event]()
    for name in names:
        duty = duties[name]
        if duty.stays():
            events += telling.decided(duty, duty.selection, verdicts, now)
            duty.decided_at = now
        else:
            events += telling.decided(duty, selections[name], verdicts, now)
            steps.append((duty, duty.selection))
            duty.select(selections[name], now, tells)
        duty.spoken = False
    return [*events, *succession.told(company, steps, events, now), *company.promotions.take_events()]
