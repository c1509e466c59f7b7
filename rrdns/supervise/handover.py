"""Taking over from a killed supervisor: who of its processes lives, their sockets, and their end.

The order keeps answers coming all the time: sockets are asked for first (a worker that hands them over goes on
serving with them), the old control ends before the new one starts (they share the database), an old worker ends when
a new one serves from the very same sockets, and few are there twice at a time (crew.py). Floor 4, standard library
only. Must not know: DNS.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from rrdns import board
from rrdns.log import logger
from rrdns.supervise import sockets
from rrdns.supervise.ports import Address
from rrdns.supervise.runfolder import FolderError, another_server

HAND_WAIT = 2.0  # as long as a worker may be silent
PATIENCE = 3.0  # between SIGTERM and SIGKILL


@dataclass(frozen=True, slots=True)
class Orphan:
    """A living process of an earlier server, told from a later one with its pid by its birth."""

    pid: int
    born: int
    row: int
    folder: Path
    """Where its board and its socket are."""

    def lives(self) -> bool:
        return board.born(self.pid) == self.born

    def signal(self, number: int) -> None:
        if self.lives():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass  # ended meanwhile

    @property
    def is_worker(self) -> bool:
        return self.row >= board.FIRST_WORKER

    @property
    def link(self) -> Path:
        return self.folder / f"worker-{self.row - board.FIRST_WORKER}.sock"


def find(folders: Sequence[Path]) -> list[Orphan]:
    """Who lives of earlier servers; FolderError if a supervisor does: its lock file was taken from under it."""
    found: list[Orphan] = []
    for folder in folders:
        try:
            there = board.Board(folder / board.NAME)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            logger.warning("%s: %s: if processes of an earlier server live, they are not found", folder, error)
            continue
        for row in range(there.rows):
            one = Orphan(there.get(row, "pid"), there.get(row, "born"), row, folder)
            if not one.pid or one.pid == os.getpid() or not one.lives():
                continue  # ourselves: before an upgrade's exec
            if row != board.SUPERVISOR:
                found.append(one)
            elif not _gone(one, 1.0):  # one that was killed this moment drops its lock before it is gone
                raise FolderError(another_server(one.pid, folder))
    return found


def collect(workers: Sequence[Orphan]) -> tuple[list[socket.socket], dict[int, set[int]], list[Orphan]]:
    """Their DNS sockets, each once, in the order of the workers; who of them reads which (pid -> inodes); and the
    workers that gave none (hung, or their socket is lost)."""
    poll = select.poll()
    asked: dict[int, tuple[socket.socket, Orphan]] = {}
    silent: list[Orphan] = []
    for worker in workers:
        try:
            link = sockets.ask_for(worker.link)
        except OSError as error:
            logger.warning("worker pid %d of the earlier server cannot be asked for its sockets: %s", worker.pid, error)
            silent.append(worker)
            continue
        asked[link.fileno()] = (link, worker)
        poll.register(link, select.POLLIN)
    given: dict[int, list[socket.socket]] = {}
    deadline = time.monotonic() + HAND_WAIT
    while asked and (left := deadline - time.monotonic()) > 0:
        for number, _ in poll.poll(left * 1000):
            link, worker = asked.pop(number)
            poll.unregister(number)
            with link:
                try:
                    handed = sockets.receive(link)
                except OSError as error:
                    logger.warning("worker pid %d of the earlier server: %s", worker.pid, error)
                    handed = []
            if not handed:
                silent.append(worker)
            given[worker.pid] = handed
    for link, worker in asked.values():
        logger.warning("worker pid %d of the earlier server did not hand over in %g s", worker.pid, HAND_WAIT)
        silent.append(worker)
        link.close()
    taken: dict[int, socket.socket] = {}
    reads: dict[int, set[int]] = {}
    for worker in workers:
        for sock in given.get(worker.pid, ()):
            inode = sockets.inode(sock)
            reads.setdefault(worker.pid, set()).add(inode)
            if taken.setdefault(inode, sock) is not sock:
                sock.close()
    return list(taken.values()), reads, silent


def select_wanted(taken: Sequence[socket.socket], addresses: Collection[Address]) -> list[socket.socket]:
    """Those of an address to be served; the others are closed here, and end with their old workers."""
    kept: list[socket.socket] = []
    for sock in taken:
        if sockets.address_of(sock) in addresses:
            kept.append(sock)
        else:
            sock.close()
    return kept


def share_out(taken: Sequence[socket.socket], workers: int) -> list[list[socket.socket]]:
    """Deals sockets to workers: of each address and kind one to each in turn, so that none is left unread."""
    dealt: list[list[socket.socket]] = [[] for _ in range(workers)]
    turn: dict[tuple[Address, int], int] = {}
    for sock in taken:
        key = (sockets.address_of(sock), sock.type)
        at = turn.get(key, 0)
        dealt[at % workers].append(sock)
        turn[key] = at + 1
    return dealt


def end(orphans: Sequence[Orphan], patience: float = PATIENCE) -> None:
    """Ends them and waits: SIGTERM, then SIGKILL."""
    for one in orphans:
        one.signal(signal.SIGTERM)
    deadline = time.monotonic() + patience
    for one in orphans:
        if not _gone(one, deadline - time.monotonic()):
            one.signal(signal.SIGKILL)
    for one in orphans:
        if not _gone(one, 1.0):
            logger.error("pid %d of an earlier server does not end, not even by SIGKILL", one.pid)


def _gone(one: Orphan, wait: float) -> bool:
    deadline = time.monotonic() + wait
    while one.lives():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.01)
    return True
