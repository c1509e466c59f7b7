"""gdnsd's resources and service types -> our pools and checks. Pure: the parsed configuration in, mappings out.

| gdnsd                                | here                                                                     |
|--------------------------------------|--------------------------------------------------------------------------|
| multifo, up_thresh                   | `answers: all`, `panic: up_thresh`: below it everybody is answered       |
| weighted, not grouped, multi = false | `answers: 1`, weights, `panic: up_thresh`                                |
| weighted, not grouped, multi = true  | `answers: sum / max`: a member is in weight / max of the answers         |
| simplefo                             | priorities 1 and 2, idle-standby, `when_down:` the primary               |
| metafo                               | a priority for each datacenter, idle-standby, `quorum:` for up_thresh,   |
|                                      | `when_down:` the first datacenter                                        |
| static                               | plain A, AAAA and CNAME records                                          |
| tcp_connect, http_status, extmon     | checks tcp, http, command; interval and thresholds as they are           |

What does not map raises Unmapped, what maps but for a detail leaves a note. Must not know: files, zones, YAML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

from rrdns.ui.gdnsd_config import ConfigFault, Node
from rrdns.ui.gdnsd_pools import MOST_ANSWERS, Entry, Group, pool_of
from rrdns.ui.gdnsd_services import check_of

_FAMILIES = ("addrs_v4", "addrs_v6")
_PARAMETERS = ("service_types", "up_thresh", "ignore_health", "multi", "plugin")
GEOGRAPHY = "answers by geography have no counterpart here"


class Unmapped(Exception):
    """This has no counterpart; the text begins with file and line."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A resource as it is written here: a pool, or plain records of (type, value)."""

    pool: Mapping[str, Any] | None = None
    answers: int = 0
    records: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Resources:
    """The plugins of one configuration, with what was made of them. `notes` are lines for the operator; `seen`: the
    resources that were read, also by way of others; `limits`: those options that zone files need."""

    plugins: Mapping[str, Node]
    services: Mapping[str, Node]
    notes: list[str] = field(default_factory=list)
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)
    limits: dict[str, int | None] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def plan(self, reference: str, where: str) -> Plan:
        """What `plugin!resource` answers with. Unmapped, or ConfigFault where gdnsd too would complain."""
        plugin, _, name = reference.partition("!")
        if plugin == "static":
            return self._static(name, where)
        group = self._group(plugin, name, where)
        checks = [] if group.healthless else self._checks(group.services)
        return Plan(pool_of(group, checks, reference, self.note), group.answers)

    def note(self, where: str, text: str) -> None:
        line = f"{where}: {text}"
        if line not in self.notes:
            self.notes.append(line)

    # ------------------------------------------------------------ resources

    def _group(self, plugin: str, name: str, where: str) -> Group:
        readers: dict[str, Callable[[Node, list[Mapping[str, Node]], str], Group]] = {
            "multifo": self._multifo,
            "weighted": self._weighted,
            "simplefo": self._simplefo,
        }
        if plugin == "geoip":
            raise Unmapped(f"{where}: geoip!{name}: {GEOGRAPHY}: name a resource of another plugin, or several names")
        if plugin not in (*readers, "metafo"):
            whole = f"{plugin}!{name}" if name else plugin
            raise Unmapped(f"{where}: {whole}: the plugin {plugin} has no counterpart here")
        if plugin not in self.plugins:
            raise ConfigFault(f"{where}: {plugin}!{name}: the configuration has no plugin {plugin}")
        top = self.plugins[plugin].hash
        self.seen.add(f"{plugin}!{name.partition('/')[0]}")
        if plugin == "metafo":
            return self._metafo(name, top, where)
        if name not in top or name in _PARAMETERS:
            raise ConfigFault(f"{where}: {plugin}!{name}: {plugin} has no resource {name!r}")
        return readers[plugin](top[name], [top], f"{plugin}!{name}")

    def _static(self, name: str, where: str) -> Plan:
        node = self.plugins["static"].hash.get(name) if "static" in self.plugins else None
        if node is None:
            raise ConfigFault(f"{where}: static!{name}: the plugin static has no resource {name!r}")
        return Plan(records=((_kind(node.text), node.text),))

    def _stanzas(self, node: Node, above: list[Mapping[str, Node]]) -> list[tuple[Node, list[Mapping[str, Node]], str]]:
        """The parts with addresses: one, or one a family; with what each inherits, innermost first."""
        if isinstance(node.value, dict) and any(key in node.value for key in _FAMILIES):
            inner = [(node.value[key], key) for key in _FAMILIES if key in node.value]
            return [(one, [node.value, *above], "-v6" if key == "addrs_v6" else "") for one, key in inner]
        return [(node, above, "")]

    def _together(self, node: Node, groups: list[Group]) -> Group:
        """The families of a resource as one group: a name has one pool here."""
        first = groups[0]
        for one in groups[1:]:
            if one.services != first.services:
                raise Unmapped(f"{node.where}: addrs_v4 and addrs_v6 have different service_types; a pool has one set")
            if one.thresholds != first.thresholds or one.answers != first.answers:
                self.note(node.where, "addrs_v4 and addrs_v6 differ in up_thresh or multi: those of v4 are taken")
        if len(groups) > 1:
            self.note(
                node.where, "up_thresh is judged over IPv4 and IPv6 together, and a family without any host is empty"
            )
        tiers = [tuple(e for one in groups for e in one.tiers[at]) for at in range(len(first.tiers))]
        return replace(first, where=node.where, tiers=tuple(tiers), healthless=any(one.healthless for one in groups))

    def _multifo(self, node: Node, above: list[Mapping[str, Node]], path: str) -> Group:
        found = []
        for stanza, outer, suffix in self._stanzas(node, above):
            scopes, entries = _entries(stanza, outer)
            tier = tuple(Entry(f"{label}{suffix}", _address(one)) for label, one in entries.items())
            if not tier:
                raise ConfigFault(f"{stanza.where}: {path} has no addresses")
            healthless = _truth(_inherited("ignore_health", scopes))
            group = Group(stanza.where, (tier,), _services(scopes), (_threshold(scopes),), healthless=healthless)
            if healthless:
                self.note(stanza.where, f"{path}: ignore_health: all are answered, so nothing is checked here")
            found.append(group)
        return self._together(node, found)

    def _weighted(self, node: Node, above: list[Mapping[str, Node]], path: str) -> Group:
        found = []
        for stanza, outer, suffix in self._stanzas(node, above):
            scopes, entries = _entries(stanza, outer)
            multi = _truth(_inherited("multi", scopes))
            grouped = any(isinstance(one.value, dict) for one in entries.values())
            tier, answers = self._weights(entries, multi, grouped, f"{stanza.where}: {path}")
            tier = tuple(replace(one, label=f"{one.label}{suffix}") for one in tier)
            found.append(Group(stanza.where, (tier,), _services(scopes), (_threshold(scopes),), answers))
        return self._together(node, found)

    def _weights(
        self, entries: Mapping[str, Node], multi: bool, grouped: bool, path: str
    ) -> tuple[tuple[Entry, ...], int]:
        if not grouped:
            tier = tuple(_weighted_entry(label, one) for label, one in entries.items())
            if not tier:
                raise ConfigFault(f"{path} has no addresses")
            share = sum(one.weight for one in tier) / max(one.weight for one in tier)
            if multi and share != int(share):
                self.note(path, f"multi: an answer has {round(share)} members, in gdnsd {share:.2f} on average")
            return tier, round(share) if multi else 1
        sizes = []
        flat: list[Entry] = []
        for name, group in entries.items():
            inner = [_weighted_entry(f"{name}-{label}", one) for label, one in group.hash.items()]
            sizes.append(len(inner))
            flat += inner
        self.note(
            path, "groups are made into one list: an answer may have members of several groups, or several of one"
        )
        return tuple(flat), min(len(sizes) if multi else max(sizes), MOST_ANSWERS)

    def _simplefo(self, node: Node, above: list[Mapping[str, Node]], path: str) -> Group:
        found = []
        for stanza, outer, suffix in self._stanzas(node, above):
            scopes, entries = _entries(stanza, outer)
            if set(entries) != {"primary", "secondary"}:
                raise ConfigFault(f"{stanza.where}: {path} needs a primary and a secondary, and nothing else")
            tiers = tuple((Entry(f"{one}{suffix}", _address(entries[one])),) for one in ("primary", "secondary"))
            found.append(Group(stanza.where, tiers, _services(scopes), (0.01, 0.01)))
        return self._together(node, found)

    # ------------------------------------------------------------ metafo

    def _metafo(self, name: str, top: Mapping[str, Node], where: str) -> Group:
        name, _, only = name.partition("/")
        resources = top["resources"].hash if "resources" in top else {}
        if name not in resources:
            raise ConfigFault(f"{where}: metafo!{name}: metafo has no resource {name!r}")
        node = resources[name]
        here = node.hash
        if "datacenters" not in here or "dcmap" not in here:
            raise ConfigFault(f"{node.where}: metafo!{name} needs datacenters and dcmap")
        centers = [one.text for one in here["datacenters"].items]
        if _truth(here.get("skip_first")):
            centers = centers[1:]
        if only:
            centers = [only]
        groups = []
        for center in centers:
            if center not in here["dcmap"].hash:
                raise ConfigFault(f"{here['dcmap'].where}: metafo!{name}: dcmap has no {center!r}")
            group = self._center(center, here["dcmap"].hash[center], [here, top], f"metafo!{name}/{center}")
            if group is not None:
                groups.append(_named(group, center) if len(centers) > 1 else group)
        return self._in_turn(node, groups, f"metafo!{name}")

    def _center(self, center: str, node: Node, above: list[Mapping[str, Node]], path: str) -> Group | None:
        """One datacenter's group; None for what is left out."""
        plugin = node.hash.get("plugin") if isinstance(node.value, dict) else None
        default = plugin or _inherited("plugin", above)
        word = default.text if default else "multifo"
        if isinstance(node.value, str) and node.value[:1] in "%!":
            plugin_name, _, resource = node.value.lstrip("%").partition("!")
            return self._group(plugin_name or word, resource, node.where)
        if not isinstance(node.value, dict):
            word = "multifo"
            if isinstance(node.value, str) and _kind(node.value) == "CNAME":
                self.note(node.where, f"{path}: a CNAME can't stand behind addresses; this datacenter is left out")
                return None
        outer = [{key: one for key, one in scope.items() if key in _PARAMETERS} for scope in above]
        if word == "multifo":
            return self._multifo(node, [*outer], path)
        if word == "simplefo":
            return self._simplefo(node, [*outer], path)
        if word == "weighted":
            return self._weighted(node, [*outer], path)
        raise Unmapped(f"{node.where}: {path}: the plugin {word} has no counterpart here")

    def _in_turn(self, node: Node, groups: list[Group], path: str) -> Group:
        if not groups:
            raise Unmapped(f"{node.where}: {path}: nothing of it has a counterpart here")
        if len(groups) == 1:
            return groups[0]
        if len({one.services for one in groups}) > 1:
            raise Unmapped(f"{node.where}: {path}: its datacenters have different service_types; a pool has one set")
        answers = max(one.answers for one in groups) if all(one.answers for one in groups) else 0
        if len({one.answers for one in groups}) > 1:
            text = f"its datacenters answer with different numbers of addresses: {answers or 'all'} is taken"
            self.note(node.where, f"{path}: {text}")
        tiers = tuple(tier for one in groups for tier in one.tiers)
        thresholds = tuple(each for one in groups for each in one.thresholds)
        return replace(groups[0], where=node.where, tiers=tiers, thresholds=thresholds, answers=answers)

    def _checks(self, names: tuple[str, ...]) -> list[str]:
        found = []
        for name in dict.fromkeys(names):
            if name not in self.checks and name != "up":
                check = check_of(name, self.services, self.note)
                if check is not None:
                    self.checks[name] = check
            if name in self.checks:
                found.append(name)
        return found


