"""Control: loads, checks, decides, publishes, keeps, speaks to people. `python -m rrdns.control.control`, asyncio.

Started by the supervisor with RRDNS_SETTINGS (JSON), RRDNS_BOARD and RRDNS_RUN in the environment. The start:

    beginning.py   store -> files (the directory, else the accepted copy)
    wiring.py      roster -> control socket -> first round of probes -> SERVING -> workers

This is the process around them: its heartbeat, its signals, its end. Exit 1 with the problems on stderr when there
is nothing to serve. The one module that imports uvloop.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from rrdns import board, log
from rrdns.board import Board
from rrdns.control.beginning import Beginning, StartFailed
from rrdns.settings import Settings

BEAT = 0.2
CLOSE_WAIT = 1.5
GARBAGE = (20_000, 10, 10)  # objects, and rounds: cycles are few here, and to look for them after each 700 new objects
# cost a seventh of all CPU with 20,000 targets


async def _live(settings: Settings, run: Path, shared: Board) -> None:
    """Until cancelled. Raises StartFailed."""
    shared.sign_in(board.CONTROL, board.STARTING)
    beat = asyncio.create_task(_beat(shared))
    beginning = Beginning(settings, run)
    end = beginning.store.close
    try:
        await beginning.read()
        # Not before: most of what control is made of is loaded here, and a start with broken files should not wait
        # for that to hear of them.
        from rrdns.control.wiring import Control

        control = Control(settings, run, shared, beginning)
        end = control.end
        await control.run(beat)
    finally:
        shared.set(board.CONTROL, "state", board.STOPPING)
        beat.cancel()
        await _in_time(end())


async def _beat(shared: Board) -> None:
    while True:
        shared.beat(board.CONTROL)
        await asyncio.sleep(BEAT)


async def _in_time(end: Awaitable[None]) -> None:
    """The end comes in bounded time, whatever the disk does."""
    try:
        async with asyncio.timeout(CLOSE_WAIT):
            await end
    except TimeoutError:
        log.logger.error("not everything could be saved at the end: the disk does not answer")


async def _main(settings: Settings, run: Path, shared: Board) -> int:
    loop = asyncio.get_running_loop()
    life = asyncio.create_task(_live(settings, run, shared))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, life.cancel)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # the files are just being read
    try:
        await life
    except asyncio.CancelledError:
        return 0
    except StartFailed as error:
        for line in error.lines:
            print(line, file=sys.stderr)
        return 1
    except Exception:
        log.logger.exception("control ends on an internal error; the workers answer on")
        return 70  # EX_SOFTWARE
    return 0


def main() -> int:
    missing = [name for name in ("RRDNS_SETTINGS", "RRDNS_BOARD", "RRDNS_RUN") if not os.environ.get(name)]
    if missing:
        print(
            f"rrdns.control.control is started by the supervisor (rrdns serve): {missing[0]} is not set",
            file=sys.stderr,
        )
        return 2
    try:
        settings = Settings.from_json(os.environ["RRDNS_SETTINGS"])
        shared = Board(os.environ["RRDNS_BOARD"])
    except (OSError, ValueError, TypeError) as error:
        print(f"control: {error}", file=sys.stderr)
        return 2
    log.setup("control", settings.log_format, settings.log_level)
    gc.disable()  # until the first load is frozen
    gc.set_threshold(*GARBAGE)
    try:
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        code = runner.run(_main(settings, Path(os.environ["RRDNS_RUN"]), shared))
        # A thread that waits for a disk must not hold up our end.
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
