"""`rrdns upgrade`: the server goes on as the newly installed version, with its sockets and its pid.

The supervisor replaces itself by exec and then does what a start over orphans does: it takes the workers' sockets
over, starts a control and workers of the new version, and ends the old ones when the new ones serve. Before that a
child of the new version rehearses the start, so that a broken one never ends the old. What became of it stands in the
file `upgrade` of the run folder, where control reads it for the one who asked. Floor 4, standard library only; the
rehearsal alone imports the rest. Must not know: zones, answers, how sockets are handed over.

    asked      control noted it and signalled us (SIGUSR2)
    checking   the rehearsal runs              -> refused: the running version serves on, `why` says why
    changing   exec; the old workers answer on -> failed: the start failed, the old workers answer on
    done       the new version serves, the old one is gone
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import rrdns
from rrdns.board import CONTROL, FIRST_WORKER, SUPERVISOR, Board
from rrdns.log import logger
from rrdns.settings import Settings
from rrdns.supervise import children, privileges
from rrdns.supervise.startup import Place
from rrdns.supervise.systemd import Notifier

FILE = "upgrade"
VARIABLE = "RRDNS_UPGRADE"
SIGNAL = signal.SIGUSR2
HELD_BACK = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)  # while nobody is there to catch them
UNDER_WAY = ("asked", "checking", "changing")
HEARD_WITHIN = 5.0  # between the question and the supervisor's word
REHEARSAL = 120.0  # a large directory takes its time
SHOWN = 5  # lines of a rehearsal's complaint

Json = dict[str, Any]


class NotNow(Exception):
    """The question cannot be put; the text is for people."""


# -- control's side ------------------------------------------------------------------------------------------------


def ask(run: Path, board: Board, who: str) -> Json:
    """Asks the supervisor; who serves now, and the id by which `found` tells of it. Raises NotNow."""
    before = found(run)
    if before.get("state") in UNDER_WAY and (before["state"] != "asked" or _age(before) < HEARD_WITHIN):
        raise NotNow("an upgrade is under way already")
    if not board.lives(SUPERVISOR):
        raise NotNow("the supervisor is gone: start the server anew, it takes the workers over (rrdns serve)")
    told = {"id": secrets.token_hex(8), "from": rrdns.__version__, "began": time.monotonic(), "who": who}
    try:
        _write(run, {**told, "state": "asked"})
        os.kill(board.get(SUPERVISOR, "pid"), SIGNAL)
    except OSError as error:
        raise NotNow(f"the supervisor cannot be asked: {error}") from error
    return {**told, "pids": pids(board)}


def found(run: Path) -> Json:
    """What is known of the last upgrade; empty: there was none."""
    try:
        told = json.loads((run / FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def pids(board: Board) -> Json:
    workers = [board.get(row, "pid") for row in range(FIRST_WORKER, board.rows)]
    return {"supervisor": board.get(SUPERVISOR, "pid"), "control": board.get(CONTROL, "pid"), "workers": workers}


def _age(told: Json) -> float:
    began = told.get("began")
    return time.monotonic() - began if isinstance(began, float) else HEARD_WITHIN


def _write(run: Path, told: Mapping[str, Any]) -> None:
    fresh = run / f"{FILE}.new"
    fresh.unlink(missing_ok=True)
    fresh.write_text(json.dumps(told) + "\n")
    fresh.rename(run / FILE)


# -- the supervisor's side -----------------------------------------------------------------------------------------


def resumed() -> Json:
    """What the version before left us by its exec, once; empty: this is a start of its own. Signals come again."""
    text = os.environ.pop(VARIABLE, "")
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
    told = json.loads(text) if text else {}
    return told if isinstance(told, dict) else {}


class Upgrade:
    """The supervisor's part, before the exec and after it. `tick` never waits."""

    def __init__(self, run: Path, told: Json) -> None:
        """`told`: what `resumed` said."""
        self._run = run
        self._told: Json = told
        self._rehearsal: subprocess.Popen[bytes] | None = None
        self._said: BinaryIO | None = None
        self._until = 0.0
        self.resumes = bool(told)
        self.ready = False
        """The rehearsal went well: `become` is to be called."""
        if not told:
            (run / FILE).unlink(missing_ok=True)

    def begin(self, env: Mapping[str, str], objection: str, now: float) -> None:
        """Somebody asks. `objection`: why it cannot be now."""
        if self._rehearsal or self.ready or self.resumes:
            return
        asked = found(self._run)
        self._told = asked if asked.get("state") == "asked" else {"id": "", "began": now, "who": "SIGUSR2"}
        self._told["from"] = rrdns.__version__
        logger.info("%s asks for an upgrade: the installed version is tried out", self._told["who"])
        if objection:
            self._refuse(objection)
            return
        self._note("checking")
        try:
            self._said = tempfile.TemporaryFile()  # noqa: SIM115  closed by `_hear`
            self._rehearsal = subprocess.Popen(
                children.command("rrdns.supervise.upgrade"),
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=subprocess.STDOUT,
                env=dict(env),
                start_new_session=True,
            )
        except OSError as error:
            self._refuse(f"it cannot be tried out: {error}")
        self._until = now + REHEARSAL

    def tick(self, now: float) -> None:
        """Looks after the rehearsal."""
        if self._rehearsal is None:
            return
        code = self._rehearsal.poll()
        if code is None and now < self._until:
            return
        if code is None:
            self._rehearsal.kill()
            self._rehearsal.wait()
        self._rehearsal = None
        lines = self._hear()
        if code == 0 and lines:
            self._told["to"] = lines[-1]
            self.ready = True
        elif code is None:
            self._refuse(f"the installed version was not ready after {REHEARSAL:g} s")
        else:
            self._refuse(_complaint(lines) or f"the installed version {children.how_it_ended(code)}")

    def _hear(self) -> list[str]:
        assert self._said is not None
        with self._said as said:
            said.seek(0)
            text = said.read(1 << 20).decode("utf-8", "replace")
        return [line for line in text.splitlines() if line.strip()]

    def become(self, place: Place, env: Mapping[str, str], notifier: Notifier, arguments: list[str]) -> None:
        """The exec. Returns only if it failed; then all is as before."""
        self.ready = False
        self._note("changing")
        settings = replace(place.settings, listen=place.addresses)  # the ports that were chosen for port 0
        lock = place.folder.pass_on()
        told = json.dumps({**self._told, "lock": lock})
        whole = {**env, **notifier.environment(), "RRDNS_SETTINGS": settings.to_json(), VARIABLE: told}
        logger.info("goes on as version %s, same pid; the workers answer on", self._told["to"])
        notifier.say(f"STATUS=upgrading from {self._told['from']} to {self._told['to']}")
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
        try:
            privileges.pass_on()
            os.execve(sys.executable, children.command("rrdns.supervise.supervisor", *arguments), whole)
        except (OSError, privileges.PrivilegeError) as error:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
            privileges.stop_passing_on()
            self._refuse(f"{sys.executable} cannot be started: {error}")

    def finish(self, board: Board, now: float) -> None:
        """The new version serves and the old one is gone; told once."""
        if not self.resumes:
            return
        self.resumes = False
        self._told["to"] = rrdns.__version__
        self._told["seconds"] = round(now - self._told.get("began", now), 2)
        self._note("done", pids=pids(board))
        logger.info("upgraded from %(from)s to %(to)s in %(seconds)s s", self._told)

    def fail(self, why: str) -> None:
        """The start after the exec failed."""
        if self.resumes:
            self.resumes = False
            self._note("failed", why=why)

    def _refuse(self, why: str) -> None:
        logger.error("no upgrade: %s; version %s serves on", why, rrdns.__version__)
        self._note("refused", why=why)

    def _note(self, state: str, **more: Any) -> None:
        self._told.update(state=state, **more)
        try:
            _write(self._run, self._told)
        except OSError as error:  # a full disk: then nobody hears of it but by the log
            logger.error("cannot write %s: %s", self._run / FILE, error)