# ---------------------------------------------------------------- reading


def _entries(node: Node, above: list[Mapping[str, Node]]) -> tuple[list[Mapping[str, Node]], dict[str, Node]]:
    """A stanza's parameters, innermost scope first, and its labelled values; an array's labels are 1, 2 ..."""
    if isinstance(node.value, dict):
        return [node.value, *above], {key: one for key, one in node.value.items() if key not in _PARAMETERS}
    return above, {str(at): one for at, one in enumerate(node.items, 1)}


def _inherited(key: str, scopes: list[Mapping[str, Node]]) -> Node | None:
    return next((scope[key] for scope in scopes if key in scope), None)


def _services(scopes: list[Mapping[str, Node]]) -> tuple[str, ...]:
    node = _inherited("service_types", scopes)
    return tuple(one.text for one in node.items) if node else ("up",)


def _threshold(scopes: list[Mapping[str, Node]]) -> float:
    node = _inherited("up_thresh", scopes)
    try:
        share = float(node.text) if node else 0.5
    except ValueError:
        share = 0.0
    if not 0.0 < share <= 1.0:
        raise ConfigFault(f"{node.where if node else ''}: up_thresh is a number above 0.0 and up to 1.0")
    return share


def _truth(node: Node | None) -> bool:
    if node is None:
        return False
    if node.text.lower() not in ("true", "false"):
        raise ConfigFault(f"{node.where}: {node.text!r} is neither true nor false")
    return node.text.lower() == "true"


def _kind(text: str) -> str:
    try:
        return "A" if ip_address(text).version == 4 else "AAAA"
    except ValueError:
        return "CNAME"


def _address(node: Node) -> str:
    if _kind(node.text) == "CNAME":
        raise Unmapped(f"{node.where}: {node.text}: a CNAME can't be a member here: members are addresses")
    return str(ip_address(node.text))


def _weighted_entry(label: str, node: Node) -> Entry:
    if len(node.items) != 2:
        raise ConfigFault(f"{node.where}: {label} must be [ address, weight ]")
    address, weight = node.items
    if not (weight.text.isascii() and weight.text.isdigit() and 0 < int(weight.text) < 2**20):
        raise ConfigFault(f"{weight.where}: the weight {weight.text!r} is not between 1 and 1048575")
    return Entry(label, _address(address), int(weight.text))


def _named(group: Group, center: str) -> Group:
    tiers = [tuple(replace(one, label=f"{center}-{one.label}") for one in tier) for tier in group.tiers]
    return replace(group, tiers=tuple(tiers))
