"""mod_proxy_balancer's manager: captured XML, broken XML, and a real Apache changed by its own form."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import live
import pytest
import real_directors as real
from director_input import HTML, cut, refused, sample, tried
from real_apache import apache

from rrdns.directors import Fault
from rrdns.directors.apache import parse, read
from rrdns.directors.reach import HttpAnswer, Reach
from rrdns.model import Director, Report

XML = sample("apache/balancer-manager.xml")


def status(words: str) -> Report:
    """The first member with these words."""
    return parse(XML.replace(b"Init Ok ", words.encode(), 1)).parts["www"][0]


def test_the_captured_page() -> None:
    parts = parse(XML).parts
    assert list(parts) == ["www"]
    assert parts["www"][0] == Report("web1", "127.0.0.1", 28081, "up", "Init Ok", 1, 0, None, 7)
    words = [(report.server, report.word, report.weight, report.backup) for report in parts["www"]]
    assert words == [
        ("web1", "up", 1, False),
        ("web2", "down", 2, False),
        ("web3", "down", 3, False),
        ("web4", "maint", 4, False),
        ("web5", "drain", 5, False),
        ("sb1", "up", 1, True),
    ]


def test_a_host_name_is_the_server_and_no_address() -> None:
    web4 = parse(XML.replace(b"<httpd:route>web4</httpd:route>", b"<httpd:route></httpd:route>")).parts["www"][3]
    assert (web4.server, web4.address, web4.port) == ("localhost", "", 28081)


@pytest.mark.parametrize(
    ("words", "word", "backup"),
    [
        ("Init Ok ", "up", False),
        ("Init Stop ", "maint", False),
        ("Init Dis Err ", "maint", False),
        ("Init Err ", "down", False),
        ("Init HcFl Drn ", "down", False),
        ("Init Ign Err Ok ", "up", False),
        ("Init Drn Ok ", "drain", False),
        ("Init Spar Ok ", "up", True),
        ("Init Stby Err ", "down", True),
        ("Init ", "unknown", False),
        ("", "unknown", False),
    ],
)
def test_the_words_of_a_status(words: str, word: str, backup: bool) -> None:
    assert (status(words).word, status(words).backup) == (word, backup)


def test_a_higher_lbset_is_a_backup() -> None:
    data = XML.replace(b"<httpd:lbset>0<", b"<httpd:lbset>1<", 1)
    assert [report.backup for report in parse(data).parts["www"][:2]] == [True, False]


def test_weights_with_a_fraction_keep_their_proportion() -> None:
    data = XML.replace(b"<httpd:loadfactor>2.00<", b"<httpd:loadfactor>2.50<")
    assert [report.weight for report in parse(data).parts["www"]] == [100, 250, 300, 400, 500, 100]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (HTML, "502 Bad Gateway"),
        (b"<a/>", "something else"),
        (re.sub(rb"(?s)<httpd:balancer>.*</httpd:balancer>", b"", XML), "no balancer"),
        (XML.replace(b"<httpd:busy>0<", b"<httpd:busy>-3<"), "busy"),
        (XML.replace(b"<httpd:elected>7</httpd:elected>", b""), "elected"),
        (XML.replace(b"loadfactor>1.00<", b"loadfactor>much<"), "loadfactor"),
        (XML.replace(b"<httpd:port>28081<", b"<httpd:port>99999<"), "port"),
        (XML.replace(b"<httpd:name>balancer://www</httpd:name>", b""), "without a name"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "DOCTYPE"),
    ],
)
def test_what_is_no_whole_page_is_a_fault(data: bytes, words: str) -> None:
    assert words in refused(parse, data)


def test_a_page_that_is_cut_off_is_refused() -> None:
    for data in cut(XML.rstrip()):
        assert tried(parse, data) is None


def test_the_form_in_html_is_refused() -> None:
    refused(parse, sample("apache/balancer-manager.html"))


# ---------------------------------------------------------------- the real one

MODULES = ("authz_host", "proxy", "proxy_http", "slotmem_shm", "proxy_balancer", "lbmethod_byrequests")
LINES = """
<Proxy balancer://www>
  BalancerMember http://{web1} route=web1 loadfactor=2
  BalancerMember http://{web2} route=web2 loadfactor=3
  BalancerMember http://[::1]:9 loadfactor=1.5 status=+H
  BalancerMember unix:{folder}/app.sock|http://app.example/ lbset=1
  {nonce}
</Proxy>
<Proxy balancer://mail>
  BalancerMember http://localhost:9
  {nonce}
