"""`rrdns drill POOL --for 5m`: a rehearsed failover, with a report of who took over and how long it took.

The members that serve get the word `drill`, which counts as a failure for the pool's own scheme; it ends by itself in
the server even when this process does not live to end it. Anything that gets worse meanwhile breaks the rehearsal
off. `Rehearsal` is pure: it looks at snapshots. Must not know: how schemes decide.
"""

from __future__ import annotations

import argparse
import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from rrdns.texts import clean, count, duration
from rrdns.ui.client import Client, Refused, Unreachable
from rrdns.ui.commands import FINE, NOT_SAVED, OVERRIDE_TIMEOUT, PROBLEMS, not_saved
from rrdns.ui.config import ConfigError
from rrdns.ui.present import Json

PERIOD = 0.25  # seconds between looks
GRACE = 10.0  # longer than asked for, the server waits for us to end it
SETTLE = 5.0  # seconds that the return may take
AWAY = 30.0  # seconds that a server may be away (a restart, an upgrade) when we want to end it there
_BEST_FIRST = ("ok", "degraded", "unknown", "panic", "down")


def run(args: argparse.Namespace) -> int:
    client = Client(args.control)
    status = client.get("/status")
    rehearsal = Rehearsal.of(status, args.pool, args.member)
    asked = {
        "members": [f"{args.pool}/{name}" for name in rehearsal.members],
        "word": "drill",
        "for": args.duration + GRACE,
        "reason": args.reason or "rehearsal",
        "force": args.force,
    }
    began = time.monotonic()
    saved = client.post("/override", asked, OVERRIDE_TIMEOUT).get("saved", True)
    if not args.json:
        print(f"{', '.join(rehearsal.members)} of {args.pool} taken out for {duration(args.duration)}; Ctrl-C ends it")
    _watch(client, rehearsal, began, args.duration)
    _end(client, rehearsal, asked["members"], began)
    report = rehearsal.report()
    print(json.dumps(report, indent=2) if args.json else "\n".join(lines(report)))
    if not saved:
        not_saved()
    return PROBLEMS if rehearsal.aborted else FINE if saved else NOT_SAVED


def _watch(client: Client, rehearsal: Rehearsal, began: float, seconds: float) -> None:
    """Until the time is over, or something gets worse, or somebody interrupts."""
    with _interrupts() as stopped:
        while not rehearsal.aborted and (lasted := time.monotonic() - began) < seconds:
            try:
                rehearsal.look(client.get("/status"), lasted)
            except (Unreachable, Refused) as error:
                rehearsal.aborted = f"the server can't be watched any more: {error}"
            time.sleep(min(PERIOD, max(0.0, seconds - (time.monotonic() - began))))
            if stopped:
                rehearsal.aborted = rehearsal.aborted or "interrupted"


def _end(client: Client, rehearsal: Rehearsal, members: list[str], began: float) -> None:
    """Gives back what was taken, and looks whether all is as before."""
    rehearsal.lasted = time.monotonic() - began
    ended = time.monotonic()
    try:
        _give_back(client, members)
        ended = time.monotonic()
        while True:
            rehearsal.after(client.get("/status"), time.monotonic() - ended)
            if rehearsal.settled or time.monotonic() - ended > SETTLE:
                return
            time.sleep(PERIOD)
    except (Unreachable, Refused) as error:
        left = duration(GRACE)
        rehearsal.aborted = rehearsal.aborted or "the end could not be told to the server"
        rehearsal.returned = f"the members return by themselves within {left} of the time asked for: {error}"


