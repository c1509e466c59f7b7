"""What a director's table means for a pool that follows it: who its members are, and a word on each. Floor 3, pure.

`follow` is the whole of it: a pool, what was in force, the directors' last words, a time -> what is in force now.
The rules are DESIGN's, section 6 "Directors"; nothing is remembered here. Must not know: checks, overrides, who
serves, how a director is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rrdns.model import Following, Member, Pool
from rrdns.roster.entries import (
    DOWN,
    DRAIN,
    MAX_WEIGHT,
    SHOWN,
    UNKNOWN,
    UP,
    Entry,
    Listing,
    Voice,
    combined,
    entries_of,
    joined,
    names_of,
    part_of,
    total,
    usable_of,
)
from rrdns.roster.feed import Feed, lacking, mastery, named
from rrdns.roster.followed import MAX_MEMBERS, Followed, order, patient
from rrdns.zonefile.readers import duration_text


def follow(pool: Pool, before: Followed, feeds: Mapping[str, Feed], now: float) -> Followed:
    """The pool as its directors have it now."""
    listings = _listings(pool, before, feeds)
    fresh = {key: one for key, one in listings.items() if now - one.at < feeds[key[0]].director.stale_after}
    expires = min((one.at + feeds[key[0]].director.stale_after for key, one in fresh.items()), default=None)
    basis = _basis(pool, feeds, fresh, now)
    if basis == before.basis and not before.waiting and _same(listings, before.listings):
        return replace(before, listings=listings, expires=expires)
    look = _Look(pool, before, feeds, fresh, now)
    members, voices = look.vips() if pool.following[0].use == "virtual" else look.servers()
    members, voices, waiting = patient(pool, before, members, voices)
    voices = {of: _since(before.voices.get(of), one, now) for of, one in voices.items()}
    idle = bool(voices) and all(one.word == DRAIN for one in voices.values())
    return Followed(members, voices, listings, waiting, look.director, tuple(look.notes), idle, expires, basis)


def _listings(pool: Pool, before: Followed, feeds: Mapping[str, Feed]) -> dict[tuple[str, str], Listing]:
    """What each followed part held when its director listed it last."""
    found = {}
    for one in pool.following:
        key = one.director, one.part
        table = feeds[one.director].table
        if table is not None and one.part in table.parts:
            found[key] = Listing(table.parts[one.part], feeds[one.director].at)
        elif key in before.listings:
            found[key] = before.listings[key]
    return found


def _basis(
    pool: Pool, feeds: Mapping[str, Feed], fresh: Mapping[tuple[str, str], Listing], now: float
) -> tuple[object, ...]:
    names = dict.fromkeys(one.director for one in pool.following)
    of_feeds = [(name, feeds[name].asked, feeds[name].fault) for name in names]
    masters = [mastery(one, feeds, now) for one in pool.following]
    return tuple(fresh), tuple(of_feeds), tuple(masters), _lacks(pool, feeds, now)


def _lacks(pool: Pool, feeds: Mapping[str, Feed], now: float) -> tuple[str, ...]:
    texts = [lacking(one, feeds, now) for one in pool.following if "/" in named(one, feeds)]
    return tuple(dict.fromkeys(text for text in texts if text)) if texts else ()


def _same(one: Mapping[tuple[str, str], Listing], other: Mapping[tuple[str, str], Listing]) -> bool:
    return one.keys() == other.keys() and all(one[key].reports == other[key].reports for key in one)


def _since(before: Voice | None, voice: Voice, now: float) -> Voice:
    return replace(voice, since=before.since if before is not None and before.word == voice.word else now)


class _Look:
    """One look at the tables that are fresh. `notes` and `director` are what comes out besides."""

    def __init__(
        self,
        pool: Pool,
        before: Followed,
        feeds: Mapping[str, Feed],
        fresh: Mapping[tuple[str, str], Listing],
        now: float,
    ) -> None:
        self.pool, self.before, self.feeds, self.fresh, self.now = pool, before, feeds, fresh, now
        self.notes = list(_lacks(pool, feeds, now))
        self.director = ""

    # -------------------------------------------------------------- whose word counts

    def choose(self, following: Iterable[Following]) -> list[str]:
        """The directors that have a fresh word, the one that counts first: the master's; among equals one whose last
        reading succeeded, in the files' order; of several that can't be read the freshest."""
        listed: dict[str, float] = {}
        masters: dict[str, int] = {}
        for one in following:
            if (one.director, one.part) in self.fresh:
                at = self.fresh[one.director, one.part].at
                listed[one.director] = max(at, listed.get(one.director, at))
                masters[one.director] = min(self.mastered(one), masters.get(one.director, 2))
        places = {name: index for index, name in enumerate(listed)}

        def rank(name: str) -> tuple[int, bool, float, int]:
            fault = bool(self.feeds[name].fault)
            return masters[name], fault, -listed[name] if fault else 0.0, places[name]

        return sorted(listed, key=rank)

    def mastered(self, one: Following) -> int:
        """0: its director is the master for this part, 1: nobody says, 2: it is not."""
        master = mastery(one, self.feeds, self.now)
        return 0 if master else 1 if master is None else 2

    def silence(self, of: str, following: Sequence[Following]) -> Voice:
        """No vote, the last weight kept."""
        before = self.before.voices.get(of)
        weight = before.weight if before is not None else None
        name = following[0].director
        return Voice(name, UNKNOWN, self.why_silent(following), weight=weight)

    def why_silent(self, following: Sequence[Following]) -> str:
        texts: list[str] = []
        for one in following:
            feed = self.feeds[one.director]
            if not feed.asked:
                texts.append(f"{one.director} has not been read yet")
            elif feed.fault:
                texts.append(f"{one.director} can't be read: {feed.fault}")
            elif feed.table is not None and one.part not in feed.table.parts:
                texts.append(f"{one.director} does not list {part_of(one)}")
            else:
                texts.append(f"{one.director} was not read for {duration_text(feed.director.stale_after)}")
        return "; ".join(dict.fromkeys(texts))

    # -------------------------------------------------------------- use: real-servers

    def servers(self) -> tuple[tuple[Member, ...], dict[str, Voice]]:
        ranked = self.choose(self.pool.following)
        made = not self.pool.members
        known = self.before.members if made else self.pool.members
        if not ranked:
            return (known if made else ()), {one.name: self.silence(one.name, self.pool.following) for one in known}
        self.director = ranked[0]
        parts = self.parts(ranked[0], self.notes)
        entries = joined(parts)
        if made:
            known, voices = self.made(entries)
        else:
            voices = self.judged(ranked[0], entries, [one for part in parts for one in part])
        for other in ranked[1:]:
            self.compare(known, voices, other)
        return (known if made else ()), voices

    def parts(self, director: str, notes: list[str]) -> list[list[Entry]]:
        """The servers of each part that the pool follows of this director."""
        mine = [one for one in self.pool.following if one.director == director and (director, one.part) in self.fresh]
        return [entries_of(one, self.fresh[director, one.part], notes) for one in mine]

    def judged(self, director: str, entries: list[Entry], servers: list[Entry]) -> dict[str, Voice]:
        """The files' members, by what is listed there on their addresses, else by name."""
        by_address = {one.address: one for one in entries if one.address}
        by_name: dict[str, list[Entry]] = {}
        for one in servers:
            by_name.setdefault(one.server, []).append(one)
        hits = {}
        for member in self.pool.members:
            mine = [by_address[address] for address in member.addresses if address in by_address]
            hits[member.name] = mine or by_name.get(member.name, [])
        following = [one for one in self.pool.following if one.director == director]
        at = max(self.fresh[director, one.part].at for one in following if (director, one.part) in self.fresh)
        where = ", ".join(dict.fromkeys(part_of(one) for one in following))
        if entries and not any(hits.values()) and not self.knew_any():
            why = f"{director} lists {len(entries)} servers in {where}, none of them is a member here"
            self.notes.append(f"{why}: is map: missing, or are the addresses others?")
            return {of: Voice(director, UNKNOWN, why, at=at) for of in hits}
        gone = f"not in {where} at {director}" if entries else f"no server is left in {where} at {director}"
        if not entries and any(one.sorry for one in following):
            gone = f"only the sorry server is left in {where} at {director}"
        voices = {}
        for of, mine in hits.items():
            if mine:
                voices[of] = combined(mine, max).voice(director, at)
            elif self.unlisted(director):
                voices[of] = self.silence(of, self.unlisted(director))
            else:
                before = self.before.voices.get(of)
                voices[of] = Voice(director, DOWN, gone, at=at, weight=before.weight if before else None)
        return voices

    def unlisted(self, director: str) -> list[Following]:
        """What the pool follows of this director and is not listed there, so that it says nothing of who is gone."""
        return [
            one for one in self.pool.following if one.director == director and (director, one.part) not in self.fresh
        ]

    def knew_any(self) -> bool:
        return any(one.word != UNKNOWN for one in self.before.voices.values())

    def made(self, entries: list[Entry]) -> tuple[tuple[Member, ...], dict[str, Voice]]:
        """Members from the table. One that lists nobody leaves the last ones, as down: a pool is never emptied."""
        director = self.director
        at = max(one.at for key, one in self.fresh.items() if key[0] == director)
        usable = usable_of(entries, director, self.notes)
        if not usable:
            why = f"no server is left at {director}"
            if any(one.sorry for one in self.pool.following):
                why = f"only the sorry server is left at {director}"
            kept = {of: one.weight for of, one in self.before.voices.items()}
            gone = {one.name for one in self.before.members}
            return self.before.members, {of: Voice(director, DOWN, why, at=at, weight=kept.get(of)) for of in gone}
        if len(usable) > MAX_MEMBERS:
            self.notes.append(f"{director} lists {len(usable)} servers; a pool takes {MAX_MEMBERS} of them at most")
            had = {address for one in self.before.members for address in one.addresses}
            usable = sorted(usable, key=lambda one: one.address not in had)[:MAX_MEMBERS]
        names = names_of(usable)
        pairs = [(Member(called, (one.address,)), one) for called, one in zip(names, usable, strict=True)]
        voices = {member.name: one.voice(director, at) for member, one in pairs}
        members = [member for member, _ in pairs]
        if silent := self.unlisted(director):  # its members stay, as unknown
            there = {address for one in members for address in one.addresses}
            stay = [one for one in self.before.members if one.name not in voices and there.isdisjoint(one.addresses)]
            members += stay[: MAX_MEMBERS - len(members)]
            voices |= {one.name: self.silence(one.name, silent) for one in stay[: MAX_MEMBERS - len(pairs)]}
        return tuple(sorted(members, key=order)), voices

    def compare(self, members: Sequence[Member], voices: Mapping[str, Voice], other: str) -> None:
        """Notes where another director sees it differently."""
        theirs = {one.address: one.word for one in joined(self.parts(other, []))}
        texts = []
        for member in members:
            mine = voices[member.name].word if member.name in voices else UNKNOWN
            its = next((theirs[one] for one in member.addresses if one in theirs), DOWN)
            if UNKNOWN not in (mine, its) and (mine == UP) != (its == UP):
                texts.append(f"{member.name} {mine} / {its}")
        mine_too = {address for one in members for address in one.addresses}
        texts += [f"{one} unlisted / {word}" for one, word in theirs.items() if word == UP and one not in mine_too]
        if texts and (not self.pool.members or texts[0].split()[1] != "unlisted"):
            more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
            self.notes.append(f"{self.director} and {other} disagree: {', '.join(texts[:SHOWN])}{more}")

    # -------------------------------------------------------------- use: virtual

    def vips(self) -> tuple[tuple[Member, ...], dict[str, Voice]]:
        """The members are VIPs: what stands behind each decides."""
        voices = {}
        for member in self.pool.members:
            following = [one for one in self.pool.following if one.member == member.name]
            if not following:
                continue
            ranked = self.choose(following)
            if not ranked:
                voices[member.name] = self.silence(member.name, following)
                continue
            director = ranked[0]
            mine = [one for one in following if one.director == director and (director, one.part) in self.fresh]
            voices[member.name] = self.behind(director, mine)
        return (), voices

    def behind(self, director: str, following: Sequence[Following]) -> Voice:
        """The live capacity behind a VIP.

        | servers up >= quorum | with the drained ones >= quorum | the director is not the master | word  |
        |----------------------|---------------------------------|--------------------------------|-------|
        | yes                  |                                 | no, or nobody says             | up    |
        | yes                  |                                 | yes                            | drain |
        | no                   | yes                             | any                            | drain |
        | no                   | no                              | any                            | down  |
        """
        parts = [entries_of(one, self.fresh[director, one.part], self.notes) for one in following]
        entries = parts[0] if len(parts) == 1 else joined(parts)
        live = [one for one in entries if one.word == UP]
        idle = [one for one in entries if one.word == DRAIN]
        quorum = max(one.quorum for one in following)
        at = max(self.fresh[director, one.part].at for one in following)
        capacity = min(MAX_WEIGHT, sum(1 if one.weight is None else one.weight for one in live))
        where = f"{', '.join(dict.fromkeys(part_of(one) for one in following))} at {director}"
        why = f"{len(live)} of {len(entries)} servers up in {where}, quorum {quorum}"
        word = UP if len(live) >= quorum else DRAIN if len(live) + len(idle) >= quorum else DOWN
        if word == UP and all(self.mastered(one) == 2 for one in following):
            word, why = DRAIN, f"{director} is not the master; {why}"
        sums = (
            total(one.active for one in live),
            total(one.inactive for one in live),
            total(one.total for one in live),
        )
        return Voice(director, word, why, 0.0, at, capacity or None, *sums)
