"""The doors to directors: whatever stands behind one, the question ends in time, in bytes, and in words."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import misbehaving
import pytest
from director_doors import LONG, fault, web
from misbehaving import Misbehaving, answer, says

from rrdns.directors import Fault, bounds, reach
from rrdns.directors.reach import MAX_BYTES, HttpAnswer, Reach
from rrdns.model import Director


@pytest.fixture
async def doors() -> AsyncIterator[Reach]:
    found = Reach()
    yield found
    await found.close()


# ---------------------------------------------------------------- sockets


@contextlib.asynccontextmanager
async def unix(path: Path, manner: Callable[[socket.socket], object]) -> AsyncIterator[Director]:
    """A unix socket that treats one client with `manner`."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def run() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                manner(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield Director("lb", "haproxy", socket=str(path), timeout=LONG)
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        await asyncio.to_thread(thread.join, 10)


def quick(director: Director, timeout: float = 0.5) -> Director:
    return Director("lb", "haproxy", socket=director.socket, timeout=timeout)


async def test_a_stream(doors: Reach, tmp_path: Path) -> None:
    def polite(connection: socket.socket) -> None:
        connection.sendall(connection.recv(100) * 1000)

    async with unix(tmp_path / "a", polite) as director:
        assert await doors.stream(director, b"ask\n") == b"ask\n" * 1000
    async with unix(tmp_path / "b", polite) as director:
        assert "larger than 100 bytes" in await fault(doors.stream(director, b"ask\n", limit=100))
    async with unix(tmp_path / "c", lambda connection: connection.close()) as director:
        try:
            assert await doors.stream(director, b"ask\n") == b""
        except Fault as error:
            assert "reset" in str(error)
    async with unix(tmp_path / "d", lambda connection: connection.recv(9) and connection.recv(9)) as director:
        assert "no answer in 500ms" in await fault(doors.stream(quick(director), b"ask\n"))


