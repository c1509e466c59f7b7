"""What people see of the operator's hand: lists, alarms, and what the commands say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_api import FakeApi, member, status

from rrdns import cli
from rrdns.ui import hold, present
from rrdns.ui import status as status_page

OK: dict[str, Any] = {"ok": True, "changed": ["web/web1"], "saved": True}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    with FakeApi(tmp_path / "c.sock") as one:
        one.answers["POST", "/override"] = (200, OK)
        yield one


def said(capsys: pytest.CaptureFixture[str], api: FakeApi, *words: str) -> tuple[int, str, str]:
    code = cli.main([*words, "--control", api.path])
    text = capsys.readouterr()
    return code, text.out, text.err


WORDS = [
    {"pool": "", "member": "", "word": "hold", "owner": "ann", "reason": "net", "since": 5.0, "left": 60.0},
    {"pool": "web", "member": "web1", "word": "force-up", "owner": "bob", "reason": "", "since": 5.0, "left": None},
    {
        "pool": "web",
        "member": "\x1b[31mweb2",
        "word": "weight 5",
        "owner": "",
        "reason": "x",
        "since": None,
        "left": 9.0,
    },
]


def test_the_list(capsys: pytest.CaptureFixture[str], api: FakeApi) -> None:
    assert said(capsys, api, "overrides")[1] == "nothing: no operator's word is in force\n"
    api.status["overrides"] = WORDS
    code, text, _ = said(capsys, api, "overrides")
    lines = text.splitlines()
    assert code == 0 and lines[1].split() == ["all", "pools", "hold", "ann", "5s", "1m", "net"]
    assert lines[2].split() == ["web/web1", "force-up", "bob", "5s", "no", "end"] and "\x1b" not in text
    assert json.loads(said(capsys, api, "overrides", "--json")[1]) == WORDS


def test_alarms() -> None:
    found = status(3)
    found["overrides"] = WORDS[:2]
    found["pools"]["web"]["members"]["web1"] = member("down", reason="refused")
    texts = [text for text, _ in present.alarms(found)]
    assert "everything is held as it is: hold by ann: net (1m left)" in texts
    assert "web/web1: force-up by bob; its checks say: refused" in texts
    assert any("held as it is" in line.plain for line in status_page.page(found, 200))


def test_both_words_on_a_member_are_shown() -> None:
    found = status(3)
    weighed = {"word": "weight 50%", "owner": "ann", "reason": "", "left": None}
    found["pools"]["web"]["members"]["web1"] = member("drained", override={"word": "drain"}, weighed=weighed)
    row = next(one for one in present.members(found) if one.name == "web1")
    assert row.override == "drain; weight 50% by ann"


def test_what_is_asked_and_said(capsys: pytest.CaptureFixture[str], api: FakeApi) -> None:
    assert said(capsys, api, "weight", "web1", "10.0.0.*", "050%")[1] == "weight changed: web/web1\n"
    assert api.asked[-1][3] == {
        "members": ["web1", "10.0.0.*"], "word": "weight", "for": None, "reason": "", "force": False, "weight": "50%",
    }  # fmt: skip
    assert "forced up" in said(capsys, api, "force-up", "web1", "--for", "5m")[1]
    assert said(capsys, api, "weight", "web1", "much")[0] == 2
    assert said(capsys, api, "force-up", "web1")[0] == 2
    api.answers["POST", "/override"] = (200, {**OK, "changed": ["all pools"]})
    assert said(capsys, api, "hold", "--for", "1h")[1].startswith("held for 1h: all pools; answers stay")
    assert api.asked[-1][3] == {"members": None, "word": "hold", "for": 3600.0, "reason": ""}
    assert said(capsys, api, "hold", "web", "--release")[1].startswith("released: all pools")
    assert [one[3]["members"] for one in api.asked if one[0] == "POST"][-1] == ["web"]
    assert said(capsys, api, "hold", "--release", "--for", "1h")[0] == 2
    api.answers["POST", "/override"] = (200, {**OK, "changed": []})
    assert said(capsys, api, "hold", "--release")[:2] == (0, "nothing was held\n")
    assert "until `rrdns hold web app --release`" in hold.held(["web", "app"], ["web", "app"], None)


@pytest.mark.parametrize(
    ("words", "changed", "holds", "code", "told"),
    [
        (("--release",), [], ["web", "app"], 1, "held still, each by its own word: app, web: rrdns hold app web --rel"),
        (("--release",), ["all pools"], ["web"], 0, "released: all pools; held still, each by its own word: web"),
        (("web", "--release"), [], [""], 1, "no such hold stands; all pools are held still: rrdns hold --release"),
        (("web", "--release"), ["web"], ["", "app"], 0, "released: web; all pools are held still"),
        (("web", "--release"), ["web"], ["app"], 0, "released: web; what happened meanwhile counts now"),
    ],
)
def test_a_release_tells_what_is_held_all_the_same(
    capsys: pytest.CaptureFixture[str],
    api: FakeApi,
    words: tuple[str, ...],
    changed: list[str],
    holds: list[str],
    code: int,
    told: str,
) -> None:
    api.answers["POST", "/override"] = (200, {**OK, "changed": changed})
    api.status["overrides"] = [{"pool": pool, "member": "", "word": "hold"} for pool in holds]
    found = said(capsys, api, "hold", *words)
    assert found[0] == code and told in found[1]


@pytest.mark.parametrize("words", [("weight", "web1", "5"), ("hold",), ("drain", "web1"), ("reload",)])
def test_not_saved_is_exit_4(capsys: pytest.CaptureFixture[str], api: FakeApi, words: tuple[str, ...]) -> None:
    api.answers["POST", "/override"] = (200, {**OK, "saved": False})
    api.answers["POST", "/reload"] = (200, {"ok": True, "problems": [], "changed": {}, "saved": False})
    code, _, fault = said(capsys, api, *words)
    assert code == 4 and "in force, NOT saved" in fault
    assert said(capsys, api, *words, "--json")[0] == 4


def test_an_audit_as_text_json_and_exit_code(capsys: pytest.CaptureFixture[str], api: FakeApi) -> None:
    api.answers["POST", "/audit"] = (200, {"checks": {}, "pools": {}, "zones": {}, "asked": None})
    api.answers["POST", "/audit/found"] = (200, {"ok": True, "told": 0})
    api.status["events"] = []
    api.status["pools"]["web"]["members"] = {"web1": member(), "web2": member()}
    assert said(capsys, api, "audit", "--no-outside")[0] == 0
    api.status["overrides"] = WORDS[1:2]
    code, text, _ = said(capsys, api, "audit", "--no-outside", "--tell")
    assert code == 1 and "override web/web1: force-up by bob for 5s now, and nothing ends it" in text
    assert next(one[3] for one in api.asked if one[1] == "/audit/found")["found"][0]["name"] == "override web/web1"
    told = json.loads(said(capsys, api, "audit", "--no-outside", "--no-asking", "--json")[1])
    assert [one["kind"] for one in told["findings"]] == ["override"]
    assert api.asked[-2][3] == {"asking": False}
    assert said(capsys, api, "audit", "--resolver", "nowhere")[0] == 2
    api.stop()
    assert said(capsys, api, "audit")[0] == 3
