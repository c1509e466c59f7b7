"""The supervisor: the main pid. Starts control and the workers, keeps their sockets, replaces who dies or hangs.

It is the smallest process with the least to do, because nobody watches it: standard library only, it parses
nothing from the network, and when it is killed all others go on serving; the next start takes them over
(startup.py, handover.py). The workers' side is crew.py, control's is control_post.py. Must not know: zones,
answers, checks.

    phase      waits for                              then
    loading    control's row says SERVING             opens the DNS sockets, starts the workers
    serving    SIGTERM or SIGINT                      (watches: children, heartbeats, the orphans' end)
               SIGUSR2                                becomes the installed version (upgrade.py)
    ending     workers gone (3 s), then control       leaves nothing behind, returns the exit code
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rrdns import log
from rrdns.board import CONTROL, NONE, SERVING, STOPPING, SUPERVISOR
from rrdns.log import logger
from rrdns.settings import Settings
from rrdns.supervise import children, handover, ports
from rrdns.supervise.control_post import ControlPost
from rrdns.supervise.crew import Crew
from rrdns.supervise.signals import Signals
from rrdns.supervise.startup import Place, StartError, prepare
from rrdns.supervise.systemd import Notifier
from rrdns.supervise.upgrade import SIGNAL as UPGRADE
from rrdns.supervise.upgrade import Upgrade, resumed

WORKER, CONTROL_PROCESS = "rrdns.server.worker", "rrdns.control.control"  # modules, run with -m
TICK = 0.1
AWAY = 1.0  # a gap in our own ticks: we, or the whole machine, stood still, and nobody is to blame
PATIENCE = 3.0  # between SIGTERM and SIGKILL
ALL_SERVE_WAIT = 10.0  # for the last of the workers, before orphans are sent home and READY is said
NONE_SERVES_WAIT = 60.0  # for the first of them, before an upgrade is told to have failed


class Supervisor:
    """One server's life. `tick` does everything; it never waits."""

    def __init__(
        self, place: Place, notifier: Notifier, worker_module: str, control_module: str, upgrade: Upgrade
    ) -> None:
        self.place = place
        self.upgrade = upgrade
        self.notifier = notifier
        self.board = place.folder.open_board(place.settings.workers)
        self.board.sign_in(SUPERVISOR)
        self.env = _environment(place)
        self.crew = Crew(place, self.board, worker_module, self.env)
        self.control = ControlPost(self.board, control_module, self.env)
        self.reload_due = False
        self.opened = 0.0
        self.announced = False
        self.where = ""
        self.orphans = [one for one in place.orphans if one.is_worker]
        self.orphans_told: dict[int, float] = {}
        self.orphans_stay = False
        self.ticked = self.forgiven = time.monotonic()
        self.ending = 0.0
        self.control_told = 0.0
        self.code = 0
        self.finished = False

    def tick(self, now: float) -> None:
        if now - self.ticked > AWAY:
            logger.warning("stood still for %.1f s; all get time to show that they live", now - self.ticked)
            self.forgiven = now
        self.ticked = now
        self.board.beat(SUPERVISOR)
        self.notifier.feed(now)
        if not self.ending:
            self._watch_control(now)
        if self.ending:
            self._go_on_ending(now)
        elif self.opened:
            self.crew.watch(now, self.forgiven, self.control.serves())
            self._watch_start(now)
            self._inform(now)
            self.upgrade.tick(now)
        elif self.control.serves():
            self._open(now)

    def reload(self) -> None:
        """SIGHUP for control; it waits until control serves, before that nothing may be there to catch it."""
        self.reload_due = True

    def ask_for_upgrade(self, now: float) -> None:
        """SIGUSR2."""
        objection = ""
        if self.ending or not self.announced or self.orphans:
            objection = "the server is about to start or to end; try again when it serves"
        elif not self.place.folder.kept:
            objection = "with `state: none` health and overrides would be lost: a restart does no more harm"
        self.upgrade.begin(self.env, objection, now)

    def become_upgraded(self) -> None:
        """Goes on as the version that is installed."""
        modules = ["--worker-module", self.crew.module, "--control-module", self.control.module]
        self.upgrade.become(self.place, self.env, self.notifier, modules)

    # -- control -----------------------------------------------------------------------------------------------

    def _watch_control(self, now: float) -> None:
        failed = self.control.watch(now, self.forgiven)
        if failed:
            self.fail(failed)
        elif self.reload_due and self.control.hears():
            self.reload_due = False
            self.notifier.reloading(now, self.board.get(CONTROL, "reloads"))
            self.control.signal(signal.SIGHUP)

    # -- the start ---------------------------------------------------------------------------------------------

    def _open(self, now: float) -> None:
        for one in self.place.silent:
            logger.warning("worker pid %d of the earlier server gave no sockets: killed", one.pid)
            one.signal(signal.SIGKILL)
        try:
            self.crew.open(now)
        except ports.SocketError as error:
            logger.error("%s", error)
            self.fail(1)
            return
        self.opened = now
        try:
            self.place.folder.write_listen(self.place.addresses)
        except OSError as error:  # a full disk is no reason not to answer
            logger.error("cannot write %s: %s", self.place.folder.path / "listen", error)

    def _watch_start(self, now: float) -> None:
        """When the workers serve, the next ones come, and after the last of them the world is told. Orphans go home
        as their sockets are served by others. Once."""
        if self.announced and not self.orphans:
            self.upgrade.finish(self.board, now)
            return
        waited = now - max(self.crew.stepped, self.forgiven)
        if not self.crew.all_serve() and not (waited > ALL_SERVE_WAIT and self.crew.some_serve()):
            if waited > NONE_SERVES_WAIT:
                self.upgrade.fail("no worker of the new version serves, the old ones answer on; see the log")
            return
        self._send_home([one for one in self.orphans if self.crew.is_relieved(one.pid)], now)
        if self.crew.step(now):
            return
        if not self.announced:
            self._announce()
        self._send_home(self.orphans, now)
        self.orphans = [one for one in self.orphans if one.lives()]
        if not self.orphans:
            self.place.folder.forget()

    def _announce(self) -> None:
        self.announced = True
        self.board.set(SUPERVISOR, "state", SERVING)
        where = ", ".join(ports.text(one) for one in self.place.addresses)
        pids = ", ".join(str(one.pid) for one in self.crew.living())
        logger.info("serving on %s (control pid %d, workers pid %s)", where, self.board.get(CONTROL, "pid"), pids)
        self.where = where
        self.notifier.ready(f"serving on {where}")

    def _inform(self, now: float) -> None:
        """The service manager: the end of a reload, and one line on how things stand."""
        if not self.announced:
            return
        self.notifier.watch_reload(now, self.board.get(CONTROL, "reloads"))
        missing = sum(1 for post in self.crew.posts if not (post.child and post.child.serves()))
        faults = [f"{missing} of {len(self.crew.posts)} workers are missing"] if missing else []
        faults += [] if self.control.serves() else ["control is away: answers stay as they were"]
        self.notifier.status("; ".join([f"serving on {self.where}", *faults]))

    def _send_home(self, orphans: Sequence[handover.Orphan], now: float) -> None:
        news = [one for one in orphans if one.pid not in self.orphans_told]
        if news:
            logger.info("workers of the earlier server (pid %s) are no longer needed and end", _pids(news))
        for one in orphans:
            if now - max(self.orphans_told.setdefault(one.pid, now), self.forgiven) > PATIENCE:
                one.signal(signal.SIGKILL)
            elif one in news:
                one.signal(signal.SIGTERM)

    def _signal_orphans(self, number: int) -> None:
        for one in self.orphans:
            one.signal(number)

    # -- the end -----------------------------------------------------------------------------------------------

    def fail(self, code: int) -> None:
        """The start failed. Orphans that serve are worth more than a clean house: the next start finds them."""
        self.upgrade.fail("the new version could not start; its log says why")
        self.orphans = [one for one in self.orphans if one.lives()]
        if self.orphans:
            said = "the earlier server's workers (pid %s) answer on as before, until a start succeeds"
            logger.warning(said, _pids(self.orphans))
            self.orphans_stay = True
            self.orphans = []
        self.end(code)

    def end(self, code: int = 0) -> None:
        """Begins the orderly end."""
        self.code = code
        self.ending = time.monotonic()
        self.board.set(SUPERVISOR, "state", STOPPING)
        self.notifier.stopping()
        self.crew.signal(signal.SIGTERM)
        self._signal_orphans(signal.SIGTERM)

    def hurry(self) -> None:
        self.crew.signal(signal.SIGKILL)
        self._signal_orphans(signal.SIGKILL)
        self.control.signal(signal.SIGKILL)

    def _go_on_ending(self, now: float) -> None:
        """Workers and orphans first, control last: it notes what the workers counted."""
        self.orphans = [one for one in self.orphans if one.lives()]
        working = self.crew.living()
        over = now - max(self.ending, self.forgiven)
        if working or self.orphans:
            if over > PATIENCE:
                self.crew.signal(signal.SIGKILL)
                self._signal_orphans(signal.SIGKILL)
            if over <= PATIENCE + children.STUBBORN:
                return
        control = self.control.child
        if control and control.poll() is None:
            if not self.control_told:
                self.control_told = now
                control.signal(signal.SIGTERM)
            over = now - max(self.control_told, self.forgiven)
            if over > PATIENCE:
                control.signal(signal.SIGKILL)
            if over <= PATIENCE + children.STUBBORN:
                return
        self.finished = True

    def close(self) -> None:
        self.crew.close()
        self.board.set(SUPERVISOR, "state", NONE)
        if not self.orphans_stay:
            self.place.folder.forget()
        self.place.folder.clean()
        self.place.release()

    def pids(self) -> list[int]:
        return [*self.crew.pids(), *([self.control.child.pid] if self.control.child else [])]


