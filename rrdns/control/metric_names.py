"""The names on the metrics page, with kind, labels and help. Plain data, against which the dashboard, the alert rules
and docs/notify.md are held. Must not know: where the figures come from.
"""

from __future__ import annotations

from collections.abc import Mapping

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
    "rrdns_member_wanted_share": ("gauge", ("pool", "member"), "Share of the answers by weight, 0 to 1."),
    "rrdns_member_answered_share": ("gauge", ("pool", "member"), "Share of first places in 5 minutes' answers."),
    "rrdns_member_connected_share": ("gauge", ("pool", "member"), "Share of connections, as the director counts."),
    "rrdns_member_correction_factor": ("gauge", ("pool", "member"), "What `correct: true` multiplies its weight by."),
    "rrdns_member_suspect": ("gauge", ("pool", "member"), "1: it is answered, and hardly anybody gets through to it."),
    "rrdns_failover_transitions_total": ("counter", ("pool", "kind"), "Moves of failover: see below for the kinds."),
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
    "rrdns_name_resolved": ("gauge", ("name",), "0: a member's host name can't be resolved; what it last had holds."),
    "rrdns_promotion_blocked": ("gauge", ("pool",), "1: before_promote has failed, and others do not take over."),
    "rrdns_zone_serial": ("gauge", ("zone",), "Serial of the zone's SOA."),
    "rrdns_config_last_reload_successful": ("gauge", (), "1: the newest files are in force."),
    "rrdns_config_last_reload_timestamp_seconds": ("gauge", (), "When files were last tried, Unix seconds."),
    "rrdns_overrides": ("gauge", ("word",), "Overrides by operators in force."),
    "rrdns_isolation_held": ("gauge", (), "1: the self-isolation guard holds the last states."),
    "rrdns_isolation_holds_total": ("counter", (), "Times it began to."),
    "rrdns_state_saved": ("gauge", (), "0: what is in force is not saved on the disk."),
    "rrdns_journal_written": ("gauge", (), "0: inputs are not journaled: replay will have a hole. Absent: no journal."),
    "rrdns_journal_holes_total": ("counter", (), "Times inputs were lost to the journal."),
    "rrdns_notify_sent_total": ("counter", ("sink",), "Messages that a sink took."),
    "rrdns_notify_failures_total": ("counter", ("sink",), "Tries that failed."),
    "rrdns_notify_dropped_total": ("counter", ("sink",), "Messages given up."),
    "rrdns_notify_waiting": ("gauge", ("sink",), "Messages that wait."),
    "rrdns_notify_failing": ("gauge", ("sink",), "1: the last try failed."),
}
