"""The http and https checks against servers of all manners, under both event loops; nothing is mocked but hosts."""

from __future__ import annotations

import asyncio
import datetime
import re
import signal
import ssl
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import h11
import pytest
import trustme
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from misbehaving import (
    Manner,
    Misbehaving,
    answer,
    closes,
    deaf,
    endless,
    flood,
    refusing,
    resets,
    says,
    says_first,
    says_then_resets,
    silent,
    trickles,
)

from rrdns import __version__
from rrdns.checks import probe, tls
from rrdns.checks.http import _PLAIN, CHUNK_LIMIT, request_for, server_name
from rrdns.model import Check, HttpProbe, Result, Target

Run = Callable[[Coroutine[Any, Any, Result]], Result]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def go(work: Coroutine[Any, Any, Result]) -> Result:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(work)

    return go


def aim(port: int, asked: HttpProbe | None = None, timeout: float = 20.0, address: str = "127.0.0.1") -> Target:
    asked = asked or HttpProbe()
    check = Check("w", "https" if asked.tls else "http", port, asked, timeout=timeout)
    return Target(check.key(address), check, address)


GET = HttpProbe()
OK = answer("200 OK", b"all is well\n")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def has(words: str, limit: int = 65536) -> HttpProbe:
    return HttpProbe(body=words, body_limit=limit)


# ------------------------------------------------------------ status and headers


