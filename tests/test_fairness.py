"""What people see of weights that follow load: `status`, `top`, `explain`."""

from __future__ import annotations

from typing import Any

import fake_api
import pytest
from fake_api import member
from test_status import text

from rrdns.ui import explain, fairness, screen
from rrdns.ui.screen import Link
from rrdns.ui.view import Scene, View


def status(**of_pool: Any) -> dict[str, Any]:
    found = fake_api.status(2)
    web = found["pools"]["web"]
    web.update(of_pool)
    web["members"]["web1"] = member(
        share=0.2, wanted=0.25, answered=0.21, connected=0.31, correction=0.83, slow_start=0.4, suspect=True
    )
    return found


def test_status_shows_wanted_answered_and_connected() -> None:
    shown = text(status(), 200)
    heading = next(line for line in shown.splitlines() if line.startswith("MEMBER"))
    assert heading.split()[5:9] == ["SHARE", "WANTED", "ANSWERED", "CONNECTED"]
    (row,) = [line for line in shown.splitlines() if line.startswith("web/web1")]
    for words in ("20%", "25%", "21%", "31%", "slow start at 40%, correction 0.83, suspect"):
        assert words in row, words
    assert "WANTED" not in text(fake_api.status(2), 200), "nothing was counted"


def test_columns_of_the_meter_go_before_the_reason_does() -> None:
    assert "timed out" in " ".join(text(status(), 60).split()) and "CONNECTED" not in text(status(), 60)


def test_top_shows_them_where_there_is_room() -> None:
    lines, _ = screen.picture(Scene.of(status()), View(), Link(), 200, 24)
    shown = "\n".join(line.plain for line in lines)
    assert "CONNECTED" in shown and "31%" in shown and "correction 0.83" in shown
    narrow, _ = screen.picture(Scene.of(status()), View(), Link(), 80, 24)
    assert all("CONNECTED" not in line.plain for line in narrow)


@pytest.mark.parametrize(
    ("of_pool", "words"),
    [
        ({"schedulers": {"wlc": {"now": "wrr", "why": "lvs1 tells no connections: timed out"}}},
         "pool web: wlc works as wrr: lvs1 tells no connections: timed out"),
        ({"correction": {"state": "refused", "why": "img.example.com. answers with web1", "suspects": []}},
         "pool web: correct: is not in force: img.example.com. answers with web1"),
        ({"correction": {"state": "on", "why": "", "next": 12.0, "suspects": ["web1"]}}, "web/web1 is suspect"),
    ],
)  # fmt: skip
def test_what_does_not_follow_is_an_alarm(of_pool: dict[str, Any], words: str) -> None:
    assert words in text(status(**of_pool), 200)


def test_explain_tells_it_of_the_member_and_the_pool() -> None:
    found = status(
        correction={"state": "on", "why": "", "next": 12.0, "suspects": []},
        schedulers={"wlc": {"now": "wrr", "why": "the pool has no director"}},
    )
    told = {"name": "www.", "type": "A", "pool": {"name": "web", **found["pools"]["web"]}, "ring": {"slots": 1},
            "service": {"scheduler": "wlc", "scheduler_now": "wrr", "answers": 1, "ttl": 1, "ttl_max": 1}}  # fmt: skip
    shown = "\n".join(line.plain for line in explain.page(told, 200))
    for words in (
        "share     wanted 25%, answered 21%, connected 31%", "weight    slow start at 40%, correction 0.83, suspect",
        "correction on; next comparison in 12s", "wlc works as wrr: the pool has no director",
        "order by wrr (instead of wlc)",
    ):  # fmt: skip
        assert words in shown, words


def test_a_server_of_another_version() -> None:
    assert fairness.moved_phrase({}) == "" and not fairness.is_metered({}) and list(fairness.unbalanced({})) == []
    assert list(fairness.unbalanced({"pools": {"p": {"correction": None, "schedulers": None}}})) == []
