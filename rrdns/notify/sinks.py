"""A sink: whom to tell, of what, and how. Floor 1, pure: plain data, and what passes its filter.

No password or token stands here: `..._from` is `file:PATH` or `env:NAME`, read at each try. Must not know: how
anything is sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from rrdns.notify.notices import USUAL, Notice

TYPES = ("command", "webhook", "mail", "apprise")
FORMATS = ("json", "alertmanager")
TLS = ("starttls", "tls", "none")


@dataclass(frozen=True, slots=True)
class Sink:
    """Times in seconds.

    on, pools       the subjects it hears of; names of pools, `*` stands for anything, () for all
    quiet, longest  a message waits until nothing has been added for `quiet`, but no longer than `longest`
    keep            what could not be delivered for so long is dropped
    format          of a webhook: json | alertmanager
    tls             of mail: starttls | tls | none
    """

    name: str
    type: str
    on: tuple[str, ...] = USUAL
    pools: tuple[str, ...] = ()
    quiet: float = 5.0
    longest: float = 30.0
    keep: float = 4 * 3600.0
    timeout: float = 10.0
    command: tuple[str, ...] = ()
    url: str = ""
    url_from: str = ""
    format: str = "json"
    headers: tuple[tuple[str, str], ...] = ()
    token_from: str = ""
    verify: bool = True
    server: str = ""
    tls: str = "starttls"
    user: str = ""
    password_from: str = ""
    sender: str = ""
    to: tuple[str, ...] = ()

    @property
    def repeats(self) -> bool:
        """Whether it wants to hear again and again of what goes on."""
        return self.type == "webhook" and self.format == "alertmanager"

    @property
    def where(self) -> str:
        """What it sends to, as everybody may read it: of a URL only scheme and host, the rest is often a secret."""
        if self.type == "command":
            return self.command[0]
        if self.type == "mail":
            return f"{', '.join(self.to)} by {self.server}"
        if self.type == "webhook" and self.url:
            parts = urlsplit(self.url)
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        return self.url.partition(":")[0] + ":..." if self.url else self.url_from

    def wants(self, notice: Notice) -> bool:
        if notice.subject not in self.on:
            return False
        return not self.pools or not notice.pool or any(_fits(notice.pool, one) for one in self.pools)

    def plain(self) -> dict[str, Any]:
        """As JSON would have it; `of` reads it back."""
        return dict(json.loads(json.dumps(asdict(self))))


def of(data: Mapping[str, Any]) -> Sink:
    """A sink as `plain` wrote it; lists may stand for tuples."""
    names = {one.name for one in fields(Sink)}
    found = {name: value for name, value in data.items() if name in names}
    for name in ("on", "pools", "command", "to"):
        found[name] = tuple(found.get(name, USUAL if name == "on" else ()))
    found["headers"] = tuple((str(key), str(value)) for key, value in found.get("headers", ()))
    return Sink(**found)


def _fits(name: str, pattern: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None