@pytest.mark.parametrize(
    ("manner", "asked", "ok", "reason"),
    [
        (says(OK), GET, True, "HTTP 200"),
        (says(b"HTTP/1.0 200 OK\r\n\r\nold"), GET, True, "HTTP 200"),
        (says(b"HTTP/1.1 200\r\n\r\n"), GET, True, "HTTP 200"),
        (says(b"HTTP/1.1 100 Continue\r\n\r\n", OK, pause=0.02), GET, True, "HTTP 200"),
        (says(OK[:20], OK[20:], pause=0.02), GET, True, "HTTP 200"),
        (trickles(OK, 0.001), GET, True, "HTTP 200"),
        (flood(), GET, True, "HTTP 200"),
        (endless, GET, True, "HTTP 200"),
        (says(answer("503 Service Unavailable")), GET, False, "HTTP 503 Service Unavailable"),
        (says(b"HTTP/1.1 503 \r\n\r\n"), GET, False, "HTTP 503 Service Unavailable"),
        (says(b"HTTP/1.1 599 \r\n\r\n"), GET, False, "HTTP 599"),
        (says(answer("404 \x1b[31mred")), GET, False, r"HTTP 404 \?\[31mred|bad HTTP: .*"),
        (says(OK), HttpProbe(statuses=((204, 204), (300, 399))), False, "HTTP 200, expected 204 300-399"),
        (says(answer("301 Moved", b"", "Location: https://x.example/")), GET, False, "HTTP 301 to https://x.example/"),
        (says(answer("302 Found")), GET, False, "HTTP 302 Found"),
        (says(answer("301 Moved", b"", "Location: /a")), HttpProbe(statuses=((200, 399),)), True, "HTTP 301"),
        (says(answer("404 Not Found")), HttpProbe(statuses=((404, 404),)), True, "HTTP 404"),
        (
            says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", stay=True),
            HttpProbe(statuses=((101, 101),), headers=(("Connection", "Upgrade"), ("Upgrade", "websocket"))),
            True,
            "HTTP 101",
        ),
        (says(b"HTTP/1.1 100 Continue\r\n\r\n" * 100, stay=True), GET, False, r"bad HTTP: over 8 interim .*"),
        (says(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20000, stay=True), GET, False, "bad HTTP: the header is over .*"),
        (says(b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", stay=True), GET, False, "bad HTTP: .*"),
        (says(b"HTTP/1.1 abc\r\n\r\n", stay=True), GET, False, "bad HTTP: illegal status line.*"),
        (says(b"HTTP/2.0 200 OK\r\n\r\n", stay=True), GET, False, r"not HTTP/1: b'HTTP/2.0 200 OK\\r\\n\\r\\n'"),
        (says_first(b"SSH-2.0-OpenSSH_9.2p1\r\n", stay=True), GET, False, r"not HTTP: b'SSH-2.0-OpenSSH_9.2p1\\r\\n'"),
        (says(bytes(range(256)) * 16, stay=True), GET, False, r"not HTTP: b'\\x00\\x01.*"),
        (closes, GET, False, "closed before the status line"),
        (says(b"HTTP/1"), GET, False, "closed in the status line: b'HTTP/1'"),
        (says(b"HTTP/1.1 200 OK\r\nA: b\r\n"), GET, False, "closed in the headers"),
        (says_then_resets(b"HTTP/1.1 200 OK\r\nA: b\r\n"), GET, False, "connection reset in the headers"),
        # words in the body
        (says(OK), has("is well"), True, "HTTP 200"),
        (says(answer("200 OK", "größer".encode())), has("größer"), True, "HTTP 200"),
        (says(b"HTTP/1.0 200 OK\r\n\r\nno length, well"), has("well"), True, "HTTP 200"),
        (says(b"HTTP/1.0 200 OK\r\n\r\n", b"we", b"ll", pause=0.02), has("well"), True, "HTTP 200"),
        (says(CHUNKED, b"2\r\nwe\r\n", b"2\r\nll\r\n", pause=0.02, stay=True), has("well"), True, "HTTP 200"),
        (
            says(CHUNKED + b"2\r\nwe\r\n0\r\n\r\n"),
            has("well"),
            False,
            r"HTTP 200, but the body \(2 bytes\) is without .*",
        ),
        (says(OK), has("fine"), False, r"HTTP 200, but the body \(12 bytes\) is without 'fine'"),
        (says(OK), has("well", 8), False, "HTTP 200, but the first 8 bytes of the body are without 'well'"),
        (says(OK), has("is we", 11), True, "HTTP 200"),
        (says(b"HTTP/1.0 200 OK\r\n\r\nnot"), has("well"), False, r"HTTP 200, but the body \(3 bytes\) is .*"),
        (says(OK[:-6]), has("well"), False, "HTTP 200, but closed after 6 bytes of the body without 'well'"),
        (says_then_resets(OK[:-6]), has("well"), False, "HTTP 200, but connection reset after 6 bytes of .*"),
        (says(CHUNKED + b"zz\r\n", stay=True), has("well"), False, "bad HTTP: .*"),
        (
            says(CHUNKED + b"1;" + b"x" * 200000, stay=True),
            has("well"),
            False,
            "bad HTTP: a line of the body is over .*",
        ),
        (says(CHUNKED + b"1\r\nx\r\n" * 60000), has("well"), False, f"HTTP 200, but the first {CHUNK_LIMIT} bytes .*"),
        (flood(), has("well"), False, "HTTP 200, but the first 65536 bytes of the body are without 'well'"),
        (endless, has("well"), False, "HTTP 200, but the first 65536 bytes of the body are without 'well'"),
        (says(answer("503 Sorry", b"well")), has("well"), False, "HTTP 503 Sorry"),
    ],
)
def test_verdicts(run: Run, manner: Manner, asked: HttpProbe, ok: bool, reason: str) -> None:
    with Misbehaving(manner) as server:
        result = run(probe(aim(server.port, asked)))
    assert re.fullmatch(reason, result.reason), result.reason
    assert (result.ok, result.silent, result.void) == (ok, False, False)
    assert result.reason.isprintable()


def test_reset_without_a_word(run: Run) -> None:
    with Misbehaving(resets) as server:
        result = run(probe(aim(server.port)))
    assert (result.ok, result.silent) == (False, False)
    assert re.fullmatch("connection reset( before the status line)?", result.reason), result.reason  # as it races


@pytest.mark.parametrize(
    ("manner", "asked", "reason"),
    [
        (silent, GET, "timed out after 1s reading the status line"),
        (says(b"HTTP/1.1 20", stay=True), GET, "timed out after 1s reading the status line"),
        (trickles(OK * 100, 0.1), GET, "timed out after 1s reading the status line"),
        (says(b"HTTP/1.1 200 OK\r\nA: b\r\n", stay=True), GET, "timed out after 1s reading the headers"),
        (says(OK[:-6], stay=True), has("well"), "timed out after 1s reading the body (6 bytes so far)"),
        (silent, HttpProbe(tls=True), "timed out after 1s in the TLS handshake"),
    ],
)
def test_timeouts_say_what_was_waited_for(run: Run, manner: Manner, asked: HttpProbe, reason: str) -> None:
    with Misbehaving(manner) as server:
        result = run(probe(aim(server.port, asked, timeout=1.0)))
    assert (result.ok, result.reason, result.silent) == (False, reason, False)


@pytest.mark.parametrize("asked", [GET, HttpProbe(tls=True)])
def test_no_connection(run: Run, asked: HttpProbe) -> None:
    with refusing() as port:
        result = run(probe(aim(port, asked)))
    assert (result.ok, result.reason, result.silent) == (False, "connection refused", False)
    with deaf() as port:
        result = run(probe(aim(port, asked, timeout=0.5)))
    assert (result.ok, result.reason, result.silent) == (False, "timed out after 500ms connecting", True)


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_no_descriptor_is_left_open(run: Run) -> None:
    """However a probe ends: by its deadline, while connecting, in the handshake, waiting, or with a verdict."""

    async def many(ports: list[int]) -> Result:
        async def round() -> int:
            asked = [
                aim(port, HttpProbe(tls=tls, verify=False), timeout=0.1) for port in ports for tls in (True, False)
            ]
            await asyncio.gather(*(probe(target) for target in asked * 5))
            await asyncio.sleep(0.05)  # closing takes a turn of the loop
            return descriptors()

        await round()
        servers_own = 12  # their threads may still be closing theirs
        before = await round()
        assert max([await round() for _ in range(4)]) <= before + servers_own
        return Result(True, "")

    with deaf() as nobody, refusing() as closed, Misbehaving(silent) as mute, Misbehaving(closes) as curt:
        run(many([nobody, closed, mute.port, curt.port]))


def test_ten_megabytes_cost_no_memory(run: Run) -> None:
    with Misbehaving(flood(10)) as server:
        run(probe(aim(server.port, has("well"))))
        tracemalloc.start()
        try:
            run(probe(aim(server.port, has("well", 1 << 30), timeout=60)))  # reads all of it
            assert tracemalloc.get_traced_memory()[1] < 3 << 20  # two of the server's own pieces are in it
        finally:
            tracemalloc.stop()


# ------------------------------------------------------------ the short way

HEADERS = st.sampled_from(
    [b"Server: x", b"content-length: 5", b"Content-Length: 5", b"Content-Length: 6", b"Transfer-Encoding: chunked"]
    + [b"transfer-encoding: gzip", b"no colon", b" folded", b"a b: c", b"X:", b"X:\ty ", b"X: \xff", b"X: \0", b": x"]
)
STARTS = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.0 204", b"HTTP/1.1 299 ", b"http/1.1 200 OK", b"HTTP/1.1 20", b"HTTP/2.0 200 OK"]
    + [b"HTTP/1.1 200OK", b"HTTP/1.1  200 OK", b"HTTP/1.1 100 Continue", b"HTTP/1.1 200 O\0K", b"HTTP/1.9 200 OK"]
)


@given(STARTS, st.lists(HEADERS, max_size=5), st.sampled_from([b"", b"hello"]), st.sampled_from([b"\r\n", b"\n"]))
def test_the_short_way_accepts_nothing_that_h11_would_not(
    start: bytes, headers: list[bytes], body: bytes, end: bytes
) -> None:
    data = end.join([start, *headers, b"", body])
    if found := _PLAIN.match(data):
        reader = h11.Connection(h11.CLIENT)
        reader.send(request_for(GET, "192.0.2.1", 80))
        reader.send(h11.EndOfMessage())
        reader.receive_data(data)
        event = reader.next_event()
        assert isinstance(event, h11.Response) and event.status_code == int(found[1])
        assert bytes(event.reason).strip() == (found[2] or b"").strip()


def test_the_short_way_is_taken() -> None:
    assert _PLAIN.match(OK)
    assert _PLAIN.match(CHUNKED)
    assert not _PLAIN.match(OK[:20])


# ------------------------------------------------------------ the request


def asked_lines(run: Run, asked: HttpProbe) -> list[str]:
    with Misbehaving(says(OK)) as server:
        assert run(probe(aim(server.port, asked))).ok
        deadline = time.monotonic() + 20
        while not server.heard and time.monotonic() < deadline:
            time.sleep(0.01)
        return server.heard.decode().replace(str(server.port), "PORT").split("\r\n")


def test_request_manners(run: Run) -> None:
    first, *headers = asked_lines(run, HttpProbe(path="/healthz?deep=1"))
    assert first == "GET /healthz?deep=1 HTTP/1.1"
    assert headers == [
        "Host: 127.0.0.1:PORT",
        f"User-Agent: rrdns/{__version__} (health check)",
        "Connection: close",
        "Accept: */*",
        "",
        "",
    ]


def test_own_headers_replace_the_usual_ones(run: Run) -> None:
    asked = HttpProbe(method="HEAD", host="www.example", headers=(("user-agent", "me"), ("X-Probe", "1")))
    first, *headers = asked_lines(run, asked)
    assert first == "HEAD / HTTP/1.1"
    assert headers == ["Host: www.example", "Connection: close", "Accept: */*", "user-agent: me", "X-Probe: 1", "", ""]


@pytest.mark.parametrize(
    ("asked", "address", "port", "host"),
    [
        (HttpProbe(), "192.0.2.1", 80, "192.0.2.1"),
        (HttpProbe(), "192.0.2.1", 443, "192.0.2.1:443"),
        (HttpProbe(tls=True), "192.0.2.1", 443, "192.0.2.1"),
        (HttpProbe(), "2001:db8::1", 8080, "[2001:db8::1]:8080"),
        (HttpProbe(tls=True), "2001:db8::1", 443, "[2001:db8::1]"),
        (HttpProbe(host="www.example"), "192.0.2.1", 8080, "www.example"),
        (HttpProbe(host="www.example:8443", tls=True), "192.0.2.1", 8080, "www.example:8443"),
        (HttpProbe(host="a.example", headers=(("HOST", "b.example"),)), "192.0.2.1", 80, "b.example"),
    ],
)
def test_host_header(asked: HttpProbe, address: str, port: int, host: str) -> None:
    assert dict(request_for(asked, address, port).headers)[b"host"] == host.encode()


def test_target_and_length() -> None:
    assert request_for(HttpProbe(path="/ä b?x=%20&y=[1]"), "192.0.2.1", 80).target == b"/%C3%A4%20b?x=%20&y=[1]"
    assert dict(request_for(HttpProbe(method="POST"), "192.0.2.1", 80).headers)[b"content-length"] == b"0"


def test_name_for_the_certificate() -> None:
    assert server_name(HttpProbe(host="www.example:8443"), "192.0.2.1") == "www.example"
    assert server_name(HttpProbe(host="www.example."), "192.0.2.1") == "www.example"
    assert server_name(HttpProbe(host="[2001:db8::2]:1"), "192.0.2.1") == "2001:db8::2"
    assert server_name(HttpProbe(host="2001:db8::2"), "192.0.2.1") == "2001:db8::2"
    assert server_name(HttpProbe(), "2001:db8::1") == "2001:db8::1"


@pytest.mark.parametrize(
    "asked",
    [
        HttpProbe(method="GE T"),
        HttpProbe(headers=(("bad name", "x"),)),
        HttpProbe(headers=(("x", "a\r\nb"),)),
        HttpProbe(headers=(("x", "ä"),)),
        HttpProbe(host="bücher.example"),
        HttpProbe(host=".example", tls=True),
        HttpProbe(host="a..example", tls=True),
    ],
)
def test_what_cannot_be_sent_is_told(run: Run, asked: HttpProbe) -> None:
    result = run(probe(aim(9, asked)))
    assert not result.ok
    assert result.reason.startswith("cannot ask this: ")


# ------------------------------------------------------------ TLS


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """An authority that this machine trusts for the time of the test."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return ca


def server_context(cert: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    return context


def days(count: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=count)


HTTPS = HttpProbe(tls=True, host="www.example")


def test_good_certificates(run: Run, authority: trustme.CA) -> None:
    with Misbehaving(says(OK), server_context(authority.issue_cert("www.example"))) as server:
        assert run(probe(aim(server.port, HTTPS))).reason == "HTTP 200"
        assert run(probe(aim(server.port, HttpProbe(tls=True, host="www.example", body="is well")))).ok
    with Misbehaving(says(OK), server_context(authority.issue_cert("*.web.example"))) as server:
        assert run(probe(aim(server.port, HttpProbe(tls=True, host="a.web.example")))).ok
    with Misbehaving(says(OK), server_context(authority.issue_cert("127.0.0.1"))) as server:
        assert run(probe(aim(server.port, HttpProbe(tls=True)))).ok
        assert server.connections == 1


def test_sni_is_the_host(run: Run, authority: trustme.CA) -> None:
    seen: list[str | None] = []
    context = server_context(authority.issue_cert("www.example"))
    context.sni_callback = lambda _, name, __: seen.append(name)
    with Misbehaving(says(OK), context) as server:
        assert run(probe(aim(server.port, HTTPS))).ok
        assert run(probe(aim(server.port, HttpProbe(tls=True, host="other.example", verify=False)))).ok
        assert run(probe(aim(server.port, HttpProbe(tls=True, verify=False)))).ok
    assert seen == ["www.example", "other.example", None]  # RFC 6066 section 3: no addresses


def test_bad_certificates_in_words(run: Run, authority: trustme.CA) -> None:
    long_ago = days(-400)
    cases = [
        (authority.issue_cert("www.example", not_before=long_ago, not_after=days(-3.5)), "expired 3 days ago"),
        (authority.issue_cert("www.example", not_before=long_ago, not_after=days(-0.1)), "expired 2 hours ago"),
        (
            authority.issue_cert("www.example", not_before=days(2.5), not_after=days(9)),
            "is not valid yet: it begins in 2 days",
        ),
        (authority.issue_cert("other.example"), "is for other.example, not www.example"),
        (authority.issue_cert(*"abcde"), "is for a, b, c and 2 more, not www.example"),
        (authority.issue_cert("other.example", not_before=long_ago, not_after=days(-3.5)), "(expired|is for other).*"),
    ]
    for cert, words in cases:
        with Misbehaving(says(OK), server_context(cert)) as server:
            result = run(probe(aim(server.port, HTTPS)))
            assert re.fullmatch(f"certificate {words}", result.reason), result.reason
            assert (result.ok, result.silent) == (False, False)
            assert run(probe(aim(server.port, HttpProbe(tls=True, host="www.example", verify=False)))).ok


def test_certificate_for_another_address(run: Run, authority: trustme.CA) -> None:
    with Misbehaving(says(OK), server_context(authority.issue_cert("192.0.2.7", "www.example"))) as server:
        result = run(probe(aim(server.port, HttpProbe(tls=True))))
    assert result.reason == "certificate is for 192.0.2.7, www.example, not 127.0.0.1"


def test_untrusted_certificates(run: Run, authority: trustme.CA, tmp_path: Path) -> None:
    stranger = trustme.CA()
    with Misbehaving(says(OK), server_context(stranger.issue_cert("www.example"))) as server:
        result = run(probe(aim(server.port, HTTPS)))
        assert result.reason.startswith("certificate of an unknown authority")
        assert server.connections == 1  # no second look where the words need none
        stranger.cert_pem.write_to_path(tmp_path / "ca.pem")  # the operator adds it to the store:
        assert run(probe(aim(server.port, HTTPS))).ok  # no restart needed


def test_self_signed(run: Run, authority: trustme.CA, tmp_path: Path) -> None:
    alone = trustme.CA()  # an authority's own certificate is signed by itself
    alone.cert_pem.write_to_path(tmp_path / "cert.pem")
    alone.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with Misbehaving(says(OK), context) as server:
        assert run(probe(aim(server.port, HTTPS))).reason == "self-signed certificate"


def test_handshakes_that_fail(run: Run, authority: trustme.CA) -> None:
    with Misbehaving(says_first(b"SSH-2.0-OpenSSH_9.2p1\r\n", stay=True)) as server:
        assert run(probe(aim(server.port, HTTPS))).reason == "TLS handshake: the port does not speak TLS"
    with Misbehaving(closes) as server:
        assert run(probe(aim(server.port, HTTPS))).reason == "TLS handshake: closed by the server"
    with Misbehaving(resets) as server:
        reason = run(probe(aim(server.port, HTTPS))).reason  # the reset races with the end of connect(2)
        assert re.fullmatch("(TLS handshake: )?(connection reset|closed by the server)", reason), reason
    old = server_context(authority.issue_cert("www.example"))
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.minimum_version = ssl.TLSVersion.TLSv1_1
    with Misbehaving(says(OK), old) as server:
        result = run(probe(aim(server.port, HTTPS)))
        assert re.fullmatch("TLS handshake: .*(protocol|alert|internal error|handshake).*", result.reason), (
            result.reason
        )
        assert not result.silent


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_wants_a_client_certificate(run: Run, authority: trustme.CA, version: ssl.TLSVersion) -> None:
    context = server_context(authority.issue_cert("www.example"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = version
    authority.configure_trust(context)
    with Misbehaving(says(OK), context) as server:
        result = run(probe(aim(server.port, HTTPS)))
    told = "TLS handshake: the server says: .*(certificate required|handshake failure)"
    lost = "connection reset before the status line"  # where the server's own reset overtakes its words
    assert re.fullmatch(f"{told}|{lost}", result.reason), result.reason


def test_words_before_tls() -> None:
    assert tls.early_words(b"\x15\x03\x01\x00\x02\x02\x28") == "TLS handshake: the server says: handshake failure"
    assert tls.early_words(b"\x15\x03\x01\x00\x02\x02\xfe") == "TLS handshake: the server says: alert 254"
    assert tls.early_words(b"\x15\x03") == "TLS handshake: the port does not speak TLS"


@pytest.mark.parametrize(("manner", "reason"), [(closes, "closed before the status line"), (resets, "c.*")])
def test_endings_inside_tls(run: Run, authority: trustme.CA, manner: Manner, reason: str) -> None:
    with Misbehaving(manner, server_context(authority.issue_cert("www.example"))) as server:
        result = run(probe(aim(server.port, HTTPS)))
    assert not result.ok
    assert re.fullmatch(reason, result.reason), result.reason


def test_silence_inside_tls(run: Run, authority: trustme.CA) -> None:
    with Misbehaving(silent, server_context(authority.issue_cert("www.example"))) as server:
        result = run(probe(aim(server.port, HTTPS, timeout=1.0)))
    assert (result.ok, result.silent) == (False, False)
    assert result.reason == "timed out after 1s reading the status line"


def test_flood_inside_tls(run: Run, authority: trustme.CA) -> None:
    with Misbehaving(flood(), server_context(authority.issue_cert("www.example"))) as server:
        assert run(probe(aim(server.port, HTTPS))).ok


def test_words_for_certificates_not_seen() -> None:
    assert tls.certificate_fault(10, "x", "n", {}, 0) == "certificate expired"
    assert tls.certificate_fault(9, "x", "n", {}, 0) == "certificate is not valid yet"
    assert tls.certificate_fault(62, "x", "n", {}, 0) == "certificate is not for n"
    assert tls.certificate_fault(19, "x", "n", {}, 0).startswith("certificate of an unknown authority")
    assert (
        tls.certificate_fault(23, "certificate revoked", "n", {}, 0) == "certificate not accepted: certificate revoked"
    )
    later = {"notAfter": "Jan  1 00:00:00 2030 GMT"}
    assert tls.certificate_fault(10, "x", "n", later, 0) == "a certificate of the issuing chain expired"
    common = {"subject": ((("commonName", "old.example"),),)}
    assert tls.certificate_fault(62, "x", "n", common, 0) == "certificate is for old.example, not n"


def test_contexts_are_made_once(authority: trustme.CA) -> None:
    assert tls.context(True) is tls.context(True)
    assert tls.context(False) is tls.context(False)
    assert tls.context(True).verify_mode is ssl.CERT_REQUIRED
    assert tls.context(False).verify_mode is ssl.CERT_NONE


# ------------------------------------------------------------ a real server


@pytest.fixture
def python_server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    (tmp_path / "index.html").write_text("<h1>all is well</h1>\n")
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            found = re.search(r"port (\d+)", line)
            assert found, line
            yield process, int(found[1])
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


def test_a_real_server_stopped_and_killed(run: Run, python_server: tuple[subprocess.Popen[str], int]) -> None:
    process, port = python_server
    assert run(probe(aim(port))).reason == "HTTP 200"
    assert run(probe(aim(port, has("is well")))).reason == "HTTP 200"
    assert run(probe(aim(port, HttpProbe(path="/none")))).reason == "HTTP 404 File not found"
    process.send_signal(signal.SIGSTOP)
    result = run(probe(aim(port, timeout=0.5)))
    assert (result.reason, result.silent) == ("timed out after 500ms reading the status line", False)
    process.send_signal(signal.SIGCONT)
    assert run(probe(aim(port))).ok
    process.kill()
    process.wait()
    assert run(probe(aim(port))).reason == "connection refused"
