"""The rows of a director's table as they count here: addresses mapped, what is on one address taken together, bad
entries refused one by one. Floor 3, pure.

Must not know: pools, other directors, time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from rrdns.model import Following, Report
from rrdns.zonefile.readers import name

MAX_WEIGHT = 65535
SHOWN = 5
LONGEST = 255  # characters of a name or reason

UP, DOWN, DRAIN, UNKNOWN = "up", "down", "drain", "unknown"
_BEST = (UP, DRAIN, UNKNOWN, DOWN)

Weigh = Callable[[Iterable[int]], int]


@dataclass(frozen=True, slots=True)
class Voice:
    """A director's word on a member: up | down | drain | unknown (no vote). `at`: the reading that said so."""

    director: str
    word: str
    why: str
    since: float = 0.0
    at: float = float("-inf")
    weight: int | None = None
    active: int | None = None
    inactive: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The servers of one part of a director's table, and when it was read."""

    reports: tuple[Report, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One server of a table as it counts here: its address mapped and canonical ("": not told)."""

    server: str
    address: str
    word: str
    why: str
    weight: int | None
    active: int | None
    inactive: int | None
    total: int | None

    def voice(self, director: str, at: float) -> Voice:
        why = f"{self.why} at {director}" if self.why else f"{self.word} at {director}"
        return Voice(director, self.word, why, 0.0, at, self.weight, self.active, self.inactive, self.total)


def entries_of(following: Following, listing: Listing, notes: list[str]) -> list[Entry]:
    """A part's servers, one by one; the sorry server is none, bad entries are refused."""
    found: list[Entry] = []
    backups: list[Entry] = []
    refused: list[str] = []
    for one in listing.reports:
        address, wrong = _address(one.address, following) if one.address else ("", "")
        if address == "sorry":
            continue
        weight, odd = _weight(one.weight)
        if wrong or odd:
            refused.append(f"{_plain(one.server or one.address)}: {wrong or odd}")
        if not wrong:
            word = _word(one, following)
            why = _plain(one.why) or ("weight 0" if weight == 0 and word in (DRAIN, DOWN) else "")
            called = one.server if _plain(one.server) == one.server else ""
            entry = Entry(called, address, word, why, weight, one.active, one.inactive, one.total)
            (backups if one.backup else found).append(entry)
    if any(one.word == UP for one in found):  # backup servers serve only when no other does
        why = "backup, and others are up"
        backups = [replace(one, word=DRAIN, why=why) if one.word == UP else one for one in backups]
    if refused:
        more = f" and {len(refused) - SHOWN} more" if len(refused) > SHOWN else ""
        notes.append(f"entries of {following.director} refused: {', '.join(refused[:SHOWN])}{more}")
    return [*found, *backups]


def joined(parts: Iterable[Sequence[Entry]]) -> list[Entry]:
    """Servers of several parts by address: those of one part add up, of several the best counts."""
    return together([one for part in parts for one in together(part, _added)], max)


def usable_of(entries: Sequence[Entry], director: str, notes: list[str]) -> list[Entry]:
    """Those that can be members. A loopback address among others is the director itself; in a lab all are."""
    found = []
    lab = all(is_loopback(one.address) for one in entries if one.address)
    for one in entries:
        if not one.address:
            notes.append(f"{director} tells no address of {one.server or 'a server'}: it can't be a member")
        elif not lab and is_loopback(one.address):
            notes.append(f"{one.address} is {director} itself: write the address it has elsewhere in map:")
        else:
            found.append(one)
    return found


def is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def _plain(text: str) -> str:
    """Fit for a line of a log, whatever the table holds."""
    if len(text) > LONGEST:
        text = text[:LONGEST] + "..."
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def _word(report: Report, following: Following) -> str:
    """
    | there                      | here                              |
    |----------------------------|-----------------------------------|
    | down                       | down                              |
    | maint                      | drain                             |
    | weight 0, or drain         | drain; `weight_zero: down`: down  |
    | up                         | up                                |
    | anything else              | unknown: no vote                  |
    """
    if report.word in ("down", "maint"):
        return DOWN if report.word == "down" else DRAIN
    if report.weight == 0 and report.word in (UP, DRAIN):
        return DOWN if following.weight_zero == "down" else DRAIN
    return report.word if report.word in (UP, DRAIN) else UNKNOWN


def _weight(weight: int | None) -> tuple[int | None, str]:
    if weight is None or 0 <= weight <= MAX_WEIGHT:
        return weight, ""
    if weight < 0:
        return None, f"the weight {weight} is no weight"
    return MAX_WEIGHT, f"a weight of {weight:.10g} counts as {MAX_WEIGHT}" if weight < 1e300 else "a weight too large"


@lru_cache(maxsize=1 << 14)
def _address(text: str, following: Following) -> tuple[str, str]:
    """The address as it is answered here, or "sorry", or "" and why it can't be."""
    try:
        found = ip_address(text)
    except ValueError:
        return "", f"{text[:60]!r} is no address"
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    if following.sorry and found == ip_address(following.sorry):
        return "sorry", ""
    for there, here in following.map:
        network = ip_network(there)
        if found in network:
            mapped = int(ip_network(here).network_address) + int(found) - int(network.network_address)
            found = IPv4Address(mapped) if network.version == 4 else IPv6Address(mapped)
            break
    if following.sorry and str(found) == following.sorry:
        return "sorry", ""
    if why := unfit(found):
        return "", why
    return str(found), ""


def unfit(found: IPv4Address | IPv6Address) -> str:
    """Why no client should be sent there; "": it can be one host's address."""
    broadcast = isinstance(found, IPv4Address) and (found.is_reserved or str(found) == "255.255.255.255")
    scoped = isinstance(found, IPv6Address) and bool(found.scope_id)
    if found.is_unspecified or found.is_multicast or found.is_link_local or broadcast or scoped:
        return f"{found} is not the address of one host"
    return ""


def together(entries: Iterable[Entry], weigh: Weigh) -> list[Entry]:
    """Those on one address as one, in their first one's place; without addresses those of one name."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for one in entries:
        groups.setdefault((one.address, "" if one.address else one.server), []).append(one)
    return [group[0] if len(group) == 1 else combined(group, weigh) for group in groups.values()]


def _added(weights: Iterable[int]) -> int:
    return min(MAX_WEIGHT, sum(weights))


def combined(group: Sequence[Entry], weigh: Weigh) -> Entry:
    """Up if any is, with the weight of those that are."""
    word = next(word for word in _BEST if any(one.word == word for one in group))
    same = [one for one in group if one.word == word]
    weights = [one.weight for one in same if one.weight is not None]
    servers = {one.server for one in group}
    return Entry(
        servers.pop() if len(servers) == 1 else "",
        group[0].address,
        word,
        same[0].why,
        weigh(weights) if weights else None,
        total(one.active for one in group),
        total(one.inactive for one in group),
        total(one.total for one in group),
    )


def total(numbers: Iterable[int | None]) -> int | None:
    told = [one for one in numbers if one is not None]
    return sum(told) if told else None


def names_of(entries: Sequence[Entry]) -> list[str]:
    """What members made here are called: as there, where that is a name and only one has it, else by address."""
    count: dict[str, int] = {}
    for one in entries:
        count[one.server] = count.get(one.server, 0) + 1
    addresses = {one.address for one in entries}
    return [
        one.server if count[one.server] == 1 and one.server not in addresses and _is_name(one.server) else one.address
        for one in entries
    ]


@lru_cache(maxsize=1 << 14)
def _is_name(text: str) -> bool:
    try:
        return bool(text) and name(text) == text
    except ValueError:
        return False


def part_of(following: Following) -> str:
    return following.part or "its list"
