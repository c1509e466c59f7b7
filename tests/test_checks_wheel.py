"""The wheel: whoever is put in comes out once, in time, and not again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rrdns.checks.jobs import Job
from rrdns.checks.wheel import WIDTH, Wheel
from rrdns.model import Check, Target, TcpProbe

CHECK = Check("c", "tcp", 80, TcpProbe())


def job(due: float) -> Job:
    return Job(Target("t", CHECK, "192.0.2.1"), due)


@given(st.lists(st.floats(0, 100), max_size=50), st.lists(st.floats(0, 120), max_size=20))
def test_each_comes_out_once_not_before_its_time_and_at_most_a_slot_late(dues: list[float], looks: list[float]) -> None:
    wheel = Wheel()
    for due in dues:
        wheel.put(job(due))
    waiting = sorted(dues)
    for now in [*sorted(looks), 200.0]:
        first = wheel.first
        assert (first is None) == (not waiting)
        if first is not None:
            assert waiting[0] <= first <= waiting[0] + WIDTH + 1e-9
        out = sorted(one.due for one in wheel.taken(now))
        assert all(due <= now for due in out)
        assert out == waiting[: len(out)]
        del waiting[: len(out)]
        assert not waiting or waiting[0] > now - WIDTH - 1e-9
    assert not waiting


def test_who_is_gone_or_put_elsewhere_does_not_come_out() -> None:
    wheel = Wheel()
    gone, moved = job(1.0), job(1.0)
    wheel.put(gone)
    wheel.put(moved)
    gone.gone = True
    moved.due = 5.0
    wheel.put(moved)
    assert list(wheel.taken(2.0)) == []
    assert list(wheel.taken(6.0)) == [moved]
    assert wheel.first is None
