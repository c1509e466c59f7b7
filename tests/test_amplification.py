"""No reply by UDP is longer than promised: the example zones, and a pool with far too many hosts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import amplification


@pytest.mark.parametrize("udp_limit", [512, 1232, 4096])
def test_the_example_zones(udp_limit: int) -> None:
    found = amplification.measure(amplification.read([amplification.ZONES]), udp_limit)
    assert len({case.name for case in found}) > 10 and found[0].ratio <= 4, str(found[0])
    without = {case.name for case in found if case.reply > case.request and not case.edns}
    assert b"\3www\2lb\7example\3com\0" in without, "its hosts are up, it answers"


@pytest.mark.parametrize("udp_limit", [512, 1232, 4096])
def test_two_hundred_hosts_and_long_texts(udp_limit: int) -> None:
    text = (amplification.ZONES / "lb.example.com.yaml").read_text()
    pools = (amplification.ZONES / "pools.yaml").read_text()
    hosts = "".join(f"      - 10.0.{n}.1\n      - 2001:db8::{n:x}\n" for n in range(200))
    texts = f'["{"x" * 250}", "{"y" * 250}"]'
    zone = f"{text}\nmany: {{type: POOL, pool: many, answers: 100}}\ntexts: {{type: TXT, values: {texts}}}\n"
    files = {"zones/lb.example.com.yaml": zone.encode(), "zones/pools.yaml": add_pool(pools, hosts).encode()}
    found = amplification.measure(files, udp_limit)
    many = [case for case in found if case.name.startswith(b"\4many") and case.rtype in (1, 28)]
    assert many and all(2 < case.ratio <= 4 for case in many), "as many addresses as fit, and no more"
    texts = [case for case in found if case.name.startswith(b"\5texts") and case.rtype == 16]
    assert texts and all(case.reply <= case.request for case in texts if case.edns < 600), "TC alone does not amplify"


def test_with_a_ratio_nothing_amplifies_more() -> None:
    found = amplification.measure(amplification.read([amplification.ZONES]), udp_ratio=3, udp_ratio_all=True)
    assert found[0].ratio <= 3, str(found[0])
    assert any(case.reply > case.request for case in found), "short answers still come"


def add_pool(pools: str, hosts: str) -> str:
    return pools.replace("pools:\n", f"pools:\n  many:\n    members:\n{hosts}", 1)
