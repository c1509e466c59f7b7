"""The main job on real input: real web servers, a zone over them, dig, and a real Unbound in between."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import pytest
from live import Server, Web, free_port, pools, serve, wait_for, web_servers
from needs import needs

MEMBERS = ("web1: 127.0.0.11", "web2: {address: 127.0.0.12}", "web3: {address: 127.0.0.13}")
ALL = {"127.0.0.11", "127.0.0.12", "127.0.0.13"}

# The promise for interval 1 s, timeout 0.5 s, fall 3, fast 0.3 s (DESIGN: failover budget, without the TTL):
# 1.1 * interval + timeout + (fall - 1) * max(1.1 * fast, timeout); a busy test machine gets as much again.
PROMISED = 1.1 * 1 + 0.5 + 2 * max(1.1 * 0.3, 0.5)


@contextlib.contextmanager
def three_behind_a_name() -> Iterator[tuple[Server, list[Web]]]:
    with web_servers(3) as webs, serve(pools_text=pools(webs[0].port, *MEMBERS)) as server:
        wait_for(lambda: server.addresses() == ALL, what="all three answered")
        yield server, webs


def test_a_killed_a_stopped_and_a_failing_server_leave_and_return() -> None:
    with three_behind_a_name() as (server, webs):
        faults = {
            "kill -9": (lambda: webs[0].kill(), lambda: webs[0].start()),
            "SIGSTOP": (lambda: webs[0].kill(signal.SIGSTOP), lambda: webs[0].kill(signal.SIGCONT)),
            "503": (lambda: webs[0].status(503), lambda: webs[0].status(200)),
        }
        for title, (make, mend) in faults.items():
            make()
            took = wait_for(lambda: server.addresses() == ALL - {"127.0.0.11"}, what=f"{title}: gone")
            print(f"{title}: gone after {took:.2f} s, promised {PROMISED:.2f} s")
            explained = server.run("explain", "www.lb.example.com.").stdout
            assert "web1" in explained and "down" in explained
            mend()
            took = wait_for(lambda: server.addresses() == ALL, 120, what=f"{title}: back")
            print(f"{title}: back after {took:.2f} s")
        log = server.log
        for reason in ("refused", "timed out", "HTTP 503"):
            assert reason in log, f"the log should say why: {reason}\n{log}"


def test_dig_over_udp_and_tcp() -> None:
    needs("dig")
    with three_behind_a_name() as (server, _):
        for extra in ((), ("+tcp",), ("+noedns",), ("+cookie",), ("+subnet=0/0",)):
            out = subprocess.run(
                ["dig", "@127.0.0.1", "-p", str(server.port), "www.lb.example.com", "A", *extra],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            assert "status: NOERROR" in out and re.search(r"flags: qr aa rd;", out), out
            assert set(re.findall(r"\sA\s+([\d.]+)", out)) == ALL
        first = collections.Counter(str(server.ask("www.lb.example.com.").answer[0][0]) for _ in range(30))
        assert first.keys() == ALL, "the first place rotates"


def test_unbound_by_stub(tmp_path: Path) -> None:
    needs("unbound")
    with three_behind_a_name() as (server, webs), unbound(tmp_path, server.port) as ask:
        seen = {str(rr) for _ in range(3) for rr in ask("www.lb.example.com.").answer[0]}
        assert seen == ALL
        assert {str(rr) for rr in ask("alias.lb.example.com.").answer[-1]} == ALL
        assert {str(rr) for rr in ask("any.thing.dev.lb.example.com.").answer[-1]} == ALL
        assert ask("nothing.lb.example.com.").rcode() == 3
        webs[1].kill()
        # Unbound's copy lives for the TTL that stood in the answer, at most 20 s here.
        took = wait_for(lambda: {str(rr) for rr in ask("www.lb.example.com.").answer[0]} == ALL - {"127.0.0.12"}, 60)
        print(f"through Unbound: gone after {took:.1f} s, promised {PROMISED:.1f} s + TTL 20 s")


@contextlib.contextmanager
def unbound(folder: Path, port: int, more: str = ""):  # type: ignore[no-untyped-def]
    """A real Unbound whose stub zone is ours; gives a function that asks it."""
    mine = free_port("127.0.0.1")
    config = folder / "unbound.conf"
    config.write_text(f"""
server:
  interface: 127.0.0.1@{mine}
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/unbound.pid"
  use-syslog: no
  do-not-query-localhost: no
  module-config: "iterator"
  num-threads: 1
{
        more
        or f'''stub-zone:
  name: "lb.example.com."
  stub-addr: 127.0.0.1@{port}
'''
    }
""")
    program = shutil.which("unbound", path="/usr/sbin:/usr/bin") or "unbound"
    process = subprocess.Popen([program, "-d", "-c", str(config)], stderr=subprocess.DEVNULL)

    def ask(name: str) -> dns.message.Message:
        return dns.query.udp(dns.message.make_query(name, "A"), "127.0.0.1", timeout=5, port=mine)

    try:
        wait_for(lambda: ask("www.lb.example.com.").answer, what="Unbound answers")
        yield ask
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.full
def test_real_delegation_in_a_namespace(tmp_path: Path) -> None:
    """NSD serves the parent zone and delegates with glue; Unbound starts from it; everything on port 53."""
    needs("unbound", "nsd", "ip", "dig")
    if os.geteuid() != 0:
        pytest.skip("needs root for a network namespace")
    space = f"rrdns{os.getpid()}"
    script = Path(__file__).with_name("delegation.sh")
    subprocess.run(["ip", "netns", "add", space], check=True)
    try:
        done = subprocess.run(
            ["ip", "netns", "exec", space, "bash", str(script), str(tmp_path)],
            env={**os.environ, "PYTHON": sys.executable},
            capture_output=True,
            text=True,
            timeout=110,
        )
    finally:
        subprocess.run(["ip", "netns", "delete", space], check=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(done.stdout.split()) == {"192.0.2.31", "192.0.2.32"}, done.stdout + done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_shares_of_weights_one_to_four(workers: int) -> None:
    """100,000 answers with `answers: 1`; A and AAAA asked in turn must each see every member by its weight."""
    members = [f"m{n}: {{address: [192.0.2.{n}, '2001:db8::{n}'], weight: {n}}}" for n in (1, 2, 3, 4)]
    text = "pools:\n  web:\n    members:\n" + "\n".join(f"      {member}" for member in members) + "\n"
    with serve(f"{ZONE_ONE}", text, "--workers", str(workers)) as server:
        out = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("shares.py")), str(server.port), "100000"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        counted: dict[str, dict[str, int]] = json.loads(out)
        for family in ("A", "AAAA"):
            total = sum(counted[family].values())
            assert total >= 50_000 * 0.999
            for address, count in counted[family].items():
                weight = int(re.split(r"[.:]", address)[-1])
                assert abs(count / total - weight / 10) < 0.005, (family, counted[family])
        time.sleep(2.5)  # counters are polled every second
        told = server.status()["pools"]["web"]["members"]
        sums = {name: one["answers"] for name, one in told.items()}
        assert abs(sums["m4"] / sum(sums.values()) - 0.4) < 0.005, sums
        assert sum(sums.values()) >= 99_000


ZONE_ONE = """
'':
  - {type: NS, value: ns1.lb.example.com.}
ns1: {type: A, value: 127.0.0.1}
one: {type: POOL, pool: web, answers: 1}
"""
