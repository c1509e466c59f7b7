"""The tls check: certificates made for the test, behind Python's own TLS server and behind `openssl s_server`."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest
import trustme
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from misbehaving import Manner, Misbehaving, closes, deaf, refusing, resets, says, says_first, silent
from needs import needs

from rrdns.checks import certificate, probe
from rrdns.model import Check, Result, Target, TlsProbe

WWW = TlsProbe(host="www.example")
DAY = 86400.0


def ask(port: int, asked: TlsProbe = WWW, timeout: float = 20.0) -> Result:
    check = Check("cert", "tls", port, asked, timeout=timeout)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(probe(Target(check.key("127.0.0.1"), check, "127.0.0.1")))


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """An authority that this machine trusts for the time of the test."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return ca


def days(count: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=count, minutes=10)


def context(cert: trustme.LeafCert) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(made)
    return made


@pytest.mark.parametrize(
    ("left", "asked", "ok", "reason"),
    [
        (90, WWW, True, "TLSv1.3, certificate good for 90 days"),
        (6, WWW, True, "TLSv1.3, certificate expires in 6 days"),
        (6, TlsProbe("www.example", warn=5 * DAY), True, "TLSv1.3, certificate good for 6 days"),
        (2, TlsProbe("www.example", least=3 * DAY), False, "certificate expires in 2 days, less than 3 days"),
        (-2, WWW, False, "certificate expired 1 day ago"),
        (-2, TlsProbe("www.example", verify=False), False, "certificate expired 1 day ago"),
        (6, TlsProbe("other.example"), False, "certificate is for www.example, not other.example"),
        (6, TlsProbe("other.example", verify=False), True, "TLSv1.3, certificate expires in 6 days"),
        (6, TlsProbe(verify=False), True, "TLSv1.3, certificate expires in 6 days"),
    ],
)
def test_days_left(authority: trustme.CA, left: int, asked: TlsProbe, ok: bool, reason: str) -> None:
    cert = authority.issue_cert("www.example", not_before=days(-100), not_after=days(left))
    with Misbehaving(silent, context(cert)) as server:
        result = ask(server.port, asked)
    assert (result.ok, result.reason, result.silent, result.void) == (ok, reason, False, False)


def test_far_ends_are_read(authority: trustme.CA) -> None:
    """From 2050 on the time has another form (RFC 5280 section 4.1.2.5)."""
    far = datetime.datetime(2061, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)
    with Misbehaving(silent, context(authority.issue_cert("www.example", not_after=far))) as server:
        assert ask(server.port).reason.startswith("TLSv1.3, certificate good for 1")


def test_a_certificate_of_nobody_known() -> None:
    with Misbehaving(silent, context(trustme.CA().issue_cert("www.example"))) as server:
        assert "authority" in ask(server.port).reason
        assert ask(server.port, TlsProbe("www.example", verify=False)).ok


def test_openssl_chooses_by_sni(authority: trustme.CA, tmp_path: Path) -> None:
    needs("openssl")
    for name, left in (("www.example", 90), ("img.example", 5)):
        cert = authority.issue_cert(name, not_after=days(left))
        cert.private_key_and_cert_chain_pem.write_to_path(tmp_path / name)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    words = f"s_server -quiet -accept 127.0.0.1:{port} -cert {tmp_path}/www.example -cert2 {tmp_path}/img.example"
    names = ["-servername", "img.example", "-tls1_2"]
    command = ["openssl", *words.split(), *names]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 30
            while ask(port).reason == "connection refused":
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert ask(port).reason == "TLSv1.2, certificate good for 90 days"
            assert ask(port, TlsProbe("img.example")).reason == "TLSv1.2, certificate expires in 5 days"
        finally:
            server.terminate()


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        (closes, "TLS handshake: closed by the server"),
        (resets, "connection reset"),
        (says_first(b"SSH-2.0-OpenSSH_9.2p1\r\n", stay=True), "the port does not speak TLS"),
        (says_first(bytes(range(256)) * 4096, stay=True), "TLS"),
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "TLS handshake"),
        (silent, "timed out after 500ms in the TLS handshake"),
    ],
)
def test_no_tls_there(manner: Manner, reason: str) -> None:
    with Misbehaving(manner) as server:
        result = ask(server.port, timeout=0.5 if manner is silent else 5.0)
    assert (result.ok, result.silent) == (False, False)
    assert reason in result.reason or (manner is not silent and "timed out" in result.reason)


def test_nobody_there() -> None:
    with refusing() as port:
        assert ask(port).reason == "connection refused"
    with deaf() as port:
        assert ask(port, timeout=0.3).silent


@given(st.binary(max_size=300))
def test_any_bytes_for_a_certificate(data: bytes) -> None:
    certificate.expiry(data)  # never raises
    certificate.expiry(b"\x30\x82\x01\x00\x30\x82\x00\xf0" + data)