async def test_a_stream_that_drips_or_never_ends(doors: Reach, tmp_path: Path) -> None:
    def drip(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    def endless(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"x" * 65536)

    async with unix(tmp_path / "a", drip) as director:
        assert "was not whole after 500ms" in await fault(doors.stream(quick(director), b"ask\n"))
    async with unix(tmp_path / "b", endless) as director:
        assert "larger than 16 MiB" in await fault(doors.stream(director, b"ask\n"))


async def test_no_such_socket(doors: Reach, tmp_path: Path) -> None:
    none = Director("lb", "haproxy", socket=str(tmp_path / "none"))
    assert "is the program running" in await fault(doors.stream(none, b""))
    (tmp_path / "file").write_text("")
    assert await fault(doors.stream(Director("lb", "haproxy", socket=str(tmp_path / "file")), b""))
    assert await fault(doors.stream(Director("lb", "haproxy", socket="/" + "x" * 200), b""))
    for odd in ("", "host", "host:", "host:99999", ":80", "[::1]", "a:b:c", "host:8\n0", "/a\0b", "x" * 300 + ":80"):
        await fault(doors.stream(Director("lb", "haproxy", socket=odd, timeout=5), b""))


async def test_datagrams(doors: Reach) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        director = Director("lb", "lbcd", socket="127.0.0.1", timeout=0.5)
        assert "no answer in 500ms" in await fault(doors.datagram(director, b"ask", port))

        def echo() -> None:
            server.settimeout(10)
            data, who = server.recvfrom(100)  # the first question is still there
            data, who = server.recvfrom(100)
            server.sendto(data * 2, who)

        thread = threading.Thread(target=echo, daemon=True)
        thread.start()
        director = Director("lb", "lbcd", socket=f"127.0.0.1:{port}", timeout=LONG)
        assert await doors.datagram(director, b"ask") == b"askask"
        thread.join()
    assert "refused" in await fault(doors.datagram(director, b"ask"))
    assert "host:port" in await fault(doors.datagram(Director("lb", "lbcd", socket="127.0.0.1"), b"ask"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.1:80", ("10.0.0.1", 80)),
        ("[2001:db8::1]:80", ("2001:db8::1", 80)),
        ("lb1", ("lb1", 7)),
        ("[::1]", ("::1", 7)),
        ("::1", ("::1", 7)),
    ],
)
def test_endpoints(text: str, found: tuple[str, int]) -> None:
    assert reach.endpoint(text, 7) == found


# ---------------------------------------------------------------- files


async def test_files(doors: Reach, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    assert await doors.file(str(path)) == b"x" * 1000
    assert await doors.file(str(path), 1000) == b"x" * 1000
    assert "larger than the 999 bytes" in await fault(doors.file(str(path), 999))
    assert await doors.file("/proc/self/status")  # of which the system says it has no length
    with path.open("ab") as file:
        file.truncate(1 << 40)
    assert "larger than" in await fault(doors.file(str(path)))


async def test_what_is_no_file(doors: Reach, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    listener.close()
    for name in (str(tmp_path), str(tmp_path / "fifo"), str(tmp_path / "socket"), "/dev/zero", "/dev/tty"):
        assert "not a regular file" in await fault(doors.file(name)) or name == "/dev/tty"
    assert "No such file" in await fault(doors.file(str(tmp_path / "none")))
    for odd in ("", "a\0b", "x" * 5000, "\ud800"):
        await fault(doors.file(odd))


async def test_a_hung_file_hangs_one_thread(doors: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    go, readers = threading.Event(), []

    def hung(path: str) -> bytes:
        readers.append(path)
        go.wait(30)
        return b"late"

    monkeypatch.setattr(reach, "_content", hung)
    for _ in range(5):
        assert "hung" in await fault(doors.file("/nfs/file", within=0.05))
    assert readers == ["/nfs/file"]
    go.set()
    assert await doors.file("/nfs/file", within=10) == b"late"  # who asks meanwhile waits with it
    assert await doors.file("/nfs/file", within=10) == b"late"
    assert len(readers) == 2


# ---------------------------------------------------------------- commands


def shell(text: str, timeout: float = LONG) -> Director:
    return Director("lb", "command", command=("sh", "-c", text), timeout=timeout)


async def test_commands(doors: Reach) -> None:
    assert await doors.command(shell("echo noise >&2; echo $RRDNS_DIRECTOR")) == b"lb\n"
    assert len(await doors.command(shell("head -c 3000000 /dev/zero"))) == 3_000_000
    assert "exit 3: told" in await fault(doors.command(shell("echo told >&2; exit 3")))
    assert "killed by SIGKILL" in await fault(doors.command(shell("kill -9 $$")))
    assert "No such file" in await fault(doors.command(Director("lb", "command", command=("/no/such",))))
    assert "`command:`" in await fault(doors.command(Director("lb", "command")))
    assert "writes more than 10 bytes" in await fault(doors.command(shell("echo 12345678901"), limit=10))


async def test_a_commands_environment_is_clean(doors: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RRDNS_SETTINGS", "inside")
    assert b"RRDNS_SETTINGS" not in await doors.command(shell("env"))


async def test_a_hung_command_is_killed_with_its_children(doors: Reach, tmp_path: Path) -> None:
    text = f"echo $$ > {tmp_path}/leader; sleep 600 & echo $! > {tmp_path}/child; wait"
    assert "was killed" in await fault(doors.command(shell(text, 1)))
    for name in ("leader", "child"):
        pid = int((tmp_path / name).read_text())
        deadline = time.monotonic() + 10
        while running(pid):
            assert time.monotonic() < deadline, f"{name} lives"
            await asyncio.sleep(0.02)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] not in "ZX"
    except OSError:
        return False


# ---------------------------------------------------------------- out of the loop, and one time for all


async def test_large_bodies_are_parsed_in_a_thread() -> None:
    def parse(body: bytes, more: int) -> tuple[int, int, bool]:
        return len(body), more, threading.current_thread() is threading.main_thread()

    assert await reach.parsed(parse, b"x", 1) == (1, 1, True)
    assert await reach.parsed(parse, b"x" * 1_000_000, 2) == (1_000_000, 2, False)

    def fails(body: bytes) -> None:
        raise Fault("no")

    with pytest.raises(Fault, match="no"):
        await reach.parsed(fails, b"x" * 1_000_000)


async def test_doors_share_a_questions_time(doors: Reach) -> None:
    """Two doors of a reading, of which the first took all the time."""
    bounds.asking.set(bounds.Question(time.monotonic() + 0.3))
    with Misbehaving(misbehaving.silent) as server:
        begun = time.monotonic()
        await fault(doors.http(web(server, timeout=5)))
        await fault(doors.http(web(server, timeout=5)))
        assert time.monotonic() - begun < 4


async def test_bytes_are_counted(doors: Reach, tmp_path: Path) -> None:
    question = bounds.Question(time.monotonic() + LONG)
    bounds.asking.set(question)
    (tmp_path / "file").write_bytes(b"x" * 500)
    await doors.file(str(tmp_path / "file"))
    with Misbehaving(says(answer("200 OK", b"y" * 70))) as server:
        assert isinstance(await doors.http(web(server)), HttpAnswer)
    assert await doors.command(shell("printf 123")) == b"123"
    assert question.bytes == 573
    assert MAX_BYTES == 16 << 20
