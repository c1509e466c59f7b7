"""One probe of one target, whatever its check asks and wherever that is aimed."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.util import find_spec

from rrdns.checks import agent, certificate, command, dns, http, icmp, smtp, tcp
from rrdns.checks.conversation import Conversation
from rrdns.checks.dialer import Dialer
from rrdns.checks.words import plain
from rrdns.model import (
    AgentProbe,
    Check,
    CommandProbe,
    DnsProbe,
    GrpcProbe,
    HttpProbe,
    IcmpProbe,
    Result,
    SmtpProbe,
    Target,
    TcpProbe,
    TlsProbe,
)

_NO_H2 = "grpc checks need the package h2: pip install 'rrdns[grpc]'"


def plain_talk(target: Target) -> Conversation | None:
    """What to say on a connection without TLS, where that is all a check does: it needs no task. Most are such."""
    if target.check.at:
        return None
    match target.check.probe:
        case HttpProbe(tls=False) as asked:
            talk = http.conversation(target, asked)
            return None if isinstance(talk, Result) else talk
        case TcpProbe() as asked:
            return tcp.TcpConversation(asked)
    return None


async def probe(target: Target, dialer: Dialer | None = None) -> Result:
    """Asks `target` once; done within its check's timeout (a program that cannot be killed: half a second more)."""
    if dialer is None:
        with Dialer() as own:
            return await probe(target, own)
    if target.check.at:
        try:
            target = replace(target, address=target.check.asked(target.address))
        except ValueError as error:
            return Result(False, f"not asked: at: gives no address for {target.address}: {plain(str(error))}")
    match target.check.probe:
        case HttpProbe() as asked:
            return await http.probe(target, asked, dialer)
        case TcpProbe() as asked:
            return await dialer.ask(tcp.TcpConversation(asked), target)
        case CommandProbe() as asked:
            return await command.probe(target, asked)
        case TlsProbe() as asked:
            return await certificate.probe(target, asked)
        case DnsProbe() as asked:
            return await dns.probe(target, asked)
        case IcmpProbe() as asked:
            return await icmp.probe(target, asked)
        case SmtpProbe() as asked:
            return await smtp.probe(target, asked, dialer)
        case AgentProbe() as asked:
            return await agent.probe(target, asked, dialer)
        case GrpcProbe() as asked:
            if not _has_h2():
                return Result(False, f"not asked: {_NO_H2}", void=True)
            from rrdns.checks import grpc

            return await grpc.probe(target, asked, dialer)


@cache
def _has_h2() -> bool:
    return find_spec("h2") is not None


def missing(check: Check) -> str:
    """What this process lacks to ask such a check at all, in words; "" if nothing."""
    match check.probe:
        case IcmpProbe():
            return icmp.missing()
        case GrpcProbe() if not _has_h2():
            return _NO_H2
    return ""
