"""The command check with real programs, under both event loops."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from rrdns.checks import probe
from rrdns.model import Check, CommandProbe, Result, Target

Run = Callable[[Coroutine[Any, Any, Result]], Result]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def go(work: Coroutine[Any, Any, Result]) -> Result:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.sleep(0))
            opened = descriptors()
            result = runner.run(work)
            assert descriptors() <= opened  # the probe left none open
        return result

    return go


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def aim(*argv: str, timeout: float = 30.0, address: str = "192.0.2.1", port: int = 0) -> Target:
    check = Check("c", "command", port, CommandProbe(argv), timeout=timeout)
    return Target(check.key(address), check, address)


def shell(script: str, timeout: float = 30.0) -> Target:
    return aim("/bin/sh", "-c", script, timeout=timeout)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("script", "ok", "reason"),
    [
        ("exit 0", True, "exit 0"),
        ("echo all is well", True, "exit 0"),
        ("exit 7", False, "exit 7"),
        ("echo connection refused; exit 2", False, "exit 2: connection refused"),
        ("echo; echo '  wrong  ' >&2; echo more; exit 2", False, "exit 2: wrong"),
        ("printf '\\033[31mred\\377'; exit 1", False, "exit 1: ?[31mred\N{REPLACEMENT CHARACTER}"),
        ("kill -SEGV $$", False, "killed by SIGSEGV"),
        ("echo dying; kill -TERM $$", False, "killed by SIGTERM: dying"),
        ("read line && exit 3 || exit 4", False, "exit 4"),  # standard input is empty
        ("kill -40 $$", False, "killed by signal 40"),
    ],
)
def test_verdicts(run: Run, script: str, ok: bool, reason: str) -> None:
    result = run(probe(shell(script)))
    assert (result.ok, result.reason, result.silent, result.void) == (ok, reason, False, False)
    assert 0 < result.took < 30


def test_missing_and_unusable_programs(run: Run, tmp_path: Path) -> None:
    script = tmp_path / "check"
    assert run(probe(aim(str(script)))).reason == f"cannot run {script}: No such file"
    assert run(probe(aim("no-such-program"))).reason == "cannot run no-such-program: No such file"
    script.write_text("#!/no/such/shell\n")
    assert run(probe(aim(str(script)))).reason == f"cannot run {script}: Permission denied"
    script.chmod(0o755)
    assert run(probe(aim(str(script)))).reason == f"cannot run {script}: No such interpreter (its first line, #!)"
    script.write_text("not a program\n")
    assert run(probe(aim(str(script)))).reason == f"cannot run {script}: Exec format error"
    assert run(probe(aim("/bin/true", "a\0b"))).reason == "cannot run /bin/true: embedded null byte"


def test_arguments_and_environment(run: Run, tmp_path: Path) -> None:
    report = tmp_path / "report"
    script = 'echo "$@" > "$0"; env | sort >> "$0"; pwd >> "$0"; ps -o sid= -p $$ >> "$0"; echo $$ >> "$0"'
    os.environ["RRDNS_SECRET"] = "x"
    try:
        target = aim("/bin/sh", "-c", script, str(report), "{address}:{port}", "$HOME", address="2001:db8::1", port=80)
        assert run(probe(target)).ok
    finally:
        del os.environ["RRDNS_SECRET"]
    arguments, *rest, session, pid = report.read_text().splitlines()
    assert arguments == "2001:db8::1:80 $HOME"  # nothing is expanded
    assert "/" in rest
    names = {line.partition("=")[0] for line in rest if "=" in line}
    assert names - {"PWD", "_", "SHLVL", "OLDPWD"} == {"PATH", "LANG", "RRDNS_ADDRESS", "RRDNS_PORT"}
    assert {"RRDNS_ADDRESS=2001:db8::1", "RRDNS_PORT=80", "LANG=C"} <= set(rest)
    assert session.strip() == pid  # a session of its own


def test_no_descriptor_is_inherited(run: Run) -> None:
    with open("/dev/null") as secret:
        os.set_inheritable(secret.fileno(), True)
        assert run(probe(aim("/bin/sh", "-c", f"test ! -e /proc/self/fd/{secret.fileno()}"))).ok


def test_timeout_kills_the_whole_group(run: Run, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"trap '' TERM INT HUP; echo waiting; sleep 600 & echo $$ $! > {pids}; wait"
    result = run(probe(shell(script, timeout=1.0)))
    assert (result.ok, result.reason, result.silent) == (False, "timed out after 1s running: waiting", False)
    leader, child = map(int, pids.read_text().split())
    wait_for(lambda: not lives(leader) and not lives(child))


def test_children_left_behind_are_killed_and_not_waited_for(run: Run, tmp_path: Path) -> None:
    """A daemon that keeps the output open must neither delay the verdict nor outlive the probe."""
    pids = tmp_path / "pids"
    result = run(probe(shell(f"sleep 600 & echo $! > {pids}; exit 0")))
    assert (result.ok, result.took < 20) == (True, True)
    wait_for(lambda: not lives(int(pids.read_text())))


@pytest.mark.parametrize("script", ["exit 0", "sleep 600"])
def test_nothing_is_left_to_reap(run: Run, tmp_path: Path, script: str) -> None:
    pid = tmp_path / "pid"
    run(probe(shell(f"echo $$ > {pid}; {script}", timeout=1.0)))
    assert not Path("/proc", pid.read_text().strip()).exists()


def test_much_output_is_read_but_not_kept(run: Run) -> None:
    result = run(probe(shell("head -c 2000000 /dev/zero | tr '\\0' x; exit 1")))
    assert result.reason == "exit 1: " + "x" * 117 + "..."


def test_endless_output_does_not_hold_the_loop(run: Run) -> None:
    async def beside() -> Result:
        task = asyncio.create_task(probe(shell("yes", timeout=1.0)))
        turns = 0
        while not task.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert turns > 10
        return task.result()

    assert run(beside()).reason == "timed out after 1s running: y"


def test_cancelled_probe_kills_its_program(run: Run, tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    async def cancel_midway() -> Result:
        task = asyncio.create_task(probe(shell(f"echo $$ > {pids}.new; mv {pids}.new {pids}; exec sleep 600")))
        await asyncio.to_thread(wait_for, pids.exists)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return Result(True, "")

    async def warm() -> Result:  # the thread pool of the loop keeps descriptors of its own
        await asyncio.to_thread(int)
        return await cancel_midway()

    run(warm())
    assert not lives(int(pids.read_text()))


def test_without_pidfd(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_here(*_: object) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", not_here)
    assert run(probe(shell("echo a; exit 3"))).reason == "exit 3: a"
    assert run(probe(shell("sleep 600", timeout=0.2))).reason == "timed out after 200ms running"


def test_our_own_distress_is_void(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_many(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("rrdns.checks.command.subprocess.Popen", too_many)
    result = run(probe(shell("exit 0")))
    assert (result.ok, result.void) == (False, True)
    assert re.search("too many open files", result.reason)


def test_ignored_sigchld_is_not_taken_for_success() -> None:
    """The kernel then reaps by itself, and subprocess would report exit code 0."""
    script = (
        "import asyncio, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "from rrdns.checks import probe; from rrdns.model import *\n"
        "check = Check('c', 'command', 0, CommandProbe(('/bin/false',)))\n"
        "print(asyncio.run(probe(Target('k', check, '192.0.2.1'))).reason)\n"
    )

    async def go() -> bytes:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parent.parent
        )
        return (await process.communicate())[0]

    assert b"exit code is lost" in asyncio.run(go())
