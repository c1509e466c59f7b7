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


class Tap:
    """The reading end of a pipe: keeps the first `limit` bytes, and reads on slowly past them."""

    def __init__(self, limit: int) -> None:
        """OSError if there is no pipe to be had. `theirs` is the program's end, closed by who starts it."""
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._pause: asyncio.TimerHandle | None = None
        self.kept = bytearray()
        self._pipe, self.theirs = os.pipe()
        os.set_blocking(self._pipe, False)

    def open(self) -> None:
        self._loop.add_reader(self._pipe, self._said)

    def close(self) -> None:
        """Reads what is still there, then closes."""
        self._read()
        self._loop.remove_reader(self._pipe)
        os.close(self._pipe)
        if self._pause:
            self._pause.cancel()

    def _said(self) -> None:
        if not self._read():
            self._loop.remove_reader(self._pipe)
        elif len(self.kept) >= self._limit:
            self._loop.remove_reader(self._pipe)
            self._pause = self._loop.call_later(_PAUSE, self._loop.add_reader, self._pipe, self._said)

    def _read(self) -> bool:
        """Takes what is there; False at the end."""
        try:
            data = os.read(self._pipe, _READ)
        except BlockingIOError:
            return True
        self.kept += data[: self._limit - len(self.kept)]
        return bool(data)


class Child:
    """A running program. `ended` gets its return code as subprocess has it (negative: a signal), None if lost.
    With `apart` what it writes to standard error is kept in `errors`, else it stands in `output` too."""

    def __init__(self, argv: list[str], env: dict[str, str], limit: int = OUTPUT_LIMIT, apart: bool = False) -> None:
        """Starts it; OSError if that can't be."""
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int | None] = self._loop.create_future()
        self._taps: list[Tap] = []
        try:
            self._taps.append(Tap(limit))
            if apart:
                self._taps.append(Tap(OUTPUT_LIMIT))
            out, err = self._taps[0].theirs, self._taps[-1].theirs
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env, cwd="/", start_new_session=True
            )
        except BaseException:
            for tap in self._taps:
                tap.close()
            raise
        finally:
            for tap in self._taps:
                os.close(tap.theirs)
        for tap in self._taps:
            tap.open()
        try:
            self._pidfd = os.pidfd_open(self._process.pid)
            self._loop.add_reader(self._pidfd, self._look)
        except OSError:  # an old kernel or a strict sandbox, or no descriptor left
            self._pidfd = -1
            self._loop.call_later(_POLL, self._look)

    @property
    def output(self) -> bytes:
        return bytes(self._taps[0].kept)

    @property
    def errors(self) -> bytes:
        return bytes(self._taps[-1].kept)

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
        for tap in self._taps:
            tap.close()
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        self.ended.set_result(code)

    async def wait(self, allowed: float) -> bool:
        """Whether it ended in time; else, and if we are cancelled, it is killed."""
        try:
            done, _ = await asyncio.wait({self.ended}, timeout=allowed)
            if not done:
                self.kill()
                await asyncio.wait({self.ended}, timeout=_LAST_WAIT)
            return bool(done)
        except asyncio.CancelledError:
            self.kill()
            await asyncio.wait({self.ended}, timeout=_LAST_WAIT)
            raise


def clean(**more: str) -> dict[str, str]:
    """The environment a program gets."""
    return {"PATH": os.environ.get("PATH", _PATH), "LANG": "C", **more}


async def probe(target: Target, asked: CommandProbe) -> Result:
    check = target.check
    begun = time.monotonic()
    argv = [word.replace("{address}", target.address).replace("{port}", str(check.port)) for word in asked.argv]
    env = clean(RRDNS_ADDRESS=target.address, RRDNS_PORT=str(check.port))
    try:
        child = Child(argv, env)
    except (OSError, ValueError) as error:
        reason, ours = not_started(argv[0], error)
        return Result(False, reason, time.monotonic() - begun, void=ours)
    done = await child.wait(check.timeout)
    took = time.monotonic() - begun
    said = first_line(child.output)
    if not done:
        return Result(False, f"timed out after {seconds(check.timeout)} running{said}", took)
    code = child.ended.result()
    if code == 0:
        return Result(True, "exit 0", took)
    return Result(False, f"{ending(code)}{said}", took)


def first_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return f": {plain(lines[0].strip(), 120)}" if lines else ""


def ending(code: int | None) -> str:
    if code is None:
        return "its exit code is lost (SIGCHLD is ignored in this process)"
    if code > 0:
        return f"exit {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def not_started(program: str, error: OSError | ValueError) -> tuple[str, bool]:
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
