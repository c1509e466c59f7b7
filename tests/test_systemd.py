"""packaging/rrdns.service under a real systemd: what it hears, what it does, and that its walls break nothing."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import wait_for
from real_systemd import Machine, machine

import rrdns
from rrdns.supervise.privileges import NET_BIND_SERVICE

ADDRESSES = {"127.0.0.11", "127.0.0.12"}
ZONE = """
'': {type: NS, value: ns1.lb.example.com.}
ns1: {type: A, value: 127.0.0.1}
www: {type: POOL, pool: web, ttl: 20}
sh: {type: POOL, pool: sh}
ping: {type: POOL, pool: ping}
"""
POOLS = """
checks:
  web: {type: http, port: 8080, interval: 1s, timeout: 500ms, fall: 3, fast: 300ms}
  tcp: {type: tcp, port: 8080, interval: 1s, timeout: 500ms}
  sh: {type: command, command: [/bin/true], interval: 1s}
  ping: {type: icmp, interval: 1s, timeout: 500ms}
pools:
  web: {check: [web, tcp], members: {web1: 127.0.0.11, web2: 127.0.0.12}}
  sh: {check: sh, members: {one: 127.0.0.1}}
  ping: {check: ping, members: {one: 127.0.0.1, two: '::1'}}
"""
SETTINGS = "listen: ['127.0.0.1:53', '[::1]:53']\nworkers: 2\n"
PACER = Path(__file__).with_name("pacer.py")


@pytest.fixture(scope="module")
def there() -> Iterator[Machine]:
    with machine() as one:
        one.write("/etc/rrdns/rrdns.yaml", SETTINGS)
        one.write("/etc/rrdns/zones/lb.example.com.yaml", ZONE)
        one.write("/etc/rrdns/zones/pools.yaml", POOLS)
        for address in sorted(ADDRESSES):
            one.background(sys.executable, "-m", "http.server", "8080", "--bind", address)
        yield one


@pytest.fixture
def unit(there: Machine) -> Iterator[Machine]:
    """The unit, just started."""
    there.run("systemctl", "start", "rrdns")
    try:
        yield there
    finally:
        print(there.journal(), file=sys.stderr)  # shown where the test failed
    there.run("systemctl", "stop", "rrdns", check=False)
    there.run("systemctl", "kill", "rrdns", check=False)
    there.run("systemctl", "reset-failed", "rrdns", check=False)


def asked(one: Machine, rate: float, seconds: float) -> subprocess.Popen[str]:
    """Queries from now on; `figures` says what became of them."""
    words = [f"--rate={rate}", f"--seconds={seconds}", *(f"--allow={each}" for each in sorted(ADDRESSES))]
    command = one.here(sys.executable, str(PACER), "--port=53", *words, "www.lb.example.com.")
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def figures(load: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = load.communicate(timeout=180)
    found: dict[str, Any] = json.loads(out)
    return found


def status(one: Machine) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(one.rrdns("status", "--json"))
    return found


def main_pid(one: Machine) -> int:
    return int(one.unit()["MainPID"])


def settle(one: Machine) -> None:
    """The unit runs, and only with what one server is made of."""
    wait_for(lambda: one.unit()["SubState"] == "running", 60, "running")
    wait_for(lambda: len(one.pids()) == 4, 30, "supervisor, control, two workers and nobody else")


def test_started_means_it_answers(unit: Machine) -> None:
    """`systemctl start` has returned: from now on every query is answered, and systemctl says where."""
    told = figures(asked(unit, 200, 1))
    assert told["lost"] == told["wrong"] == 0 and told["sent"] >= 190, told
    found = unit.unit()
    assert (found["ActiveState"], found["SubState"], found["Result"]) == ("active", "running", "success")
    assert found["StatusText"] == "serving on 127.0.0.1:53, [::1]:53"
    assert 'Status: "serving on 127.0.0.1:53' in unit.run("systemctl", "--no-pager", "status", "rrdns")
    now = status(unit)
    assert (now["supervisor"]["pid"], now["supervisor"]["state"]) == (main_pid(unit), "serving"), (
        "ProtectProc=invisible hides a process with a capability from one without"
    )


def test_the_walls_stand_and_nothing_runs_into_them(unit: Machine) -> None:
    main = main_pid(unit)
    pids = unit.pids()
    assert len(pids) == 4 and main in pids
    for pid in pids:
        process = unit.process(pid)
        assert set(process["Uid"].split()) != {"0"} and process["Seccomp"] == "2" and process["NoNewPrivs"] == "1"
        assert int(process["CapBnd"], 16) == 1 << NET_BIND_SERVICE
        assert int(process["CapEff"], 16) == (1 << NET_BIND_SERVICE if pid == main else 0)
        assert "Read-only file system" in unit.run("nsenter", f"--target={pid}", "-m", "touch", "/etc/x", check=False)
    wait_for(
        lambda: (
            {member["state"] for pool in status(unit)["pools"].values() for member in pool["members"].values()}
            == {"up"}
        ),
        30,
        "checks by HTTP, TCP, a command, ICMP",
    )
    now = status(unit)
    assert all(worker["confined"] for worker in now["workers"]), "Landlock and seccomp of its own"
    worker = now["workers"][0]["pid"]
    unit.run("kill", "-KILL", str(worker))
    wait_for(lambda: status(unit)["workers"][0]["pid"] not in (0, worker), 30, "a new worker")
    settle(unit)
    unit.rrdns("drain", "web1", "--reason", "kernel update")
    assert [one["reason"] for one in status(unit)["overrides"]] == ["kernel update"]
    unit.rrdns("enable", "web1")
    journal = unit.run("journalctl", "--no-pager", "-u", "rrdns")
    assert "Traceback" not in journal and "not permitted" not in journal and "NOT saved" not in journal, journal


def test_reload(unit: Machine) -> None:
    before = main_pid(unit), unit.pids()
    assert unit.code("systemctl", "reload", "rrdns") == 0
    unit.write("/etc/rrdns/zones/pools.yaml", POOLS + "nonsense: 1\n")
    assert unit.code("systemctl", "reload", "rrdns") == 1, "refused, and said so"
    assert "nonsense: unknown section" in unit.run("journalctl", "--no-pager", "-u", "rrdns")
    assert unit.unit()["ActiveState"] == "active"
    unit.write("/etc/rrdns/zones/pools.yaml", POOLS)
    assert unit.code("systemctl", "reload", "rrdns") == 0
    then = int(unit.unit()["StateChangeTimestampMonotonic"])
    unit.run("systemctl", "kill", "-s", "HUP", "--kill-whom=main", "rrdns")
    wait_for(lambda: int(unit.unit()["StateChangeTimestampMonotonic"]) > then, 30, "reloading")
    settle(unit)
    assert (main_pid(unit), unit.pids()) == before and unit.unit()["NRestarts"] == "0"


def test_an_orderly_end(unit: Machine) -> None:
    began = time.monotonic()
    unit.run("systemctl", "stop", "rrdns")
    took = time.monotonic() - began
    found = unit.unit()
    assert (found["ActiveState"], found["SubState"], found["Result"]) == ("inactive", "dead", "success"), found
    assert not unit.pids() and took < 15
    found_orphans = "takes over from a killed server"
    before = unit.journal().count(found_orphans)
    unit.run("systemctl", "start", "rrdns")
    assert unit.journal().count(found_orphans) == before, "nobody was left"
    main = main_pid(unit)
    unit.run("kill", "-STOP", str(main))  # systemd wakes what it ends
    unit.run("systemctl", "stop", "rrdns")
    assert not unit.pids() and unit.unit()["Result"] == "success"


@pytest.mark.full
@pytest.mark.timeout(180)
def test_an_upgrade_and_then_the_watchdog(unit: Machine) -> None:
    """The main pid stays, systemd restarts nothing; it goes on hearing from it; and when not, it does restart it."""
    main, pids = main_pid(unit), unit.pids()
    version = re.sub(r"\d+$", "999", rrdns.__version__)
    init = f"/opt/rrdns/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages/rrdns/__init__.py"
    unit.run("sed", "-i", f's/^__version__ = .*/__version__ = "{version}"/', init)
    load = asked(unit, 300, 45)
    time.sleep(1)
    said = unit.rrdns("upgrade", timeout=180)
    assert f"-> {version}" in said and f"supervisor {main} (the same process)" in said
    settle(unit)
    assert main_pid(unit) == main and set(unit.pids()) & set(pids) == {main}
    told = unit.unit()
    time.sleep(int(told["WatchdogUSec"].removesuffix("s")) + 2)
    assert (main_pid(unit), unit.unit()["NRestarts"]) == (main, "0"), "it is fed by the new version"
    assert status(unit)["version"] == version and told["StatusText"].startswith("serving on")

    unit.run("kill", "-STOP", str(main))
    wait_for(lambda: unit.unit()["NRestarts"] == "1", 40, "the watchdog bites")
    settle(unit)
    assert main_pid(unit) not in (0, main) and unit.unit()["StatusText"].startswith("serving on")
    journal = unit.run("journalctl", "--no-pager")
    assert "Watchdog timeout" in journal and "takes over from a killed server" in journal
    told_by_load = figures(load)
    print(f"an upgrade and a watchdog's restart at 300/s: {told_by_load}")
    assert told_by_load["wrong"] == 0 and told_by_load["lost"] <= told_by_load["sent"] * 0.01


@pytest.mark.full
def test_a_stop_between_a_death_and_the_next_start(unit: Machine) -> None:
    """Nobody is there to be told, so the workers answer on, as the unit says; `systemctl kill` ends them."""
    unit.run("sh", "-c", f"kill -{int(signal.SIGKILL)} {main_pid(unit)}; systemctl stop rrdns")
    assert unit.unit()["SubState"] == "dead"
    assert figures(asked(unit, 50, 1))["lost"] == 0
    unit.run("systemctl", "kill", "rrdns")
    wait_for(lambda: not unit.pids(), 15, "they end")
