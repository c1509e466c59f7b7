"""The tcp check against real sockets, good and bad, under both event loops."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop
from misbehaving import Manner, Misbehaving, closes, deaf, refusing, resets, says, says_first, silent

from rrdns.checks import probe
from rrdns.checks.words import fault
from rrdns.model import Check, Result, Target, TcpProbe

Run = Callable[[Coroutine[Any, Any, Result]], Result]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def go(work: Coroutine[Any, Any, Result]) -> Result:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(work)

    return go


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def aim(port: int, asked: TcpProbe, timeout: float = 20.0, address: str = "127.0.0.1") -> Target:
    check = Check("t", "tcp", port, asked, timeout=timeout)
    return Target(check.key(address), check, address)


PONG = TcpProbe(b"PING\r\n\r\n", b"PONG")
BANNER = TcpProbe(expect=b"220 ")


@pytest.mark.parametrize(
    ("manner", "asked", "ok", "reason"),
    [
        (silent, TcpProbe(), True, "connected"),
        (closes, TcpProbe(), True, "connected"),
        (silent, TcpProbe(send=b"hello"), True, "connected"),
        (says(b"+PONG\r\n"), PONG, True, "connected, got 'PONG'"),
        (says(b"+PO", b"NG\r\n", pause=0.05), PONG, True, "connected, got 'PONG'"),
        (says_first(b"220 mail ready\r\n", stay=True), BANNER, True, "connected, got '220 '"),
        (says_first(b"x", stay=True), TcpProbe(expect=b"x"), True, "connected, got 'x'"),
        (says(b"-ERR nope\r\n"), PONG, False, "closed after 11 bytes without 'PONG'"),
        (closes, BANNER, False, "closed after 0 bytes without '220 '"),
        (closes, TcpProbe(expect=b"\x00\xff"), False, "closed after 0 bytes without b'\\x00\\xff'"),
        (says(b"x" * 65536 + b"PONG", stay=True), PONG, False, "no 'PONG' in the first 65536 bytes"),
        (says(b"x" * 65530 + b"PONG", stay=True), PONG, True, "connected, got 'PONG'"),
    ],
)
def test_verdicts(run: Run, manner: Manner, asked: TcpProbe, ok: bool, reason: str) -> None:
    with Misbehaving(manner) as server:
        result = run(probe(aim(server.port, asked)))
    assert (result.ok, result.reason, result.silent, result.void) == (ok, reason, False, False)
    assert 0 < result.took < 20


def test_reset_is_told(run: Run) -> None:
    with Misbehaving(resets) as server:
        result = run(probe(aim(server.port, BANNER)))
    assert (result.ok, result.silent) == (False, False)
    assert re.fullmatch("connection reset( after 0 bytes without '220 ')?", result.reason), result.reason  # as it races


def test_what_is_sent_arrives_even_if_nothing_is_expected(run: Run) -> None:
    with Misbehaving(silent) as server:
        assert run(probe(aim(server.port, TcpProbe(send=b"hello")))).ok
        wait_for(lambda: server.heard == b"hello")


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        (silent, "timed out after 1s waiting for 'PONG'"),
        (says(b"+", b"P", stay=True), "timed out after 1s waiting for 'PONG' (2 bytes so far)"),
    ],
)
def test_accepted_but_no_answer_is_not_silence(run: Run, manner: Manner, reason: str) -> None:
    with Misbehaving(manner) as server:
        result = run(probe(aim(server.port, PONG, timeout=1.0)))
    assert (result.ok, result.reason, result.silent) == (False, reason, False)
    assert result.took >= 0.9


def test_refused_proves_the_path(run: Run) -> None:
    with refusing() as port:
        result = run(probe(aim(port, TcpProbe())))
    assert (result.ok, result.reason, result.silent) == (False, "connection refused", False)


def test_no_answer_to_the_connection_attempt_is_silence(run: Run) -> None:
    with deaf() as port:
        result = run(probe(aim(port, TcpProbe(), timeout=0.5)))
    assert (result.ok, result.reason, result.silent) == (False, "timed out after 500ms connecting", True)


def test_ipv6(run: Run) -> None:
    try:
        server = Misbehaving(silent, host="::1")
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    with server:
        assert run(probe(aim(server.port, TcpProbe(), address="::1"))).reason == "connected"


def test_errors_of_the_path_and_of_ourselves() -> None:
    assert fault(OSError(errno.EHOSTUNREACH, "x")) == ("no route to host", True, False)
    assert fault(OSError(errno.ENETUNREACH, "x")) == ("network unreachable", True, False)
    assert fault(TimeoutError(errno.ETIMEDOUT, "x")).silent
    assert fault(ConnectionRefusedError(errno.ECONNREFUSED, "x")) == ("connection refused", False, False)
    assert fault(OSError(errno.EMFILE, "x")).ours
    assert fault(OSError(errno.EISDIR, "x")) == ("is a directory", False, False)
    assert fault(ConnectionResetError()) == ("connection reset", False, False)


def test_out_of_descriptors_is_our_fault_and_void(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_descriptor_left(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("rrdns.checks.dialer.connecting", no_descriptor_left)
    result = run(probe(aim(1, TcpProbe())))
    assert (result.ok, result.void, result.silent) == (False, True, False)
    assert "too many open files" in result.reason


def test_our_own_fault_in_a_conversation_is_raised_not_waited_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("rrdns.checks.tcp.TcpConversation.heard", broken)
    with Misbehaving(says_first(b"x", stay=True)) as server, pytest.raises(ZeroDivisionError):
        run(probe(aim(server.port, BANNER)))


def test_a_cancelled_probe_closes_its_connection(run: Run) -> None:
    async def cancel_midway(port: int) -> Result:
        task = asyncio.create_task(probe(aim(port, PONG)))
        await asyncio.to_thread(wait_for, lambda: server.connections == 1)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return Result(True, "")

    with Misbehaving(silent) as server:
        run(cancel_midway(server.port))
        wait_for(lambda: server.heard == PONG.send)  # noted when the client is gone


def test_the_port_is_left_in_peace_after_the_verdict(run: Run) -> None:
    """A plain close, not a reset: the server's accept() and read must not log errors."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        assert run(probe(aim(listener.getsockname()[1], TcpProbe()))).ok
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1) == b""
