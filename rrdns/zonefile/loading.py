"""A directory's files -> one DataSet, or every reason why not. The zonefile package's main door.

The order: each file by itself (YAML, then records or pools), then each zone, then what crosses files. A file that
can't be read at all silences only the rules that would blame others for it. Must not know: where bytes come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rrdns import wire
from rrdns.model import DataSet, Problem, RRset, Zone
from rrdns.zonefile import known, references
from rrdns.zonefile.complaints import Complaints
from rrdns.zonefile.drafts import ZoneDraft
from rrdns.zonefile.known import Known, Note
from rrdns.zonefile.places import Places
from rrdns.zonefile.pools import Shelf, read_pools
from rrdns.zonefile.records import Cache, read_zone
from rrdns.zonefile.special_records import finish_soa
from rrdns.zonefile.targets import judge_targets
from rrdns.zonefile.yaml_nodes import read
from rrdns.zonefile.zone_rules import judge_zone


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a directory. `dataset` is None iff a problem is more than a warning; `problems` are sorted."""

    dataset: DataSet | None
    problems: tuple[Problem, ...]


def is_pools_file(file: str) -> bool:
    """`pools.yaml` and `*.pools.yaml`."""
    name = file.rpartition("/")[2]
    return name == "pools.yaml" or name.endswith(".pools.yaml")


def load(files: Mapping[str, bytes], serials: Mapping[str, int] | None = None, places: Places | None = None) -> Loaded:
    """Reads a whole directory: `files` by the path people see, `serials` their change times in Unix seconds.

    A zone's serial is its `serial:`, else the newest change time of all the files: a pools file changes answers too.
    `places` is told where everything stands, if there are no problems. Never raises for anything in the files.
    (Whoever loads much does so under `gc.disable()`: it is 10 times faster.)
    """
    return load_known(files, serials, places)[0]


def load_known(
    files: Mapping[str, bytes], serials: Mapping[str, int] | None = None, places: Places | None = None
) -> tuple[Loaded, Known | None]:
    """As `load`, and what the next load can build on (`again.py`); None if there are problems."""
    drafts: dict[bytes, ZoneDraft] = {}
    shelf = Shelf()
    outs = {file: Complaints(file) for file in sorted(files)}
    cache: Cache = {}
    for file, out in outs.items():
        draft = read_file(file, files[file], out, shelf, cache)
        if draft is not None:
            _add_zone(draft, drafts)
    for draft in drafts.values():
        judge_zone(draft)
    own = {file: tuple(out.found) for file, out in outs.items() if is_pools_file(file)}
    judge_targets(drafts)
    references.judge_references(drafts.values(), shelf)
    references.judge_names(drafts, shelf)
    failed = any(out.failed for out in outs.values())
    if not failed:
        references.judge_use(list(drafts.values()), shelf)
    problems = tuple(problem for out in outs.values() for problem in out.sorted())
    if failed:
        return Loaded(None, problems), None
    if places is not None:
        places.fill(drafts.values(), shelf)
    shelves = known.shelves(shelf)
    notes = {file: Note(known.digest(files[file]), own[file], shelves.get(file)) for file in own}
    for draft in drafts.values():
        file = draft.out.file
        notes[file] = known.note_of_zone(draft, files[file], shelves.get(file), drafts)
    newest = newest_of(serials)
    dataset = data_set({name: zone_of(draft, shelf, newest) for name, draft in drafts.items()}, shelf)
    return Loaded(dataset, problems), Known(dataset, notes)


def newest_of(serials: Mapping[str, int] | None) -> int:
    """The serial of zones that say none."""
    return max((serials or {}).values(), default=1) % 2**32


def data_set(zones: Mapping[bytes, Zone], shelf: Shelf) -> DataSet:
    pools, checks, directors = references.pools_of(shelf), references.checks_of(shelf), references.directors_of(shelf)
    return DataSet(zones, pools, checks, directors)


def read_file(file: str, data: bytes, out: Complaints, shelf: Shelf, cache: Cache) -> ZoneDraft | None:
    """One file: a zone's draft, or something for the shelf, or nothing and the reasons in `out`."""
    if not file.endswith(".yaml"):
        out.problem((0, 0), "", "is no *.yaml file")
        return None
    root = read(data, out)
    if not is_pools_file(file):
        return read_zone(file, root, out, shelf, cache) if root is not None else None
    if root is None:
        shelf.unread = True
    else:
        read_pools(root, out, shelf)
    return None


def _add_zone(draft: ZoneDraft, drafts: dict[bytes, ZoneDraft]) -> None:
    first = drafts.setdefault(draft.name, draft)
    if first is not draft:
        name = wire.name_to_text(draft.name)
        draft.out.problem(draft.spot, "", f"the zone {name} is defined by {first.out.file} already")


def zone_of(draft: ZoneDraft, shelf: Shelf, newest: int) -> Zone:
    serial = draft.serial if draft.serial is not None else newest
    apex = draft.sets[draft.name]
    given = apex.pop(wire.SOA, None)
    data = finish_soa(given.rdatas[0] if given else None, draft.name, apex[wire.NS].rdatas[0], serial)
    soa = RRset(draft.name, wire.SOA, given.ttl if given else draft.default_ttl, (data,))
    rrsets = [soa]
    for owner, sets in draft.sets.items():
        rrsets += [RRset(owner, rtype, one.ttl, tuple(one.rdatas)) for rtype, one in sets.items()]
    services, hinted = references.services_of(draft, shelf), references.hinted_of(draft, shelf)
    return Zone(draft.name, serial, tuple(rrsets), services, hinted)


def with_serial(zone: Zone, serial: int) -> Zone:
    """The same zone under another serial, in its SOA too: for whoever sees to it that serials never go back."""
    serial %= 2**32
    if zone.serial == serial:
        return zone
    at = next((at for at, one in enumerate(zone.rrsets) if one.type == wire.SOA), None)
    if at is None:
        return replace(zone, serial=serial)
    soa = zone.rrsets[at]
    data = soa.rdatas[0]
    soa = replace(soa, rdatas=(data[:-20] + serial.to_bytes(4, "big") + data[-16:],))
    return replace(zone, serial=serial, rrsets=(*zone.rrsets[:at], soa, *zone.rrsets[at + 1 :]))
