"""The metrics page: what there is to see of the server, as Prometheus reads it. The one user of prometheus_client.

Nothing is counted for it per query: workers' counters stand on the board, answers per member follow from the rings'
cursors. A page is a picture of the roster, taken as `status` takes its own, and a text made of it in a thread; it is
made at most once a second, however many ask. Every name is in NAMES, which the dashboard and the alert rules are
held against. Must not know: HTTP, how anything is decided.
"""

from __future__ import annotations

import asyncio
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector

from rrdns import __version__, board, isolation, wire
from rrdns.board import Board
from rrdns.checks.jobs import Stats
from rrdns.control.clock import Clock
from rrdns.control.counters import Tally
from rrdns.control.desk import Desk
from rrdns.control.measures import BOUNDS, KINDS, REASONS, Measures
from rrdns.control.metric_names import MEMBER_STATES, MOVES, POOL_STATES
from rrdns.control.metric_names import NAMES as NAMES
from rrdns.control.overview import Overview
from rrdns.control.store import Store
from rrdns.roster import balancing
from rrdns.roster.duty import Duty
from rrdns.roster.roster import Roster

TYPE = "text/plain; version=0.0.4; charset=utf-8"
FRESH = 1.0  # seconds a page is given out again
AT_ONCE = 100  # pools

_OF_WORKER = {
    "rrdns_responses_total": "answered",
    "rrdns_responses_refused_total": "refused",
    "rrdns_responses_truncated_total": "truncated",
    "rrdns_responses_limited_total": "limited",
    "rrdns_queries_dropped_total": "dropped",
    "rrdns_worker_stale": "stale",
    "rrdns_worker_restarts_total": "restarts",
    "rrdns_worker_errors_total": "errors",
    "rrdns_worker_tcp_connections": "tcp_connections",
}

Row = tuple[Sequence[str], float]
Rows = dict[str, list[Row]]


