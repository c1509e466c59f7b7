"""Control's side of the supervisor: the one child that decides, and the next after it. The workers' side is crew.py.

It waits longer each time before it starts control anew; until control has served once, its end ends the start.
Must not know: workers, sockets, what control does.
"""

from __future__ import annotations

from collections.abc import Mapping

from rrdns.board import CONTROL, Board
from rrdns.log import logger
from rrdns.supervise import children
from rrdns.supervise.children import Child

PAUSE, PAUSE_MOST, WELL = 0.2, 5.0, 10.0  # seconds; who ran well, or dies for the first time, starts again at once


class ControlPost:
    """`watch` does everything; it never waits."""

    def __init__(self, board: Board, module: str, env: Mapping[str, str]) -> None:
        self.module = module
        self.child: Child | None = None
        self._board = board
        self._env = env
        self._due = 0.0
        self._pause = 0.0
        self._served = False

    def watch(self, now: float, forgiven: float) -> int:
        """The exit code where the start has failed, else 0."""
        child = self.child
        if child is None:
            return self._start(now) if now >= self._due else 0
        code = child.poll()
        if code is not None or child.is_lost(now, forgiven):
            return self._bury(child, code, now)
        if child.serves():
            self._served = True
            child.end_if_hung(now, forgiven, children.CONTROL_SILENCE)
        else:
            child.end_if_hung(now, forgiven, children.CONTROL_LOADING)
        return 0

    def serves(self) -> bool:
        return self.child is not None and self.child.serves()

    def hears(self) -> bool:
        """Whether there is somebody to catch a signal."""
        return self.child is not None and self.child.serves() and not self.child.killed

    def signal(self, number: int) -> None:
        if self.child:
            self.child.signal(number)

    def _start(self, now: float) -> int:
        try:
            self.child = Child("control", CONTROL, self._board, children.command(self.module), self._env)
        except OSError as error:
            logger.error("cannot start control: %s", error)
            self._due = now + PAUSE_MOST
            return 0 if self._served else 1
        return 0

    def _bury(self, child: Child, code: int | None, now: float) -> int:
        self.child = None
        how = children.how_it_ended(code)
        if not self._served:
            logger.error("not started: control (pid %d) %s before it could serve", child.pid, how)
            return code if code and code > 0 else 1
        child.count_restart()
        if now - child.started > WELL:
            self._pause = 0.0
        pause, self._pause = self._pause, min(max(2 * self._pause, PAUSE), PAUSE_MOST)
        self._due = now + pause
        when = f"in {pause:.1f} s" if pause else "at once"
        logger.error("control (pid %d) %s; the workers answer on, it starts again %s", child.pid, how, when)
        return 0 if pause else self._start(now)
