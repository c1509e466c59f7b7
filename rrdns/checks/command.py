"""The command check: run a program without a shell; exit code 0 is up.

It runs in a session of its own with a clean environment, and whatever it leaves behind in its process group is
killed, on time or not: before its leader is reaped, so that the group's number cannot be another's by then.
Its output is read to the end, slowly past a limit, so that a talkative program is neither blocked nor a burden.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import time
from pathlib import Path

from rrdns.checks.words import fault, plain, seconds
from rrdns.model import CommandProbe, Result, Target

OUTPUT_LIMIT = 4096  # bytes kept; the first line is all that is shown
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_READ = 65536
_PAUSE = 0.01  # between reads past the limit
_POLL = 0.02  # where the kernel has no pidfd
_LAST_WAIT = 0.5  # for a killed program to go; one in uninterruptible sleep goes later


class Child:
    """A running program. `ended` gets its return code as subprocess has it (negative: a signal), None if lost."""

    def __init__(self, argv: list[str], env: dict[str, str]) -> None:
        """Starts it; OSError if that can't be."""
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int | None] = self._loop.create_future()
        self.output = b""
        self._pause: asyncio.TimerHandle | None = None
        self._pipe, theirs = os.pipe()
        try:
            os.set_blocking(self._pipe, False)
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=env, cwd="/", start_new_session=True
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(theirs)
        self._loop.add_reader(self._pipe, self._said)
        try:
            self._pidfd = os.pidfd_open(self._process.pid)
            self._loop.add_reader(self._pidfd, self._look)
        except OSError:  # an old kernel or a strict sandbox, or no descriptor left
            self._pidfd = -1
            self._loop.call_later(_POLL, self._look)

    def kill(self) -> None:
        """Kills the whole process group. Safe while the leader is not reaped, which `_look` alone does."""
        if not self.ended.done():
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass  # all gone; or only programs with more rights than we have

    def _look(self) -> None:
        """Sees whether the program has ended, and if so clears up behind it."""
        try:
            if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
                if self._pidfd < 0:
                    self._loop.call_later(_POLL, self._look)
                return
            self.kill()
            code: int | None = self._process.wait()
        except ChildProcessError:  # someone set SIGCHLD to be ignored, and the kernel reaped it
            code = None
            self._process.returncode = -1
        self._read()
        self._loop.remove_reader(self._pipe)
        os.close(self._pipe)
        if self._pause:
            self._pause.cancel()
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        self.ended.set_result(code)

    def _said(self) -> None:
        if not self._read():
            self._loop.remove_reader(self._pipe)
        elif len(self.output) >= OUTPUT_LIMIT:
            self._loop.remove_reader(self._pipe)
            self._pause = self._loop.call_later(_PAUSE, self._loop.add_reader, self._pipe, self._said)

    def _read(self) -> bool:
        """Takes what is there; False at the end."""
        try:
            data = os.read(self._pipe, _READ)
        except BlockingIOError:
            return True
        self.output += data[: OUTPUT_LIMIT - len(self.output)]
        return bool(data)


async def probe(target: Target, asked: CommandProbe) -> Result:
    check = target.check
    begun = time.monotonic()
    argv = [word.replace("{address}", target.address).replace("{port}", str(check.port)) for word in asked.argv]
    env = {
        "PATH": os.environ.get("PATH", _PATH),
        "LANG": "C",
        "RRDNS_ADDRESS": target.address,
        "RRDNS_PORT": str(check.port),
    }
    try:
        child = Child(argv, env)
    except (OSError, ValueError) as error:
        reason, ours = _not_started(argv[0], error)
        return Result(False, reason, time.monotonic() - begun, void=ours)
    try:
        done, _ = await asyncio.wait({child.ended}, timeout=check.timeout)
        if not done:
            child.kill()
            await asyncio.wait({child.ended}, timeout=_LAST_WAIT)
    except asyncio.CancelledError:
        child.kill()
        await asyncio.wait({child.ended}, timeout=_LAST_WAIT)
        raise
    took = time.monotonic() - begun
    said = _first_line(child.output)
    if not done:
        return Result(False, f"timed out after {seconds(check.timeout)} running{said}", took)
    code = child.ended.result()
    if code == 0:
        return Result(True, "exit 0", took)
    return Result(False, f"{_ending(code)}{said}", took)


def _first_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return f": {plain(lines[0].strip(), 120)}" if lines else ""


def _ending(code: int | None) -> str:
    if code is None:
        return "its exit code is lost (SIGCHLD is ignored in this process)"
    if code > 0:
        return f"exit {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _not_started(program: str, error: OSError | ValueError) -> tuple[str, bool]:
    """Why it could not run, and whether that is this machine's own distress rather than the check's."""
    if not isinstance(error, OSError):
        return f"cannot run {plain(program, 80)}: {error}", False
    known = fault(error)
    if known.ours:
        return known.reason, True
    if error.errno == errno.ENOENT:
        there = "/" in program and Path("/", program).exists()
        why = "No such interpreter (its first line, #!)" if there else "No such file"
    else:
        why = os.strerror(error.errno) if error.errno else str(error)
    return f"cannot run {plain(program, 80)}: {why}", False
