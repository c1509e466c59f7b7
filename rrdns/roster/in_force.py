"""What is in force, to be read: the table, the pools at work, and what is believed and remembered. Floor 3, pure.

The half of the roster that only answers questions; `roster.py` is the half that changes it. Must not know: when
anything happens, what there is to tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from rrdns.answers import AnswerSet, Key, Node, ZoneAnswers
from rrdns.model import DataSet, Health, Hinted, Override, Service, Standing, Target
from rrdns.promotions import Promotion
from rrdns.roster import services
from rrdns.roster.balancing import Balancing
from rrdns.roster.company import Company
from rrdns.roster.directors import Directors
from rrdns.roster.duty import Duty
from rrdns.roster.names import Names
from rrdns.roster.overriding import Holds
from rrdns.roster.pages import Pages
from rrdns.roster.statics import Statics, Table
from rrdns.roster.verdicts import Verdicts


class InForce:
    """The roster, as far as it is read. `isolation_hold`, `witness`: of the self-isolation guard."""

    def __init__(self, isolation_hold: float, witness: Iterable[str]) -> None:
        self.dataset = DataSet()
        self.statics = Statics()
        self.verdicts = Verdicts(isolation_hold, witness)
        self.directors = Directors()
        self.names = Names()
        self.company = Company()
        self.holds = Holds()
        self.balancing = Balancing()
        self.pages = Pages()
        self.moves = 0
        """How often directors changed who is a member, or names their addresses, and with that the targets."""
        self.duties: dict[str, Duty] = {}
        self.services: dict[bytes, Service] = {}
        self.hinted: dict[Key, Hinted] = {}
        self.ttls: dict[bytes, tuple[int, str]] = {}
        """Of each service the TTL in force, and why it is not its full one."""
        self._table = Table()
        self._held = False
        """Whether we may be cut off, as the last decision took it."""

    @property
    def answers(self) -> Mapping[Key, AnswerSet]:
        return MappingProxyType(self._table.answers)

    @property
    def nodes(self) -> Mapping[bytes, Node]:
        return MappingProxyType(self._table.nodes)

    @property
    def zones(self) -> Mapping[bytes, ZoneAnswers]:
        return MappingProxyType(self._table.zones)

    @property
    def overrides(self) -> tuple[Override, ...]:
        """All operators' words in force, holds first."""
        holds = [self.holds.words[pool] for pool in sorted(self.holds.words)]
        return (*holds, *(word for _, duty in sorted(self.duties.items()) for word in duty.words_in_force()))

    @property
    def standings(self) -> Mapping[str, Standing]:
        """What failover schemes remember, for a restart."""
        return self.company.kept(self.duties)

    @property
    def promotions(self) -> tuple[Promotion, ...]:
        """Those whose command is to run now, for whoever runs it; `Roster.promoted` is told what it came to."""
        return self.company.promotions.under_way()

    def targets(self) -> Mapping[str, Target]:
        """All targets to be probed, the guard's witnesses among them."""
        return MappingProxyType(self.verdicts.all_targets())

    def health(self, key: str) -> Health:
        """What to keep of a target over a restart."""
        return self.verdicts.believed(key)

    def pace(self, key: str) -> float:
        """Seconds to the target's next probe, without jitter."""
        return self.verdicts.pace(key)

    def ring_members(self, key: Key) -> tuple[tuple[str, ...], ...]:
        """For each slot of a POOL's ring the members in the order they are answered; () for anything else."""
        service = self.services.get(key[:-2])
        return services.members(self._table, self.duties[service.pool], service, key) if service else ()

    def why_short(self, service: Service, now: float) -> str:
        """Why a service would answer with `ttl_min` now, in the words of this moment; empty when it would not."""
        duty = self.duties[service.pool]
        return self._why_pending(duty) or services.why_timed(duty, service, now)

    def _why_pending(self, duty: Duty) -> str:
        return services.why_pending(self.company, self.duties, duty, self.verdicts, self._held)
