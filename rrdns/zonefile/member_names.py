"""Members given by host name: how a name is written, and where it must not lead. Floor 1, pure.

| written                      | is                                                                        |
|------------------------------|---------------------------------------------------------------------------|
| `192.0.2.11`, `2001:db8::11` | an address                                                                |
| `app1.example.net.`          | a name, followed by asking for its A and AAAA as long as we serve         |
| `app1.example.net`           | refused: names end in a dot here, as targets do in zone files             |
| `192.0.2.300`, `192.0.2.`    | refused: the last part of a name begins with no digit, so it is a slip    |

A name that leads to a POOL of ours is refused: the pool would follow its own answers, or another pool's without its
weights and health. Must not know: how names are resolved.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from rrdns import wire
from rrdns.zonefile import readers
from rrdns.zonefile.complaints import Spot
from rrdns.zonefile.drafts import ZoneDraft
from rrdns.zonefile.scalars import show
from rrdns.zonefile.targets import Atlas, Kind
from rrdns.zonefile.yaml_nodes import Map, Seq

MAX_CHAIN = 12  # aliases of our own that are followed

Ref = tuple[str, Spot, str]
"""A name, and where and at which path it stands."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_NUMBERS = re.compile(r"(.*\.)?[0-9][^.]*\.?")


def read(value: object) -> str:
    """An address in canonical text, or a host name: lower-case, with the final dot."""
    text = value if isinstance(value, str) else ""
    if _NUMBERS.fullmatch(text) or ":" in text or not text:
        return readers.address(value)
    if not _NAME.fullmatch(text):
        what = "letters, digits and hyphens, with a final dot; others as xn--..."
        raise ValueError(f"{show(text)} is neither an IP address nor a host name ({what})")
    if not text.endswith("."):
        whole = f"({text}.)" if "." in text else f"({text}.example.net.)"
        raise ValueError(f"{show(text)} is no address, and no whole name: host names end in a dot here {whole}")
    if len(text) > 254:
        raise ValueError(f"{show(text)} is no host name: it is longer than 255 bytes")
    return text.lower()


def is_name(text: str) -> bool:
    """Of what `read` gave."""
    return text.endswith(".")


def called(first: str) -> str:
    """What a member of a list is called that has no name: as its first address, or host name, is."""
    return first.removesuffix(".")


def refs(body: Map, path: str) -> tuple[Ref, ...]:
    """The host names among a pool's members, and where they stand."""
    return tuple(_refs(body.get("members"), f"{path}.members"))


def _refs(members: object, path: str) -> Iterator[Ref]:
    if isinstance(members, Map):
        every = [(name, one, members.at(name)) for name, one in members.items()]
    elif isinstance(members, Seq):
        every = [(str(at), one, spot) for at, (one, spot) in enumerate(zip(members, members.spots, strict=True))]
    else:
        return
    for name, one, spot in every:
        where = f"{path}.{name}"
        found: object = one
        if isinstance(one, Map):
            found, spot, where = one.get("address"), one.at("address"), f"{where}.address"
        several = zip(found, found.spots, strict=True) if isinstance(found, Seq) else [(found, spot)]
        for text, at in several:
            if isinstance(text, str) and text.endswith("."):
                yield text.lower(), at, where


def judge(drafts: Mapping[bytes, ZoneDraft], pools: Iterable[tuple[str, tuple[Ref, ...]]]) -> Iterator[tuple[str, Ref]]:
    """The names that lead to a POOL of ours, as (pool that has it, the name's place and why it can't be)."""
    atlas = Atlas(drafts)
    for pool, names in pools:
        for text, spot, path in names:
            try:
                name = wire.name_from_text(text).lower()
            except wire.BadName:
                continue
            if why := _leads_home(atlas, name, pool):
                yield pool, (f"{text} {why}", spot, path)


def _leads_home(atlas: Atlas, name: bytes, pool: str) -> str:
    via = ""
    for _ in range(MAX_CHAIN):
        found = atlas.find(name)
        if found.kind is not Kind.FOUND or found.view is None:
            return ""
        draft = found.view.draft
        if found.owner in draft.services:
            its = draft.services[found.owner]
            where = f"is {via}the POOL at {draft.out.place(its.spot)}, which this server itself answers"
            if its.pool == pool:
                return f"{where} from this pool: it would follow its own answers"
            return f"{where}: write its members' addresses, or fallback: {its.pool}"
        alias = draft.sets.get(found.owner, {}).get(wire.CNAME)
        if alias is None:
            return ""
        name = alias.rdatas[0].lower()
        via = "an alias of "
    return ""
