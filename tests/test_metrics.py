"""The metrics page: what is counted, what it costs, who may ask; and that promtool, rules and dashboard agree."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import subprocess
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from needs import needs
from promotion_story import TIERS, Story
from small_roster import members
from test_balance import POOL, Scene, carried
from test_balance import data as scene_data
from test_names import A1, APP1, APP2, v4
from test_names import data as named

import rrdns
from rrdns import model
from rrdns.control import metrics_port
from rrdns.control.measures import BOUNDS, KINDS, Measures, kinds, reason_class
from rrdns.control.metrics import NAMES, _of_balance, _of_others, text
from rrdns.control.metrics_port import MetricsPort
from rrdns.failover import Selection
from rrdns.model import Check, Event, Result, Standing, Target
from rrdns.resolution import Resolution
from rrdns.roster import succession
from rrdns.roster.roster import Roster

FOLDER = Path(rrdns.__file__).parent / "dashboards"
HERE = Path(__file__).parent
OTHERS = {"up"}  # Prometheus's own


def promtool(*args: str, data: bytes = b"") -> str:
    needs("promtool")
    done = subprocess.run(["promtool", *args], input=data, capture_output=True, timeout=120, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


# ---------------------------------------------------------------- counting


def event(subject: str, name: str, before: str, after: str) -> Event:
    return Event(0.0, subject, name, before, after, "")


def test_transitions_are_counted_and_forgotten_with_their_subject() -> None:
    one = Measures()
    one.heard(event("member", "web/web1", "absent", "unknown"))
    for _ in range(3):
        one.heard(event("member", "web/web1", "up", "down"))
        one.heard(event("member", "web/web1", "down", "up"))
    one.heard(event("target", "x", "up", "down"))
    assert one.moves == {("member", "web/web1", "down"): 3, ("member", "web/web1", "up"): 3}
    one.heard(event("member", "web/web1", "up", "absent"))
    assert not one.moves


@pytest.mark.parametrize(
    ("before", "after", "counted"),
    [
        ("no tier", "tier 1", ["promotion"]),
        ("tier 1", "tier 2", ["promotion"]),
        ("tier 2", "tier 10", ["promotion"]),
        ("tier 10", "tier 2", ["return"]),
        ("tier 1", "no tier", ["demotion"]),
        ("nobody", "holder web1", ["promotion"]),
        ("holder web1", "holder web2", ["promotion", "demotion"]),
        ("holders web1, web2", "holders web2, web3", ["promotion", "demotion"]),
        ("holders web1, web2", "holder web2", ["demotion"]),
        ("holder web1", "nobody", ["demotion"]),
        ("served by its own", "served by reports", ["promotion"]),
        ("served by reports", "served by sorry", ["promotion"]),
        ("served by sorry", "served by its own", ["return"]),
        ("serves its own", "r1, r2 shed to web", ["shed"]),
        ("r1, r2 shed to web", "r1 shed to web", []),
        ("r1 shed to web", "r1, r2 shed to web", ["shed"]),
        ("r1, r2 shed to web", "serves its own", ["return"]),
        ("borrows reports/r1", "borrows nobody", []),
    ],
)
def test_moves_of_failover_are_counted_by_kind(before: str, after: str, counted: list[str]) -> None:
    assert list(kinds(before, after)) == counted
    one = Measures()
    one.heard(event("failover", "web", before, after))
    assert {kind: number for (_, _, kind), number in one.moves.items()} == Counter(counted)
    one.heard(event("pool", "web", "ok", "absent"))
    assert not one.moves


STANDINGS = (
    Standing(), Standing(tier=1), Standing(tier=2), Standing(holders=("a",)), Standing(holders=("a", "b")),
    Standing(source="other"), Standing(source="sorry"),
)  # fmt: skip


@pytest.mark.parametrize("scheme", ["idle-standby", "rotating-standby", "simple-failover"])
def test_whatever_the_roster_tells_of_failover_is_understood(scheme: str) -> None:
    """Its words are read here: another word for a move must not count as nothing."""
    pool = model.Pool("web", (), failover=model.Failover(scheme))
    sheds = [Selection("ok", "", (), "available", standing=one) for one in STANDINGS]
    sheds += [replace(sheds[0], shed=frozenset("ab"), to_pools=("other",))]
    seen = set()
    for before, after in itertools.permutations(sheds, 2):
        for told in succession.moves(pool, before, after, [], "", 0.0):
            counted = list(kinds(told.before, told.after))
            assert counted and set(counted) <= set(KINDS), told
            seen |= set(counted)
    assert seen >= {"promotion", "return", "shed"}


def target(name: str = "web") -> Target:
    check = Check(name, "tcp", 80, model.TcpProbe())
    return Target(check.key("192.0.2.1"), check, "192.0.2.1")


def test_probes_are_counted_by_how_long_they_took_and_why_they_failed() -> None:
    one = Measures()
    one.asked(target(), Result(True, "connected", 0.0009))
    one.asked(target(), Result(False, "timed out connecting", 60.0, silent=True))
    one.asked(target(), Result(False, "not asked: too many open files", void=True))
    course = one.checks["web"]
    assert course.took[0] == 1 and course.took[-1] == 1 and sum(course.took) == 2
    assert course.failures == {"timeout": 1} and course.void == 1
    one.keep_only({"other"})
    assert not one.checks


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("connection refused", "refused"),
        ("timed out after 2s", "timeout"),
        ("HTTP 503 Service Unavailable", "status"),
        ("TLS: certificate has expired", "tls"),
        ("no route to host", "unreachable"),
        ("exit 2: broken", "exit"),
        ("body does not hold 'ok'", "other"),
    ],
)
def test_reasons_are_few(reason: str, word: str) -> None:
    assert reason_class(reason) == word


# ---------------------------------------------------------------- the page


def rows(pools: int = 2, members: int = 3, services: int = 2) -> dict[str, list[Any]]:
    """A row at least of everything."""
    values = {"state": ("up", "down"), "word": ("drain",), "proto": ("udp", "tcp"), "worker": ("0",)}
    found: dict[str, list[Any]] = {name: [] for name in NAMES}
    for name, (_, labels, _) in NAMES.items():
        sets: list[tuple[str, ...]] = [()]
        for label in labels:
            several = {
                "pool": tuple(f"pool{number}" for number in range(pools)),
                "member": tuple(f"web{number}" for number in range(members)),
                "service": tuple(f"www{number}.lb.example.com." for number in range(services)),
                **values,
            }.get(label, (label,))
            sets = [(*one, value) for one in sets for value in several]
        found[name] = [(one, 1) for one in sets]
    return found


def page(**sizes: int) -> bytes:
    counted = Measures()
    counted.asked(target(), Result(True, "connected", 0.01))
    counted.asked(target('it\'s "odd"\\'), Result(False, "refused", 0.01))
    return text(rows(**sizes), counted.checks)


def test_the_page_is_as_promtool_wants_it() -> None:
    promtool("check", "metrics", data=page())


def test_all_names_are_on_the_page() -> None:
    found = set(re.findall(r"^# TYPE (\S+)", page().decode(), re.M))
    assert NAMES.keys() <= found
    assert f'rrdns_check_duration_seconds_bucket{{check="web",le="{BOUNDS[0]}"}} 0.0' in page().decode()


def test_a_thousand_members_cost_little() -> None:
    sizes = {"pools": 1, "members": 1000, "services": 100}
    begun = time.process_time()
    large = page(**sizes)
    took = time.process_time() - begun
    assert large.count(b"\n") < 15_000 and len(large) < 2_000_000
    print(f"{large.count(bytes([10]))} lines, {len(large)} bytes, {took * 1000:.0f} ms of CPU")
    assert took < 5.0  # usually 0.1


def balance_rows(one: Scene) -> dict[str, dict[str, float]]:
    rows: dict[str, list[Any]] = {name: [] for name in NAMES}
    _of_balance(one.one.duties["web"], one.now, rows)
    return {
        name.removeprefix("rrdns_member_"): {member: round(float(value), 3) for (_, member), value in its}
        for name, its in rows.items()
        if its
    }


def test_what_the_closed_loop_knows() -> None:
    """Nothing is said of what nobody counts, and nothing of who has gone."""
    plain = Scene(scene_data(replace(POOL, following=())))
    assert balance_rows(plain) == {"wanted_share": {"web1": 0.333, "web2": 0.333, "web3": 0.333}}
    one = Scene(scene_data(replace(POOL, correct=True)))
    totals = [0, 0, 0]
    one.poll(carried(0, 0, 0, totals=(0, 0, 0)))
    for _ in range(400):
        totals = [totals[0] + 100, totals[1] + 100, totals[2]]
        one.poll(carried(1, 1, 1, totals=(totals[0], totals[1], totals[2])), answers=200)
    found = balance_rows(one)
    assert found["connected_share"] == {"web1": 0.5, "web2": 0.5, "web3": 0.0}
    assert found["suspect"] == {"web1": 0.0, "web2": 0.0, "web3": 1.0}
    assert set(found["correction_factor"]) == {"web1", "web2", "web3"}
    assert all(0.2 < factor <= 5.0 for factor in found["correction_factor"].values())
    one.take(one.one.load(scene_data(replace(POOL, correct=True, members=members(2))), one.now))
    assert all(set(its) == {"web1", "web2"} for its in balance_rows(one).values())


def rows_of(roster: Roster, name: str) -> dict[str, bool]:
    found: dict[str, list[Any]] = {one: [] for one in NAMES}
    _of_others(roster, found)
    return {labels[0]: value for labels, value in found[name]}


def test_a_promotion_that_is_blocked_and_one_that_waits() -> None:
    story = Story(TIERS)
    story.probe(True, 1, 2)
    assert rows_of(story.one, "rrdns_promotion_blocked") == {"db": False}
    story.probe(False, 1)
    (wanted,) = story.one.promotions
    assert rows_of(story.one, "rrdns_promotion_blocked") == {"db": False}
    story.one.promoted("db", wanted.ident, False, "exited 1", story.now)
    assert rows_of(story.one, "rrdns_promotion_blocked") == {"db": True}


def test_a_name_that_can_not_be_resolved() -> None:
    roster = Roster()
    roster.load(named(), 1.0)
    roster.resolved(APP1, v4(A1), 2.0)
    roster.resolved(APP2, Resolution("SERVFAIL", "SERVFAIL"), 2.0)
    assert rows_of(roster, "rrdns_name_resolved") == {APP1: True, APP2: False}


# ---------------------------------------------------------------- rules and dashboard


def names_in(text: str) -> set[str]:
    """The metrics that expressions name: words before a `{`, an operator or a bracket, that are ours."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\brrdns_[a-z0-9_]+", text)}


