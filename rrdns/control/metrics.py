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
from rrdns.control.measures import BOUNDS, REASONS, Measures
from rrdns.control.overview import Overview
from rrdns.control.store import Store
from rrdns.roster.roster import Roster

TYPE = "text/plain; version=0.0.4; charset=utf-8"
FRESH = 1.0  # seconds a page is given out again

MEMBER_STATES = ("up", "down", "unknown", "drained", "disabled")
POOL_STATES = ("ok", "degraded", "down", "unknown", "panic")
MOVES = ("up", "down")  # counted from 0, so that the first one is an increase

# name (counters with their _total): kind, labels, help
NAMES: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "rrdns_build_info": ("gauge", ("version", "python"), "Always 1; which rrdns this is."),
    "rrdns_control_start_timestamp_seconds": ("gauge", (), "When the control process started, Unix seconds."),
    "rrdns_queries_total": ("counter", ("worker", "proto"), "Queries received."),
    "rrdns_responses_total": ("counter", ("worker",), "Replies sent, refusals included."),
    "rrdns_responses_refused_total": ("counter", ("worker",), "Replies that were REFUSED, FORMERR, NOTIMP or BADVERS."),
    "rrdns_responses_truncated_total": ("counter", ("worker",), "UDP replies that were cut off (TC)."),
    "rrdns_responses_limited_total": ("counter", ("worker",), "UDP replies beyond the rate of their client's network."),
    "rrdns_queries_dropped_total": ("counter", ("worker",), "Packets that got no reply."),
    "rrdns_worker_up": ("gauge", ("worker",), "1: the worker lives and serves."),
    "rrdns_worker_stale": ("gauge", ("worker",), "1: it answers without control's word for over max_stale."),
    "rrdns_worker_heartbeat_age_seconds": ("gauge", ("worker",), "Age of the worker loop's last heartbeat."),
    "rrdns_worker_restarts_total": ("counter", ("worker",), "Times the worker was replaced."),
    "rrdns_worker_errors_total": ("counter", ("worker",), "Packets that raised an error; should stay 0."),
    "rrdns_worker_tcp_connections": ("gauge", ("worker",), "Open TCP connections."),
    "rrdns_answers_total": ("counter", ("pool", "member"), "Answers that held the member's address."),
    "rrdns_service_answers_total": ("counter", ("zone", "service", "pool"), "Answers given for a POOL name."),
    "rrdns_service_ttl_seconds": ("gauge", ("zone", "service", "pool"), "TTL in force of a POOL name."),
    "rrdns_member_state": ("gauge", ("pool", "member", "state"), "1 for the state the member is in, else 0."),
    "rrdns_member_weight": ("gauge", ("pool", "member"), "Weight in force; 0: it is not answered."),
    "rrdns_member_transitions_total": ("counter", ("pool", "member", "state"), "Times the member came to a state."),
    "rrdns_pool_state": ("gauge", ("pool", "state"), "1 for the state the pool is in, else 0."),
    "rrdns_pool_members": ("gauge", ("pool",), "Members of the pool."),
    "rrdns_pool_serving_members": ("gauge", ("pool",), "Members that are answered now."),
    "rrdns_pool_up_members": ("gauge", ("pool",), "Members that are up and neither drained nor disabled."),
    "rrdns_pool_quorum": ("gauge", ("pool",), "Available members below which the pool is not ok."),
    "rrdns_pool_transitions_total": ("counter", ("pool", "state"), "Times the pool came to a state."),
    "rrdns_check_duration_seconds": ("histogram", ("check",), "How long probes took."),
    "rrdns_check_failures_total": ("counter", ("check", "reason"), "Probes that failed."),
    "rrdns_check_void_total": ("counter", ("check",), "Probes that do not count, as this machine was at fault."),
    "rrdns_checks_in_flight": ("gauge", (), "Probes under way."),
    "rrdns_check_lateness_seconds": ("gauge", (), "How late the probe is that has waited longest for its turn."),
    "rrdns_control_lags_total": ("counter", (), "Times the control loop stood still for over 100 ms."),
    "rrdns_director_up": ("gauge", ("director", "type"), "1: the director's last reading gave a table."),
    "rrdns_director_last_success_timestamp_seconds": ("gauge", ("director", "type"), "When it last did, Unix seconds."),
    "rrdns_director_poll_failures_total": ("counter", ("director", "type"), "Readings that failed."),
    "rrdns_director_poll_duration_seconds": ("gauge", ("director", "type"), "How long the last reading took."),
    "rrdns_director_stale_after_seconds": ("gauge", ("director", "type"), "Age after which its word has no vote."),
    "rrdns_zone_serial": ("gauge", ("zone",), "Serial of the zone's SOA."),
    "rrdns_config_last_reload_successful": ("gauge", (), "1: the newest files are in force."),
    "rrdns_config_last_reload_timestamp_seconds": ("gauge", (), "When files were last tried, Unix seconds."),
    "rrdns_overrides": ("gauge", ("word",), "Overrides by operators in force."),
    "rrdns_isolation_held": ("gauge", (), "1: the self-isolation guard holds the last states."),
    "rrdns_isolation_holds_total": ("counter", (), "Times it began to."),
    "rrdns_state_saved": ("gauge", (), "0: what is in force is not saved on the disk."),
    "rrdns_notify_sent_total": ("counter", ("sink",), "Messages that a sink took."),
    "rrdns_notify_failures_total": ("counter", ("sink",), "Tries that failed."),
    "rrdns_notify_dropped_total": ("counter", ("sink",), "Messages given up."),
    "rrdns_notify_waiting": ("gauge", ("sink",), "Messages that wait."),
    "rrdns_notify_failing": ("gauge", ("sink",), "1: the last try failed."),
}

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
        return ok, {"ok": ok, "control": words, "workers": len(workers), "workers_serving": sum(workers)}

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
