"""A directory's files -> one DataSet, or every reason why not. The zonefile package's main door.

The order: each file by itself (YAML, then records or pools), then each zone, then what crosses files. A file that
can't be read at all silences only the rules that would blame others for it. Must not know: where bytes come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rrdns import wire
from rrdns.model import DataSet, Problem, RRset, Zone
from rrdns.zonefile import references
from rrdns.zonefile.complaints import Complaints
from rrdns.zonefile.drafts import ZoneDraft
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


def load(files: Mapping[str, bytes], serials: Mapping[str, int] | None = None) -> Loaded:
    """Reads a whole directory: `files` by the path people see, `serials` their change times in Unix seconds.

    A zone's serial is its `serial:`, else the newest change time of all the files: a pools file changes answers too.
    Never raises for anything in the files. (Whoever loads much does so under `gc.disable()`: it is 10 times faster.)
    """
    drafts: dict[bytes, ZoneDraft] = {}
    shelf = Shelf()
    complaints: list[Complaints] = []
    cache: Cache = {}
    for file in sorted(files):
        out = Complaints(file)
        complaints.append(out)
        if not file.endswith(".yaml"):
            out.problem((0, 0), "", "is no *.yaml file")
            continue
        root = read(files[file], out)
        if is_pools_file(file):
            if root is None:
                shelf.unread = True
            else:
                read_pools(root, out, shelf)
        elif root is not None:
            draft = read_zone(file, root, out, shelf, cache)
            if draft is not None:
                _add_zone(draft, drafts)
    for draft in drafts.values():
        judge_zone(draft)
    judge_targets(drafts)
    references.judge_references(drafts.values(), shelf)
    failed = any(out.failed for out in complaints)
    if not failed:
        references.judge_use(list(drafts.values()), shelf)
    problems = tuple(problem for out in complaints for problem in out.sorted())
    if failed:
        return Loaded(None, problems)
    newest = max((serials or {}).values(), default=1) % 2**32
    zones = {name: _zone(draft, shelf, newest) for name, draft in drafts.items()}
    return Loaded(DataSet(zones, references.pools_of(shelf), references.checks_of(shelf)), problems)


def _add_zone(draft: ZoneDraft, drafts: dict[bytes, ZoneDraft]) -> None:
    first = drafts.setdefault(draft.name, draft)
    if first is not draft:
        name = wire.name_to_text(draft.name)
        draft.out.problem(draft.spot, "", f"the zone {name} is defined by {first.out.file} already")


def _zone(draft: ZoneDraft, shelf: Shelf, newest: int) -> Zone:
    serial = draft.serial if draft.serial is not None else newest
    apex = draft.sets[draft.name]
    given = apex.pop(wire.SOA, None)
    data = finish_soa(given.rdatas[0] if given else None, draft.name, apex[wire.NS].rdatas[0], serial)
    soa = RRset(draft.name, wire.SOA, given.ttl if given else draft.default_ttl, (data,))
    rrsets = [soa]
    for owner, sets in draft.sets.items():
        rrsets += [RRset(owner, rtype, one.ttl, tuple(one.rdatas)) for rtype, one in sets.items()]
    return Zone(draft.name, serial, tuple(rrsets), references.services_of(draft, shelf))


def with_serial(zone: Zone, serial: int) -> Zone:
    """The same zone under another serial, in its SOA too: for whoever sees to it that serials never go back."""
    serial %= 2**32
    rrsets = []
    for one in zone.rrsets:
        if one.type == wire.SOA:
            data = one.rdatas[0]
            one = replace(one, rdatas=(data[:-20] + serial.to_bytes(4, "big") + data[-16:],))
        rrsets.append(one)
    return replace(zone, serial=serial, rrsets=tuple(rrsets))