def run(
    settings: Settings, worker_module: str = "rrdns.server.worker", control_module: str = "rrdns.control.control"
) -> int:
    """Serves until told to end; the exit code."""
    log.setup("supervisor", settings.log_format, settings.log_level)
    signals = Signals()
    terminal = os.isatty(2)
    notifier = Notifier()
    told = resumed()
    try:
        place = prepare(settings, told.get("lock", -1))
        upgrade = Upgrade(place.folder.path, told)
        if told:
            logger.info("goes on from version %s: takes over its own processes", told.get("from"))
        elif place.orphans:
            said = "takes over from a killed server: pid %s; %d of its sockets"
            logger.warning(said, _pids(place.orphans), len(place.taken))
        handover.end([one for one in place.orphans if not one.is_worker])
        server = Supervisor(place, notifier, worker_module, control_module, upgrade)
    except StartError as error:
        logger.error("%s", error)
        if told:
            Upgrade(Path(settings.state), told).fail(str(error))
        return 1
    pause = 0.0  # nothing to wait for: the first tick starts control
    while not server.finished:
        for number in signals.wait(pause, place.claims):
            _obey(server, number, terminal)
        pause = TICK
        try:
            server.tick(time.monotonic())
            if server.upgrade.ready and not server.ending:
                server.become_upgraded()
        except Exception:
            # the sockets live as long as this process does: whatever this is, going on is better
            logger.exception("unexpected; going on")
            time.sleep(1.0)
        if os.getpid() == 1 or told:  # who ended since the exec was a child of ours before it
            children.reap_strangers(server.pids())
    server.close()
    logger.info("ended")
    return server.code