class Polled(Protocol):
    """How the questions to a director went."""

    failures: int
    failures_in_a_row: int
    last_ok: float | None
    took: float


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the figures come from that the roster does not have."""

    board: Board
    store: Store
    tally: Tally
    measures: Measures
    overview: Overview
    clock: Clock
    checks: Callable[[], Stats]
    polls: Callable[[], Mapping[str, Polled]]
    notify: Callable[[float], Mapping[str, Mapping[str, Any]]]


class Metrics:
    def __init__(self, desk: Desk, sources: Sources) -> None:
        self._desk = desk
        self._sources = sources
        self._started = sources.clock.moment().wall
        self._names: set[str] = set()
        self._page = b""
        self._made = float("-inf")
        self._making = asyncio.Lock()

    async def page(self) -> bytes:
        """The text; those who ask while it is made get the same."""
        async with self._making:
            if self._sources.clock.now() - self._made >= FRESH:
                rows = await self._desk.look(self._of_roster)
                self._of_server(rows)
                await self._of_answers(rows)
                self._sources.measures.keep_only(self._names)
                checks = dict(self._sources.measures.checks)
                self._page = await asyncio.to_thread(text, rows, checks)
                self._made = self._sources.clock.now()
            return self._page

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether this server answers: control serves, and some worker does; for load balancers and containers."""
        shared = self._sources.board
        workers = [_serves(shared, row) for row in range(board.FIRST_WORKER, shared.rows)]
        control = self._desk.serving
        ok = control and any(workers)
        words = "serving" if control else "starting"
        found = {"ok": ok, "control": words, "workers": len(workers), "workers_serving": sum(workers)}
        kept = {"state": self._sources.store.state, "journal": self._desk.journal.shown(0.0)["state"]}
        return ok, {**found, **kept}  # what is not kept is no reason to take a server out

    # ------------------------------------------------------------------ gathering

    def _of_roster(self, roster: Roster) -> Rows:
        """Perhaps in a thread, with results waiting: as little as can be."""
        rows: Rows = {name: [] for name in NAMES}
        answers, moves = self._sources.tally.members, self._sources.measures.moves
        for name, duty in roster.duties.items():
            weights = {one.name: one.weight for one in duty.selection.serving}
            up = 0
            for host in duty.hosts:
                labels, word = (name, host.name), host.word
                path = f"{name}/{host.name}"
                up += word == "up"
                for state in MEMBER_STATES:
                    rows["rrdns_member_state"].append(((*labels, state), word == state))
                rows["rrdns_member_weight"].append((labels, weights.get(host.name, 0)))
                rows["rrdns_answers_total"].append((labels, answers.get(labels, 0)))
                for state in MOVES:
                    rows["rrdns_member_transitions_total"].append(((*labels, state), moves["member", path, state]))
            _of_balance(duty, self._sources.clock.now(), rows)
            for state in POOL_STATES:
                rows["rrdns_pool_state"].append(((name, state), duty.selection.state == state))
                rows["rrdns_pool_transitions_total"].append(((name, state), moves["pool", name, state]))
            rows["rrdns_pool_members"].append(((name,), len(duty.hosts)))
            rows["rrdns_pool_up_members"].append(((name,), up))
            rows["rrdns_pool_serving_members"].append(((name,), len(duty.selection.serving)))
            rows["rrdns_pool_quorum"].append(((name,), duty.pool.quorum))
        for owner, service in roster.services.items():
            names = (wire.name_to_text(service.zone), wire.name_to_text(owner), service.pool)
            rows["rrdns_service_answers_total"].append((names, self._sources.tally.services.get(owner, 0)))
            rows["rrdns_service_ttl_seconds"].append((names, roster.ttls[owner][0]))
        for apex, zone in roster.dataset.zones.items():
            rows["rrdns_zone_serial"].append(((wire.name_to_text(apex),), zone.serial))
        words = Counter({"drain": 0, "disable": 0})
        words.update(one.word.partition(" ")[0] for one in roster.overrides)  # `weight 50%` is a weight
        rows["rrdns_overrides"] += [((word,), number) for word, number in words.items()]
        guard = roster.verdicts.guard
        rows["rrdns_isolation_held"].append(((), isolation.holding(guard)))
        rows["rrdns_isolation_holds_total"].append(((), guard.holds))
        for name in roster.company.timed:
            for kind in KINDS:
                rows["rrdns_failover_transitions_total"].append(((name, kind), moves["failover", name, kind]))
        _of_others(roster, rows)
        self._of_directors(roster, rows)
        self._names = {one.check.name for one in roster.targets().values()}
        return rows

    def _of_directors(self, roster: Roster, rows: Rows) -> None:
        now, polls = self._sources.clock.moment(), self._sources.polls()
        for name, feed in roster.directors.feeds.items():
            labels = name, feed.director.type
            stats = polls.get(name)
            rows["rrdns_director_up"].append((labels, feed.state(now.mono) == "up"))
            rows["rrdns_director_stale_after_seconds"].append((labels, feed.director.stale_after))
            if stats is None:
                continue
            last = now.wall_of(stats.last_ok) if stats.last_ok is not None else 0
            rows["rrdns_director_last_success_timestamp_seconds"].append((labels, last))
            rows["rrdns_director_poll_failures_total"].append((labels, stats.failures))
            rows["rrdns_director_poll_duration_seconds"].append((labels, stats.took))

    def _of_server(self, rows: Rows) -> None:
        source = self._sources
        single = {
            "rrdns_control_start_timestamp_seconds": self._started,
            "rrdns_config_last_reload_successful": source.overview.reload.state == "ok",
            "rrdns_config_last_reload_timestamp_seconds": source.overview.reload.when,
            "rrdns_state_saved": source.store.state == "ok" and not source.overview.reload.unkept,
        }
        checks = source.checks()
        single["rrdns_checks_in_flight"] = checks.in_flight + checks.commands_in_flight
        single["rrdns_check_lateness_seconds"] = checks.late_now
        single["rrdns_control_lags_total"] = checks.lags
        journal = self._desk.journal.shown(source.clock.now())
        if journal["state"] != "off":
            single["rrdns_journal_written"] = journal["state"] == "ok"
            single["rrdns_journal_holes_total"] = journal["holes"]
        for name, value in single.items():
            rows[name].append(((), value))
        rows["rrdns_build_info"].append(((__version__, platform.python_version()), 1))
        for row in range(board.FIRST_WORKER, source.board.rows):
            self._of_worker(row, rows)
        for sink, one in source.notify(source.clock.now()).items():
            rows["rrdns_notify_sent_total"].append(((sink,), one["sent"]))
            rows["rrdns_notify_failures_total"].append(((sink,), one["failures"]))
            rows["rrdns_notify_dropped_total"].append(((sink,), one["dropped"]))
            rows["rrdns_notify_waiting"].append(((sink,), one["waiting"]))
            rows["rrdns_notify_failing"].append(((sink,), one["state"] == "failing"))

    async def _of_answers(self, rows: Rows) -> None:
        """Shares of first places, where answers were given; bit by bit, for there may be many pools."""
        now, asked = self._sources.clock.now(), rows["rrdns_member_answered_share"]
        there = {labels for labels, _ in rows["rrdns_member_weight"]}
        for index, ((pool,), _) in enumerate(rows["rrdns_pool_members"]):
            if index % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            shares = self._sources.tally.answered(pool, now)
            asked += [((pool, member), share) for member, share in shares.items() if (pool, member) in there]

    def _of_worker(self, row: int, rows: Rows) -> None:
        shared = self._sources.board
        values, worker = shared.row(row), str(row - board.FIRST_WORKER)
        for proto in ("udp", "tcp"):
            rows["rrdns_queries_total"].append(((worker, proto), values[proto]))
        for name, column in _OF_WORKER.items():
            rows[name].append(((worker,), values[column]))
        rows["rrdns_worker_up"].append(((worker,), _serves(shared, row)))
        if values["pid"]:
            rows["rrdns_worker_heartbeat_age_seconds"].append(((worker,), max(0.0, shared.age(row))))


