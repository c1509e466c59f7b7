"""One probe of one target, whatever its check asks."""

from __future__ import annotations

from rrdns.checks import command, http, tcp
from rrdns.model import CommandProbe, HttpProbe, Result, Target, TcpProbe


async def probe(target: Target) -> Result:
    """Asks `target` once; done within its check's timeout (a program that cannot be killed: half a second more)."""
    match target.check.probe:
        case HttpProbe() as asked:
            return await http.probe(target, asked)
        case TcpProbe() as asked:
            return await tcp.probe(target, asked)
        case CommandProbe() as asked:
            return await command.probe(target, asked)
