"""What /status says, as rows for people: services, members, alarms, events. `status` and `top` both draw from it. Pure.

Tolerant on purpose: a field that is missing is shown as nothing, so that a console of one version can watch a server
of another. Must not know: terminals, HTTP, sorting keys pressed by people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rrdns.texts import clean, clock, duration, plural, rate
from rrdns.ui import fairness, name_rows, schemes
from rrdns.ui.console import ALARM, WARN, Cell, state_style
from rrdns.ui.director_rows import DirectorRow as DirectorRow
from rrdns.ui.director_rows import directors as directors
from rrdns.ui.director_rows import voice_phrase as voice_phrase

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AddressRow:
    address: str
    state: str
    reason: str
    since: float | None
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One member of one pool. `since` is an age in seconds; `override` is a whole phrase or empty."""

    pool: str
    name: str
    state: str
    why: str
    since: float | None
    weight: float
    effective: float
    share: float
    answers: int
    rate: float
    serving: bool
    override: str
    counter: str
    addresses: tuple[AddressRow, ...]
    names: tuple[str, ...] = ()
    """The host names it is given by."""
    wanted: float | None = None
    answered: float | None = None
    connected: float | None = None
    moved: str = ""
    """What besides its weight decides how often it is answered: `correction 0.83`."""

    @property
    def path(self) -> str:
        return f"{self.pool}/{self.name}"

    @property
    def reason(self) -> str:
        """Why it is as it is: the operator's word first, then what may turn it, then the verdict's own reason."""
        why = self.why or next((one.reason for one in self.addresses if one.state == self.state), "")
        return "; ".join(word for word in (self.override, self.counter, why, self.moved) if word)

    @property
    def problem(self) -> bool:
        return self.state != "up" or any(one.state != "up" for one in self.addresses)


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One name that is served from a pool. `serving` is (member, share) in the pool's order."""

    name: str
    pool: str
    state: str
    why: str
    ttl: int
    ttl_max: int
    ttl_why: str
    types: str
    scheduler: str
    rate: float
    serving: tuple[tuple[str, float], ...]

    @property
    def problem(self) -> bool:
        return self.state not in ("ok", "")


def members(status: Json) -> list[MemberRow]:
    return [
        _member(str(pool), str(name), member, set(facts.get("serving", ())))
        for pool, facts in status.get("pools", {}).items()
        for name, member in facts.get("members", {}).items()
    ]


def _member(pool: str, name: str, member: Json, serving: set[str]) -> MemberRow:
    addresses = tuple(_address(one) for one in member.get("addresses", ()))
    state = str(member.get("state", "unknown"))
    override = member.get("override")
    return MemberRow(
        clean(pool),
        clean(name),
        state,
        clean(member.get("why", "")),
        _since(state, addresses, override),
        member.get("weight", 0),
        member.get("effective_weight", member.get("weight", 0)),
        member.get("share") or 0.0,
        member.get("answers") or 0,
        member.get("rate") or 0.0,
        name in serving,
        "; ".join(override_phrase(one) for one in (override, member.get("weighed")) if one),
        next(
            (_counter(one) for each in member.get("addresses", ()) for one in each.get("checks", ()) if _counter(one)),
            "",
        ),
        addresses,
        tuple(clean(one) for one in member.get("names") or ()),
        member.get("wanted"),
        member.get("answered"),
        member.get("connected"),
        fairness.moved_phrase(member),
    )


def _since(state: str, addresses: tuple[AddressRow, ...], override: Json | None) -> float | None:
    """How long the member has been so: by the override that makes it so, else by its last address to become so."""
    if override and state in ("drained", "disabled"):
        return override.get("since")
    same = [one.since for one in addresses if one.state == state and one.since is not None]
    every = [one.since for one in addresses if one.since is not None]
    return min(same or every, default=None)


def _address(one: Json) -> AddressRow:
    return AddressRow(
        clean(one.get("address", "")),
        str(one.get("state", "unknown")),
        clean(one.get("reason", "")),
        one.get("since"),
        tuple(check_phrase(check) for check in one.get("checks", ())),
    )


