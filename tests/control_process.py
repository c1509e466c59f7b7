"""A real control process over a folder of its own, with doors that tests can knock at, and hosts to check.

Everything started here is ended by `stop`. Hosts are TCP listeners on 127.0.0.x that tests open and close.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from link_end import FakeWorker

from rrdns import board, wire
from rrdns.answers import key
from rrdns.board import Board
from rrdns.settings import Settings
from rrdns.ui.client import Client, Refused, Unreachable

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parent.parent

ZONE = """\
'':
  - {type: NS, values: [ns1.lb.example.com.]}
ns1: {type: A, value: 192.0.2.53}
www: {type: POOL, pool: web, ttl: 20}
"""

POOLS = """\
checks:
  web: {{type: tcp, port: {port}, interval: {interval}, timeout: 1s, fall: 2, rise: 2, fast: 100ms}}
pools:
  web:
    check: web
    members: {{{members}}}
"""


class Hosts:
    """Listeners on 127.0.0.11 and up, all on one port."""

    def __init__(self, count: int = 3) -> None:
        self.open: dict[str, socket.socket] = {}
        self.names = [f"127.0.0.{11 + index}" for index in range(count)]
        self.port = 0
        for _ in range(50):
            try:
                for name in self.names:
                    self.up(name)
                break
            except OSError:
                self.stop()
                self.port = 0
        assert self.open, "no port is free on all the addresses"

    def up(self, name: str) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((name, self.port))
        sock.listen(64)
        self.port = sock.getsockname()[1]
        self.open[name] = sock

    def down(self, name: str) -> None:
        self.open.pop(name).close()

    def stop(self) -> None:
        for name in list(self.open):
            self.down(name)


class ControlProcess:
    def __init__(self, folder: Path, workers: int = 1, **settings: Any) -> None:
        self.folder = folder
        self.zones = folder / "zones"
        self.run = folder / "run"
        self.zones.mkdir()
        self.run.mkdir()
        self.board = Board(self.run / board.NAME, board.FIRST_WORKER + workers)
        self.settings = replace(
            Settings(zones=str(self.zones), state=str(self.run), control=str(self.run / "control.sock")), **settings
        )
        self.client = Client(self.settings.control, 30.0)
        self.process: asyncio.subprocess.Process | None = None
        self.workers: list[FakeWorker] = []
        self.log = folder / "log"

    def write(self, hosts: Hosts | None = None, members: list[str] | None = None, interval: str = "1s") -> None:
        """The usual two files: web1, web2 ... on the hosts."""
        names = members if members is not None else [f"web{index + 1}" for index in range(3)]
        port = hosts.port if hosts else 9
        text = ", ".join(f"{name}: 127.0.0.{10 + int(name[3:])}" for name in names)
        (self.zones / "lb.example.com.yaml").write_text(ZONE)
        (self.zones / "pools.yaml").write_text(POOLS.format(port=port, members=text, interval=interval))

    async def start(self) -> None:
        env = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
            "RRDNS_SETTINGS": self.settings.to_json(),
            "RRDNS_BOARD": str(self.run / board.NAME),
            "RRDNS_RUN": str(self.run),
        }
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "rrdns.control.control", env=env, stderr=log, stdout=log, cwd=self.folder
            )

    async def serving(self) -> None:
        """Waits until the row says so."""
        await self.until(lambda: self.board.get(board.CONTROL, "state") == board.SERVING and self._is_on_board())

    def _is_on_board(self) -> bool:
        return self.process is not None and self.board.get(board.CONTROL, "pid") == self.process.pid

    async def worker(self, index: int = 0) -> FakeWorker:
        worker = await FakeWorker(self.run / f"worker-{index}.sock", index).start()
        self.workers.append(worker)
        return worker

    async def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"it did not come so far; the log:\n{self.said()}"
            assert self.process is None or self.process.returncode is None, f"control ended:\n{self.said()}"
            await asyncio.sleep(0.02)

    def said(self) -> str:
        return self.log.read_text()

    # ------------------------------------------------------------------ asking

    async def get(self, where: str, **query: object) -> Json:
        return await asyncio.to_thread(self.client.get, where, **query)

    async def post(self, where: str, **body: Any) -> Json:
        return await asyncio.to_thread(self.client.post, where, body)

    async def refused(self, where: str, **body: Any) -> Refused:
        try:
            answer = await self.post(where, **body)
        except Refused as error:
            return error
        raise AssertionError(f"was not refused: {answer}")

    async def until_status(self, condition: Callable[[Json], object], seconds: float = 60.0) -> Json:
        end = time.monotonic() + seconds
        while True:
            try:
                status = await self.get("/status")
            except Unreachable:
                status = {}
            if status and condition(status):
                return status
            assert time.monotonic() < end, f"it did not come so far: {status}\nthe log:\n{self.said()}"
            await asyncio.sleep(0.05)

    # ------------------------------------------------------------------ the end

    async def kill(self, number: int = signal.SIGKILL) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 30)

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            await self.kill()
        for worker in self.workers:
            await worker.stop()


def served(worker: FakeWorker, name: str = "www.lb.example.com.") -> set[str]:
    """The IPv4 addresses a worker answers a name with."""
    ring = worker.table.sets.get(key(wire.name_from_text(name), wire.A))
    if ring is None:
        return set()
    return {socket.inet_ntoa(body.data[at + 12 : at + 16]) for body in ring.bodies for at in body.owners}
