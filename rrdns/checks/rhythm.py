"""How soon a target is asked again. Pure.

Must not know: clocks, how a probe is made, what a result means (`pace` is what the one who knows says).
"""

from __future__ import annotations

import random

from rrdns.checks.jobs import Job
from rrdns.model import Result

JITTER = 0.1
SHORTEST = 0.05  # seconds between probes of one target, whatever `on_result` says


def delay(job: Job, result: Result, pace: float, rng: random.Random) -> float:
    """Seconds from the begin of the probe that ended with `result` to the next one's.

    | this probe was                                            | next                              |
    |-----------------------------------------------------------|-----------------------------------|
    | overtaken by a kick                                       | at once                           |
    | void: nothing is known, so ask again soon                 | pace, at most `fast`; ±10 %       |
    | good, begun in a crowd (first round, or after a pause)    | anywhere in 10..100 % of pace     |
    | any other                                                 | pace ±10 %                        |

    Never later than 1.1 * pace (and a REST), which the failover budget counts on.
    """
    again, job.again = job.again, False
    bunched = job.bunched
    if again:
        return 0.0
    if result.void:
        return _jittered(min(pace, job.target.check.fast), rng)
    job.bunched = False
    if bunched and result.ok:
        return max(SHORTEST, pace * rng.uniform(0.1, 1.0))
    return _jittered(pace, rng)


def _jittered(pace: float, rng: random.Random) -> float:
    return max(SHORTEST, pace * rng.uniform(1 - JITTER, 1 + JITTER))