def _complaint(lines: list[str]) -> str:
    """The problems one by one; of a traceback its last line."""
    if any(line.startswith("Traceback ") for line in lines):
        return f"the installed version does not load: {lines[-1]}"
    return "\n".join(lines[:SHOWN] + ([f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []))


# -- the rehearsal: a child of the new version ---------------------------------------------------------------------


def rehearse() -> list[str]:
    """Whatever could end the start of this version: modules, settings, the board it takes over from, zone files."""
    settings = Settings.from_json(os.environ["RRDNS_SETTINGS"])
    for module in ("supervise.supervisor", "server.worker", "control.control", "control.wiring"):
        import_module(f"rrdns.{module}")
    try:
        Board(os.environ["RRDNS_BOARD"])
    except (OSError, ValueError) as error:
        return [f"the installed version cannot take over from this one ({error}): stop and start the server instead"]
    read = import_module("rrdns.control.files").read(settings.zones)
    loaded = import_module("rrdns.zonefile").load(read.files, read.mtimes)
    return [str(one) for one in sorted({*read.problems, *loaded.problems}) if not one.warning]


def main() -> int:
    with contextlib.suppress(OSError):
        os.nice(10)  # the workers need the CPU more
    problems = rehearse()
    print("\n".join(problems) or rrdns.__version__, flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
