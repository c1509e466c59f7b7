"""Draws a page of `rrdns top` as SVG, from a pretend server's snapshots of one minute. The same at every run.

The snapshot has what `rrdns/control/overview.py` gives at /status; the picture is `rrdns.ui.screen`'s own.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from rrdns.ui.console import joined
from rrdns.ui.screen import Link, picture
from rrdns.ui.sparkline import KEPT, History
from rrdns.ui.view import PANES, Scene, View

Json = dict[str, Any]

HOME = Path(__file__).resolve().parent.parent
NOON = 1_767_268_800.0  # 2026-01-01 12:00:00 UTC
POOL = "web"


def main() -> None:
    asked = arguments()
    os.environ["TZ"] = "UTC"  # clock times in the picture
    time.tzset()
    width, height = (int(one) for one in asked.size.split("x"))
    asked.file.write_text(svg(asked.page, width, height), encoding="utf-8")
    print(f"{asked.file}: rrdns top, {asked.page}, {width}x{height}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/screenshot", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--page", choices=sorted(PANES), default="overview")
    parser.add_argument("--size", default="120x32", help="cells, WIDTHxHEIGHT")
    parser.add_argument("file", nargs="?", type=Path, default=HOME / "docs" / "top.svg")
    return parser.parse_args()


def svg(page: str, width: int, height: int) -> str:
    history = History()
    for second in range(KEPT):
        history = history.after(status(second))
    view = View(page=page, pane=PANES[page][0], pool=POOL, at={"members": 3, "pool": 3})
    lines, _ = picture(Scene.of(status(KEPT - 1), history), view, Link(), width, height)
    console = Console(
        record=True, file=io.StringIO(), width=width, height=height, force_terminal=True, color_system="truecolor"
    )
    console.print(joined(lines))
    return console.export_svg(title="rrdns top", unique_id="top")


# ---------------------------------------------------------------- the pretend server


def status(second: int) -> Json:
    """The snapshot of one second; `web4` fell silent 42 seconds before the last."""
    pools = {"web": web(second), "mail": mail(second), "lvs": lvs(second)}
    services = {
        "www.lb.example.com.": service("web", 5, "web/web4 may come back", wave(second, 610, 90, 9)),
        "api.lb.example.com.": service("web", 20, "", wave(second, 1240, 420, 17)),
        "mx.lb.example.com.": service("mail", 60, "", wave(second, 34, 12, 5)),
        "shop.lb.example.com.": service("lvs", 20, "", wave(second, 280, 60, 31)),
    }
    return {
        "version": "0.1.0",
        "time": NOON + second - KEPT + 1,
        "uptime": 273_000.0 + second,
        "qps": sum(one["rate"] for one in services.values()) + 12,
        "control": {"pid": 4711, "state": "serving", "since_age": 273_000.0},
        "workers": [{"pid": 4712 + index, "state": "serving", "restarts": 0, "confined": True} for index in range(4)],
        "listen": ["192.0.2.1:53", "[2001:db8::1]:53"],
        "pools": pools,
        "services": services,
        "overrides": [override("web", "web5", DRAIN), override("mail", "mx2", WEIGHT)],
        "directors": {
            "lvs1": {"state": "up", "age": 0.8, "took": 0.003, "servers": 2, "reason": "", "type": "ipvs",
                     "pools": ["lvs"], "master": None, "since": 273_000.0},
        },
        "reload": {"state": "ok", "when": NOON - 7200, "problems": [], "source": "zones"},
        "store": {"state": "ok", "why": ""},
        "isolation": {"held": False, "why": "", "left": None},
        "events": events(),
    }  # fmt: skip


DRAIN = {"word": "drain", "owner": "ann", "reason": "kernel update", "since": 2400.0, "left": 4800.0}
WEIGHT = {"word": "weight", "owner": "bob", "reason": "new disk", "since": 900.0, "left": None}


def override(pool: str, member: str, said: Json) -> Json:
    return {"pool": pool, "member": member, **said}


def wave(second: int, middle: float, swing: float, period: float) -> float:
    """Traffic as it comes and goes, with a little unrest in it."""
    return middle + swing * math.sin(second / period * 2) + swing / 3 * math.sin(second * 2.7)


def service(pool: str, ttl: int, why: str, rate: float) -> Json:
    return {"pool": pool, "ttl": ttl, "ttl_max": max(20, ttl), "ttl_why": why, "types": ["A", "AAAA"],
            "scheduler": "wrr", "rate": rate}  # fmt: skip


def member(address: str, share: float, reason: str = "HTTP 200", **more: Any) -> Json:
    state = more.pop("state", "up")
    verdict = "up" if state == "drained" else state
    since = more.pop("since", 273_000.0)
    one = {"address": address, "state": verdict, "reason": reason, "since": since, "checks": []}
    return {"state": state, "why": "", "weight": 10, "effective_weight": 10, "share": share, "wanted": share,
            "override": None, "addresses": [one], **more}  # fmt: skip


def pool(members: Json, **more: Any) -> Json:
    serving = [name for name, one in members.items() if one["share"]]
    return {"state": "ok", "why": "", "serving": serving, "scheme": None, "holder": None, "queue": [], "quorum": 1,
            "scheduler": "wrr", "members": members, **more}  # fmt: skip


def web(second: int) -> Json:
    rate = wave(second, 610, 90, 9) + wave(second, 1240, 420, 17)
    found = {}
    for index, (share, answered) in enumerate(((0.29, 0.288), (0.29, 0.291), (0.29, 0.292), (0.13, 0.129)), 1):
        name = index if index < 4 else 6
        found[f"web{name}"] = member(f"192.0.2.{10 + name}", share, answered=answered, rate=share * rate,
                                     answers=41_200_000 + 1_370_000 * index)  # fmt: skip
    found["web6"]["addresses"][0]["since"] = 312.0
    found["web6"] |= {"slow_start": 0.45, "effective_weight": 4.5, "wanted": 0.25}
    found["web4"] = member("192.0.2.14", 0.0, "timed out after 2s connecting", state="down", since=42.0, rate=0.0,
                           answers=39_800_000, answered=0.0)  # fmt: skip
    found["web5"] = member(
        "192.0.2.15", 0.0, state="drained", override=DRAIN, rate=0.0, answers=40_100_000, answered=0.0
    )
    return pool({name: found[name] for name in sorted(found)}, when_down="all")


def mail(second: int) -> Json:
    rate = wave(second, 34, 12, 5)
    members = {
        "mx1": member("192.0.2.21", 0.0, "220 mx1 ESMTP", rate=0.0, answers=918_000),
        "mx2": member("192.0.2.22", 1.0, "220 mx2 ESMTP", rate=rate, answers=1_290_000),
        "mx3": member("192.0.2.23", 0.0, "220 mx3 ESMTP", rate=0.0, answers=455_000),
    }
    return pool(members, scheme="rotating-standby", holder="mx2", queue=["mx3", "mx1"])


def lvs(second: int) -> Json:
    rate = wave(second, 280, 60, 31)
    found = {}
    for index, (share, active) in enumerate(((0.6, 84), (0.4, 55)), 1):
        voice = {"name": "lvs1", "word": "up", "why": "up at lvs1", "since": 273_000.0, "weight": 60 - 20 * (index - 1),
                 "active": active, "inactive": 12}  # fmt: skip
        found[f"rs{index}"] = member(f"198.51.100.{index}", share, "up at lvs1", rate=share * rate, director=voice,
                                     answers=9_100_000 * index, connected=share, answered=share)  # fmt: skip
    return pool(found, scheduler="wlc")


def events() -> list[Json]:
    told = (
        (2400.0, "override", "web/web5", "", "drain", "by ann: kernel update"),
        (900.0, "override", "mail/mx2", "", "weight", "by bob: new disk"),
        (640.0, "failover", "mail", "mx1", "mx2", "mx1 went down; the next in the queue"),
        (312.0, "member", "web/web6", "down", "up", "3 successes: HTTP 200"),
        (42.0, "member", "web/web4", "up", "down", "timed out after 2s connecting"),
    )
    names = ("subject", "name", "before", "after", "why")
    return [{"time": NOON - ago, **dict(zip(names, words, strict=True))} for ago, *words in told]


if __name__ == "__main__":
    main()