def check_phrase(check: Json) -> str:
    """`web: up (HTTP 200 in 3ms, 1s ago)`; while a counter runs also `2 failures so far` or `1 of 3 successes`."""
    last = clean(check.get("reason", ""))
    if check.get("at"):
        last += f", asked at {clean(check['at'])}"
    if check.get("took"):
        last += f" in {duration(check['took'])}"
    if check.get("seen_age") is not None:
        last += f", {duration(check['seen_age'])} ago"
    counter = _counter(check)
    inside = "; ".join(word for word in (last, counter) if word)
    return f"{clean(check.get('check', '?'))}: {clean(check.get('state', '?'))}" + (f" ({inside})" if inside else "")


def _counter(check: Json) -> str:
    """The counter that may turn the verdict, in words."""
    if check.get("state") == "down":
        successes = check.get("successes")
        return f"{successes} of {check.get('need') or '?'} successes" if successes else ""
    return f"{plural(check['failures'], 'failure')} so far" if check.get("failures") else ""


def override_phrase(override: Json) -> str:
    """`drain by root: kernel update (1h 20m left)`."""
    text = clean(override.get("word", "?"))
    if override.get("owner"):
        text += f" by {clean(override['owner'])}"
    if override.get("reason"):
        text += f": {clean(override['reason'])}"
    if override.get("left") is not None:
        text += f" ({duration(override['left'])} left)"
    return text


def services(status: Json) -> list[ServiceRow]:
    pools = status.get("pools", {})
    return [
        _service(str(name), one, pools.get(one.get("pool"), {})) for name, one in status.get("services", {}).items()
    ]


def _service(name: str, one: Json, pool: Json) -> ServiceRow:
    return ServiceRow(
        clean(name),
        clean(one.get("pool", "")),
        str(pool.get("state", "")),
        clean(pool.get("why", "")),
        one.get("ttl", 0),
        one.get("ttl_max", one.get("ttl", 0)),
        clean(one.get("ttl_why", "")),
        " ".join(one.get("types", ())),
        str(one.get("scheduler", "")),
        one.get("rate") or 0.0,
        tuple((clean(who), schemes.share(pool, who)) for who in pool.get("serving", ())),
    )


def alarms(status: Json) -> Iterator[Cell]:
    """What someone must know first, worst first; most often nothing."""
    reload = status.get("reload", {})
    if reload.get("state") in ("refused", "kept"):
        yield f"{_reload_words(reload, status.get('time', 0.0))}", ALARM
    for worker in status.get("workers", ()):
        if worker.get("stale"):
            yield f"worker {worker.get('pid')} answers without control's word for too long", ALARM
        if worker.get("errors"):
            yield (
                f"worker {worker.get('pid')}: {plural(worker['errors'], 'packet')} raised an error (see the log)",
                WARN,
            )
    if any(one.get("confined") is False and one.get("state") == "serving" for one in status.get("workers", ())):
        yield "workers can open files and start programs: this kernel has neither Landlock nor seccomp for us", WARN
    store = status.get("store", {})
    if store.get("state") not in (None, "ok"):
        yield f"in force, NOT saved: {clean(store.get('why', 'the state folder cannot be written'))}", ALARM
    journal = status.get("journal", {})
    if journal.get("state") == "failing":
        now, age = status.get("time") or 0.0, journal.get("since")
        since = f" since {clock(now - age, now)} ({duration(age)})" if age is not None else ""
        text = f"inputs are NOT journaled{since}: {clean(journal.get('why', ''))}"
        yield f"{text}; replay and explain --at will have a hole there", WARN
    isolation = status.get("isolation", {})
    if isolation.get("held"):
        left = f" (for {duration(isolation['left'])} more)" if isolation.get("left") is not None else ""
        yield f"self-isolation: the last states are held{left}: {clean(isolation.get('why', ''))}", WARN
    yield from _by_hand(status)
    for row in directors(status):
        if row.state in ("stale", "fault"):
            holds = "its last word has no vote any more" if row.state == "stale" else "its last word holds"
            yield f"director {row.name} {row.state}: {row.reason}" + (f"; {holds}" if row.age is not None else ""), WARN
    for text in name_rows.troubles(status):
        yield text, WARN
    yield from fairness.unbalanced(status)
    for name, pool in status.get("pools", {}).items():
        if pool.get("state") in ("down", "panic"):
            why = clean(pool.get("why", ""))
            yield f"pool {clean(name)} {pool['state']}{': ' + why if why else ''}", ALARM


