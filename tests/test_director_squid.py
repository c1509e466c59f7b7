"""Squid's server_list: a captured one, broken ones, and a real accelerator with two cache_peers."""

from __future__ import annotations

import signal
import time

import live
import pytest
import real_directors as real
from director_input import HTML, cut, refused, sample, tried
from needs import needs

from rrdns.directors.squid import parse
from rrdns.model import Director, Report

LIST = sample("squid/server_list.txt")


def test_the_captured_list() -> None:
    parts = parse(LIST).parts
    assert list(parts) == [""]
    web1, web2, web3 = parts[""]
    assert web1 == Report("web1", "127.0.0.1", 28081, "up", "Up", 10, 0, None, 3)
    assert (web2.weight, web2.total) == (20, 9)
    assert (web3.word, web3.weight) == ("down", 30)
    assert "22/Nov/2026" in web3.why


def test_a_weight_that_is_not_printed_is_one_and_default_is_a_backup() -> None:
    (web1, *_) = parse(LIST.replace(b"weight=10 login=PASS", b"default")).parts[""]
    assert web1.weight == 1
    assert web1.backup


def test_a_peer_with_several_addresses_is_reported_for_each() -> None:
    more = LIST.replace(b"Address[0] : 127.0.0.1\n", b"Address[0] : 10.0.0.1\nAddress[1] : 2001:DB8::1\n", 1)
    found = [(report.server, report.address) for report in parse(more).parts[""]]
    assert found[:2] == [("web1", "10.0.0.1"), ("web1", "2001:db8::1")]


def test_a_peer_whose_name_did_not_resolve_has_no_address() -> None:
    unresolved = LIST.replace(b"Address[0] : 127.0.0.1\n", b"", 1).replace(b": 127.0.0.1/28081", b": web1.example/80")
    assert (parse(unresolved).parts[""][0].address, parse(unresolved).parts[""][0].port) == ("", 80)


def test_siblings_are_no_servers() -> None:
    assert len(parse(LIST.replace(b"Parent     : web2", b"Sibling    : web2")).parts[""]) == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (HTML, "502 Bad Gateway"),
        (b"There are no neighbors installed.\n", "no cache_peer"),
        (b"hello\n", "server_list"),
        (LIST.replace(b"Parent ", b"Sibling"), "is a parent"),
        (LIST.replace(b"Status     : Up", b"Status     : Sleeping"), "Sleeping"),
        (LIST.replace(b"Host  ", b"Ghost "), "Host"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_what_is_no_list_is_a_fault(data: bytes, words: str) -> None:
    assert words in refused(parse, data)


def test_a_list_that_is_cut_off_never_changes_a_server() -> None:
    """Between two blocks nothing shows that it is cut: there HTTP's own end has to tell."""
    whole = parse(LIST).parts[""]
    for data in cut(LIST):
        found = tried(parse, data)
        if found is not None:
            assert found.parts[""] == whole[: len(found.parts[""])]


# ---------------------------------------------------------------- the real one

CONF = """
http_port 127.0.0.1:{port} accel defaultsite=www.example.com
{peers}
acl from_here src 127.0.0.0/8
http_access {manager} manager
http_access allow from_here
http_access deny all
cache deny all
never_direct allow all
access_log none
cache_log {folder}/cache.log
cache_store_log none
pid_filename none
netdb_filename none
coredump_dir {folder}
shutdown_lifetime 0 seconds
connect_timeout 2 seconds
dead_peer_timeout 1 seconds
visible_hostname accelerator
"""


def conf(port: int, webs: list[live.Web], weight: int, manager: str = "allow") -> str:
    peers = "\n".join(
        f"cache_peer {web.address} parent {web.port} 0 no-query originserver round-robin name=web{number} "
        f"connect-fail-limit=1 weight={weight if number == 2 else 1}"
        for number, web in enumerate(webs, 1)
    )
    return CONF.replace("{port}", str(port)).replace("{peers}", peers).replace("{manager}", manager)


async def test_a_real_accelerator() -> None:
    needs("squid")
    with live.web_servers(2) as webs:
        port = live.free_port("127.0.0.1")
        url = f"http://127.0.0.1:{port}"
        director = Director("edge", "squid", url=url, timeout=10)
        files = {"squid.conf": conf(port, webs, 20)}
        with real.program("squid", "-N", "-f", "{folder}/squid.conf", files=files, ready=f"{url}/") as squid:
            found = await real.servers(director, "")
            assert {name: report.word for name, report in found.items()} == {"web1": "up", "web2": "up"}
            assert (found["web1"].address, found["web1"].port, found["web1"].weight) == (
                webs[0].address,
                webs[0].port,
                1,
            )
            assert found["web2"].weight == 20
            before = sum(report.total or 0 for report in found.values())
            for _ in range(5):
                real.get(f"{url}/")
            found = await real.servers(director, "")
            assert sum(report.total or 0 for report in found.values()) >= before + 5

            webs[1].end()  # one refused connect is enough for connect-fail-limit=1
            word = await until(director, url, "web2", "down")
            assert word == "down", squid.log
            webs[1].start()
            assert await until(director, url, "web2", "up") == "up", squid.log

            (squid.folder / "squid.conf").write_text(conf(port, webs, 7).replace("{folder}", str(squid.folder)))
            squid.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    if (await real.servers(director, ""))["web2"].weight == 7:
                        break
                except Exception:  # it does not listen while it reads its configuration
                    assert squid.process.poll() is None, squid.log
            assert (await real.servers(director, ""))["web2"].weight == 7


async def until(director: Director, url: str, name: str, word: str) -> str:
    """Asks for pages, as only traffic makes Squid look, until it says the word."""
    deadline = time.monotonic() + 60
    while True:
        try:
            real.get(f"{url}/")
        except OSError:
            pass
        found = (await real.servers(director, ""))[name].word
        if found == word or time.monotonic() > deadline:
            return found


async def test_a_real_accelerator_that_does_not_let_us_in() -> None:
    needs("squid")
    with live.web_servers(1) as webs:
        port = live.free_port("127.0.0.1")
        url = f"http://127.0.0.1:{port}"
        files = {"squid.conf": conf(port, webs, 1, manager="deny")}
        with real.program("squid", "-N", "-f", "{folder}/squid.conf", files=files, ready=f"{url}/"):
            assert "HTTP 403" in await real.reason(Director("edge", "squid", url=url, timeout=10))
