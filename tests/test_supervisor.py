"""The supervisor with real processes that only pretend to be control and workers (fake_control, fake_worker)."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rrdns import board
from rrdns.board import CONTROL, FIRST_WORKER, SUPERVISOR, Board
from rrdns.settings import Settings
from rrdns.supervise import ports

TESTS = Path(__file__).parent
PATIENCE = 40.0  # for a busy machine; what is waited for usually comes in a tenth of a second


def eventually(what: Callable[[], object], why: str, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} s: {why}"
        time.sleep(0.02)


def free_port() -> int:
    """A port that UDP and TCP have free, below those the kernel gives to everyone's connections meanwhile."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp, contextlib.suppress(OSError):
            udp.bind(("127.0.0.1", port))
            tcp.bind(("127.0.0.1", port))
            return port


class Server:
    """`python -m rrdns.supervise.supervisor` on a folder, and what can be seen of it from outside."""

    def __init__(self, folder: Path, settings: Settings, **env: str) -> None:
        self.folder = folder
        self.log = folder.parent / f"log-{len(list(folder.parent.glob('log-*')))}"
        path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
        env = {**os.environ, "PYTHONPATH": path, "RRDNS_SETTINGS": settings.to_json(), **env}
        command = [sys.executable, "-m", "rrdns.supervise.supervisor"]
        command += ["--worker-module", "fake_worker", "--control-module", "fake_control"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=env, stderr=log, stdin=subprocess.DEVNULL)

    def said(self) -> str:
        return self.log.read_text()

    def serving(self) -> Server:
        eventually(lambda: "serving on" in self.said() or self.process.poll() is not None, "serving")
        assert self.process.poll() is None, self.said()
        return self

    def heard(self, words: str) -> None:
        eventually(lambda: words in self.said(), f"{words!r} in the log: {self.said()}")

    def ended(self) -> int:
        return self.process.wait(PATIENCE)

    @property
    def address(self) -> tuple[str, int]:
        host, port = json.loads((self.folder / "listen").read_text())[0]
        return host, port

    def row(self, row: int) -> dict[str, int]:
        return Board(self.folder / "board").row(row)

    def pid(self, row: int) -> int:
        return self.row(row)["pid"]

    def workers(self) -> list[int]:
        rows = Board(self.folder / "board").rows
        return [self.pid(row) for row in range(FIRST_WORKER, rows)]

    def inodes(self, pid: int) -> set[str]:
        links = [entry.readlink() for entry in Path(f"/proc/{pid}/fd").iterdir()]
        return {str(link) for link in links if str(link).startswith("socket:")}


def alive(pid: int) -> bool:
    return board.born(pid) != 0


def processes_of(folder: Path) -> list[int]:
    """Every process that belongs to servers on the folder: by its environment, so that none can hide."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"RRDNS_RUN={folder}".encode() in (entry / "environ").read_bytes() and alive(int(entry.name)):
                found.append(int(entry.name))
    return found


class Start:
    """Starts servers, and ends every process of theirs when the test is over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: list[Server] = []
        self.settings = Settings(
            listen=(("127.0.0.1", 0),), workers=2, state=str(folder), control=str(folder / "control.sock"), user="root"
        )
        if os.geteuid() != 0:
            self.settings = replace(self.settings, user="")

    def __call__(self, env: dict[str, str] | None = None, **changes: object) -> Server:
        settings = replace(self.settings, **changes)  # type: ignore[arg-type]
        server = Server(Path(settings.state), settings, **(env or {}))
        self.servers.append(server)
        return server

    def close(self) -> None:
        for server in self.servers:
            if server.process.poll() is None:
                server.process.send_signal(signal.SIGCONT)
                server.process.terminate()
        for server in self.servers:
            try:
                server.process.wait(15)
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait()
        for folder in {server.folder for server in self.servers}:
            for pid in processes_of(folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def start() -> Iterator[Start]:
    with tempfile.TemporaryDirectory(prefix="rrdns-test-") as folder:  # short: a unix socket's path is limited
        starter = Start(Path(folder, "state"))
        yield starter
        starter.close()


def ask(address: tuple[str, int], packet: bytes = b"who", wait: float = PATIENCE) -> tuple[int, int]:
    """(pid, index) of the worker that answers; a new client each time, so that workers take turns."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(wait)
        sock.sendto(packet, address)
        pid, index, _ = sock.recv(4096).split(b" ", 2)
        return int(pid), int(index)


def send(address: tuple[str, int], packet: bytes, times: int = 1) -> None:
    for _ in range(times):
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.sendto(packet, address)


class Probe(threading.Thread):
    """200 queries a second from eight clients, until told to stop; counts what never came back."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.done = threading.Event()
        self.sent = 0
        self.answered: set[int] = set()
        self.by: Counter[int] = Counter()
        self.errors: list[str] = []

    def run(self) -> None:
        clients = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(8)]
        for client in clients:
            client.connect(self.address)
        until = None
        while until is None or (time.monotonic() < until and len(self.answered) < self.sent):
            if not self.done.is_set():
                with self.noting():
                    clients[self.sent % 8].send(b"%d" % self.sent)
                self.sent += 1
            elif until is None:
                until = time.monotonic() + 10.0
            for client in select.select(clients, [], [], 0.005)[0]:
                with self.noting():
                    pid, _, number = client.recv(100).split()
                    self.answered.add(int(number))
                    self.by[int(pid)] += 1
        for client in clients:
            client.close()

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:  # connection refused: a moment in which nobody had the port
            self.errors.append(repr(error))

    def lost(self) -> int:
        self.done.set()
        self.join(PATIENCE)
        return self.sent - len(self.answered)


