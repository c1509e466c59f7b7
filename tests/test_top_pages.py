"""The pages of the console: which keys lead where, what stands on each, the minute of answers, what it all costs."""

from __future__ import annotations

import copy
import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import fake_api
import pytest
from fake_api import member
from rich.console import Console

from rrdns.ui import sparkline
from rrdns.ui.choosing import joined_events
from rrdns.ui.console import joined
from rrdns.ui.screen import Link, picture
from rrdns.ui.sparkline import History
from rrdns.ui.view import PAGES, PANES, Scene, View, press


def status() -> fake_api.Json:
    """Two pools, a scheme, overrides with and without an end, a director that speaks of two members."""
    found = fake_api.status(5)
    web = found["pools"]["web"]
    web |= {"scheme": "rotating-standby", "holder": "web2", "queue": ["web3", "web1"], "failback": "after 5m"}
    web["members"]["web1"] |= {"wanted": 0.25, "answered": 0.24, "connected": 0.11}
    voice = {"name": "lvs1", "word": "up", "why": "up at lvs1", "since": 9.0, "weight": 10, "active": 4, "inactive": 1}
    mail = {f"mx{index}": member(address=f"192.0.2.{100 + index}", director=voice) for index in (1, 2)}
    follows = {
        "director": "lvs1",
        "follows": [{"director": "lvs1", "part": "10.0.0.1:25", "age": 1.0}],
        "notes": ["odd"],
    }
    bare = {"scheme": None, "holder": None, "queue": [], "following": follows}
    found["pools"]["mail"] = {**web, **bare, "members": mail, "serving": list(mail)}
    found["services"]["mail.lb.example.com."] = {
        **found["services"]["www.lb.example.com."],
        "pool": "mail",
        "rate": 7.0,
    }
    words = (
        ("web", "web4", "drain", "ann", "kernel", 4800.0),
        ("web", "web1", "weight", "bob", "new disk", None),
        ("mail", "mx1", "drain", "eve", "other", 5.0),
    )
    names = ("pool", "member", "word", "owner", "reason", "left")
    found["overrides"] = [{**dict(zip(names, one, strict=True)), "since": 60.0} for one in words]
    found["directors"] = {
        "lvs1": {"state": "up", "age": 1.0, "since": 99.0, "reason": "", "type": "ipvs", "master": None, "servers": 2,
                 "pools": ["mail"], "took": 0.003},
        "lvs2": {"state": "stale", "age": None, "since": None, "reason": "connection refused", "type": "haproxy",
                 "master": None, "servers": 0, "pools": [], "took": None},
    }  # fmt: skip
    return found


class Person:
    """Presses keys and looks."""

    def __init__(self, shown: fake_api.Json, width: int = 80, height: int = 24) -> None:
        self.scene, self.view, self.size = Scene.of(shown), View(), (width, height)
        self.text = ""
        self.press()

    def press(self, *keys: str) -> str:
        for key in keys:
            self.view = press(self.view, key, 10)
            lines, self.view = picture(self.scene, self.view, Link(), *self.size)
            self.text = "\n".join(line.plain for line in lines)
        if not keys:
            lines, self.view = picture(self.scene, self.view, Link(), *self.size)
            self.text = "\n".join(line.plain for line in lines)
        return self.text


# ---------------------------------------------------------------- where keys lead


def test_the_keys_of_the_pages_stand_in_the_footer_and_lead_there() -> None:
    one = Person(status())
    for number, name in PAGES:
        one.press(number)
        assert one.view.page == name and one.view.pane == PANES[name][0]
        assert all(f"{key} {page}" in one.text.splitlines()[-1] for key, page in PAGES)


