"""The written list: where rrdns answers otherwise than Knot or NSD, and the RFC's words for it.

A `Difference` says when it explains a case. It explains narrowly: it looks at what was asked and at what both said.
Before the list, three things are made equal, each by its own rule (`evened`):

  truncation   With TC set the sections hold what chance left in them; "the response should be ignored" (RFC 2181
               section 9). rrdns sends none; Knot and NSD send some. Only AA is compared.
  compression  rrdns does not compress names inside records: compression is "may", never must (RFC 1035 section
               4.1.4). Where only rrdns truncates, its answer over TCP must be the same as the peer's, and too long.
               Where only the peer truncates, what it holds must be part of ours, and ours near the limit: it counts
               its room before it compresses.
  additional   Beside an answer it is "any RRs which may be useful" (RFC 1034 section 4.3.2 step 6), and leaving some
               out needs no TC (RFC 2181 section 9). Each side leaves out others: NSD adds nothing with minimal
               responses, Knot adds HTTPS records and wildcards' addresses. What rrdns adds must be in its zones. In
               a referral the additional section is glue, and compared, unless it did not fit; but Knot and NSD
               also add addresses that a wildcard gives a name server outside the cut, and rrdns does not: RFC 9471
               section 3.1 wants those "in-domain", and what a wildcard covers is not delegated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from replies import Reply, Section
from world import World

from rrdns import wire

_NOTHING: Section = frozenset()
_SIGNATURES = (46, 47)  # RRSIG, NSEC
_HINFO = 13


@dataclass(frozen=True)
class Case:
    """One question, what rrdns said (`whole`: over TCP), what a peer said, and what the other peer said."""

    world: World
    peer: str
    limit: int
    ours: Reply
    whole: Reply
    theirs: Reply
    other: Reply

    @cached_property
    def name(self) -> bytes:
        return self.ours.question[:-4].lower()

    @cached_property
    def type(self) -> int:
        return int.from_bytes(self.ours.question[-4:-2], "big")

    @property
    def same(self) -> bool:
        return self.ours.compared == self.theirs.compared

    @property
    def seconded(self) -> bool:
        """The other peer says what rrdns says, once both are evened."""
        return self.turned.same

    @property
    def turned(self) -> Case:
        """The same question as the other peer's case, evened."""
        peer = "nsd" if self.peer == "knotd" else "knotd"
        return evened(replace(self, peer=peer, theirs=self.other, other=self.theirs))

    def chain(self, reply: Reply) -> list[bytes]:
        """The names a reply's aliases lead through."""
        names, to = [self.name], {owner: data for owner, rtype, _, _, data in reply.answer if rtype == wire.CNAME}
        while names[-1] in to and len(names) <= len(to):
            names.append(to[names[-1]])
        return names


def evened(case: Case) -> Case:
    """Truncation, compression and the additional section, as told at the top."""
    ours, theirs = case.ours, case.theirs
    if ours.tc and theirs.tc:
        blank = {"rcode": 0, "answer": _NOTHING, "authority": _NOTHING, "additional": _NOTHING}
        return replace(case, ours=replace(ours, **blank), theirs=replace(theirs, **blank))  # type: ignore[arg-type]
    part = theirs.answer <= ours.answer and theirs.authority <= ours.authority
    if theirs.tc and part and 3 * ours.size > 2 * case.limit:
        return replace(case, theirs=replace(ours))
    if ours.tc and case.whole.size > case.limit:
        ours = case.whole
    if ours.aa and not any(record[1] == wire.NS for record in ours.authority):
        if ours.additional <= case.world.records:
            ours, theirs = replace(ours, additional=_NOTHING), replace(theirs, additional=_NOTHING)
        return replace(case, ours=ours, theirs=theirs)
    more = theirs.additional - ours.additional
    made = {one for one in more if one[0] not in case.world.names.get(case.world.apex_of(one[0]) or b"", ())}
    theirs = replace(theirs, additional=theirs.additional - made)
    sizes: dict[tuple[bytes, int], int] = {}  # of the RRsets left out: all of one, or nothing
    for owner, rtype, _, _, data in ours.additional - theirs.additional:
        sizes[owner, rtype] = sizes.get((owner, rtype), 0) + len(owner) + 10 + len(data)
    tight = len(ours.additional) > 2 or case.limit - theirs.size < max(sizes.values(), default=0)
    if theirs.additional < ours.additional and tight and ours.size > case.limit:
        ours = replace(ours, additional=theirs.additional)
    return replace(case, ours=ours, theirs=theirs)


@dataclass(frozen=True)
class Difference:
    """`with_us`: who answers as rrdns does."""

    title: str
    why: str
    with_us: str
    explains: Callable[[Case], bool]


