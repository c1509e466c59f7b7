"""The types of directors: each one's reader, loaded when a director of its type is first asked. A type is a line here.

Must not know: when it is asked, what a table means.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping

from rrdns.directors.reach import Reach
from rrdns.model import Director, DirectorTable

Reader = Callable[[Director, Reach], Awaitable[DirectorTable]]


def _later(module: str) -> Reader:
    """The `read` of a module that is imported at the first question."""

    async def read(director: Director, reach: Reach) -> DirectorTable:
        reader: Reader = importlib.import_module(f"rrdns.directors.{module}").read
        return await reader(director, reach)

    return read


READERS: Mapping[str, Reader] = {
    "ipvs": _later("ipvs"),
    "keepalived": _later("keepalived"),
    "haproxy": _later("haproxy"),
    "lbcd": _later("lbcd"),
    "squid": _later("squid"),
    "apache": _later("apache"),
    "mod_jk": _later("mod_jk"),
    "envoy": _later("envoy"),
    "file": _later("file"),
    "http": _later("http_json"),
    "command": _later("command"),
}
