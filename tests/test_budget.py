"""The failover budget is the formula of the docs, by the slowest check."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.model import Check, HttpProbe, Member, Pool, Service
from rrdns.ui import budget

SERVICE = Service(b"", b"", "web", ttl=20, ttl_min=5)


def check(name: str = "web", **more: float) -> Check:
    return Check(name, "http", 80, HttpProbe(), **more)  # type: ignore[arg-type]


def pool(*names: str) -> Pool:
    return Pool("web", (Member("a", ("192.0.2.1",)),), names)


def test_the_defaults() -> None:
    found = budget.of(SERVICE, pool("web"), {"web": check()})
    assert found is not None
    assert found.first == pytest.approx(7.5)
    assert found.detect == pytest.approx(7.5 + 2 * 2)
    assert found.worst == pytest.approx(27.5)  # the cache's copy from before the first failure outlives all else


def test_the_slowest_of_several_checks_counts() -> None:
    checks = {"web": check(), "deep": check("deep", interval=30, fall=2)}
    found = budget.of(SERVICE, pool("web", "deep"), checks)
    assert found is not None and found.check.name == "deep"
    assert found.first == pytest.approx(35)


def test_without_a_check_there_is_no_promise() -> None:
    assert budget.of(SERVICE, pool(), {}) is None


@given(st.floats(0.1, 60), st.floats(0.1, 10), st.integers(1, 10), st.floats(0.1, 10), st.integers(1, 300))
def test_order(interval: float, timeout: float, fall: int, fast: float, ttl: int) -> None:
    one = check(interval=interval, timeout=timeout, fall=fall, fast=fast)
    found = budget.of(Service(b"", b"", "web", ttl=ttl, ttl_min=1), pool("web"), {"web": one})
    assert found is not None
    assert interval + timeout < found.first <= found.detect < found.gone < found.worst
    assert found.worst >= found.first + ttl