def _any(case: Case) -> bool:
    """Both have something; what stands before it (aliases) is the same."""
    ours = frozenset(one for one in case.ours.answer if one[1] != _HINFO or one[4] != b"\x07RFC8482\0")
    owners = {one[0] for one in case.ours.answer - ours}
    if case.type != wire.ANY or not owners or case.ours.rcode or case.ours.tc or case.theirs.rcode:
        return False
    theirs = case.theirs.answer
    there = (
        ours <= theirs and all(one[0] in owners for one in theirs - ours) and any(one[0] in owners for one in theirs)
    )
    return case.theirs.aa and (case.theirs.tc or there)


def _one_tree(case: Case) -> bool:
    apex = case.world.apex_of(case.name)
    outer = case.world.outer_of(apex) if apex is not None else None
    if case.peer == "nsd" and case.type == wire.ANY and outer is not None:
        there = case.name in case.world.names[outer] or case.world.foreign(case.name)
        return there and case.theirs.aa  # Knot gives all it has, so it can't second here
    names = case.chain(case.ours) + case.chain(case.theirs)
    knots = case.turned  # may differ for a reason of its own
    seconded = knots.same or _rrsig_at_alias(knots) or _no_room_for_soa(knots)
    return case.peer == "nsd" and seconded and any(case.world.foreign(name) for name in names)


def _above_inner(case: Case) -> bool:
    """A name, or one above it, that is there only because a zone served lies below it."""
    if case.peer != "knotd" or not case.seconded:
        return False
    for name in case.chain(case.ours):
        zone = case.world.apex_of(name)
        while zone is not None and name != zone:
            below = any(wire.is_within(apex, name) for apex in case.world.zones)
            if below and name not in case.world.names[zone]:
                return True
            name = wire.parent(name)
    return False


def _other_zone(case: Case) -> bool:
    """rrdns ends with an alias that leaves its zone, into another one served."""
    last = case.chain(case.ours)[-1]
    first, into = case.world.apex_of(case.name), case.world.apex_of(last)
    if first is None or into in (None, first) or last == case.name or case.ours.rcode or not case.ours.aa:
        return False
    if case.peer == "knotd":  # only where the zone itself says something about the zone inside it
        return wire.is_within(into or b"", first) and case.ours.answer <= case.theirs.answer
    return case.theirs.tc or case.ours.answer <= case.theirs.answer


def _growing_chain(case: Case) -> bool:
    """One DNAME used more than once in the chain of rrdns; the shorter answer is a part of the longer."""
    dnames = [one[0] for one in case.whole.answer if one[1] == wire.DNAME]
    names = case.chain(case.whole)
    again = any(sum(name != one and wire.is_within(name, one) for name in names) > 1 for one in dnames)
    shorter, longer = sorted((case.whole.answer, case.theirs.answer), key=len)
    return again and (shorter <= longer or case.theirs.tc) and case.theirs.aa


def _long_target(case: Case) -> bool:
    return case.peer == "knotd" and case.ours.rcode == wire.YXDOMAIN == case.theirs.rcode and case.theirs.tc


def _on_at_long_target(case: Case) -> bool:
    """Knot goes on at the DNAME's target: a cut's NS, a SOA (and NXDOMAIN), records asked for."""
    if case.peer != "knotd" or case.ours.rcode != wire.YXDOMAIN or not case.seconded:
        return False
    targets = [one[4] for one in case.ours.answer if one[1] == wire.DNAME]
    more = (case.theirs.answer | case.theirs.authority) - case.ours.answer
    there = all(any(wire.is_within(to, one[0]) for to in targets) for one in more)
    return bool(more) and there and case.ours.answer <= case.theirs.answer


def _rrsig_at_alias(case: Case) -> bool:
    """Knot says NODATA where an alias stands; its answer may hold aliases before that one."""
    if case.peer != "knotd" or case.type not in _SIGNATURES or case.theirs.rcode:
        return False
    aliases = {one for one in case.ours.answer if one[1] == wire.CNAME}
    nodata = {one[1] for one in case.theirs.authority} == {wire.SOA}
    return nodata and bool(aliases) and case.theirs.answer < case.ours.answer


def _ds_of_a_child(case: Case) -> bool:
    if case.type != wire.DS or case.name not in case.world.zones or case.ours.answer or case.ours.rcode:
        return False
    outer = case.world.outer_of(case.name)
    if outer is None:
        return False
    if wire.CNAME in case.world.types.get((outer, case.name), ()):
        return any(one[:2] == (case.name, wire.CNAME) for one in case.theirs.answer)
    return case.name not in case.world.names[outer] and (case.peer == "knotd" or case.theirs.aa)


def _ds_behind_an_alias(case: Case) -> bool:
    last = case.chain(case.ours)[-1]
    led = last != case.name and last in case.world.zones and case.world.outer_of(last) is not None
    return case.peer == "knotd" and case.type == wire.DS and led and case.seconded


def _ds_below_a_cut(case: Case) -> bool:
    outer = case.world.outer_of(case.name)
    if case.type != wire.DS or outer is None or case.ours.rcode or case.ours.answer or not case.ours.aa:
        return False
    cuts = {one[0] for one in case.theirs.authority if one[1] == wire.NS}
    referred = case.theirs.authority and not case.theirs.answer and not case.theirs.aa and not case.theirs.rcode
    own = {one[0] for one in case.ours.authority} == {case.name}
    return bool(referred) and own and all(case.name != cut and wire.is_within(case.name, cut) for cut in cuts)


