"""Each way out against a real other end, well and badly: web, mail, programs, Alertmanager, apprise."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from needs import needs
from notify_sinks import HttpSink, MailSink, eventually

from rrdns.notify.apart import Failed, Grip, secret
from rrdns.notify.notices import Notice
from rrdns.notify.senders import Sender
from rrdns.notify.sinks import Sink
from rrdns.notify.wording import Message

DOWN = Notice(1_700_000_000.0, "pool", "web", "ok", "down", "0 of 3 hosts known good")


def message(*some: Notice, **more: Any) -> Message:
    return Message("rrdns-1-1-1", time.time(), "ns1.example.com", some or (DOWN,), **more)


async def failure(sink: Sink) -> Failed:
    with pytest.raises(Failed) as caught:
        await Sender(sink).send(message())
    return caught.value


@pytest.fixture
def web() -> Iterator[HttpSink]:
    with HttpSink() as sink:
        yield sink


def hook(url: str, **more: Any) -> Sink:
    return Sink("chat", "webhook", url=url, timeout=5.0, **more)


# ---------------------------------------------------------------- webhook


async def test_a_webhook_gets_json(web: HttpSink, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    sink = hook(web.url + "?a=b", headers=(("X-Team", "dns"),), token_from=f"file:{tmp_path}/token")
    assert await Sender(sink).send(message()) == "HTTP 200"
    (told,) = web.taken
    assert told["title"] == "rrdns ns1.example.com: pool web down" and told["severity"] == "critical"
    assert told["events"][0]["why"] == "0 of 3 hosts known good" and told["events"][0]["pool"] == "web"
    path, headers = web.asked[0]
    assert path == "/secret-token?a=b" and headers["X-Team"] == "dns" and headers["Authorization"] == "Bearer s3cret"


@pytest.mark.parametrize(
    ("mood", "words", "refused"),
    [
        ("500", "HTTP 500: that went wrong", False),
        ("503", "HTTP 503", False),
        ("400", "HTTP 400", True),
        ("404", "HTTP 404", False),
        ("401", "HTTP 401", False),
        ("302", "HTTP 302, a redirect: make where it leads the `url`", False),
    ],
)
async def test_what_a_webhook_may_answer(web: HttpSink, mood: str, words: str, refused: bool) -> None:
    web.mood = mood
    error = await failure(hook(web.url))
    assert words in str(error) and error.refused is refused and "secret" not in str(error)


async def test_a_webhook_may_ask_for_patience(web: HttpSink) -> None:
    web.mood, web.headers = "429", {"Retry-After": "120"}
    error = await failure(hook(web.url))
    assert error.after == 120.0 and not error.refused


@pytest.mark.parametrize("mood", ["hang", "drip"])
async def test_a_webhook_that_never_ends_is_left_in_time(web: HttpSink, mood: str) -> None:
    web.mood = mood
    sender = Sender(replace(hook(web.url), timeout=0.5))
    begun = time.monotonic()
    with pytest.raises(Failed, match=r"timed out|longer than"):
        await sender.send(message())
    assert time.monotonic() - begun < 15
    web.mood = "ok"
    assert await sender.send(message()) == "HTTP 200"  # its thread is not lost


async def test_a_webhook_that_is_not_there() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        assert "connection refused" in str(await failure(hook(f"http://127.0.0.1:{sock.getsockname()[1]}/x")))
    assert "no http" in str(await failure(hook("ftp://127.0.0.1/")))
    assert "is not set" in str(await failure(Sink("a", "webhook", url_from="env:NO_SUCH_VARIABLE")))


async def test_a_webhook_by_tls_is_looked_at() -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with HttpSink(context=context) as web:
        url = web.url.replace("http:", "https:")
        assert "TLS:" in str(await failure(hook(url)))
        assert await Sender(hook(url, verify=False)).send(message()) == "HTTP 200"


def test_a_secret_is_read_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "fine").write_text("hush\n")
    assert secret(f"file:{tmp_path}/fine") == "hush"
    (tmp_path / "large").write_text("x" * 5000)
    os.mkfifo(tmp_path / "pipe")
    for name, words in (("large", "larger than"), ("pipe", "no plain file"), ("gone", "No such file")):
        with pytest.raises(Failed, match=words):
            secret(f"file:{tmp_path}/{name}")


# ---------------------------------------------------------------- mail


def post(port: int, **more: Any) -> Sink:
    settings: dict[str, Any] = {"tls": "none", "sender": "rrdns@ns1.example.com", "to": ("ops@example.com",), **more}
    return Sink("ops", "mail", server=f"127.0.0.1:{port}", timeout=5.0, **settings)


async def test_mail_is_sent() -> None:
    with MailSink() as sink:
        sent = await Sender(post(sink.port, to=("ops@example.com", "more@example.com"))).send(message())
        assert sent == "accepted for 2"
        text = sink.texts()[0]
        assert sink.mails[0].rcpt_tos == ["ops@example.com", "more@example.com"]
        assert "Subject: rrdns ns1.example.com: pool web down" in text and "Auto-Submitted: auto-generated" in text
        assert "Message-ID: <rrdns-1-1-1@ns1.example.com>" in text
        assert "pool web  ok -> down: 0 of 3 hosts known good" in text


async def test_mail_by_starttls_with_a_password(tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    (tmp_path / "password").write_text("hush\n")
    with MailSink(context, "hush") as sink:
        good = post(sink.port, tls="starttls", user="rrdns", password_from=f"file:{tmp_path}/password", verify=False)
        assert await Sender(good).send(message()) == "accepted for 1"
        assert sink.ciphered == [True]
        assert "TLS:" in str(await failure(replace(good, verify=True)))
        (tmp_path / "password").write_text("wrong\n")
        assert "does not take the user and password" in str(await failure(good))


async def test_mail_is_never_sent_in_the_clear_by_mistake() -> None:
    with MailSink() as sink:
        assert "offers no STARTTLS" in str(await failure(post(sink.port, tls="starttls")))
        assert sink.mails == []


@pytest.mark.parametrize(("mood", "refused"), [("451", False), ("554", True)])
async def test_mail_may_be_refused_for_now_or_for_good(mood: str, refused: bool) -> None:
    with MailSink() as sink:
        sink.mood = mood
        error = await failure(post(sink.port))
        assert mood in str(error) and error.refused is refused


async def test_a_mail_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = await failure(replace(post(silent.getsockname()[1]), timeout=0.5))
        assert "timed out" in str(error) or "longer" in str(error)


# ---------------------------------------------------------------- command


def program(path: Path, text: str) -> tuple[str, ...]:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return (str(path),)


async def test_a_command_gets_its_words_in_a_clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "x")
    argv = program(tmp_path / "hook", f'env > {tmp_path}/env; printf %s "$RRDNS_EVENT_JSON" > {tmp_path}/json')
    assert await Sender(Sink("pager", "command", command=argv)).send(message()) == "exit 0"
    env = (tmp_path / "env").read_text()
    assert "RRDNS_EVENT_SINK=pager\n" in env and "RRDNS_EVENT_NAME=web\n" in env and "RRDNS_EVENT_AFTER=down\n" in env
    assert "RRDNS_EVENT_SEVERITY=critical\n" in env and "SECRET_OF_OURS" not in env
    assert json.loads((tmp_path / "json").read_text())["title"].endswith("pool web down")


async def test_a_command_that_fails_or_hangs(tmp_path: Path) -> None:
    sink = Sink("pager", "command", timeout=0.5, command=program(tmp_path / "bad", "echo no line >&2; exit 3"))
    assert str(await failure(sink)) == "exit 3: no line"
    mark = tmp_path / "late"
    sink = replace(sink, command=program(tmp_path / "slow", f"(sleep 3; touch {mark}) & sleep 60"))
    assert "was killed" in str(await failure(sink))
    assert "No such file" in str(await failure(replace(sink, command=("/no/such/program",))))
    await asyncio.sleep(3.5)
    assert not mark.exists()  # what it left in the background was killed too


# ---------------------------------------------------------------- apprise


async def test_apprise(web: HttpSink) -> None:
    pytest.importorskip("apprise")
    sink = Sink("all", "apprise", url=f"json://127.0.0.1:{web.port}/x", timeout=20.0)
    assert await Sender(sink).send(message()) == "taken"
    assert web.taken[0]["title"] == "rrdns ns1.example.com: pool web down"
    web.mood = "500"
    assert "could not deliver" in str(await failure(sink))
    assert "does not understand" in str(await failure(replace(sink, url="nonsense://x")))


# ---------------------------------------------------------------- Alertmanager


async def test_a_real_alertmanager(tmp_path: Path) -> None:
    """It takes what we post, shows it as firing, and as over when we say so."""
    needs("prometheus-alertmanager")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    (tmp_path / "config.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(  # noqa: ASYNC220 - the starting of it may take its time
        [
            "prometheus-alertmanager", f"--config.file={tmp_path}/config.yml", f"--storage.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        eventually(lambda: answers(f"{url}/-/ready"), 60)
        sender = Sender(Sink("am", "webhook", url=url, format="alertmanager", timeout=10.0))
        worse = Notice(time.time() - 5, "pool", "mail", "degraded", "down", "nobody is up")
        await sender.send(message(DOWN, worse))
        found = alerts(url)
        assert {(one["labels"]["pool"], one["labels"]["severity"]) for one in found} == {
            ("web", "critical"),
            ("mail", "critical"),
        }
        assert found[0]["annotations"]["summary"].startswith("pool ")
        await sender.send(message(Notice(time.time(), "pool", "web", "down", "ok", "")))
        eventually(lambda: [one["labels"]["pool"] for one in alerts(url)] == ["mail"])
        await sender.send(message(test=True))
        assert "RrdnsTest" in {one["labels"]["alertname"] for one in alerts(url)}
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def alerts(url: str) -> list[Any]:
    with urllib.request.urlopen(f"{url}/api/v2/alerts?active=true", timeout=5) as answer:
        return list(json.load(answer))


def test_a_grip_that_was_cut_holds_nothing_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        grip = Grip()
        sock = grip.connect("127.0.0.1", server.getsockname()[1], 5.0)
        grip.cut()
        assert sock.recv(1) == b""
        late = grip.connect("127.0.0.1", server.getsockname()[1], 5.0)
        assert late.recv(1) == b""
        sock.close()
        late.close()
