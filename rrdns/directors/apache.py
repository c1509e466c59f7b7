"""Apache's mod_proxy_balancer: the XML of its balancer-manager.

A part is a balancer, by its name without `balancer://`. The page answers in XML only to `?xml=1` with the balancer's
nonce, asked with a `Referer` of its own host; otherwise it answers 200 with its HTML form. So: ask with what `url:`
has; if the form comes, take the nonce and Apache's own name from it and ask once more. With `ProxySet nonce=N` in
Apache and `?nonce=N` in `url:` the first question is enough.

| status (words)     | here                                                                 |
|--------------------|----------------------------------------------------------------------|
| Stop, Dis          | maint, also with Err: out by the operator's word                     |
| Err, HcFl          | down, unless Ok stands there too (`Ign`: errors do not count)        |
| Drn                | drain                                                                |
| Ok                 | up                                                                   |
| none of them       | unknown                                                              |
| Stby, Spar; a `lbset` above the lowest | backup: used when the better ones are out        |
| loadfactor         | weight; times 100 for all where one has a fraction (1.50 is 150)     |
| busy; elected      | active (requests under way); total                                   |
| route, or hostname | server; the address only where hostname is one                       |

Must not know: sockets, pools.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.etree.ElementTree import Element

from rrdns.directors import Fault
from rrdns.directors.reach import HttpAnswer, Reach, parsed
from rrdns.directors.words import address, children, count, local, name, page, shown, xml
from rrdns.model import Director, DirectorTable, Report

_WHAT = "Apache's balancer-manager"
_PAGE = "/balancer-manager"
_NONCE = re.compile(r"[?&]nonce=([^&\"' >]{1,256})")
_OWN_NAME = re.compile(r"<h1>Load Balancer Manager for ([A-Za-z0-9_.:\[\]-]{1,255})</h1>")
_FACTOR = re.compile(r"([0-9]{1,7})(?:\.([0-9]{1,2})0*)?")
_ADVICE = (
    "it shows its form instead of XML. Apache wants a nonce and a Referer of its own host: write `ProxySet nonce=WORD` "
    "into <Proxy balancer://...>, `?nonce=WORD` behind `url:`, and let no proxy in between drop the Referer header"
)

_Worker = Mapping[str, str]


async def read(director: Director, reach: Reach) -> DirectorTable:
    base, _, query = page(director.url, _PAGE).partition("?")
    parts = urlsplit(base)
    given = dict(parse_qsl(query))
    answer = await _ask(director, reach, base, given, f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/")
    if not _is_xml(answer):
        form = answer.whole().decode("utf-8", "replace")
        nonce, own = _NONCE.search(unescape(form)), _OWN_NAME.search(form)
        if nonce is None or own is None:
            raise Fault(f"{_WHAT}: what answers at {answer.where} is not this page (`SetHandler balancer-manager`)")
        answer = await _ask(director, reach, base, {**given, "nonce": nonce[1]}, f"http://{unescape(own[1])}/")
    if not _is_xml(answer):
        raise Fault(f"{_WHAT}: {_ADVICE}")
    return await parsed(parse, answer.whole())


async def _ask(director: Director, reach: Reach, base: str, query: dict[str, str], referer: str) -> HttpAnswer:
    """A Referer is good where its host is what Apache calls itself: the Host header, or with UseCanonicalName On its
    ServerName, which the form says."""
    return await reach.http(director, f"{base}?{urlencode({**query, 'xml': '1'})}", headers={"Referer": referer})


def _is_xml(answer: HttpAnswer) -> bool:
    return "xml" in answer.headers.get("content-type", "").partition(";")[0] and answer.status == 200


# ---------------------------------------------------------------- XML -> reports


def parse(data: bytes) -> DirectorTable:
    root = xml(data, _WHAT)
    if local(root) != "manager":
        raise Fault(f"{_WHAT}: XML of something else came (<{shown(local(root))}>)")
    workers: dict[str, list[_Worker]] = {}
    for balancer in [one for balancers in children(root, "balancers") for one in children(balancers, "balancer")]:
        title = name(_texts(balancer).get("name", "").removeprefix("balancer://"))
        if not title:
            raise Fault(f"{_WHAT}: a balancer without a name")
        if title in workers:
            raise Fault(f"{_WHAT}: the balancer {shown(title)} stands twice in it")
        workers[title] = [_texts(one) for group in children(balancer, "workers") for one in children(group, "worker")]
    if not workers:
        raise Fault(f"{_WHAT}: this Apache has no balancer (of this virtual host)")
    factors = {title: [_factor(one) for one in group] for title, group in workers.items()}
    scale = 1 if all(factor % 100 == 0 for group in factors.values() for factor in group) else 100
    parts = {}
    for title, group in workers.items():
        sets = [_number(one, "lbset") for one in group]
        first = min(sets, default=0)
        parts[title] = tuple(
            _report(one, factor * scale // 100, lbset > first)
            for one, factor, lbset in zip(group, factors[title], sets, strict=True)
        )
    return DirectorTable(parts)


def _report(worker: _Worker, weight: int, later: bool) -> Report:
    host, route, url = worker.get("hostname", ""), worker.get("route", ""), worker.get("name", "")
    status = worker.get("status", "")
    words = set(status.split())
    port = _number(worker, "port")
    if not url or port > 65535:
        raise Fault(f"{_WHAT}: the member {shown(url)} has no name, or the port {port}")
    return Report(
        server=name(route or host),
        address="" if url.startswith("unix:") else address(host),  # behind a socket, the host is a mere name
        port=port,
        word=_word(words),
        why=shown(status),
        weight=weight,
        active=_number(worker, "busy"),
        total=_number(worker, "elected"),
        backup=later or bool(words & {"Stby", "Spar"}),
    )


def _word(words: set[str]) -> str:
    if words & {"Stop", "Dis"}:
        return "maint"
    if words & {"Err", "HcFl"} and "Ok" not in words:
        return "down"
    if "Drn" in words:
        return "drain"
    return "up" if "Ok" in words else "unknown"


def _factor(worker: _Worker) -> int:
    """loadfactor in hundredths. It stands twice in each worker, with the same value."""
    text = worker.get("loadfactor", "")
    found = _FACTOR.fullmatch(text)
    if found is None:
        raise Fault(f"{_WHAT}: {shown(worker.get('name'))} has the loadfactor {shown(text)!r}, which is no number")
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))


def _texts(element: Element) -> _Worker:
    """The texts of an element's children by their names; of two with one name, the first."""
    found: dict[str, str] = {}
    for child in element:
        found.setdefault(local(child), (child.text or "").strip())
    return found


def _number(worker: _Worker, tag: str) -> int:
    value = count(worker.get(tag, ""))
    if value is None:
        raise Fault(
            f"{_WHAT}: {shown(worker.get('name'))} has {tag} {shown(worker.get(tag, ''))!r}, which is no number"
        )
    return value
