"""Directors of type haproxy: what its socket and its page say, what is no such thing, and a real HAProxy followed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import live
import misbehaving
import pytest
import real_directors
from director_input import HTML, cut, refused, sample, tried
from needs import needs

from rrdns.directors import haproxy
from rrdns.model import Director, Report

STAT = sample("haproxy/show-stat.csv")
STATE = sample("haproxy/show-servers-state.txt")
PAGE = sample("haproxy/http-stats.csv")
SOCKET = STAT + STATE


def parts(data: bytes = SOCKET) -> dict[str, Report]:
    return {one.server: one for one in haproxy.parse_socket(data).parts["be_www"]}


def test_every_state() -> None:
    found = {name: (one.word, one.weight, one.backup) for name, one in parts().items()}
    assert found == {
        "web1": ("up", 10, False),
        "web2": ("down", 20, False),
        "web3": ("down", 30, False),
        "web4": ("drain", 40, False),
        "web5": ("maint", 5, False),
        "bk1": ("up", 1, True),
        "web6": ("up", 15, False),  # its agent says 30 % of 50
        "tpl1": ("maint", 1, False),
        "tpl2": ("maint", 1, False),
    }
    assert parts()["web3"].why == "DOWN: L4CON, Connection refused"
    assert parts()["web1"].why == "UP"
    assert (parts()["tpl1"].address, parts()["tpl1"].port) == ("192.0.2.50", 80)
    assert list(haproxy.parse_socket(SOCKET).parts) == ["be_www"]


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("UP", "up"),
        ("UP 1/3", "up"),
        ("DOWN", "down"),
        ("DOWN 1/2", "down"),
        ("DOWN (agent)", "down"),
        ("NOLB", "drain"),
        ("NOLB 1/3", "drain"),
        ("DRAIN", "drain"),
        ("DRAIN (agent)", "drain"),
        ("MAINT", "maint"),
        ("MAINT (via be_www/web1)", "maint"),
        ("MAINT (resolution)", "maint"),
        ("no check", "unknown"),
        ("", "unknown"),
        ("UPSIDE DOWN", "unknown"),
    ],
)
def test_words(status: str, word: str) -> None:
    found = parts(SOCKET.replace(b",0,0,0,0,UP,10,", f",0,0,0,0,{status},10,".encode()))["web1"]
    assert found.word == word
    assert found.why.startswith(status)


def test_the_page_has_no_addresses() -> None:
    page = haproxy.parse(PAGE).parts["be_www"]
    assert {one.address for one in page} == {""}
    assert [(one.server, one.word, one.weight) for one in page] == [
        (one.server, one.word, one.weight) for one in parts().values()
    ]
    with_legends = haproxy.parse(STAT.strip() + b"\n").parts["be_www"]
    assert (with_legends[0].address, with_legends[0].port) == ("127.0.0.1", 28081)


def test_load_counts_the_queue() -> None:
    busy = SOCKET.replace(b"be_www,web1,0,0,0,0,,0,", b"be_www,web1,3,9,40,50,,12345,")
    assert (parts(busy)["web1"].active, parts(busy)["web1"].total) == (43, 12345)


def test_addresses_of_other_kinds() -> None:
    v6 = parts(SOCKET.replace(b"web1 127.0.0.1 2", b"web1 2001:DB8::1 2"))["web1"]
    assert (v6.address, v6.port) == ("2001:db8::1", 28081)
    none = STAT.replace(b"127.0.0.1:28081", b"unix") + STATE.replace(b"127.0.0.1", b"-")
    assert (parts(none)["web1"].address, parts(none)["web1"].server) == ("", "web1")
    assert parts(STAT.replace(b"127.0.0.1:28081", b"[::1]:80") + b"Permission denied\n\n")["web1"].address == "::1"


def test_a_backend_without_servers_is_listed() -> None:
    rows = [line for line in STAT.splitlines(keepends=True) if not line.startswith((b"be_www,web", b"be_www,bk"))]
    kept = b"".join(line for line in rows if not line.startswith(b"be_www,tpl"))
    assert dict(haproxy.parse_socket(kept + STATE).parts) == {"be_www": ()}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cut off"),
        (b"\n", "cut off"),
        (HTML, "cut off"),
        (b"Permission denied\n\nPermission denied\n\n", "level user"),
        (b"Permission denied\n", "level user"),
        (b"Unknown command: 'show', but maybe one of the following ones is a better match:\n\n\n", "statistics socket"),
        (SOCKET[:-2], "cut off in `show servers state`"),
        (STAT, "cut off in `show servers state`"),
        (STAT[:2000], "cut off"),
        (SOCKET.replace(b"# pxname", b"# other"), "no CSV"),
        (SOCKET.replace(b",weight,", b",wait,"), "no column weight"),
        (SOCKET.replace(b",UP,10,", b",UP,ten,"), "numbers that are none"),
        (SOCKET.replace(b",UP,10,", b",UP,"), "fields, not"),
        (STAT + STATE.replace(b" - - 0\n", b" -\n"), "short line"),
    ],
)
def test_what_is_no_table(data: bytes, said: str) -> None:
    assert said in refused(haproxy.parse_socket, data)


def test_html_instead_of_csv() -> None:
    assert "answered a page, not CSV" in refused(haproxy.parse, HTML)
    assert "cut off" in refused(haproxy.parse, PAGE.rstrip())


def test_cut_off_is_refused() -> None:
    assert all(tried(haproxy.parse_socket, data) is None for data in cut(SOCKET))


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://h:8404/stats", "http://h:8404/stats;csv"),
        ("http://h:8404/stats;csv", "http://h:8404/stats;csv"),
        ("http://h/stats?x=1", "http://h/stats;csv?x=1"),
        ("http://h", "http://h/;csv"),
    ],
)
def test_csv_is_asked_for(url: str, asked: str) -> None:
    assert haproxy._csv_of(url) == asked


def test_two_thousand_servers_in_a_moment() -> None:
    """25 ms on a core of 2020; the bound is for a slow and busy one."""
    lines = STAT.split(b"\n")
    rows = b"".join(lines[4].replace(b"web2", f"web{n}".encode()) + b"\n" for n in range(2000))
    begun = time.process_time()
    table = haproxy.parse_socket(lines[0] + b"\n" + rows + b"\n" + STATE)
    assert time.process_time() - begun < 1
    assert len(table.parts["be_www"]) == 2000


# ---------------------------------------------------------------- a real one

CONFIG = """
global
    stats socket {folder}/admin.sock mode 600 level admin
    stats socket {folder}/user.sock mode 600 level user
    stats socket ipv4@127.0.0.1:%(tcp)d level user
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    timeout check 2s
listen page
    bind 127.0.0.1:%(page)d
    stats enable
    stats uri /stats
    stats auth watch:s3cret
    stats show-legends