# -- start and end ---------------------------------------------------------------------------------------------


def test_serves_by_udp_and_tcp_and_leaves_nothing(start: Start) -> None:
    server = start().serving()
    seen = set()
    eventually(lambda: seen.add(ask(server.address)[1]) or seen == {0, 1}, "both workers answer")
    with socket.create_connection(server.address, PATIENCE) as client:
        client.sendall(b"hello")
        assert client.recv(100).endswith(b"hello")
    pids = [server.process.pid, server.pid(CONTROL), *server.workers()]
    assert len(set(pids)) == 4 and server.pid(SUPERVISOR) == server.process.pid
    assert server.row(SUPERVISOR)["state"] == board.SERVING
    assert (server.folder / "worker-0.sock").stat().st_mode & 0o777 == 0o600
    assert server.folder.stat().st_mode & 0o777 == 0o750
    server.process.terminate()
    assert server.ended() == 0
    assert not any(alive(pid) for pid in pids)
    left = {entry.name for entry in server.folder.iterdir()}
    assert left <= {"lock", "control.sock"}  # the control socket is control's to remove
    assert (server.folder / "lock").read_text() == ""


def test_workers_are_bound_to_cpus_and_have_no_new_privileges(start: Start) -> None:
    server = start(workers=1).serving()
    cpu = min(os.sched_getaffinity(0))
    assert os.sched_getaffinity(server.workers()[0]) == {cpu}
    for pid in (server.process.pid, server.pid(CONTROL), *server.workers()):
        assert "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text()


def test_nothing_kept_leaves_no_folder(start: Start) -> None:
    start.folder.mkdir()
    settings = replace(start.settings, state="none")
    server = Server(start.folder, settings, TMPDIR=str(start.folder))
    start.servers.append(server)
    server.serving()
    assert [entry.name[:6] for entry in start.folder.iterdir() if entry.is_dir()] == ["rrdns-"]
    server.process.send_signal(signal.SIGINT)
    assert server.ended() == 0
    assert not [entry for entry in start.folder.iterdir() if entry.is_dir()]


def test_control_that_cannot_start_ends_the_start(start: Start) -> None:
    server = start(env={"FAKE_CONTROL": "fail"})
    assert server.ended() == 1
    assert "zones/x.yaml:1:2: a problem" in server.said()
    assert "not started: control" in server.said() and "ended with code 1" in server.said()
    assert not processes_of(start.folder)


def test_sigint_said_twice_does_not_wait(start: Start) -> None:
    server = start(workers=1).serving()
    os.kill(server.workers()[0], signal.SIGSTOP)
    server.process.send_signal(signal.SIGINT)
    server.heard("SIGINT: ending")
    server.process.send_signal(signal.SIGINT)
    assert server.ended() == 0
    assert not processes_of(start.folder)


def test_stopped_worker_does_not_hold_up_the_end(start: Start) -> None:
    server = start().serving()
    os.kill(server.workers()[0], signal.SIGSTOP)
    server.process.terminate()
    assert server.ended() == 0
    assert not processes_of(start.folder)


