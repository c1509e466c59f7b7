"""What there is to tell: transitions as events, and the reasons behind states and TTLs in words. Floor 3, pure.

Must not know: how anything is decided; it reads what was decided and says it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rrdns import wire
from rrdns.failover import Selection
from rrdns.model import ABSENT, DataSet, Event, Override, Service, State
from rrdns.roster.duty import Duty
from rrdns.roster.verdicts import Verdicts

SERVED = "served"

# -------------------------------------------------------------------- transitions


def decided(duty: Duty, selection: Selection, verdicts: Verdicts, now: float) -> Iterator[Event]:
    """The transitions of a pool's members since it was last decided, then its own."""
    pool = duty.pool.name
    for index in sorted(duty.touched):
        member, before, after = duty.pool.members[index].name, duty.words[index], duty.hosts[index].word
        if before != after:
            forced = member in duty.overrides and duty.overrides[member].word == "force-up"
            by_word = after in ("drained", "disabled") or forced
            why = of_override(duty, member) if by_word else ""
            why = why or of_member(duty, index, verdicts)
            yield Event(now, "member", f"{pool}/{member}", before, after, why)
            duty.words[index] = after
    duty.touched.clear()
    if selection.state != duty.selection.state:
        yield Event(now, "pool", pool, duty.selection.state, selection.state, selection.why)


def reloaded(old: DataSet, new: DataSet, duties: Mapping[str, Duty], now: float) -> Iterator[Event]:
    """What a reload takes away, and which zones it adds; new pools and members `decided` will tell."""
    for apex in sorted(old.zones.keys() ^ new.zones.keys()):
        before, after = (SERVED, ABSENT) if apex in old.zones else (ABSENT, SERVED)
        yield Event(now, "zone", wire.name_to_text(apex), before, after, "reload")
    for name, duty in duties.items():
        members = {one.name for one in new.pools[name].members} if name in new.pools else set()
        kept = name in new.pools and new.pools[name].following and duty.made
        for standing in duty.words_in_force() if not kept else ():
            if standing.member not in members:
                yield lost(standing, now)
        if name not in new.pools:
            yield Event(now, "pool", name, duty.selection.state, ABSENT, "reload")
            continue
        for one, word in zip(duty.pool.members, duty.words, strict=True):
            if one.name not in members:
                yield Event(now, "member", f"{name}/{one.name}", word, ABSENT, "reload")


def moved(duties: Mapping[str, Duty], new: DataSet, now: float) -> Iterator[Event]:
    """Members that their director lists no more; those that are new there `decided` will tell."""
    for name, duty in duties.items():
        if duty.made:
            members = {one.name for one in new.pools[name].members}
            for one, word in zip(duty.pool.members, duty.words, strict=True):
                if one.name not in members:
                    yield Event(now, "member", f"{name}/{one.name}", word, ABSENT, "its director lists it no more")


def overridden(pool: str, member: str, before: str, after: str, why: str, now: float) -> Event:
    """`member` "": the pool as a whole; `pool` "": all of them."""
    return Event(now, "override", f"{pool}/{member}" if member else pool or "all pools", before, after, why)


def lost(override: Override, now: float) -> Event:
    why = "its member is in no file any more"
    return overridden(override.pool, override.member, override.word, "none", why, now)


def by(owner: str, reason: str) -> str:
    """`by root: kernel update`."""
    return f"by {owner or 'somebody'}" + (f": {reason}" if reason else "")


# -------------------------------------------------------------------- reasons


def of_member(duty: Duty, index: int, verdicts: Verdicts) -> str:
    """Why the member is judged as it is: its director's words where they decide, else the reason of the check that
    does, with its address where the member has several."""
    member, host = duty.pool.members[index], duty.hosts[index]
    if not member.addresses and host.state is State.UNKNOWN:
        return duty.lacks.get(member.name) or "it has no address"
    if _told(duty, index, verdicts):
        return duty.voices[member.name].why
    if host.told == "drain" and host.state is State.UP:
        return _agent_s_word(duty, index)
    down = any(one.state is State.DOWN for one in host.addresses)
    wanted = State.DOWN if down else host.state
    text = ""
    for address, keys in zip(member.addresses, duty.targets[index], strict=True):
        for key in keys:
            fits = verdicts.judged[key] is wanted
            if fits or not text:
                reason = verdicts.health[key].reason
                text = f"{address} {reason}" if len(member.addresses) > 1 else reason
            if fits:
                return text
    return text or "no check"


def _agent_s_word(duty: Duty, index: int) -> str:
    said = [duty.agents.get(key, ("", 100)) for keys in duty.targets[index] for key in keys]
    return next((f"its agent says {word or '0%'}" for word, percent in said if word or not percent), "drained")


def _told(duty: Duty, index: int, verdicts: Verdicts) -> bool:
    """Whether the director's word decides: there is no check, it drains, or it alone says down."""
    voice = duty.voices.get(duty.pool.members[index].name)
    if voice is None:
        return False
    judged = {verdicts.judged[key] for keys in duty.targets[index] for key in keys}
    return not judged or (voice.word in ("down", "drain") and State.DOWN not in judged)


def of_override(duty: Duty, member: str) -> str:
    """`drain by root: kernel update`; empty without one."""
    one = duty.overrides.get(member)
    return f"{one.word} {by(one.owner, one.reason)}" if one is not None else ""


def of_pending(duty: Duty, verdicts: Verdicts) -> str:
    """Whose counters shorten the TTL; empty for nobody's."""
    found = duty.pending()
    if not found:
        return ""
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return _counters(duty, found[0], verdicts) + more


def _counters(duty: Duty, index: int, verdicts: Verdicts) -> str:
    name = duty.pool.members[index].name
    for keys in duty.targets[index]:
        for key in keys:
            known, check = verdicts.health[key], verdicts.targets[key].check
            if not verdicts.pending[key]:
                continue
            if known.state is State.UNKNOWN:
                return f"{name} is being judged"
            if known.state is State.DOWN:
                return f"{name} is about to return ({known.successes} of {known.need} successes)"
            return f"{name} may go down ({known.failures} of {check.fall} failures: {known.reason})"
    return f"{name} may change"


def of_ending(duty: Duty, service: Service, now: float) -> str:
    """Whose override ends within the service's TTL and changes who serves; empty for nobody's."""
    for override in duty.ends_soon(now, service.ttl):
        of = f" of {override.member}" if override.member else ""
        return f"{override.word}{of} ends within {service.ttl} s"
    return ""
