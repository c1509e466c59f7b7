"""`rrdns explain NAME [TYPE]`: the chain that leads to an answer, as a page to read.

Must not know: how it is decided.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator

from rrdns import wire
from rrdns.texts import clean, duration, percent, plural
from rrdns.ui import fairness, name_rows, present, schemes
from rrdns.ui.client import Client
from rrdns.ui.config import ConfigError
from rrdns.ui.console import TITLE, WEAK, Cell, Column, Line, out, state_style, styled, table, write
from rrdns.ui.present import Json

SECTIONS = ("answer", "authority", "additional")
RING = (
    Column("  MEMBER", least=10),
    Column("DUE", right=True),
    Column("IN THE RING", right=True),
    Column("FIRST IN", right=True),
)


def run(args: argparse.Namespace) -> int:
    name, rtype = question(args.name, args.type)
    if args.at:
        from rrdns.ui import past

        return past.explain(args, name, rtype)
    told = Client(args.control).get("/explain", name=name, type=rtype)
    if args.json:
        print(json.dumps(told, indent=2))
        return 0
    console = out()
    write(console, page(told, console.width))
    return 0


def question(name: str, rtype: str) -> tuple[str, str]:
    """Name and type as the server wants them; ConfigError (a usage error) if they are none."""
    try:
        wire.name_from_text(name if name.endswith(".") else name + ".")
    except wire.BadName as error:
        raise ConfigError(f"{name} is no domain name: it {error}") from error
    try:
        return (name if name.endswith(".") else name + "."), wire.type_name(wire.type_number(rtype))
    except ValueError as error:
        raise ConfigError(f"{error}; A, AAAA, MX ... or TYPE65") from error


def page(told: Json, width: int) -> Iterator[Line]:
    """Everything as lines; an alias goes on with the name it leads to."""
    yield styled(
        (f"{clean(told.get('name', '?'))} {clean(told.get('type', ''))}", TITLE), f"  {clean(told.get('why', ''))}"
    )
    zone, at = told.get("zone"), told.get("at")
    if zone:
        told_at = f", answered at {clean(at)}" if at and at != told.get("name") else ""
        yield styled(("zone  ", WEAK), clean(zone), told_at)
    yield from _reply(told)
    if told.get("service") or told.get("ttl"):
        yield from _ttl(told.get("service") or told["ttl"])
    if told.get("pool"):
        yield styled("")
        yield from _pool(told["pool"])
    if told.get("ring"):
        yield styled("")
        yield from _ring(told["ring"], told.get("service", {}), width)
    if told.get("then"):
        yield styled("")
        yield styled(("which leads to", WEAK))
        yield from page(told["then"], width)


def _reply(told: Json) -> Iterator[Line]:
    reply = told.get("reply")
    if not reply:
        return
    turns = f", one of {told['slots']} turns" if told.get("slots", 1) > 1 else ""
    aa = "authoritative" if reply.get("aa") else "not authoritative"
    yield styled(("answer now  ", WEAK), (clean(reply.get("rcode", "?")), TITLE), f" ({aa}{turns})")
    for section in SECTIONS:
        for record in reply.get(section, ()):
            label = "" if section == "answer" else f"   ({section})"
            yield styled(f"    {clean(record)}", (label, WEAK))


def _ttl(service: Json) -> Iterator[Line]:
    ttl, usual = service.get("ttl"), service.get("ttl_max")
    if ttl == usual:
        yield styled(("TTL  ", WEAK), f"{ttl}: nothing is about to change")
    else:
        yield styled(("TTL  ", WEAK), (f"{ttl}", "yellow"), f" instead of {usual}: {clean(service.get('ttl_why', ''))}")


# ---------------------------------------------------------------- the pool and its members


def _pool(pool: Json) -> Iterator[Line]:
    state = clean(pool.get("state", "?"))
    yield styled(
        (f"pool {clean(pool.get('name', '?'))} ", TITLE),
        (state, state_style(state)),
        f": {clean(pool.get('why', ''))}",
        (f"   (quorum {pool.get('quorum')}, when_down {clean(pool.get('when_down', ''))})", WEAK),
    )
    if pool.get("held"):
        yield styled(("held ", "yellow"), f"as it is, whatever its members do: {present.override_phrase(pool['held'])}")
    if scheme := schemes.phrase(pool):
        yield styled(("failover ", TITLE), scheme)
    yield from _balance(pool)
    for name, member in pool.get("members", {}).items():
        yield from _member(clean(name), member)
    for name, one in (pool.get("borrowed") or {}).items():
        part = f"lent, {percent(one.get('share') or 0.0)} of the pool"
        yield styled(f"  {clean(name)}  ", ("serves", "green"), f": {part}: {', '.join(map(clean, one['addresses']))}")


def _balance(pool: Json) -> Iterator[Line]:
    """Weights that follow load, or should."""
    for asked, one in (pool.get("schedulers") or {}).items():
        if one.get("why"):
            yield styled(
                (f"{clean(asked)} ", TITLE), (f"works as {clean(one['now'])}", "yellow"), f": {clean(one['why'])}"
            )
    correction = pool.get("correction")
    if correction:
        state, why = clean(correction.get("state", "")), clean(correction.get("why", ""))
        due = f"; next comparison in {duration(correction['next'])}" if correction.get("next") is not None else ""
        yield styled(
            ("correction ", TITLE), (state, "green" if state == "on" else "yellow"), f": {why}" if why else "", due
        )


def _member(name: str, member: Json) -> Iterator[Line]:
    """Whether it serves and why, the operator's word, then each address with each check."""
    state = clean(member.get("state", "?"))
    serves = bool(member.get("serves"))
    word: Cell = ("serves", "green") if serves else ("does not serve", "yellow")
    why = clean(member.get("serves_why") or "")
    share = f", {percent(member.get('share') or 0.0)} of the pool" if serves else ""
    yield styled(
        f"  {name}  ", (state, state_style(state)), "  ", word, f": {why}" if why else "",
        (f"   (weight {member.get('weight'):g}{share})" if member.get("weight") is not None else "", WEAK),
    )  # fmt: skip
    for override in [one for one in (member.get("override"), member.get("weighed")) if one]:
        since = f", for {duration(override['since'])} now" if override.get("since") is not None else ""
        yield styled(("      operator  ", WEAK), (present.override_phrase(override), "cyan"), since)
    shares = [(word, member.get(word)) for word in fairness.KINDS]
    told = ", ".join(f"{word} {percent(one)}" for word, one in shares if one is not None)
    moved = fairness.moved_phrase(member)
    if told and any(one is not None for _, one in shares[1:]):
        yield styled(("      share     ", WEAK), told, ("   (of first places, and of connections)", WEAK))
    if moved:
        yield styled(("      weight    ", WEAK), (moved, "yellow"))
    if member.get("director"):
        yield styled(("      director  ", WEAK), present.voice_phrase(member["director"]))
    for one in (name_rows.row(host, facts) for host, facts in (member.get("names") or {}).items()):
        yield styled(("      name      ", WEAK), (one.state, state_style(one.state)), f" {one.phrase}")
    if member.get("lacks") and member.get("addresses"):
        yield styled(("      lacks     ", WEAK), (clean(member["lacks"]), "yellow"))
    for address in member.get("addresses", ()):
        yield from _address(address)


