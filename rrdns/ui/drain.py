"""`rrdns drain MEMBER --wait`: out of the answers now; ends when it is shown that no new clients come any more.

    the answers   leave out the member as soon as the server has the word
    the caches    hold what was answered before for the longest TTL of its pool's names, some resolvers longer
    the proof     new connections, as its director counts them, stay under a threshold for QUIET seconds; what came
                  after the caches must have run out is the tail, and is told

Without a director that counts there is no proof: then it waits three times the TTL and says so. `Watch` is pure, time
is an argument. Must not know: how the server drains.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from rrdns.texts import clean, duration, plural
from rrdns.ui import commands
from rrdns.ui.client import Client, Unreachable
from rrdns.ui.commands import FINE, NOT_SAVED, PROBLEMS

Json = Mapping[str, Any]
EVERY = 1.0
QUIET = 10.0
BLIND = 3  # times the TTL, where nobody counts
PART = 0.02  # of the member's rate of new connections before: less is quiet
LEAST = 0.1  # a second: less than that is quiet anyway
SAME = 0.3  # seconds between two readings of a director at least
GRACE = 3.0  # seconds for the word to reach the answers
TIMEOUT = 900.0


class Watch:
    """One member, from its drain on. `see` takes a snapshot; then `phase` and `said` tell what is new of it.

    | phase    |                                                                          |
    |----------|--------------------------------------------------------------------------|
    | caches   | out of the answers; caches may still hold it                             |
    | tail     | caches must have run out, and there are still new connections            |
    | quiet    | over: connections stayed under the threshold                             |
    | blind    | over: nobody counts; three times the TTL has passed                      |
    | answered | over: the server answers with it all the same                            |
    | enabled  | over: somebody has ended the drain                                       |
    """

    def __init__(self, pool: str, member: str, began: float, before: float | None, threshold: float | None) -> None:
        self.pool, self.member, self.began = pool, member, began
        self.before = before
        self.threshold = threshold if threshold is not None else max(LEAST, PART * (before or 0.0))
        self.phase = "caches"
        self.ttl = 0.0
        self.director = ""
        self.active: int | None = None
        self.came = 0
        """New connections since the drain began, as far as they were counted."""
        self.tail = 0
        """Of these, after the caches must have run out."""
        self.last: float | None = None
        """When the last of them came, in seconds after the drain began."""
        self.counts = False
        self._total: int | None = None
        self._recent: deque[tuple[float, int]] = deque()

    @property
    def over(self) -> bool:
        return self.phase not in ("caches", "tail")

    @property
    def fine(self) -> bool:
        return self.phase in ("quiet", "blind")

    @property
    def path(self) -> str:
        return f"{self.pool}/{self.member}"

    def see(self, status: Json, now: float) -> None:
        pool = status.get("pools", {}).get(self.pool, {})
        member = pool.get("members", {}).get(self.member)
        passed = now - self.began
        if member is None or (member.get("override") or {}).get("word") not in ("drain", "disable"):
            if passed > GRACE:
                self.phase = "enabled"
            return
        if self.member in pool.get("serving", ()):
            if passed > GRACE:
                self.phase = "answered"
            return
        names = [one for one in status.get("services", {}).values() if one.get("pool") == self.pool]
        self.ttl = max([self.ttl, *(float(one.get("ttl_max", one.get("ttl", 0))) for one in names)])
        voice = member.get("director") or {}
        self.active = voice.get("active")
        self.director = clean(voice.get("name") or "") or self.director
        age = status.get("directors", {}).get(voice.get("name"), {}).get("age")
        self._count(voice.get("total"), now - (age or 0.0))
        run_out = passed >= self.ttl
        if self.counts:
            quiet = self._is_quiet()
            self.phase = "quiet" if run_out and quiet else "tail" if run_out else "caches"
        elif passed >= BLIND * self.ttl:
            self.phase = "blind"

    def _count(self, total: int | None, now: float) -> None:
        """A counter as the director was read at `now`; the same reading again says nothing."""
        if total is None or (self._recent and now - self._recent[-1][0] < SAME):
            return
        new = max(0, total - self._total) if self._total is not None else 0  # a counter that went back says nothing
        self._total, self.counts = total, True
        self.came += new
        if new:
            self.last = now - self.began
            if now - self.began >= self.ttl:
                self.tail += new
        self._recent.append((now, new))
        while len(self._recent) > 1 and self._recent[1][0] <= now - QUIET:
            self._recent.popleft()

    def _is_quiet(self) -> bool:
        """Whether readings lie QUIET seconds apart, and few enough came between them."""
        return self._recent[-1][0] - self._recent[0][0] >= QUIET and self._pace() <= self.threshold

    def _pace(self) -> float:
        """New connections a second in the last QUIET seconds; what the first of the readings saw came before."""
        passed = self._recent[-1][0] - self._recent[0][0]
        return sum(new for _, new in list(self._recent)[1:]) / passed if passed else 0.0

    def story(self, now: float) -> str:
        """How it ended, or stands."""
        took = duration(now - self.began)
        left = f", {plural(self.active, 'connection')} left there" if self.active else ""
        if self.phase == "quiet":
            tail = (
                f"{plural(self.tail, 'connection')} came after the caches must have run out" if self.tail else "no tail"
            )
            last = f", the last after {duration(self.last)}" if self.last is not None and self.tail else ""
            return f"{self.path}: quiet after {took}: {tail}{last}{left}; {self.director} counts no more new clients"
        if self.phase == "blind":
            return f"{self.path}: {took} have passed, three times the TTL; nobody counted whether clients still come"
        if self.phase == "answered":
            return f"{self.path} is still answered: nothing else is left in its pool"
        if self.phase == "enabled":
            return f"{self.path} is not drained any more: somebody has ended it, or it is gone"
        if not self.counts:
            return f"{self.path}: {took} have passed of three times the TTL ({duration(BLIND * self.ttl)})"
        if self._pace() <= self.threshold:
            return f"{self.path}: hardly a new connection after {took}{left}; watching until it was so for {QUIET:g} s"
        return f"{self.path}: new connections still come after {took}, {self._pace():.1f} a second{left}"

    def shown(self) -> dict[str, Any]:
        return {
            "phase": self.phase,
            "ttl": self.ttl,
            "director": self.director or None,
            "counted": self.counts,
            "threshold": self.threshold,
            "came": self.came if self.counts else None,
            "tail": self.tail if self.counts else None,
            "last": self.last,
            "active": self.active,
        }


# ---------------------------------------------------------------- the command


def run(args: argparse.Namespace) -> int:
    """`drain`, and with `--wait` until it is over."""
    if not args.wait:
        return commands.override(args)
    client = Client(args.control)
    before = _rates(client.get("/status"))
    asked = {"members": args.members, "word": "drain", "for": args.duration, "reason": args.reason, "force": args.force}
    answer = client.post("/override", asked, commands.OVERRIDE_TIMEOUT)
    began = time.monotonic()
    say = print if not args.json else _nothing
    watches = [Watch(pool, member, began, before.get((pool, member)), args.threshold)
               for pool, member in _drained(client.get("/status"), args.members)]  # fmt: skip
    say(f"drained: {', '.join(one.path for one in watches)}")
    if not answer.get("saved", True):
        commands.not_saved()
    code = _wait(client, watches, began + args.timeout, say)
    if args.json:
        members = {one.path: one.shown() for one in watches}
        whole = {"ok": code == FINE, "saved": answer.get("saved", True), "waited": time.monotonic() - began}
        print(json.dumps({**whole, "members": members}, indent=2))
    return NOT_SAVED if code == FINE and not answer.get("saved", True) else code


def _wait(client: Client, watches: list[Watch], end: float, say: Any) -> int:
    told: dict[str, str] = {}
    while True:
        now = time.monotonic()
        try:
            status = client.get("/status")
        except Unreachable as error:  # a restart of control is no reason to give up
            if now >= end:
                print(f"rrdns: {error}", file=sys.stderr)
                return PROBLEMS
            status = None
        for one in watches:
            if status is not None and not one.over:
                one.see(status, now)
                _tell(one, told, say, now)
        if all(one.over for one in watches):
            return FINE if all(one.fine for one in watches) else PROBLEMS
        if now >= end:
            for one in watches:
                if not one.over:
                    print(f"rrdns: given up: {one.story(now)}", file=sys.stderr)
            return PROBLEMS
        time.sleep(EVERY)


def _tell(one: Watch, told: dict[str, str], say: Any, now: float) -> None:
    """A line whenever something new begins."""
    if one.over:
        if one.fine:
            say(one.story(now))
        else:
            print(f"rrdns: {one.story(now)}", file=sys.stderr)
        return
    if one.path not in told and one.ttl:
        left = max(0.0, one.ttl - (now - one.began))
        at = time.strftime("%H:%M:%S", time.localtime(time.time() + left))
        say(f"{one.path}: out of the answers; caches must have run out at {at} (TTL {one.ttl:g} s)")
        if not one.counts:
            words = f"there will be no proof: waiting three times the TTL, {duration(BLIND * one.ttl)}"
            say(f"{one.path}: no director counts its connections, so {words}")
        told[one.path] = "caches"
    if one.phase == "tail" and told.get(one.path) == "caches":
        say(one.story(now))
        told[one.path] = "tail"


def _drained(status: Json, names: Iterable[str]) -> list[tuple[str, str]]:
    """The members meant that are drained now."""
    wanted = set(names)
    return [
        (str(pool), str(member))
        for pool, facts in status.get("pools", {}).items()
        for member, one in facts.get("members", {}).items()
        if wanted & {member, f"{pool}/{member}"} and (one.get("override") or {}).get("word") == "drain"
    ]


def _rates(status: Json) -> dict[tuple[str, str], float]:
    """New connections a second of each member, where a director counts them."""
    return {
        (str(pool), str(member)): float(one["connecting"])
        for pool, facts in status.get("pools", {}).items()
        for member, one in facts.get("members", {}).items()
        if one.get("connecting") is not None
    }


def _nothing(text: str) -> None:
    pass