def _obey(server: Supervisor, number: int, terminal: bool) -> None:
    hung_up = number == signal.SIGHUP and terminal and not os.isatty(2)
    if number in (signal.SIGTERM, signal.SIGINT) or hung_up:
        if not server.ending:
            logger.info("%s: ending", signal.Signals(number).name)
            server.end()
        elif number == signal.SIGINT:
            logger.warning("asked again: ending at once")
            server.hurry()
    elif number == signal.SIGHUP:
        server.reload()
    elif number == UPGRADE:
        server.ask_for_upgrade(time.monotonic())


def _environment(place: Place) -> dict[str, str]:
    more = {"RRDNS_SETTINGS": place.settings.to_json(), "RRDNS_BOARD": str(place.folder.board)}
    more["RRDNS_RUN"] = str(place.folder.path)
    if account := place.account:
        more.update(HOME=account.home, USER=account.name, LOGNAME=account.name)
    return children.environment(**more)


def _pids(those: Sequence[handover.Orphan]) -> str:
    return ", ".join(str(one.pid) for one in those)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="rrdns supervisor", description="Started by `rrdns serve`.")
    parser.add_argument("--worker-module", default=WORKER, help=argparse.SUPPRESS)
    parser.add_argument("--control-module", default=CONTROL_PROCESS, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    try:
        settings = Settings.from_json(os.environ.get("RRDNS_SETTINGS") or "{}")
    except (ValueError, TypeError, AttributeError) as error:
        print(f"rrdns: RRDNS_SETTINGS is not what `rrdns serve` writes: {error}", file=sys.stderr)
        return 2
    return run(settings, arguments.worker_module, arguments.control_module)


if __name__ == "__main__":
    sys.exit(main())
