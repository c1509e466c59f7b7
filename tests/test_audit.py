"""What an audit finds, from status, events and facts; and what it asks members."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fake_api import member, status
from small_roster import dataset, fail, started

from rrdns.audit import asking, delegation, facts, findings
from rrdns.audit.delegation import Seen
from rrdns.model import AgentProbe, Check, HttpProbe, Result, SmtpProbe, Target, TcpProbe, TlsProbe
from rrdns.ui import audit
from rrdns.ui.config import ConfigError

Json = dict[str, Any]
WEEK = 7 * 86400.0


def healthy(**of_pool: Any) -> Json:
    """A status in which nothing decays."""
    found = status(3)
    found["uptime"] = 30 * 86400.0
    found["pools"]["web"].update(members={f"web{n}": member() for n in (1, 2, 3)}, serving=["web1", "web2", "web3"])
    found["pools"]["web"].update(of_pool)
    found["notify"] = {"ops": {"state": "ok", "sent": 3}}
    return found


FACTS: Json = {
    "checks": {"web": {"type": "http"}, "port": {"type": "tcp"}},
    "pools": {"web": {"checks": ["web"], "helpers": []}},
    "zones": {},
}


def found(picture: Json, events: tuple[Json, ...] = (), known: Json = FACTS) -> list[tuple[str, str]]:
    return [(one.kind, one.about) for one in findings.look(picture, events, known, WEEK)]


def test_nothing_is_found_where_nothing_decays() -> None:
    assert found(healthy()) == [] and findings.unknown(healthy(), (), FACTS, WEEK) == []


def test_standbys_that_nobody_has_seen_at_work() -> None:
    members = {"web1": member(), "web2": member(answers=0), "web3": member(answers=0, override={"word": "drain"})}
    picture = healthy(scheme="idle-standby", serving=["web1"], members=members)
    assert ("idle-standby", "web/web2") in found(picture)
    assert ("idle-standby", "web/web3") not in found(picture)  # an operator has spoken
    picture["uptime"] = 60.0
    assert found(picture) == []  # that can't be known yet,
    assert "since the server's start" in findings.unknown(picture, (), FACTS, WEEK)[0]  # and it is said
    old = {"subject": "reload", "name": "zones", "time": picture["time"] - 8 * 86400.0}
    assert found(picture, (old,)) == [("idle-standby", "web/web2")]  # nor did anybody take over since long before
    assert findings.unknown(picture, (old,), FACTS, WEEK) == []
    assert found(picture, (old, {"subject": "failover", "name": "web", "time": picture["time"] - 5.0})) == []
    shallow = {**FACTS, "pools": {"web": {"checks": ["port"], "helpers": []}}}
    assert found(picture, known=shallow) == [("shallow-standby", "web/web2")]
    helped = healthy(members={"web1": member(answers=0), "web2": member(answers=0)}, serving=["web1", "web2"])
    lent = {**FACTS, "pools": {"web": {"checks": ["web"]}, "app": {"helpers": ["web"]}}}
    assert found(helped, known=lent) == [("idle-standby", "web/web1"), ("idle-standby", "web/web2")]


def test_pools_one_failure_from_empty() -> None:
    assert found(healthy(members={"web1": member()})) == [("one-failure", "web")]
    assert found(healthy(members={"web1": member(), "web2": member("down")})) == [("one-failure", "web")]
    assert found(healthy(members={"web1": member(), "web2": member(weight=0)})) == [("one-failure", "web")]
    helped = {**FACTS, "pools": {"web": {"checks": ["web"], "helpers": ["app"]}}}
    assert found(healthy(members={"web1": member()}), known=helped) == []


def test_members_that_come_and_go() -> None:
    down = {"subject": "member", "name": "web/web1", "before": "up", "after": "down"}
    other = {**down, "subject": "target"}
    assert found(healthy(), (down,) * 3 + (other,) * 9) == []
    assert found(healthy(), (down,) * 4) == [("flapping", "web/web1")]
    assert found(healthy(), ({**down, "time": 1.0},) * 4) == []  # long ago


def test_members_that_get_no_connections() -> None:
    members = {"web1": member(), "web2": member(suspect=True, connected=0.01)}
    (one,) = findings.look(healthy(members=members), (), FACTS, WEEK)
    assert one.kind == "starved" and "gets 1.0% of the connections" in one.text


def test_checks_that_can_t_fail_and_certificates() -> None:
    asked = {
        "made_up": [
            {"check": "web", "address": "10.0.0.1", "passed": True, "reason": "HTTP 200"},
            {"check": "web", "address": "10.0.0.2", "passed": True, "reason": "HTTP 200"},
            {"check": "deep", "address": "10.0.0.1", "passed": False, "reason": "HTTP 404"},
        ],
        "certificates": [
            {"check": "tls", "address": "10.0.0.1", "ends_soon": True, "reason": "certificate expires in 3d"},
            {"check": "tls", "address": "10.0.0.2", "ends_soon": False, "reason": "TLSv1.3, certificate good for 90d"},
        ],
        "left_out": 7,
    }
    known = {**FACTS, "asked": asked}
    assert found(healthy(), known=known) == [("blind-check", "web"), ("certificate", "tls at 10.0.0.1")]
    assert findings.unknown(healthy(), (), known, WEEK) == ["7 targets more were not asked for a made-up path"]


def test_overrides_without_an_end_directors_and_silence() -> None:
    picture = healthy()
    picture["overrides"] = [
        {"pool": "web", "member": "web1", "word": "drain", "owner": "ann", "since": 9e5, "left": None, "reason": "x"},
        {"pool": "", "member": "", "word": "hold", "owner": "ann", "since": 5.0, "left": None, "reason": ""},
        {"pool": "web", "member": "web2", "word": "drain", "owner": "ann", "since": 5.0, "left": 60.0, "reason": ""},
    ]
    picture["directors"] = {"lvs1": {"state": "stale", "age": 90.0, "reason": "refused"}, "lvs2": {"state": "up"}}
    picture["notify"] = {"ops": {"state": "unused", "sent": 0}, "mail": {"state": "failing", "why": "refused"}}
    assert " ".join("=".join(one) for one in found(picture)) == (
        "director=lvs1 notify=mail notify=ops override=all pools override=web/web1"
    )
    picture["notify"] = {}
    assert ("notify", "notify") in found(picture)


def test_what_is_not_on_the_disk() -> None:
    picture = healthy()
    picture["store"] = {"state": "failing", "why": "disk full"}
    picture["journal"] = {"state": "failing", "why": "disk full", "since": 90.0, "holes": 1}
    assert found(picture) == [("journal", "journal"), ("state", "state")]
    del picture["store"]
    picture["journal"] = {"state": "ok", "why": "", "since": None, "holes": 2}
    (one,) = findings.unkept(picture)
    assert one.text == "has lost inputs 2 times since the start: replay has holes; see the log"
    picture["journal"]["holes"] = 0
    assert found(picture) == []


# ---------------------------------------------------------------- asking members


def a_target(probe: Any, name: str = "web") -> Target:
    return Target(name, Check(name, "x", 443, probe), "10.0.0.1")


async def test_members_are_asked_for_a_path_nobody_has_and_for_their_certificates() -> None:
    seen: list[Target] = []

    async def ask(target: Target) -> Result:
        seen.append(target)
        tls = isinstance(target.check.probe, TlsProbe)
        return Result(True, "TLSv1.3, certificate expires in 5d" if tls else "HTTP 200")

    probes = [
        HttpProbe(True, path="/healthz", host="a.example"),
        HttpProbe(),
        TcpProbe(),
        SmtpProbe(tls=True),
        AgentProbe(),
    ]
    told = await asking.ask_all([a_target(one, f"c{n}") for n, one in enumerate(probes)], ask)
    paths = [one.check.probe.path for one in seen if isinstance(one.check.probe, HttpProbe)]
    assert len(paths) == 2 and all(path.startswith("/rrdns-audit-") for path in paths) and len(set(paths)) == 2
    assert [one["check"] for one in told["made_up"]] == ["c0", "c1"]
    assert [(one["check"], one["ends_soon"]) for one in told["certificates"]] == [("c0", True), ("c3", True)]
    assert {one.check.probe.host for one in seen if isinstance(one.check.probe, TlsProbe)} == {"a.example", ""}


async def test_it_asks_a_few_at_a_time_and_not_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = most = 0

    async def ask(target: Target) -> Result:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        return Result(False, "HTTP 404")

    monkeypatch.setattr(asking, "MOST", 60)
    told = await asking.ask_all([a_target(HttpProbe(), str(n)) for n in range(70)], ask)
    assert (len(told["made_up"]), told["left_out"], most) == (60, 10, asking.TOGETHER)


def test_the_facts_of_a_roster() -> None:
    one = started(dataset())
    fail(one, 1, 10.0)
    told = facts.facts(one)
    assert told["checks"] == {"web": {"type": "http"}} and told["pools"]["web"]["checks"] == ["web"]
    assert told["zones"]["lb.example.com."] == {"ns": {"ns1.lb.example.com.": []}, "serial": 7}
    assert [target.address for target in facts.up_targets(one)] == ["192.0.2.2", "192.0.2.3"]


# ---------------------------------------------------------------- delegation

OURS = {"ns": {"ns1.lb.example.": ["192.0.2.53"], "ns.example.net.": []}, "serial": 10}
LISTED = {"ns1.lb.example.": ["192.0.2.53"], "ns.example.net.": []}
ANSWERS = {("ns1.lb.example.", "192.0.2.53"): 10, ("ns.example.net.", "198.51.100.1"): 10}


def judged(**how: Any) -> list[str]:
    seen = Seen(**{"parent": "example.", "listed": LISTED, "servers": ANSWERS, **how})
    return [one.text for one in delegation.judge("lb.example.", OURS, seen)]


def test_a_delegation_that_is_right() -> None:
    assert judged() == []
    assert judged(listed={name.upper(): found for name, found in LISTED.items()}) == []
    assert judged(servers={**ANSWERS, ("ns.example.net.", "198.51.100.1"): 11}) == []  # it had the edit first


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"fault": "its parent example. has no NS for it"}, "has no NS"),
        ({"listed": {**LISTED, "old.example.net.": []}}, "sends clients to old.example.net., which is no NS"),
        (
            {"listed": {"ns1.lb.example.": ["192.0.2.53"]}},
            "ns.example.net. is an NS of the zone, but its parent example.",
        ),
        ({"listed": {**LISTED, "ns1.lb.example.": ["192.0.2.99"]}}, "is 192.0.2.99, here it is 192.0.2.53"),
        ({"listed": {**LISTED, "ns1.lb.example.": []}}, "gives no glue for ns1.lb.example."),
        ({"servers": {**ANSWERS, ("ns1.lb.example.", "192.0.2.53"): 9}}, "has serial 9, older than ours, 10"),
        (
            {"servers": {**ANSWERS, ("ns.example.net.", ""): "its name has no address"}},
            "ns.example.net.: its name has no",
        ),
    ],
)
def test_a_delegation_that_is_wrong(how: Json, words: str) -> None:
    (text,) = judged(**how)
    assert words in text


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("127.0.0.1", "127.0.0.1:53"),
        ("127.0.0.1:5301", "127.0.0.1:5301"),
        ("::1", "[::1]:53"),
        ("[2001:DB8::1]:53", "[2001:db8::1]:53"),
    ],
)
def test_resolvers_as_people_write_them(text: str, read: str) -> None:
    assert audit.read_resolver(text) == read


@pytest.mark.parametrize("text", ["", "dns.example", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:-1"])
def test_what_is_no_resolver(text: str) -> None:
    with pytest.raises(ConfigError):
        audit.read_resolver(text)