def test_the_rules_pass_promtool() -> None:
    assert "SUCCESS" in promtool("check", "rules", str(FOLDER / "alerts.yaml"))


def test_every_alert_fires_and_is_quiet_when_it_should() -> None:
    promtool("test", "rules", str(HERE / "alerts_test.yaml"))
    alerts = set(re.findall(r"alert: (\w+)", (FOLDER / "alerts.yaml").read_text()))
    assert alerts == set(re.findall(r"alertname: (\w+)", (HERE / "alerts_test.yaml").read_text()))


def test_rules_and_dashboard_name_only_what_there_is() -> None:
    dashboard = json.loads((FOLDER / "grafana.json").read_text())
    exprs = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    exprs += [one["definition"] for one in dashboard["templating"]["list"] if one["type"] == "query"]
    exprs += [one["expr"] for one in dashboard["annotations"]["list"]]
    rules = re.findall(r"expr: (.*)", (FOLDER / "alerts.yaml").read_text())
    assert len(exprs) > 20 and len(rules) > 15
    for expr in (*exprs, *rules):
        named = names_in(expr)
        assert named or "up{" in expr, expr
        assert named <= NAMES.keys(), f"{named - NAMES.keys()} in {expr}"
    used = {name for expr in (*exprs, *rules) for name in names_in(expr)}
    assert {"rrdns_answers_total", "rrdns_member_state", "rrdns_member_transitions_total"} <= used


