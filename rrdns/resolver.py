"""Names asked of resolvers. Floor 4; the one module that imports aiodns, and only when something is asked.

c-ares has traps. Its cache of answers can't be turned off, so an object of it never gets the same question twice:
questions of one moment share one (each has a thread of its own), which goes when it has nothing under way. It may wait
longer than it was told to, so `asyncio.timeout` bounds it; it has no bound on questions under way, so there is a
semaphore. Must not know: why a name is asked, what follows from the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiodns

PATIENCE = 5.0  # seconds for one question, all tries and servers together
TRY = 2.0  # seconds after which the next server, or the same once more
TRIES = 2
TOGETHER = 100
YOUNG = 1.0  # seconds in which an object takes further questions

_FIELDS = {"NS": "nsdname", "A": "addr", "AAAA": "addr"}
_NO_DATA = 1  # ARES_ENODATA
_WORDS = {
    2: "FORMERR",
    3: "SERVFAIL",
    4: "NXDOMAIN: there is no such name",
    5: "NOTIMP",
    6: "REFUSED",
    10: "the resolver's answer can't be read",
    11: "no resolver can be reached",
    12: "no answer in time",
    24: "no answer in time",
}


class NoAnswer(Exception):
    """Nothing was learned, or that there is no such name; the message is for people."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The records of the type that was asked for, as text, and the lowest TTL of all that led there (None: there are
    none)."""

    values: tuple[str, ...]
    ttl: int | None


@dataclass(slots=True, eq=False)
class _Channel:
    resolver: aiodns.DNSResolver
    born: float
    asked: set[tuple[str, str]] = field(default_factory=set)
    under_way: int = 0


class Resolver:
    """`servers`: ADDR, ADDR:PORT or [ADDR]:PORT, asked in this order; none: the machine's own, read anew each time."""

    def __init__(self, servers: Sequence[str] = (), together: int = TOGETHER, patience: float = PATIENCE) -> None:
        self._servers = list(servers) or None
        self._turn = asyncio.Semaphore(together)
        self._patience = patience
        self._channel: _Channel | None = None

    async def ask(self, name: str, rtype: str) -> Answer:
        """Raises NoAnswer. A name without records of that type has an empty answer."""
        import aiodns

        async with self._turn:
            channel = self._fresh(name, rtype)
            channel.under_way += 1
            try:
                async with asyncio.timeout(self._patience):
                    result = await channel.resolver.query_dns(name, rtype)
            except TimeoutError:
                raise NoAnswer(_WORDS[12]) from None
            except aiodns.error.DNSError as error:
                code = error.args[0] if error.args else 0
                if code == _NO_DATA:
                    return Answer((), None)
                raise NoAnswer(_WORDS.get(code, str(error.args[-1] if error.args else error))) from None
            finally:
                channel.under_way -= 1
                if not channel.under_way:
                    self._channel = None if self._channel is channel else self._channel
                    await channel.resolver.close()
        return _answer(result.answer, rtype)

    def _fresh(self, name: str, rtype: str) -> _Channel:
        """One that is young and was not asked this."""
        import aiodns

        now, asked = asyncio.get_running_loop().time(), (name.lower(), rtype)
        channel = self._channel
        if channel is None or asked in channel.asked or now - channel.born > YOUNG:
            made = aiodns.DNSResolver(nameservers=self._servers, timeout=TRY, tries=TRIES)
            channel = self._channel = _Channel(made, now)
        channel.asked.add(asked)
        return channel


def _answer(records: Sequence[Any], rtype: str) -> Answer:
    field_of = _FIELDS[rtype]
    values = tuple([str(getattr(one.data, field_of)) for one in records if hasattr(one.data, field_of)])
    return Answer(values, min((int(one.ttl) for one in records), default=None) if values else None)