def test_sighup_reaches_control(start: Start) -> None:
    server = start().serving()
    server.process.send_signal(signal.SIGHUP)
    eventually((start.folder / "reloaded").exists, "control got SIGHUP")
    assert server.process.poll() is None


def test_log_as_json(start: Start) -> None:
    server = start(log_format="json").serving()
    lines = [json.loads(line) for line in server.said().splitlines()]
    assert {line["process"] for line in lines} == {"supervisor"}
    assert any(line["message"].startswith("serving on 127.0.0.1:") for line in lines)


# -- two servers -------------------------------------------------------------------------------------------------


def test_second_start_on_the_same_folder_names_the_first(start: Start) -> None:
    first = start().serving()
    second = start()
    assert second.ended() == 1
    assert f"another rrdns (pid {first.process.pid}) serves from {start.folder}" in second.said()
    assert "--state" in second.said()
    ask(first.address)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_second_start_on_the_same_address_names_the_first(start: Start, host: str) -> None:
    port = free_port()
    first = start(listen=(("127.0.0.1", port),)).serving()
    other = start.folder.parent / "other"
    second = start(listen=((host, port),), state=str(other), control=str(other / "control.sock"))
    assert second.ended() == 1
    assert f"{host}:{port} is served by another rrdns (pid {first.process.pid})" in second.said()
    ask(first.address)


def test_second_start_does_not_take_the_control_socket(start: Start) -> None:
    first = start().serving()
    second = start(state=str(start.folder.parent / "other"))
    assert second.ended() == 1
    assert f"control.sock is in use by pid {first.pid(CONTROL)}" in second.said()


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_port_of_another_program_names_it(start: Start, kind: socket.SocketKind) -> None:
    port = free_port()
    with socket.socket(type=kind) as mine:
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        mine.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            mine.listen()
        server = start(listen=(("127.0.0.1", port),))
        assert server.ended() == 1
    name = Path("/proc/self/comm").read_text().strip()
    protocol = "udp" if kind == socket.SOCK_DGRAM else "tcp"
    assert f"127.0.0.1:{port} {protocol} is in use by {name} (pid {os.getpid()})" in server.said()


# -- workers that die or hang ------------------------------------------------------------------------------------


def test_killed_worker_leaves_socket_and_queue_to_its_successor(start: Start) -> None:
    server = start(workers=1).serving()
    (old,) = server.workers()
    inodes = server.inodes(server.process.pid)
    os.kill(old, signal.SIGSTOP)  # so that something queues
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.sendto(b"queued", server.address)
        os.kill(old, signal.SIGKILL)
        pid, _, packet = client.recv(100).split()
    assert packet == b"queued" and int(pid) != old
    assert server.inodes(server.process.pid) == inodes
    assert server.inodes(int(pid)) & inodes
    assert server.row(FIRST_WORKER)["restarts"] == 1
    assert server.row(FIRST_WORKER)["pid"] == int(pid)
    server.heard(f"worker 0 (pid {old}) died by signal 9 (SIGKILL); pid {pid.decode()} takes its sockets over")


def test_stopped_worker_is_replaced_and_nothing_is_lost(start: Start) -> None:
    server = start().serving()
    old = server.workers()[0]
    probe = Probe(server.address)
    probe.start()
    os.kill(old, signal.SIGSTOP)
    server.heard(f"worker 0 (pid {old}) gave no sign of life")
    eventually(lambda: server.workers()[0] not in (0, old), "a successor")
    assert probe.lost() == 0
    assert not alive(old)


def test_crash_loop_closes_the_sockets_and_the_others_take_the_share(start: Start) -> None:
    server = start().serving()
    steady = server.workers()[1]

    def kill_first() -> bool:
        pid = server.workers()[0]
        if pid and alive(pid):
            os.kill(pid, signal.SIGKILL)
        return "its sockets are closed" in server.said()

    eventually(kill_first, "the third death parks the worker")
    assert {ask(server.address)[0] for _ in range(40)} == {steady}
    server.heard("worker 0 starts again")
    seen = set()
    eventually(lambda: seen.add(ask(server.address)[1]) or seen == {0, 1}, "both share again")


def test_last_worker_keeps_its_sockets_in_a_crash_loop(start: Start) -> None:
    server = start(workers=1).serving()
    inodes = server.inodes(server.process.pid)
    for _ in range(5):
        pid, _ = ask(server.address)
        send(server.address, b"die")
        eventually(lambda pid=pid: not alive(pid), "it dies")
    ask(server.address)
    assert server.inodes(server.process.pid) == inodes
    assert "its sockets stay" in server.said() and "closed" not in server.said()


