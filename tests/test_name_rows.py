"""How people are shown members given by host name: status, explain, top, check, audit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import fake_api
from small_roster import WWW
from test_names import A1, APP1, APP2, data, started, v4
from test_top_pages import Person

from rrdns import wire
from rrdns.audit import findings
from rrdns.resolution import Resolution
from rrdns.roster.roster import Roster
from rrdns.ui import explain, name_rows, present, status


def shown(one: Roster, now: float = 70.0, **more: Any) -> dict[str, Any]:
    found = {**fake_api.status(3), **one.snapshot(now), "services": {}}
    for name, extra in more.items():
        found["names"][f"{name}.example.net."].update(extra)
    return found


def text(told: Any, page: Any = status.page, width: int = 300) -> str:
    return "\n".join(line.plain for line in page(told, width))


def troubled() -> Roster:
    one = started()
    one.resolved(APP1, "SERVFAIL", 10.0)
    one.load(data(*data().pools["web"].members[:1], *_other()), 11.0)
    one.resolved("other.example.net.", "NXDOMAIN", 12.0)
    return one


def _other() -> tuple[Any, ...]:
    from rrdns.model import Member

    return (Member("web2", (), hosts=("other.example.net.",)),)


def test_status_says_what_is_wrong_since_when_and_what_holds() -> None:
    page = text(shown(troubled(), app1={"ttl": None, "next": 4.0}))
    assert f"host name {APP1} stale: SERVFAIL; its last good addresses hold" in page, "an alarm"
    assert "host name other.example.net. fault: NXDOMAIN; it has never been resolved" in page
    line = f"name stale {APP1}: SERVFAIL, for 1m, its last good addresses hold, of 1m 8s ago: {A1}, asked again in 4s"
    assert line in page, page
    row = next(line for line in page.splitlines() if line.startswith("web/web2"))
    assert "other.example.net. is not resolved yet: NXDOMAIN" in row and row.split()[1] == "other.example.net."


def test_status_says_of_those_that_are_well_only_what_they_are() -> None:
    one = started()
    one.resolved(APP1, Resolution((A1, "0.0.0.0"), ()), 60.0)
    page = text(shown(one, app1={"ttl": 60, "next": 50.0}))
    assert f"name up {APP1}: {A1}, TTL 60; 0.0.0.0 is not the address of one host" in page
    assert "last good" not in page


def test_many_in_trouble_are_one_alarm_and_not_a_hundred() -> None:
    one = {"state": "stale", "reason": "no answer in time", "addresses": [A1], "age": 5.0, "since": 1.0}
    told = {"names": {f"n{number}.example.": one for number in range(100)}}
    assert list(name_rows.troubles(told)) == ["100 host names stale: no answer in time; their last good addresses hold"]
    assert len([cell for cell in present.alarms(told) if "host name" in cell[0]]) == 1
    page = text({**fake_api.status(3), **told})
    assert page.count("name stale") == 40 and "and 60 more host names" in page


def test_a_status_of_a_server_without_names_is_read() -> None:
    assert name_rows.names({}) == [] and not list(name_rows.troubles({"names": None}))


def test_explain_says_it_of_the_member() -> None:
    told = troubled().explain(WWW, wire.A, 70.0)
    page = text(told, explain.page)
    assert f"name      stale {APP1}: SERVFAIL, for 1m" in page
    assert "web2  unknown  does not serve: has no address yet" in page
    one = started()
    one.resolved(APP2, v4(A1, "192.0.2.9"), 10.0)
    assert f"lacks     {A1} is web1's too, and counts there" in text(one.explain(WWW, wire.A, 70.0), explain.page)


def test_top_lists_names_beside_directors_with_the_members_they_speak_of() -> None:
    one = Person(shown(troubled()), 140, 30)
    page = one.press("3")
    assert APP1 in page and "host name" in page and "stale" in page and "SERVFAIL" in page
    assert "web/web1" in page and A1 in page.split("SAYS")[1]
    assert "web/web2" in one.press("down").split("SAYS")[1]
    assert f"host name {APP1} stale" in one.press("1")


def test_an_audit_finds_them() -> None:
    found = {one.about: one.text for one in findings.stale(shown(troubled())) if one.kind == "name"}
    assert "SERVFAIL (last resolved" in found[APP1] and "never resolved" in found["other.example.net."]


def test_check_says_that_names_are_resolved_at_run_time(tmp_path: Path) -> None:
    (tmp_path / "lb.example.com.yaml").write_text(
        "'': {type: NS, value: ns1.lb.example.com.}\nns1: {type: A, value: 192.0.2.53}\n"
        "www: {type: POOL, pool: web}\none: {type: POOL, check: c, members: [app1.example.net.]}\n"
    )
    (tmp_path / "pools.yaml").write_text(
        "checks: {c: {type: tcp, port: 80}}\n"
        "pools: {web: {check: c, members: {web1: app1.example.net., web2: 10.0.0.1}}}\n"
    )

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "rrdns", *words], capture_output=True, text=True, timeout=60)

    done = run("check", "--strict", str(tmp_path))
    assert done.returncode == 0, done.stdout
    assert "3 members, 1 host name resolved at run time" in done.stdout and "only member" not in done.stdout
    done = run("whatif", str(tmp_path), "--down", "web/web1")
    assert "resolved at run time" in done.stdout + done.stderr, done
    done = run("export", str(tmp_path))
    assert done.returncode == 0 and "one: POOL one.lb.example.com: no address is answered now" in done.stdout
