"""The smtp check: a real SMTP server (aiosmtpd), and servers of all manners."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop
from aiosmtpd.controller import Controller
from misbehaving import Manner, Misbehaving, closes, deaf, refusing, resets, says, says_first, silent

from rrdns.checks import probe
from rrdns.model import Check, Result, SmtpProbe, Target

PLAIN = SmtpProbe()


def ask(port: int, asked: SmtpProbe = PLAIN, timeout: float = 20.0) -> Result:
    check = Check("mail", "smtp", port, asked, timeout=timeout)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(probe(Target(check.key("127.0.0.1"), check, "127.0.0.1")))


class Mail(Controller):
    """On a port of the kernel's choice."""

    def __init__(self, **options: Any) -> None:
        super().__init__(object(), hostname="127.0.0.1", port=0, **options)

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = int(self.server.sockets[0].getsockname()[1])
        super()._trigger_server()

    def __enter__(self) -> int:
        self.start()
        return self.port

    def __exit__(self, *_: object) -> None:
        self.stop()


def tls_of(ca: trustme.CA) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("mail.example").configure_cert(made)
    return made


def test_a_real_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Mail() as port:
        assert ask(port).reason == "SMTP 250"
        assert ask(port, SmtpProbe(helo="probe.example")).ok
        assert ask(port, SmtpProbe(starttls=True)).reason == "SMTP 250, but STARTTLS is not offered"
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with Mail(tls_context=tls_of(ca)) as port:
        assert ask(port, SmtpProbe(starttls=True)).reason == "SMTP 250, STARTTLS offered"


def test_tls_from_the_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with Mail(ssl_context=tls_of(ca)) as port:
        assert ask(port, SmtpProbe(tls=True, host="mail.example")).reason == "SMTP 250"
        assert ask(port, SmtpProbe(tls=True, host="other.example")).reason == (
            "certificate is for mail.example, not other.example"
        )
        assert ask(port, SmtpProbe(tls=True, verify=False)).ok
        assert not ask(port, PLAIN, 0.5).ok


def speaks(*pieces: bytes) -> Manner:
    """A greeting, and after EHLO the rest."""

    def manner(client: Any) -> None:
        client.say(pieces[0])
        while b"\r\n" not in client.heard:
            client.heard += client._connection.recv(4096) or b"\r\n"
        for piece in pieces[1:]:
            client.say(piece)
        client.wait_for_end()

    return manner


@pytest.mark.parametrize(
    ("manner", "ok", "reason"),
    [
        (speaks(b"220-one\r\n220 two\r\n", b"250-me\r\n250-SIZE\r\n250 HELP\r\n"), True, "SMTP 250"),
        (speaks(b"220\r\n", b"250\r\n"), True, "SMTP 250"),
        (speaks(b"220 me\n", b"250 ", b"me\n"), True, "SMTP 250"),
        (speaks(b"220 me\r\n", b"550 go away\x1b\r\n"), False, "SMTP 550 go away? (answer to EHLO)"),
        (speaks(b"220 me\r\n", b"250-me\r\n550 x\r\n"), False, "not SMTP: b'550 x'"),
        (says_first(b"554 no service\r\n", stay=True), False, "SMTP 554 no service (greeting)"),
        (says_first(b"421 busy\r\n"), False, "SMTP 421 busy (greeting)"),
        (says_first(b"SSH-2.0-OpenSSH_9.2p1\r\n", stay=True), False, "not SMTP: b'SSH-2.0-OpenSSH_9.2p1'"),
        (says_first(b"220-x\r\n" * 10000, stay=True), False, "bad SMTP: the greeting is over 16384 bytes"),
        (says_first(b"2" * 20000, stay=True), False, "bad SMTP: the greeting is over 16384 bytes"),
        (says_first(b"\0\xff\n" * 900, stay=True), False, "not SMTP: b'\\x00\\xff'"),
        (closes, False, "closed before the greeting"),
        (says_first(b"220-me\r\n"), False, "closed before the greeting was whole"),
    ],
)  # fmt: skip
def test_manners(manner: Manner, ok: bool, reason: str) -> None:
    with Misbehaving(manner) as server:
        result = ask(server.port)
    assert (result.ok, result.reason, result.silent, result.void) == (ok, reason, False, False)


def test_it_takes_its_leave() -> None:
    with Misbehaving(speaks(b"220 me\r\n", b"250 me\r\n")) as server:
        assert ask(server.port, SmtpProbe(helo="probe.example")).ok
    assert server.heard == b"EHLO probe.example\r\nQUIT\r\n"


def test_bounded_in_time() -> None:
    with Misbehaving(silent) as server:
        assert ask(server.port, timeout=0.3).reason == "timed out after 300ms waiting for the greeting"
    with Misbehaving(says_first(b"220 me\r\n", stay=True)) as server:
        assert ask(server.port, timeout=0.3).reason == "timed out after 300ms waiting for the answer to EHLO"
    with Misbehaving(resets) as server:
        assert ask(server.port).reason.startswith("connection reset")
    with Misbehaving(says(b"never said")) as server:
        assert not ask(server.port, timeout=0.3).ok
    with refusing() as port:
        assert ask(port).reason == "connection refused"
    with deaf() as port:
        assert ask(port, timeout=0.3).silent
