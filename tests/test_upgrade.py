"""`rrdns upgrade` on a whole server: the new version serves, nothing is lost or forgotten; a broken one is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from live import Server, wait_for
from needs import needs
from pacer import pace
from test_main_job import ALL, three_behind_a_name
from test_privileges import python

import rrdns
from rrdns.board import SUPERVISOR, Board
from rrdns.supervise import privileges, upgrade
from rrdns.supervise.upgrade import NotNow, Upgrade

NAME = "www.lb.example.com."
REST = {"127.0.0.11"}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, to be upgraded in place; servers started in the test run from it."""
    package = tmp_path / "installed" / "rrdns"
    shutil.copytree(Path(rrdns.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    return package


def install(package: Path, version: str) -> None:
    init = package / "__init__.py"
    init.write_text(init.read_text().replace(f'"{rrdns.__version__}"', f'"{version}"'))


def processes(server: Server) -> dict[str, Any]:
    return upgrade.pids(Board(server.state / "board"))


def upgraded(server: Server) -> dict[str, Any]:
    done = server.run("upgrade", "--json", timeout=180)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.timeout(180)
def test_the_new_version_serves_and_nothing_is_lost_or_forgotten(installed: Path) -> None:
    with three_behind_a_name() as (server, webs):
        webs[2].status(503)
        server.run("drain", "web2", "--reason", "kernel update")
        wait_for(lambda: server.addresses() == REST, what="one down, one drained")
        before = server.status()["pools"]["web"]["members"]
        old = processes(server)
        install(installed, "7.7.7")
        load = pace(server.port, 400, 15, NAME, allow=tuple(REST))
        time.sleep(1)
        told = upgraded(server)
        figures = load.result()
        print(f"upgrade in {told['seconds']} s at 400/s: {figures}")
        assert (told["ok"], told["from"], told["to"]) == (True, rrdns.__version__, "7.7.7")
        assert told["before"] == old and told["after"] == processes(server)
        assert told["after"]["supervisor"] == server.process.pid == old["supervisor"], "the same process"
        assert told["after"]["control"] != old["control"]
        assert not set(told["after"]["workers"]) & set(old["workers"])
        assert figures["wrong"] == 0, "no answer from anybody who is down or drained"
        assert figures["answered"] >= figures["sent"] * 0.98
        for pid in (old["control"], *old["workers"]):
            assert not Path(f"/proc/{pid}").exists(), "ended, and its body taken away"
        status = server.status()
        assert status["version"] == "7.7.7"
        for name, member in status["pools"]["web"]["members"].items():
            assert member["state"] == before[name]["state"]
            known = before[name]["addresses"][0]
            assert member["addresses"][0]["since"] > known["since"], "the verdict is the old one, not a new judgement"
            assert member["addresses"][0]["state"] == known["state"]
        assert status["pools"]["web"]["members"]["web2"]["override"]["reason"] == "kernel update"
        server.run("enable", "web2")
        wait_for(lambda: server.addresses() == {"127.0.0.11", "127.0.0.12"}, what="the new version decides")

        again = server.run("upgrade", timeout=180)  # as a person reads it, and from an upgraded server
        assert "to the same version, 7.7.7" in again.stdout and str(server.process.pid) in again.stdout
        assert not list(server.state.glob("old-*")), "nothing is left behind"
        server.process.terminate()
        assert server.process.wait(15) == 0
        assert "Traceback" not in server.log, server.log


def broken_package(package: Path, server: Server) -> str:
    (package / "__init__.py").write_text("raise ImportError('half a release')\n")
    return "half a release"


def broken_control(package: Path, server: Server) -> str:
    with (package / "control" / "desk.py").open("a") as file:
        file.write("\nimport nobody_has_this\n")
    return "nobody_has_this"


def another_board(package: Path, server: Server) -> str:
    file = package / "board.py"
    file.write_text(file.read_text().replace("0x7272646E73_0001", "0x7272646E73_0002"))
    return "stop and start the server"


def bad_files(package: Path, server: Server) -> str:
    (server.zones / "lb.example.com.yaml").write_text("www: {type: A, value: 192.0.2.500}\n")
    return "lb.example.com.yaml:1"


def removed(package: Path, server: Server) -> str:
    (package / "supervise" / "upgrade.py").unlink()
    return "rrdns.supervise.upgrade"


@pytest.mark.timeout(180)
def test_a_broken_version_is_refused_and_the_old_one_serves_on(installed: Path) -> None:
    with three_behind_a_name() as (server, _):
        old = processes(server)
        good = server.zones / "lb.example.com.yaml"
        zone = good.read_text()
        for spoil in (broken_package, broken_control, another_board, bad_files, removed):
            kept = installed.with_name("kept")
            shutil.copytree(installed, kept)
            what = spoil(installed, server)
            done = outside(installed, server)
            shutil.rmtree(installed)
            kept.rename(installed)
            good.write_text(zone)
            assert done.returncode == 1 and done.stdout == "", done
            assert what in done.stderr and "serves on" in done.stderr and "Traceback" not in done.stderr, done.stderr
            assert processes(server) == old, spoil
            assert server.addresses() == ALL
        wait_for(lambda: server.status()["reload"]["state"] == "ok", what="the files are read again")
        assert upgraded(server)["ok"], "what is whole again is accepted"


def outside(installed: Path, server: Server) -> subprocess.CompletedProcess[str]:
    """The command, by the version these tests are of: the installed one is broken."""
    before = os.environ["PYTHONPATH"]
    os.environ["PYTHONPATH"] = str(Path(rrdns.__file__).parents[1])
    try:
        return server.run("upgrade", check=False, timeout=180)
    finally:
        os.environ["PYTHONPATH"] = before


@pytest.mark.timeout(180)
def test_a_version_that_fails_after_its_trial_leaves_the_workers(installed: Path) -> None:
    """The trial cannot foresee everything. Who is left answers on, and the next good start takes over."""
    with three_behind_a_name() as (server, _):
        old = processes(server)
        file = installed / "control" / "control.py"
        good = file.read_text()
        file.write_text(good.replace("loop = asyncio.get_running_loop()", "raise SystemExit(9)"))
        load = pace(server.port, 200, 12, NAME, allow=tuple(ALL))
        ended = threading.Thread(target=server.process.wait)  # as a service manager would
        ended.start()
        done = server.run("upgrade", check=False, timeout=180)
        ended.join(30)
        assert done.returncode == 1 and "could not start" in done.stderr, done
        assert "workers answer on" in done.stderr and server.process.returncode == 9
        assert server.addresses() == ALL
        for pid in old["workers"]:
            os.kill(pid, 0)
        file.write_text(good)
        server.start()
        figures = load.result()
        assert figures["wrong"] == 0 and figures["answered"] >= figures["sent"] * 0.95, figures
        assert server.addresses() == ALL and not set(processes(server)["workers"]) & set(old["workers"])


@pytest.mark.full
@pytest.mark.timeout(180)
def test_an_upgrade_at_20_000_queries_a_second() -> None:
    needs("dnsperf")
    with three_behind_a_name() as (server, _):
        queries = server.folder / "queries"
        queries.write_text("www.lb.example.com A\nalias.lb.example.com A\nstatic.lb.example.com A\n")
        for title in ("without", "with"):
            load = subprocess.Popen(
                ["dnsperf", "-s", "127.0.0.1", "-p", str(server.port), "-d", str(queries)]
                + ["-Q", "20000", "-l", "20", "-c", "16", "-T", "1"],
                stdout=subprocess.PIPE,
                text=True,
            )
            checker = pace(server.port, 200, 19, NAME, allow=tuple(ALL))
            time.sleep(2)
            took = upgraded(server)["seconds"] if title == "with" else 0
            out, _ = load.communicate(timeout=60)
            figures = checker.result()
            told = {
                name: float(value) for name, value in re.findall(r"Queries (sent|lost|per second):\s+([\d.]+)", out)
            }
            print(f"{title} an upgrade ({took} s): {told}; {figures}")
            assert figures["wrong"] == 0 and "SERVFAIL" not in out and "REFUSED" not in out, out
            assert told["lost"] <= told["sent"] * 0.01


def test_without_a_state_folder_it_is_refused() -> None:
    with three_behind_a_name() as (server, _):
        server.process.terminate()
        server.process.wait(15)
        server.arguments = ("--state", "none")
        server.start()
        done = server.run("upgrade", check=False)
        assert done.returncode == 1 and "state: none" in done.stderr, done
        assert server.addresses() == ALL


def test_nobody_there() -> None:
    from rrdns.cli import main

    assert main(["upgrade", "--control", "/nonexistent/control.sock"]) == 3


# ------------------------------------------------------------------ the parts


def test_a_question_under_way_and_a_supervisor_that_is_gone(tmp_path: Path) -> None:
    board = Board(tmp_path / "board", rows=3)
    with pytest.raises(NotNow, match="supervisor is gone"):
        upgrade.ask(tmp_path, board, "ann")
    board.sign_in(SUPERVISOR)
    before = signal.signal(upgrade.SIGNAL, lambda *_: None)
    try:
        told = upgrade.ask(tmp_path, board, "ann")
        assert upgrade.found(tmp_path) == {
            **{name: told[name] for name in ("id", "from", "began", "who")},
            "state": "asked",
        }
        assert told["pids"]["supervisor"] == os.getpid()
        with pytest.raises(NotNow, match="under way"):
            upgrade.ask(tmp_path, board, "bob")
    finally:
        signal.signal(upgrade.SIGNAL, before)


def test_an_objection_and_a_fresh_start(tmp_path: Path) -> None:
    one = Upgrade(tmp_path, {})
    one.begin(os.environ, "not today", time.monotonic())
    found = upgrade.found(tmp_path)
    assert (found["state"], found["why"], one.ready) == ("refused", "not today", False)
    Upgrade(tmp_path, {})
    assert upgrade.found(tmp_path) == {}, "a start of its own knows of no upgrade"
    late = Upgrade(tmp_path, {"id": "x", "from": "0", "to": "1", "lock": 5})
    late.fail("no port")
    late.fail("said once")
    assert upgrade.found(tmp_path)["why"] == "no port"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_capability_outlives_the_exec_and_no_child_has_it(installed: Path) -> None:
    account = privileges.choose("nobody")
    only = 1 << privileges.NET_BIND_SERVICE
    if account is None or not privileges.capabilities()["CapPrm"] & only:
        pytest.skip("needs a user nobody and CAP_NET_BIND_SERVICE")
    with tempfile.TemporaryDirectory(prefix="rrdns-exec-") as folder:
        installed.rename(Path(folder, "rrdns"))
        Path(folder, "exec.py").write_text(EXEC)
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        done = subprocess.run(
            [python(account), str(Path(folder, "exec.py")), "before"],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": folder},
            cwd="/",
            timeout=60,
        )
    assert done.stdout.split() == [str(only), "0", "0", str(account.uid)], done


EXEC = """
import os, subprocess, sys
from rrdns.supervise import privileges as p

if sys.argv[1] == "before":
    p.drop(p.choose("nobody"))
    p.pass_on()
    os.execv(sys.executable, [sys.executable, sys.argv[0], "after"])
p.lock_down()
child = subprocess.run(["grep", "CapPrm", "/proc/self/status"], capture_output=True, text=True).stdout
now = p.capabilities()
print(now["CapPrm"], now["CapInh"] | now["CapAmb"], int(child.split()[1], 16), os.geteuid())
"""
