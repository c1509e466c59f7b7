"""rrdns as a service: its unit as systemd judges it, the server behind the unit's walls, what the manager is told."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import live
import pytest
from needs import needs

from rrdns.board import FIRST_WORKER, Board

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "packaging" / "rrdns.service"
NUMBERS = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
MOST_EXPOSURE = 1.8  # of systemd 252: nsd's unit has 5.0, pdns's 2.3
CAPABILITY = "CAP_NET_BIND_SERVICE"


def settings_of(unit: Path) -> dict[str, list[str]]:
    """Every assignment of the [Service] section, in order."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in unit.read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            found.setdefault(key.strip(), []).append(value.strip())
    return found


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program and folders that this machine has."""
    here = tmp_path / "rrdns.service"
    here.write_text(UNIT.read_text().replace("/opt/rrdns/bin/rrdns", shutil.which("true") or "/bin/true"))
    return here


# ---------------------------------------------------------------- the unit as systemd sees it


def test_the_unit_is_sound(unit: Path) -> None:
    needs("systemd-analyze")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=false", str(unit)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_word_systemd_does_not_know_would_be_seen(unit: Path) -> None:
    needs("systemd-analyze")
    unit.write_text(unit.read_text().replace("ProtectHome=yes", "ProtectHomes=yes"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=false", str(unit)], capture_output=True, text=True, timeout=60
    )
    assert "ProtectHomes" in done.stderr


def exposure(unit: Path) -> float:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found[1])


def test_the_unit_is_as_strict_as_those_of_other_name_servers(unit: Path) -> None:
    needs("systemd-analyze")
    ours = exposure(unit)
    assert ours <= MOST_EXPOSURE
    for name in ("nsd", "pdns", "knot", "gdnsd"):
        other = Path(f"/lib/systemd/system/{name}.service")
        if other.exists():
            assert ours < exposure(other), name


@pytest.mark.parametrize("name", ["nsd", "pdns"])
def test_every_wall_of_theirs_stands_here_too(name: str) -> None:
    other = Path(f"/lib/systemd/system/{name}.service")
    if not other.exists():
        pytest.skip(f"no {other}: its package is not installed")
    ours, theirs = settings_of(UNIT), settings_of(other)
    walls = [key for key in theirs if re.match(r"Protect|Private|Restrict|NoNew|Lock|MemoryDeny|SystemCall", key)]
    assert len(walls) > 5
    strength = {"no": 0, "false": 0, "yes": 1, "true": 1, "full": 2, "strict": 3}
    for key in walls:
        assert key in ours, f"{name} has {key}"
        if theirs[key][0] in strength:
            assert strength[ours[key][0]] >= strength[theirs[key][0]], key
    allowed, refused = (
        set(ours["RestrictAddressFamilies"][0].split()),
        set(" ".join(theirs["SystemCallFilter"]).split()),
    )
    assert allowed == {"AF_UNIX", "AF_INET", "AF_INET6"}
    assert all(one.startswith(("@", "~")) for one in refused)
    numbers = numbers_of_calls()
    theirs_refuse = {numbers[call] for one in refused for call in calls_of(one.lstrip("~")) if call in numbers}
    # A CPU and short turns on it for each worker (no other class: that takes CAP_SYS_NICE), descriptors.
    needed = {numbers[call] for call in ("sched_setaffinity", "sched_setattr", "setrlimit", "prlimit64")}
    assert not (theirs_refuse & allowed_numbers()) - needed


def test_one_capability_and_no_root() -> None:
    ours = settings_of(UNIT)
    assert ours["AmbientCapabilities"] == ours["CapabilityBoundingSet"] == [CAPABILITY]
    assert ours["User"] == ["rrdns"] and ours["Type"] == ["notify"] and ours["NotifyAccess"] == ["main"]
    assert not any(
        one.startswith("+") or one.startswith("!") for key in ours if key.startswith("Exec") for one in ours[key]
    )


# ---------------------------------------------------------------- the server behind these walls


def calls_of(name: str) -> set[str]:
    """The system calls that a name of SystemCallFilter= stands for."""
    if not name.startswith("@"):
        return {name}
    if not shutil.which("systemd-analyze"):
        needs("systemd-analyze")
    text = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", name],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    lines = [line.strip() for line in text.splitlines()[1:]]
    return {call for line in lines if line and not line.startswith("#") for call in calls_of(line)}


def numbers_of_calls() -> dict[str, int]:
    if not NUMBERS.exists():
        pytest.skip(f"no {NUMBERS} (Debian: linux-libc-dev)")
    found = re.findall(r"#define __NR_(\w+)\s+(\d+)", NUMBERS.read_text())
    return {name: int(number) for name, number in found}


def allowed_numbers() -> set[int]:
    """What the unit's SystemCallFilter= lines let through, line after line as systemd reads them."""
    needs("systemd-analyze")
    numbers = numbers_of_calls()
    allowed = calls_of("@default")  # always there where the first line is a list of what is allowed
    for line in settings_of(UNIT)["SystemCallFilter"]:
        named = set().union(*(calls_of(one) for one in line.lstrip("~").split()))
        allowed = allowed - named if line.startswith("~") else allowed | named
    return {numbers[one] for one in allowed if one in numbers}


@dataclass
class Service(live.Server):
    """`rrdns serve` as a manager would start it: behind a filter, with a socket to tell how it goes."""

    before: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)

    def start(self, port: int = 0) -> None:
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    *self.before,
                    *(sys.executable, "-m", "rrdns", "serve", str(self.zones), "--listen", f"127.0.0.1:{port}"),
                    *("--state", str(self.state), "--control", str(self.control), *self.arguments),
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.env},
            )