def test_labels_in_rules_and_dashboard_are_those_there_are() -> None:
    text = (FOLDER / "grafana.json").read_text().replace('\\"', '"') + (FOLDER / "alerts.yaml").read_text()
    for name, matchers in re.findall(r"\b(rrdns_[a-z0-9_]+)\{([^}]*)\}", text):
        known = {*NAMES[re.sub(r"_bucket$", "", name)][1], "instance", "job", "le"}
        assert set(re.findall(r"(\w+)\s*(?:=~|!=|=)", matchers)) <= known, (name, matchers)


def test_expressions_of_the_dashboard_are_promql(tmp_path: Path) -> None:
    """As recording rules promtool parses them; Grafana's variables get a value first."""
    dashboard = json.loads((FOLDER / "grafana.json").read_text())
    exprs = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    exprs += [one["expr"] for one in dashboard["annotations"]["list"]]
    rules = [
        {
            "record": f"r{number}",
            "expr": re.sub(r"\$__\w+", "5m", expr).replace("$instance", ".*").replace("$pool", ".*"),
        }
        for number, expr in enumerate(exprs)
    ]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
    promtool("check", "rules", str(tmp_path / "rules.yaml"))
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_the_page_on_metrics_lists_them_all() -> None:
    listed = re.findall(r"^\| `(rrdns_\w+)` \| ([a-z_ ]*) \|", (HERE.parent / "docs" / "notify.md").read_text(), re.M)
    assert {name: tuple(labels.split()) for name, labels in listed} == {name: one[1] for name, one in NAMES.items()}


