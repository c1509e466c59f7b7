"""What the file format has words for but this version does not do yet. It is refused, never ignored.

Each line goes when its feature comes. Must not know: anything but words.
"""

from __future__ import annotations

from rrdns import __version__

# level -> key
KEYS: dict[str, frozenset[str]] = {
    "file": frozenset(),
    "pool": frozenset(),
    "POOL": frozenset(),
}
SIGNATURES = frozenset({46, 47, 50, 51})  # RRSIG, NSEC, NSEC3, NSEC3PARAM

# octoDNS's words that stay out, each with what to do instead.
FOREIGN_KEYS = {
    "geo": "octoDNS's geo answers are not served: write a record per name, or a POOL",
    "dynamic": "octoDNS's dynamic pools are read at A and AAAA only: elsewhere write a record that points at a POOL",
}
FOREIGN_TYPES = {
    "ALIAS": "ALIAS is not served, it would need the target's addresses: use POOL with members, or A and AAAA",
    "URLFWD": "URLFWD is a web redirect of some providers, not DNS: point an A or POOL record at a web server",
}


def comes_later(what: str) -> str:
    """The one sentence for all of it."""
    return f"{what} comes with a later version of rrdns; this is {__version__}"
