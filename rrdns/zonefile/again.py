"""Loading a directory of which most is known: only what changed is read, and what that could make right or wrong. Pure.

The outcome is the same as that of a load from nothing; where anything is wrong there is none, and such a load is to
tell all problems. What a changed file can touch:

| in another file                                  | is touched when                                            |
|--------------------------------------------------|------------------------------------------------------------|
| the target of a record                           | a zone at or above that name is changed, comes or goes     |
| records at or below the apex of an inner zone    | that zone is                                               |
| a CNAME of a circle                              | some CNAME of the circle is; all are followed from there   |
| a record that answers from a pool                | the pool is                                                |
| a pool in place that names others for failover   | one of them is                                             |
| "nobody uses this", references to checks ...     | always looked at anew, for all pools files                 |
| a member's host name that leads to a POOL        | likewise, wherever the pool stands                         |

Zones that are only looked up are taken from the data set that is known. Must not know: where files are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from rrdns import wire
from rrdns.model import Problem, Zone
from rrdns.zonefile import known, references
from rrdns.zonefile.complaints import Complaints
from rrdns.zonefile.drafts import ZoneDraft
from rrdns.zonefile.known import Known, Note
from rrdns.zonefile.loading import Loaded, data_set, newest_of, read_file, with_serial, zone_of
from rrdns.zonefile.pools import SECTIONS, Shelf
from rrdns.zonefile.records import Cache
from rrdns.zonefile.targets import judge_targets
from rrdns.zonefile.zone_rules import judge_zone


class _Wrong(Exception):
    """Something is no good, or too much is touched: a load from nothing is to tell."""


def load_again(
    before: Known, files: Mapping[str, bytes], serials: Mapping[str, int] | None = None, room: int = 1 << 60
) -> tuple[Loaded, Known, frozenset[bytes]] | None:
    """As `load_known`, and which zones were read; None if anything is wrong, or over `room` bytes would be read."""
    try:
        return _Again(before, files, room).load(serials)
    except _Wrong:
        return None


class _Again:
    def __init__(self, before: Known, files: Mapping[str, bytes], room: int) -> None:
        self.before = before
        self.files = files
        self.room = room
        self.notes = {file: note for file, note in before.notes.items() if file in files}
        self.outs: dict[str, Complaints] = {}
        self.drafts: dict[bytes, ZoneDraft] = {}
        """Of the zones that were read, whether they changed or not."""
        self.shelves: dict[str, Shelf] = {}
        """Of the files that were read."""
        self.own: dict[str, tuple[Problem, ...]] = {}
        """Their problems that need no other file."""
        self.cache: Cache = {}

    def load(self, serials: Mapping[str, int] | None) -> tuple[Loaded, Known, frozenset[bytes]]:
        changed = [
            file
            for file in sorted(self.files)
            if file not in self.notes or self.notes[file].digest != known.digest(self.files[file])
        ]
        gone = [note for file, note in self.before.notes.items() if file not in self.files]
        stale = [*gone, *(self.notes.pop(file) for file in changed if file in self.notes)]
        self.read(changed)
        moved = {note.zone for note in stale if note.zone is not None} | self.drafts.keys()
        self.read(self.touched(moved, self.pools_changed(stale, changed)))
        shelf, zones = self.shelf(), _Zones(self)
        judge_targets(zones, list(self.drafts.values()))
        references.judge_references(self.drafts.values(), shelf)
        references.judge_names(zones, shelf)
        self.must_be_sound()
        used = frozenset().union(*(note.used for note in self.notes.values()))
        references.judge_use(list(self.drafts.values()), shelf, used)
        return self.outcome(zones, shelf, newest_of(serials))

    # ------------------------------------------------------------------ reading

    def read(self, files: list[str]) -> None:
        self.room -= sum(len(self.files[file]) for file in files)
        if self.room < 0:
            raise _Wrong
        for file in files:
            self.notes.pop(file, None)
            out = self.outs[file] = Complaints(file)
            shelf = self.shelves[file] = Shelf()
            draft = read_file(file, self.files[file], out, shelf, self.cache)
            if draft is not None:
                if draft.name in self.drafts:
                    raise _Wrong
                self.drafts[draft.name] = draft
                judge_zone(draft)
            self.own[file] = tuple(out.found)
        self.must_be_sound()

    def must_be_sound(self) -> None:
        if any(out.failed for out in self.outs.values()) or any(one.unread for one in self.shelves.values()):
            raise _Wrong

    def shelf(self) -> Shelf:
        """All checks, directors and pools, in the order of their files, with complaints of this load."""
        whole = Shelf()
        for file in sorted(self.files):
            note = self.notes.get(file)
            one = note.shelf if note else self.shelves[file]
            if one is None:
                continue
            if note:
                self.outs[file] = Complaints(file)
                self.outs[file].found += note.problems
            for kind in SECTIONS:
                entries, mine = getattr(whole, kind), getattr(one, kind)
                if not entries.keys().isdisjoint(mine):
                    raise _Wrong
                entries.update((name, replace(entry, out=self.outs[file])) for name, entry in mine.items())
        return whole

    # ------------------------------------------------------------------ what is touched

    def pools_changed(self, stale: list[Note], changed: list[str]) -> set[str]:
        """Pools that are not what they were."""
        old = {name: one.pool for note in stale if note.shelf for name, one in note.shelf.pools.items()}
        new = {name: one.pool for file in changed for name, one in self.shelves[file].pools.items()}
        return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}

    def touched(self, moved: set[bytes], pools: set[str]) -> list[str]:
        """Files that did not change and must be judged anew; `moved`: zones that changed, come or go."""
        files = {note.zone: file for file, note in self.notes.items() if note.zone is not None}
        if not self.drafts.keys().isdisjoint(files):
            raise _Wrong  # a zone defined twice
        found = set()
        for zone in moved:
            while zone != b"\0":
                zone = wire.parent(zone)
                if zone in files:
                    found.add(files[zone])
                    break
        for file, note in self.notes.items():
            if not (note.outward.isdisjoint(moved) and note.refers.isdisjoint(pools)):
                found.add(file)
        return sorted(found)

    # ------------------------------------------------------------------ the outcome

    def outcome(self, zones: _Zones, shelf: Shelf, newest: int) -> tuple[Loaded, Known, frozenset[bytes]]:
        problems: list[Problem] = []
        notes: dict[str, Note] = {}
        found: dict[bytes, Zone] = {}
        drafts = {draft.out.file: draft for draft in self.drafts.values()}
        for file in sorted(self.files):
            note, draft = self.notes.get(file), drafts.get(file)
            if draft is not None:
                one = self.shelves[file]
                holds = any(getattr(one, kind) for kind in SECTIONS)
                notes[file] = known.note_of_zone(draft, self.files[file], one if holds else None, zones)
                found[draft.name] = zone_of(draft, shelf, newest)
                problems += notes[file].problems
            elif note is None:
                notes[file] = Note(known.digest(self.files[file]), self.own[file], self.shelves[file])
                problems += self.outs[file].sorted()
            else:
                notes[file] = note
                said_anew = note.zone is None and file in self.outs
                problems += self.outs[file].sorted() if said_anew else note.problems
                if note.zone is not None:
                    zone = self.before.dataset.zones[note.zone]
                    found[note.zone] = with_serial(zone, newest) if note.dated else zone
        dataset = data_set(found, shelf)
        return Loaded(dataset, tuple(problems)), Known(dataset, notes), frozenset(self.drafts)


class _Zones(Mapping[bytes, ZoneDraft]):
    """All zones: those that were read, and the others made from what is known when somebody looks at them."""

    def __init__(self, again: _Again) -> None:
        self._read = again.drafts
        self._known = {note.zone: file for file, note in again.notes.items() if note.zone is not None}
        self._before = again.before
        self._made: dict[bytes, ZoneDraft] = {}

    def __getitem__(self, zone: bytes) -> ZoneDraft:
        found = self._read.get(zone) or self._made.get(zone)
        if found is None:
            file = self._known[zone]
            found = known.draft_of(self._before.dataset.zones[zone], file, self._before.notes[file].spot)
            self._made[zone] = found
        return found

    def __contains__(self, zone: object) -> bool:
        return zone in self._read or zone in self._known

    def __iter__(self) -> Iterator[bytes]:
        yield from self._read
        yield from self._known

    def __len__(self) -> int:
        return len(self._read) + len(self._known)
