"""A real control process that tells real sinks: what happens to hosts arrives, once, also over a restart; the commands
and pages around it."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from control_process import ROOT, ControlProcess, Hosts
from needs import needs
from notify_sinks import HttpSink, MailSink

from rrdns.control.metrics import NAMES
from rrdns.notify.sinks import Sink

QUICK = {"quiet": 0.5, "longest": 5.0, "timeout": 2.0}


@pytest.fixture
def hosts() -> Any:
    some = Hosts()
    yield some
    some.stop()


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[Callable[..., ControlProcess]]:
    made: list[ControlProcess] = []

    def make(*sinks: Sink, **settings: Any) -> ControlProcess:
        one = ControlProcess(tmp_path, notify=tuple(sink.plain() for sink in sinks), **settings)
        made.append(one)
        return one

    yield make
    for one in made:
        await one.stop()


def command(control: ControlProcess, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "rrdns", *words, "--control", control.settings.control]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, cwd=ROOT, check=False)


def run(argv: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60, check=False)


def over_socket(path: str, page: str) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(30)
        sock.connect(path)
        sock.sendall(f"GET {page} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        return b"".join(iter(lambda: sock.recv(65536), b""))


def heard(web: HttpSink) -> list[tuple[str, str]]:
    return [(one["name"], one["after"]) for message in web.taken for one in message["events"]]


async def test_a_dead_host_is_told_once_over_a_restart_and_a_sink_that_is_away(
    hosts: Hosts, control: Callable[..., ControlProcess]
) -> None:
    with HttpSink("500") as web, MailSink() as post:
        mail = Sink(
            "ops",
            "mail",
            server=f"127.0.0.1:{post.port}",
            tls="none",
            sender="a@b.example",
            to=("c@d.example",),
            **QUICK,
        )
        one = control(Sink("chat", "webhook", url=web.url, **QUICK), mail)
        one.write(hosts)
        await one.start()
        await one.serving()
        hosts.down("127.0.0.11")
        status = await one.until_status(lambda found: found["notify"]["chat"]["state"] == "failing")
        assert status["notify"]["chat"]["waiting"] == 1 and "HTTP 500" in status["notify"]["chat"]["why"]
        await one.until(lambda: post.mails)
        assert "member web/web1 down" in post.texts()[0] and "connection refused" in post.texts()[0]
        shown = await asyncio.to_thread(command, one, "status")
        assert "failing for" in shown.stdout and "HTTP 500" in shown.stdout and "secret-token" not in shown.stdout
        await one.until_status(
            lambda found: found["notify"]["ops"]["state"] == "ok" and not found["notify"]["ops"]["waiting"]
        )

        await one.kill()  # as hard as can be
        web.mood = "ok"
        await one.start()
        await one.serving()
        await one.until(lambda: heard(web) == [("web/web1", "down")])
        hosts.up("127.0.0.11")
        await one.until(lambda: heard(web) == [("web/web1", "down"), ("web/web1", "up")])
        await one.until(lambda: len(post.mails) == 2)
        status = await one.until_status(lambda found: found["notify"]["chat"]["state"] == "ok")
        assert status["notify"]["chat"]["waiting"] == 0
        assert "secret-token" not in one.said()


async def test_a_refused_reload_and_a_pool_that_is_down(hosts: Hosts, control: Callable[..., ControlProcess]) -> None:
    with HttpSink() as web:
        one = control(Sink("chat", "webhook", url=web.url, on=("pool", "reload"), **QUICK))
        one.write(hosts)
        await one.start()
        await one.serving()
        (one.zones / "pools.yaml").write_text("checks: [")
        await one.until(lambda: (str(one.zones), "refused") in heard(web))
        one.write(hosts)
        await one.until(lambda: (str(one.zones), "ok") in heard(web))
        for name in list(hosts.open):
            hosts.down(name)
        await one.until(lambda: ("web", "down") in heard(web))
        assert {message["severity"] for message in web.taken} >= {"critical", "warning"}
        assert not [name for name, _ in heard(web) if name.startswith("web/")]


async def test_notify_test_says_what_came_of_it(
    hosts: Hosts, control: Callable[..., ControlProcess], tmp_path: Path
) -> None:
    with HttpSink() as web, socket.create_server(("127.0.0.1", 0)) as silent:
        bad = Sink(
            "ops",
            "mail",
            server=f"127.0.0.1:{silent.getsockname()[1]}",
            tls="none",
            sender="a@b.example",
            to=("c@d.example",),
            timeout=0.5,
        )
        one = control(Sink("chat", "webhook", url=web.url, **QUICK), bad)
        one.write(hosts)
        await one.start()
        await one.serving()
        done = await asyncio.to_thread(command, one, "notify", "test", "chat")
        assert done.returncode == 0 and re.match(r"ok +chat \(webhook, http://127.0.0.1:\d+\): HTTP 200", done.stdout)
        assert len(web.taken) == 1 and web.taken[0]["test"]
        done = await asyncio.to_thread(command, one, "notify", "test")
        assert done.returncode == 1 and "FAILED  ops (mail, c@d.example by 127.0.0.1" in done.stdout, done.stdout
        done = await asyncio.to_thread(command, one, "notify", "test", "nobody")
        assert done.returncode == 1 and "there is no sink 'nobody'; there are chat, ops" in done.stderr


async def test_without_sinks_it_says_so(hosts: Hosts, control: Callable[..., ControlProcess]) -> None:
    one = control()
    one.write(hosts)
    await one.start()
    await one.serving()
    done = await asyncio.to_thread(command, one, "notify", "test")
    assert done.returncode == 1 and "there is no `notify:` in the settings" in done.stderr
    assert (await one.get("/status"))["notify"] == {}


async def test_a_sink_that_hangs_is_in_nobodys_way(hosts: Hosts, control: Callable[..., ControlProcess]) -> None:
    """Checks, the socket and the heartbeat go on while every sink hangs."""
    with HttpSink("hang") as web, socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        mail = Sink(
            "ops",
            "mail",
            server=f"127.0.0.1:{silent.getsockname()[1]}",
            tls="none",
            sender="a@b.example",
            to=("c@d.example",),
            **{**QUICK, "timeout": 30.0},
        )
        one = control(Sink("chat", "webhook", url=web.url, **{**QUICK, "timeout": 30.0}), mail)
        one.write(hosts)
        await one.start()
        await one.serving()
        hosts.down("127.0.0.11")
        await one.until(lambda: web.asked)
        hosts.down("127.0.0.12")
        await one.until_status(lambda found: found["pools"]["web"]["members"]["web2"]["state"] == "down")
        begun = time.monotonic()
        assert await one.kill(15) == 0
        assert time.monotonic() - begun < 20


async def test_the_pages(hosts: Hosts, control: Callable[..., ControlProcess]) -> None:
    needs("promtool")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    one = control(Sink("chat", "command", command=("/bin/true",), **QUICK), metrics_listen=(("127.0.0.1", port),))
    one.write(hosts)
    await one.start()
    await one.serving()
    hosts.down("127.0.0.11")
    await one.until_status(lambda found: found["pools"]["web"]["members"]["web1"]["state"] == "down")

    def page(path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    wanted = 'rrdns_member_transitions_total{member="web1",pool="web",state="down"} 1.0'
    while wanted not in (text := (await asyncio.to_thread(page, "/metrics"))[1]):
        await one.until(lambda: True)
        await asyncio.sleep(0.2)
    assert 'rrdns_member_state{member="web1",pool="web",state="down"} 1.0' in text
    assert 'rrdns_member_state{member="web2",pool="web",state="up"} 1.0' in text
    assert 'rrdns_check_failures_total{check="web",reason="refused"}' in text
    assert set(re.findall(r"^# TYPE (rrdns_\S+)", text, re.M)) == NAMES.keys()
    done = await asyncio.to_thread(run, ["promtool", "check", "metrics"], text)
    assert done.returncode == 0, done.stdout + done.stderr
    code, said = await asyncio.to_thread(page, "/healthz")
    assert code == 503 and '"control": "serving"' in said  # it has no worker here
    assert b"rrdns_build_info{" in await asyncio.to_thread(over_socket, one.settings.control, "/metrics")
    assert b" 503 " in await asyncio.to_thread(over_socket, one.settings.control, "/healthz")
