"""The grpc check: gRPC's own server with its own health service, and servers that are something else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from misbehaving import Manner, Misbehaving, answer, closes, deaf, refusing, resets, says, says_first, silent

from rrdns.checks import ask as asking
from rrdns.checks import grpc as check_grpc
from rrdns.checks import probe
from rrdns.model import Check, GrpcProbe, Result, Target

grpc = pytest.importorskip("grpc")
health = pytest.importorskip("grpc_health.v1.health")
health_pb2 = pytest.importorskip("grpc_health.v1.health_pb2")
health_pb2_grpc = pytest.importorskip("grpc_health.v1.health_pb2_grpc")

SERVING = GrpcProbe()


def ask(port: int, asked: GrpcProbe = SERVING, timeout: float = 20.0) -> Result:
    check = Check("rpc", "grpc", port, asked, timeout=timeout)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(probe(Target(check.key("127.0.0.1"), check, "127.0.0.1")))


@contextlib.contextmanager
def server(with_health: bool = True, credentials: Any = None) -> Iterator[tuple[int, Any]]:
    one = grpc.server(ThreadPoolExecutor(2))
    servicer = health.HealthServicer()
    if with_health:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, one)
    here = "127.0.0.1:0"
    port = one.add_secure_port(here, credentials) if credentials else one.add_insecure_port(here)
    one.start()
    try:
        yield port, servicer
    finally:
        one.stop(None).wait()


def test_what_the_health_service_says() -> None:
    states = health_pb2.HealthCheckResponse
    with server() as (port, servicer):
        assert ask(port) == Result(True, "SERVING", pytest.approx(0, abs=20))
        servicer.set("shop.Cart", states.SERVING)
        assert ask(port, GrpcProbe("shop.Cart")).reason == "SERVING"
        servicer.set("shop.Cart", states.NOT_SERVING)
        result = ask(port, GrpcProbe("shop.Cart"))
        assert (result.ok, result.reason, result.silent, result.void) == (False, "NOT_SERVING", False, False)
        servicer.set("shop.Cart", states.UNKNOWN)
        assert ask(port, GrpcProbe("shop.Cart")).reason == "UNKNOWN"
        result = ask(port, GrpcProbe("x" * 300))
        assert not result.ok and result.reason.startswith("gRPC NOT_FOUND")
    with server(with_health=False) as (port, _):
        assert ask(port).reason.startswith("gRPC UNIMPLEMENTED")


def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    cert = ca.issue_cert("rpc.example")
    chain = b"".join(pem.bytes() for pem in cert.cert_chain_pems)
    with server(credentials=grpc.ssl_server_credentials([(cert.private_key_pem.bytes(), chain)])) as (port, _):
        assert ask(port, GrpcProbe(tls=True, host="rpc.example")).reason == "SERVING"
        assert (
            ask(port, GrpcProbe(tls=True, host="x.example")).reason == "certificate is for rpc.example, not x.example"
        )
        assert not ask(port, SERVING, 1.0).ok


FRAMES = b"\0\0\0\4\0\0\0\0\0"  # an empty SETTINGS


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        (says(answer("400 Bad Request")), "not HTTP/2: b'HTTP/1.1"),
        (says_first(b"SSH-2.0-OpenSSH_9.2p1\r\n" * 9, stay=True), "not HTTP/2: b'SSH-2.0"),
        (says_first(b"\xff" * 70000, stay=True), "not HTTP/2: b'\\xff"),
        (says_first(FRAMES + b"\0\0\0\4\0\0\0\0\1", stay=True), "bad HTTP/2"),
        (says_first(FRAMES + b"\0\0\4\3\0\0\0\0\1\0\0\0\1", stay=True), "the server reset the call (error 1)"),
        (says_first(FRAMES + b"\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\2", stay=True), "the server ended the connection"),
        (says_first(FRAMES * 40000, stay=True), "no answer in the first 262144 bytes"),
        (closes, "closed before the answer"),
        (resets, "connection reset"),
    ],
)
def test_manners(manner: Manner, reason: str) -> None:
    with Misbehaving(manner) as server:
        result = ask(server.port)
    assert (result.ok, result.silent, result.void) == (False, False, False)
    assert result.reason.startswith(reason) and result.reason.isprintable()


def test_bounded_in_time() -> None:
    with Misbehaving(silent) as one:
        assert ask(one.port, timeout=0.3).reason == "timed out after 300ms waiting for HTTP/2"
    with Misbehaving(says_first(FRAMES, stay=True)) as one:
        assert ask(one.port, timeout=0.3).reason == "timed out after 300ms waiting for the answer"
    with refusing() as port:
        assert ask(port).reason == "connection refused"
    with deaf() as port:
        assert ask(port, timeout=0.3).silent


@given(st.binary(max_size=20), st.dictionaries(st.sampled_from([":status", "grpc-status", "grpc-message"]), st.text()))
def test_any_answer_gives_a_verdict(message: bytes, headers: dict[str, str]) -> None:
    ok, reason = check_grpc.verdict(headers, message)
    assert reason.isprintable() and (not ok or reason == "SERVING")


def test_without_the_extra_nothing_is_said_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_has_h2", lambda: False)
    result = ask(9)
    assert (result.ok, result.void) == (False, True)
    assert result.reason == "not asked: grpc checks need the package h2: pip install 'rrdns[grpc]'"
    assert asking.missing(Check("rpc", "grpc", 9, SERVING)) in result.reason