def _of_others(roster: Roster, rows: Rows) -> None:
    """What hangs on others: resolvers, and the operator's programs."""
    for host, one in roster.names.found.items():
        rows["rrdns_name_resolved"].append(((host,), not one.reason))
    promotions = roster.company.promotions
    for pool in promotions.roles:
        blocked = pool in promotions.waits and promotions.waits[pool].state == "blocked"
        rows["rrdns_promotion_blocked"].append(((pool,), blocked))


def _of_balance(duty: Duty, now: float, rows: Rows) -> None:
    """What the closed loop and the fairness meter know; what nobody counts or corrects has no row."""
    for member, one in balancing.of_members(duty, now).items():
        labels = duty.pool.name, member
        rows["rrdns_member_wanted_share"].append((labels, one["wanted"]))
        if one["connected"] is not None:
            rows["rrdns_member_connected_share"].append((labels, one["connected"]))
        if one["correction"] is not None:
            rows["rrdns_member_correction_factor"].append((labels, one["correction"]))
            rows["rrdns_member_suspect"].append((labels, one["suspect"]))


SILENT = 2.0  # seconds without a heartbeat, after which the supervisor replaces a worker


def _serves(shared: Board, row: int) -> bool:
    alive = shared.lives(row) and shared.get(row, "state") == board.SERVING
    return alive and shared.age(row) < SILENT and not shared.get(row, "stale")


# ---------------------------------------------------------------------- the text


def text(rows: Rows, checks: Mapping[str, Any]) -> bytes:
    """The page of these rows. Pure, but for what the process says of itself; long, so run in a thread."""
    registry = CollectorRegistry()
    registry.register(_Collector(rows, checks))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Collector:
    def __init__(self, rows: Rows, checks: Mapping[str, Any]) -> None:
        self._rows = rows
        self._checks = checks

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        self._of_checks()
        for name, (kind, labels, words) in NAMES.items():
            if kind == "histogram":
                yield self._durations(name, labels, words)
                continue
            made = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            family = made(name, words, labels=labels)
            for values, number in self._rows[name]:
                family.add_metric(values, float(number))
            yield family

    def _of_checks(self) -> None:
        self._rows["rrdns_check_failures_total"] = [
            ((name, reason), course.failures[reason]) for name, course in self._checks.items() for reason in REASONS
        ]
        self._rows["rrdns_check_void_total"] = [((name,), course.void) for name, course in self._checks.items()]

    def _durations(self, name: str, labels: Sequence[str], words: str) -> Metric:
        family = HistogramMetricFamily(name, words, labels=labels)
        for check, course in self._checks.items():
            total, buckets = 0, []
            for bound, number in zip((*map(str, BOUNDS), "+Inf"), course.took, strict=True):
                total += number
                buckets.append((bound, float(total)))
            family.add_metric((check,), buckets, course.seconds)
        return family
