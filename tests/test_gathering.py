"""When a worker waits for more queries, and for how long: told by the kernel's account of its waiting."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrdns.server import gathering
from rrdns.server.gathering import OWN, SHARED, Gathering
from rrdns.server.udp import BATCH


class Kernel:
    """The file the kernel would show; waits are noted, not waited."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = folder / "schedstat"
        self.waited(0.0)
        self.slept: list[float] = []
        monkeypatch.setattr(gathering, "SCHEDSTAT", str(self.file))
        monkeypatch.setattr(gathering.select, "select", lambda *lists_and_wait: self.slept.append(lists_and_wait[3]))

    def waited(self, seconds: float) -> None:
        self.file.write_text(f"123456789 {seconds * 1e9:.0f} 42\n")


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(tmp_path, monkeypatch)


def mode(one: Gathering) -> tuple[int, float]:
    return one.few, one.wait


def test_a_cpu_of_its_own_waits_only_behind_a_larger_batch(kernel: Kernel) -> None:
    one = Gathering(0.0)
    assert [one.more(took) for took in (0, 1, 16)] == [False] * 3 and kernel.slept == []
    assert one.more(17) and kernel.slept == [OWN[1]]
    assert one.more(BATCH) and kernel.slept == [OWN[1]], "behind a full batch there is more already"


def test_a_shared_cpu_waits_longer_and_for_fewer(kernel: Kernel) -> None:
    one = Gathering(0.0)
    kernel.waited(0.06)
    one.judge(1.0)
    assert not one.more(2) and kernel.slept == []
    assert one.more(3) and kernel.slept == [SHARED[1]]


def test_it_is_judged_over_a_second_and_between_the_bounds_nothing_changes(kernel: Kernel) -> None:
    one = Gathering(0.0)
    kernel.waited(0.9)
    one.judge(0.99)
    assert mode(one) == OWN, "too early"
    one.judge(1.0)
    assert mode(one) == SHARED
    kernel.waited(0.93)
    one.judge(2.0)
    assert mode(one) == SHARED, "3 % of the last second: between the bounds"
    kernel.waited(0.935)
    one.judge(3.0)
    assert mode(one) == OWN
    kernel.waited(0.965)
    one.judge(4.0)
    assert mode(one) == OWN, "between the bounds again"


def test_without_the_kernels_account_the_cpu_counts_as_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "SCHEDSTAT", str(tmp_path / "none"))
    one = Gathering(0.0)
    one.judge(5.0)
    assert mode(one) == OWN


def test_this_kernels_account_can_be_read() -> None:
    if not Path(gathering.SCHEDSTAT).exists():
        pytest.skip("no CONFIG_SCHED_INFO in this kernel")
    one = Gathering(0.0)
    one.judge(1e9)
    assert mode(one) == OWN, "a share of so long a time is none"
