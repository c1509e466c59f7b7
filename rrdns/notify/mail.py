"""The mail sink: one message by SMTP, with STARTTLS unless the settings say otherwise. Standard library, blocking.

Must not know: threads, when to try again.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.utils import format_datetime, localtime

from rrdns.checks.words import fault, plain
from rrdns.notify.apart import Failed, Grip, secret
from rrdns.notify.sinks import Sink
from rrdns.notify.webhook import context
from rrdns.notify.wording import Message, text, title

PORTS = {"starttls": 587, "tls": 465, "none": 25}


class _Smtp(smtplib.SMTP):
    """Whose socket can be shut from outside. `own_name` is given, as smtplib would ask a name server for it."""

    def __init__(self, sink: Sink, host: str, port: int, grip: Grip) -> None:
        self._sink = sink
        self._grip = grip
        super().__init__(host, port, local_hostname=own_name(), timeout=sink.timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = self._grip.connect(host, port, timeout)
        if self._sink.tls == "tls":
            sock = context(self._sink.verify).wrap_socket(sock, server_hostname=host)
            self._grip.hold(sock)
        return sock


def send(sink: Sink, message: Message, grip: Grip) -> str:
    """The server's last word."""
    host, port = endpoint(sink.server, PORTS[sink.tls])
    try:
        smtp = _Smtp(sink, host, port, grip)
        try:
            return _converse(smtp, sink, message, grip)
        finally:
            smtp.close()
    except smtplib.SMTPException as error:
        raise _failure(error) from None
    except ssl.SSLCertVerificationError as error:
        raise Failed(f"TLS: {error.verify_message} (`verify: false` accepts any certificate)") from None
    except ssl.SSLError as error:
        raise Failed(f"TLS: {error.reason or 'failed'}: is it `tls: {sink.tls}` that this port speaks?") from None
    except socket.gaierror:
        raise Failed(f"the name {host} can't be resolved") from None
    except TimeoutError:
        raise Failed("timed out") from None
    except OSError as error:
        raise Failed(fault(error).reason) from None


def _converse(smtp: smtplib.SMTP, sink: Sink, message: Message, grip: Grip) -> str:
    smtp.ehlo_or_helo_if_needed()
    if sink.tls == "starttls":
        if not smtp.has_extn("starttls"):
            raise Failed("it offers no STARTTLS: `tls: none` sends without, `tls: tls` is for port 465")
        smtp.starttls(context=context(sink.verify))
        if smtp.sock is not None:
            grip.hold(smtp.sock)
        smtp.ehlo()
    if sink.user:
        smtp.login(sink.user, secret(sink.password_from))
    refused = smtp.send_message(composed(sink, message), sink.sender, list(sink.to))
    try:
        smtp.quit()
    except (smtplib.SMTPException, OSError):
        pass  # it has the message; how it says good-bye is its own affair
    if refused:
        which = "; ".join(f"{to}: {_said(code, why)}" for to, (code, why) in refused.items())
        return f"sent, but not to {plain(which, 200)}"
    return f"accepted for {len(sink.to)}"


def composed(sink: Sink, message: Message) -> EmailMessage:
    """The mail. Its Message-ID is the same at each try, so that a doubtful one can be seen to be a copy."""
    mail = EmailMessage()
    mail["From"] = sink.sender
    mail["To"] = ", ".join(sink.to)
    mail["Subject"] = plain(title(message), 200)
    mail["Date"] = format_datetime(localtime())
    mail["Message-ID"] = f"<{message.id}@{sink.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
    mail["X-Rrdns-Server"] = message.host
    mail.set_content(f"{title(message)}\n\n{text(message)}\n")
    return mail


def _failure(error: smtplib.SMTPException) -> Failed:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return Failed(f"it does not take the user and password: {_said(error.smtp_code, error.smtp_error)}")
    if isinstance(error, smtplib.SMTPResponseException):
        return Failed(_said(error.smtp_code, error.smtp_error), refused=error.smtp_code >= 550)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, why = next(iter(error.recipients.values()))
        return Failed(f"every recipient was refused: {_said(code, why)}", refused=code >= 500)
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return Failed("timed out" if "timed out" in str(error) else "it closed the connection")
    return Failed(plain(str(error), 200))


def _said(code: int, why: bytes | str) -> str:
    words = why.decode("utf-8", "replace") if isinstance(why, bytes) else why
    return plain(f"{code} {' '.join(words.split())}", 160)


def endpoint(server: str, port: int) -> tuple[str, int]:
    """Host and port of `mail.example.com`, `mail.example.com:587`, `[2001:db8::1]:25`."""
    if server.startswith("["):
        host, _, rest = server[1:].partition("]")
        return host, int(rest.lstrip(":") or port)
    host, colon, rest = server.partition(":")
    return (host, int(rest)) if colon and ":" not in rest else (server, port)


def own_name() -> str:
    """This machine's name, for EHLO."""
    return "".join(char for char in socket.gethostname() if char.isalnum() or char in ".-") or "localhost"
