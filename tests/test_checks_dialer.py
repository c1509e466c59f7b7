"""The dialer against real sockets: deadlines, last words, numbers that are given again, and who is told what."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop
from misbehaving import Misbehaving, deaf, refusing, silent

from rrdns.checks import Prober
from rrdns.checks.dialer import Dialer, Outcome
from rrdns.checks.tcp import TcpConversation
from rrdns.model import Check, Result, Target, TcpProbe

PATIENCE = 20.0
PLAIN = TcpProbe()
Work = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Work], None]:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def go(work: Work) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(work())

    return go


def aim(port: int, asked: TcpProbe = PLAIN, timeout: float = PATIENCE, address: str = "127.0.0.1") -> Target:
    return Target(f"{address}:{port}/{timeout}", Check("t", "tcp", port, asked, timeout=timeout), address)


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def dial(dialer: Dialer, target: Target, told: list[Outcome]) -> Any:
    probe = target.check.probe
    assert isinstance(probe, TcpProbe)
    return dialer.dial(TcpConversation(probe), target, told.append)


def test_each_deadline_is_its_own(run: Callable[[Work], None]) -> None:
    """Begun in another order than they end; the last is answered."""

    async def work() -> None:
        told: dict[float, list[Outcome]] = {timeout: [] for timeout in (0.9, 0.3, 0.6, PATIENCE)}
        ended: list[float] = []
        with Dialer() as dialer:
            for timeout, outcomes in told.items():
                port = good.port if timeout == PATIENCE else mute
                target = aim(port, TcpProbe(), timeout)
                probe = target.check.probe
                assert isinstance(probe, TcpProbe)
                dialer.dial(
                    TcpConversation(probe),
                    target,
                    lambda outcome, outcomes=outcomes, timeout=timeout: (  # type: ignore[misc]
                        outcomes.append(outcome),
                        ended.append(timeout),
                    ),
                )
            await until(lambda: len(ended) == 4)
        assert ended == [PATIENCE, 0.3, 0.6, 0.9]
        for timeout, (result,) in told.items():
            assert isinstance(result, Result)
            if timeout == PATIENCE:
                assert result.ok
            else:
                assert result.silent and result.took >= timeout
                assert result.reason == f"timed out after {timeout * 1000:g}ms connecting"

    with Misbehaving(silent) as good, deaf() as mute:
        run(work)


def test_a_deadline_nearer_than_those_before_counts_at_once(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        long: list[Outcome] = []
        short: list[Outcome] = []
        with Dialer() as dialer:
            dial(dialer, aim(mute, timeout=PATIENCE), long)
            dial(dialer, aim(mute, timeout=0.2), short)
            await until(lambda: short)
            assert not long
        await asyncio.sleep(0)
        assert not long  # closing cancels, and tells nobody

    with deaf() as mute:
        run(work)


def test_nobody_is_told_before_dial_returns(run: Callable[[Work], None]) -> None:
    """Even where the kernel refuses at once."""

    async def work() -> None:
        told: list[Outcome] = []
        with Dialer() as dialer:
            dial(dialer, aim(80, address="255.255.255.255"), told)
            assert not told
            await until(lambda: told)
        (result,) = told
        assert isinstance(result, Result) and not result.ok and result.took < PATIENCE

    run(work)


def test_a_reset_that_the_first_words_meet_is_told_as_one(run: Callable[[Work], None]) -> None:
    """The kernel tells of it the one who writes; who reads after that sees an end like any other."""

    class ResetBeforeItSpeaks(TcpConversation):
        def begin(self) -> bytes:
            peer, _ = listener.accept()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
            return super().begin()

    async def work() -> None:
        told: list[Outcome] = []
        asked = TcpProbe(send=b"PING", expect=b"PONG")
        with Dialer() as dialer:
            dialer.dial(ResetBeforeItSpeaks(asked), aim(listener.getsockname()[1], asked), told.append)
            await until(lambda: told)
        (result,) = told
        assert isinstance(result, Result)
        assert (result.ok, result.reason) == (False, "connection reset after 0 bytes without 'PONG'")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        run(work)


def test_last_words_longer_than_the_kernel_takes_arrive_whole(run: Callable[[Work], None]) -> None:
    size = 32 << 20

    async def work() -> None:
        told: list[Outcome] = []
        with Dialer() as dialer:
            line = dial(dialer, aim(listener.getsockname()[1], TcpProbe(send=bytes(size))), told)
            await until(lambda: told)
            assert isinstance(told[0], Result) and told[0].reason == "connected"
            assert not line.closed
            connection, _ = listener.accept()
            with connection:
                assert await asyncio.to_thread(read_all, connection) == size
            await until(lambda: line.closed)
        assert len(told) == 1

    def read_all(connection: socket.socket) -> int:
        connection.settimeout(PATIENCE)
        count = 0
        while data := connection.recv(1 << 20):
            count += len(data)
        return count

    with socket.create_server(("127.0.0.1", 0)) as listener:
        run(work)


def test_last_words_that_nobody_reads_end_with_the_deadline(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        told: list[Outcome] = []
        with Dialer() as dialer:
            line = dial(dialer, aim(listener.getsockname()[1], TcpProbe(send=bytes(32 << 20)), timeout=0.5), told)
            await until(lambda: line.closed)
        assert [isinstance(one, Result) and one.ok for one in told] == [True]

    with socket.create_server(("127.0.0.1", 0)) as listener:
        run(work)


def test_a_number_given_again_does_not_inherit_an_event(run: Callable[[Work], None]) -> None:
    """Two connections are ready in one turn. When the first is told, the second is cancelled, and two others that
    can't connect take over both numbers: the event that still waits is not theirs."""

    async def work() -> None:
        events: list[int] = []
        later: list[Outcome] = []
        with Dialer() as dialer:

            def first_told(outcome: Outcome) -> None:
                for line in lines:
                    line.cancel()
                if not events:
                    events.extend(line.descriptor for line in lines)
                    again.extend(dial(dialer, aim(mute), later) for _ in range(20))

            again: list[Any] = []
            lines = [
                dialer.dial(TcpConversation(TcpProbe()), aim(nobody_accepts.getsockname()[1]), first_told)
                for _ in range(2)
            ]
            for line in lines:  # without the loop, until both are connected
                waiting = select.poll()
                waiting.register(line.descriptor, select.POLLOUT)
                assert waiting.poll(PATIENCE * 1000)
            await until(lambda: events)
            await asyncio.sleep(0.1)
            assert {line.descriptor for line in again} >= set(events), "the numbers were not given again"
            assert not later

    with socket.create_server(("127.0.0.1", 0)) as nobody_accepts, deaf() as mute:
        run(work)