def test_pause_of_the_supervisor_kills_nobody(start: Start) -> None:
    server = start().serving()
    workers = server.workers()
    control = server.pid(CONTROL)
    everyone = [server.process.pid, control, *workers]
    for pid in everyone:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(3.5)  # over a worker's two seconds of silence; a machine that was asleep
    for pid in everyone:
        os.kill(pid, signal.SIGCONT)
    server.heard("stood still for")
    for _ in range(10):
        ask(server.address)
    time.sleep(0.5)
    assert server.workers() == workers and server.pid(CONTROL) == control


# -- control ---------------------------------------------------------------------------------------------------


def test_killed_control_comes_back_alone(start: Start) -> None:
    server = start().serving()
    workers = server.workers()
    old = server.pid(CONTROL)
    os.kill(old, signal.SIGKILL)
    eventually(lambda: server.pid(CONTROL) not in (0, old), "a new control")
    eventually(lambda: server.row(CONTROL)["state"] == board.SERVING, "it serves")
    assert server.row(CONTROL)["restarts"] == 1
    assert server.workers() == workers


def test_hung_control_is_replaced(start: Start) -> None:
    server = start().serving()
    old = server.pid(CONTROL)
    os.kill(old, signal.SIGSTOP)
    eventually(lambda: server.pid(CONTROL) not in (0, old), "a new control")
    server.heard(f"control (pid {old}) gave no sign of life")
    ask(server.address)


def test_worker_without_answers_gives_its_share_away_while_control_is_gone(start: Start) -> None:
    server = start().serving()
    old, steady = server.workers()
    (start.folder / "no-control").touch()
    os.kill(server.pid(CONTROL), signal.SIGKILL)
    server.heard("the workers answer on")
    os.kill(old, signal.SIGKILL)
    server.heard("gets no answers while control is away")
    assert {ask(server.address)[0] for _ in range(40)} == {steady}
    (start.folder / "no-control").unlink()
    seen = set()
    eventually(lambda: seen.add(ask(server.address)[1]) or seen == {0, 1}, "both share again")


# -- taking over from a killed supervisor --------------------------------------------------------------------------


def kill_supervisor(server: Server) -> list[int]:
    """SIGKILL to the supervisor alone; the pids of the others."""
    pids = [server.pid(CONTROL), *server.workers()]
    server.process.kill()
    server.process.wait()
    return pids


def dns_sockets(address: tuple[str, int]) -> set[int]:
    return {one.inode for protocol in ("udp", "tcp") for one in ports.holders(address, protocol, exact=True)}


@pytest.mark.parametrize("workers", [2, 1, 3])
def test_new_start_takes_over_without_a_lost_query(start: Start, workers: int) -> None:
    port = free_port()
    first = start(listen=(("127.0.0.1", port),)).serving()
    probe = Probe(first.address)
    probe.start()
    sockets = dns_sockets(first.address)
    assert len(sockets) == 4
    old = kill_supervisor(first)
    time.sleep(0.3)
    assert all(alive(pid) for pid in old)
    second = start(listen=(("127.0.0.1", port),), workers=workers).serving()
    assert f"takes over from a killed server: pid {old[0]}" in second.said()
    eventually(lambda: not any(alive(pid) for pid in old), "the old ones end")
    eventually(lambda: not list(start.folder.glob("old-*")), "their folder goes")
    # the very same sockets, all of them, and new ones only where there are more workers
    assert dns_sockets(second.address) >= sockets
    assert len(dns_sockets(second.address)) == max(4, 2 * workers)
    assert len(second.workers()) == workers and not set(second.workers()) & set(old)
    time.sleep(0.5)
    assert probe.lost() == 0
    assert probe.errors == []
    assert sorted(processes_of(start.folder)) == sorted([second.pid(CONTROL), *second.workers()])
    second.process.terminate()
    assert second.ended() == 0
    assert not processes_of(start.folder)


