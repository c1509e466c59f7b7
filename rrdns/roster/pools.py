"""The pools of a data set, put to work: which go on, which begin anew, and what each is to know. Floor 3, pure.

The roster calls it at a load, and when directors changed who is a member. Must not know: how anything is decided,
operators, answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rrdns.model import DataSet, Hinted, Service
from rrdns.roster import hinted
from rrdns.roster.directors import Directors
from rrdns.roster.duty import Duty
from rrdns.roster.names import Names
from rrdns.roster.verdicts import Keys, Verdicts

Duties = Mapping[str, Duty]


def employ(dataset: DataSet, keys: Mapping[str, Keys], old: Duties, directors: Directors) -> dict[str, Duty]:
    """A duty for each pool: the one it had if nothing of it changed, else another that follows it. `keys`: those of
    each pool's targets."""
    found: dict[str, Duty] = {}
    for name in sorted(dataset.pools):
        pool, before = dataset.pools[name], old.get(name)
        if before is not None and before.pool == pool and before.targets == keys[name]:
            found[name] = before
            continue
        duty = found[name] = Duty(pool, keys[name])
        duty.made = directors.makes(name)
        if before is not None:
            duty.follow(before)
    return found


def new(duties: Duties, before: Duties) -> set[str]:
    """The pools that are not as they were. Of those with `correct:` others may keep it out of force."""
    return {name for name, duty in duties.items() if duty is not before.get(name) or duty.pool.correct}


def brief(
    duties: Duties,
    services: Iterable[Service],
    records: Iterable[Hinted],
    directors: Directors,
    names: Names,
    verdicts: Verdicts,
) -> None:
    """Tells each pool whom it serves, and what is believed of its hosts."""
    serving: dict[str, list[Service]] = {}
    for service in services:
        serving.setdefault(service.pool, []).append(service)
    hints = hinted.by_pool(records)
    for name, duty in duties.items():
        duty.services, duty.hinted = tuple(serving.get(name, ())), hints.get(name, ())
        duty.voices, duty.agents = directors.voices(name), verdicts.agents
        duty.lacks = names.lacks(name)
        duty.believe(verdicts.judged)
        if not duty.hosts:
            duty.judge_all(verdicts.judged, verdicts.pending)


def heard(duties: Duties, directors: Directors) -> Iterator[tuple[Duty, int]]:
    """The members on whom directors have another word, to be judged anew; their pools are told the words."""
    for name, members in directors.changed.items():
        duty = duties[name]
        duty.voices = directors.voices(name)
        for index, member in enumerate(duty.pool.members if members else ()):
            if member.name in members:
                yield duty, index
    directors.changed.clear()