def _no_room_for_soa(case: Case) -> bool:
    short = replace(case.ours, authority=_NOTHING)
    over = case.ours.size > case.limit or case.seconded
    return case.peer == "knotd" and over and short.compared == case.theirs.compared


DIFFERENCES = (
    Difference(
        "ANY is answered with one HINFO",
        'RFC 8482 section 4.2: "the responder can respond with a synthesized HINFO RRset". Knot and NSD send '
        "everything there is.",
        "nobody; the aliases before it, the rcode and AA are compared",
        _any,
    ),
    Difference(
        "names of one zone do not exist in another",
        "NSD keeps one tree of names for all its zones: a name that the outer zone has below the apex of the inner "
        "one (occluded data, or an empty non-terminal above it) exists for the inner zone too. RFC 1034 section 4.2: "
        '"each zone is a complete database for a particular subtree"; RFC 2136 section 7.18 on what lies below a cut.',
        "Knot",
        _one_tree,
    ),
    Difference(
        "a name above a zone that is served exists",
        "RFC 8020 section 2 and RFC 4592 section 2.2.2: a name with something below it exists, and a wildcard does not "
        "cover it. Where the outer zone has no delegation Knot asks its data only: NXDOMAIN, or the wildcard.",
        "NSD",
        _above_inner,
    ),
    Difference(
        "an alias is followed inside its zone only",
        "RFC 1034 section 4.3.2 step 3a would have any zone of the server searched, as NSD does. Resolvers trust "
        "answers for the zone they asked only (RFC 2181 section 5.4.1), and ask again: what more is sent is dropped. "
        "Into a zone inside its own Knot adds what the outer zone knows: a referral, or that it knows nothing.",
        "Knot, but for zones inside",
        _other_zone,
    ),
    Difference(
        "how often one DNAME is used in one reply",
        'RFC 6672 section 3.1 sets no limit; section 2.2: "chains of DNAMEs ... must limit the amount of work". rrdns '
        "follows 12 aliases, Knot fewer, NSD uses each DNAME once.",
        "neither with the other",
        _growing_chain,
    ),
    Difference(
        "YXDOMAIN without TC",
        "RFC 6672 section 2.2: RCODE YXDOMAIN and the DNAME. All of it fits; Knot sets TC because the CNAME it can't "
        "make found no room.",
        "NSD",
        _long_target,
    ),
    Difference(
        "YXDOMAIN, and no word of the DNAME's target",
        "RFC 6672 section 2.2: the new name can't be made, so there is nothing to say about it. Knot adds what it "
        "would say of the DNAME's target itself: the NS of a cut, a SOA, NXDOMAIN as the rcode.",
        "NSD",
        _on_at_long_target,
    ),
    Difference(
        "no negative answer without its SOA",
        'RFC 2308 section 3: "Name servers authoritative for a zone MUST include the SOA record of the zone in the '
        'authority section", so rrdns and NSD truncate when it does not fit; Knot leaves it out.',
        "NSD",
        _no_room_for_soa,
    ),
    Difference(
        "RRSIG or NSEC asked for at an alias",
        "RFC 4035 section 3.1 treats an unsigned CNAME as any other: RFC 1034 section 4.3.2 step 3a gives the CNAME. "
        "Knot takes the question for one about the name's own signature.",
        "NSD",
        _rrsig_at_alias,
    ),
    Difference(
        "DS of a zone inside another, both served, the outer one without a delegation",
        "RFC 4035 section 3.1.4.1: the outer zone answers. rrdns says NODATA, since the name plainly exists; Knot "
        "says NXDOMAIN, or like NSD gives a CNAME that stands there (the loader warns that it is never answered).",
        "NSD, but for the CNAME",
        _ds_of_a_child,
    ),
    Difference(
        "DS at the end of an alias to the apex of its own zone",
        "RFC 4035 section 3.1.4.1: the zone around has the DS, or the word that there is none. Knot asks the zone that "
        "the alias is in.",
        "NSD",
        _ds_behind_an_alias,
    ),
    Difference(
        "DS of a zone below a cut of another, both served",
        "RFC 4035 section 3.1.4.1: who is authoritative for the child and not for its parent (the cut's zone) "
        "\"MUST return an authoritative 'no data' response showing that the DS RRset does not exist in the child "
        "zone's apex\". Knot and NSD refer to the cut.",
        "nobody",
        _ds_below_a_cut,
    ),
)


def judge(case: Case) -> str | None:
    """ "" for agreement, the title of the difference that explains a case, None for none: a fault."""
    if case.same:
        return ""
    even = evened(case)
    if even.same:
        return "evened"
    return next((one.title for one in DIFFERENCES if one.explains(even)), None)
