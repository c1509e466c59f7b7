"""The HTTP door to directors: whatever answers, the question ends in time, in bytes, and in words without secrets."""

from __future__ import annotations

import base64
import errno
import gzip
import socket
import ssl
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import misbehaving
import pytest
import trustme
from director_doors import LONG, SECRET, fault, web
from misbehaving import Client, Manner, Misbehaving, answer, says

from rrdns.directors import Fault, bounds
from rrdns.directors.reach import Reach
from rrdns.model import Director


@pytest.fixture
async def doors() -> AsyncIterator[Reach]:
    found = Reach()
    yield found
    await found.close()


def gzipped(data: bytes) -> bytes:
    return answer("200 OK", gzip.compress(data), "Content-Encoding: gzip")


def bomb(client: Client) -> None:
    """A gigabyte of nothing, in a megabyte."""
    client.hear()
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    megabyte = bytes(1 << 20)
    client.say(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n")
    for _ in range(1024):
        client.say(packer.compress(megabyte))
    client.say(packer.flush())


def headers_for_ever(client: Client) -> None:
    client.hear()
    client.say(b"HTTP/1.1 200 OK\r\n")
    while True:
        client.say(b"X-More: " + b"x" * 1000 + b"\r\n")


async def test_an_answer(doors: Reach) -> None:
    with Misbehaving(says(answer("200 OK", b"hello\n", "X-One: 1", "Set-Cookie: a=b"))) as server:
        got = await doors.http(web(server, "/path?secret=1"), headers={"Referer": "http://x/"})
        assert (got.status, got.body, got.headers["x-one"]) == (200, b"hello\n", "1")
        assert got.whole() == b"hello\n"
        assert got.where == f"http://127.0.0.1:{server.port}/path"
        await doors.http(web(server))
    assert b"Cookie" not in server.heard
    with Misbehaving(says(gzipped(b"packed" * 1000))) as server:
        assert (await doors.http(web(server))).body == b"packed" * 1000
    assert b"Accept-Encoding: gzip" in server.heard


@pytest.mark.parametrize(
    ("manner", "within", "said"),
    [
        (misbehaving.silent, 0.5, "no answer in 500ms"),
        (misbehaving.trickles(answer("200 OK", b"hello" * 100), 0.1), 1, "no answer in 1s"),
        (says(answer("200 OK", b"hello" * 100)[:100], b"more", stay=True, pause=0.1), 1, "was not whole after 1s"),
        (misbehaving.closes, LONG, "closed the connection without an answer|reset"),
        (misbehaving.resets, LONG, "reset|closed the connection without an answer"),
        (misbehaving.says_then_resets(answer("200 OK", b"x" * 100)[:-50]), LONG, "reset|cut off"),
        (says(answer("200 OK", b"x" * 100)[:-50]), LONG, "cut off after 50 bytes"),
        (says(bytes(range(256)) * 16), LONG, "does not speak HTTP"),
        (misbehaving.says_first(b"SSH-2.0-OpenSSH_9.2p1\r\n", stay=True), LONG, "does not speak HTTP|a port for HTTP"),
        (headers_for_ever, LONG, "does not speak HTTP|connection"),
        (misbehaving.endless, LONG, "larger than 16 MiB"),
        (bomb, LONG, "larger than 16 MiB"),
        (misbehaving.flood(40), LONG, "larger than 16 MiB"),
        (says(gzipped(b"x" * 10_000)[:-9]), LONG, "cut off"),
        (says(answer("200 OK", b"no gzip", "Content-Encoding: gzip")), LONG, "packing is broken"),
        (
            says(answer("200 OK", gzip.compress(b"x" * 9999)[:-9], "Content-Encoding: gzip")),
            LONG,
            "cut off in its gzip",
        ),
        (says(answer("200 OK", b"?", "Content-Encoding: br")), LONG, "packs its answer as br"),
        (says(answer("302 Found", b"", "Location: /")), LONG, "in circles"),
        (says(answer("302 Found", b"", "Location: http://elsewhere.example/")), LONG, "redirects elsewhere"),
        (says(answer("302 Found", b"", "Location: http://127.0.0.1:9/")), LONG, "redirects elsewhere"),
        (says(answer("302 Found", b"", "Location: ftp://127.0.0.1/")), LONG, "no address"),
        (says(answer("302 Found", b"", "Location: http://[")), LONG, "no address"),
    ],
)
async def test_http_that_goes_wrong(doors: Reach, manner: Manner, within: float, said: str) -> None:
    with Misbehaving(manner) as server:
        reason = await fault(doors.http(web(server, "/x?token=" + SECRET, within)))
    assert any(one in reason for one in said.split("|")), reason
    assert f"127.0.0.1:{server.port}/" in reason


@pytest.mark.parametrize(
    ("status", "said"),
    [("500 Oops", "HTTP 500"), ("401 No", "credentials"), ("403 No", "does not let"), ("404 No", "at this path")],
)
async def test_a_status_is_for_the_reader(doors: Reach, status: str, said: str) -> None:
    with Misbehaving(says(answer(status, b"<html>"))) as server:
        got = await doors.http(web(server))
    assert (got.status, got.body) == (int(status[:3]), b"<html>")
    with pytest.raises(Fault, match=said):
        got.whole()


async def test_nobody_there(doors: Reach) -> None:
    with misbehaving.refusing() as port:
        where = f"127.0.0.1:{port}"
        assert "connection refused" in await fault(doors.http(Director("lb", "http", url=f"http://{where}/")))
        assert "connection refused" in await fault(doors.stream(Director("lb", "haproxy", socket=where), b"x"))
    with misbehaving.deaf() as port:
        where = f"127.0.0.1:{port}"
        assert "no answer" in await fault(doors.http(Director("lb", "http", url=f"http://{where}/", timeout=0.5)))
        assert "no answer" in await fault(doors.stream(Director("lb", "haproxy", socket=where, timeout=0.5), b"x"))
    assert "can't be resolved" in await fault(doors.http(Director("lb", "http", url="http://no.invalid/", timeout=9)))


@pytest.mark.parametrize(
    "url", ["", "no", "ftp://h/", "http://", "http://h:99999/", "http://h:0/", "http://[", "http:///x"]
)
async def test_what_is_no_url(doors: Reach, url: str) -> None:
    assert "no http:// or https:// address" in await fault(doors.http(Director("lb", "http", url=url)))


async def test_redirect_within_the_host(doors: Reach) -> None:
    def manner(client: Client) -> None:
        client.hear()
        there = b"GET /there" in client.heard
        client.say(answer("200 OK", b"there") if there else answer("302 Found", b"", "Location: /there"))

    with Misbehaving(manner) as server:
        assert (await doors.http(web(server))).body == b"there"


async def test_credentials(doors: Reach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sent(server: Misbehaving) -> str:
        line = next(line for line in server.heard.split(b"\r\n") if line.startswith(b"Authorization: Basic "))
        return base64.b64decode(line.split()[2]).decode()

    ok = says(answer("200 OK", b""))
    with Misbehaving(ok) as server:
        (tmp_path / "password").write_text(SECRET + "\n")
        for now in (SECRET, "another"):  # read at each question
            (tmp_path / "password").write_text(now + "\n")
            director = web(server, user="me", password_from=f"file:{tmp_path / 'password'}")
            await doors.http(director)
        monkeypatch.setenv("RRDNS_TEST_PASSWORD", SECRET)
    assert sent(server) == "me:another"
    with Misbehaving(ok) as server:
        await doors.http(web(server, user="me", password_from="env:RRDNS_TEST_PASSWORD"))
    assert sent(server) == f"me:{SECRET}"
    with Misbehaving(says(b"")) as server:
        url = f"http://me:{SECRET}@127.0.0.1:{server.port}/"
        assert "closed" in await fault(doors.http(Director("lb", "http", url=url, timeout=LONG)))
    assert sent(server) == f"me:{SECRET}"
    monkeypatch.delenv("RRDNS_TEST_PASSWORD")
    unset = Director("lb", "http", url="http://127.0.0.1:9/", user="me", password_from="env:RRDNS_TEST_PASSWORD")
    assert "RRDNS_TEST_PASSWORD is not set" in await fault(doors.http(unset))
    gone = Director("lb", "http", url="http://127.0.0.1:9/", user="me", password_from="file:/no/such")
    assert "no password: cannot read /no/such" in await fault(doors.http(gone))


async def test_tls(doors: Reach) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with Misbehaving(says(answer("200 OK", b"safe")), tls=context) as server:
        url = f"https://127.0.0.1:{server.port}/"
        assert "TLS: " in await fault(doors.http(Director("lb", "http", url=url, timeout=LONG)))
        assert (await doors.http(Director("lb", "http", url=url, timeout=LONG, verify=False))).body == b"safe"
    with Misbehaving(misbehaving.closes) as server:
        url = f"https://127.0.0.1:{server.port}/"
        await fault(doors.http(Director("lb", "http", url=url, timeout=LONG)))


# ---------------------------------------------------------------- what is silence


@pytest.mark.parametrize(
    ("manner", "silent"),
    [
        (misbehaving.silent, True),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), False),
        (says(b"SSH-2.0-OpenSSH\r\n"), False),
        (lambda client: client.reset(), False),
    ],
    ids=["nothing", "half an answer", "another protocol", "reset"],
)
async def test_only_nothing_at_all_is_silence(doors: Reach, manner: Manner, silent: bool) -> None:
    with Misbehaving(manner) as server:
        director = Director("lb", "http", url=f"http://127.0.0.1:{server.port}/", timeout=0.7)
        with pytest.raises(Fault) as raised:
            (await doors.http(director)).whole()
    assert raised.value.silent is silent, str(raised.value)


async def test_a_refusal_is_an_answer_and_a_name_may_be_either(doors: Reach) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for director in (
        Director("lb", "http", url=f"http://127.0.0.1:{port}/", timeout=20),
        Director("lb", "haproxy", socket=f"127.0.0.1:{port}", timeout=20),
    ):
        with pytest.raises(Fault) as raised:
            await (doors.http(director) if director.url else doors.stream(director, b"x"))
        assert not raised.value.silent
    assert bounds.silent(socket.gaierror(socket.EAI_AGAIN, "try again"))
    assert not bounds.silent(socket.gaierror(socket.EAI_NONAME, "no such name"))
    assert bounds.silent(OSError(errno.EHOSTUNREACH, "")) and not bounds.silent(ValueError())
