"""EDNS options over real sockets: dig and kdig ask a real worker; what one worker gives, its sisters know."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator

import dns.message
import pytest
from live import serve
from needs import needs
from small_zone import question, small_zone
from worker_process import WorkerProcess, bound, wait_until, worker

from rrdns.server.edns import COOKIE, option
from rrdns.server.policy import policy
from rrdns.server.respond import AnswerTable
from rrdns.server.udp import PlainSocket
from rrdns.settings import Settings
from rrdns.supervise import startup

SECRET = "e5e973e5a6b2a43f48e7dc849e37bfcf"
PLAIN = "'': {type: NS, value: ns1.lb.example.com.}\nns1: {type: A, value: 127.0.0.1}\n"
SETTINGS = Settings(cookie_secret=(SECRET,), nsid="server-1", ede=True, version_text="rrdns", tcp_idle=12.3)


@pytest.fixture(scope="module", params=["127.0.0.1", "::1", "0.0.0.0"])
def running(request: pytest.FixtureRequest) -> Iterator[WorkerProcess]:
    listen = request.param
    with worker(small_zone(), listen=listen, ask="127.0.0.1" if listen == "0.0.0.0" else "", settings=SETTINGS) as one:
        yield one


def dig(one: WorkerProcess, *words: str, program: str = "dig") -> str:
    needs(program)
    quiet = ["-r"] if program == "dig" else []
    command = [program, *quiet, f"@{one.address}", "-p", str(one.port), "+norec", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_dig_asks_for_everything(running: WorkerProcess) -> None:
    for udp in ("+notcp", "+tcp"):
        said = dig(running, udp, "+nsid", "+cookie", "+subnet=192.0.2.0/24", "+keepalive", "www.lb.example.com")
        assert "status: NOERROR" in said and re.search(r"COOKIE: [0-9a-f]{48} \(good\)", said)
        assert '("server-1")' in said and "CLIENT-SUBNET: 192.0.2.0/24/0" in said
        assert ("KEEPALIVE: 12.3 secs" in said) == (udp == "+tcp")
        cookie = re.findall(r"COOKIE: ([0-9a-f]{48})", said)[0]
        again = dig(running, udp, f"+cookie={cookie}", "www.lb.example.com")
        assert "(good)" in again or f"COOKIE: {cookie}" in again
    assert "CLIENT-SUBNET: 0" in dig(running, "+subnet=0", "www.lb.example.com")
    assert "status: FORMERR" in dig(running, "+nocookie", "+ednsopt=10:0102", "www.lb.example.com")
    assert "status: NOERROR" in dig(running, "+ednsopt=65001:0102", "www.lb.example.com")
    assert "status: NOERROR" in dig(running, "+header-only", "+cookie")


def test_dig_is_told_why(running: WorkerProcess) -> None:
    assert re.search(r"status: REFUSED[^$]*EDE: 20 \(Not Authoritative\)", dig(running, "www.example.org"))
    assert '"rrdns"' in dig(running, "CH", "TXT", "version.bind")
    assert "status: REFUSED" in dig(running, "CH", "TXT", "hostname.bind")


def test_kdig_reads_the_same(running: WorkerProcess) -> None:
    said = dig(running, "+nsid", "+cookie", "+subnet=192.0.2.0/24", "www.lb.example.com", program="kdig")
    assert "status: NOERROR" in said and "server-1" in said and "192.0.2.0/24/0" in said
    assert re.search(r"COOKIE: [0-9a-f]{48}", said.replace(" ", "").replace("COOKIE:", "COOKIE: "), re.I)


def test_dig_asks_again_after_badcookie() -> None:
    settings = Settings(cookie_secret=(SECRET,), cookie_required_udp=True)
    with worker(small_zone(), settings=settings) as one:
        said = dig(one, "+cookie", "+qr", "www.lb.example.com")
        assert "BADCOOKIE, retrying" in said and "status: NOERROR" in said
        assert "BADCOOKIE" in dig(one, "+cookie", "+nobadcookie", "www.lb.example.com")
        assert "BADCOOKIE" not in dig(one, "+cookie", "+tcp", "www.lb.example.com")
        assert "BADCOOKIE" not in dig(one, "+nocookie", "www.lb.example.com")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_every_way_in_makes_cookies_that_the_others_know(address: str) -> None:
    """By UDP in batches and one by one, and by TCP: the client's address is read in three ways."""
    settings = Settings(cookie_secret=(SECRET,))
    twin = AnswerTable(policy=policy(settings))
    twin.stage(small_zone())
    twin.commit(1, fresh=True)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with worker(small_zone(), listen=address, settings=settings) as one:
        sock, other = bound(address, family)
        with sock, other, socket.socket(family, socket.SOCK_DGRAM) as client:
            sock.setblocking(False)
            plain = PlainSocket(sock, twin)
            client.settimeout(10)
            client.connect(sock.getsockname()[:2])

            def ask_twin(packet: bytes) -> bytes:
                client.send(packet)
                while not plain.turn():
                    pass
                return client.recv(4096)

            ways = [one.udp, lambda packet: one.tcp(packet)[0], ask_twin]
            cookies = [cookie_of(way(asking(b"clientck"))) for way in ways]
            for cookie in cookies:
                assert [cookie_of(way(asking(cookie))) for way in ways] == [cookie] * 3


def asking(cookie: bytes) -> bytes:
    return question("www.lb.example.com.", edns=1232, options=option(COOKIE, cookie))


def cookie_of(reply: bytes) -> bytes:
    found = dns.message.from_wire(reply).options[0].to_wire()
    assert isinstance(found, bytes) and len(found) == 24
    return found


def test_the_workers_of_a_server_know_each_others_cookies() -> None:
    with serve(PLAIN, "pools: {}\n", "--workers", "2") as server:

        def ask(options: bytes) -> bytes:
            packet = question("ns1.lb.example.com.", edns=1232, options=options)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:  # each from a port of its own
                sock.settimeout(10)
                sock.connect(("127.0.0.1", server.port))
                sock.send(packet)
                return cookie_of(sock.recv(4096))

        first = ask(option(COOKIE, b"clientck"))
        assert {ask(option(COOKIE, first)) for _ in range(40)} == {first}
        wait_until(lambda: all(one["udp"] for one in server.status()["workers"]))


def test_one_random_secret_for_all_workers_of_a_server() -> None:
    secrets = [startup._filled(Settings(), [], 2).cookie_secret for _ in range(2)]
    assert secrets[0] != secrets[1] and all(len(bytes.fromhex(one[0])) == 16 for one in secrets)
    assert startup._filled(SETTINGS, [], 2).cookie_secret == (SECRET,)
    assert not policy(Settings(cookies=False, cookie_secret=(SECRET,))).secrets