# ---------------------------------------------------------------- the port


async def _page() -> tuple[int, str, bytes]:
    return 200, "text/plain", b"x" * 3_000_000


async def _broken() -> tuple[int, str, bytes]:
    raise RuntimeError("made by a test")


class Port:
    async def __aenter__(self) -> Port:
        self.one = MetricsPort((("127.0.0.1", 0),), {"/metrics": _page, "/broken": _broken})
        self.task = asyncio.create_task(self.one.run())
        while not self.one.ports:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        (self.number,) = self.one.ports.values()
        return self

    async def __aexit__(self, *error: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def say(self, data: bytes, end: bool = False) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        try:
            writer.write(data)
            if end:
                writer.write_eof()
            async with asyncio.timeout(30):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


async def test_the_port_answers() -> None:
    async with Port() as port:
        got = await port.say(b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 200 OK\r\n") and got.endswith(b"x" * 1000) and len(got) > 3_000_000
        assert (await port.say(b"HEAD /metrics HTTP/1.1\r\n\r\n")).endswith(b"\r\n\r\n")
        assert b" 404 " in await port.say(b"GET /other HTTP/1.1\r\n\r\n")
        assert b" 405 " in await port.say(b"POST /metrics HTTP/1.1\r\n\r\n")
        assert b" 500 " in await port.say(b"GET /broken HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [b"GET /" + b"x" * 10_000, b"\x16\x03\x01\x02\x00\r\n\r\n", b"hello\r\n\r\n", b"GET /m\xff HTTP/1.1\r\n\r\n"],
)
async def test_what_is_no_short_request_gets_nothing(data: bytes) -> None:
    async with Port() as port:
        assert await port.say(data, end=True) == b""


async def test_the_slow_and_the_many_are_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_port, "ASKING", 1.0)
    async with Port() as port:
        idle = [await asyncio.open_connection("127.0.0.1", port.number) for _ in range(metrics_port.CONNECTIONS)]
        for _, writer in idle:
            writer.write(b"GET /metr")
        await asyncio.sleep(0.2)
        assert await port.say(b"GET /metrics HTTP/1.1\r\n\r\n") == b""  # one too many
        for reader, writer in idle:
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                async with asyncio.timeout(30):
                    await reader.readexactly(1)
            writer.close()
        assert b"200 OK" in (await port.say(b"GET /metrics HTTP/1.1\r\n\r\n"))[:20]


async def test_a_port_that_is_taken_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(metrics_port, "RETRY", 0.05)
    async with Port() as port:
        second = MetricsPort((("127.0.0.1", port.number),), {"/metrics": _page})
        task = asyncio.create_task(second.run())
        await asyncio.sleep(0.3)
        assert caplog.text.count("trying again") == 1
    end = time.monotonic() + 30
    while not second.ports and time.monotonic() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert second.ports
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
