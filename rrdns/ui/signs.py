"""Signs of life from the board, for when control does not answer: who is gone since when, who answers on.

Gives the same shape as the control API's /status, as far as the board knows it. Must not know: how it is shown.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rrdns import board as boards
from rrdns.board import Board
from rrdns.texts import duration, plural

BEAT_LATE = 2.0  # a worker without a heartbeat for this long is being replaced
CONTROL_LATE = 5.0

Json = dict[str, Any]


def find_board(state: str, control: str, default: str) -> Path | None:
    """The board's file: in the named state folder, else beside the control socket, else in the default state folder.

    `default` is empty where --control named a server: another server's board would tell lies about it.
    """
    folders = [state] if state and state != "none" else [str(Path(control).parent), default]
    for folder in folders:
        if folder and Path(folder, boards.NAME).exists():
            return Path(folder, boards.NAME)
    return None


def read(path: Path) -> Json | None:
    """What the board says now: `control`, `supervisor`, `workers`, `answering`, `queries`; None if it can't be read."""
    try:
        board = Board(path)
    except (OSError, ValueError):
        return None
    workers = [_worker(board, row) for row in range(boards.FIRST_WORKER, board.rows) if board.get(row, "pid")]
    return {
        "control": _process(board, boards.CONTROL, CONTROL_LATE),
        "supervisor": _process(board, boards.SUPERVISOR, CONTROL_LATE),
        "workers": workers,
        "answering": sum(worker["state"] == "serving" for worker in workers),
        "queries": sum(worker["queries"] for worker in workers),
        "read_at": time.monotonic(),
    }


def _process(board: Board, row: int, late: float) -> Json:
    values = board.row(row)
    age = board.age(row)
    state = boards.STATES.get(values["state"], "unknown")
    if not board.lives(row):
        state = "gone"
    elif age > late:
        state = "hung"
    # After a reboot the clock of the heartbeats starts anew; then an age says nothing.
    return {"pid": values["pid"], "state": state, "since_age": age if 0 <= age < 1e8 and values["beat"] else None}


def _worker(board: Board, row: int) -> Json:
    values = board.row(row)
    process = _process(board, row, BEAT_LATE)
    return {
        "pid": values["pid"],
        "state": process["state"],
        "queries": values["udp"] + values["tcp"],
        "restarts": values["restarts"],
        "udp": values["udp"],
        "tcp": values["tcp"],
        "dropped": values["dropped"],
        "refused": values["refused"],
        "truncated": values["truncated"],
        "errors": values["errors"],
        "stale": bool(values["stale"]),
        "heartbeat_age": process["since_age"],
    }


def sentence(signs: Json | None) -> str:
    """One line for people: what still runs when control does not answer."""
    if signs is None:
        return "server not reachable"
    workers, answering = len(signs["workers"]), signs["answering"]
    age = signs["control"]["since_age"]
    known = age is not None and signs["control"]["state"] in ("gone", "hung")
    since = f" since {duration(age)}" if known else ""
    if not answering:
        if signs["supervisor"]["state"] in ("gone", "none"):
            return f"rrdns is not running; last sign of life {duration(age)} ago" if age else "rrdns is not running"
        return f"control {_absent(signs)}{since}, and no worker answers"
    went_on = f"{answering} of {plural(workers, 'worker')} answer on" if answering < workers else "workers answer on"
    if signs["supervisor"]["state"] in ("gone", "none", "hung"):
        went_on += "; the supervisor is gone too"
    return f"control {_absent(signs)}{since}, {went_on}"


def _absent(signs: Json) -> str:
    state = signs["control"]["state"]
    return {"hung": "hangs", "starting": "is starting", "serving": "does not answer"}.get(state, "gone")