def _address(address: Json) -> Iterator[Line]:
    state = clean(address.get("state", "?"))
    since = f" for {duration(address['since'])}" if address.get("since") is not None else ""
    checks = address.get("checks", ())
    reason = f": {clean(address.get('reason', ''))}" if not checks else ""
    yield styled(f"      {clean(address.get('address', ''))}  ", (state, state_style(state)), f"{since}{reason}")
    for check in checks:
        yield styled(("        check ", WEAK), present.check_phrase(check))


def _ring(ring: Json, service: Json, width: int) -> Iterator[Line]:
    """What stands in the ring, and how near that comes to what the weights say."""
    pages = f" on {ring['pages']} pages" if ring.get("pages", 1) > 1 else ""
    answers = service.get("answers")
    each = "all members" if not answers else f"at most {plural(answers, 'address')}"
    scheduler = clean(service.get("scheduler", ""))
    if service.get("scheduler_now", scheduler) != scheduler:
        scheduler = f"{clean(service['scheduler_now'])} (instead of {scheduler})"
    slots = plural(ring.get("slots", 0), "slot")
    yield styled(("ring ", TITLE), f"{slots}{pages}, {each} in an answer, order by {scheduler}")
    there = sum(one.get("addresses", 1) for one in ring.get("members", {}).values())
    if ring.get("fit", there) < min(answers or there, there):
        yield styled(("  by UDP ", WEAK), f"{ring['fit']} at a time without a cookie (udp_ratio, udp_limit)")
    first = ring.get("first", ())
    if first:
        shown = " | ".join(
            " ".join(clean(name) for name in slot[:8]) + (" ..." if len(slot) > 8 else "") for slot in first
        )
        more = " | ..." if ring.get("slots", 0) > len(first) else ""
        yield styled(("  turns  ", WEAK), shown + more)
    rows = [
        [
            (f"  {clean(name)}", ""),
            (percent(one.get("due", 0.0)), ""),
            (percent(one.get("inside", 0.0)), ""),
            (percent(one.get("first", 0.0)), ""),
        ]
        for name, one in ring.get("members", {}).items()
    ]
    if rows:
        yield from table(RING, rows, width)