def test_a_take_over_is_one_worker_after_the_other(start: Start) -> None:
    """So that no more than one worker's table is in memory twice; every socket is read by somebody all the time."""
    listen = (("127.0.0.1", free_port()),)
    first = start(listen=listen, workers=4).serving()
    readers = {pid: first.inodes(pid) for pid in first.workers()}
    probe = Probe(first.address)
    probe.start()
    old = kill_supervisor(first)
    second = start(listen=listen, workers=4)
    most, done = 0, False
    while not done:
        done = "serving on" in second.said()
        with contextlib.suppress(OSError, ValueError):
            most = max(most, sum(map(alive, [*old[1:], *(pid for pid in second.workers() if pid not in old)])))
    assert 4 < most <= 6, "four, the next one, and one that is about to go"
    eventually(lambda: not any(alive(pid) for pid in old), "the old ones end")
    said = [line for line in second.said().splitlines() if "no longer needed" in line]
    assert [f"(pid {pid})" in line for pid, line in zip(old[1:], said, strict=True)] == [True] * 4, said
    for was, now in zip(old[1:], second.workers(), strict=True):
        dns = {f"socket:[{inode}]" for inode in dns_sockets(second.address)}
        assert readers[was] & dns == second.inodes(now) & dns, "the same place, the same sockets"
    assert probe.lost() == 0 and probe.errors == []


def test_failed_take_over_leaves_the_old_workers_for_the_next(start: Start) -> None:
    port = free_port()
    first = start(listen=(("127.0.0.1", port),)).serving()
    probe = Probe(first.address)
    probe.start()
    old = kill_supervisor(first)
    second = start(listen=(("127.0.0.1", port),), env={"FAKE_CONTROL": "fail"})
    assert second.ended() == 1
    assert "answer on as before, until a start succeeds" in second.said()
    assert sorted(processes_of(start.folder)) == sorted(old[1:])
    third = start(listen=(("127.0.0.1", port),)).serving()
    eventually(lambda: not any(alive(pid) for pid in old), "the old ones end")
    assert probe.lost() == 0 and probe.errors == []
    assert sorted(processes_of(start.folder)) == sorted([third.pid(CONTROL), *third.workers()])


def test_supervisor_killed_during_a_take_over(start: Start) -> None:
    port = free_port()
    listen = (("127.0.0.1", port),)
    first = start(listen=listen).serving()
    probe = Probe(first.address)
    probe.start()
    kill_supervisor(first)
    second = start(listen=listen)
    eventually(lambda: list(start.folder.glob("old-*")) and (start.folder / "board").exists(), "the take-over begins")
    second.process.kill()
    second.process.wait()
    third = start(listen=listen).serving()
    wanted = sorted([third.pid(CONTROL), *third.workers()])
    eventually(lambda: sorted(processes_of(start.folder)) == wanted, "only the last server's processes live")
    eventually(lambda: not list(start.folder.glob("old-*")), "no old folder")
    assert probe.lost() == 0 and probe.errors == []


def test_old_worker_that_hangs_is_not_waited_for(start: Start) -> None:
    port = free_port()
    first = start(listen=(("127.0.0.1", port),)).serving()
    old = kill_supervisor(first)
    os.kill(old[1], signal.SIGSTOP)
    second = start(listen=(("127.0.0.1", port),)).serving()
    second.heard(f"worker pid {old[1]} of the earlier server did not hand over")
    eventually(lambda: not any(alive(pid) for pid in old), "all old ones end")
    for _ in range(20):
        ask(second.address)


def test_take_over_with_another_address_ends_the_old_one(start: Start) -> None:
    first = start(listen=(("127.0.0.1", free_port()),)).serving()
    old_address = first.address
    old = kill_supervisor(first)
    second = start(listen=(("127.0.0.1", free_port()),)).serving()
    eventually(lambda: not any(alive(pid) for pid in old), "the old ones end")
    ask(second.address)
    with socket.socket(type=socket.SOCK_DGRAM) as client, pytest.raises(ConnectionRefusedError):
        client.settimeout(PATIENCE)
        client.connect(old_address)
        client.send(b"who")
        client.recv(100)


def test_orphans_of_another_folder_are_named(start: Start) -> None:
    port = free_port()
    first = start(listen=(("127.0.0.1", port),), workers=1).serving()
    kill_supervisor(first)
    other = start.folder.parent / "other"
    second = start(listen=(("127.0.0.1", port),), state=str(other), control=str(other / "c.sock"))
    assert second.ended() == 1
    assert f"127.0.0.1:{port} udp is in use by" in second.said()
    assert f"pid {first.workers()[0]}; a start with --state {start.folder} takes over from it" in second.said()