def test_one_that_is_reset_while_it_speaks(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        told: list[Outcome] = []
        with Dialer() as dialer:
            dial(dialer, aim(listener.getsockname()[1], TcpProbe(send=bytes(32 << 20), expect=b"never")), told)
            connection, _ = listener.accept()
            await asyncio.sleep(0.05)
            connection.close()  # unread: an RST
            await until(lambda: told)
        (result,) = told
        assert isinstance(result, Result)
        assert result.reason == "connection reset after 0 bytes without 'never'"

    with socket.create_server(("127.0.0.1", 0)) as listener:
        run(work)


def test_a_target_taken_away_while_asked_and_put_back(run: Callable[[Work], None]) -> None:
    """Its connection is closed, nobody hears of it, and it is asked again."""

    async def work() -> None:
        results: list[Result] = []
        prober = Prober(lambda target, result: (results.append(result), 60.0)[1])
        target = aim(mute.port, TcpProbe(send=b"PING\r\n\r\n", expect=b"PONG"))
        prober.set_targets({target.key: target})
        prober.start()
        await until(lambda: mute.connections == 1)
        prober.set_targets({})
        prober.set_targets({target.key: target})
        await until(lambda: mute.connections == 2)
        assert prober.stats().in_flight == 1
        await prober.stop()
        assert not results

    with Misbehaving(silent) as mute:
        run(work)


def test_refused(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        with Dialer() as dialer:
            result = await dialer.ask(TcpConversation(TcpProbe()), aim(port))
        assert (result.ok, result.reason, result.silent) == (False, "connection refused", False)

    with refusing() as port:
        run(work)
