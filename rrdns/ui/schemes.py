"""A pool's failover scheme in words, for `status`, `explain` and `top`. Pure; must not know: how schemes decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rrdns.texts import clean, duration

Json = Mapping[str, Any]
SHOWN = 8


def phrase(pool: Json) -> str:
    """`rotating-standby: holder web2; queue web3, web1`; "" for a pool without a scheme that nobody helps."""
    words = list(_words(pool))
    scheme = clean(pool.get("scheme") or ("fallback" if pool.get("fallback") else ""))
    if not (scheme or words):
        return ""
    return ": ".join(word for word in (scheme, "; ".join(words)) if word)


def _words(pool: Json) -> Iterator[str]:
    if pool.get("tier") is not None:
        yield f"tier {pool['tier']} serves"
    if pool.get("scheme") == "rotating-standby":
        yield f"holder {clean(pool['holder'])}" if pool.get("holder") else "nobody holds"
    if pool.get("queue"):
        names = [clean(one) for one in pool["queue"]]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        yield f"queue {', '.join(names[:SHOWN])}{more}"
    if pool.get("from_pool"):
        yield f"served by {clean(pool['from_pool'])} ({clean(pool.get('how') or 'fallback')})"
    if pool.get("shed"):
        yield f"{', '.join(clean(one) for one in pool['shed'][:SHOWN])} shed to {', '.join(pool.get('to_pools', ()))}"
    if pool.get("due") is not None:
        yield f"hosts return in {duration(pool['due'])}"
    elif pool.get("waits"):
        yield "hosts are well and wait for rrdns failback"
    if pool.get("promotion"):
        yield _promotion(pool["promotion"])
    for how in ("backup", "partner", "fallback"):
        if pool.get(how) and pool.get("from_pool") != pool[how]:
            yield f"{how} {clean(pool[how])}"


def _promotion(one: Json) -> str:
    """`failover to db2 blocked: /sbin/fence exited 1; tried again in 8 s (try 3)`."""
    who = ", ".join(clean(name) for name in one.get("coming", ())[:SHOWN])
    words = f"{clean(one.get('reason', ''))} to {who} {clean(one.get('state', ''))}: "
    if one.get("again") is not None:
        words += f"{clean(one.get('why', ''))}; tried again in {duration(one['again'])}"
    else:
        words += f"{clean(one.get('command', ''))} runs"
    tries = one.get("tries", 1)
    return words + (f" (try {tries})" if tries > 1 else "")


def share(pool: Json, who: str) -> float:
    """The part of the answers of who serves, of its own members or borrowed."""
    one = pool.get("members", {}).get(who) or pool.get("borrowed", {}).get(who) or {}
    return one.get("share") or 0.0
