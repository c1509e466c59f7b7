"""A weight that climbs in steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns.slow_start import next_step, share, weights


def test_it_climbs_from_a_tenth_to_the_whole() -> None:
    assert share(100, 100, 60, 5) == pytest.approx(0.1)
    assert share(100, 130, 60, 5) == pytest.approx(0.55)
    assert share(100, 160, 60, 5) == 1.0 and next_step(100, 160, 60, 5) is None
    assert share(100, 100, 0, 5) == 1.0 and next_step(100, 100, 0, 5) is None


@given(st.floats(0.1, 600), st.floats(0, 120))
def test_no_step_is_shorter_than_the_ttl_but_the_last(length: float, ttl: float) -> None:
    now, before, steps = 0.0, share(0, 0, length, ttl), 0
    while (following := next_step(0, now, length, ttl)) is not None:
        assert following > now and (following - now >= ttl - 1e-6 or following == length)
        now, steps = following, steps + 1
        assert share(0, now + 1e-9, length, ttl) >= before
        before = share(0, now + 1e-9, length, ttl)
    assert before == 1.0 and steps <= 11


def test_weights_keep_their_proportions() -> None:
    assert weights([1, 20, 0], [1.0, 1.0, 1.0]) == [1, 20, 0]
    assert weights([1, 1, 0], [0.5, 1.0, 0.1]) == [500, 1000, 0]