</Proxy>
ProxyPass /app/ balancer://www/
<Location /balancer-manager>
  SetHandler balancer-manager
  Require ip 127.0.0.0/8
</Location>
"""


def lines(webs: list[live.Web], nonce: str = "") -> str:
    text = LINES.replace("{nonce}", nonce)
    for number, web in enumerate(webs, 1):
        text = text.replace(f"{{web{number}}}", f"{web.address}:{web.port}")
    return text


def change(page: str, worker: str, **settings: str) -> None:
    """What a click in the manager's form sends."""
    form = real.get(page, {"Referer": page}).decode()
    nonce = re.search(r"b=www&amp;nonce=([^\"&]+)", form)
    assert nonce
    query = urlencode({"b": "www", "w": worker, "nonce": nonce[1], **settings})
    real.get(page, {"Referer": page}, query)


@pytest.mark.parametrize("nonce", ["", "ProxySet nonce=abc"])
async def test_a_real_balancer(nonce: str) -> None:
    with live.web_servers(2) as webs:
        port = live.free_port("127.0.0.1")
        page = f"http://127.0.0.1:{port}/balancer-manager"
        director = Director("lb", "apache", url=page + ("?nonce=abc" if nonce else ""), timeout=10)
        with apache(port, lines(webs, nonce), *MODULES):
            parts = (await real.table(director)).parts
            assert {name: len(reports) for name, reports in parts.items()} == {"www": 4, "mail": 1}
            web1, _, standby, hidden = parts["www"]
            assert (web1.server, web1.address, web1.port, web1.word) == ("web1", webs[0].address, webs[0].port, "up")
            assert [report.weight for report in parts["www"]] == [200, 300, 150, 100]
            assert (standby.address, standby.backup) == ("::1", True)
            assert (hidden.server, hidden.address, hidden.backup) == ("app.example", "", True)
            assert (parts["mail"][0].server, parts["mail"][0].address) == ("localhost", "")

            worker = f"http://{webs[0].address}:{webs[0].port}"
            for setting, word in (("w_status_N", "drain"), ("w_status_D", "maint"), ("w_status_S", "maint")):
                change(page, worker, **{setting: "1"})
                assert (await real.servers(director, "www"))["web1"].word == word, setting
                change(page, worker, **{setting: "0"})
            assert (await real.servers(director, "www"))["web1"].word == "up"
            change(page, worker, w_lf="7")
            assert (await real.servers(director, "www"))["web1"].weight == 700

            webs[1].end()
            before = web1.total or 0
            for _ in range(6):
                real.get(f"http://127.0.0.1:{port}/app/")
            found = await real.servers(director, "www")
            assert found["web2"].word == "down", found["web2"]
            assert (found["web1"].total or 0) >= before + 6


async def test_a_real_apache_that_calls_itself_otherwise() -> None:
    """With UseCanonicalName On the Referer has to name the ServerName, whatever the URL says."""
    with live.web_servers(2) as webs:
        port = live.free_port("127.0.0.1")
        named = "ServerName www.example.com\nUseCanonicalName On\n" + lines(webs, "ProxySet nonce=abc")
        with apache(port, named, *MODULES):
            director = Director("lb", "apache", url=f"http://127.0.0.1:{port}/balancer-manager?nonce=abc", timeout=10)
            assert set((await real.table(director)).parts) == {"www", "mail"}


async def test_a_real_apache_without_the_manager_there() -> None:
    with live.web_servers(2) as webs:
        port = live.free_port("127.0.0.1")
        with apache(port, lines(webs), *MODULES):
            at = f"http://127.0.0.1:{port}"
            assert "HTTP 404" in await real.reason(Director("lb", "apache", url=f"{at}/other", timeout=10))
            said = await real.reason(Director("lb", "apache", url=f"{at}/ready?nonce=secret", timeout=10))
            assert "SetHandler balancer-manager" in said
            assert "secret" not in said


class Deaf(Reach):
    """An Apache behind something that drops the Referer: the form, whatever is asked."""

    async def http(self, director: Director, url: str | None = None, **more: Any) -> HttpAnswer:
        return HttpAnswer(200, {"content-type": "text/html"}, sample("apache/balancer-manager.html"), "http://lb/page")


async def test_a_form_that_never_becomes_xml_says_what_to_configure() -> None:
    with pytest.raises(Fault) as caught:
        await read(Director("lb", "apache", url="http://lb/page?nonce=secret"), Deaf())
    assert "ProxySet nonce=" in str(caught.value) and "Referer" in str(caught.value)
    assert "secret" not in str(caught.value)