def test_enter_opens_the_pool_under_the_cursor_and_esc_goes_back() -> None:
    one = Person(status())
    one.press("end", "enter")
    assert (one.view.page, one.view.pool) == ("pool", "mail") and "POOL mail" in one.text and "mx2" in one.text
    one.press("esc")
    assert one.view.page == "overview" and one.view.at["members"] == 6, "the cursor is where it was"
    one.press("tab", "enter")
    assert one.view.pool == "web", "of a service"
    one.press("right")
    assert one.view.pool == "mail"
    one.press("right")
    assert one.view.pool == "mail", "there is no next one"
    one.press("left", "2", "down", "enter")
    assert one.view.pool == "mail"
    one.press("backspace")
    assert one.view.page == "pools"
    one.press("3", "tab", "enter")
    assert one.view.pool == "mail", "of a member a director speaks of"
    one.press("4", "enter")
    assert (one.view.page, one.view.pool) == ("pool", "web"), "of an event"


def test_esc_clears_a_filter_before_it_goes_back() -> None:
    one = Person(status())
    one.press("2", "enter", "/", "w", "e", "b", "3", "enter")
    assert "web3" in one.text and "filter: web3" in one.text and one.view.page == "pool"
    assert one.press("esc") and one.view.page == "pool" and not one.view.filter
    assert one.press("esc") and one.view.page == "pools"


def test_a_pool_that_is_gone_says_so() -> None:
    one = Person(status())
    one.view = View(page="pool", pane="pool", pool="was")
    assert "there is no pool was any more" in one.press("down")
    assert one.press("2") and one.view.page == "pools"


# ---------------------------------------------------------------- what stands there


def test_the_pool_page_has_scheme_queue_overrides_and_meter_at_80_by_24() -> None:
    one = Person(status())
    text = one.press("enter")
    for words in ("POOL web", "3 of 5 members serve", "rotating-standby: holder web2; queue web3, web1", "quorum 1",
                  "failback after 5m", "www.lb.example.com. 5s", "BY HAND", "1h 20m", "no end", "by ann: kernel",
                  "by bob: new disk", "WANTED", "ANSWERED", "CONNECTED", "25%", "24%", "11%",
                  "617 a second"):  # fmt: skip
        assert words in text, words
    assert "by eve" not in text, "another pool's"
    following = one.press("right")
    assert "follows  lvs1 10.0.0.1:25; now by lvs1" in following and "odd" in following


def test_many_overrides_leave_room_for_the_members() -> None:
    shown = status()
    shown["overrides"] *= 40
    text = Person(shown).press("enter")
    assert "more: rrdns overrides" in text and "web1" in text.split("more: rrdns overrides")[1]


def test_the_pools_page() -> None:
    text = Person(status(), 120).press("2")
    row = next(line for line in text.splitlines() if line.startswith("web "))
    for words in ("ok", "3 of 5", "617", "rotating-standby", " 2 ", "holder web2"):
        assert words in row, words


def test_the_directors_page_says_what_the_chosen_one_says() -> None:
    one = Person(status(), 100)
    text = one.press("3")
    for words in ("lvs1", "ipvs", "1s ago", "lvs2", "connection refused", "never", "mail/mx1", "up at lvs1", "ACTIVE"):
        assert words in text, words
    assert "lvs2 speaks of no member" in one.press("down")
    assert "lvs1 " not in one.press("d").split("DIRECTOR")[1], "only what has a problem"
    bare = fake_api.status(3)
    assert "no director is configured" in Person(bare).press("3")


def test_the_events_page_has_the_newest_first_and_can_be_filtered() -> None:
    one = Person(status())
    text = one.press("4")
    assert text.index("web/web8") < text.index("web/web1 ")
    text = one.press("/", *"web8", "enter")
    assert "web/web8" in text and "web/web1 " not in text


def test_events_are_joined_where_they_overlap() -> None:
    every = [{"time": float(index), "name": str(index)} for index in range(50)]
    assert joined_events((), every) is None, "nothing known: ask"
    assert joined_events((), ()) == (), "nothing has happened: nothing to ask for"
    assert joined_events(tuple(every[:30]), every[20:]) == tuple(every)
    assert joined_events(tuple(every), every[30:]) == tuple(every)
    assert joined_events(tuple(every[:20]), every[30:]) is None, "some are missing: ask"


# ---------------------------------------------------------------- the minute


