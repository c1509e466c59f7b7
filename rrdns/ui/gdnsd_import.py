"""`rrdns import --from gdnsd FOLDER`: gdnsd's configuration and zones become a pools file and zone files. Floor 5.

DYNA and DYNC records are read by the same reader as all others: before that they are rewritten, line for line, into
records of a private type whose data says what stood there. What has no counterpart is listed with its place, in the
files' heads too. Must not know: what resources mean (`gdnsd_resources`), the configuration's syntax, dnspython.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rrdns import __version__, wire
from rrdns.model import RRset
from rrdns.ui import importer
from rrdns.ui.gdnsd_config import ConfigFault, Node, read
from rrdns.ui.gdnsd_resources import Plan, Resources, Unmapped
from rrdns.ui.masterfile import Source, read_file
from rrdns.zonefile import rdata
from rrdns.zonefile.writer import plain_yaml

POOLS_FILE = "gdnsd.pools.yaml"
DYNAMIC = 65400  # a private type, only on the way
DEFAULT_TTL, MIN_TTL, MAX_TTL = 86400, 5, 3600000  # gdnsd.config(5)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

_DYNAMIC_LINE = re.compile(
    r"(?P<owner>[^\s;]*)(?P<before>(?:\s+(?:IN|[0-9]+[0-9smhdw]*(?:/[0-9]+[0-9smhdw]*)?))*)\s+(?P<type>DYN[AC])\s+"
    r"(?P<reference>[^\s;]+)\s*(?:;.*)?",
    re.IGNORECASE,
)
_SPECIAL_NAME = re.compile(r"(?<![^\s.])@[ZF](?![^\s;)])", re.IGNORECASE)


def import_gdnsd(paths: Sequence[str | Path], out: Path | None, force: bool = False) -> int:
    """0 when at least one zone was written, else 1; 2 for a request that makes no sense."""
    if out is None or len(paths) != 1:
        _say("import: gdnsd's configuration is one folder, such as /etc/gdnsd, and needs --out DIR to write to")
        return 2
    given = Path(paths[0])
    config = given / "config" if given.is_dir() else given
    try:
        job = _Job(config.parent, _resources(config))
    except ConfigFault as fault:
        _say(str(fault))
        return 1
    sources = [job.zone(file) for file in job.zone_files()]
    if not sources:
        _say(f"{job.folder / 'zones'}: there are no zones")
        return 1
    written = job.write(sources, out, force)
    for line in job.resources.notes:
        _say(line)
    unused = job.unused()
    if unused:
        _say(f"{config}: left out, as no zone names them: {', '.join(unused)}")
    return 0 if written else 1


def is_folder(path: str | Path) -> bool:
    """Whether this looks like gdnsd's folder."""
    return Path(path).is_dir() and (Path(path) / "zones").is_dir()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _resources(config: Path) -> Resources:
    """The configuration; without one all is default, and only static zones can be meant."""
    top = read(config).hash if config.exists() else {}
    for key in top.keys() - {"options", "service_types", "plugins"}:
        raise ConfigFault(f"{top[key].where}: gdnsd knows options, service_types and plugins, not {key!r}")
    sections = {key: top[key].hash if key in top else {} for key in ("options", "service_types", "plugins")}
    found = Resources(sections["plugins"], sections["service_types"])
    kept = ("zones_default_ttl", "min_ttl", "max_ttl")
    for key, node in sections["options"].items():
        if key == "listen":
            found.note(node.where, "options: listen: not of the zones; write it as `listen:` into rrdns.yaml")
        elif key not in kept:
            found.note(node.where, f"options: {key}: not imported; for what there is see rrdns.yaml(5)")
    found.limits = {key: _number(sections["options"].get(key)) for key in kept}
    return found


def _number(node: Node | None) -> int | None:
    if node is None:
        return None
    if not (node.text.isascii() and node.text.isdigit()):
        raise ConfigFault(f"{node.where}: {node.text!r} is not a number of seconds")
    return int(node.text)


