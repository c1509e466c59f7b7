"""A control that keeps the supervisor's contract and decides nothing: it tells every worker TABLE.

FAKE_CONTROL=fail: ends with code 1 before it serves. A file `no-control` in the run folder does the same later.
SIGHUP writes a file `reloaded`.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path

from rrdns.board import CONTROL, FIRST_WORKER, SERVING, Board
from rrdns.settings import Settings


def main() -> int:
    folder = Path(os.environ["RRDNS_RUN"])
    board = Board(os.environ["RRDNS_BOARD"])
    board.sign_in(CONTROL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGHUP, lambda *_: (folder / "reloaded").touch())
    if os.environ.get("FAKE_CONTROL") == "fail" or (folder / "no-control").exists():
        print("zones/x.yaml:1:2: a problem", file=sys.stderr)
        return 1
    path = Path(Settings.from_json(os.environ["RRDNS_SETTINGS"]).control)
    path.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(str(path))
    door.listen(8)
    board.set(CONTROL, "state", SERVING)
    links: dict[int, tuple[int, socket.socket]] = {}
    while True:
        board.beat(CONTROL)
        for index in range(board.rows - FIRST_WORKER):
            pid = board.get(FIRST_WORKER + index, "pid")
            if not pid or (index in links and links[index][0] == pid):
                continue
            if index in links:
                links.pop(index)[1].close()
            link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            link.connect(str(folder / f"worker-{index}.sock"))
            link.sendall(b"TABLE")
            links[index] = (pid, link)
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