def test_the_sparkline() -> None:
    assert sparkline.draw([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline.draw([5.0], 4) == "   █" and sparkline.draw([], 3) == "   " and sparkline.draw([1.0], 0) == ""
    assert sparkline.draw([0.0, None, 0.0], 3) == "▁ ▁", "nobody knows what was between"
    assert sparkline.draw([0.001, 1000.0], 2) == "▂█", "any answers at all are seen"
    assert sparkline.draw([9000.0, 1.0, 1.0], 2) == "██", "only what is shown counts"


def test_the_history_takes_a_sample_a_second_and_keeps_a_minute() -> None:
    shown = fake_api.status(3, services=2)
    history = History()
    for quarter in range(400):
        shown = {**shown, "time": 1000.0 + quarter / 4, "qps": float(quarter)}
        history = history.after(shown)
    assert len(history.total) == 60 and history.total[-1] == 396.0 and history.total[-2] == 392.0
    assert history.services["www.lb.example.com."][-1] == 617.2 and history.pools["web"][-1] == pytest.approx(1234.4)
    history = history.after({**shown, "time": shown["time"] + 10})
    assert history.total[-10:-1].count(None) >= 8 and history.total[-1] is not None and len(history.total) == 60
    history = history.after({**shown, "time": 5.0})
    assert history.total[-1] is not None and history.at == 5.0, "the clock was set back"
    assert not history.after({**shown, "time": 9.0, "services": {}, "pools": {}}).services, "what is gone is forgotten"


def test_the_minute_stands_in_the_lists() -> None:
    shown = status()
    history = History()
    for second in range(60):
        now = copy.deepcopy(shown)
        now["time"] = 1000.0 + second
        now["services"]["www.lb.example.com."]["rate"] = float(second % 8)
        history = history.after(now)
    for page in ("overview", "pools", "pool"):
        lines, _ = picture(Scene.of(shown, history), View(page=page, pane=PANES[page][0], pool="web"), Link(), 80, 24)
        assert any("▅▆▇█" in line.plain for line in lines), page


# ---------------------------------------------------------------- colours, cost, the picture in README


def test_the_screenshot_is_what_the_code_draws(tmp_path: Path) -> None:
    """Two runs are the same, and docs/top.svg says what a new one would (rich may draw it otherwise)."""
    home = Path(__file__).parent.parent
    made = []
    for name in ("a.svg", "b.svg"):
        command = [sys.executable, str(home / "scripts" / "screenshot.py"), str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=home)
        assert done.returncode == 0, done.stderr
        made.append((tmp_path / name).read_text())
    assert made[0] == made[1]
    kept = (home / "docs" / "top.svg").read_text()
    assert words_of(kept) == words_of(made[0]), "run scripts/screenshot"
    assert "docs/top.svg" in (home / "README.md").read_text()


def words_of(svg: str) -> list[str]:
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg)).replace("&#160;", " ").split()


def test_without_colours_the_cursor_is_still_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    lines, _ = picture(Scene.of(status()), View(), Link(), 80, 24)
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24, color_system="standard")
    console.print(joined(lines))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    row = next(line for line in shown.splitlines() if "web/web1 " in line)
    assert "\x1b[7m" in row or ";7m" in row
    assert not any(f"\x1b[3{colour}m" in shown or f";3{colour}m" in shown for colour in range(8))


@pytest.mark.parametrize("page", PANES)
def test_a_thousand_members_are_drawn_in_one_screen_and_what_it_costs_is_told(page: str) -> None:
    """All that a frame takes: the snapshot read, its rows, the picture, and rich's drawing of it. `pytest -s` tells."""
    data = json.dumps(fake_api.status(1000, services=50))
    console = Console(file=io.StringIO(), force_terminal=True, width=200, height=60, color_system="truecolor")
    view, history = View(page=page, pane=PANES[page][0], pool="web"), History()
    frames, began = 12, time.process_time()
    for frame in range(frames):
        shown = {**json.loads(data), "time": 1000.0 + frame / 4}
        history = history.after(shown)
        lines, view = picture(Scene.of(shown, history), press(view, "down", 30), Link(), 200, 60)
        console.print(joined(lines))
    share = (time.process_time() - began) / frames * 4
    print(f"\n{page}: 4 frames a second of 1,000 members at 200x60 take {share:.1%} of a core")
    assert len(lines) <= 60
