"""What is told with an answer that is not as good as it looks: an Extended DNS Error (RFC 8914). Floor 3, pure.

| the pool answers with                        | code              | why this one                                      |
|----------------------------------------------|-------------------|---------------------------------------------------|
| members known up, drained ones too           | none              | every address is good                             |
| members nobody could judge yet (unknown)     | 3, Stale Answer   | } data given instead of an error, though nobody   |
| all or the last ones, all down (when_down)   | 3, Stale Answer   | } could make sure that it still holds: section 4.4|
| everybody, because too few are up (panic)    | 3, Stale Answer   | }                                                 |
| sorry addresses, nothing, SERVFAIL           | 0, Other          | on purpose, and no other code says so: section 4.1|
| SERVFAIL, because no member is known yet     | 14, Not Ready     | its director has told of none: section 4.15       |

22 (No Reachable Authority) and 23 (Network Error) are about other name servers, and a member that answers 503 can be
reached. The text says how many hosts are known good. Must not know: EDNS.
"""

from __future__ import annotations

from collections.abc import Sequence

from rrdns.failover import Host, Selection
from rrdns.model import State

OTHER, STALE, NOT_READY = 0, 3, 14
_KNOWN_GOOD = ("available", "drained")


def of(selection: Selection, hosts: Sequence[Host], when_down: str) -> bytes:
    """The INFO-CODE and EXTRA-TEXT for a pool's answers; empty where there is nothing to tell."""
    if selection.rung in _KNOWN_GOOD:
        return b""
    if not hosts and selection.servfail:
        return NOT_READY.to_bytes(2, "big") + b"no host known yet"
    good = sum(one.state is State.UP and not one.disabled for one in hosts)
    code = OTHER if selection.rung == "when_down" and when_down not in ("all", "last") else STALE
    return code.to_bytes(2, "big") + f"{good} of {len(hosts)} hosts known good".encode()
