"""The icmp check: this machine's own replies, each kind of permission, and none."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from needs import needs

from rrdns.checks import icmp, missing, probe
from rrdns.model import Check, IcmpProbe, Result, Target

PING = Check("ping", "icmp", 0, IcmpProbe(), timeout=20.0)
HERE = Path(__file__).parent.parent

ASK = """
import asyncio, json, sys
from rrdns.checks import icmp, missing, probe
from rrdns.model import Check, IcmpProbe, Target
check = Check("ping", "icmp", 0, IcmpProbe(), timeout=20.0)
async def ask():
    found = []
    for address in ("127.0.0.1", "::1"):
        found += await asyncio.gather(*[probe(Target("x", check, address)) for _ in range(20)])
    return [(one.ok, one.reason, one.void) for one in found], len(icmp._pingers), missing(check)
if len(sys.argv) > 1:
    import uvloop
    print(json.dumps(uvloop.run(ask())))
else:
    print(json.dumps(asyncio.run(ask())))
"""


def run(*words: str, before: str = "", loop: str = "") -> tuple[list[tuple[bool, str, bool]], int, str]:
    """What `ASK` says, run by `words` after a shell's `before`."""
    python = f"exec {' '.join(words)} '{sys.executable}' -c \"$ASK\" {loop}"
    environment = {**os.environ, "ASK": ASK, "PYTHONPATH": str(HERE)}
    shell = ["unshare", "-n", "sh", "-ec", f"ip link set lo up; {before}\n{python}"]
    done = subprocess.run(shell, env=environment, capture_output=True, text=True, timeout=60, cwd="/")
    assert done.returncode == 0, done.stderr
    found, left, lacking = json.loads(done.stdout)
    return [(ok, reason, void) for ok, reason, void in found], left, lacking


@pytest.fixture
def privileged() -> None:
    needs("unshare", "setpriv", "ip", "sysctl")
    if subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], capture_output=True).returncode:
        pytest.skip("may not make a network namespace")


NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups"
GOOD = [(True, "echo reply", False)] * 40


@pytest.mark.parametrize("loop", ["", "uvloop"])
def test_with_a_raw_socket(privileged: None, loop: str) -> None:
    assert run(before="sysctl -qw net.ipv4.ping_group_range='1 0'", loop=loop) == (GOOD, 0, "")


@pytest.mark.parametrize("loop", ["", "uvloop"])
def test_unprivileged(privileged: None, loop: str) -> None:
    assert run(NOBODY, before="sysctl -qw net.ipv4.ping_group_range='65000 65534'", loop=loop) == (GOOD, 0, "")


def test_without_permission_it_says_which(privileged: None) -> None:
    found, left, lacking = run(NOBODY, before="sysctl -qw net.ipv4.ping_group_range='1 0'")
    assert lacking == (
        "no permission to send ICMP: neither is a group of ours (65534) in net.ipv4.ping_group_range (now 1 0), "
        "nor is there CAP_NET_RAW"
    )
    assert found == [(False, f"not asked: {lacking}", True)] * 40
    assert left == 0


def test_unreachable_and_silent(privileged: None) -> None:
    shell = f"exec '{sys.executable}' -c \"$ASK\""
    code = ASK.replace('"127.0.0.1", "::1"', '"192.0.2.1", "127.0.0.1"').replace("timeout=20.0", "timeout=0.3")
    drop = "ip route add blackhole 192.0.2.1 2>/dev/null || true"
    done = subprocess.run(
        ["unshare", "-n", "sh", "-ec", f"ip link set lo up; {drop}\n{shell}"],
        env={**os.environ, "ASK": code, "PYTHONPATH": str(HERE)},
        capture_output=True, text=True, timeout=60, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)[0]
    assert not any(ok for ok, _, _ in found[:20]) and all(ok for ok, _, _ in found[20:])


def test_the_sum_is_rfc_1071s() -> None:
    packet = bytes.fromhex("0001f203f4f5f6f7")  # section 3 of it: 0xddf2
    assert icmp.checksum(packet) == 0x220D


def test_many_at_once() -> None:
    if missing(PING):
        pytest.skip(missing(PING))

    async def ask() -> list[Result]:
        return await asyncio.gather(*(probe(Target("x", PING, f"127.0.0.{n % 200 + 1}")) for n in range(1000)))

    assert all(result.ok for result in asyncio.run(ask()))
    assert not icmp._pingers