@contextlib.contextmanager
def service(folder: Path, pools: str, more: str = "", zone: str = live.ZONE, **options: object) -> Iterator[Service]:
    zones = folder / "zones"
    zones.mkdir()
    (zones / "lb.example.com.yaml").write_text(zone)
    (zones / "pools.yaml").write_text(pools)
    if more:
        (zones / "more.pools.yaml").write_text(more)
    server = Service(folder, zones, **options)  # type: ignore[arg-type]
    try:
        server.start()
        yield server
    except BaseException:
        print(server.log, file=sys.stderr)
        raise
    finally:
        server.end()
        live.end_leftovers(server.state)


def test_the_server_works_behind_the_units_filter(tmp_path: Path) -> None:
    """Starts, binds workers to CPUs, asks a host by HTTP and by a command, answers, reloads, replaces a worker."""
    if os.uname().machine != "x86_64":
        pytest.skip("the filter of this test is written for x86-64")
    families = [getattr(socket, one) for one in settings_of(UNIT)["RestrictAddressFamilies"][0].split()]
    assert settings_of(UNIT)["MemoryDenyWriteExecute"] == ["yes"]
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"allowed": sorted(allowed_numbers()), "families": sorted(map(int, families))}))
    before = (sys.executable, str(Path(__file__).with_name("behind_filter.py")), str(rules))
    with live.web_servers(2) as web:
        pools = live.pools(web[0].port, *(f"web{at}: {one.address}" for at, one in enumerate(web)))
        more = f"checks: {{sh: {{type: command, command: [{shutil.which('true')}]}}}}\n"
        more += "pools: {other: {check: sh, members: {one: 127.0.0.1}}}\n"
        with service(tmp_path, pools, more, before=before) as server:
            live.wait_for(server._serves, 60, "serving behind the filter")
            addresses = {one.address for one in web}
            live.wait_for(lambda: server.addresses() == addresses, 30, "both members in the answer")
            live.wait_for(lambda: member_state(server, "other", "one") == "up", 30, "a command check")
            web[0].kill()
            live.wait_for(lambda: server.addresses() == addresses - {web[0].address}, 30, "the dead one gone")
            server.run("drain", "web/web1", "--force")
            assert "changed" in server.run("reload").stdout
            assert server.ask("www.lb.example.com.", tcp=True).answer
            before_death = server.pid("worker")
            os.kill(before_death, signal.SIGKILL)
            live.wait_for(lambda: server.status()["workers"][0]["pid"] not in (0, before_death), 30, "a new worker")
            board = Board(server.state / "board")
            live.wait_for(lambda: board.get(FIRST_WORKER, "confined"), 30, "the worker's own walls")
            assert "Operation not permitted" not in server.log


def member_state(server: live.Server, pool: str, member: str) -> str:
    pools = server.status()["pools"]
    return str(pools[pool]["members"][member]["state"]) if pool in pools else ""


# ---------------------------------------------------------------- what the manager is told


@dataclass
class Manager:
    """A service manager's end of $NOTIFY_SOCKET."""

    socket: socket.socket
    heard: list[dict[str, str]] = field(default_factory=list)

    def waits_for(self, key: str, value: str = "", seconds: float = 40.0) -> dict[str, str]:
        """The next message with that word."""
        end = time.monotonic() + seconds
        while True:
            self.socket.settimeout(max(end - time.monotonic(), 0.01))
            try:
                message = dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())
            except TimeoutError:
                raise AssertionError(f"no {key}={value}; heard {self.heard}") from None
            self.heard.append(message)
            if key in message and value in message[key]:
                return message


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        yield Manager(end)


def test_the_manager_hears_a_whole_life(tmp_path: Path, manager: Manager) -> None:
    with live.web_servers(1) as web:
        pools = live.pools(web[0].port, f"web1: {web[0].address}")
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        with service(tmp_path, pools, env=env, arguments=("--workers", "2")) as server:
            ready = manager.waits_for("READY", "1")
            assert ready["STATUS"].startswith("serving on 127.0.0.1:")
            live.wait_for(server._serves, 60, "serving, as it said")
            assert not any("READY" in one for one in manager.heard[:-1])
            for _ in range(3):
                manager.waits_for("WATCHDOG", "1")

            asked = time.monotonic()
            server.process.send_signal(signal.SIGHUP)
            reloading = manager.waits_for("RELOADING", "1")
            assert asked - 0.001 <= int(reloading["MONOTONIC_USEC"]) / 1e6 <= time.monotonic()
            manager.waits_for("READY", "1")

            (server.zones / "pools.yaml").write_text("checks: nonsense\n")  # a refused reload ends too
            server.process.send_signal(signal.SIGHUP)
            manager.waits_for("RELOADING", "1")
            manager.waits_for("READY", "1")
            assert server.addresses() == {web[0].address}

            os.kill(server.pid("control"), signal.SIGKILL)
            manager.waits_for("STATUS", "control is away")
            manager.waits_for("STATUS", "serving on")
            server.process.terminate()
            manager.waits_for("STOPPING", "1")
            assert server.process.wait(20) == 0


def test_a_hung_supervisor_stops_feeding_the_watchdog(tmp_path: Path, manager: Manager) -> None:
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
    zone = "'': {type: NS, value: ns1.example.net.}\n"
    with service(tmp_path, "pools: {}\n", zone=zone, env=env, arguments=("--workers", "1")) as server:
        manager.waits_for("READY", "1")
        manager.waits_for("WATCHDOG", "1")
        server.process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(0.2)
            manager.socket.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    manager.socket.recv(4096)  # what was said before it stood still
            with pytest.raises(AssertionError, match="no WATCHDOG"):
                manager.waits_for("WATCHDOG", "1", seconds=2.0)
        finally:
            server.process.send_signal(signal.SIGCONT)
        manager.waits_for("WATCHDOG", "1")
