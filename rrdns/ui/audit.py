"""`rrdns audit`: what decays silently, from the server's own knowledge and from outside. Exit code 1 if something is.

Must not know: what counts as decay (`rrdns.audit`).
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
from collections.abc import Iterator

from rrdns.audit import findings
from rrdns.audit.findings import Finding
from rrdns.texts import clean, plural
from rrdns.ui.client import Client
from rrdns.ui.config import ConfigError
from rrdns.ui.console import TITLE, WEAK, Line, out, styled, write
from rrdns.ui.present import Json

FINE, FOUND = 0, 1
ZONES = 500  # looked at from outside
ASK_TIMEOUT = 120.0  # the server asks many members
EVENTS = 10_000


def run(args: argparse.Namespace) -> int:
    resolver = read_resolver(args.resolver) if args.resolver else ""
    client = Client(args.control)
    status = client.get("/status")
    facts = client.post("/audit", {"asking": not args.no_asking}, ASK_TIMEOUT)
    events = client.get("/events", since=max(args.idle, findings.LATELY) + 3600.0, limit=EVENTS).get("events", [])
    found = findings.look(status, events, facts, args.idle)
    unknown = findings.unknown(status, events, facts, args.idle)
    if args.no_outside:
        unknown.append("the delegation was not looked at")
    else:
        found = sorted([*found, *_outside(facts, resolver)])
        if (beyond := len(facts.get("zones", {})) - ZONES) > 0:
            unknown.append(f"of {plural(beyond, 'zone')} more the delegation was not looked at")
    if args.tell:
        told = [{"name": f"{one.kind} {one.about}", "text": one.text} for one in found]
        client.post("/audit/found", {"found": told})
    if args.json:
        shown = [{"kind": one.kind, "about": one.about, "text": one.text} for one in found]
        print(json.dumps({"findings": shown, "unknown": unknown}, indent=2))
    else:
        write(out(), page(found, unknown))
    return FOUND if found else FINE


def _outside(facts: Json, resolver: str) -> list[Finding]:
    from rrdns.audit import delegation, outside

    zones = dict(list(facts.get("zones", {}).items())[:ZONES])
    seen = asyncio.run(outside.look(zones, resolver))
    return [finding for zone, ours in zones.items() for finding in delegation.judge(zone, ours, seen[zone])]


def read_resolver(text: str) -> str:
    """`ADDR`, `ADDR:PORT` or `[ADDR6]:PORT`, as c-ares takes it; a usage error for anything else."""
    address, port = text, ""
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    try:
        host = ipaddress.ip_address(address)
        number = int(port) if port else 53
    except ValueError:
        raise ConfigError(f"--resolver: {text!r} is neither ADDR nor ADDR:PORT") from None
    if not 0 < number < 65536:
        raise ConfigError(f"--resolver: {port} is no port")
    return f"[{host}]:{number}" if host.version == 6 else f"{host}:{number}"


def page(found: list[Finding], unknown: list[str]) -> Iterator[Line]:
    for one in found:
        yield styled((f"{clean(one.kind)} ", "yellow"), (f"{clean(one.about)}: ", TITLE), clean(one.text))
    for text in unknown:
        yield styled((f"not known: {clean(text)}", WEAK))
    yield styled(
        (plural(len(found), "finding") if found else "nothing found", "bold yellow" if found else "bold green")
    )
