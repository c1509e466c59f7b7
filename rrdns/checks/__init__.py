"""Asking hosts whether they live: one probe of one target, and the prober that keeps asking. Floor 4.

    prober      when to ask: the `wheel` of due targets (`jobs`), parallelism, `rhythm`, the guard against `lag`
    ask         from a target to the module that asks it, at the address the check is aimed at
    tcp http certificate smtp grpc agent
                what to ask over a connection, each a `conversation`; held by the `dialer`, in TLS by `stream`
    dns icmp    what to ask by datagrams
    command     what to ask by running a program
    tls         contexts, and what a failed handshake means
    words       faults as an operator reads them

A probe never raises for anything a host does: each outcome is a `Result` with a reason in words. Must not
know: thresholds, pools, what a verdict leads to.
"""

from __future__ import annotations

from rrdns.checks.ask import missing, probe
from rrdns.checks.jobs import Stats
from rrdns.checks.prober import Prober

__all__ = ["Prober", "Stats", "missing", "probe"]