@dataclass(slots=True)
class _Job:
    folder: Path
    resources: Resources
    plans: dict[str, Plan] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def zone_files(self) -> list[Path]:
        folder = self.folder / "zones"
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        return [one for one in files if one.is_file() and one.name[:1] != "."]

    # ------------------------------------------------------------ one zone

    def zone(self, file: Path) -> Source:
        """gdnsd takes the zone from the file's name, with @ for the slash of RFC 2317."""
        name = file.name.replace("@", "/").rstrip(".") + "."
        try:
            origin = wire.name_from_text(name).lower()
        except wire.BadName as fault:
            return Source(str(file), faults=[f"{file}: its name is that of no zone: {fault}"], usable=False)
        default = self.resources.limits.get("zones_default_ttl")
        source = read_file(file, origin, _rewriter(file, name), DEFAULT_TTL if default is None else default)
        plain = [one for one in source.rrsets if one.type != DYNAMIC]
        for one in source.rrsets:
            if one.type == DYNAMIC:
                self.dynamic(source, plain, one)
        source.rrsets = plain
        return source

    def dynamic(self, source: Source, plain: list[RRset], one: RRset) -> None:
        """The DYNA or DYNC of one name: a POOL record, or plain ones."""
        said = [json.loads(data) for data in one.rdatas]
        first = said[0]
        where, reference = first["where"], first["reference"]
        for other in said[1:]:
            source.faults.append(f"{other['where']}: a name has one {first['type']}: the first, {reference}, is taken")
        try:
            plan = self.plan(reference, where)
            if plan.pool is None:
                plain += [RRset(one.name, *_static(kind, value, where, one.ttl)) for kind, value in plan.records]
                return
        except (Unmapped, ConfigFault) as fault:
            text = str(fault)
            via = "" if text.startswith(where) else f" (named at {where})"
            source.faults.append(f"{text}{via}: {wire.name_to_text(one.name)} is left out")
            return
        low, high = self.resources.limits.get("min_ttl"), self.resources.limits.get("max_ttl")
        bounds = MIN_TTL if low is None else low, MAX_TTL if high is None else high
        ttl = min(max(one.ttl, bounds[0]), bounds[1])
        ttl_min = min(max(first["least"] if first["least"] is not None else one.ttl // 2, bounds[0]), ttl)
        record: dict[str, str | int] = {"type": "POOL", "pool": self.name(reference), "ttl": ttl, "ttl_min": ttl_min}
        record["answers"] = plan.answers or "all"
        source.more[one.name] = [record]

    def plan(self, reference: str, where: str) -> Plan:
        if reference not in self.plans:
            self.plans[reference] = self.resources.plan(reference, where)
        return self.plans[reference]

    def name(self, reference: str) -> str:
        """A pool's name: the resource's, with the plugin's in front where two have the same."""
        if reference not in self.names:
            plugin, _, resource = reference.partition("!")
            plain = re.sub(r"[\s,/]", "-", resource).lstrip("-") or plugin
            self.names[reference] = plain if plain not in self.names.values() else f"{plugin}-{plain}"
        return self.names[reference]

    # ------------------------------------------------------------ all of it

    def write(self, sources: Sequence[Source], out: Path, force: bool) -> bool:
        """Zones first: a pools file alone would be of no use. Whether any zone was written."""
        done: dict[bytes, str] = {}
        for at, source in enumerate(sources, 1):
            importer.deliver(source, out, force, done, f"[{at}/{len(sources)}] " if len(sources) > 1 else "")
        if not done or not self.names:
            return bool(done)
        pools = {name: self.plans[reference].pool for reference, name in self.names.items()}
        used = {name for pool in pools.values() if pool for name in _listed(pool["check"])}
        content: dict[str, Any] = {"checks": {k: v for k, v in self.resources.checks.items() if k in used}}
        content = {key: one for key, one in {**content, "pools": pools}.items() if one}
        head = [f"Imported from {self.folder} by rrdns {__version__}"]
        head += [f"NOT as in gdnsd: {note}" for note in self.resources.notes]
        target = out / POOLS_FILE
        if target.exists() and not force:
            _say(f"{target} exists already: --force replaces it")
            return False
        try:
            importer.write(target, plain_yaml(content, "\n".join(head)))
        except OSError as error:
            _say(f"{target} can't be written: {error.strerror}")
            return False
        print(f"{self.folder / 'config'} -> {target}: {len(pools)} pools, {len(content.get('checks', ()))} checks")
        return True

    def unused(self) -> list[str]:
        """Resources that nothing refers to, themselves or by way of metafo."""
        named = set(self.plans) | self.resources.seen
        found = []
        for plugin, node in self.resources.plugins.items():
            if plugin not in ("multifo", "weighted", "simplefo", "metafo", "static"):
                continue
            body = node.hash
            body = body["resources"].hash if plugin == "metafo" and "resources" in body else body
            found += [f"{plugin}!{name}" for name, one in body.items() if isinstance(one.value, dict | list)]
        return [one for one in found if one not in named and not one.endswith("!service_types")]


def _listed(check: Any) -> list[str]:
    return [check] if isinstance(check, str) else list(check)


def _static(kind: str, value: str, where: str, ttl: int) -> tuple[int, int, tuple[bytes, ...]]:
    number = wire.TYPES[kind]
    try:
        return number, ttl, (rdata.encode(number, value, b"\0"),)
    except rdata.RdataError as error:
        raise Unmapped(f"{where}: {value}: {error.message}") from None


def _rewriter(file: Path, zone: str) -> Callable[[str], str]:
    """The lines of a zone file with @Z and @F, DYNA and DYNC in words that any reader of master files knows."""

    def rewrite(text: str) -> str:
        return "\n".join(_rewritten(line, f"{file}:{at}", zone) for at, line in enumerate(text.split("\n"), 1))

    return rewrite


def _rewritten(line: str, where: str, zone: str) -> str:
    if "@" in line:
        line = _SPECIAL_NAME.sub(zone.replace("\\", r"\\"), line)
    found = _DYNAMIC_LINE.fullmatch(line.rstrip())
    if not found or found["owner"].startswith("$"):
        return line
    words, least = [], None
    for word in found["before"].split():
        most, slash, rest = word.partition("/")
        words.append(most)
        least = _seconds(rest) if slash else least
    said = {"where": where, "type": found["type"].upper(), "reference": found["reference"], "least": least}
    data = json.dumps(said).encode()
    return f"{found['owner']} {' '.join(words)} TYPE{DYNAMIC} \\# {len(data)} {data.hex()}"


def _seconds(text: str) -> int:
    return sum(int(number) * _UNITS[unit.lower()] for number, unit in re.findall(r"([0-9]+)([smhdw]?)", text, re.I))
