"""The metrics page: what is counted, what it costs, who may ask; and that promtool, rules and dashboard agree."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from needs import needs

import rrdns
from rrdns import model
from rrdns.control import metrics_port
from rrdns.control.measures import BOUNDS, Measures, reason_class
from rrdns.control.metrics import NAMES, text
from rrdns.control.metrics_port import MetricsPort
from rrdns.model import Check, Event, Result, Target

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