def _give_back(client: Client, members: list[str]) -> None:
    """A server that is away for a moment comes back, and the word with it: it was saved. It must not stand until its
    time is over."""
    asked = {"members": members, "word": "return", "reason": "rehearsal over"}
    until = time.monotonic() + AWAY
    while True:
        try:
            client.post("/override", asked, OVERRIDE_TIMEOUT)
            return
        except Unreachable:
            if time.monotonic() >= until:
                raise
            time.sleep(PERIOD)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Signals that end us only leave a note: the rehearsal must be ended in the server first."""
    found: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        found.append(number)

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield found
    finally:
        for number, old in before.items():
            signal.signal(number, old)


# ---------------------------------------------------------------- what is seen


@dataclass(slots=True)
class Rehearsal:
    """One drill, by the snapshots taken of it."""

    pool: str
    members: list[str]
    before: Json
    serving: list[str]
    ttls: dict[str, int]
    aborted: str = ""
    lasted: float = 0.0
    took_over: list[str] = field(default_factory=list)
    took: float | None = None
    answers: dict[str, int] = field(default_factory=dict)
    settled: bool = False
    returned: str = ""
    states: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, status: Json, pool: str, members: list[str]) -> Rehearsal:
        """Whom to take out: those named; with a scheme all of the pool's own that serve; else the one with the largest
        share. Raises ConfigError where that is nobody, or somebody an operator has spoken of already."""
        one = status.get("pools", {}).get(pool)
        if one is None:
            raise ConfigError(f"there is no pool {pool}; there are {', '.join(sorted(status.get('pools', {})))}")
        if one.get("held"):
            own = any(its.get("word") == "hold" and its.get("pool") == pool for its in status.get("overrides", ()))
            held = f"pool {pool} is held: nothing would take over; rrdns hold {pool} --release first"
            raise ConfigError(held if own else held.replace(f"hold {pool}", "hold"))
        known = one.get("members", {})
        chosen = [name.removeprefix(f"{pool}/") for name in members] or _chosen(one)
        for name in chosen:
            if name not in known:
                raise ConfigError(f"pool {pool} has no member {name}")
            if known[name].get("override"):
                raise ConfigError(
                    f"{name} has an override already ({known[name]['override'].get('word')}): enable it first"
                )
        if not chosen:
            raise ConfigError(f"nobody of its own serves pool {pool}: {one.get('why', '')}")
        services = {name: its for name, its in status.get("services", {}).items() if its.get("pool") == pool}
        ttls = {name: int(its.get("ttl", 0)) for name, its in services.items()}
        return cls(pool, chosen, status, list(one.get("serving", ())), ttls)

    def look(self, status: Json, lasted: float) -> None:
        """While it lasts."""
        one = status.get("pools", {}).get(self.pool, {})
        serving = list(one.get("serving", ()))
        if self.took is None and not set(serving) & set(self.members) and serving:
            self.took, self.took_over = lasted, [name for name in serving if name not in self.serving] or serving
        if not self.states or self.states[-1] != one.get("state"):
            self.states.append(str(one.get("state", "gone")))
        self.answers = self._counted(one)
        self.aborted = self.aborted or self._worse(status)

    def _counted(self, pool: Json) -> dict[str, int]:
        """Answers given with each member since the beginning."""
        old = self.before["pools"][self.pool].get("members", {})
        now = pool.get("members", {})
        counts = {
            name: (its.get("answers") or 0) - (old.get(name, {}).get("answers") or 0) for name, its in now.items()
        }
        return {name: number for name, number in counts.items() if number > 0}

    def _worse(self, status: Json) -> str:
        """What is worse than before, in words: a pool's state, or a member that fails and was not taken out."""
        for name, old in self.before.get("pools", {}).items():
            now = status.get("pools", {}).get(name)
            if now is None:
                return f"pool {name} is gone: the files have changed"
            expected = self.pool in (now.get("to_pools") or ())  # what it gives away is what is rehearsed,
            if name == self.pool and now.get("from_pool"):
                expected = now.get("state") == "degraded"  # and so is what it borrows
            if name == self.pool and (promotion := now.get("promotion")):
                expected = promotion.get("state") == "pending"  # its before_promote runs
            if not expected and _rank(now.get("state")) > _rank(old.get("state")):
                return f"pool {name} is {now.get('state')}: {now.get('why', '')}"
            for member, its in now.get("members", {}).items():
                was = old.get("members", {}).get(member, {}).get("state")
                if was == "up" and its.get("state") == "down":
                    return f"{name}/{member} is down: {its.get('why', '')}"
        if status["pools"][self.pool].get("held"):
            return f"pool {self.pool} is held now: nothing would take over"
        drilled = status["pools"][self.pool].get("members", {})
        for name in self.members:
            word = ((drilled.get(name) or {}).get("override") or {}).get("word")
            if word != "drill":
                return f"somebody else has spoken: {name} is no longer taken out"
        return ""

    def after(self, status: Json, since: float) -> None:
        """Once it is over."""
        one = status.get("pools", {}).get(self.pool, {})
        serving = list(one.get("serving", ()))
        self.settled = sorted(serving) == sorted(self.serving)
        if self.settled:
            self.returned = f"served by {', '.join(serving)} as before, {duration(since)} after the end"
            return
        waits = one.get("due")
        self.returned = f"now served by {', '.join(serving) or 'nobody'}"
        if waits is not None:
            self.returned += f"; {', '.join(self.members)} return in {duration(waits)} (failback)"
            self.settled = True
        elif one.get("waits"):
            self.returned += f"; to get {', '.join(self.members)} back: rrdns failback {self.pool}"
            self.settled = True
        elif one.get("scheme") == "rotating-standby":
            self.returned += f"; {', '.join(self.members)} wait in the queue"
            self.settled = True

    def report(self) -> Json:
        return {
            "pool": self.pool,
            "members": self.members,
            "aborted": self.aborted or None,
            "lasted": round(self.lasted, 3),
            "before": self.serving,
            "took_over": self.took_over,
            "took": round(self.took, 3) if self.took is not None else None,
            "states": self.states,
            "ttl": self.ttls,
            "answers": self.answers,
            "returned": self.returned,
        }


def _chosen(pool: Json) -> list[str]:
    members = pool.get("members", {})
    own = [name for name in pool.get("serving", ()) if name in members]
    if pool.get("scheme") or pool.get("fallback"):
        return own
    return sorted(own, key=lambda name: members[name].get("share") or 0.0)[-1:]


def _rank(state: object) -> int:
    return _BEST_FIRST.index(state) if state in _BEST_FIRST else len(_BEST_FIRST)


def lines(report: Json) -> Iterator[str]:
    """The report for people."""
    if report["aborted"]:
        yield f"broken off after {duration(report['lasted'])}: {clean(report['aborted'])}"
    else:
        yield f"over after {duration(report['lasted'])}, and nothing got worse"
    if report["took"] is None:
        yield "nobody took over"
    else:
        yield f"took over: {clean(', '.join(report['took_over']))}, seen after {duration(report['took'])}"
    if report["ttl"]:
        longest = max(report["ttl"].values())
        yield f"caches could go on with {clean(', '.join(report['members']))} for {longest} s (TTL)"
    given = ", ".join(f"{clean(name)} {count(number)}" for name, number in report["answers"].items())
    yield f"answers meanwhile: {given or 'none was asked for'}"
    yield clean(report["returned"])