def _by_hand(status: Json) -> Iterator[Cell]:
    """What operators have said that makes answers other than they would be: holds, and members forced up."""
    pools = status.get("pools", {})
    for one in status.get("overrides", ()):
        pool, member = clean(one.get("pool", "")), clean(one.get("member", ""))
        if one.get("word") == "hold":
            yield f"{f'pool {pool}' if pool else 'everything'} is held as it is: {override_phrase(one)}", WARN
        elif one.get("word") in ("force-up", "drill"):
            its = pools.get(one.get("pool"), {}).get("members", {}).get(one.get("member"), {})
            checked = "; ".join(dict.fromkeys(clean(each.get("reason", "")) for each in _against(its)))
            against = f"; its checks say: {checked}" if checked else ""
            yield f"{pool}/{member}: {override_phrase(one)}{against}", WARN


def _against(member: Json) -> list[Json]:
    """The checks that say down."""
    return [one for each in member.get("addresses", ()) for one in each.get("checks", ()) if one.get("state") == "down"]


def _reload_words(reload: Json, now_wall: float) -> str:
    when = reload.get("when")
    at = f" at {clock(when, now_wall)}" if when else ""
    count = plural(len(reload.get("problems", ())), "problem")
    if reload.get("state") == "kept" or reload.get("source") == "accepted":
        return f"the zone files are bad ({count}{at}); serving the last accepted ones"
    return f"reload refused{at} ({count}); the files accepted before stay in force"


def reload_problems(status: Json) -> list[str]:
    """The problems of a refused load, one a line."""
    reload = status.get("reload", {})
    return [clean(problem) for problem in reload.get("problems", ())] if reload.get("state") != "ok" else []


def event_cells(event: Json, now_wall: float) -> list[Cell]:
    """When, what, from, to, why."""
    before, after = clean(event.get("before", "")), clean(event.get("after", ""))
    return [
        (clock(event.get("time", 0.0), now_wall), "dim"),
        (f"{clean(event.get('subject', ''))} {clean(event.get('name', ''))}", "bold"),
        (f"{before} → {after}" if before else after, state_style(after)),
        (clean(event.get("why", "")), ""),
    ]


def title_words(status: Json) -> list[str]:
    """What stands at the top: version, rate, workers, uptime."""
    workers = status.get("workers", ())
    alive = sum(worker.get("state") == "serving" for worker in workers)
    of = f"{alive} of {plural(len(workers), 'worker')}" if alive < len(workers) else plural(alive, "worker")
    restarts = sum(worker.get("restarts", 0) for worker in workers)
    words = [f"rrdns {clean(status.get('version', '?'))}", f"{rate(status.get('qps') or 0.0)} q/s", of]
    if restarts:
        words[-1] += f" ({plural(restarts, 'restart')})"
    told = directors(status)
    if told:
        read = sum(row.state == "up" for row in told)
        words.append(f"{read} of {plural(len(told), 'director')}" if read < len(told) else plural(read, "director"))
    words.append(f"up {duration(status.get('uptime') or 0.0)}")
    return words


def since_text(age: float | None) -> str:
    return "" if age is None else duration(age)


def weight_text(row: MemberRow) -> str:
    """`20`, or `20→5` where something lowers it."""
    plain, now = f"{row.weight:g}", f"{row.effective:g}"
    return plain if plain == now or row.state != "up" else f"{plain}→{now}"
