"""The webhook sink: one POST of JSON, ours or in the shape of Alertmanager's API v2. Standard library, blocking.

No proxy of the environment is used and no redirect followed: a URL with a token goes where it was meant to go. The
answer is not read beyond what explains a failure. Must not know: threads, when to try again.
"""

from __future__ import annotations

import http.client
import json
import ssl
from urllib.parse import SplitResult, urlsplit

from rrdns import __version__
from rrdns.checks.words import fault, plain
from rrdns.notify.apart import Failed, Grip, secret
from rrdns.notify.sinks import Sink
from rrdns.notify.wording import Message, alerts, body

ALERTS = "/api/v2/alerts"
READ = 2048
PORTS = {"http": 80, "https": 443}
AGAIN = (408, 425, 429)  # answers of 4xx that are about the moment, not about the message
LOCKED = (401, 403, 404, 405, 407)  # ... or about the settings, which can be put right


def send(sink: Sink, message: Message, grip: Grip) -> str:
    """`HTTP 200`; Failed in words that do not show the URL's path, which is often a secret."""
    asked = address(secret(sink.url_from) if sink.url_from else sink.url)
    path = asked.path or "/"
    if sink.format == "alertmanager" and not asked.path.rstrip("/").endswith(ALERTS):
        path = asked.path.rstrip("/") + ALERTS
    if asked.query:
        path += f"?{asked.query}"
    data = json.dumps(alerts(message) if sink.format == "alertmanager" else body(message)).encode()
    headers = {
        "Host": asked.netloc.rpartition("@")[2],
        "User-Agent": f"rrdns/{__version__}",
        "Content-Type": "application/json",
        "Content-Length": str(len(data)),
        "Connection": "close",
        **dict(sink.headers),
    }
    if sink.token_from:
        headers["Authorization"] = f"Bearer {secret(sink.token_from)}"
    try:
        return _post(sink, asked, path, data, headers, grip)
    except ssl.SSLCertVerificationError as error:
        raise Failed(f"TLS: {error.verify_message} (`verify: false` accepts any certificate)") from None
    except ssl.SSLError as error:
        raise Failed(f"TLS: {error.reason or 'failed'}") from None
    except TimeoutError:
        raise Failed("timed out") from None
    except OSError as error:
        raise Failed("the name can't be resolved" if _is_name(error) else fault(error).reason) from None
    except (ValueError, http.client.InvalidURL):
        raise Failed("a header or the URL holds what can't stand there") from None
    except http.client.HTTPException as error:
        raise Failed(f"what answers there does not speak HTTP ({type(error).__name__})") from None


def _post(sink: Sink, asked: SplitResult, path: str, data: bytes, headers: dict[str, str], grip: Grip) -> str:
    host = asked.hostname or ""
    connection = http.client.HTTPConnection(host, asked.port or PORTS[asked.scheme], timeout=sink.timeout)
    sock = grip.connect(host, asked.port or PORTS[asked.scheme], sink.timeout)
    try:
        if asked.scheme == "https":
            sock = context(sink.verify).wrap_socket(sock, server_hostname=host)
            grip.hold(sock)
        connection.sock = sock
        connection.request("POST", path, data, headers)
        answer = connection.getresponse()
        said = answer.read(READ).decode("utf-8", "replace")
    finally:
        sock.close()
        connection.close()
    if 200 <= answer.status < 300:
        return f"HTTP {answer.status}"
    raise _refusal(answer.status, said, answer.getheader("Retry-After") or "")


def _refusal(status: int, said: str, retry: str) -> Failed:
    lines = said.strip().splitlines()
    why = f"HTTP {status}" + (f": {plain(lines[0].strip(), 120)}" if lines else "")
    if 300 <= status < 400:
        return Failed(f"HTTP {status}, a redirect: make where it leads the `url`")
    refused = 400 <= status < 500 and status not in (*AGAIN, *LOCKED)
    return Failed(why, refused, float(retry) if retry.isascii() and retry.isdigit() else 0.0)


def address(url: str) -> SplitResult:
    """The parts of an http:// or https:// address; Failed without showing it."""
    try:
        parts = urlsplit(url.strip())
        if parts.scheme in PORTS and parts.hostname and (parts.port is None or parts.port):
            return parts
    except ValueError:
        pass
    raise Failed("its URL is no http:// or https:// address")


def context(verify: bool) -> ssl.SSLContext:
    made = ssl.create_default_context()
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def _is_name(error: OSError) -> bool:
    """socket.gaierror is an OSError with numbers of its own."""
    return type(error).__name__ == "gaierror"
