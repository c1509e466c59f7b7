"""`rrdns drain --wait`: what it waits for, in pretend time, and the command against a server that answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import fake_api
from fake_api import FakeApi, member

from rrdns.ui.drain import Watch

DRAIN = {"word": "drain", "owner": "ann", "reason": "", "since": 1.0, "left": None}


def status(total: int | None = None, *, ttl: int = 20, active: int = 3, serving: bool = False, age: float = 0.0,
           word: str = "drain") -> dict[str, Any]:  # fmt: skip
    found = fake_api.status(2)
    found["services"]["www.lb.example.com."]["ttl_max"] = ttl
    voice = {"name": "lb1", "word": "up", "why": "", "since": 1.0, "weight": 1, "active": active, "total": total}
    one = member("drained", override={**DRAIN, "word": word} if word else None, director=voice)
    found["pools"]["web"]["members"]["web1"] = one
    found["pools"]["web"]["serving"] = ["web1", "web2"] if serving else ["web2"]
    found["directors"] = {"lb1": {"type": "haproxy", "state": "up", "age": age}}
    return found


def watch(before: float | None = 50.0, threshold: float | None = None) -> Watch:
    return Watch("web", "web1", 0.0, before, threshold)


def run(one: Watch, totals: list[int], start: float = 0.0) -> float:
    """A reading a second; when it was over."""
    for second, total in enumerate(totals):
        one.see(status(total), start + second)
        if one.over:
            return start + second
    return -1.0


def test_quiet_is_told_when_the_tail_is_over_and_measured() -> None:
    one = watch()
    totals = [1000 + 40 * min(second, 22) + 3 * min(max(0, second - 22), 5) for second in range(60)]
    over = run(one, totals)
    assert one.phase == "quiet" and one.fine and 30 <= over <= 37
    assert one.tail == 40 * 3 + 15 and one.came == totals[-1] - 1000 and one.last == 27.0
    assert "135 connections came after the caches must have run out, the last after 27s" in one.story(over)
    assert "lb1 counts no more new clients" in one.story(over) and "3 connections left there" in one.story(over)


def test_not_before_the_caches_have_run_out() -> None:
    one = watch()
    assert run(one, [1000] * 60) == 20.0 and "no tail" in one.story(20.0)


def test_a_trickle_below_the_threshold_is_quiet_and_above_it_is_not() -> None:
    below, above = watch(before=50.0), watch(before=50.0)
    assert run(below, [second * 9 // 10 for second in range(100)]) > 0 and below.phase == "quiet"
    assert run(above, [second * 3 for second in range(100)]) < 0 and above.phase == "tail"
    assert "new connections still come" in above.story(99.0) and "3.0 a second" in above.story(99.0)
    strict = watch(before=50.0, threshold=0.0)
    assert run(strict, [second * 9 // 10 for second in range(100)]) < 0


def test_a_director_that_is_read_rarely_is_waited_for() -> None:
    """The same reading, asked for again and again, proves nothing."""
    one = watch()
    for second in range(120):
        one.see(status(1000, age=float(second % 30)), float(second))
        if one.over:
            break
    assert one.phase == "quiet" and second == 30
    stale = watch()
    for second in range(120):
        stale.see(status(1000, age=float(second)), float(second))
    assert not stale.over, "nobody has read it since the drain"


def test_a_counter_that_goes_back_is_no_connection() -> None:
    one = watch()
    run(one, [5000] * 5 + [3] * 40)
    assert one.phase == "quiet" and one.came == 0


def test_without_anybody_who_counts_it_waits_three_times_the_ttl() -> None:
    one = watch(before=None)
    for second in range(70):
        one.see(status(None), float(second))
        if one.over:
            break
    assert one.phase == "blind" and second == 60 and "nobody counted" in one.story(60.0)


def test_when_it_is_still_answered_or_enabled_again() -> None:
    last = watch()
    last.see(status(1, serving=True), 1.0)
    assert not last.over, "the word is on its way"
    last.see(status(1, serving=True), 5.0)
    assert last.phase == "answered" and not last.fine and "nothing else is left" in last.story(5.0)
    ended = watch()
    ended.see(status(1, word=""), 9.0)
    assert ended.phase == "enabled" and not ended.fine


# ---------------------------------------------------------------- the command


def start(api: FakeApi, *arguments: str) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if name not in ("RRDNS_STATE", "RRDNS_CONTROL")}
    command = [sys.executable, "-m", "rrdns", "drain", "web1", "--wait", "--control", api.path, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def test_it_ends_with_the_measured_tail(tmp_path: Path) -> None:
    with FakeApi(tmp_path / "s") as api:
        api.answers["POST", "/override"] = 200, {"ok": True, "changed": ["web/web1"], "saved": True}
        api.status = status(100, ttl=1)
        done = threading.Event()

        def go_on() -> None:
            began = time.monotonic()
            while not done.wait(0.2):
                passed = time.monotonic() - began
                api.status = status(100 + min(30, int(passed * 10)), ttl=1)

        thread = threading.Thread(target=go_on, daemon=True)
        thread.start()
        try:
            process = start(api)
            out, err = process.communicate(timeout=90)
        finally:
            done.set()
            thread.join()
    assert process.returncode == 0, err
    assert out.startswith("drained: web/web1\n") and "caches must have run out at" in out and "(TTL 1 s)" in out
    assert "web/web1: quiet after" in out
    (posted,) = [body for method, path, _, body in api.asked if (method, path) == ("POST", "/override")]
    assert posted["word"] == "drain" and posted["members"] == ["web1"]


def test_without_a_director_it_says_so(tmp_path: Path) -> None:
    with FakeApi(tmp_path / "s") as api:
        api.answers["POST", "/override"] = 200, {"ok": True, "changed": [], "saved": True}
        api.status = status(None, ttl=1)
        process = start(api)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0 and "there will be no proof: waiting three times the TTL, 3s" in out
        told = start(api, "--json")
        out, _ = told.communicate(timeout=60)
    found = json.loads(out)
    assert found["ok"] and found["members"]["web/web1"]["phase"] == "blind" and found["waited"] >= 3


def test_it_gives_up_at_its_timeout_and_exits_1(tmp_path: Path) -> None:
    with FakeApi(tmp_path / "s") as api:
        api.answers["POST", "/override"] = 200, {"ok": True, "changed": ["web/web1"], "saved": True}
        api.status = status(100, ttl=30)
        process = start(api, "--timeout", "2s")
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "given up: web/web1" in err


def test_what_the_server_refuses_is_refused(tmp_path: Path) -> None:
    with FakeApi(tmp_path / "s") as api:
        api.answers["POST", "/override"] = 409, {"error": "pool web would have no available member left"}
        process = start(api)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "no available member left" in err