backend web
    default-server check inter 200ms fastinter 100ms fall 2 rise 2
    server a 127.0.0.1:%(a)d weight 10
    server b 127.0.0.1:%(b)d weight 20
    server c 127.0.0.1:%(a)d weight 50 agent-check agent-port %(agent)d agent-inter 200ms
    server spare 127.0.0.1:%(a)d backup
    server plain 127.0.0.1:%(a)d no-check
%(more)s
backend empty
"""


class Agent:
    """HAProxy's agent-check: says its words to each who connects."""

    def __init__(self) -> None:
        self.words = b"up 100%\n"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.sendall(self.words)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


class Real:
    def __init__(self, program: real_directors.Program, ports: dict[str, object], agent: Agent) -> None:
        self.program = program
        self.ports = ports
        self.agent = agent
        self.director = Director("lb", "haproxy", socket=f"{program.folder}/user.sock", timeout=10)

    def say(self, words: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(f"{self.program.folder}/admin.sock")
            connection.sendall(words.encode() + b"\n")
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode().strip()

    def servers(self, director: Director | None = None) -> dict[str, Report]:
        return asyncio.run(real_directors.servers(director or self.director, "web"))

    def until(self, name: str, condition: Callable[[Report], bool]) -> Report:
        live.wait_for(lambda: condition(self.servers()[name]), 30, f"{name} as wanted; last {self.servers()[name]}")
        return self.servers()[name]


@contextlib.contextmanager
def real() -> Iterator[Real]:
    needs("haproxy")
    agent = Agent()
    web = misbehaving.Misbehaving(misbehaving.says(misbehaving.answer("200 OK", b"hello\n")))
    other = misbehaving.Misbehaving(misbehaving.says(misbehaving.answer("200 OK", b"hello\n")))
    tcp, page = live.free_port("127.0.0.1"), live.free_port("127.0.0.1")
    try:
        with web, other:
            ports = {"tcp": tcp, "page": page, "a": web.port, "b": other.port, "agent": agent.port, "more": ""}
            files = {"haproxy.cfg": CONFIG % ports}
            argv = ("haproxy", "-W", "-db", "-f", "{folder}/haproxy.cfg", "-p", "{folder}/pid")
            with real_directors.program(*argv, files=files, ready=f"http://127.0.0.1:{web.port}/") as running:
                there = Path(running.folder, "user.sock")
                live.wait_for(there.exists, 30, "the stats socket")
                yield Real(running, ports, agent)
    finally:
        agent.end()


def test_a_real_haproxy_followed() -> None:
    with real() as it:
        up = it.until("a", lambda one: one.word == "up")
        assert (up.address, up.port, up.weight, up.backup) == ("127.0.0.1", it.ports["a"], 10, False)
        it.until("spare", lambda one: one.word == "up")
        found = it.servers()
        assert found["spare"].backup
        assert (found["plain"].word, found["plain"].why) == ("unknown", "no check")

        it.say("set server web/a state drain")
        assert it.until("a", lambda one: one.word == "drain").why == "DRAIN"
        it.say("set server web/a state maint")
        it.until("a", lambda one: one.word == "maint")
        it.say("set server web/a state ready")
        it.until("a", lambda one: one.word == "up")

        it.say("set server web/b weight 7")
        it.until("b", lambda one: one.weight == 7)
        it.say("set server web/b weight 0")
        assert it.until("b", lambda one: one.weight == 0).word == "up"
        it.say("set server web/b addr ::1 port 9")
        assert it.until("b", lambda one: one.address == "::1").port == 9
        assert it.until("b", lambda one: one.word == "down").why.startswith("DOWN: L4CON")

        it.until("c", lambda one: one.weight == 50)
        it.agent.words = b"up 30%\n"
        it.until("c", lambda one: one.weight == 15)
        it.agent.words = b"drain\n"
        it.until("c", lambda one: one.word == "drain")

        page = Director("lb", "haproxy", url=f"http://127.0.0.1:{it.ports['page']}/stats", timeout=10)
        assert "401" in asyncio.run(real_directors.reason(page))
        secret = it.program.folder / "secret"
        secret.write_text("s3cret\n")
        page = Director("lb", "haproxy", url=page.url, user="watch", password_from=f"file:{secret}", timeout=10)
        by_tcp = Director("lb", "haproxy", socket=f"127.0.0.1:{it.ports['tcp']}", timeout=10)
        for way in (page, by_tcp):
            assert {n: (r.word, r.weight, r.address) for n, r in it.servers(way).items()} == {
                n: (r.word, r.weight, r.address) for n, r in it.servers().items()
            }
        assert asyncio.run(real_directors.table(by_tcp)).parts["empty"] == ()


def test_a_real_reload_with_another_server() -> None:
    with real() as it:
        it.until("a", lambda one: one.word == "up")
        it.ports["more"] = f"    server new 127.0.0.1:{it.ports['a']} weight 99"
        text = (CONFIG % it.ports).replace("{folder}", str(it.program.folder))
        (it.program.folder / "haproxy.cfg").write_text(text)
        asked = 0.0

        def reloaded() -> bool:
            nonlocal asked
            if time.monotonic() - asked > 5:  # a master that is only just ready ignores it
                asked = time.monotonic()
                it.program.process.send_signal(signal.SIGUSR2)
            new = it.servers().get("new")
            return new is not None and new.word == "up"

        try:
            live.wait_for(reloaded, 30, "the new server")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{it.program.log}") from None
        assert it.servers()["new"].weight == 99
